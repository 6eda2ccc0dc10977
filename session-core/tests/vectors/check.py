"""Reads the stored records as any other program would: with a JSON parser and nothing else.

    check.py read|write|nan FOLDER ACCESSED_AT EXPIRES_AT TIME_WIDTH

`read` checks every field of every record; `write` prints one of them, changed, in Python's own
spelling; `nan` prints it with a number that is not JSON.
"""

import base64
import datetime
import json
import pathlib
import sys

SECRET = "b3.AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"
START = 1764000000000

PLAIN = {
    "format": 1,
    "version": "0000000000000001-fedcba9876543210",
    "generation": 1,
    "accessed": START,
    "expires": None,
    "timeout": None,
    "ends": None,
    "created": START,
    "secret": SECRET,
    "secret_at": START,
    "persistent": False,
    "data": {},
}

EXPECTED = {
    "nothing-in-it.json": PLAIN,
    "every-field.json": PLAIN | {
        "version": "0000000000000007-0123456789abcdef",
        "generation": 3,
        "accessed": START + 61007,
        "expires": START + 61007 + 3600000,
        "timeout": 3600000,
        "ends": START + 86400000,
        "secret_at": START + 60000,
        "own_timeout": 3600000,
        "persistent": True,
        "previous": {
            "secret": "b3.__79_Pv6-fj39vX08_Lx8O_u7ezr6uno5-bl5OPi4eA",
            "until": START + 70000,
            "valid": True,
        },
        "owner": 'ada "the" first \u00e9',
        "address": "2001:db8::1",
        "agent": "Mozilla/5.0 \\ \U0001f980",
        "own": {"csrf": "c2VlZA"},
        "data": {
            "\u540d\u524d": "\u0410\u0434\u0430 \U0001f980",
            "count": 1,
            "big": "9007199254740993",
            "bytes": "-_8A",
            "at": 1764000000123,
        },
    },
    "highest-numbers.json": PLAIN | {
        "version": "ffffffffffffffff-ffffffffffffffff",
        "generation": 4294967295,
        "created": -99999999999999,
        "accessed": -1,
        "expires": 99999999999999,
        "ends": 99999999999999,
        "previous": {"secret": SECRET, "until": None, "valid": False},
    },
    "odd-spelling.json": PLAIN | {
        "data": {"": [1, 2], 'a"b\\c\x00': None, "f": 1.1, "t": {"b": 1, "a": True}},
    },
}


def from_base64url(text):
    """Bytes are base64url without padding, which Python's decoder wants back."""
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def check(name, raw, accessed_at, expires_at, width):
    text = raw.decode("utf-8")
    record = json.loads(text)
    for field in ("data_at", "index"):
        assert field in record, f"{name}: {field} is missing"
    # From this offset, in bytes, the data stands alone.
    data = raw[record.pop("data_at"):-1]
    assert json.loads(data) == record["data"], f"{name}: data_at"
    crc, *lengths = record.pop("index")
    assert 0 <= crc < 2**32 and len(lengths) == 2 * len(record["data"]), f"{name}: index"
    assert record == EXPECTED[name], f"{name}: {record}"
    for field, at in (("accessed", accessed_at), ("expires", expires_at)):
        assert json.loads(raw[at:at + width]) == record[field], f"{name}: {field} at {at}"
    tag, digest = record["secret"].split(".")
    assert tag == "b3" and from_base64url(digest) == bytes(range(32)), name


def read(folder, offsets):
    names = sorted(path.name for path in folder.glob("*.json"))
    assert names == sorted(EXPECTED), names
    for name in names:
        check(name, (folder / name).read_bytes(), *offsets)
    data = EXPECTED["every-field.json"]["data"]
    assert int(data["big"]) == 2**53 + 1
    assert from_base64url(data["bytes"]) == b"\xfb\xff\x00"
    at = datetime.datetime.fromtimestamp(data["at"] / 1000, datetime.timezone.utc)
    assert at.isoformat(timespec="milliseconds") == "2025-11-24T16:00:00.123+00:00", at
    print(len(names), "records read")


def changed(folder, count):
    record = json.loads((folder / "every-field.json").read_bytes())
    # A writer changes the version, and may leave out what only finds things faster.
    counter, nonce = record["version"].split("-")
    record["version"] = f"{int(counter, 16) + 1:016x}-{nonce}"
    del record["data_at"], record["index"], record["expires"]
    record["data"]["count"] = count
    return json.dumps(record, ensure_ascii=True, sort_keys=True, indent=1)


def main():
    task, folder, *offsets = sys.argv[1:]
    folder = pathlib.Path(folder)
    if task == "read":
        read(folder, [int(offset) for offset in offsets])
    elif task == "write":
        print(changed(folder, 2))
    elif task == "nan":
        print(changed(folder, float("nan")))
    else:
        sys.exit(__doc__)


main()
