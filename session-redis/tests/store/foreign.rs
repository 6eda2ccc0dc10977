//! Records that other programs read and write.

use std::process::Command;
use std::time::Duration;

use session_core::conformance::samples::{self, next_of};
use session_core::{Only, Record, Store, StoreErrorKind, Touch, Written};

use crate::{Place, SERVER, number, redis};

/// Runs Python with `get(key)` and `set(key, bytes)`, which speak to the server by its protocol.
fn python(program: &str, arguments: &[&str]) -> String {
    let output = Command::new("python3")
        .args(["-c", &format!("{CLIENT}\n{program}")])
        .arg(SERVER.port().to_string())
        .args(arguments)
        .output()
        .expect("python3 is missing: apt-get install python3");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().to_owned();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

const CLIENT: &str = r#"
import json, socket, sys
server = socket.create_connection(("127.0.0.1", int(sys.argv[1]))).makefile("rwb")
def call(*arguments):
    server.write(b"*%d\r\n" % len(arguments))
    for argument in arguments:
        server.write(b"$%d\r\n%s\r\n" % (len(argument), argument))
    server.flush()
    line = server.readline()
    if line[:1] != b"$": return line
    return server.read(int(line[1:]) + 2)[:-2]
def get(key): return call(b"GET", key.encode())
def set(key, value): call(b"SET", key.encode(), value, b"KEEPTTL")
"#;

/// Other orders, spacings and escapes, none of them the library's own.
const SPELLINGS: [&str; 3] = [
    "json.dumps(record).encode()",
    "json.dumps(record, indent=2, sort_keys=True).encode()",
    "json.dumps(dict(reversed(record.items())), ensure_ascii=False, separators=(',', ':')).encode()",
];

/// Python writes the record anew, as it spells it, with another version and count.
fn rewrite(key: &str, spelling: &str) {
    let program = format!(
        r#"
key = sys.argv[2]
record = json.loads(get(key))
record["data"]["count"] = 7
record["version"] = "00000000000000ff-00000000deadbeef"
set(key, {spelling})"#
    );
    python(&program, &[key]);
}

#[tokio::test(flavor = "multi_thread")]
async fn python_reads_what_is_stored() {
    let place = Place::new().await;
    for name in ["ada", "a \"quoted\" \\ \u{1F980}"] {
        let record = Record {
            owner: Some(samples::owner(name)),
            ..samples::record()
        };
        let id = place.stored(&record).await;
        let touch = Touch {
            generation: record.generation,
            accessed_at: record.accessed_at.after(Duration::from_millis(7)),
        };
        assert_eq!(place.store.touch(&id, &touch).await.unwrap(), Written::Done);
        let program = r#"
record = json.loads(get(sys.argv[2]))
print(record["version"], record["generation"], record["accessed"], record["expires"],
      record["owner"].encode(), json.dumps(record["data"]))"#;
        let ms = |at: session_core::Timestamp| at.as_unix_ms();
        let touched = Record {
            accessed_at: touch.accessed_at,
            ..record.clone()
        };
        let expected = python(
            "print(sys.argv[2], sys.argv[3].encode(), sys.argv[4])",
            &[
                &format!(
                    "{} {} {} {}",
                    record.version,
                    record.generation.0,
                    ms(touched.accessed_at),
                    ms(touched.expires_at().unwrap()),
                ),
                name,
                r#"{"count": 1, "name": "Ada"}"#,
            ],
        );
        assert_eq!(python(program, &[&place.key(&id)]), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_operation_works_on_what_python_wrote() {
    for spelling in SPELLINGS {
        for name in ["ada", "a \"quoted\" \\ \u{1F980}"] {
            let place = Place::new().await;
            let record = Record {
                owner: Some(samples::owner(name)),
                ..samples::record()
            };
            let id = place.stored(&record).await;
            let key = place.key(&id);
            rewrite(&key, spelling);
            let mut found = place.store.load(&id).await.unwrap().unwrap();
            assert_eq!(
                found.data.as_str().replace(' ', ""),
                r#"{"count":7,"name":"Ada"}"#.replace(' ', "").as_str()
            );
            assert_eq!(found.owner, record.owner);
            assert_eq!(place.owned_by(name).await, [id]);

            // What its writer replaced is refused.
            let stale = place
                .store
                .update(&id, &next_of(&record), record.version)
                .await;
            assert_eq!(stale.unwrap(), Written::Conflict);
            let other = Only::Generation(record.generation.next());
            assert_eq!(
                place.store.delete(&id, other).await.unwrap(),
                Written::Conflict
            );
            assert_eq!(place.store.load(&id).await.unwrap().as_ref(), Some(&found));

            let touch = Touch {
                generation: record.generation,
                accessed_at: record.accessed_at.after(Duration::from_secs(90)),
            };
            let strange = Touch {
                generation: record.generation.next(),
                ..touch
            };
            assert_eq!(
                place.store.touch(&id, &strange).await.unwrap(),
                Written::Conflict
            );
            assert_eq!(place.store.touch(&id, &touch).await.unwrap(), Written::Done);
            found.accessed_at = touch.accessed_at;
            assert_eq!(place.store.load(&id).await.unwrap().as_ref(), Some(&found));
            let dropped = found.expires_at().unwrap().as_unix_ms() + crate::SKEW_MS;
            assert_eq!(number(&["PEXPIRETIME", &key]), dropped);

            rewrite(&key, spelling);
            let found = place.store.load(&id).await.unwrap().unwrap();
            let next = Record {
                owner: Some(samples::owner("bob")),
                accessed_at: record.accessed_at,
                ..samples::changed(&found, "{\"count\":8}")
            };
            let written = place.store.update(&id, &next, found.version).await;
            assert_eq!(written.unwrap(), Written::Done);
            let kept = Record {
                accessed_at: found.accessed_at,
                ..next
            };
            assert_eq!(place.store.load(&id).await.unwrap(), Some(kept));
            assert!(place.owned_by(name).await.is_empty());
            assert_eq!(place.owned_by("bob").await, [id]);

            rewrite(&key, spelling);
            let only = Only::Generation(record.generation);
            assert_eq!(place.store.delete(&id, only).await.unwrap(), Written::Done);
            assert_eq!(redis(&["EXISTS", &key]), "0");
            assert!(place.owned_by("bob").await.is_empty());
        }
    }
}

/// A value that begins as ours does and goes on otherwise is looked at, not written into.
#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_is_almost_ours_is_kept() {
    let place = Place::new().await;
    let record = samples::plain_record();
    let id = samples::id();
    let key = place.key(&id);
    let whole = record.encode();
    let accessed = &whole[Record::ACCESSED_AT..][..Record::TIME_WIDTH];
    for damaged in [
        whole[..whole.len() / 3].to_owned(),
        whole[..Record::OWNER_AT].to_owned(),
        whole.replacen(accessed, "  1764 00000000", 1),
        whole.replacen(accessed, "           null", 1),
        whole.replacen("           null", "           nul1", 1),
        whole.replacen("{\"format\":1", "{\"format\":2", 1),
        whole.replacen("{\"format\":1", "{\"format\":0", 1),
        whole.replacen("\"created\":", "\"creation\":", 1),
    ] {
        redis(&["SET", &key, &damaged]);
        let touch = Touch {
            generation: record.generation,
            accessed_at: record.accessed_at.after(Duration::from_secs(1)),
        };
        let kind = |error: session_core::StoreError| error.kind();
        let load = place.store.load(&id).await.map_err(kind).unwrap_err();
        assert_ne!(load, StoreErrorKind::Unavailable, "{damaged}");
        let touched = place.store.touch(&id, &touch).await.map_err(kind);
        assert_eq!(touched, Err(load), "{damaged}");
        let updated = place
            .store
            .update(&id, &next_of(&record), record.version)
            .await;
        assert!(
            [Err(load), Ok(Written::Conflict)].contains(&updated.map_err(kind)),
            "{damaged}"
        );
        let deleted = place
            .store
            .delete(&id, Only::Generation(record.generation))
            .await;
        assert_eq!(deleted.map_err(kind), Err(load), "{damaged}");
        assert_eq!(redis(&["GET", &key]), damaged);
        let deleted = place.store.delete(&id, Only::Any).await;
        assert_eq!(deleted.map_err(kind), Ok(Written::Done), "{damaged}");
    }
}
