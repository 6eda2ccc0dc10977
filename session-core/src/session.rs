//! What a request handler holds.
//!
//! A [`Session`] is a handle: cloning it shares the state, and it may outlive the request. Data
//! methods work at once on what was loaded; changes are stored when the request ends, or by
//! [`save`](Session::save) and [`transact`](Session::transact) at once. See `operations.rs` for
//! why two requests never overwrite each other's keys, `commit.rs` for how a change is stored.
//!
//! ```
//! use session_core::{Error, Session};
//!
//! async fn count(session: Session) -> Result<u64, Error> {
//!     session
//!         .transact(|s| {
//!             let n = s.get::<u64>("count")?.unwrap_or(0) + 1;
//!             s.insert("count", n)?;
//!             Ok(n)
//!         })
//!         .await
//! }
//! ```

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::id::{SessionId, Token};
use crate::key::IntoKey;
use crate::manager::SessionManager;
use crate::operations::{self, Draft};
use crate::plan::{CookieMove, Done, Due, Standing};
use crate::record::{Owner, Record, Version};

/// The session of one request; clones share it.
#[derive(Clone)]
pub struct Session(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) manager: SessionManager,
    pub(crate) visitor: Visitor,
    state: Mutex<State>,
}

/// Who asks: what does not change while the request lives.
pub(crate) struct Visitor {
    pub(crate) address: Option<IpAddr>,
    pub(crate) agent: Option<Arc<str>>,
}

/// What was loaded and what was done since.
pub(crate) struct State {
    pub(crate) standing: Standing,
    /// The record as last loaded or stored; `Some` exactly when live.
    pub(crate) base: Option<Record>,
    /// The client's token, or the one it will be given.
    pub(crate) token: Option<Token>,
    pub(crate) draft: Draft,
    pub(crate) intent: Intent,
    /// What the client must learn of what has been committed.
    pub(crate) cookie: CookieMove,
    pub(crate) due: Due,
    /// A write of the frozen operations whose outcome is unknown (rule C5).
    pub(crate) doubt: Option<Doubt>,
    /// The request carried a token that opened nothing.
    pub(crate) presented_nothing: bool,
    pub(crate) head_sent: bool,
}

/// A write that may have happened, and what it means if it did.
#[derive(Clone)]
pub(crate) struct Doubt {
    pub(crate) version: Version,
    pub(crate) token: Token,
    pub(crate) cookie: CookieMove,
    pub(crate) scope: Scope,
}

/// Which of the things that were asked for a commit carries out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The operations on data.
    Data,
    /// Also renewal, login, limits and what is due.
    Everything,
}

/// What was asked for and is done when the request ends.
#[derive(Default)]
pub(crate) struct Intent {
    pub(crate) renew: bool,
    pub(crate) login: Option<Owner>,
    pub(crate) limits: Option<Limits>,
    pub(crate) keep_expiry: bool,
    pub(crate) end: Option<Ending>,
    /// A session that was ended by a commit of this request: clear the browser's site data.
    pub(crate) logged_out: bool,
}

impl Intent {
    /// Whether this can only be done with a cookie, before the response head has left (rule T7).
    pub(crate) fn needs_head(&self) -> bool {
        self.renew || self.login.is_some() || self.end.is_some()
    }
}

/// Limits of this session's own.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) persistent: bool,
}

/// A session that was ended and waits for its record to be deleted.
pub(crate) struct Ending {
    pub(crate) live: Option<(Token, Record)>,
    draft: Draft,
}

impl Session {
    pub(crate) fn new(manager: SessionManager, visitor: Visitor, state: State) -> Self {
        Self(Arc::new(Inner {
            manager,
            visitor,
            state: Mutex::new(state),
        }))
    }

    /// The value under `key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: there is a value, but not of type `T`.
    pub fn get<T: DeserializeOwned>(&self, key: impl IntoKey<T>) -> Result<Option<T>, Error> {
        self.state().draft.get(key)
    }

