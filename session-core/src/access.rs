//! Writing down that a session is in use.

use std::sync::Arc;

use crate::commit::CONCLUDING;
use crate::config::OnOutage;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::id::{SessionId, Token};
use crate::manager::{SessionManager, settle};
use crate::plan::{CookieMove, Due, is_expired};
use crate::record::Record;
use crate::session::Session;
use crate::store::{Touch, Written};

impl SessionManager {
    /// Touches a record.
    ///
    /// Where the configuration has come to give other limits than are stored in `base`, which a
    /// touch leaves as they are, another record is written in its place and handed back. That makes way
    /// for every other write, and for a saver that has its turn; and where it fails, a touch may not.
    /// `base` is `None` where what is stored must be left as it is.
    pub(crate) async fn note_access(
        &self,
        operation: &'static str,
        id: &SessionId,
        base: Option<&Record>,
        touch: &Touch,
        deadline: &Deadline,
    ) -> Result<(Written, Option<Arc<Record>>), Error> {
        let store = self.store();
        if let Some(base) = base
            && let Some(record) = self.relimited(base, touch)?
            && let Some(ticket) = self.queues().enter_at_once(*id)
        {
            let record = Arc::new(record);
            let update = store.update(id, &record, base.version);
            let written = settle(operation, deadline.bound_in_part(update).await);
            if let Ok(Written::Done) = written {
                ticket.leave_with(&record);
                return Ok((Written::Done, Some(record)));
            }
        }
        let touched = deadline.bound(store.touch(id, touch)).await;
        Ok((settle(operation, touched)?, None))
    }

    /// The record under the limits of the configuration, if it has others. A sealed one keeps its
    /// own: with another time-out it might be another generation. So does any where none is judged by
    /// them: it should not come to live for ever by being read.
    fn relimited(&self, base: &Record, touch: &Touch) -> Result<Option<Record>, Error> {
        let config = self.config();
        let expiry = config.expiry(base.own_timeout, base.persistent, base.created_at);
        let keeps = self.sealed_by().is_some() || config.options.ignore_expiry;
        if expiry == base.expiry || keeps {
            return Ok(None);
        }
        Ok(Some(Record {
            version: base.version.next()?,
            accessed_at: base.accessed_at.max(touch.accessed_at),
            expiry,
            ..base.clone()
        }))
    }
}

impl Session {
    /// Writes down at a request's end that the session was used; `cookie` is sent if it was.
    pub(crate) async fn conclude_access(&self, cookie: CookieMove) -> Result<(), Error> {
        let manager = self.manager();
        let now = manager.now();
        let (number, found, keep_expiry, is_due, in_doubt, took, cookie) = {
            let state = self.state();
            let life = &state.life;
            let id = life.token.as_ref().map(Token::id);
            (
                life.number,
                id.zip(life.base.clone()),
                state.keep_expiry,
                life.due.touch || life.due.resign,
                !life.doubts.is_empty(),
                now.ms_since(state.opened_at),
                match state.sends_again() {
                    true => CookieMove::Set,
                    false => cookie,
                },
            )
        };
        let Some((id, mut base)) = found else {
            return Ok(());
        };
        if is_due && took >= LONG_MS {
            match manager.load(CONCLUDING, &id, &manager.deadline()).await {
                Ok(Some(record)) if is_same(&record, &base) => base = record,
                Ok(_) => {
                    self.state().withhold(&base);
                    return Ok(());
                }
                Err(error) => return self.pass_over(Err(error)),
            }
        }
        if is_expired(&base, now, manager.config()) {
            // It ended while the request ran, or lives on with another token: a touch would bring it
            // back (rule E2), and its cookie might replace a newer one.
            self.state().withhold(&base);
            return Ok(());
        }
        // Where it is not due, a commit of this request has written it down: there is only the cookie to
        // send.
        let mut noted = None;
        if is_due {
            let accessed_at = if keep_expiry { base.accessed_at } else { now };
            let touch = Touch {
                generation: base.generation,
                accessed_at,
            };
            let deadline = &manager.deadline();
            // What a write in doubt is to replace must stay, or nobody can tell what became of it.
            let replaceable = (!in_doubt).then_some(&*base);
            let written = manager.note_access(CONCLUDING, &id, replaceable, &touch, deadline);
            match written.await {
                Ok((Written::Done, replaced)) => noted = Some((touch, replaced)),
                // Ended or renewed meanwhile: this request only read, and its cookie is not the
                // newest one.
                Ok((Written::Conflict | Written::Gone, _)) => {
                    self.state().withhold(&base);
                    return Ok(());
                }
                Err(error) => return self.pass_over(Err(error)),
            }
        }
        // A touch does not tell of a timed renewal, nor of another time-out: they leave the generation
        // as it is.
        let stored = match cookie {
            CookieMove::Keep => None,
            _ => Box::pin(self.look_once_more(&id)).await,
        };
        let mut state = self.state();
        if state.life.number == number {
            if let Some((touch, replaced)) = noted {
                state.life.accessed(base.version, &touch, replaced);
            }
            state.life.due = Due::default();
            if let Some(stored) = stored {
                state.send_again(cookie, stored.as_deref());
            }
        }
        Ok(())
    }

    /// What becomes of a request that only read and could not write that down, or not give the client
    /// the new secret that was due.
    pub(crate) fn pass_over(&self, written: Result<(), Error>) -> Result<(), Error> {
        match (written, self.manager().config().options.on_touch_outage) {
            // Ended or renewed meanwhile.
            (Err(error), _) if error.kind() == ErrorKind::Gone => Ok(()),
            (Err(error), OnOutage::Continue) => {
                let session = self.id().map(tracing::field::display);
                tracing::warn!(target: "session", session, %error, "not touched");
                Ok(())
            }
            (written, _) => written,
        }
    }

    /// What is stored now, if the store tells.
    async fn look_once_more(&self, id: &SessionId) -> Option<Option<Arc<Record>>> {
        let manager = self.manager();
        let found = manager.load(CONCLUDING, id, &manager.deadline()).await;
        found
            .inspect_err(|error| {
                tracing::warn!(target: "session", session = %id, %error, "whether the client has a newer cookie is not known");
            })
            .ok()
    }
}

/// Whether both are of one session under one secret.
pub(crate) fn is_same(record: &Record, other: &Record) -> bool {
    record.secret == other.secret && record.generation == other.generation
}

/// A request that takes as long looks again before it touches: another may have shortened the
/// time-out since it began, so that the session has expired by now (rule E2).
const LONG_MS: i64 = 1_000;
