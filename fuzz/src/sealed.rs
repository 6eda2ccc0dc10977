//! Sealed sessions: whatever is sealed under the right key, a whole request on it never panics, and
//! what comes back with the response is let in again.
//!
//! The input is what is inside of the seal, so that the cipher hides no byte of it from the fuzzer;
//! the same bytes are also presented as the cookie itself.
#![no_main]

use std::borrow::Cow;
use std::future::Future;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Once;
use std::task::{Context, Poll, Waker};

use chacha20poly1305::aead::{AeadInOut, KeyInit};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use data_encoding::BASE64URL_NOPAD as BASE64URL;
use libfuzzer_sys::fuzz_target;
use session_core::http::{Exchange, Finish, RequestHead, ResponseHead};
use session_core::{
    Clock, KeyRing, ManualClock, MemoryStore, Owner, SessionConfig, SessionManager,
};

const SECRET: &[u8] = b"0123456789abcdef0123456789abcdef";
const NAME: &str = "__Host-sid";

static SEALS: Once = Once::new();

fuzz_target!(|inside: &[u8]| {
    let hands = ManualClock::at_unix_ms(1_764_000_000_000);
    let config = || {
        SessionConfig::builder()
            .secret_key(KeyRing::new(SECRET).expect("a key"))
            .clock(Clock::manual(&hands))
            .build()
            .expect("a configuration")
    };
    let alone = SessionManager::sealed(config()).expect("a manager");
    let with = SessionManager::sealed_with_revocations(config(), MemoryStore::new());
    SEALS.call_once(|| {
        let cookie = sealed(include_bytes!("../corpus/sealed/visitor"));
        let session = Exchange::begin(&alone, "GET");
        let session = now(session.session(&Request::with(cookie.as_bytes())));
        let n = session.expect("a session").get("n").expect("a number");
        assert_eq!(n, Some(1), "what is sealed here is what the library opens");
    });
    for manager in [alone, with.expect("a manager")] {
        request(&manager, inside);
        let Some(cookie) = request(&manager, sealed(inside).as_bytes()) else {
            continue;
        };
        assert!(cookie.len() + NAME.len() <= 4096);
        let exchange = Exchange::begin(&manager, "GET");
        let again = now(exchange.session(&Request::with(cookie.as_bytes())));
        assert_eq!(
            again.expect("a session").owner(),
            Some(Owner::new("ada").expect("an owner"))
        );
    }
});

/// A request that uses the session; what the client is to keep, if all went well.
fn request(manager: &SessionManager, cookie: &[u8]) -> Option<String> {
    let exchange = Exchange::begin(manager, "POST");
    let session = now(exchange.session(&Request::with(cookie))).ok()?;
    for key in session.keys() {
        let _any = session.get::<f64>(key.as_str());
    }
    let _shown = now(session.take_flashes());
    let _checked = session.verify_csrf("no token");
    session.login(Owner::new("ada").expect("an owner"));
    let finished = match exchange.finish(200) {
        Finish::Done(finished) => finished,
        Finish::Pending(pending) => now(pending.complete()),
    };
    let failed = finished.reply.is_some();
    let mut response = Response(None);
    finished.apply(&mut response);
    response.0.filter(|_| !failed)
}

/// The cookie that holds these bytes under the right key.
fn sealed(inside: &[u8]) -> String {
    let mut material = (SECRET.len() as u64).to_le_bytes().to_vec();
    material.extend_from_slice(SECRET);
    material.extend_from_slice(NAME.as_bytes());
    let key = blake3::derive_key("session-kit 2026-11-21 session sealing v1", &material);
    let name = blake3::derive_key("session-kit 2026-11-21 session sealing key id v1", &key);
    let mut bytes = inside.to_vec();
    let nonce = [0; 24];
    XChaCha20Poly1305::new((&key).into())
        .encrypt_in_place(
            &XNonce::from(nonce),
            b"session-kit sealed session v1",
            &mut bytes,
        )
        .expect("it is short enough");
    let text = [&nonce[..], &bytes].concat();
    format!(
        "v1.{}.{}",
        BASE64URL.encode(&name[..6]),
        BASE64URL.encode(&text)
    )
}

/// What is in memory answers at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("nothing has to be waited for"),
    }
}

struct Request(Vec<u8>);

impl Request {
    fn with(cookie: &[u8]) -> Self {
        Self([NAME.as_bytes(), b"=", cookie].concat())
    }
}

impl RequestHead for Request {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if name == "cookie" {
            visit(&self.0);
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

struct Response(Option<String>);

impl ResponseHead for Response {
    fn each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}

    fn append(&mut self, name: &str, value: Cow<'static, str>) {
        let pair = value.split(';').next().unwrap_or_default();
        let value = pair
            .strip_prefix(NAME)
            .and_then(|pair| pair.strip_prefix('='));
        if let (true, Some(value)) = (name == "set-cookie", value) {
            self.0 = Some(value.to_owned());
        }
    }

    fn replace(&mut self, _: &str, _: Cow<'static, str>) {}
}
