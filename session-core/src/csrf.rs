//! Cross-site request forgery tokens, bound to the session.

use data_encoding::BASE64URL_NOPAD as BASE64URL;

use crate::error::{Error, ErrorKind};
use crate::id::fill_random;
use crate::operations::{Draft, Space};
use crate::session::Session;

/// Where the seed stands among the library's own values.
const SEED: &str = "csrf";
const BYTES: usize = 32;

impl Session {
    /// A token for a form or a header of this response: 86 characters of base64url, different each
    /// time; all of them stay valid until the next login or [`renew`](Self::renew).
    ///
    /// The first one makes the seed they follow from, which is stored: a visitor who is shown a form
    /// gets a session. A token is the seed masked with fresh random bytes, so that compression of the
    /// response leaks nothing of it (the BREACH attack).
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// fn form(session: &Session) -> Result<String, Error> {
    ///     let token = session.csrf_token()?;
    ///     Ok(format!("<input type=hidden name=csrf_token value={token}>"))
    /// }
    /// ```
    ///
    /// [`CsrfGuard`](crate::http::CsrfGuard) checks it for every request that changes something,
    /// [`verify_csrf`](Self::verify_csrf) for one.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the operating system gave no random bytes.
    /// [`ErrorKind::Gone`]: the request's own token was superseded, so nothing can be stored.
    ///
    /// # Source
    ///
    /// OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Synchronizer Token Pattern".
    pub fn csrf_token(&self) -> Result<String, Error> {
        let seed = self.seed_to_show()?;
        let mut token = [0; 2 * BYTES];
        let (mask, masked) = token.split_at_mut(BYTES);
        fill_random(mask)?;
        for ((out, mask), seed) in masked.iter_mut().zip(mask).zip(seed) {
            *out = *mask ^ seed;
        }
        Ok(BASE64URL.encode(&token))
    }

    /// Checks a token that a form or header brought back, in constant time.
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// fn accept(session: &Session, csrf_token: &str, address: &str) -> Result<(), Error> {
    ///     session.verify_csrf(csrf_token)?;
    ///     session.insert("address", address)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Csrf`]: it is not of this session, or malformed.
    pub fn verify_csrf(&self, token: &str) -> Result<(), Error> {
        let wrong = || Error::new(ErrorKind::Csrf, "the CSRF token is missing or wrong");
        let mut given = [0; 2 * BYTES];
        let fits = token.len() == BASE64URL.encode_len(given.len())
            && BASE64URL.decode_mut(token.as_bytes(), &mut given).is_ok();
        let (mask, masked) = given.split_at_mut(BYTES);
        for (masked, mask) in masked.iter_mut().zip(mask) {
            *masked ^= *mask;
        }
        let is_right = |seed: [u8; BYTES]| constant_time_eq::constant_time_eq(masked, &seed);
        let (stored, next) = self.seeds();
        if fits && (stored.is_some_and(is_right) || next.is_some_and(is_right)) {
            Ok(())
        } else {
            Err(wrong())
        }
    }

    /// Whether a token was ever asked for, so that one can have come back.
    pub(crate) fn has_csrf_token(&self) -> bool {
        let (stored, next) = self.seeds();
        stored.is_some() || next.is_some()
    }

    /// The seed that is stored, and the one that will be with the new secret.
    fn seeds(&self) -> (Option<Seed>, Option<Seed>) {
        let state = self.state();
        let stored = state.life.draft.value(Space::Own, SEED);
        (stored.and_then(read), state.life.next_seed)
    }

    /// The seed of what is shown now, made if there is none.
    ///
    /// It is derived from the request's secret, so that two requests which first ask at the same
    /// time make the same one and neither's form is refused.
    ///
    /// Where this request replaces the secret the seed is random, and stored with the new secret, not
    /// before: who knows the old one, as who fixed it before a login does, must not learn the seed.
    /// A session that is just beginning has no old one.
    fn seed_to_show(&self) -> Result<Seed, Error> {
        let mut state = self.state();
        let life = &mut state.life;
        if life.replaces_secret() {
            return match life.next_seed {
                Some(seed) => Ok(seed),
                None => Ok(*life.next_seed.insert(random()?)),
            };
        }
        if let Some(seed) = life.draft.value(Space::Own, SEED).and_then(read) {
            return Ok(seed);
        }
        let token = life.identity("making a CSRF token")?;
        let seed: Seed = token.derive_key(CONTEXT);
        life.draft.default_in(Space::Own, SEED, text(&seed));
        Ok(seed)
    }
}

impl Draft {
    /// What is written with the new secret has this seed, or none yet.
    pub(crate) fn replace_seed(&mut self, seed: Option<Seed>) {
        self.replace(Space::Own, SEED, seed.as_ref().map(text));
    }
}

/// What the tokens of a session follow from.
pub(crate) type Seed = [u8; BYTES];

fn random() -> Result<Seed, Error> {
    let mut seed = [0; BYTES];
    fill_random(&mut seed)?;
    Ok(seed)
}

/// The seed as JSON.
fn text(seed: &Seed) -> String {
    format!("\"{}\"", BASE64URL.encode(seed))
}

fn read(json: &str) -> Option<Seed> {
    let text: std::borrow::Cow<'_, str> = serde_json::from_str(json).ok()?;
    BASE64URL.decode(text.as_bytes()).ok()?.try_into().ok()
}

const CONTEXT: &str = "session-kit 2026-11-21 csrf seed v1";
