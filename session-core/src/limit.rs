//! How many sessions an owner may have at once, looked at when one more begins.

use crate::clock::Timestamp;
use crate::error::{Error, ErrorKind};
use crate::event::{EventKind, Revocation};
use crate::id::{SessionId, Token};
use crate::manager::SessionManager;
use crate::plan::{CookieMove, is_expired};
use crate::record::{Generation, Owner, Record};
use crate::session::Session;
use crate::state::{Life, Scope, initial_or_none};
use crate::store::{Only, Written};

/// What a login does that is one too many for its owner; see
/// [`owner_sessions_max`](crate::SessionConfigBuilder::owner_sessions_max).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OnTooMany {
    /// The owner's other sessions end, those used longest ago first.
    ///
    /// Of logins that race, each ends what it sees beyond the limit and never itself, so more may
    /// end than had to. If ending them fails, the client is told so (503) and is signed in all the
    /// same; the owner's next login tries again.
    EndOldest,
    /// The login is refused with [`ErrorKind::TooManySessions`] (409): nothing changes, and the
    /// visitor's session stays as it was.
    ///
    /// Logins that race are found out only after they were written; each that finds too many
    /// then withdraws its own, and its session ends. So all of them may be refused, and one more
    /// try succeeds. If the store fails just then, the client is told so (503) and the session
    /// stays, beyond the limit, until one ends.
    Refuse,
}

/// The limit and what keeps it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limit {
    pub(crate) most: usize,
    pub(crate) then: OnTooMany,
}

/// A login that was committed and not yet held against the limit.
#[derive(Clone)]
pub(crate) struct SignedIn {
    owner: Owner,
    /// The session was the owner's before.
    was_theirs: bool,
}

/// Another session of the owner.
struct Other {
    id: SessionId,
    generation: Generation,
    accessed_at: Timestamp,
}

impl Limit {
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.most == 0 {
            return Err(Error::new(
                ErrorKind::Invalid,
                "owner_sessions_max is zero: nobody could sign in",
            ));
        }
        Ok(())
    }

    /// Sessions that their clients keep cannot be counted.
    #[cfg(feature = "sealed")]
    pub(crate) fn refuse_sealed(config: &crate::config::SessionConfig) -> Result<(), Error> {
        match config.options.owner_sessions {
            None => Ok(()),
            Some(_) => Err(Error::new(
                ErrorKind::Invalid,
                "owner_sessions_max is set and sealed sessions cannot be counted: use a store, or take it out",
            )),
        }
    }
}

impl SignedIn {
    /// `before` is the record that the login found.
    pub(crate) fn over(before: Option<&Record>, owner: Owner) -> Self {
        let was_theirs = before.is_some_and(|record| record.owner.as_ref() == Some(&owner));
        Self { owner, was_theirs }
    }
}

impl Session {
    /// Refuses a login that is one too many, before anything is written.
    pub(crate) async fn before_login(
        &self,
        operation: &'static str,
        scope: Scope,
    ) -> Result<(), Error> {
        match self.limit() {
            Some(limit) if limit.then == OnTooMany::Refuse => {
                Box::pin(self.refuse_one_too_many(operation, scope, limit)).await
            }
            _ => Ok(()),
        }
    }

    /// Holds a login that was committed against the limit.
    pub(crate) async fn after_login(&self, operation: &'static str) -> Result<(), Error> {
        match self.limit() {
            Some(limit) => Box::pin(self.keep_limit(operation, limit)).await,
            None => Ok(()),
        }
    }

    /// Whether a committed login waits for [`after_login`](Self::after_login).
    pub(crate) fn owes_limit(&self, life: &Life) -> bool {
        self.limit().is_some() && life.signed_in.is_some()
    }

    fn limit(&self) -> Option<Limit> {
        self.manager().config().options.owner_sessions
    }

    async fn refuse_one_too_many(
        &self,
        operation: &'static str,
        scope: Scope,
        limit: Limit,
    ) -> Result<(), Error> {
        let (owner, leaving) = {
            let state = self.state();
            let life = &state.life;
            let commits = scope == Scope::Everything || life.is_taken_over();
            let Some(login) = life.login.as_ref().filter(|_| commits) else {
                return Ok(());
            };
            let present = life.base.as_ref().and_then(|base| base.owner.as_ref());
            if present == Some(&login.owner) {
                return Ok(());
            }
            // What this request itself ends gives its place up.
            let ended = state.ended.iter().filter_map(|life| life.token.as_ref());
            let leaving: Vec<_> = ended.map(Token::id).collect();
            (login.owner.clone(), leaving)
        };
        let others = self
            .manager()
            .others_of(operation, &owner, &leaving)
            .await?;
        match others.len() < limit.most {
            true => Ok(()),
            false => Err(too_many(operation)),
        }
    }

    async fn keep_limit(&self, operation: &'static str, limit: Limit) -> Result<(), Error> {
        let found = {
            let state = self.state();
            let life = &state.life;
            let signed_in = life.signed_in.clone();
            let own = life.token.as_ref().zip(life.base.as_ref());
            signed_in.zip(own.map(|(token, base)| (life.number, token.id(), base.generation)))
        };
        let Some((signed_in, (number, own, generation))) = found else {
            return Ok(());
        };
        let manager = self.manager();
        match limit.then {
            OnTooMany::EndOldest => {
                let owner = &signed_in.owner;
                manager
                    .end_oldest(operation, owner, &own, limit.most)
                    .await?;
            }
            OnTooMany::Refuse if signed_in.was_theirs => {}
            OnTooMany::Refuse => {
                let owner = &signed_in.owner;
                let others = manager.others_of(operation, owner, &[own]).await?;
                if others.len() >= limit.most {
                    let only = Only::Generation(generation);
                    let deadline = &manager.deadline();
                    let ended = manager.delete(operation, &own, only, deadline).await?;
                    if ended == Written::Done {
                        let kind = EventKind::Revoked(Revocation::Limit);
                        manager.tell(kind, Some(own), Some(owner), None);
                    }
                    self.withdraw(number);
                    return Err(too_many(operation));
                }
            }
        }
        if let Some(life) = self.state().life_mut(number) {
            life.signed_in = None;
        }
        Ok(())
    }

