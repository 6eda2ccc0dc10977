//! A save split in two, to be written inside a transaction of the application's own.

use std::fmt;
use std::sync::Arc;

use crate::commit::{contended, head_sent, refused};
use crate::creation_cap::Place;
use crate::doubt::CommitGuard;
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::plan::Write;
use crate::queue::Ticket;
use crate::record::{Record, Version};
use crate::session::Session;
use crate::state::{Outcome, Scope};

/// A save that is prepared and not yet written.
///
/// Other savers of the session wait until it is confirmed, aborted or dropped, so hold it only
/// for the length of a transaction.
///
/// [`Session::prepare_save`] takes the session's turn and hands out the record that is to be
/// written; a store that can join a transaction writes it there, on condition of
/// [`PendingSave::expected`]; after the commit the save is [confirmed](PendingSave::confirm), after
/// a rollback or a conflict [aborted](PendingSave::abort). One that is dropped without either,
/// because a commit's answer was lost, stays in doubt: the next save looks what became of it
/// (rule C5) before it writes anything.
#[must_use = "the save happens only if it is written and confirmed"]
pub struct PendingSave {
    session: Session,
    ticket: Ticket,
    life: u32,
    record: Arc<Record>,
    outcome: Outcome,
    needs_head: bool,
    expected: Option<Version>,
    place: Option<Place>,
}

impl Session {
    /// Prepares to store the changes made so far; `None` when nothing is changed.
    ///
    /// # Errors
    ///
    /// As for [`save`](Session::save), except for what the write itself can meet.
    pub async fn prepare_save(&self) -> Result<Option<PendingSave>, Error> {
        let prepared = self.prepare().await;
        if let Err(error) = &prepared {
            self.tell_refused(error);
        }
        prepared
    }

    async fn prepare(&self) -> Result<Option<PendingSave>, Error> {
        const OPERATION: &str = "preparing to save the session";
        let manager = self.manager();
        if manager.sealed_by().is_some() {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!("{OPERATION} failed: its client keeps it, so no transaction can"),
            ));
        }
        self.end_after_head(OPERATION).await?;
        self.before_login(OPERATION, Scope::Data).await?;
        let deadline = &manager.deadline();
        let (id, takes_over) = {
            let life = &mut self.state().life;
            (life.identity(OPERATION)?.id(), life.is_taken_over())
        };
        let turn = manager.queues().enter(id, deadline).await;
        let mut ticket = turn.map_err(|_| contended(OPERATION))?;
        let newer = self.look_back(OPERATION, &mut ticket, deadline).await?;

        let now = manager.now();
        let begun = self.state().begin(Scope::Data, now, takes_over, OPERATION);
        let (mut draft, mut attempt) = begun?;
        let open = CommitGuard(self, attempt.life);
        self.bring_up_to_date(OPERATION, &mut attempt, &mut draft, newer, deadline)
            .await?;
        let plan = attempt.plan().map_err(|no| refused(OPERATION, no))?;
        if matches!(plan.write, Write::Nothing | Write::Touch) {
            return Ok(None);
        }
        if attempt.head_sent && attempt.needs_head(&plan) {
            return Err(head_sent(OPERATION));
        }
        let (record, token) = attempt.next(manager, &draft, OPERATION)?;
        let place = match plan.write {
            Write::Create => manager.take_place(OPERATION, attempt.binds_to.as_ref())?,
            _ => None,
        };
        let ended = self.end_before_beginning(OPERATION, &attempt, plan.write);
        if let Err(error) = ended.await {
            manager.give_place_back(place);
            return Err(error);
        }
        let (outcome, needs_head) = (attempt.outcome(&plan, token), attempt.needs_head(&plan));
        open.keep();
        self.doubt(&attempt, record.version, &outcome);
        Ok(Some(PendingSave {
            session: self.clone(),
            ticket,
            life: attempt.life,
            record: Arc::new(record),
            outcome,
            needs_head,
            expected: attempt.base.as_ref().map(|base| base.version),
            place,
        }))
    }
}

impl PendingSave {
    /// The session's id.
    #[must_use]
    pub fn id(&self) -> SessionId {
        self.outcome.token.id()
    }

