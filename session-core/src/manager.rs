//! The one object an application makes: configuration and store together.

use std::fmt;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::clock::Timestamp;
use crate::config::SessionConfig;
use crate::deadline::Deadline;
use crate::endings::Endings;
use crate::error::{Error, ErrorKind, StoreError, StoreErrorKind, cause};
use crate::event::{EventKind, Revocation};
use crate::id::{SessionId, Token};
use crate::queue::Queues;
use crate::record::{Owner, Record};
use crate::sealed::Sealed;
use crate::store::{Cursor, IntoStore, Only, Page, Store, Written};

/// Configuration and store; cheap to clone.
///
/// ```
/// use session_core::{MemoryStore, SessionConfig, SessionManager};
///
/// let config = SessionConfig::builder().build()?;
/// let sessions = SessionManager::new(MemoryStore::new(), config);
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone)]
pub struct SessionManager(Arc<Shared>);

struct Shared {
    store: Arc<dyn Store>,
    config: Arc<SessionConfig>,
    sealed: Option<Arc<Sealed>>,
    /// Made when something is saved: the managers of exchanges with sealed sessions come and go.
    queues: OnceLock<Arc<Queues>>,
    endings: Endings,
    sweeping: tokio::sync::Mutex<()>,
}

/// What a device list shows of one session; an API can answer with it as it is.
///
/// In JSON it is an object of these fields: id, owner, address and agent are text, the moments are
/// numbers of milliseconds since 1970, UTC, and what is `None` is `null`. Nothing in it is secret.
///
/// ```
/// use session_core::{MemoryStore, Owner, SessionConfig, SessionManager};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let sessions = SessionManager::new(MemoryStore::new(), SessionConfig::builder().build()?);
///
/// let ada = Owner::new("ada")?;
/// let new = sessions.begin(Some("192.0.2.1".parse()?), Some("curl/8.5"))?;
/// new.login(ada.clone());
/// new.issue().await?;
///
/// let answer = serde_json::to_value(sessions.sessions_of(&ada).await?)?;
/// assert_eq!(answer[0]["address"], "192.0.2.1");
/// assert!(answer[0]["accessed_at"].is_i64(), "milliseconds");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[non_exhaustive]
pub struct SessionInfo {
    /// Names the session in [`SessionManager::revoke_of`]; public, and no way in.
    pub id: SessionId,
    /// Whose it is.
    pub owner: Option<Owner>,
    /// When it began, or its owner last signed in.
    pub created_at: Timestamp,
    /// When it was last used, to within the touch interval.
    pub accessed_at: Timestamp,
    /// When it ends if it is not used; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// The client's address at creation or login.
    pub address: Option<IpAddr>,
    /// The client's user agent at creation or login, cut at 256 bytes.
    #[serde(serialize_with = "crate::in_json::agent")]
    pub agent: Option<Arc<str>>,
}

impl SessionManager {
    /// A manager of `store`, which may be an `Arc` of one.
    pub fn new(store: impl IntoStore, config: SessionConfig) -> Self {
        Self::of(store, Arc::new(config), None)
    }

    pub(crate) fn of(
        store: impl IntoStore,
        config: Arc<SessionConfig>,
        sealed: Option<Arc<Sealed>>,
    ) -> Self {
        Self(Arc::new(Shared {
            store: store.into_store(),
            config,
            sealed,
            queues: OnceLock::new(),
            endings: Endings::default(),
            sweeping: tokio::sync::Mutex::new(()),
        }))
    }

