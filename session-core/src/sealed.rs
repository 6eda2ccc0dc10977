//! Client-side sessions: the whole session travels sealed in its cookie, and no store keeps it.

mod inside;
mod stores;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use self::inside::{FORMAT, inside, opened};
use self::stores::{Nowhere, Slot};
use crate::config::SessionConfig;
use crate::deadline::Deadline;
use crate::endings::Endings;
use crate::error::{Error, ErrorKind, StoreError, StoreErrorKind};
use crate::id::{NewerFormat, SessionId, Signed, Token};
use crate::limit::Limit;
use crate::manager::SessionManager;
use crate::record::{Owner, Record};
use crate::revocations::{self, Revocations};
use crate::sealing::{NotSealed, SealingKeys, sealed_len};
use crate::store::Store;

impl SessionManager {
    /// A manager of sessions that live in their cookies (or whatever the transport is).
    ///
    /// No such session can be ended from outside: see
    /// [`sealed_with_revocations`](Self::sealed_with_revocations).
    ///
    /// [`SessionManager::sealed`] makes a manager of such sessions; everything else is as usual:
    /// values, flashes, CSRF tokens, login, time-outs. The cookie's value is
    ///
    /// ```text
    /// v1.<key>.<base64url of nonce, ciphertext and tag>
    /// ```
    ///
    /// XChaCha20-Poly1305 under a key derived from the ring's for this purpose and the cookie's name,
    /// so a cookie of another name, or a record sealed at rest, opens nothing here. The first key
    /// seals, all of them open; a cookie under an older key is sent again under the first. Inside are
    /// the id, the secret, all fields of the record but its version, and with them the times of its
    /// creation, its last use and its end: a copy that is presented after its end is refused.
    ///
    /// Name and value have at most 4,096 bytes together (RFC 6265bis section 5.6: what a browser must
    /// keep). A session that would be larger is refused with
    /// [`TooLarge`](crate::ErrorKind::TooLarge) when it is saved, before anything is sent; the error
    /// gives the size, the response is 413, and the cookie that the browser has stays as it is.
    ///
    /// # Which rules hold
    ///
    /// | rule | holds | with a store of revocations | because |
    /// |---|---|---|---|
    /// | I1, I2, I3, I5: nothing but what this system sealed is let in; keys rotate | yes | yes | |
    /// | I4: after `login` or `renew` the old cookie is dead | no | of a session with an owner | without, a copy opens the session as it was, until its end |
    /// | I6: a cookie that was superseded a moment ago replaces no newer one | no | of a session with an owner | |
    /// | I7: a timed renewal ends the secret before it | no | no | that cookie is good until its own end |
    /// | T1, T2, T4, T5: nothing stored, no cookie; no cost where no session is asked for; 500 discards | yes | yes | |
    /// | T3: one read a request | none | one with an owner, none without | storing something in it looks once more |
    /// | T6: `save` and `transact` commit at once | in the cookie that the response brings, whatever its status | as without | it is nowhere else |
    /// | T7: saving after the response head has left | no | only the end of a session with an owner | the cookie would be needed: `HeadSent` |
    /// | C1, C2: parallel requests lose no update of each other's | no | no | the browser keeps the cookie that came last |
    /// | C3: nothing is stored in a session that has ended, nothing comes back | no | of a session with an owner | a read that slides its end may race a logout: see below |
    /// | C4, C5: conflicts, lost answers | | of the ends that are written | there is nothing else to write |
    /// | C6: a flash is delivered once | not in parallel requests | not in parallel requests | |
    /// | E1 to E3, E5: time-outs | yes | yes, up to 400 days | |
    /// | E4: the sweep | | of the ends that nothing is left of | |
    /// | A1: bound to the client's address | yes | yes | |
    /// | F1: outages | | yes: what may have ended is not let in, an end that was not written is an error | |
    /// | F3: limits of size | yes | yes | 4,096 bytes in place of `max_size`, if that is more |
    /// | F4: what is acknowledged survives | | as the store says | an end that the store loses is undone |
    /// | H1 to H6 | yes | yes | |
    /// | O1: listing an owner's sessions | no | no | [`Unsupported`](crate::ErrorKind::Unsupported): nobody keeps a list |
    /// | O2: ending all of an owner's sessions, or one | no | yes | `revoke` alone is `Unsupported`: whose it is must be known |
    /// | O3: a limit of sessions per owner | no | no | it is refused when the manager is made |
    /// | X1, X2, X3: CSRF tokens and guard | yes | yes | of several tokens that are shown first, in parallel, those count whose cookie came last |
    /// | W1, W2: cache, encryption at rest | | of the ends that are written | the sessions are in no store |
    ///
    /// So keep in them what may be seen again: a language, a basket; and give them short time-outs.
    /// Where a logout must be final, use
    /// [`sealed_with_revocations`](SessionManager::sealed_with_revocations), or a store of sessions.
    ///
    /// **A read may race a logout.** A request that only reads, and is late enough to put the session's
    /// end off, looks at the revocations when it begins; one that stores something in its midst, and
    /// nothing after, looks when it does. If the session ends or is renewed before its answer leaves, the
    /// answer still carries the cookie, and if it arrives last the browser keeps that. With a store of revocations it opens nothing: after a logout that is as it should be,
    /// after a renewal the user has to sign in again.
    ///
    /// ```
    /// use session_core::{KeyRing, SessionConfig, SessionManager};
    ///
    /// let config = SessionConfig::builder().secret_key(KeyRing::generate()?).build()?;
    /// let sessions = SessionManager::sealed(config)?;
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: the configuration has no `secret_key`, or an `owner_sessions_max`.
    pub fn sealed(config: SessionConfig) -> Result<Self, Error> {
        Self::sealed_by_keys(config, None)
    }

