use std::borrow::Cow;
use std::net::IpAddr;

use super::inside::FORMAT;
use super::*;
use crate::http::{Exchange, Finish, RequestHead, ResponseHead};
use crate::{Clock, Cursor, KeyRing, ManualClock, Session};

const KEY: &[u8] = b"0123456789abcdef0123456789abcdef";
const NEWER: &[u8] = b"fedcba9876543210fedcba9876543210";
const NAME: &str = "__Host-sid";

struct Request(Vec<String>, Option<IpAddr>);

impl RequestHead for Request {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if name == "cookie" {
            self.0.iter().for_each(|line| visit(line.as_bytes()));
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        self.1
    }
}

#[derive(Default)]
struct Response(Vec<(String, String)>);

impl ResponseHead for Response {
    fn each_header(&self, name: &str, visit: &mut dyn FnMut(&[u8])) {
        let named = self.0.iter().filter(|(known, _)| known == name);
        named.for_each(|(_, value)| visit(value.as_bytes()));
    }

    fn append(&mut self, name: &str, value: Cow<'static, str>) {
        self.0.push((name.to_owned(), value.into_owned()));
    }

    fn replace(&mut self, name: &str, value: Cow<'static, str>) {
        self.0.retain(|(known, _)| known != name);
        self.append(name, value);
    }
}

/// What a response tells the client: the status in place of the handler's, and the cookie.
#[derive(Debug, PartialEq)]
struct Told {
    status: Option<u16>,
    cookie: Option<String>,
}

impl Told {
    fn set(self) -> String {
        assert_eq!(self.status, None);
        self.cookie.expect("a cookie is set")
    }
}

const SILENCE: Told = Told {
    status: None,
    cookie: None,
};

struct App {
    sessions: SessionManager,
    hands: ManualClock,
}

impl App {
    fn new() -> Self {
        Self::with(|config| config)
    }

    fn with(
        change: impl FnOnce(crate::SessionConfigBuilder) -> crate::SessionConfigBuilder,
    ) -> Self {
        let hands = ManualClock::at_unix_ms(1_764_000_000_000);
        let config = SessionConfig::builder()
            .secret_key(KeyRing::new(KEY).unwrap())
            .timeout(Duration::from_secs(600))
            .clock(Clock::manual(&hands));
        let config = change(config).build().unwrap();
        let sessions = SessionManager::sealed(config).unwrap();
        Self { sessions, hands }
    }

    async fn open(&self, cookies: &[&str]) -> (Exchange, Session) {
        let lines = cookies.iter().map(|cookie| format!("{NAME}={cookie}"));
        let request = Request(lines.collect(), Some([192, 0, 2, 1].into()));
        let exchange = Exchange::begin(&self.sessions, "POST");
        let session = exchange.session(&request).await.unwrap();
        (exchange, session)
    }

    async fn ask(&self, cookie: &str, work: impl AsyncFnOnce(&Session)) -> Told {
        let (exchange, session) = self.open(&[cookie]).await;
        work(&session).await;
        finish(exchange, 200).await
    }

    async fn begin(&self, work: impl AsyncFnOnce(&Session)) -> String {
        self.ask("", work).await.set()
    }

    async fn count(&self, cookie: &str) -> Option<u64> {
        let (_, session) = self.open(&[cookie]).await;
        session.get("n").unwrap()
    }
}

async fn finish(exchange: Exchange, status: u16) -> Told {
    let finished = match exchange.finish(status) {
        Finish::Done(finished) => finished,
        Finish::Pending(pending) => pending.complete().await,
    };
    let status = finished.reply.as_ref().map(|reply| reply.status);
    let mut response = Response::default();
    finished.apply(&mut response);
    let cookie = response.0.iter().find(|(name, _)| name == "set-cookie");
    let cookie = cookie.map(|(_, line)| {
        let value = line.strip_prefix(NAME).unwrap().strip_prefix('=').unwrap();
        value.split_once(';').unwrap().0.to_owned()
    });
    Told { status, cookie }
}

async fn put(session: &Session, n: u64) {
    session.insert("n", n).unwrap();
}

#[tokio::test]
async fn what_is_stored_comes_back_with_the_cookie_and_not_in_plain_text() {
    let app = App::new();
    assert_eq!(app.ask("", async |_| {}).await, SILENCE);
    let first = app
        .begin(async |session| session.insert("secret", "lorem ipsum").unwrap())
        .await;
    let inside = first.rsplit_once('.').unwrap().1;
    let bytes = data_encoding::BASE64URL_NOPAD
        .decode(inside.as_bytes())
        .unwrap();
    assert!(!bytes.windows(5).any(|part| part == b"lorem"));
    let second = app
        .ask(&first, async |session| {
            assert_eq!(
                session.get("secret").unwrap(),
                Some("lorem ipsum".to_owned())
            );
            put(session, 2).await;
        })
        .await
        .set();
    assert_eq!(app.count(&second).await, Some(2));
    assert_eq!(
        app.count(&first).await,
        None,
        "the older one says what it said"
    );
    // Reading sends nothing.
    assert_eq!(app.ask(&second, async |_| {}).await, SILENCE);
}

