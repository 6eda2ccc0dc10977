# -*- coding: utf-8 -*-
"""Makes the files beside this one, with the real libraries.

They were made with

    python 3.11.7    web.py 0.76    Beaker 1.14.1    SQLAlchemy 2.1.9
    python 2.7.18    web.py 0.40    Beaker 1.11.0

by

    python3 -m pip install web.py Beaker SQLAlchemy
    python3 make.py
    python2 -m pip install 'web.py<0.50' 'Beaker<1.12'
    python2 make.py

Each run replaces what its own Python has made. The rows of databases hold the time of the run;
everything else comes out the same.
"""

from __future__ import unicode_literals

import collections
import datetime
import decimal
import os
import pickle
import shutil
import sqlite3
import sys
import time

import beaker.session
import web
import web.session

PYTHON = "python%d" % sys.version_info[0]
HERE = os.path.dirname(os.path.abspath(__file__))
NOW = 1764000000.5
WEB_PY_ID = "0123456789abcdef0123456789abcdef01234567"
BEAKER_ID = "0123456789abcdef0123456789abcdef"
SECRET = "the old secret"

time.time = lambda: NOW
beaker.session._session_id = lambda: BEAKER_ID


class Basket(object):
    """A class of the application's own, which no importer has."""

    def __init__(self):
        self.items = ["apple"]


class Old:
    """In Python 2 a class of the old kind, which has opcodes of its own."""

    def __init__(self):
        self.items = ["pear"]


# The application was a module of its own.
Basket.__module__ = Old.__module__ = str("shop")
sys.modules["shop"] = sys.modules["__main__"]


def plain():
    """What JSON has, too."""
    return {
        "user": "ada",
        "count": 3,
        "name": "Zo\u00eb \U0001f600 \"x\" \\ \n",
        "none": None,
        "yes": True,
        "no": False,
        "float": 0.1,
        "negative": -70000,
        "biggest": 2**64 - 1,
        "nested": {"list": [1, [2, [3, {}]]], "empty": []},
    }


def everything():
    """What pickle can hold, moved or not."""
    cart = {"apple": 2}
    cycle = [1]
    cycle.append(cycle)
    ordered = collections.OrderedDict()
    values = plain()
    values.update({
        "lowest": -(2**63),
        "huge": 2**70,
        "minus_huge": -(2**70),
        "longest": 2**2000,
        "tuples": [(), (1,), (1, 2), (1, 2, 3), (1, 2, 3, 4)],
        "set": {1, 2, 3},
        "frozenset": frozenset([1]),
        "bytearray": bytearray(b"\x00\xff"),
        "shared": [[cart, cart], [cart]],
        "storage": web.storage(row=1),
        "default": collections.defaultdict(list, {"a": [1]}),
        "keys": {1: "one", None: "none"},
        "same_keys": {1: "int", "1": "text"},
        "tuple_key": {(1, 2): 3},
        "nan": float("nan"),
        "infinity": [float("inf")],
        "when": datetime.datetime(2025, 11, 24, 16, 0),
        "price": [decimal.Decimal("1.5")],
        "basket": Basket(),
        "old": {"deep": [Old()]},
        "class": int,
        "cycle": cycle,
    })
    if sys.version_info[0] == 2:
        values["str"] = b"plain"
        values["latin1"] = b"Zo\xeb"
        values["long"] = 3 * 1 << 64 >> 64
    else:
        values["bytes"] = b"\x00\xff"
        values["no_bytes"] = b""
        values["surrogate"] = "\ud83d"
    return values


class WithProtocol(object):
    """The module pickle as the libraries see it, with a protocol that they did not choose."""

    loads = staticmethod(pickle.loads)

    def __init__(self, protocol):
        self.protocol = protocol

    def dumps(self, value, protocol=None):
        return pickle.dumps(value, self.protocol)


def folder(*names):
    path = os.path.join(HERE, *names)
    shutil.rmtree(path, ignore_errors=True)
    os.makedirs(path)
    return path


def write(data, *names):
    if not isinstance(data, bytes):
        data = data.encode("ascii")
    with open(os.path.join(HERE, *names), "wb") as file:
        file.write(data)


def web_py_record(values):
    # As web.session.Session._save has it: its own keys among the application's.
    values.update({"session_id": WEB_PY_ID, "ip": "192.0.2.7", "send_cookie": True})
    return values


def web_py():
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        web.session.pickle = WithProtocol(protocol)
        root = folder("web_py", "%s-protocol%d" % (PYTHON, protocol))
        web.session.DiskStore(root)[WEB_PY_ID] = web_py_record(everything())
    web.session.pickle = pickle
    root = folder("web_py", "%s-plain" % PYTHON)
    web.session.DiskStore(root)[WEB_PY_ID] = web_py_record(plain())
    # What `shelve` puts into its file.
    shelf = {}
    web.session.ShelfStore(shelf)[WEB_PY_ID] = web_py_record(plain())
    write(pickle.dumps(shelf[WEB_PY_ID]), "web_py", "%s-shelf" % PYTHON)
    if PYTHON == "python3":
        path = os.path.join(folder("web_py", "database"), "old.sqlite")
        database = web.database(dbn="sqlite", db=path)
        database.query(
            "CREATE TABLE sessions (session_id CHAR(128) UNIQUE NOT NULL,"
            " atime DATETIME NOT NULL default current_timestamp, data TEXT)"
        )
        web.session.DBStore(database, "sessions")[WEB_PY_ID] = web_py_record(plain())
        database.ctx.db.close()


def beaker_session(values, **options):
    session = beaker.session.Session({}, id=BEAKER_ID, use_cookies=False, **options)
    session.update(values)
    session.save()


def beakers():
    for serializer, values in (("json", plain()), ("pickle", everything())):
        data_dir = folder("beaker", "%s-%s" % (PYTHON, serializer))
        beaker_session(values, type="file", data_dir=data_dir, data_serializer=serializer)
        shutil.rmtree(os.path.join(data_dir, "container_file_lock"))

    request = {"cookie": ""}
    session = beaker.session.CookieSession(
        request, key=str("old"), validate_key=SECRET, data_serializer="json"
    )
    session.update(plain())
    session.save()
    write(cookie(request), "beaker", "%s-cookie" % PYTHON)

    request = {"cookie": ""}
    beaker.session.Session(request, key=str("old"), type="memory", secret=SECRET)
    write(cookie(request), "beaker", "%s-signed" % PYTHON)

    if PYTHON == "python3":
        path = os.path.join(folder("beaker", "database"), "old.sqlite")
        options = {"url": "sqlite:///" + path, "lock_dir": folder("beaker", "lock")}
        beaker_session(plain(), type="ext:database", data_serializer="json", **options)
        shutil.rmtree(os.path.join(HERE, "beaker", "lock"))


def cookie(request):
    return request["cookie_out"].strip().split(";")[0].split("=", 1)[1]


web_py()
beakers()
