//! Ending sessions that their clients keep: one record per owner says which of them are dead.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zeroize::Zeroizing;

use crate::clock::Timestamp;
use crate::commit::{contended, jitter};
use crate::config::SessionConfig;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::expiry::Expiry;
use crate::http::Lifetime;
use crate::id::{Secret, SessionId, Token};
use crate::keys::KeyRing;
use crate::manager::{SessionManager, settle};
use crate::plan::is_expired;
use crate::queue::Queues;
use crate::record::{Generation, Owner, Previous, Record, Version};
use crate::revoked::{Revoked, Verdict};
use crate::store::{Created, IntoStore, Only, Store, Written};

impl SessionManager {
    /// A manager of sealed sessions that can be ended: `store` keeps one record per owner, which
    /// says which of the owner's sessions are dead. Logout, renewal and "sign out everywhere" are then
    /// final, at one read a request.
    ///
    /// `store` may be any; one of its own, or a prefix of its own, keeps these records apart from
    /// sessions. A cache in front of it delays what was revoked elsewhere by its `max_stale`.
    /// [`revoke_owner`](Self::revoke_owner) and [`revoke_of`](Self::revoke_of) work,
    /// [`ping`](Self::ping) asks the store, and [`sweep`](Self::sweep) removes records that are
    /// about nothing any more. `sessions_of`, `revoke` and `scan` remain
    /// [`Unsupported`](ErrorKind::Unsupported), since nobody keeps a list; an application that
    /// wants to show devices keeps one of its own, by `session.id()`, and ends one with
    /// `revoke_of`.
    ///
    /// What the store forgets lives again: a cookie that was ended is let in, until its own end,
    /// once the record that says so is lost to a restart (a [`MemoryStore`](crate::MemoryStore)
    /// remembers nothing beyond its process), an eviction, a backup that was played back, or
    /// [`revoke_all`](Self::revoke_all) of a manager whose sessions are in the same place. So
    /// choose a store that keeps what it acknowledged for as long as a logout has to hold.
    ///
    /// What ends a session is written on condition of the version that was read, before the answer
    /// leaves; a failure is an error and never a success (rule F1). A lost answer is looked up (rule
    /// C5), and the change is merged in again if it is not there: merging it twice does what merging it
    /// once does, so this cannot count anything twice.
    ///
    /// A record's id is BLAKE3 of the owner under a key derived from the ring's, so who reads the store
    /// does not learn whose it is, and no session has that id. While the ring has older keys, their
    /// records are read too, and what is new is written under the first. So a key is
    /// [changed in three steps](KeyRing#to-change-the-key), and kept for longer in the last: an older one
    /// is dropped only when nothing under it can be alive, which is after twice the longest time-out
    /// of any session, at most 800 days, from when the last node no longer signed with it. What was
    /// ended under a key that is dropped sooner lives again, if a copy of its cookie is under another.
    ///
    /// A session's own time-out is limited to 400 days; `set_timeout` refuses more. A change of it is a
    /// renewal: so all cookies of a generation have one time-out, and it is known how long its end has
    /// to be remembered. An owner's record holds at most 1,000 sessions that ended; of more, the older
    /// half is replaced by signing the owner out of whatever began before them.
    ///
    /// # Cost
    ///
    /// - Reading a session with an owner: one `load`, after the cookie was opened and found unexpired.
    ///   A session without an owner costs none, nor does a request that asks for no session.
    /// - Storing something in a session with an owner: one more, so that nothing is stored in a session
    ///   that has ended. A login reads the new owner's record, so as to be issued after whatever was
    ///   revoked.
    /// - `logout`, `destroy`, `renew`, a changed time-out, and `login` over a session with an owner: one
    ///   conditional write.
    /// - Each older key of the ring: one more `load`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: the configuration has no `secret_key`, a `timeout` over 400 days,
    /// `ignore_expiry`, since what is revoked could never be forgotten, or `owner_sessions_max`,
    /// since nobody keeps a list.
    ///
    /// ```
    /// use session_core::{KeyRing, MemoryStore, Owner, SessionConfig, SessionManager};
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), session_core::Error> {
    ///
    /// let config = SessionConfig::builder().secret_key(KeyRing::generate()?).build()?;
    /// let sessions = SessionManager::sealed_with_revocations(config, MemoryStore::new())?;
    /// sessions.revoke_owner(&Owner::new("ada")?, None).await?;
    /// # Ok(()) }
    /// ```
    pub fn sealed_with_revocations(
        config: SessionConfig,
        store: impl IntoStore,
    ) -> Result<Self, Error> {
        if config.options.ignore_expiry {
            return Err(Error::new(
                ErrorKind::Invalid,
                "ignore_expiry and revocations of sealed sessions: what is revoked could never be forgotten, so choose one",
            ));
        }
        if config.options.timeout > TIMEOUT_MAX {
            return Err(Error::new(
                ErrorKind::Invalid,
                "timeout is over 400 days, for which no revocation of a sealed session is remembered: shorten it",
            ));
        }
        Self::sealed_by_keys(config, Some(store.into_store()))
    }
}