    /// The record to write.
    #[must_use]
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// The version the stored record must have for the write to happen; `None`: no record may
    /// be there yet.
    #[must_use]
    pub fn expected(&self) -> Option<Version> {
        self.expected
    }

    /// The record is written and the transaction committed.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::HeadSent`]: the response head left meanwhile, so the client will never get the
    /// cookie of the session that this began, or made persistent.
    pub fn confirm(self) -> Result<(), Error> {
        let (record, outcome) = (Arc::clone(&self.record), &self.outcome);
        let mut state = self.session.state();
        let missed = state.head_sent && self.needs_head;
        state.committed(self.life, record, outcome);
        drop(state);
        self.ticket.leave_with(&self.record);
        self.session.tell_committed(&self.outcome, &self.record);
        match missed {
            true => Err(head_sent("confirming the save of the session")),
            false => Ok(()),
        }
    }

    /// Nothing was written: the changes are as they were before. After a conflict, `reload` the
    /// session and prepare again.
    pub fn abort(self) {
        self.session.undoubt(self.life, self.record.version);
        self.session.manager().give_place_back(self.place);
    }
}

impl fmt::Debug for PendingSave {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PendingSave")
            .field("id", &self.id())
            .field("expected", &self.expected)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::http::{Exchange, Finish, RequestHead};
    use crate::{
        Created, MemoryStore, OnTooMany, Owner, SessionConfig, SessionManager, Store, Written,
    };
    use std::sync::Arc;
    use std::time::Duration;
    use tokio::time::Instant;

    struct NoHead;

    impl RequestHead for NoHead {
        fn each_header<'a>(&'a self, _: &str, _: &mut dyn FnMut(&'a [u8])) {}

        fn peer(&self) -> Option<std::net::IpAddr> {
            None
        }
    }

    async fn session() -> (Arc<dyn Store>, Session) {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let config = SessionConfig::builder().build().unwrap();
        let manager = SessionManager::new(Arc::clone(&store), config);
        let exchange = Exchange::begin(&manager, "POST");
        let session = exchange.session(&NoHead).await.unwrap();
        (store, session)
    }

    #[tokio::test]
    async fn a_confirmed_save_is_saved_once() {
        let (store, session) = session().await;
        assert!(session.prepare_save().await.unwrap().is_none());
        session.append("list", 1).unwrap();
        let pending = session.prepare_save().await.unwrap().unwrap();
        assert_eq!(pending.expected(), None);
        let created = store.create(&pending.id(), pending.record()).await.unwrap();
        assert_eq!(created, Created::Done);
        pending.confirm().unwrap();
        session.append("list", 2).unwrap();
        session.save().await.unwrap();
        let stored = store.load(&session.id().unwrap()).await.unwrap().unwrap();
        assert_eq!(stored.data.raw("list"), Some("[1,2]"));
    }

    #[tokio::test]
    async fn t7_a_save_confirmed_after_the_head_says_that_its_cookie_is_lost() {
        for live in [false, true] {
            let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
            let config = SessionConfig::builder().build().unwrap();
            let manager = SessionManager::new(Arc::clone(&store), config);
            let exchange = Exchange::begin(&manager, "POST");
            let session = exchange.session(&NoHead).await.unwrap();
            if live {
                session.insert("seen", true).unwrap();
                session.save().await.unwrap();
            }
            session.insert("a", 1).unwrap();
            let pending = session.prepare_save().await.unwrap().unwrap();
            let written = match pending.expected() {
                None => {
                    let created = store.create(&pending.id(), pending.record()).await;
                    created.unwrap() == Created::Done
                }
                Some(expected) => {
                    let update = store
                        .update(&pending.id(), pending.record(), expected)
                        .await;
                    update.unwrap() == Written::Done
                }
            };
            assert!(written);
            // The handler answers while the transaction is committed in a task of its own.
            let _ = exchange.finish(500);
            session.state().end_head();
            let confirmed = pending.confirm().map_err(|error| error.kind());
            let expected = if live {
                Ok(())
            } else {
                Err(ErrorKind::HeadSent)
            };
            assert_eq!(confirmed, expected);
        }
    }

