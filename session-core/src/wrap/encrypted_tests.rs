use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;

use super::*;
use crate::expiry::Expiry;
use crate::id::{Digest, Secret};
use crate::memory::MemoryStore;
use crate::record::{Generation, Previous};
use crate::wrap::stepped::{START, next, now, record};

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const OTHER_KEY: &[u8] = b"fedcba9876543210fedcba9876543210";

fn digest(id: &SessionId) -> Digest {
    Secret::random().unwrap().digest(id)
}

/// A record with something in every field.
fn full(id: &SessionId) -> Record {
    Record {
        expiry: Expiry::new(
            Some(Duration::from_secs(60)),
            Some(START.after(Duration::from_secs(900))),
        ),
        previous: Some(Box::new(Previous {
            secret: digest(id),
            until: Some(START.after(Duration::from_secs(10))),
            valid: true,
        })),
        own_timeout: Some(Duration::from_secs(60)),
        owner: Some(Owner::new("user\n17").unwrap()),
        address: Some(Ipv4Addr::new(192, 0, 2, 7).into()),
        agent: Some("Agent \"quoted\"".into()),
        own: Data::parse(r#"{"csrf":"seed-of-csrf"}"#).unwrap(),
        data: Data::parse(r#"{"diagnosis":"flu","n":[1, 2],"é\n":null}"#).unwrap(),
        ..record(id, 0)
    }
}

struct Setting {
    backend: Arc<dyn Store>,
    store: Encrypted,
    id: SessionId,
}

impl Setting {
    fn new() -> Self {
        let backend: Arc<dyn Store> = Arc::new(MemoryStore::new());
        Self {
            store: Encrypted::new(Arc::clone(&backend), &KeyRing::new(KEY).unwrap()),
            backend,
            id: SessionId::random().unwrap(),
        }
    }

    fn with(record: &Record) -> Self {
        let setting = Self::new();
        let _ = now(setting.store.create(&setting.id, record)).unwrap();
        setting
    }

    /// The same backend under other keys.
    fn under(&self, ring: &KeyRing) -> Encrypted {
        Encrypted::new(Arc::clone(&self.backend), ring)
    }

    fn kept(&self) -> Record {
        now(self.backend.load(&self.id)).unwrap().unwrap()
    }

    fn load(&self) -> Result<Option<Record>, StoreError> {
        now(self.store.load(&self.id))
    }

    /// Puts another record into the backend, as who can write to it might.
    fn plant(&self, id: &SessionId, record: &Record) {
        let _ = now(self.backend.delete(id, Only::Any)).unwrap();
        assert_eq!(now(self.backend.create(id, record)).unwrap(), Created::Done);
    }

    #[track_caller]
    fn refuses(&self, planted: &Record, what: &str) {
        self.plant(&self.id, planted);
        let error = self.load().expect_err(what);
        assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{what}");
    }
}

fn sealed_as(text: &str) -> Data {
    Data::parse(&format!("{{\"sealed\":{text:?}}}")).unwrap()
}

#[test]
fn w2_what_comes_back_is_what_was_stored_and_nothing_of_it_can_be_read() {
    let id = SessionId::random().unwrap();
    let record = full(&id);
    let s = Setting::with(&record);
    assert_eq!(s.load().unwrap().as_ref(), Some(&record));
    let kept = s.kept().encode();
    for secret in ["diagnosis", "flu", "192.0.2.7", "Agent", "seed-of-csrf"] {
        assert!(!kept.contains(secret), "{secret} in {kept}");
    }
    let changed = Record {
        data: Data::parse(r#"{"diagnosis":"cold"}"#).unwrap(),
        ..next(&record, 1)
    };
    let answer = now(s.store.update(&s.id, &changed, record.version));
    assert_eq!(answer.unwrap(), Written::Done);
    assert!(!s.kept().encode().contains("cold"));
    assert_eq!(s.load().unwrap(), Some(changed));
}

#[test]
fn w2_what_is_documented_as_plain_is_plain_and_all_else_is_not() {
    let id = SessionId::random().unwrap();
    let record = full(&id);
    let s = Setting::with(&record);
    let plain = Record {
        address: None,
        agent: None,
        own: Data::new(),
        data: s.kept().data,
        ..record
    };
    assert_eq!(s.kept(), plain);
    assert_eq!(plain.data.len(), 1);
    assert!(plain.data.raw("sealed").unwrap().starts_with("\"v1."));
}

#[test]
fn w2_a_record_moved_to_another_id_does_not_open() {
    let s = Setting::with(&full(&SessionId::random().unwrap()));
    let other = SessionId::random().unwrap();
    s.plant(&other, &s.kept());
    let error = now(s.store.load(&other)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(s.load().unwrap().is_some());
}

#[test]
fn w2_no_bound_field_can_be_changed_in_the_store() {
    let s = Setting::with(&full(&SessionId::random().unwrap()));
    let kept = s.kept();
    let previous = kept.previous.clone().unwrap();
    let later = START.after(Duration::from_secs(1));
    type Forge<'a> = Box<dyn Fn(&mut Record) + 'a>;
    let with_previous = |forged: Previous| -> Forge<'_> {
        Box::new(move |record| record.previous = Some(Box::new(forged.clone())))
    };
    let forgeries: Vec<(&str, Forge<'_>)> = vec![
        (
            "version",
            Box::new(|r| r.version = r.version.next().unwrap()),
        ),
        ("generation", Box::new(|r| r.generation = Generation(9))),
        ("created", Box::new(|r| r.created_at = later)),
        (
            "timeout",
            Box::new(|r| r.expiry = Expiry::new(None, r.expiry.ends_at())),
        ),
        (
            "ends",
            Box::new(|r| r.expiry = Expiry::new(r.expiry.timeout(), None)),
        ),
        ("own_timeout", Box::new(|r| r.own_timeout = None)),
        ("persistent", Box::new(|r| r.persistent = true)),
        ("secret", Box::new(|r| r.secret = digest(&s.id))),
        ("secret_at", Box::new(|r| r.secret_at = later)),
        ("previous", Box::new(|r| r.previous = None)),
        (
            "previous.secret",
            with_previous(Previous {
                secret: digest(&s.id),
                ..*previous.clone()
            }),
        ),
        (
            "previous.until",
            with_previous(Previous {
                until: None,
                ..*previous.clone()
            }),
        ),
        (
            "previous.valid",
            with_previous(Previous {
                valid: false,
                ..*previous
            }),
        ),
        ("owner", Box::new(|r| r.owner = None)),
        (
            "another owner",
            Box::new(|r| r.owner = Some(Owner::new("admin").unwrap())),
        ),
        (
            "address",
            Box::new(|r| r.address = Some(Ipv4Addr::LOCALHOST.into())),
        ),
        ("agent", Box::new(|r| r.agent = Some("x".into()))),
        (
            "own",
            Box::new(|r| r.own = Data::parse("{\"a\":1}").unwrap()),
        ),
    ];
    for (what, forge) in forgeries {
        let mut forged = kept.clone();
        forge(&mut forged);
        assert_ne!(forged, kept, "{what}");
        s.refuses(&forged, what);
    }
    s.plant(&s.id, &kept);
    assert!(s.load().unwrap().is_some());
}

#[test]
fn w2_a_touch_moves_the_access_of_a_sealed_record() {
    let record = full(&SessionId::random().unwrap());
    let s = Setting::with(&record);
    let touch = Touch {
        generation: record.generation,
        accessed_at: START.after(Duration::from_secs(30)),
    };
    assert_eq!(now(s.store.touch(&s.id, &touch)).unwrap(), Written::Done);
    let touched = Record {
        accessed_at: touch.accessed_at,
        ..record
    };
    assert_eq!(s.load().unwrap(), Some(touched));
}

#[test]
fn w2_a_plain_record_is_refused_unless_asked_for_and_sealed_when_written() {
    let s = Setting::new();
    let plain = full(&s.id);
    s.refuses(&plain, "plain");
    let migrating = s.under(&KeyRing::new(KEY).unwrap()).accept_plain();
    assert_eq!(now(migrating.load(&s.id)).unwrap().as_ref(), Some(&plain));
    let changed = next(&plain, 1);
    let answer = now(migrating.update(&s.id, &changed, plain.version));
    assert_eq!(answer.unwrap(), Written::Done);
    assert_eq!(s.load().unwrap(), Some(changed));
    // Asking for plain records opens no altered one.
    let forged = Record {
        secret: digest(&s.id),
        ..s.kept()
    };
    s.plant(&s.id, &forged);
    let error = now(migrating.load(&s.id)).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
}

#[test]
fn w2_keys_rotate_and_a_removed_key_opens_nothing() {
    let record = full(&SessionId::random().unwrap());
    let s = Setting::with(&record);
    let both = KeyRing::new(OTHER_KEY).unwrap().and_older(KEY).unwrap();
    let rotated = s.under(&both);
    assert_eq!(now(rotated.load(&s.id)).unwrap().as_ref(), Some(&record));
    let changed = next(&record, 1);
    let answer = now(rotated.update(&s.id, &changed, record.version));
    assert_eq!(answer.unwrap(), Written::Done);
    assert_eq!(now(rotated.load(&s.id)).unwrap().as_ref(), Some(&changed));
    let only_new = s.under(&KeyRing::new(OTHER_KEY).unwrap());
    assert_eq!(now(only_new.load(&s.id)).unwrap(), Some(changed));
    let error = s.load().unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt);
    assert!(error.to_string().contains("not in the ring"), "{error}");
}

#[test]
fn w2_every_write_has_its_own_nonce() {
    let s = Setting::new();
    let record = full(&s.id);
    let seal = || s.store.seal(&s.id, &record).unwrap().data;
    let texts: std::collections::HashSet<String> = (0..100)
        .map(|_| seal().as_str()[23..55].to_owned())
        .collect();
    assert_eq!(texts.len(), 100);
}

#[test]
fn f2_a_newer_sealed_format_is_kept_and_malformed_text_is_corrupt() {
    let s = Setting::new();
    let of = |text: &str| Record {
        data: sealed_as(text),
        ..record(&s.id, 1)
    };
    for malformed in [
        "",
        "v1.",
        "v1.abcdefgh",
        "v1.abcdefgh.",
        "v0.x",
        "v.x",
        "vx.1",
        "plain",
    ] {
        s.refuses(&of(malformed), malformed);
    }
    for newer in ["v2.abcdefgh.AAAA", "v17.x"] {
        s.plant(&s.id, &of(newer));
        let error = s.load().unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::NewerFormat, "{newer}");
    }
    assert_eq!(
        now(s.store.delete(&s.id, Only::Any)).unwrap(),
        Written::Done
    );
}

#[test]
fn w2_keys_and_data_show_in_no_debug_output_or_error() {
    let s = Setting::with(&full(&SessionId::random().unwrap()));
    assert!(format!("{:?}", s.store).contains("keys: 1, accept_plain: false"));
    let wrong = s.under(&KeyRing::new(OTHER_KEY).unwrap());
    let error = now(wrong.load(&s.id)).unwrap_err();
    assert!(!format!("{error:?}").contains("v1."), "{error:?}");
}

/// Pins the stored form: what is sealed today opens tomorrow.
#[test]
fn a_record_sealed_by_the_first_version_opens() {
    let s = Setting::new();
    let id = SessionId::from_bytes([7; 16]);
    let json = include_str!("../../tests/vectors/sealed/v1.json");
    let kept = Record::decode(json.as_bytes()).unwrap();
    s.plant(&id, &kept);
    let record = now(s.store.load(&id)).unwrap().unwrap();
    assert_eq!(record.data.as_str(), r#"{"count":3,"name":"Ada"}"#);
    assert_eq!(record.own.as_str(), r#"{"csrf":"seed"}"#);
    assert_eq!(record.address, Some(Ipv4Addr::new(192, 0, 2, 7).into()));
    assert_eq!(record.agent.as_deref(), Some("Agent/1.0"));
}

proptest! {
    #[test]
    fn w2_no_byte_of_the_sealed_text_can_be_changed(
        at in any::<prop::sample::Index>(),
        to in "[A-Za-z0-9._-]",
    ) {
        let id = SessionId::from_bytes([3; 16]);
        let s = Setting { id, ..Setting::new() };
        let kept = s.store.seal(&id, &full(&id)).unwrap();
        let text = sealed_text(&kept.data).unwrap();
        let at = at.index(text.len());
        let mut altered = text.to_owned();
        altered.replace_range(at..=at, &to);
        prop_assume!(altered != text);
        let record = Record { data: sealed_as(&altered), ..kept.clone() };
        let error = s.store.open(&id, record).unwrap_err();
        let newer = error.kind() == StoreErrorKind::NewerFormat;
        prop_assert!(error.kind() == StoreErrorKind::Corrupt || newer && at == 1);
    }

    #[test]
    fn w2_any_data_and_agent_come_back_byte_for_byte(
        entries in prop::collection::btree_map(any::<String>(), any::<String>(), 0..6),
        agent in prop::option::of(any::<String>()),
    ) {
        let id = SessionId::from_bytes([3; 16]);
        let record = Record {
            data: Data::parse(&serde_json::to_string(&entries).unwrap()).unwrap(),
            agent: agent.map(Into::into),
            ..record(&id, 1)
        };
        let s = Setting::new();
        let sealed = s.store.seal(&id, &record).unwrap();
        prop_assert_eq!(s.store.open(&id, sealed).unwrap(), record);
    }
}