/// Which sealed sessions are dead, by the word of a store.
pub(crate) struct Revocations {
    store: Arc<dyn Store>,
    /// In the ring's order.
    keys: Vec<Zeroizing<[u8; 32]>>,
    config: Arc<SessionConfig>,
    /// Writers of one owner's record wait for each other instead of colliding.
    queues: Arc<Queues>,
}

impl Revocations {
    pub(crate) fn new(store: Arc<dyn Store>, ring: &KeyRing, config: Arc<SessionConfig>) -> Self {
        Self {
            store,
            keys: ring.derived(CONTEXT, config.cookie_name()).collect(),
            config,
            queues: Arc::default(),
        }
    }

    /// What a store of sessions would hold of the one that a cookie holds as `record`: nothing if
    /// it has ended; if it was renewed, a record under another secret, which remembers the
    /// cookie's for `grace` (rule I6).
    pub(crate) async fn as_stored(
        &self,
        operation: &'static str,
        id: &SessionId,
        record: &Arc<Record>,
    ) -> Result<Option<Arc<Record>>, Error> {
        let as_it_is = || Ok(Some(Arc::clone(record)));
        let Some(owner) = &record.owner else {
            return as_it_is();
        };
        if is_expired(record, self.now(), &self.config) {
            return as_it_is();
        }
        // Sealed before there were revocations: its end would be forgotten while it lives.
        if timeout_of(record).is_none() {
            return Ok(None);
        }
        let found = self.load(operation, owner, &self.deadline()).await?;
        Ok(match found.verdict(id, record) {
            Verdict::Lives => Some(Arc::clone(record)),
            Verdict::Ended => None,
            Verdict::Renewed { at, lives_from } => Some(Arc::new(Record {
                generation: lives_from,
                secret: Token::blank(*id).digest(),
                previous: Some(Box::new(Previous {
                    secret: record.secret,
                    until: Some(self.time_of(at).after(self.config.options.grace)),
                    valid: false,
                })),
                ..Record::clone(record)
            })),
        })
    }

    /// Whether a handle that was let in to `base` may still act on it (rule C3).
    pub(crate) async fn check(
        &self,
        operation: &'static str,
        id: &SessionId,
        base: &Record,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let Some(owner) = &base.owner else {
            return Ok(());
        };
        match self
            .load(operation, owner, deadline)
            .await?
            .verdict(id, base)
        {
            Verdict::Lives => Ok(()),
            Verdict::Renewed { .. } | Verdict::Ended => Err(Error::gone(operation)),
        }
    }