#[tokio::test]
async fn every_field_survives_the_journey() {
    let app = App::new();
    let cookie = app
        .begin(async |session| {
            put(session, 1).await;
            session.flash("info", "hello").unwrap();
            session.login(Owner::new("ada \"the\" first").unwrap());
        })
        .await;
    let cookie = app
        .ask(&cookie, async |session| {
            session.remember(Duration::from_secs(86_400)).unwrap();
        })
        .await
        .set();
    let sealed = app.sessions.sealed_by().unwrap();
    let (token, record, signed) = sealed.open(cookie.as_bytes()).unwrap().unwrap();
    assert_eq!(signed, Signed::Current);
    assert_eq!(record.secret, token.digest());
    assert_eq!(record.owner, Some(Owner::new("ada \"the\" first").unwrap()));
    assert_eq!(record.address, Some([192, 0, 2, 1].into()));
    assert_eq!(record.own_timeout, Some(Duration::from_secs(86_400)));
    assert!(record.persistent);
    assert_eq!(record.data.as_str(), "{\"n\":1}");
    let again = sealed.seal(&token, &record).unwrap();
    let (_, back, _) = sealed.open(again.as_bytes()).unwrap().unwrap();
    let version = record.version;
    assert_eq!(Record { version, ..back }, record);
    app.ask(&cookie, async |session| {
        let flashes = session.take_flashes().await.unwrap();
        assert_eq!(flashes.len(), 1);
    })
    .await
    .set();
}

#[tokio::test]
async fn nothing_but_what_was_sealed_here_for_this_cookie_is_let_in() {
    let app = App::new();
    let cookie = app.begin(async |session| put(session, 1).await).await;
    for at in 0..cookie.len() {
        let mut altered = cookie.clone().into_bytes();
        altered[at] = if altered[at] == b'A' { b'B' } else { b'A' };
        let altered = String::from_utf8(altered).unwrap();
        assert_eq!(app.count(&altered).await, None, "altered at {at}");
    }
    for end in 0..cookie.len() {
        assert_eq!(app.count(&cookie[..end]).await, None, "cut at {end}");
    }
    let token = Token::random().unwrap();
    assert_eq!(app.count(&token.expose(None)).await, None);
    let other_name = App::with(|config| config.cookie_name("__Host-other"));
    let sealed = other_name.sessions.sealed_by().unwrap();
    assert!(sealed.open(cookie.as_bytes()).unwrap().is_none());
    let other_key = App::with(|config| config.secret_key(KeyRing::new(NEWER).unwrap()));
    assert_eq!(other_key.count(&cookie).await, None);
    // The first that is good counts.
    let (_, session) = app.open(&["v1.x.y", &cookie]).await;
    assert_eq!(session.get("n").unwrap(), Some(1));
}

#[tokio::test]
async fn a_cookie_under_an_older_key_is_sealed_again_under_the_first() {
    let cookie = App::new()
        .begin(async |session| put(session, 7).await)
        .await;
    let ring = KeyRing::new(NEWER).unwrap().and_older(KEY).unwrap();
    let app = App::with(|config| config.secret_key(ring));
    let renewed = app.ask(&cookie, async |_| {}).await.set();
    assert_ne!(renewed, cookie);
    let only_newer = App::with(|config| config.secret_key(KeyRing::new(NEWER).unwrap()));
    assert_eq!(only_newer.count(&renewed).await, Some(7));
    assert_eq!(only_newer.count(&cookie).await, None);
    assert_eq!(app.ask(&renewed, async |_| {}).await, SILENCE);
}

#[tokio::test]
async fn a_copy_is_refused_after_its_end_and_use_puts_the_end_off() {
    let app = App::new();
    let first = app.begin(async |session| put(session, 1).await).await;
    app.hands.advance(Duration::from_secs(599));
    let second = app.ask(&first, async |_| {}).await.set();
    app.hands.advance(Duration::from_secs(1));
    assert_eq!(app.count(&first).await, None);
    assert_eq!(app.count(&second).await, Some(1));
    app.hands.advance(Duration::from_secs(598));
    assert_eq!(app.count(&second).await, Some(1));
    app.hands.advance(Duration::from_secs(1));
    assert_eq!(app.count(&second).await, None);
}

