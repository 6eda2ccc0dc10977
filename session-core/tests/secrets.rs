//! No secret, MAC, digest or value of a session shows in an event, a log line, a span, a metric, a
//! `Debug` output or an error's text (rule I1): everything is listened to while everything that is
//! told happens, and the very bytes are looked for in it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::error::Error as _;
use std::fmt::{self, Write as _};
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use session_core::conformance::{Fault, Operation, SpyStore};
use session_core::http::{Exchange, Finish, IpPrefix, RequestHead, ResponseHead};
use session_core::wrap::Traced;
use session_core::{
    Clock, Error, ErrorKind, KeyRing, ManualClock, MemoryStore, OnTooMany, Owner, Session,
    SessionConfig, SessionConfigBuilder, SessionManager, StoreErrorKind, Token,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id};
use tracing::{Metadata, Subscriber};

const NAME: &str = "__Host-sid";
const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
/// The values of a session's data.
const VALUES: [&str; 3] = ["lorem ipsum", "dolor sit amet", "consectetur"];

/// All that can be heard from outside, as text.
#[derive(Clone, Default)]
struct Heard(Arc<Mutex<String>>, Arc<AtomicU64>);

impl Heard {
    fn add(&self, what: fmt::Arguments<'_>) {
        let mut text = self.0.lock().unwrap();
        writeln!(text, "{what}").unwrap();
    }

    fn error(&self, error: &Error) {
        self.add(format_args!("error {error} {error:?} {error:#?}"));
        let mut source = error.source();
        while let Some(cause) = source {
            self.add(format_args!("cause {cause} {cause:?}"));
            source = cause.source();
        }
        self.add(format_args!("reply {:?}", error.reply()));
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        write!(self.0, " {}={value:?}", field.name()).unwrap();
    }
}

impl Subscriber for Heard {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(String::new());
        span.record(&mut line);
        self.add(format_args!("span {}{}", span.metadata().name(), line.0));
        Id::from_u64(self.1.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &tracing::span::Record<'_>) {
        let mut line = Line(String::new());
        values.record(&mut line);
        self.add(format_args!("noted{}", line.0));
    }