    /// Prepares for `record` to be sealed in place of `base`: nothing is sealed of a session that
    /// has ended, and the generation that is replaced is dead.
    pub(crate) async fn before_write(
        &self,
        operation: &'static str,
        id: &SessionId,
        base: Option<&Record>,
        record: &mut Record,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        if record.owner.is_some() && timeout_of(record).is_none() {
            return Err(too_long());
        }
        let replaced = base.and_then(|base| Some((base, base.owner.as_ref()?)));
        if let Some((base, _)) = replaced
            && base.generation == record.generation
        {
            return self.check(operation, id, base, deadline).await;
        }
        let present = replaced.map(|(_, owner)| owner);
        let another = record.owner.as_ref();
        let another = another.filter(|owner| present != Some(*owner));
        let mut floor = None;
        // First what can fail and changes nothing: the present cookie must not die for a login
        // that does not happen.
        if let Some(owner) = another {
            let found = self.load(operation, owner, deadline).await?;
            floor = Some(found.floor(id, record.generation));
        }
        if let Some((base, owner)) = replaced {
            let found = self
                .change(operation, owner, deadline, |found, now, in_doubt| {
                    match found.verdict(id, base) {
                        Verdict::Lives => {
                            let (at, until) = self.bound_over(found, base, now);
                            found.first.end_one(id, Some(record.generation), at, until);
                            Ok(())
                        }
                        // It may be this very change that is met.
                        _ if in_doubt => Err(unknown(operation)),
                        _ => Err(Error::gone(operation)),
                    }
                })
                .await?;
            if another.is_none() {
                floor = Some(found.floor(id, record.generation));
            }
        }
        if let Some(floor) = floor.filter(|_| record.owner.is_some()) {
            // Signing in right after signing out everywhere must work, although that reaches a
            // little into the future.
            record.secret_at = record.secret_at.max(floor);
        }
        Ok(())
    }

    /// Writes down that the session ends.
    pub(crate) async fn before_delete(
        &self,
        operation: &'static str,
        id: &SessionId,
        base: &Record,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let Some(owner) = &base.owner else {
            return Ok(());
        };
        self.change(operation, owner, deadline, |found, now, _| {
            match found.verdict(id, base) {
                Verdict::Lives => {
                    let (at, until) = self.bound_over(found, base, now);
                    found.first.end_one(id, None, at, until);
                    Ok(())
                }
                // Already ended is as good: someone else did it.
                Verdict::Ended => Ok(()),
                // A request ends only the session it was let into.
                Verdict::Renewed { .. } => Err(Error::gone(operation)),
            }
        })
        .await
        .map(drop)
    }

    /// Ends one session of the owner, of whatever generation.
    pub(crate) async fn revoke_of(&self, owner: &Owner, id: &SessionId) -> Result<(), Error> {
        const OPERATION: &str = "revoking an owner's session";
        let mut decided = None;
        self.change(OPERATION, owner, &self.deadline(), |found, now, _| {
            let at = *decided.get_or_insert_with(|| self.bound(found, now));
            found.first.end_one(id, None, at, self.until_any(at));
            Ok(())
        })
        .await?;
        Ok(())
    }

    /// Ends whatever session of the owner's was given out before, but for `except`.
    pub(crate) async fn revoke_owner(
        &self,
        owner: &Owner,
        except: Option<&SessionId>,
    ) -> Result<(), Error> {
        const OPERATION: &str = "signing an owner out everywhere";
        let deadline = self.deadline();
        match self.end_all(OPERATION, owner, except, &deadline).await {
            // Nobody is let in by such a record, so to end all says no less than it did. Which
            // session it had ended is not known: none is spared (rule F2).
            Err(error) if error.kind() == ErrorKind::Corrupt => {
                tracing::error!(target: "session", %error, "the record is replaced");
                self.remove_corrupt(OPERATION, owner, &deadline).await?;
                self.end_all(OPERATION, owner, None, &deadline).await
            }
            ended => ended,
        }
    }

    async fn end_all(
        &self,
        operation: &'static str,
        owner: &Owner,
        except: Option<&SessionId>,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        // Decided once: another attempt means the same, and ends nothing that began meanwhile.
        let mut decided = None;
        self.change(operation, owner, deadline, |found, now, _| {
            let at = *decided.get_or_insert_with(|| self.bound(found, now));
            found.first.end_all(at, self.until_any(at), except);
            Ok(())
        })
        .await
        .map(drop)
    }

    async fn remove_corrupt(
        &self,
        operation: &'static str,
        owner: &Owner,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        for id in self.ids(owner) {
            match self.load_one(operation, &id, deadline).await {
                Err(error) if error.kind() == ErrorKind::Corrupt => {
                    let deleted = deadline.bound(self.store.delete(&id, Only::Any)).await;
                    let _gone = settle(operation, deleted)?;
                }
                found => drop(found?),
            }
        }
        Ok(())
    }