#[tokio::test]
async fn a_session_too_large_for_a_cookie_is_refused_with_its_size() {
    let app = App::new();
    let cookie = app.begin(async |session| put(session, 1).await).await;
    let told = app
        .ask(&cookie, async |session| {
            session.insert("text", "x".repeat(4096)).unwrap();
            let error = session.save().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TooLarge);
            let message = error.to_string();
            assert!(message.contains("browsers keep 4096"), "{message}");
        })
        .await;
    assert_eq!((told.status, told.cookie), (Some(413), None));

    // To the byte: the longest that passes is the longest that is sent.
    let mut sizes = Vec::new();
    for length in 2_000..3_200 {
        let told = app
            .ask("", async |session| {
                session.insert("text", "x".repeat(length)).unwrap();
            })
            .await;
        match told.status {
            None => sizes.push(NAME.len() + told.cookie.unwrap().len()),
            Some(413) => break,
            other => panic!("{other:?}"),
        }
    }
    assert!((4095..=4096).contains(sizes.last().unwrap()), "{sizes:?}");
}

#[tokio::test]
async fn what_is_committed_is_sent_whatever_the_status_and_the_rest_is_not() {
    let app = App::new();
    let cookie = app.begin(async |session| put(session, 1).await).await;
    let (exchange, session) = app.open(&[&cookie]).await;
    put(&session, 2).await;
    assert_eq!(finish(exchange, 500).await, SILENCE);
    let (exchange, session) = app.open(&[&cookie]).await;
    let n = session
        .transact(|s| {
            let n = s.get::<u64>("n")?.unwrap_or(0) + 1;
            s.insert("n", n)?;
            Ok(n)
        })
        .await
        .unwrap();
    assert_eq!(n, 2);
    session.insert("more", true).unwrap();
    let sent = finish(exchange, 500).await.cookie.unwrap();
    assert_eq!(app.count(&sent).await, Some(2));
    let (_, later) = app.open(&[&sent]).await;
    assert!(!later.contains_key("more"));
}

#[tokio::test]
async fn after_the_head_nothing_can_be_saved() {
    let app = App::new();
    let cookie = app.begin(async |session| put(session, 1).await).await;
    let (exchange, session) = app.open(&[&cookie]).await;
    assert_eq!(finish(exchange, 200).await, SILENCE);
    put(&session, 2).await;
    assert_eq!(
        session.save().await.unwrap_err().kind(),
        ErrorKind::HeadSent
    );
}

#[tokio::test]
async fn logout_removes_the_cookie_and_login_makes_another_id_impossible_to_fix() {
    let app = App::new();
    let planted = app.begin(async |session| put(session, 1).await).await;
    let signed_in = app
        .ask(&planted, async |session| {
            session.login(Owner::new("ada").unwrap());
        })
        .await
        .set();
    let owner = async |cookie: &str| app.open(&[cookie]).await.1.owner();
    assert_eq!(owner(&signed_in).await, Some(Owner::new("ada").unwrap()));
    assert_eq!(owner(&planted).await, None);
    let told = app.ask(&signed_in, async |session| session.logout()).await;
    assert_eq!(told.cookie.as_deref(), Some(""));
}

#[tokio::test]
async fn what_only_a_store_can_do_is_refused_by_name() {
    let app = App::new();
    let ada = Owner::new("ada").unwrap();
    let id = SessionId::random().unwrap();
    let sessions = &app.sessions;
    let kinds = [
        sessions.sessions_of(&ada).await.unwrap_err().kind(),
        sessions.revoke(&id).await.unwrap_err().kind(),
        sessions.revoke_of(&ada, &id).await.unwrap_err().kind(),
        sessions.revoke_owner(&ada, None).await.unwrap_err().kind(),
        sessions.scan(Cursor::start(), 1).await.unwrap_err().kind(),
    ];
    assert_eq!(kinds, [ErrorKind::Unsupported; 5]);
    assert_eq!(sessions.sweep().await.unwrap(), 0);
    sessions.ping().await.unwrap();
    let (_, session) = app.open(&[]).await;
    put(&session, 1).await;
    session.set_timeout(Duration::MAX).unwrap();
    let error = session.prepare_save().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let keyless = SessionConfig::builder().build().unwrap();
    let error = SessionManager::sealed(keyless).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Invalid);
}

#[tokio::test]
async fn a_session_bound_to_an_address_opens_from_no_other() {
    let app = App::with(|config| config.ignore_change_ip(false));
    let cookie = app.begin(async |session| put(session, 1).await).await;
    assert_eq!(app.count(&cookie).await, Some(1));
    let elsewhere = Request(
        vec![format!("{NAME}={cookie}")],
        Some([192, 0, 2, 2].into()),
    );
    let exchange = Exchange::begin(&app.sessions, "GET");
    let session = exchange.session(&elsewhere).await.unwrap();
    assert_eq!(session.get::<u64>("n").unwrap(), None);
}