    /// The configuration.
    #[must_use]
    pub fn config(&self) -> &SessionConfig {
        &self.0.config
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn Store> {
        &self.0.store
    }

    /// The configuration, to be shared with another manager.
    #[cfg(feature = "sealed")]
    pub(crate) fn shared_config(&self) -> &Arc<SessionConfig> {
        &self.0.config
    }

    /// Whether both are clones of one manager.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Asks the store whether it is there and accepts writes.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`].
    pub async fn ping(&self) -> Result<(), Error> {
        const OPERATION: &str = "asking the store";
        let answer = self.deadline().bound(self.0.store.ping()).await;
        settle(OPERATION, answer)
    }

    /// The live sessions of `owner`, the latest used first.
    ///
    /// ```
    /// # use session_core::{Error, Owner, Session, SessionInfo, SessionManager};
    /// async fn other_devices(
    ///     sessions: &SessionManager,
    ///     session: &Session,
    ///     user: &Owner,
    /// ) -> Result<Vec<SessionInfo>, Error> {
    ///     let mut devices = sessions.sessions_of(user).await?;
    ///     devices.retain(|device| Some(device.id) != session.id());
    ///     Ok(devices)
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the store did not answer; a partial list is never given.
    pub async fn sessions_of(&self, owner: &Owner) -> Result<Vec<SessionInfo>, Error> {
        const OPERATION: &str = "listing an owner's sessions";
        let now = self.now();
        let mut sessions = Vec::new();
        for id in self.owned_by(OPERATION, owner).await? {
            let record = match self.load(OPERATION, &id, &self.deadline()).await {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                Err(error) if error.kind() == ErrorKind::Corrupt => continue,
                Err(error) => return Err(error),
            };
            let live = self.0.config.options.ignore_expiry || !record.is_expired(now);
            if record.owner.as_ref() == Some(owner) && live {
                sessions.push(SessionInfo::of(id, &record));
            }
        }
        sessions.sort_by_key(|session| (std::cmp::Reverse(session.accessed_at), session.id));
        Ok(sessions)
    }

    /// Ends one session, whoever's it is and also if its secret was renewed meanwhile; says whether
    /// there was one.
    ///
    /// This is for an administrator, and for ids that no client has sent: an id is no secret, and who
    /// sends one need not be whose session it names. For a button of a device list see
    /// [`revoke_of`](Self::revoke_of).
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the session may still be there.
    pub async fn revoke(&self, id: &SessionId) -> Result<bool, Error> {
        let written = self
            .delete("revoking the session", id, Only::Any, &self.deadline())
            .await?;
        if written == Written::Done {
            self.tell(EventKind::Revoked(Revocation::Id), Some(*id), None, None);
        }
        Ok(written == Written::Done)
    }

    /// Ends one session of `owner`; says whether it was one of theirs.
    ///
    /// Whether a sealed session was cannot be known: the answer is `true` once it is sure that
    /// it is not alive as one of theirs.
    ///
    /// A request's own session is ended by [`Session::logout`](crate::Session::logout). Ended here, its
    /// cookie stays, and where the same request goes on to change it, be it by a flash, a form is
    /// answered 409 ([`Gone`](ErrorKind::Gone)).
    ///
    /// ```
    /// # use session_core::{Error, Session, SessionId, SessionManager};
    /// /// A device list's button: its id comes from the client, and may be anybody's.
    /// async fn end(sessions: &SessionManager, session: &Session, id: &SessionId) -> Result<bool, Error> {
    ///     match session.owner() {
    ///         Some(_) if session.id() == Some(*id) => {
    ///             session.logout();
    ///             Ok(true)
    ///         }
    ///         Some(user) => sessions.revoke_of(&user, id).await,
    ///         None => Ok(false),
    ///     }
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the session may still be there.
    /// [`ErrorKind::Contended`]: it changed hands time and again.
    pub async fn revoke_of(&self, owner: &Owner, id: &SessionId) -> Result<bool, Error> {
        self.revoke_as(Revocation::Owned, owner, id).await
    }

    async fn revoke_as(
        &self,
        by: Revocation,
        owner: &Owner,
        id: &SessionId,
    ) -> Result<bool, Error> {
        const OPERATION: &str = "revoking an owner's session";
        if let Some(sealed) = self.sealed_by() {
            sealed.revoke_of(owner, id).await?;
            self.tell(EventKind::Revoked(by), Some(*id), Some(owner), None);
            return Ok(true);
        }
        let deadline = self.deadline();
        let mut listed = false;
        for _ in 0..REVOKE_TRIES_MAX {
            let only = match self.load(OPERATION, id, &deadline).await {
                Ok(None) => return Ok(false),
                // A cache may have it as it was before its login, and forgets what is listed.
                Ok(Some(record)) if record.owner.as_ref() != Some(owner) => {
                    if listed || !self.owned_by(OPERATION, owner).await?.contains(id) {
                        return Ok(false);
                    }
                    listed = true;
                    continue;
                }
                Ok(Some(record)) => Only::Generation(record.generation),
                // Whose it is cannot be read; where the index says theirs, it ends (rule F2).
                Err(error)
                    if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NewerFormat) =>
                {
                    if !self.owned_by(OPERATION, owner).await?.contains(id) {
                        return Err(error);
                    }
                    Only::Any
                }
                Err(error) => return Err(error),
            };
            match self.delete(OPERATION, id, only, &deadline).await? {
                Written::Done => {
                    self.tell(EventKind::Revoked(by), Some(*id), Some(owner), None);
                    return Ok(true);
                }
                Written::Gone => return Ok(false),
                // Renewed or signed in meanwhile: whose it is now is to be seen again.
                Written::Conflict => {}
            }
        }
        Err(contended(OPERATION))
    }