    fn event(&self, event: &tracing::Event<'_>) {
        let mut line = Line(String::new());
        event.record(&mut line);
        let level = event.metadata().level();
        self.add(format_args!("line {level}{}", line.0));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

impl metrics::Recorder for Heard {
    fn describe_counter(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn describe_gauge(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn describe_histogram(
        &self,
        _: metrics::KeyName,
        _: Option<metrics::Unit>,
        _: metrics::SharedString,
    ) {
    }

    fn register_counter(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Counter {
        self.add(format_args!("metric {key}"));
        metrics::Counter::noop()
    }

    fn register_gauge(&self, key: &metrics::Key, _: &metrics::Metadata<'_>) -> metrics::Gauge {
        self.add(format_args!("metric {key}"));
        metrics::Gauge::noop()
    }

    fn register_histogram(
        &self,
        key: &metrics::Key,
        _: &metrics::Metadata<'_>,
    ) -> metrics::Histogram {
        self.add(format_args!("metric {key}"));
        metrics::Histogram::noop()
    }
}

struct Request {
    cookies: Vec<String>,
    peer: Option<IpAddr>,
}

impl RequestHead for Request {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if name == "cookie" {
            self.cookies.iter().for_each(|line| visit(line.as_bytes()));
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        self.peer
    }
}

/// The value of the cookie that a response sets.
#[derive(Default)]
struct Response(Option<String>);

impl ResponseHead for Response {
    fn each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}

    fn append(&mut self, name: &str, value: Cow<'static, str>) {
        if name == "set-cookie" && !value.contains("Max-Age=0") {
            let pair = value.split(';').next().unwrap();
            let value = pair.strip_prefix(NAME).unwrap().strip_prefix('=').unwrap();
            self.0 = Some(value.to_owned());
        }
    }

    fn replace(&mut self, _: &str, _: Cow<'static, str>) {}
}

/// An application, all that is heard of it, and what must not be.
struct App {
    manager: SessionManager,
    spy: SpyStore,
    hands: ManualClock,
    heard: Heard,
    kinds: Arc<Mutex<BTreeSet<String>>>,
    /// Text that must not be heard, and what it is.
    private: Mutex<Vec<(String, &'static str)>>,
}

impl App {
    fn new(
        choose: impl FnOnce(SessionConfigBuilder) -> SessionConfigBuilder,
        make: impl FnOnce(Traced, SessionConfig) -> SessionManager,
    ) -> Self {
        let heard = Heard::default();
        let kinds = Arc::new(Mutex::new(BTreeSet::new()));
        let hands = ManualClock::at_unix_ms(1_764_000_000_000);
        let (listening, seen) = (heard.clone(), Arc::clone(&kinds));
        let config = SessionConfig::builder()
            .secret_key(KeyRing::new(KEY).unwrap())
            .clock(Clock::manual(&hands))
            .on_event(move |event| {
                listening.add(format_args!("hook {event:?} {event:#?}"));
                let kind = format!("{} {}", event.kind.name(), event.kind.why());
                seen.lock().unwrap().insert(kind.trim().to_owned());
            });
        let config = choose(config).build().unwrap();
        let spy = SpyStore::new(MemoryStore::new());
        let app = Self {
            manager: make(Traced::new(spy.clone()), config),
            spy,
            hands,
            heard,
            kinds,
            private: Mutex::default(),
        };
        app.hide(KEY, "the key");
        for value in VALUES {
            app.hide_text(value, "a value");
        }
        app
    }

    fn hide_text(&self, text: &str, what: &'static str) {
        let mut private = self.private.lock().unwrap();
        private.push((text.to_owned(), what));
    }

    /// Bytes, in the ways in which they could be written.
    fn hide(&self, bytes: &[u8], what: &'static str) {
        let list = format!("{bytes:?}");
        self.hide_text(list.trim_matches(['[', ']']), what);
        self.hide_text(&HEXLOWER.encode(bytes), what);
        self.hide_text(&BASE64URL_NOPAD.encode(bytes), what);
        if let Ok(text) = std::str::from_utf8(bytes) {
            self.hide_text(text, what);
        }
    }

    /// A token's parts, but for the id.
    fn hide_token(&self, text: &str) {
        for part in text.split('.').skip(1) {
            self.hide_text(part, "part of a token");
        }
        let secret = text.split('.').nth(1).unwrap();
        if let Ok(bytes) = BASE64URL_NOPAD.decode(secret.as_bytes()) {
            self.hide(&bytes, "a secret");
        }
        let plain = text.rsplit_once('.').unwrap().0;
        if let Ok((token, _)) = Token::parse(plain.as_bytes(), None) {
            let digest = token.digest().to_string();
            let bytes = BASE64URL_NOPAD.decode(&digest.as_bytes()[3..]).unwrap();
            self.hide(&bytes, "a digest");
        }
    }

    /// One request; answers with the cookie that is set.
    async fn ask(
        &self,
        cookies: &[&str],
        peer: &str,
        work: impl AsyncFnOnce(&Session) -> Result<(), Error>,
    ) -> Option<String> {
        let head = Request {
            cookies: cookies
                .iter()
                .map(|text| format!("{NAME}={text}"))
                .collect(),
            peer: Some(peer.parse().unwrap()),
        };
        let exchange = Exchange::begin(&self.manager, "POST");
        let lazy = exchange.lazy(&head);
        self.heard.add(format_args!("{lazy:?} {exchange:?}"));
        match exchange.session(&head).await {
            Ok(session) => {
                if let Err(error) = work(&session).await {
                    self.heard.error(&error);
                }
                self.heard.add(format_args!("{session:?} {session:#?}"));
            }
            Err(error) => self.heard.error(&error),
        }
        self.heard.add(format_args!("{exchange:?}"));
        let finish = exchange.finish(200);
        self.heard.add(format_args!("{finish:?}"));
        let finished = match finish {
            Finish::Done(finished) => finished,
            Finish::Pending(pending) => pending.complete().await,
        };
        self.heard.add(format_args!("{finished:?} {finished:#?}"));
        let mut response = Response::default();
        finished.apply(&mut response);
        if let Some(token) = &response.0 {
            self.hide_token(token);
        }
        response.0
    }

    async fn begin(&self, owner: Option<&str>) -> String {
        let owner = owner.map(|name| Owner::new(name).unwrap());
        let begun = self.ask(&[], HOME, async |session| {
            session.insert("name", VALUES[0])?;
            session.insert("list", [VALUES[1]])?;
            session.flash("note", VALUES[2])?;
            self.hide_text(&session.csrf_token()?, "a CSRF token");
            if let Some(owner) = owner {
                session.login(owner);
            }
            Ok(())
        });
        begun.await.expect("a session begins")
    }

    /// What a request under this cookie is told.
    async fn look(&self, cookie: &str) {
        self.ask(&[cookie], HOME, async |_| Ok(())).await;
    }

    async fn fail(&self, operation: Operation, kind: StoreErrorKind, cookie: &str) {
        self.spy.always(operation, Fault::Refuse(kind));
        self.ask(&[cookie], HOME, async |session| {
            session.insert("name", VALUES[1])?;
            session.save().await
        })
        .await;
        self.spy.heal();
    }

    #[track_caller]
    fn assert_nothing_private_was_heard(&self) {
        self.heard.add(format_args!(
            "{:?} {:#?}",
            self.manager,
            self.manager.config()
        ));
        let heard = self.heard.0.lock().unwrap();
        for (text, what) in &*self.private.lock().unwrap() {
            let found = heard.lines().find(|line| line.contains(&**text));
            assert_eq!(found, None, "{what}: {text}");
        }
    }

    #[track_caller]
    fn assert_heard(&self, text: &str) {
        let heard = self.heard.0.lock().unwrap();
        assert!(heard.contains(text), "{text} was not heard");
    }
}

const HOME: &str = "192.0.2.1";

/// Every event there is, as the hook is told it.
const KINDS: [&str; 22] = [
    "created",
    "destroyed",
    "expired",
    "logged_in",
    "logged_out",
    "rejected corrupt",
    "rejected creation_cap",
    "rejected foreign",
    "rejected gone",
    "rejected owner_limit",
    "rejected second_live",
    "rejected superseded",
    "rejected unknown",
    "rejected wrong_address",
    "rejected wrong_secret",
    "renewed asked",
    "renewed timed",
    "revoked all",
    "revoked id",
    "revoked limit",
    "revoked owned",
    "revoked owner",
];

#[tokio::test]
async fn i1_nothing_private_shows_in_whatever_can_be_heard() {
    let hour = Duration::from_secs(3_600);
    let mut strict = None;
    let mut app = App::new(
        |config| {
            strict = Some(config.clone().owner_sessions_max(1, OnTooMany::Refuse));
            config
                .ignore_change_ip(false)
                .ip_prefix(IpPrefix::new(32, 64).unwrap())
                .renew_every(hour)
                .max_size(1_000)
                .creation_cap(20, hour)
                .owner_sessions_max(1, OnTooMany::EndOldest)
        },
        SessionManager::new,
    );
    let _listening = tracing::subscriber::set_default(app.heard.clone());
    let _measuring = metrics::set_default_local_recorder(&app.heard);
    let (ada, manager) = (Owner::new("ada").unwrap(), app.manager.clone());
    let id = |cookie: &str| cookie.split('.').next().unwrap().parse().unwrap();

    // A life: begun, signed in, renewed, used, ended.
    let first = app.begin(None).await;
    let record = app.spy.inner().load(&id(&first)).await.unwrap().unwrap();
    app.hide_text(record.own.as_str(), "the CSRF seed and flashes");
    app.heard.add(format_args!("{:?}", record.secret));
    let second = app
        .ask(&[&first], HOME, async |session| {
            session.login(Owner::new("ada")?);
            Ok(())
        })
        .await
        .unwrap();
    app.look(&first).await;
    app.ask(&[&first], HOME, async |session| {
        session.insert("late", VALUES[0])?;
        session.save().await
    })
    .await;
    let third = app
        .ask(&[&second], HOME, async |session| {
            session.renew();
            Ok(())
        })
        .await
        .unwrap();
    app.hands.advance(hour);
    app.look(&second).await;
    let fourth = app.ask(&[&third], HOME, async |_| Ok(())).await.unwrap();

    // What opens nothing.
    app.ask(&[&fourth], "203.0.113.9", async |_| Ok(())).await;
    let planted = app.begin(None).await;
    app.ask(&[&planted, &fourth], HOME, async |_| Ok(())).await;
    let foreign = Token::random().unwrap().expose(None);
    let foreign = format!("{foreign}.b0123456789abcdefABCDEg");
    app.hide_text(foreign.split('.').next().unwrap(), "a foreign id");
    app.hide_token(&foreign);
    app.look(&foreign).await;
    app.look("correct horse battery staple").await;
    app.hide_text("battery", "what a client sent");

    // What fails.
    app.ask(&[&fourth], HOME, async |session| {
        for error in [
            session.get::<u64>("name").unwrap_err(),
            session.get::<Vec<u64>>("list").unwrap_err(),
            session.get::<bool>("list").unwrap_err(),
            session.append("name", VALUES[1]).unwrap_err(),
            session
                .update("name", |n: Option<u64>| n.unwrap_or(0))
                .unwrap_err(),
            session.verify_csrf("lorem").unwrap_err(),
        ] {
            app.heard.error(&error);
        }
        session.take_flashes().await?;
        session.insert("large", VALUES[0].repeat(200))?;
        session.save().await
    })
    .await;
    for kind in [
        StoreErrorKind::Corrupt,
        StoreErrorKind::NewerFormat,
        StoreErrorKind::Unavailable,
    ] {
        app.fail(Operation::Load, kind, &fourth).await;
        app.fail(Operation::Update, kind, &fourth).await;
    }

    // Ends of all sorts.
    app.ask(&[&fourth], HOME, async |session| {
        manager.revoke_of(&ada, &id(&fourth)).await?;
        session.insert("late", VALUES[0])?;
        let pending = session.prepare_save().await?.unwrap();
        app.heard.add(format_args!("{pending:?}"));
        pending.abort();
        session.save().await
    })
    .await;
    app.look(&fourth).await;
    let one = app.begin(Some("ada")).await;
    manager.revoke(&id(&one)).await.unwrap();
    app.begin(Some("ada")).await;
    assert_eq!(manager.revoke_owner(&ada, None).await.unwrap(), 1);
    for logout in [true, false] {
        let cookie = app.begin(Some("ada")).await;
        let ended = app
            .ask(&[&cookie], HOME, async |session| {
                match logout {
                    true => session.logout(),
                    false => session.destroy(),
                }
                Ok(())
            })
            .await;
        assert_eq!(ended, None);
    }
    app.begin(Some("ada")).await;
    app.begin(Some("ada")).await;
    assert_eq!(manager.revoke_all().await.unwrap(), 3, "two are visitors");
    app.begin(Some("ada")).await;
    app.manager = SessionManager::new(app.spy.clone(), strict.unwrap().build().unwrap());
    let refused = app.ask(&[], HOME, async |session| {
        session.insert("name", VALUES[0])?;
        session.login(ada.clone());
        Ok(())
    });
    assert_eq!(refused.await, None);
    app.manager = manager.clone();
    let expired = app.begin(None).await;
    app.hands.advance(24 * hour);
    app.look(&expired).await;
    for _ in 0..25 {
        app.ask(&[], HOME, async |session| {
            session.insert("name", VALUES[0])?;
            session.save().await
        })
        .await;
    }
    assert!(manager.sweep().await.is_ok());

    let kinds: Vec<_> = app.kinds.lock().unwrap().iter().cloned().collect();
    assert_eq!(kinds, KINDS, "each has happened");
    for heard in [
        "span session.load",
        "noted outcome=\"live\"",
        "noted outcome=\"superseded\"",
        "span session.save",
        "noted outcome=\"done\"",
        "noted outcome=\"failed\"",
        "noted error=Gone",
        "line INFO message=logged in event=\"logged_in\" session=",
        "line ERROR message=the record is kept for inspection",
        "metric Key(session_events_total, [event = rejected, why = gone])",
        "metric Key(session_swept_total)",
    ] {
        app.assert_heard(heard);
    }
    app.assert_nothing_private_was_heard();
}

#[tokio::test]
async fn i1_nothing_private_of_a_sealed_session_shows_either() {
    let app = App::new(
        |config| config.creation_cap(1, Duration::from_secs(60)),
        |_, config| SessionManager::sealed(config).unwrap(),
    );
    let _listening = tracing::subscriber::set_default(app.heard.clone());
    let _measuring = metrics::set_default_local_recorder(&app.heard);
    let cookie = app.begin(Some("ada")).await;
    app.ask(&[], HOME, async |session| session.insert("a", VALUES[0]))
        .await;
    let renewed = app
        .ask(&[&cookie], HOME, async |session| {
            session.renew();
            app.heard.error(&session.get::<u64>("name").unwrap_err());
            Ok(())
        })
        .await
        .unwrap();
    app.look(&renewed[..renewed.len() - 2]).await;
    let ended = app
        .ask(&[&renewed], HOME, async |session| {
            session.logout();
            Ok(())
        })
        .await;
    assert_eq!(ended, None);
    app.hands.advance(Duration::from_secs(24 * 3_600));
    app.look(&renewed).await;
    let kinds: Vec<_> = app.kinds.lock().unwrap().iter().cloned().collect();
    let expected = [
        "created",
        "expired",
        "logged_in",
        "logged_out",
        "rejected creation_cap",
        "rejected foreign",
        "renewed asked",
    ];
    assert_eq!(kinds, expected);
    app.assert_nothing_private_was_heard();
}

#[tokio::test]
async fn i1_what_cannot_be_decoded_is_not_quoted() {
    let heard = Heard::default();
    for json in [
        r#""lorem ipsum""#,
        r#"["lorem ipsum"]"#,
        r#"{"a":"lorem ipsum""#,
        r#"{"a":lorem ipsum}"#,
    ] {
        let error = session_core::Data::parse(json).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Corrupt);
        heard.error(&error);
    }
    let record = session_core::Record::new(
        Token::random().unwrap().digest(),
        session_core::Timestamp::from_unix_ms(0),
        session_core::Expiry::NEVER,
    );
    let text = record.unwrap().encode();
    for (what, broken) in [
        (
            "version",
            text.replacen("\"version\":", "\"version\":\"lorem\",\"x\":", 1),
        ),
        ("all", "\"lorem ipsum\"".to_owned()),
        (
            "nothing",
            text.replacen('{', "{\"generation\":\"lorem\",", 1),
        ),
    ] {
        if let Err(error) = session_core::Record::decode(broken.as_bytes()) {
            heard.add(format_args!(
                "{what} {error} {error:?} {:?}",
                error.source()
            ));
        }
    }
    let heard = heard.0.lock().unwrap();
    assert!(!heard.contains("lorem"), "{heard}");
}
