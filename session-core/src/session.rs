//! What a request handler holds.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::http::exchange::{Opened, StateGuard};
use crate::id::{SessionId, Token};
use crate::key::IntoKey;
use crate::manager::SessionManager;
use crate::operations::{self, Draft};
use crate::plan::{Done, Standing};
use crate::record::Owner;
use crate::state::{Limits, Scope, State};
use crate::why_new::WhyNew;

/// The session of one request; clones share it.
///
/// Handlers take that of their framework, `session_axum::Session` or `session_actix::Session`, which is
/// this one by `Deref`.
///
/// It is a handle, and may outlive the request. Data methods work at once on what was loaded; changes
/// are stored when the request ends, or by [`save`](Self::save) and [`transact`](Self::transact) at
/// once; on a handle that outlives its request, or is of none, by these alone. What is stored are the
/// changes, put on the newest data, so two requests never overwrite each other's keys: see [`Draft`].
///
/// ```
/// use session_core::{Error, Session};
///
/// async fn count(session: Session) -> Result<u64, Error> {
///     session
///         .transact(|s| {
///             let n = s.get::<u64>("count")?.unwrap_or(0) + 1;
///             s.insert("count", n)?;
///             Ok(n)
///         })
///         .await
/// }
/// ```
#[derive(Clone)]
pub struct Session(pub(crate) Opened);

impl Session {
    /// A session of no request.
    pub(crate) fn new(manager: SessionManager, state: State) -> Self {
        Self(Opened::by_itself(manager, state))
    }

    /// The value under `key`.
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// fn language(session: &Session) -> Result<String, Error> {
    ///     let chosen = session.get::<String>("language")?;
    ///     Ok(chosen.unwrap_or_else(|| "en".to_owned()))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: there is a value, but not of type `T`.
    pub fn get<T: DeserializeOwned>(&self, key: impl IntoKey<T>) -> Result<Option<T>, Error> {
        self.state().life.draft.get(key)
    }

    /// The JSON text under `key`.
    #[must_use]
    pub fn raw(&self, key: impl AsRef<str>) -> Option<String> {
        self.state().life.draft.raw(key).map(str::to_owned)
    }

    /// Stores `value` under `key`. Of two requests that do, the one that is stored last wins: to go
    /// on from the value that is there, use [`update`](Self::update) or
    /// [`transact`](Self::transact).
    ///
    /// ```
    /// # use session_core::{Error, Key, Session};
    /// // Anything that serde writes as JSON; a typed key takes no other type.
    /// const FONT_SIZE: Key<u8> = Key::new("font_size");
    ///
    /// fn choose(session: &Session) -> Result<(), Error> {
    ///     session.insert("language", "de")?;
    ///     session.insert(FONT_SIZE, 14)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: the value cannot be expressed as JSON.
    pub fn insert<T: Serialize>(&self, key: impl IntoKey<T>, value: T) -> Result<(), Error> {
        let json = operations::encode(key.name(), &value)?;
        let mut state = self.state();
        let draft = &mut state.life.draft;
        draft.replace(operations::Space::User, key.name(), Some(json));
        Ok(())
    }

    /// Stores `value` under `key` unless there is a value, and says whether it did.
    ///
    /// Whether there is one is looked at again when it is stored: of two requests that both find
    /// nothing, the first to store gives the value, and the other's is dropped although it was
    /// told `true`. Who must know asks inside of [`transact`](Self::transact). Where there is a
    /// value to begin with, nothing is stored.
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// fn language(session: &Session, accepted: &str) -> Result<String, Error> {
    ///     session.insert_if_absent("language", accepted)?;
    ///     Ok(session.get("language")?.unwrap_or_default())
    /// }
    /// async fn first_visit(session: &Session) -> Result<bool, Error> {
    ///     session.transact(|s| s.insert_if_absent("welcomed", true)).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: the value cannot be expressed as JSON.
    pub fn insert_if_absent<T: Serialize>(
        &self,
        key: impl IntoKey<T>,
        value: T,
    ) -> Result<bool, Error> {
        let json = operations::encode(key.name(), &value)?;
        let draft = &mut self.state().life.draft;
        Ok(draft.insert_json_if_absent(key.name(), json))
    }

    /// Removes `key` and says whether it was there.
    pub fn remove(&self, key: impl AsRef<str>) -> bool {
        self.state().life.draft.remove(key)
    }