    /// The login's session was ended again: its values may be the owner's, so no visitor goes on
    /// with them.
    fn withdraw(&self, number: u32) {
        let draft = initial_or_none(self.manager());
        let mut state = self.state();
        if state.life.number == number {
            state.token_is_dead |= state.life.is_known;
            state.life = Life::new(number + 1, draft);
            state.cookie = match state.token_is_dead {
                true => CookieMove::Remove,
                false => CookieMove::Keep,
            };
        }
    }
}

impl SessionManager {
    /// Ends what `owner` has beyond `most` sessions, `own` counted and spared.
    async fn end_oldest(
        &self,
        operation: &'static str,
        owner: &Owner,
        own: &SessionId,
        most: usize,
    ) -> Result<(), Error> {
        for _ in 0..TRIES_MAX {
            let others = self.others_of(operation, owner, &[*own]).await?;
            let (mut changed, mut failed) = (false, None);
            for other in others.iter().skip(most.saturating_sub(1)) {
                let only = Only::Generation(other.generation);
                match self
                    .delete(operation, &other.id, only, &self.deadline())
                    .await
                {
                    Ok(Written::Done) => {
                        let kind = EventKind::Revoked(Revocation::Limit);
                        self.tell(kind, Some(other.id), Some(owner), None);
                    }
                    Ok(Written::Gone) => {}
                    // Renewed or signed in meanwhile: whose it is and when it was used is to be
                    // seen again.
                    Ok(Written::Conflict) => changed = true,
                    // One that cannot be ended must not keep the others alive.
                    Err(error) => failed = Some(error),
                }
            }
            match failed {
                Some(error) => return Err(error),
                None if changed => {}
                None => return Ok(()),
            }
        }
        Err(Error::new(
            ErrorKind::Contended,
            format!("{operation} failed: the owner's other sessions kept changing"),
        ))
    }

    /// The live sessions of `owner` but for `except`, the latest used first.
    async fn others_of(
        &self,
        operation: &'static str,
        owner: &Owner,
        except: &[SessionId],
    ) -> Result<Vec<Other>, Error> {
        let (now, config) = (self.now(), self.config());
        let mut others = Vec::new();
        for id in self.owned_by(operation, owner).await? {
            if except.contains(&id) {
                continue;
            }
            let record = match self.load(operation, &id, &self.deadline()).await {
                Ok(Some(record)) => record,
                Ok(None) => continue,
                // What cannot be read keeps nobody out.
                Err(error)
                    if matches!(error.kind(), ErrorKind::Corrupt | ErrorKind::NewerFormat) =>
                {
                    continue;
                }
                Err(error) => return Err(error),
            };
            if record.owner.as_ref() == Some(owner) && !is_expired(&record, now, config) {
                others.push(Other {
                    id,
                    generation: record.generation,
                    accessed_at: record.accessed_at,
                });
            }
        }
        others.sort_by_key(|other| (std::cmp::Reverse(other.accessed_at), other.id));
        Ok(others)
    }
}

/// How often a login looks again at sessions that change under its hands.
const TRIES_MAX: usize = 100;

fn too_many(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::TooManySessions,
        format!("{operation} failed: the owner has as many sessions as owner_sessions_max allows"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::SessionConfig;

    #[test]
    fn o3_a_limit_of_zero_is_refused() {
        for then in [OnTooMany::EndOldest, OnTooMany::Refuse] {
            let config = |most| SessionConfig::builder().owner_sessions_max(most, then);
            let refused = config(0).build().unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid);
            assert!(refused.to_string().contains("owner_sessions_max"));
            assert!(config(1).build().is_ok());
        }
    }

    #[cfg(feature = "sealed")]
    #[test]
    fn o3_sessions_that_cannot_be_counted_have_no_limit() {
        let keys = crate::keys::KeyRing::generate().unwrap();
        let config = SessionConfig::builder().secret_key(keys);
        let limited = config.clone().owner_sessions_max(3, OnTooMany::EndOldest);
        let refused = SessionManager::sealed(limited.build().unwrap()).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
        assert!(refused.to_string().contains("owner_sessions_max"));
        assert!(SessionManager::sealed(config.build().unwrap()).is_ok());
    }

    #[cfg(feature = "sealed")]
    #[test]
    fn o3_nor_have_sealed_sessions_whose_end_is_remembered() {
        let keys = crate::keys::KeyRing::generate().unwrap();
        let config = SessionConfig::builder().secret_key(keys);
        let sealed = |config: crate::SessionConfigBuilder| {
            let store = crate::memory::MemoryStore::new();
            SessionManager::sealed_with_revocations(config.build().unwrap(), store)
        };
        for then in [OnTooMany::EndOldest, OnTooMany::Refuse] {
            let refused = sealed(config.clone().owner_sessions_max(3, then)).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid);
            assert!(refused.to_string().contains("owner_sessions_max"));
        }
        assert!(sealed(config).is_ok());
    }
}