    #[tokio::test]
    async fn t6_a_save_that_follows_a_logout_ends_the_session_before() {
        let (store, session) = session().await;
        session.insert("a", 1).unwrap();
        session.save().await.unwrap();
        let before = session.id().unwrap();
        session.logout();
        session.insert("b", 2).unwrap();
        let pending = session.prepare_save().await.unwrap().unwrap();
        assert_eq!(store.load(&before).await.unwrap(), None);
        pending.abort();
    }

    #[tokio::test]
    async fn an_aborted_save_leaves_its_changes_to_the_next() {
        let (store, session) = session().await;
        session.append("list", 1).unwrap();
        session.prepare_save().await.unwrap().unwrap().abort();
        session.save().await.unwrap();
        let stored = store.load(&session.id().unwrap()).await.unwrap().unwrap();
        assert_eq!(stored.data.raw("list"), Some("[1]"));
    }

    #[tokio::test(start_paused = true)]
    async fn t7_a_confirmed_login_is_told_to_who_waits_for_the_session_to_end() {
        let (store, session) = session().await;
        session.insert("a", 1).unwrap();
        session.login(Owner::new("ada").unwrap());
        let plan = session.conclusion().unwrap().unwrap();
        session.carry_out(plan).await.unwrap();
        let other = session.manager().open(&session.id().unwrap()).await;
        let other = other.unwrap().unwrap();
        let hour = Duration::from_secs(3_600);
        let began = Instant::now();
        let waiting = tokio::spawn(async move { other.ended(hour).await });
        tokio::task::yield_now().await;
        session.login(Owner::new("bob").unwrap());
        session.insert("b", 2).unwrap();
        let pending = session.prepare_save().await.unwrap().unwrap();
        let expected = pending.expected().unwrap();
        let id = pending.id();
        let update = store.update(&id, pending.record(), expected).await;
        assert_eq!(update.unwrap(), Written::Done);
        pending.confirm().unwrap();
        waiting.await.unwrap().unwrap();
        assert_eq!(
            Instant::now(),
            began,
            "told, and not found at the next look"
        );
    }

    #[tokio::test]
    async fn o3_a_confirmed_login_is_counted_whatever_the_answer() {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let config = SessionConfig::builder().owner_sessions_max(1, OnTooMany::EndOldest);
        let manager = SessionManager::new(Arc::clone(&store), config.build().unwrap());
        let sign_in = async |name| {
            let exchange = Exchange::begin(&manager, "POST");
            let session = exchange.session(&NoHead).await.unwrap();
            session.login(Owner::new(name).unwrap());
            let plan = session.conclusion().unwrap().unwrap();
            session.carry_out(plan).await.unwrap();
            (exchange, session)
        };
        let before = sign_in("ada").await.1.id().unwrap();
        let (exchange, session) = sign_in("bob").await;
        session.login(Owner::new("ada").unwrap());
        session.insert("b", 2).unwrap();
        let pending = session.prepare_save().await.unwrap().unwrap();
        let (id, expected) = (pending.id(), pending.expected().unwrap());
        let update = store.update(&id, pending.record(), expected).await;
        assert_eq!(update.unwrap(), Written::Done);
        pending.confirm().unwrap();
        if let Finish::Pending(finish) = exchange.finish(500) {
            finish.complete().await;
        }
        assert!(store.load(&before).await.unwrap().is_none());
        assert!(store.load(&id).await.unwrap().is_some());
    }

    #[tokio::test]
    async fn c5_a_save_in_doubt_is_looked_up_and_not_made_twice() {
        let (store, session) = session().await;
        session.append("list", 0).unwrap();
        session.save().await.unwrap();
        for written in [true, false] {
            session.append("list", 1).unwrap();
            let pending = session.prepare_save().await.unwrap().unwrap();
            if written {
                let (id, expected) = (pending.id(), pending.expected().unwrap());
                let update = store.update(&id, pending.record(), expected).await;
                assert_eq!(update.unwrap(), Written::Done);
            }
            drop(pending);
            session.save().await.unwrap();
        }
        let stored = store.load(&session.id().unwrap()).await.unwrap().unwrap();
        assert_eq!(stored.data.raw("list"), Some("[0,1,1]"));
    }
}
