//! An application whose secrets are known, and what is heard of it.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use session_core::conformance::{Fault, Operation, SpyStore};
use session_core::http::{Check, CsrfGuard, Exchange, Finish, RequestHead, ResponseHead};
use session_core::wrap::Traced;
use session_core::{
    Clock, Error, EventKind, KeyRing, ManualClock, MemoryStore, Owner, Session, SessionConfig,
    SessionConfigBuilder, SessionManager, StoreErrorKind, Token,
};

use crate::heard::Heard;

pub(crate) const NAME: &str = "__Host-sid";
pub(crate) const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
/// A client's address.
pub(crate) const HOME: &str = "192.0.2.1";
/// The values of a session's data.
pub(crate) const VALUES: [&str; 3] = ["lorem ipsum", "dolor sit amet", "consectetur"];

struct Request {
    lines: Vec<(&'static str, String)>,
    peer: Option<IpAddr>,
}

impl Request {
    fn new(cookies: &[&str], peer: &str) -> Self {
        let line = |text: &&str| ("cookie", format!("{NAME}={text}"));
        Self {
            lines: cookies.iter().map(line).collect(),
            peer: Some(peer.parse().unwrap()),
        }
    }
}

impl RequestHead for Request {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        let lines = self.lines.iter().filter(|(of, _)| *of == name);
        lines.for_each(|(_, value)| visit(value.as_bytes()));
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

/// A kind as one text.
pub(crate) fn name(kind: EventKind) -> String {
    format!("{} {}", kind.name(), kind.why()).trim().to_owned()
}

/// An application, all that is heard of it, and what must not be.
pub(crate) struct App {
    pub(crate) manager: SessionManager,
    pub(crate) spy: SpyStore,
    pub(crate) hands: ManualClock,
    pub(crate) heard: Heard,
    pub(crate) kinds: Arc<Mutex<BTreeSet<String>>>,
    /// Text that must not be heard, and what it is.
    private: Mutex<Vec<(String, &'static str)>>,
}

impl App {
    pub(crate) fn new(
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
                seen.lock().unwrap().insert(name(event.kind));
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

    pub(crate) fn hide_text(&self, text: &str, what: &'static str) {
        let mut private = self.private.lock().unwrap();
        private.push((text.to_owned(), what));
    }

    /// Bytes, in the ways in which they could be written.
    pub(crate) fn hide(&self, bytes: &[u8], what: &'static str) {
        let list = format!("{bytes:?}");
        self.hide_text(list.trim_matches(['[', ']']), what);
        self.hide_text(&HEXLOWER.encode(bytes), what);
        self.hide_text(&BASE64URL_NOPAD.encode(bytes), what);
        if let Ok(text) = std::str::from_utf8(bytes) {
            self.hide_text(text, what);
        }
    }

    /// A token's parts, but for the id.
    pub(crate) fn hide_token(&self, text: &str) {
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
    pub(crate) async fn ask(
        &self,
        cookies: &[&str],
        peer: &str,
        work: impl AsyncFnOnce(&Session) -> Result<(), Error>,
    ) -> Option<String> {
        let head = Request::new(cookies, peer);
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

    pub(crate) async fn begin(&self, owner: Option<&str>) -> String {
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

    /// A request under this cookie that the guard refuses, with a header line and a form.
    pub(crate) async fn refused(&self, cookie: &str, line: (&'static str, &str), form: &str) {
        let mut head = Request::new(&[cookie], HOME);
        let form_type = (
            "content-type",
            "application/x-www-form-urlencoded".to_owned(),
        );
        head.lines.extend([(line.0, line.1.to_owned()), form_type]);
        let exchange = Exchange::begin(&self.manager, "POST");
        let check = CsrfGuard::default().check("POST", "/", &head, Some(&exchange));
        self.heard.add(format_args!("{check:?}"));
        let reply = match check {
            Check::Pass => panic!("it passes"),
            Check::Refuse(reply) => reply,
            Check::Token(check) => match check.open(Some(exchange), &head).await {
                Err(reply) => reply,
                Ok(check) => {
                    let mut check = check.expect("the token is in the form");
                    check.push(form.as_bytes()).unwrap();
                    self.heard.add(format_args!("{check:?}"));
                    check.finish().unwrap_err()
                }
            },
        };
        self.heard.add(format_args!("{reply:?}"));
    }

    /// What a request under this cookie is told.
    pub(crate) async fn look(&self, cookie: &str) {
        self.ask(&[cookie], HOME, async |_| Ok(())).await;
    }

    /// A CSRF token of the session under this cookie.
    pub(crate) async fn csrf_token(&self, cookie: &str) -> String {
        let mut token = String::new();
        self.ask(&[cookie], HOME, async |session| {
            token = session.csrf_token()?;
            Ok(())
        })
        .await;
        self.hide_text(&token, "a CSRF token");
        token
    }

    pub(crate) async fn fail(&self, operation: Operation, kind: StoreErrorKind, cookie: &str) {
        self.spy.always(operation, Fault::Refuse(kind));
        self.ask(&[cookie], HOME, async |session| {
            session.insert("name", VALUES[1])?;
            session.save().await
        })
        .await;
        self.spy.heal();
    }

    #[track_caller]
    pub(crate) fn assert_nothing_private_was_heard(&self) {
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
    pub(crate) fn assert_heard(&self, text: &str) {
        let heard = self.heard.0.lock().unwrap();
        assert!(heard.contains(text), "{text} was not heard");
    }
}