    /// The JSON text under `key`.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<String> {
        self.state().draft.raw(key).map(str::to_owned)
    }

    /// Stores `value` under `key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: the value cannot be expressed as JSON.
    pub fn insert<T: Serialize>(&self, key: impl IntoKey<T>, value: T) -> Result<(), Error> {
        let json = operations::encode(key.name(), &value)?;
        let mut state = self.state();
        state
            .draft
            .replace(operations::Space::User, key.name(), Some(json));
        Ok(())
    }

    /// Removes `key` and says whether it was there.
    pub fn remove(&self, key: impl AsRef<str>) -> bool {
        self.state().draft.remove(key)
    }

    /// Removes `key` and returns its value.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: there is a value, but not of type `T`; it stays.
    pub fn take<T: DeserializeOwned>(&self, key: impl IntoKey<T>) -> Result<Option<T>, Error> {
        self.state().draft.take(key)
    }

    /// Adds `item` to the end of the array under `key`, which is made if there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: what is there is no array, or the item cannot be expressed as
    /// JSON.
    pub fn append<T: Serialize>(&self, key: &str, item: T) -> Result<(), Error> {
        self.state().draft.append(key, item)
    }

    /// Computes the value under `key` from the present one.
    ///
    /// Another request's change in between makes `compute` run again on the newer value, so it
    /// should have no effect but its result.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: the present value is not of type `T`, or the result cannot be
    /// expressed as JSON.
    pub fn update<T, F>(&self, key: impl IntoKey<T>, compute: F) -> Result<(), Error>
    where
        T: Serialize + DeserializeOwned,
        F: FnMut(Option<T>) -> T + Send + 'static,
    {
        let key = key.name();
        let closure = operations::json_closure(key, compute);
        loop {
            // The closure runs outside the lock: it may hold a clone of this very session.
            let before = self.raw(key);
            let value = operations::run(&closure, before.as_deref())?;
            let mut state = self.state();
            if state.draft.raw(key) == before.as_deref() {
                state.draft.updated(key, closure, value);
                return Ok(());
            }
        }
    }

    /// Whether there is a value under `key`.
    #[must_use]
    pub fn contains_key(&self, key: impl AsRef<str>) -> bool {
        self.state().draft.contains_key(key)
    }

    /// All keys, in the order they were first stored.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.state().draft.keys()
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().draft.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state().draft.is_empty()
    }

    /// Removes every key; flashes and the CSRF token stay, the session lives on.
    pub fn clear(&self) {
        self.state().draft.clear();
    }

    /// Back to what was last loaded or stored: changes and intentions since are forgotten.
    pub fn revert(&self) {
        let mut state = self.state();
        if let Some(end) = state.intent.end.take() {
            if let Some((token, record)) = end.live {
                state.standing = Standing::Live;
                state.token = Some(token);
                state.base = Some(record);
            }
            state.draft = end.draft;
        }
        state.intent = Intent::default();
        state.draft.revert();
        state.doubt = None;
    }

    /// Gives the client a new secret when the request ends; the data stay, the old secret is
    /// dead at once and requests still running under it can write nothing more.
    pub fn renew(&self) {
        self.state().intent.renew = true;
    }

    /// Binds the session to `owner` when the request ends, under a new secret.
    ///
    /// A session of a different owner is emptied first. Requests still running under the old
    /// secret can write nothing more, so nothing of the time before is written after it.
    pub fn login(&self, owner: Owner) {
        let mut state = self.state();
        let other = state
            .base
            .as_ref()
            .and_then(|record| record.owner.as_ref())
            .is_some_and(|present| *present != owner);
        if other {
            state.draft.clear_in(operations::Space::User);
            state.draft.clear_in(operations::Space::Own);
        }
        state
            .draft
            .replace(operations::Space::Own, crate::csrf::SEED, None);
        state.intent.login = Some(owner);
    }

    /// Ends the session when the request ends: the record is deleted and the cookie removed.
    ///
    /// What is stored after this call (a flash, say) begins a new session.
    pub fn destroy(&self) {
        let mut state = self.state();
        if state.intent.end.is_some() {
            return self.begin_anew(&mut state);
        }
        let live = match state.standing {
            Standing::Live => state.token.take().zip(state.base.take()),
            _ => None,
        };
        let mut draft = std::mem::take(&mut state.draft);
        draft.abort_commit();
        state.intent = Intent {
            end: Some(Ending { live, draft }),
            ..Intent::default()
        };
        if matches!(state.standing, Standing::Live | Standing::New) {
            self.begin_anew(&mut state);
        }
    }

    /// Signs out: as [`destroy`](Self::destroy), and asks the browser to clear its site data
    /// where that is configured.
    pub fn logout(&self) {
        self.destroy();
        self.state().intent.logged_out = true;
    }

    fn begin_anew(&self, state: &mut State) {
        state.standing = Standing::New;
        state.token = None;
        state.base = None;
        state.due = Due::default();
        state.draft = initial(&self.0.manager).unwrap_or_default();
    }

    /// How long this session may lie idle, whatever the configuration says; kept in the record.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: zero.
    pub fn set_timeout(&self, timeout: Duration) -> Result<(), Error> {
        let persistent = self.is_persistent();
        self.set_limits(timeout, persistent)
    }

    /// Keeps the session over a restart of the browser: a persistent cookie and a time-out of
    /// this length, at most 400 days.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: zero, or more than 400 days, the limit of browsers (RFC 6265bis).
    pub fn remember(&self, timeout: Duration) -> Result<(), Error> {
        if timeout > crate::http::Lifetime::MAX {
            return Err(Error::new(
                ErrorKind::Invalid,
                "remembering a session for more than 400 days is refused: no browser keeps the cookie",
            ));
        }
        self.set_limits(timeout, true)
    }

    fn is_persistent(&self) -> bool {
        let state = self.state();
        let limits = state.intent.limits.map(|limits| limits.persistent);
        limits.unwrap_or_else(|| state.base.as_ref().is_some_and(|record| record.persistent))
    }

    fn set_limits(&self, timeout: Duration, persistent: bool) -> Result<(), Error> {
        if timeout < Duration::from_millis(1) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "a session's time-out is at least a millisecond",
            ));
        }
        self.state().intent.limits = Some(Limits {
            timeout,
            persistent,
        });
        Ok(())
    }

    /// Does not count this request as an access: the session's life is not extended by it.
    pub fn keep_expiry(&self) {
        self.state().intent.keep_expiry = true;
    }

    /// The id, safe to log and to list; `None` as long as nothing is stored.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        let state = self.state();
        let live = state.standing == Standing::Live;
        state.token.as_ref().filter(|_| live).map(Token::id)
    }

    /// The application's user, as of now: a `login` of this request counts.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        let state = self.state();
        let login = state.intent.login.clone();
        login.or_else(|| state.base.as_ref()?.owner.clone())
    }

    /// Whether nothing was stored before: the request came without a live session.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.state().standing != Standing::Live
    }

    /// Whether there is something to be stored.
    #[must_use]
    pub fn is_modified(&self) -> bool {
        let state = self.state();
        state.done() != Done::default()
    }

    /// When the session began; `None` as long as nothing is stored.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.state().base.as_ref().map(|record| record.created_at)
    }

    /// When the session was last used before this request, to within the touch interval.
    #[must_use]
    pub fn accessed_at(&self) -> Option<Timestamp> {
        self.state().base.as_ref().map(|record| record.accessed_at)
    }

    /// When the session ends if it is not used; `None`: never, or nothing is stored.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.state().base.as_ref().and_then(Record::expires_at)
    }

    /// Stores the changes made so far, now; with nothing changed it does nothing.
    ///
    /// `renew`, `login`, `logout` and `destroy` wait for the end of the request.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`], [`ErrorKind::Unavailable`], [`ErrorKind::Full`],
    /// [`ErrorKind::TooLarge`], [`ErrorKind::Contended`]; [`ErrorKind::HeadSent`] if this would
    /// begin a session after the response head has left.
    pub async fn save(&self) -> Result<(), Error> {
        self.commit("saving the session", |_| Ok::<_, Error>(()))
            .await
    }

    /// Changes the session as one step that no other request comes between, and stores it now.
    ///
    /// `change` works on a draft of the newest data; it runs again when another request stored
    /// something meanwhile, so it should have no effect but its result. If it returns an error
    /// nothing is written. Changes made before on this handle are stored with it.
    ///
    /// # Errors
    ///
    /// What `change` returns, and as for [`save`](Self::save).
    pub async fn transact<T, F>(&self, change: F) -> Result<T, Error>
    where
        F: FnMut(&mut Draft) -> Result<T, Error>,
    {
        self.try_transact(change).await
    }

    /// As [`transact`](Self::transact), with an error type of the application's own.
    ///
    /// # Errors
    ///
    /// What `change` returns, and as for [`save`](Self::save).
    pub async fn try_transact<T, E, F>(&self, change: F) -> Result<T, E>
    where
        E: From<Error>,
        F: FnMut(&mut Draft) -> Result<T, E>,
    {
        self.commit("the session's transaction", change).await
    }

    /// Fetches what other requests have stored meanwhile; changes made on this handle stay on
    /// top of it.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`]: the session has ended, changed hands, or its secret was replaced.
    /// [`ErrorKind::Unavailable`].
    pub async fn reload(&self) -> Result<(), Error> {
        self.refresh("reloading the session").await
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Every method leaves the state consistent before it can panic.
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// What the handler did, for [`plan`](crate::plan::plan).
    pub(crate) fn done(&self) -> Done {
        let intent = &self.intent;
        let live = self.standing == Standing::Live;
        Done {
            changed: self.draft.changes() > 0,
            // There is nothing to renew, and no limit to set, where nothing is stored.
            renewed: intent.renew && self.standing != Standing::New,
            logged_in: intent.login.is_some(),
            limits: intent.limits.is_some() && live,
            ended: intent.end.as_ref().is_some_and(|end| end.live.is_some()),
            ended_nothing: intent.end.is_some() && self.presented_nothing,
        }
    }
}

impl fmt::Debug for Session {
    /// Shows id and size only: session data may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.id())
            .field("keys", &self.len())
            .finish_non_exhaustive()
    }
}

/// The data of a new session.
pub(crate) fn initial(manager: &SessionManager) -> Result<Draft, Error> {
    let mut draft = Draft::default();
    if let Some(fill) = &manager.config().options.initializer {
        fill(&mut draft)?;
        let (user, own) = draft.apply()?;
        draft = Draft::new(user, own);
    }
    Ok(draft)
}