    /// Signs `owner` out everywhere, but for the session `except`; returns how many ended.
    ///
    /// Every login acknowledged before the call is ended: it repeats until only `except`
    /// remains (rule O2). Sealed sessions cannot be counted: for them it returns 1.
    ///
    /// Where a request's own session is to end as well, name it as `except` and call
    /// [`Session::logout`](crate::Session::logout): with `None` it ends, too, but its cookie stays, and
    /// where the same request goes on to change it a form is answered 409 ([`Gone`](ErrorKind::Gone)).
    ///
    /// ```
    /// # use session_core::{Error, Owner, Session, SessionManager};
    /// /// Whoever else is signed in with the old password is signed out.
    /// async fn password_changed(sessions: &SessionManager, session: &Session) -> Result<(), Error> {
    ///     let Some(user) = session.owner() else { return Ok(()) };
    ///     session.renew();
    ///     sessions.revoke_owner(&user, session.id().as_ref()).await?;
    ///     Ok(())
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: some sessions may remain; call again.
    /// [`ErrorKind::Contended`]: new logins arrived faster than they were ended.
    pub async fn revoke_owner(
        &self,
        owner: &Owner,
        except: Option<&SessionId>,
    ) -> Result<u64, Error> {
        const OPERATION: &str = "signing an owner out everywhere";
        if let Some(sealed) = self.sealed_by() {
            sealed.revoke_owner(owner, except).await?;
            // Which sessions these were is not known: one event speaks for all.
            let kind = EventKind::Revoked(Revocation::Owner);
            self.tell(kind, None, Some(owner), None);
            return Ok(1);
        }
        let mut ended = 0;
        for _ in 0..REVOKE_TRIES_MAX {
            let (mut found, mut failed) = (false, None);
            for id in self.owned_by(OPERATION, owner).await? {
                if Some(&id) == except {
                    continue;
                }
                // One that cannot be ended must not keep the others alive.
                match self.revoke_as(Revocation::Owner, owner, &id).await {
                    Ok(false) => {}
                    Ok(true) => {
                        found = true;
                        ended += 1;
                    }
                    Err(error) => failed = Some(error),
                }
            }
            match failed {
                Some(error) => return Err(error),
                None if found => {}
                None => return Ok(ended),
            }
        }
        Err(contended(OPERATION))
    }