#[tokio::test]
async fn a_save_that_the_head_overtakes_is_no_success() {
    let app = App::new();
    let cookie = app.begin(async |session| put(session, 1).await).await;
    let (exchange, session) = app.open(&[&cookie]).await;
    let mut exchange = Some(exchange);
    let saved = session.transact(|s| {
        // The response leaves while this is under way.
        if let Some(exchange) = exchange.take() {
            assert!(matches!(exchange.finish(200), Finish::Done(_)));
        }
        s.insert("n", 2)
    });
    assert_eq!(saved.await.unwrap_err().kind(), ErrorKind::HeadSent);
}

#[tokio::test]
async fn i3_what_was_sealed_for_another_purpose_opens_nothing() {
    let app = App::new();
    let cookie = app.begin(async |session| put(session, 1).await).await;
    let sealed = app.sessions.sealed_by().unwrap();
    let (token, record, _) = sealed.open(cookie.as_bytes()).unwrap().unwrap();
    let ring = KeyRing::new(KEY).unwrap();
    let for_this = |context, bound: &[u8]| {
        let keys = SealingKeys::new(&ring, context, KEY_NAME_CONTEXT, NAME);
        let text = keys.seal(bound, inside(&token, &record)).unwrap();
        sealed.open(text.as_bytes()).unwrap().is_some()
    };
    assert!(for_this(CONTEXT, BOUND));
    assert!(!for_this("another purpose of the same ring", BOUND));
    assert!(!for_this(CONTEXT, b"another place of the same purpose"));
}

proptest::proptest! {
    #[test]
    fn hostile_bytes_are_refused_without_a_panic(
        noise in proptest::collection::vec(proptest::num::u8::ANY, 0..200),
        json in "[\\{\\}\\[\\]\",:a-z0-9.e-]{0,80}",
    ) {
        let sealed = App::new().sessions;
        let sealed = sealed.sealed_by().unwrap();
        proptest::prop_assert!(sealed.open(&noise).unwrap().is_none());
        // Also of what the key did seal.
        let mut inside = vec![FORMAT];
        inside.extend_from_slice(&[7; 48]);
        inside.extend_from_slice(json.as_bytes());
        for inside in [inside, noise] {
            if let Ok(text) = sealed.keys.seal(BOUND, inside) {
                let _refused = sealed.open(text.as_bytes());
            }
        }
    }
}

#[tokio::test]
async fn f2_a_session_of_a_newer_format_is_an_error_and_stays() {
    let app = App::new();
    let cookie = app.begin(async |session| put(session, 1).await).await;
    let newer = {
        let sealed = app.sessions.sealed_by().unwrap();
        let (token, record, _) = sealed.open(cookie.as_bytes()).unwrap().unwrap();
        let mut newer = inside(&token, &record);
        newer[0] = FORMAT + 1;
        sealed.keys.seal(BOUND, newer).unwrap()
    };
    let request = Request(vec![format!("{NAME}={newer}")], None);
    let exchange = Exchange::begin(&app.sessions, "POST");
    assert!(exchange.lazy(&request).has_token());
    let error = exchange.session(&request).await.unwrap_err();
    assert_eq!(error.kind(), crate::ErrorKind::NewerFormat);
    let told = finish(exchange, 200).await;
    assert_eq!((told.status, told.cookie), (Some(503), None));
    // One that can be read counts, wherever it stands.
    let (_, session) = app.open(&[&newer, &cookie]).await;
    assert_eq!(session.get::<u64>("n").unwrap(), Some(1));
    // What is not sealed by this system says nothing of its format.
    assert_eq!(app.count(&format!("v2{}", &newer[2..])).await, None);
}

/// Only the browser could end it, and it cannot be told any more.
#[tokio::test]
async fn t7_an_end_after_the_head_is_an_error() {
    let app = App::new();
    let cookie = app
        .begin(async |session| {
            put(session, 1).await;
            session.login(Owner::new("ada").unwrap());
        })
        .await;
    for logout in [true, false] {
        let (exchange, session) = app.open(&[&cookie]).await;
        finish(exchange, 200).await;
        match logout {
            true => session.logout(),
            false => session.destroy(),
        }
        let every = Duration::from_secs(60);
        for error in [
            session.save().await.unwrap_err(),
            session.ended(every).await.unwrap_err(),
        ] {
            assert_eq!(error.kind(), crate::ErrorKind::HeadSent);
        }
    }
    assert_eq!(app.count(&cookie).await, Some(1));
}