    pub(crate) fn sealed_by_keys(
        config: SessionConfig,
        revocations: Option<Arc<dyn Store>>,
    ) -> Result<Self, Error> {
        let config = Arc::new(config);
        let Some(ring) = &config.options.secret_key else {
            return Err(Error::new(
                ErrorKind::Invalid,
                "sealed sessions need a secret_key: set one, the same on every node",
            ));
        };
        Limit::refuse_sealed(&config)?;
        let nowhere = Nowhere {
            revocations: revocations.clone(),
        };
        let sealed = Arc::new(Sealed {
            keys: SealingKeys::new(ring, CONTEXT, KEY_NAME_CONTEXT, config.cookie.name()),
            name_bytes: config.cookie.name().len(),
            endings: Endings::default(),
            revocations: revocations
                .map(|store| Revocations::new(store, ring, Arc::clone(&config))),
        });
        Ok(Self::of(nowhere, config, Some(sealed)))
    }

    /// The manager that one exchange works with: what it writes goes into its own cookie.
    pub(crate) fn of_exchange(&self, found: Option<(SessionId, &Arc<Record>)>) -> Option<Self> {
        let sealed = self.sealed_by()?;
        Some(Self::of(
            Slot::new(Arc::clone(sealed), found),
            Arc::clone(self.shared_config()),
            Some(Arc::clone(sealed)),
        ))
    }
}

/// Seals sessions into their cookie and opens them.
pub(crate) struct Sealed {
    keys: SealingKeys,
    name_bytes: usize,
    /// Who waits for the end of a session, whichever exchange it came with.
    endings: Endings,
    revocations: Option<Revocations>,
}

impl Sealed {
    pub(crate) fn endings(&self) -> &Endings {
        &self.endings
    }

    /// The cookie's value for a session.
    pub(crate) fn seal(&self, token: &Token, record: &Record) -> Result<String, Error> {
        let text = self.keys.seal(BOUND, inside(token, record));
        let text = text.map_err(|why| match why {
            NotSealed::Random(error) => error,
            NotSealed::TooLarge => Error::new(ErrorKind::TooLarge, "the session is too large"),
        })?;
        self.check(text.len())
            .map_err(|message| Error::new(ErrorKind::TooLarge, message))?;
        Ok(text)
    }

    /// The session that a cookie's value holds; `None` if this system did not seal it.
    pub(crate) fn open(&self, text: &[u8]) -> Result<Option<(Token, Record, Signed)>, NewerFormat> {
        if text.len() > BYTES_MAX {
            return Ok(None);
        }
        let Ok(text) = std::str::from_utf8(text) else {
            return Ok(None);
        };
        match self.keys.open(BOUND, text) {
            Ok((inside, _)) if inside.first() > Some(&FORMAT) => Err(NewerFormat),
            Ok((inside, signed)) => {
                let opened = opened(&inside);
                Ok(opened.map(|(token, record)| (token, record, signed)))
            }
            // Also one that says to be of a newer format: anybody could have written that.
            Err(_) => Ok(None),
        }
    }