    /// Up to about `limit` ids from where `cursor` stands: every session of the store, expired
    /// ones included. See [`Store::scan`].
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`].
    pub async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, Error> {
        let answer = self
            .deadline()
            .bound(self.0.store.scan(cursor, limit))
            .await;
        settle("scanning the store", answer)
    }

    /// Removes every expired record now, in batches; returns how many. Waits for a sweep that
    /// is already running.
    ///
    /// With `ignore_expiry` it removes nothing.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Unavailable`]: the store did not answer within a minute for one batch.
    pub async fn sweep(&self) -> Result<u64, Error> {
        self.sweep_while(|| true, |_| {}).await
    }

    /// Sweeps batch by batch as long as `go_on` says so, and reports each batch.
    pub(crate) async fn sweep_while(
        &self,
        go_on: impl Fn() -> bool,
        report: impl Fn(u64),
    ) -> Result<u64, Error> {
        let _one_at_a_time = self.0.sweeping.lock().await;
        let mut removed = 0;
        while go_on() {
            let batch = self.sweep_batch(SWEEP_BATCH).await?;
            report(batch);
            #[cfg(feature = "metrics")]
            metrics::counter!("session_swept_total").increment(batch);
            removed += batch;
            if batch < SWEEP_BATCH as u64 {
                break;
            }
            tokio::task::yield_now().await;
        }
        Ok(removed)
    }

    async fn sweep_batch(&self, limit: usize) -> Result<u64, Error> {
        let options = &self.0.config.options;
        if options.ignore_expiry {
            return Ok(0);
        }
        let before = self.now().before(options.clock_skew);
        // A batch of a large store may take longer than a request can wait.
        let deadline = Deadline::after(options.store_timeout.max(Duration::from_secs(60)));
        let answer = deadline.bound(self.0.store.sweep(before, limit)).await;
        settle("sweeping expired sessions", answer)
    }

    /// What seals the sessions, where their clients keep them.
    pub(crate) fn sealed_by(&self) -> Option<&Arc<Sealed>> {
        self.0.sealed.as_ref()
    }

    /// The text by which the client is let in next time.
    pub(crate) fn expose(&self, token: &Token, record: &Record) -> Result<String, Error> {
        match self.sealed_by() {
            Some(sealed) => sealed.seal(token, record),
            None => Ok(token.expose(self.0.config.token_keys.as_ref())),
        }
    }

    /// The present moment, by the clock that the sessions go by: the system's, or the one that a test
    /// moves ([`SessionConfigBuilder::clock`](crate::SessionConfigBuilder::clock)).
    ///
    /// "Signed in at most ten minutes ago" for something that matters:
    ///
    /// ```
    /// # use std::time::Duration;
    /// # use session_core::{Session, SessionManager};
    /// fn is_fresh(sessions: &SessionManager, session: &Session) -> bool {
    ///     // A login counts as the session's beginning.
    ///     let begun = session.created_at().filter(|_| session.owner().is_some());
    ///     begun.is_some_and(|begun| sessions.now().since(begun) < Duration::from_secs(600))
    /// }
    /// ```
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.0.config.options.clock.now()
    }

    pub(crate) fn deadline(&self) -> Deadline {
        Deadline::after(self.0.config.options.store_timeout)
    }

    pub(crate) fn queues(&self) -> &Arc<Queues> {
        self.0.queues.get_or_init(Arc::default)
    }

    pub(crate) fn endings(&self) -> &Endings {
        match self.sealed_by() {
            // The manager of one exchange is not where others wait.
            Some(sealed) => sealed.endings(),
            None => &self.0.endings,
        }
    }

    pub(crate) async fn load(
        &self,
        operation: &'static str,
        id: &SessionId,
        deadline: &Deadline,
    ) -> Result<Option<Arc<Record>>, Error> {
        match self.store().in_memory(id) {
            Some(record) => Ok(Some(record)),
            None => self.load_stored(operation, id, deadline).await,
        }
    }

    /// As [`load`](Self::load), for what is not in the store's memory.
    pub(crate) async fn load_stored(
        &self,
        operation: &'static str,
        id: &SessionId,
        deadline: &Deadline,
    ) -> Result<Option<Arc<Record>>, Error> {
        let answer = deadline.bound(self.store().load(id)).await;
        // Shared at once: it is large, and passed from hand to hand.
        Ok(settle(operation, answer)?.map(Arc::new))
    }

    /// Deletes; a lost answer is resolved by looking whether the record is gone (rule C5).
    pub(crate) async fn delete(
        &self,
        operation: &'static str,
        id: &SessionId,
        only: Only,
        deadline: &Deadline,
    ) -> Result<Written, Error> {
        let answer = deadline.bound_in_part(self.0.store.delete(id, only)).await;
        let written = match settle(operation, answer) {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                match self.load(operation, id, deadline).await {
                    Ok(None) => Ok(Written::Done),
                    _ => Err(error),
                }
            }
            answer => answer,
        };
        // Also of an error: it may have happened, and who waits for the end looks by itself.
        self.endings().tell(id);
        written
    }

    pub(crate) async fn owned_by(
        &self,
        operation: &'static str,
        owner: &Owner,
    ) -> Result<Vec<SessionId>, Error> {
        let answer = self.deadline().bound(self.0.store.owned_by(owner)).await;
        settle(operation, answer)
    }
}

impl fmt::Debug for SessionManager {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionManager")
            .field("store", &self.0.store)
            .field("config", &self.0.config)
            .finish()
    }
}

impl SessionInfo {
    pub(crate) fn of(id: SessionId, record: &Record) -> Self {
        Self {
            id,
            owner: record.owner.clone(),
            created_at: record.created_at,
            accessed_at: record.accessed_at,
            expires_at: record.expires_at(),
            address: record.address,
            agent: record.agent.clone(),
        }
    }
}

/// Records removed by one call to the store.
pub(crate) const SWEEP_BATCH: usize = 1_000;
/// How often a revocation looks again before it says that it cannot keep up.
const REVOKE_TRIES_MAX: usize = 100;

/// Turns a store's answer, or its silence, into the caller's.
pub(crate) fn settle<T>(
    operation: &'static str,
    answer: Result<Result<T, StoreError>, crate::deadline::Elapsed>,
) -> Result<T, Error> {
    let error = match answer {
        Ok(Ok(answer)) => return Ok(answer),
        Ok(Err(error)) => error,
        Err(_) => StoreError::new(
            StoreErrorKind::Unavailable,
            "the store did not answer within store_timeout",
        ),
    };
    // Here, where each of them comes by: what becomes of the error is the handler's choice.
    match error.kind() {
        StoreErrorKind::TooLarge | StoreErrorKind::Unsupported => {}
        _ => {
            let cause = cause(&error);
            tracing::warn!(target: "session", operation, %error, cause, "the store failed");
        }
    }
    Err(Error::from_store(operation, error))
}

fn contended(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::Contended,
        format!("{operation} failed: the session kept changing"),
    )
}
