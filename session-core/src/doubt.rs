//! Writes whose answer was lost, and what became of them (rule C5).
//!
//! Before a write is made its version is noted. A definite answer removes the note; where none
//! comes the operations stay frozen, and whoever writes next on the handle first looks what is
//! stored: our version means that they are in. A write that was not found may still arrive, so the
//! note stays until another write has succeeded, and a conflict is held against it first.

use std::sync::Arc;

use crate::attempt::Attempt;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::id::Token;
use crate::plan::Standing;
use crate::queue::Ticket;
use crate::record::{Record, Version};
use crate::session::Session;
use crate::state::{Doubt, Outcome};

/// What a look at the store says of writes in doubt.
enum Reconciled {
    /// One of them is what is stored; the handle goes on from there.
    Committed,
    /// None of them is; this is what is stored.
    NotApplied(Option<Arc<Record>>),
}

impl Session {
    /// What is stored now that a write met something else than it expected; `None` to try again
    /// from the handle's own state.
    pub(crate) async fn look_again(
        &self,
        operation: &'static str,
        attempt: &Attempt,
        deadline: &Deadline,
    ) -> Result<Option<Arc<Record>>, Error> {
        let id = attempt.token.id();
        let stored = self.manager().load(operation, &id, deadline).await?;
        match self.reconcile(operation, attempt.life, stored)? {
            Reconciled::Committed => Ok(None),
            Reconciled::NotApplied(_) if attempt.standing == Standing::New => {
                // Another record has this id, a chance of 2^-128: begin under a new one.
                if let Some(life) = self.state().life_mut(attempt.life) {
                    life.token = None;
                }
                Ok(None)
            }
            Reconciled::NotApplied(Some(record)) => {
                self.check(operation, &record, attempt.base.as_deref())?;
                Ok(Some(record))
            }
            Reconciled::NotApplied(None) => Err(self.gone(operation, attempt.base.as_deref())),
        }
    }

    /// The record that whoever saved before has left, unless an earlier write's outcome is unknown
    /// and has to be found out first.
    pub(crate) async fn look_back(
        &self,
        operation: &'static str,
        ticket: &mut Ticket,
        deadline: &Deadline,
    ) -> Result<Option<Arc<Record>>, Error> {
        let latest = ticket.take_latest();
        {
            let state = self.state();
            if state.life.doubts.is_empty() {
                let ours = state.life.base.as_ref().map(|base| base.version.counter());
                // A record no newer than ours says nothing new: ours may have been loaded after
                // the one before had written and before it left.
                let newer =
                    |record: &Arc<Record>| ours.is_some_and(|ours| ours < record.version.counter());
                return Ok(latest.filter(newer));
            }
        }
        Box::pin(self.settle_doubts(operation, deadline)).await?;
        Ok(None)
    }

    /// Finds out what became of earlier writes.
    async fn settle_doubts(
        &self,
        operation: &'static str,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        let (number, id) = {
            let life = &self.state().life;
            (life.number, life.token.as_ref().map(Token::id))
        };
        let Some(id) = id else {
            return Ok(());
        };
        let stored = self.manager().load(operation, &id, deadline).await?;
        // Should a write that is not there still arrive, it will be met again: the doubt stays. If
        // the record is gone, the next write is told so.
        self.reconcile(operation, number, stored).map(|_| ())
    }

    /// Holds what is stored against the writes in doubt.
    fn reconcile(
        &self,
        operation: &'static str,
        number: u32,
        stored: Option<Arc<Record>>,
    ) -> Result<Reconciled, Error> {
        let mut state = self.state();
        let Some(life) = state.life_mut(number) else {
            return Ok(Reconciled::NotApplied(stored));
        };
        let version = stored.as_ref().map(|record| record.version);
        let found = life
            .doubts
            .iter()
            .find(|doubt| Some(doubt.version) == version);
        match (found.map(|doubt| doubt.outcome.clone()), stored) {
            (Some(outcome), Some(record)) => {
                state.committed(number, record.clone(), &outcome);
                drop(state);
                self.tell_committed(&outcome, &record);
                Ok(Reconciled::Committed)
            }
            (_, stored) => {
                // What each would have replaced still stands. Not what the handle builds on by now:
                // a reload since may have brought what was written over one of them.
                let stands = || life.doubts.iter().all(|doubt| doubt.expected == version);
                if version.is_none() || stands() {
                    return Ok(Reconciled::NotApplied(stored));
                }
                Err(Error::new(
                    ErrorKind::Unavailable,
                    format!(
                        "{operation} failed: whether an earlier write happened cannot be known; revert the session or begin a new request"
                    ),
                ))
            }
        }
    }

    /// Notes a write that is about to be made.
    pub(crate) fn doubt(&self, attempt: &Attempt, version: Version, outcome: &Outcome) {
        if let Some(life) = self.state().life_mut(attempt.life) {
            life.doubts.push(Doubt {
                version,
                expected: attempt.base.as_ref().map(|base| base.version),
                outcome: outcome.clone(),
            });
        }
    }

    /// Forgets a write that did not happen; its operations are open again.
    pub(crate) fn undoubt(&self, number: u32, version: Version) {
        if let Some(life) = self.state().life_mut(number) {
            life.doubts.forget(version);
        }
        drop(CommitGuard(self, number));
    }
}

/// Unfreezes the operations of a life, but for those in doubt.
pub(crate) struct CommitGuard<'a>(pub(crate) &'a Session, pub(crate) u32);

impl CommitGuard<'_> {
    /// The commit has begun to write.
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for CommitGuard<'_> {
    fn drop(&mut self) {
        if let Some(life) = self.0.state().life_mut(self.1) {
            life.unfreeze();
        }
    }
}