    /// What a store of sessions would hold of one that was opened (rules I4, O2).
    pub(crate) async fn as_stored(
        &self,
        operation: &'static str,
        id: &SessionId,
        record: &Arc<Record>,
    ) -> Result<Option<Arc<Record>>, Error> {
        match &self.revocations {
            Some(revocations) => revocations.as_stored(operation, id, record).await,
            None => Ok(Some(Arc::clone(record))),
        }
    }

    /// Whether a handle that was let in to `base` may still act on it (rule C3).
    pub(crate) async fn check_again(
        &self,
        operation: &'static str,
        id: &SessionId,
        base: &Record,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        match &self.revocations {
            Some(revocations) => revocations.check(operation, id, base, deadline).await,
            None => Ok(()),
        }
    }

    /// Whether a write must give out a new generation, since it changes the time-out and all
    /// cookies of one have the same.
    pub(crate) fn renews(&self, base: &Record, record: &Record) -> bool {
        self.revocations.is_some()
            && base.owner.is_some()
            && base.expiry.timeout() != record.expiry.timeout()
    }

    /// The longest time-out that a session can have of its own.
    pub(crate) fn check_timeout(&self, timeout: Duration) -> Result<(), Error> {
        match &self.revocations {
            Some(_) if timeout > revocations::TIMEOUT_MAX => Err(revocations::too_long()),
            _ => Ok(()),
        }
    }

    /// Prepares for `record` to be sealed in place of `base`.
    pub(crate) async fn before_write(
        &self,
        operation: &'static str,
        id: &SessionId,
        base: Option<&Record>,
        record: &mut Record,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let Some(revocations) = &self.revocations else {
            return Ok(());
        };
        // The present cookie must not die for one that cannot be sent.
        let fits = self.check_record(id, record);
        fits.map_err(|error| Error::from_store(operation, error))?;
        let written = revocations.before_write(operation, id, base, record, deadline);
        written.await
    }

    /// Whether an end can be told to more than the browser.
    pub(crate) fn can_end(&self, record: &Record) -> bool {
        self.revocations.is_some() && record.owner.is_some()
    }

    /// Writes down that the session ends.
    pub(crate) async fn before_delete(
        &self,
        operation: &'static str,
        id: &SessionId,
        base: &Record,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        match &self.revocations {
            Some(revocations) => {
                revocations
                    .before_delete(operation, id, base, deadline)
                    .await
            }
            None => Ok(()),
        }
    }

    pub(crate) async fn revoke_of(&self, owner: &Owner, id: &SessionId) -> Result<(), Error> {
        match &self.revocations {
            Some(revocations) => revocations.revoke_of(owner, id).await?,
            None => return Err(no_revocations("revoking an owner's session")),
        }
        self.endings.tell(id);
        Ok(())
    }

    pub(crate) async fn revoke_owner(
        &self,
        owner: &Owner,
        except: Option<&SessionId>,
    ) -> Result<(), Error> {
        match &self.revocations {
            Some(revocations) => revocations.revoke_owner(owner, except).await?,
            None => return Err(no_revocations("signing an owner out everywhere")),
        }
        self.endings.tell_all();
        Ok(())
    }

    /// Refuses what would not fit into the cookie, before it counts as saved.
    fn check_record(&self, id: &SessionId, record: &Record) -> Result<(), StoreError> {
        let bytes = sealed_len(inside(&Token::blank(*id), record).len());
        let checked = self.check(bytes);
        checked.map_err(|message| StoreError::new(StoreErrorKind::TooLarge, message))
    }

    fn check(&self, value_bytes: usize) -> Result<(), String> {
        let bytes = self.name_bytes + value_bytes;
        if bytes > BYTES_MAX {
            return Err(format!(
                "the cookie would have {bytes} bytes with its name and browsers keep {BYTES_MAX}"
            ));
        }
        Ok(())
    }
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("keys", &self.keys.len())
            .finish_non_exhaustive()
    }
}

fn no_revocations(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::Unsupported,
        format!(
            "{operation} failed: sealed sessions are kept by their clients; with a store of revocations they can be ended"
        ),
    )
}

/// RFC 6265bis section 5.6: name and value of a cookie that every browser keeps, in bytes.
const BYTES_MAX: usize = 4096;
const BOUND: &[u8] = b"session-kit sealed session v1";
const CONTEXT: &str = "session-kit 2026-11-21 session sealing v1";
const KEY_NAME_CONTEXT: &str = "session-kit 2026-11-21 session sealing key id v1";

#[cfg(test)]
#[path = "sealed_tests.rs"]
mod tests;
