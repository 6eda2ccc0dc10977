//! What the log says.

use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

use crate::config::SessionConfig;
use crate::error::{Error, ErrorKind, StoreError, StoreErrorKind, cause};
use crate::http::{Finish, Main, Nested};
use crate::manager::{SessionManager, settle};
use crate::memory::MemoryStore;
use crate::session::Session;

/// Writes down every event: its level and its fields.
#[derive(Default)]
pub(crate) struct Log(pub(crate) Arc<Mutex<Vec<String>>>);

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Log {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target() == "session" && *metadata.level() <= Level::DEBUG
    }

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string().to_lowercase());
        event.record(&mut line);
        self.0.lock().unwrap().push(line.0);
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

fn sessions() -> SessionManager {
    let config = SessionConfig::builder().max_size(1_000).build();
    SessionManager::new(MemoryStore::new(), config.unwrap())
}

/// What is logged while `work` runs.
fn logged(work: impl Future<Output = ()>) -> Vec<String> {
    let log = Log::default();
    let lines = Arc::clone(&log.0);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .unwrap();
    tracing::subscriber::with_default(log, || runtime.block_on(work));
    let lines = lines.lock().unwrap();
    let warnings = lines.iter().filter(|line| line.contains("lost")).cloned();
    warnings.collect()
}

#[test]
fn t7_what_is_changed_outside_of_a_request_and_never_saved_is_logged() {
    type Change = fn(&Session);
    let changes: [(Change, bool); 4] = [
        (|_| {}, false),
        (|session| session.insert("a", 1).unwrap(), true),
        (|session| _ = session.remove("n"), true),
        (Session::destroy, true),
    ];
    for (change, is_one) in changes {
        for saves in [false, true] {
            let lines = logged(async {
                let sessions = sessions();
                let begun = sessions.begin(None, None).unwrap();
                begun.insert("n", 1).unwrap();
                let issued = begun.issue().await.unwrap();
                let id = issued.session.id().unwrap();
                drop(issued);
                let session = sessions.open(&id).await.unwrap().unwrap();
                change(&session);
                if saves {
                    session.save().await.unwrap();
                }
            });
            assert_eq!(lines.len(), usize::from(is_one && !saves), "{lines:?}");
        }
    }
}

#[test]
fn t7_limits_that_are_never_saved_are_logged_too_and_what_was_refused_is_not() {
    type Change = fn(&Session);
    const DAY: Duration = Duration::from_secs(86_400);
    let changes: [(Change, usize); 3] = [
        (|session| session.set_timeout(DAY).unwrap(), 1),
        // A new secret would need a cookie, so the save is refused.
        (|session| session.renew(), 0),
        (
            |session| session.insert("a", "b".repeat(10_000)).unwrap(),
            0,
        ),
    ];
    for (change, lines) in changes {
        let found = logged(async {
            let sessions = sessions();
            let begun = sessions.begin(None, None).unwrap();
            begun.insert("n", 1).unwrap();
            let id = begun.issue().await.unwrap().session.id().unwrap();
            let session = sessions.open(&id).await.unwrap().unwrap();
            change(&session);
            if lines == 0 {
                session.insert("n", 2).unwrap();
                session.save().await.unwrap_err();
            }
        });
        assert_eq!(found.len(), lines, "{found:?}");
    }
}

#[test]
fn t7_what_a_request_leaves_undone_is_not_logged_as_lost() {
    // Given up; answered with a status; completed.
    for (status, completes) in [
        (None, false),
        (Some(500), false),
        (Some(200), false),
        (Some(200), true),
    ] {
        let lines = logged(async {
            let sessions = sessions();
            let (nested, begun) = Nested::<Main>::enter(None, &sessions, "POST");
            let session = nested.exchange().session(&NoHead).await.unwrap();
            session.insert("a", "b".repeat(10_000)).unwrap();
            session.remember(Duration::from_secs(86_400)).unwrap();
            let begun = begun.unwrap();
            let Some(status) = status else {
                return drop(begun);
            };
            if let Finish::Pending(pending) = begun.finish(status)
                && completes
            {
                assert!(pending.complete().await.reply.is_some(), "it is too large");
            }
        });
        assert_eq!(lines, [""; 0]);
    }
}

#[cfg(feature = "conformance")]
#[test]
fn t7_an_end_that_fails_with_its_request_is_not_logged_as_lost() {
    use crate::conformance::{Fault, Operation, SpyStore};

    let lines = logged(async {
        let spy = SpyStore::new(MemoryStore::new());
        let config = SessionConfig::builder().build().unwrap();
        let sessions = SessionManager::new(spy.clone(), config);
        let begun = sessions.begin(None, None).unwrap();
        begun.insert("n", 1).unwrap();
        let field = begun.issue().await.unwrap();
        let head = Cookie(format!("__Host-sid={}", field.token));
        let (nested, begun) = Nested::<Main>::enter(None, &sessions, "POST");
        let session = nested.exchange().session(&head).await.unwrap();
        session.insert("n", 2).unwrap();
        session.logout();
        spy.always(
            Operation::Delete,
            Fault::Refuse(StoreErrorKind::Unavailable),
        );
        let Finish::Pending(pending) = begun.unwrap().finish(200) else {
            panic!("there is a session to end");
        };
        let answer = pending.complete().await;
        assert_eq!(answer.reply.unwrap().status, 503);
    });
    assert_eq!(lines, [""; 0]);
}

#[cfg(feature = "conformance")]
struct Cookie(String);

#[cfg(feature = "conformance")]
impl crate::http::RequestHead for Cookie {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if name == "cookie" {
            visit(self.0.as_bytes());
        }
    }

    fn peer(&self) -> Option<std::net::IpAddr> {
        None
    }
}

struct NoHead;

impl crate::http::RequestHead for NoHead {
    fn each_header<'a>(&'a self, _: &str, _: &mut dyn FnMut(&'a [u8])) {}

    fn peer(&self) -> Option<std::net::IpAddr> {
        None
    }
}

#[test]
fn a_stores_failure_is_logged_with_the_causes_that_its_message_does_not_tell() {
    let low = std::io::Error::other("the cable is cut");
    let middle = Error::new(ErrorKind::Invalid, "no route: the cable is cut").caused_by(low);
    let told = StoreError::new(
        StoreErrorKind::Unavailable,
        "asking failed: no route: the cable is cut",
    );
    assert_eq!(cause(&told.caused_by(middle.clone())), None);
    let untold = StoreError::new(StoreErrorKind::Unavailable, "asking failed").caused_by(middle);
    assert_eq!(cause(&untold).unwrap(), "no route: the cable is cut");
    let log = Log::default();
    let lines = Arc::clone(&log.0);
    tracing::subscriber::with_default(log, || {
        settle::<()>("asking", Ok(Err(untold))).unwrap_err();
    });
    let lines = lines.lock().unwrap();
    assert!(
        lines[0].contains("cause=\"no route: the cable is cut\""),
        "{lines:?}"
    );
}