    /// Merges a change into the owner's record, again and again until it is there; returns what
    /// is revoked then.
    ///
    /// `merge` gets what is revoked, the time, and whether an earlier attempt may have been
    /// carried out. It may run several times, and must mean the same each time.
    async fn change(
        &self,
        operation: &'static str,
        owner: &Owner,
        deadline: &Deadline,
        mut merge: impl FnMut(&mut Found, Timestamp, bool) -> Result<(), Error>,
    ) -> Result<Found, Error> {
        let id = self.ids(owner)[0];
        let turn = self.queues.enter(id, deadline).await;
        let _turn = turn.map_err(|_| contended(operation))?;
        let mut in_doubt: Option<Version> = None;
        let mut tries = 0_u32;
        loop {
            let mut found = self.load(operation, owner, deadline).await?;
            let version = found.record.as_ref().map(|record| record.version);
            if in_doubt.is_some() && version == in_doubt {
                return Ok(found);
            }
            let now = self.now();
            found.first.forget(now);
            let before = found.first.clone();
            merge(&mut found, now, in_doubt.is_some())?;
            if found.first == before {
                return Ok(found);
            }
            found.first.fold(self.until_any(now));
            let record = found.next(&id, now)?;
            match self.write(operation, &id, &record, version, deadline).await {
                Ok(true) => return Ok(found),
                Ok(false) => {}
                // It may have happened: the look that follows tells, or that it did not.
                Err(error) if error.kind() == ErrorKind::Unavailable && in_doubt.is_none() => {
                    in_doubt = Some(record.version);
                }
                Err(error) => return Err(error),
            }
            if tries > 0 {
                deadline.sleep(jitter(tries)?).await;
            }
            if deadline.has_passed() {
                return Err(contended(operation));
            }
            tries = tries.saturating_add(1);
        }
    }

    /// One conditional write; says whether it was made.
    async fn write(
        &self,
        operation: &'static str,
        id: &SessionId,
        record: &Record,
        expected: Option<Version>,
        deadline: &Deadline,
    ) -> Result<bool, Error> {
        match expected {
            Some(expected) => {
                let update = self.store.update(id, record, expected);
                let written = settle(operation, deadline.bound_in_part(update).await)?;
                Ok(written == Written::Done)
            }
            None => {
                let create = self.store.create(id, record);
                let created = settle(operation, deadline.bound_in_part(create).await)?;
                Ok(created == Created::Done)
            }
        }
    }

    async fn load(
        &self,
        operation: &'static str,
        owner: &Owner,
        deadline: &Deadline,
    ) -> Result<Found, Error> {
        let mut found = Found::default();
        for (at, id) in self.ids(owner).iter().enumerate() {
            let Some((record, revoked)) = self.load_one(operation, id, deadline).await? else {
                continue;
            };
            if at == 0 {
                found.record = Some(record);
                found.first = revoked;
            } else {
                found.older.push(revoked);
            }
        }
        Ok(found)
    }

    async fn load_one(
        &self,
        operation: &'static str,
        id: &SessionId,
        deadline: &Deadline,
    ) -> Result<Option<(Record, Revoked)>, Error> {
        let Some(record) = settle(operation, deadline.bound(self.store.load(id)).await)? else {
            return Ok(None);
        };
        let revoked = Revoked::parse(&record.data)?;
        Ok(Some((record, revoked)))
    }

    /// The ids of the owner's records, the one that is written first.
    fn ids(&self, owner: &Owner) -> Vec<SessionId> {
        let ids = self.keys.iter().map(|key| {
            let hash = blake3::keyed_hash(key, owner.as_str().as_bytes());
            let mut id = [0; SessionId::BYTES];
            id.copy_from_slice(&hash.as_bytes()[..SessionId::BYTES]);
            SessionId::from_bytes(id)
        });
        ids.collect()
    }

    /// A time after all that can have been issued until `now`: by a node whose clock is ahead, or
    /// right after what is revoked.
    fn bound(&self, found: &Found, now: Timestamp) -> Timestamp {
        now.after(self.config.options.clock_skew).max(found.end())
    }