    /// Removes `key` and returns its value: what this request was loaded with, so that of two requests at
    /// once both may get it. What only one may get, such as a code that counts once, is taken by
    /// [`transact`](Self::transact):
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// /// The voucher, given to one request alone.
    /// async fn redeem(session: &Session) -> Result<Option<String>, Error> {
    ///     session.transact(|s| s.take("voucher")).await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: there is a value, but not of type `T`; it stays.
    pub fn take<T: DeserializeOwned>(&self, key: impl IntoKey<T>) -> Result<Option<T>, Error> {
        self.state().life.draft.take(key)
    }

    /// Adds `item` to the end of the array under `key`, which is made if there is none. Of parallel
    /// requests each adds its own.
    ///
    /// ```
    /// # use session_core::{Error, Key, Session};
    /// const BASKET: Key<Vec<u64>> = Key::new("basket");
    ///
    /// fn put_in(session: &Session, article: u64) -> Result<(), Error> {
    ///     session.append(BASKET, article)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: what is there is no array, or the item cannot be expressed as
    /// JSON.
    pub fn append<T: Serialize>(&self, key: impl IntoKey<Vec<T>>, item: T) -> Result<(), Error> {
        self.state().life.draft.append(key, item)
    }

    /// Computes the value under `key` from the present one.
    ///
    /// Another request's change in between makes `compute` run again on the newer value, so it
    /// should have no effect but its result. So this counts every request, however many come at
    /// once:
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// fn count(session: &Session) -> Result<(), Error> {
    ///     session.update("visits", |n: Option<u64>| n.unwrap_or(0) + 1)
    /// }
    /// ```
    ///
    /// The number that this request's addition gave is known once it is stored: take it from
    /// [`transact`](Self::transact).
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
            if state.life.draft.raw(key) == before.as_deref() {
                state.life.draft.updated(key, closure, value);
                return Ok(());
            }
        }
    }

    /// Whether there is a value under `key`.
    #[must_use]
    pub fn contains_key(&self, key: impl AsRef<str>) -> bool {
        self.state().life.draft.contains_key(key)
    }

    /// All keys, in the order they were first stored.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        self.state().life.draft.keys()
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state().life.draft.len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.state().life.draft.is_empty()
    }

    /// Removes every key. It is no logout: the session lives on, and with it its owner, flashes and CSRF
    /// token. [`logout`](Self::logout) ends a login.
    ///
    /// ```
    /// # use session_core::{Error, MemoryStore, Owner, SessionConfig, SessionManager};
    /// # let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
    /// # let session = sessions.begin(None, None)?;
    /// session.login(Owner::new("ada")?);
    /// session.insert("basket", [7])?;
    ///
    /// session.clear();
    /// assert!(session.is_empty());
    /// assert_eq!(session.owner(), Some(Owner::new("ada")?), "still signed in");
    ///
    /// session.logout();
    /// assert_eq!(session.owner(), None);
    /// # Ok::<(), Error>(())
    /// ```
    pub fn clear(&self) {
        self.state().life.draft.clear();
    }

    /// Back to what was last loaded or stored: changes and intentions since are forgotten.
    pub fn revert(&self) {
        self.state().revert();
    }

    /// Gives the client a new secret when the request ends; the data stay, the old secret is
    /// dead at once and requests still running under it can write nothing more.
    ///
    /// The CSRF seed is replaced, too: whoever knew the old secret may know it. Tokens that were
    /// shown before are refused from then on. After the response head this makes the next
    /// [`save`](Self::save) fail with `HeadSent`.
    ///
    /// A [`login`](Self::login) renews by itself. Call this where the same user may do more than before:
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// fn second_factor_fits(session: &Session) -> Result<(), Error> {
    ///     session.insert("may_pay", true)?;
    ///     session.renew();
    ///     Ok(())
    /// }
    /// ```
    pub fn renew(&self) {
        self.state().life.renew = true;
    }

    /// Binds the session to `owner` when the request ends, under a new secret.
    ///
    /// Requests still running under the old secret can write nothing more, so nothing of the
    /// time before is written after it.
    ///
    /// A session of a different owner is emptied first. From this call on its values are out of
    /// sight, and what is stored waits for the login: a `save` or `transact` then commits the
    /// login, too, since no value of the new owner's may be written into the other's session. A
    /// time-out and persistence that the other was given end with it.
    ///
    /// After the response head this makes the next `save` fail with `HeadSent`.
    ///
    /// ```
    /// # use session_core::{Error, Owner, Session};
    /// /// Once the password is found to be right.
    /// fn sign_in(session: &Session, user_id: u64) -> Result<(), Error> {
    ///     session.login(Owner::new(user_id.to_string())?);
    ///     session.flash("success", "You are signed in.")
    /// }
    /// ```
    pub fn login(&self, owner: Owner) {
        self.state().life.log_in(owner);
    }

    /// Ends the session when the request ends: the record is deleted and the cookie removed.
    ///
    /// What is stored after this call (a flash, say) begins a new session; where `save` or
    /// `transact` stores it before the request ends, they delete the old record first.
    ///
    /// After the response head the record is deleted by the next [`save`](Self::save), and the cookie
    /// stays with the client, where it opens nothing.
    pub fn destroy(&self) {
        self.end(false);
    }

    /// Signs out: as [`destroy`](Self::destroy), and asks the browser to clear its site data
    /// where that is configured.
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// fn sign_out(session: &Session) -> Result<(), Error> {
    ///     session.logout();
    ///     // In a new session, for the next page.
    ///     session.flash("info", "You are signed out.")
    /// }
    /// ```
    pub fn logout(&self) {
        self.end(true);
    }

    fn end(&self, logged_out: bool) {
        let manager = self.manager();
        let mut state = self.state();
        let token = state.life.token.as_ref();
        let id = token.filter(|_| state.head_sent).map(Token::id);
        state.begin_anew(manager);
        state.logged_out |= logged_out;
        drop(state);
        // Who waits for the end after the head carries it out.
        if let Some(id) = id {
            manager.endings().tell(&id);
        }
    }

    /// How long this session may lie idle, whatever the configuration says; kept in the record.
    /// `remember(None)` goes back to the configuration.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: less than a millisecond, or more than 400 days for a sealed session with
    /// revocations.
    pub fn set_timeout(&self, timeout: Duration) -> Result<(), Error> {
        self.set_limits(Some(timeout), None)
    }

    /// Keeps the session over a restart of the browser: a persistent cookie and a time-out of
    /// this length, at most 400 days. With `None` that ends: the cookie and the time-out are
    /// those of the configuration again. An `absolute_timeout` ends it nevertheless, and its cookie; with a
    /// [`remembered_absolute_timeout`](crate::SessionConfigBuilder::remembered_absolute_timeout), that one.
    ///
    /// Who signs in says each time whether to be remembered, as an earlier answer is kept:
    ///
    /// ```
    /// # use session_core::{Error, Owner, Session};
    /// # use std::time::Duration;
    /// const MONTH: Duration = Duration::from_secs(30 * 86_400);
    ///
    /// fn sign_in(session: &Session, user: Owner, stay_signed_in: bool) -> Result<(), Error> {
    ///     session.login(user);
    ///     session.remember(stay_signed_in.then_some(MONTH))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: less than a millisecond, or more than 400 days, the limit of browsers
    /// (RFC 6265bis).
    pub fn remember(&self, timeout: impl Into<Option<Duration>>) -> Result<(), Error> {
        let timeout = timeout.into();
        if timeout.is_some_and(|timeout| timeout > crate::http::Lifetime::MAX) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "remembering a session for more than 400 days is refused: no browser keeps the cookie",
            ));
        }
        self.set_limits(timeout, Some(timeout.is_some()))
    }

    fn set_limits(&self, timeout: Option<Duration>, persistent: Option<bool>) -> Result<(), Error> {
        if timeout.is_some_and(|timeout| timeout < Duration::from_millis(1)) {
            return Err(Error::new(
                ErrorKind::Invalid,
                "a session's time-out is at least a millisecond",
            ));
        }
        if let (Some(sealed), Some(timeout)) = (self.manager().sealed_by(), timeout) {
            sealed.check_timeout(timeout)?;
        }
        let mut state = self.state();
        let before = state.life.limits.and_then(|limits| limits.persistent);
        state.life.limits = Some(Limits {
            timeout,
            persistent: persistent.or(before),
        });
        Ok(())
    }

    /// Does not count this request as an access: the session's life is not extended by it.
    pub fn keep_expiry(&self) {
        self.state().keep_expiry = true;
    }

    /// The id, safe to log and to list; `None` as long as nothing is stored.
    #[must_use]
    pub fn id(&self) -> Option<SessionId> {
        let state = self.state();
        let live = state.life.standing == Standing::Live;
        state.life.token.as_ref().filter(|_| live).map(Token::id)
    }

    /// The text that lets the client in next time, for a client that gets it in a response's body:
    /// see [`TokenTransport::write`](crate::http::TokenTransport::write).
    ///
    /// `None` as long as nothing is stored (call [`save`](Self::save) first), and where this text
    /// would open nothing, or no longer: after a [`login`](Self::login) or [`renew`](Self::renew),
    /// whose new secret comes with the request's end, under a secret that was replaced, and on a
    /// handle of [`SessionManager::open`]. Of a session sealed in its cookie it is the session as it
    /// is stored now; what is stored later is not in it.
    ///
    /// Whoever has it is the user: keep it out of logs, addresses and pages that scripts of others
    /// run in. The response is marked `no-store`, so call it before the handler has answered. Where
    /// a cookie carries the token, this undoes what `HttpOnly` is for.
    ///
    /// A login whose answer has the token in it, for an app that keeps no cookies, begins a session of
    /// its own: [`SessionManager::begin`], `login`, [`issue`](crate::NewSession::issue), as
    /// `examples/recipes/src/token.rs` does.
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// async fn register(session: Session) -> Result<Option<String>, Error> {
    ///     session.insert("device", 7)?;
    ///     session.save().await?;
    ///     session.expose_token()
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::TooLarge`]: it is sealed, and larger than a cookie may be.
    pub fn expose_token(&self) -> Result<Option<String>, Error> {
        let mut state = self.state();
        let life = &state.life;
        // With revocations a changed time-out renews a sealed session, too.
        let renews = life.renew || life.login.is_some() || (state.sealed && life.limits.is_some());
        if life.standing != Standing::Live || renews {
            return Ok(None);
        }
        let Some((token, base)) = life.token_in_force() else {
            return Ok(None);
        };
        let text = self.manager().expose(token, base)?;
        state.exposed = true;
        Ok(Some(text))
    }

    /// The application's user, as of now: a `login` of this request counts.
    #[must_use]
    pub fn owner(&self) -> Option<Owner> {
        let state = self.state();
        match &state.life.login {
            Some(login) => Some(login.owner.clone()),
            None => state.life.base.as_ref()?.owner.clone(),
        }
    }

    /// Whether there is no live session, as of now: the request came without one and nothing has been
    /// stored since, or it was ended.
    #[must_use]
    pub fn is_new(&self) -> bool {
        self.state().life.standing != Standing::Live
    }

    /// Why there is no live session; `None` where there is one, as of now.
    #[must_use]
    pub fn why_new(&self) -> Option<WhyNew> {
        let state = self.state();
        (state.life.standing != Standing::Live).then_some(state.why_new)
    }

    /// Whether there is something to be stored.
    #[must_use]
    pub fn is_modified(&self) -> bool {
        let state = self.state();
        state.done(Scope::Everything) != Done::default()
    }

    /// The client's address, as far as it is known: of a request as
    /// [`trusted_proxies`](crate::SessionConfigBuilder::trusted_proxies) let it be found, of
    /// [`begin`](SessionManager::begin) the one that was given, of [`open`](SessionManager::open) the
    /// one that the session began at, or its owner signed in from.
    ///
    /// ```
    /// # use session_core::{MemoryStore, SessionConfig, SessionManager};
    /// # let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
    /// let session = sessions.begin(Some([192, 0, 2, 7].into()), None)?;
    /// assert_eq!(session.client_address(), Some([192, 0, 2, 7].into()));
    /// # Ok::<(), session_core::Error>(())
    /// ```
    #[must_use]
    pub fn client_address(&self) -> Option<IpAddr> {
        self.state().visitor.address
    }

    /// When the session began, or its owner last signed in; `None` as long as nothing is stored.
    #[must_use]
    pub fn created_at(&self) -> Option<Timestamp> {
        self.state()
            .life
            .base
            .as_ref()
            .map(|record| record.created_at)
    }

    /// When the session was last used, to within the touch interval: before this request, or in it
    /// once it has stored something or called `touch`.
    #[must_use]
    pub fn accessed_at(&self) -> Option<Timestamp> {
        self.state()
            .life
            .base
            .as_ref()
            .map(|record| record.accessed_at)
    }

    /// When the session ends if it is not used; `None`: never, or nothing is stored.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.state().life.base.as_ref()?.expires_at()
    }

    /// Stores the changes made so far, now; with nothing changed it does nothing.
    ///
    /// `renew`, `login`, `logout` and `destroy` wait for the end of the request (but see
    /// [`login`](Self::login) over another owner).
    ///
    /// A request's end saves by itself. Call this where something has to be stored before what comes
    /// next:
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// # async fn send_to_payment(_: u64) {}
    /// async fn pay(session: &Session, order: u64) -> Result<(), Error> {
    ///     session.insert("paying_for", order)?;
    ///     session.save().await?;
    ///     send_to_payment(order).await;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Gone`], [`ErrorKind::Unavailable`], [`ErrorKind::Full`],
    /// [`ErrorKind::TooLarge`], [`ErrorKind::Contended`]; [`ErrorKind::CreationCap`] if this would
    /// begin a session over the `creation_cap`, [`ErrorKind::HeadSent`] if it would begin one after
    /// the response head has left.
    pub async fn save(&self) -> Result<(), Error> {
        self.commit("saving the session", |_| Ok::<_, Error>(()))
            .await
    }

    /// Changes the session as one step that no other request comes between, and stores it now.
    ///
    /// `change` works on a draft of what was loaded; it runs again on newer data when another
    /// request stored something meanwhile, so it should have no effect but its result. If it
    /// returns an error nothing is written; where it changes nothing, nothing is written
    /// either, and the data it saw may be as old as the last load. Changes made before on this
    /// handle are stored with it.
    ///
    /// ```
    /// # use session_core::{Error, Session};
    /// /// How many articles are in the basket with this one.
    /// async fn put_in(session: &Session, article: u64) -> Result<usize, Error> {
    ///     session
    ///         .transact(|s| {
    ///             s.append("basket", article)?;
    ///             Ok(s.get::<Vec<u64>>("basket")?.map_or(0, |basket| basket.len()))
    ///         })
    ///         .await
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// What `change` returns, and as for [`save`](Self::save). To say no in the application's own words,
    /// use [`try_transact`](Self::try_transact).
    pub async fn transact<T, F>(&self, change: F) -> Result<T, Error>
    where
        F: FnMut(&mut Draft) -> Result<T, Error>,
    {
        self.try_transact(change).await
    }

    /// As [`transact`](Self::transact), with an error type of the application's own.
    ///
    /// ```
    /// use session_core::{Error, Session};
    ///
    /// enum AppError {
    ///     Session(Error),
    ///     OutOfStock,
    /// }
    ///
    /// impl From<Error> for AppError {
    ///     fn from(error: Error) -> Self {
    ///         Self::Session(error)
    ///     }
    /// }
    ///
    /// /// Takes one of the tickets that are held for this visitor.
    /// async fn take_one(session: &Session) -> Result<u32, AppError> {
    ///     session
    ///         .try_transact(|s| {
    ///             let held = s.get::<u32>("tickets")?.unwrap_or(0);
    ///             let left = held.checked_sub(1).ok_or(AppError::OutOfStock)?;
    ///             s.insert("tickets", left)?;
    ///             Ok(left)
    ///         })
    ///         .await
    /// }
    /// # use session_core::{MemoryStore, SessionConfig, SessionManager};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Error> {
    /// # let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
    /// # let session = sessions.begin(None, None)?;
    /// # session.insert("tickets", 1)?;
    /// # assert!(matches!(take_one(&session).await, Ok(0)));
    /// # assert!(matches!(take_one(&session).await, Err(AppError::OutOfStock)));
    /// # assert_eq!(session.get("tickets")?, Some(0));
    /// # Ok(()) }
    /// ```
    ///
    /// How such an error becomes a response is shown at `session_axum::Error` and
    /// `session_actix::Error`.
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

    pub(crate) fn manager(&self) -> &SessionManager {
        self.0.manager()
    }

    pub(crate) fn state(&self) -> StateGuard<'_> {
        self.0.state()
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
