//! Cross-site request forgery tokens, bound to the session.
//!
//! The session keeps a seed, made when a token is first asked for (which counts as storing
//! something) and replaced by login. What goes into a form is the seed masked with fresh random
//! bytes, a different text in each response, so that compression leaks nothing of it (the BREACH
//! attack); all of them stay valid. Comparison takes constant time.
//!
//! # Source
//!
//! OWASP Cross-Site Request Forgery Prevention Cheat Sheet, "Synchronizer Token Pattern".
//!
//! ```
//! # use session_core::{Error, Session};
//! fn form(session: &Session) -> Result<String, Error> {
//!     let token = session.csrf_token()?;
//!     Ok(format!("<input type=hidden name=csrf_token value={token}>"))
//! }
//! fn accept(session: &Session, csrf_token: &str) -> Result<(), Error> {
//!     session.verify_csrf(csrf_token)
//! }
//! ```

use data_encoding::BASE64URL_NOPAD as BASE64URL;

use crate::error::{Error, ErrorKind};
use crate::id::fill_random;
use crate::operations::Space;
use crate::session::Session;

/// Where the seed stands among the library's own values.
pub(crate) const SEED: &str = "csrf";
const BYTES: usize = 32;

impl Session {
    /// A token for a form or a header of this response: 86 characters of base64url.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the operating system gave no random bytes.
    /// [`ErrorKind::Gone`]: the request's own token was superseded, so nothing can be stored.
    pub fn csrf_token(&self) -> Result<String, Error> {
        let seed = match self.csrf_seed() {
            Some(seed) => seed,
            None => self.make_csrf_seed()?,
        };
        let mut token = [0; 2 * BYTES];
        let (mask, masked) = token.split_at_mut(BYTES);
        fill_random(mask)?;
        for ((out, mask), seed) in masked.iter_mut().zip(mask).zip(seed) {
            *out = *mask ^ seed;
        }
        Ok(BASE64URL.encode(&token))
    }

    /// Checks a token that a form or header brought back.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Csrf`]: it is not of this session, or malformed.
    pub fn verify_csrf(&self, token: &str) -> Result<(), Error> {
        let wrong = || Error::new(ErrorKind::Csrf, "the CSRF token is missing or wrong");
        let seed = self.csrf_seed().ok_or_else(wrong)?;
        let mut given = [0; 2 * BYTES];
        let fits = token.len() == BASE64URL.encode_len(given.len())
            && BASE64URL.decode_mut(token.as_bytes(), &mut given).is_ok();
        let (mask, masked) = given.split_at_mut(BYTES);
        for (masked, mask) in masked.iter_mut().zip(mask) {
            *masked ^= *mask;
        }
        if fits && constant_time_eq::constant_time_eq(masked, &seed) {
            Ok(())
        } else {
            Err(wrong())
        }
    }

    /// Whether a token was ever asked for, so that one can have come back.
    pub(crate) fn has_csrf_token(&self) -> bool {
        self.csrf_seed().is_some()
    }

    fn csrf_seed(&self) -> Option<[u8; BYTES]> {
        let state = self.state();
        let json = state.life.draft.value(Space::Own, SEED)?;
        let text: std::borrow::Cow<'_, str> = serde_json::from_str(json).ok()?;
        BASE64URL.decode(text.as_bytes()).ok()?.try_into().ok()
    }

    /// Derives the seed from the request's secret, so that two requests which first ask at the
    /// same time make the same one and neither's form is refused.
    ///
    /// Where this request replaces the secret the seed is random: who knew the old secret, as
    /// who fixed it before a login does, must not know the new seed.
    fn make_csrf_seed(&self) -> Result<[u8; BYTES], Error> {
        let mut state = self.state();
        let token = state.life.identity("making a CSRF token")?;
        let seed = if state.life.login.is_some() || state.life.renew {
            let mut seed = [0; BYTES];
            fill_random(&mut seed)?;
            seed
        } else {
            token.derive_key(CONTEXT)
        };
        let json = format!("\"{}\"", BASE64URL.encode(&seed));
        state.life.draft.default_in(Space::Own, SEED, json);
        Ok(seed)
    }
}

const CONTEXT: &str = "session-kit 2026-11-21 csrf seed v1";