    /// A time at which `base` has been issued for certain, even if the clock was set back since;
    /// and how long that has to be remembered.
    fn bound_over(&self, found: &Found, base: &Record, now: Timestamp) -> (Timestamp, Timestamp) {
        let at = self.bound(found, now).max(base.secret_at);
        let timeout = timeout_of(base).unwrap_or(TIMEOUT_MAX);
        (at, self.remember(timeout, now.max(self.time_of(at))))
    }

    /// When a bound was written, or a little later.
    fn time_of(&self, bound: Timestamp) -> Timestamp {
        bound.before(self.config.options.clock_skew)
    }

    /// How long the end of a session has to be remembered of which nothing is known.
    fn until_any(&self, now: Timestamp) -> Timestamp {
        self.remember(TIMEOUT_MAX, now)
    }

    /// A request that was let in before can put the session's end off once more until the time-out
    /// is over, and what it seals lives for as long again.
    fn remember(&self, timeout: Duration, now: Timestamp) -> Timestamp {
        let once = timeout.saturating_add(self.config.options.clock_skew);
        now.after(once.saturating_mul(2))
    }

    fn now(&self) -> Timestamp {
        self.config.options.clock.now()
    }

    fn deadline(&self) -> Deadline {
        Deadline::after(self.config.options.store_timeout)
    }
}

impl fmt::Debug for Revocations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Revocations")
            .field("store", &self.store)
            .finish_non_exhaustive()
    }
}

/// What is revoked of one owner.
#[derive(Default)]
struct Found {
    /// The record under the ring's first key, and what it says.
    record: Option<Record>,
    first: Revoked,
    /// What the records under older keys say.
    older: Vec<Revoked>,
}

impl Found {
    fn all(&self) -> impl Iterator<Item = &Revoked> {
        std::iter::once(&self.first).chain(&self.older)
    }

    fn verdict(&self, id: &SessionId, record: &Record) -> Verdict {
        let mut verdict = Verdict::Lives;
        for revoked in self.all() {
            match revoked.verdict(id, record) {
                Verdict::Ended => return Verdict::Ended,
                Verdict::Lives => {}
                renewed @ Verdict::Renewed { .. } => verdict = renewed,
            }
        }
        verdict
    }

    /// The earliest time at which this generation of the session can be issued and live.
    fn floor(&self, id: &SessionId, generation: Generation) -> Timestamp {
        let floors = self.all().map(|revoked| revoked.floor(id, generation));
        floors.max().unwrap_or(Timestamp::from_unix_ms(i64::MIN))
    }

    fn end(&self) -> Timestamp {
        let ends = self.all().map(Revoked::end);
        ends.max().unwrap_or(Timestamp::from_unix_ms(i64::MIN))
    }

    /// The record to write: nobody holds its secret, and it is in no owner's index.
    fn next(&self, id: &SessionId, now: Timestamp) -> Result<Record, Error> {
        let mut record = match &self.record {
            Some(record) => Record {
                version: record.version.next()?,
                ..record.clone()
            },
            None => Record::new(Secret::random()?.digest(id), now, Expiry::NEVER)?,
        };
        record.accessed_at = record.accessed_at.max(now);
        record.expiry = Expiry::new(None, Some(self.first.until()));
        record.data = self.first.to_data()?;
        Ok(record)
    }
}

/// The time-out of a session whose end can be remembered for long enough.
fn timeout_of(record: &Record) -> Option<Duration> {
    let timeout = record.expiry.timeout();
    timeout.filter(|timeout| *timeout <= TIMEOUT_MAX)
}

/// The error of a longer one.
pub(crate) fn too_long() -> Error {
    Error::new(
        ErrorKind::Invalid,
        "a sealed session whose end is remembered has a time-out of at most 400 days",
    )
}

fn unknown(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::Unavailable,
        format!("{operation} failed: whether an earlier attempt happened cannot be known"),
    )
}

/// What browsers keep a cookie for, so that `remember` is never refused.
pub(crate) const TIMEOUT_MAX: Duration = Lifetime::MAX;
const CONTEXT: &str = "session-kit 2026-11-21 revocation record id v1";

#[cfg(test)]
#[path = "revocations_tests.rs"]
mod tests;
