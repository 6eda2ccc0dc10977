//! How a change is stored: one conditional write, and what happens when it is refused.
//!
//! A commit takes its turn in the session's queue, applies the operations to the newest record it
//! knows and writes it under the version it read. A conflict means that another request was
//! first: the record is read again, the checks of the first reading are repeated (rule C3), the
//! operations are put on the newer data (rule C1). A lost answer is resolved by looking for our
//! own version's nonce (rule C5), never by writing again.

use std::time::Duration;

use crate::attempt::Attempt;
use crate::clock::Timestamp;
use crate::deadline::Deadline;
use crate::error::{Error, ErrorKind};
use crate::id::{Token, fresh_nonce};
use crate::manager::{only, settle};
use crate::operations::Draft;
use crate::plan::{
    CookieMove, Done, Due, Plan, Refusal, Standing, Write, is_expired, plan, still_admits,
};
use crate::queue::Ticket;
use crate::record::Record;
use crate::session::{Doubt, Intent, Scope, Session, State};
use crate::store::{Created, Touch, Written};

/// The operation of a request's end, for messages.
const CONCLUDING: &str = "saving the session";
/// Write attempts before a commit says that it cannot get through.
const ATTEMPTS_MAX: u32 = 64;

impl Session {
    /// Stores pending operations together with what `work` does, now.
    pub(crate) async fn commit<T, E, F>(&self, operation: &'static str, work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: FnMut(&mut Draft) -> Result<T, E>,
    {
        self.run(operation, Scope::Data, work).await
    }

    /// What the end of a request has to do; `None` when nothing is left to be stored.
    pub(crate) fn conclusion(&self) -> Result<Option<Plan>, Error> {
        let mut state = self.state();
        state.note_due(self.0.manager.now(), &self.0.manager);
        let plan = state.plan(Scope::Everything);
        let plan = plan.map_err(|no| refused(CONCLUDING, no))?;
        if plan.write == Write::Nothing && !plan.delete {
            state.conclude(plan.cookie);
            return Ok(None);
        }
        Ok(Some(plan))
    }

    /// Carries out everything that was asked for.
    pub(crate) async fn conclude(&self, plan: Plan) -> Result<(), Error> {
        if plan.delete {
            self.delete_ended(CONCLUDING).await?;
        }
        match plan.write {
            Write::Touch => self.touch(CONCLUDING, plan.cookie).await,
            Write::Nothing => {
                self.state().conclude(plan.cookie);
                Ok(())
            }
            Write::Create | Write::Update => {
                self.run(CONCLUDING, Scope::Everything, |_| Ok(())).await
            }
        }
    }

    /// Reads the record again and puts the changes made so far on it.
    pub(crate) async fn refresh(&self, operation: &'static str) -> Result<(), Error> {
        let (id, base) = {
            let state = self.state();
            match (state.standing, &state.token, &state.base) {
                (Standing::Live, Some(token), Some(base)) => (token.id(), base.clone()),
                (Standing::New, ..) => return Ok(()),
                (Standing::Detached, ..) => return Err(refused(operation, Refusal::Unavailable)),
                _ => return Err(Error::gone(operation)),
            }
        };
        let deadline = self.0.manager.deadline();
        let record = self.reread(operation, &id, &base, deadline).await?;
        let mut state = self.state();
        if state.draft.is_committing() {
            // A commit on a clone of this handle is at work and will leave newer data.
            return Ok(());
        }
        let mut draft = state.draft.clone();
        draft.rebase(record.data.clone(), record.own.clone())?;
        state.draft = draft;
        state.rebase(record);
        Ok(())
    }

    async fn run<T, E, F>(&self, operation: &'static str, scope: Scope, mut work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: FnMut(&mut Draft) -> Result<T, E>,
    {
        let deadline = self.0.manager.deadline();
        let id = self.state().identity(operation)?.id();
        let turn = self.0.manager.queues().enter(id, deadline).await;
        let mut ticket = turn.map_err(|_| contended(operation))?;
        let mut newer = self.settle_doubt(operation, &mut ticket, deadline).await?;

        for tries in 0..ATTEMPTS_MAX {
            // On the newest record known, with the operations and the work put on it.
            let (mut draft, attempt) = self.state().begin(scope, operation)?;
            let open = CommitGuard(self);
            let mut attempt = match newer.take() {
                Some(record) => {
                    self.check(operation, &record, attempt.base.as_ref())?;
                    draft.rebase(record.data.clone(), record.own.clone())?;
                    attempt.on(record)
                }
                None if attempt.has_expired(&self.0.manager) => {
                    // Another request may have kept it alive: only the store knows.
                    let base = attempt.base.as_ref();
                    let base = base.ok_or_else(|| Error::gone(operation))?;
                    newer = Some(self.reread(operation, &id, base, deadline).await?);
                    continue;
                }
                None => attempt,
            };
            let answer = work(&mut draft)?;
            attempt.done.changed = draft.changes() > 0;
            let plan = attempt.plan().map_err(|no| refused(operation, no))?;
            let (record, token) = match plan.write {
                Write::Nothing | Write::Touch => {
                    return Ok(answer);
                }
                Write::Create | Write::Update => attempt.next(self, &draft, operation)?,
            };
            if plan.cookie_needed && attempt.head_sent {
                return Err(head_sent(operation).into());
            }

            open.keep();
            drop(draft);
            self.state().doubt = Some(Doubt {
                version: record.version,
                token: token.clone(),
                cookie: plan.cookie,
                scope,
            });
            let written = self
                .write(operation, &attempt, &record, &token, deadline)
                .await;
            let open = CommitGuard(self);
            match written {
                Ok(Written::Done) => {
                    open.keep();
                    self.state()
                        .committed(scope, record.clone(), token, plan.cookie);
                    ticket.leave_with(&record);
                    return Ok(answer);
                }
                Ok(Written::Gone) => return Err(Error::gone(operation).into()),
                Ok(Written::Conflict) if attempt.standing == Standing::New => {
                    // Another record has this id, a chance of 2^-128: begin under a new one.
                    self.state().token = None;
                    self.state().identity(operation)?;
                }
                Ok(Written::Conflict) => {
                    let base = attempt
                        .base
                        .as_ref()
                        .ok_or_else(|| Error::gone(operation))?;
                    if tries > 0 {
                        deadline.sleep(jitter(tries)?).await;
                    }
                    newer = Some(self.reread(operation, &id, base, deadline).await?);
                }
                Err(error) => {
                    if error.kind() == ErrorKind::Unavailable {
                        // It may have happened: the operations stay frozen, in doubt.
                        open.keep();
                    }
                    return Err(error.into());
                }
            }
            if deadline.has_passed() {
                return Err(contended(operation).into());
            }
        }
        Err(contended(operation).into())
    }

    /// One conditional write; a lost answer is resolved by one look for our own version.
    async fn write(
        &self,
        operation: &'static str,
        attempt: &Attempt,
        record: &Record,
        token: &Token,
        deadline: Deadline,
    ) -> Result<Written, Error> {
        let manager = &self.0.manager;
        let (store, id) = (manager.store(), token.id());
        let answer = match &attempt.base {
            Some(base) => {
                let update = store.update(&id, record, base.version);
                settle(operation, deadline.bound_in_part(update).await)
            }
            None => {
                let created = deadline.bound_in_part(store.create(&id, record)).await;
                settle(operation, created).map(|created| match created {
                    Created::Done => Written::Done,
                    Created::Taken => Written::Conflict,
                })
            }
        };
        match answer {
            Err(error) if error.kind() == ErrorKind::Unavailable => {
                match manager.load(operation, &id, deadline).await {
                    Ok(Some(stored)) if stored.version == record.version => Ok(Written::Done),
                    _ => Err(error),
                }
            }
            answer => answer,
        }
    }

    /// Finds out what became of an earlier write whose outcome is unknown, and takes over the
    /// record that whoever saved before has left.
    pub(crate) async fn settle_doubt(
        &self,
        operation: &'static str,
        ticket: &mut Ticket,
        deadline: Deadline,
    ) -> Result<Option<Record>, Error> {
        let (doubt, id, base) = {
            let state = self.state();
            (
                state.doubt.clone(),
                state.token.as_ref().map(Token::id),
                state.base.clone(),
            )
        };
        let latest = ticket.take_latest();
        let (Some(doubt), Some(id)) = (doubt, id) else {
            // Nothing in doubt; a record no newer than ours says nothing new.
            let ours = base.map(|base| base.version);
            return Ok(latest.filter(|record| ours.is_some_and(|ours| ours != record.version)));
        };
        let stored = self.0.manager.load(operation, &id, deadline).await?;
        let mut state = self.state();
        match stored {
            Some(record) if record.version == doubt.version => {
                state.committed(doubt.scope, record, doubt.token, doubt.cookie);
                Ok(None)
            }
            stored
                if stored.as_ref().map(|record| record.version)
                    == base.map(|base| base.version) =>
            {
                // Not applied; should it still arrive, its version conflicts with the next write.
                state.draft.abort_commit();
                Ok(None)
            }
            _ => Err(Error::new(
                ErrorKind::Unavailable,
                format!(
                    "{operation} failed: whether an earlier write happened cannot be known; revert the session or begin a new request"
                ),
            )),
        }
    }

    /// The record as it is now, if the session may still act on it.
    pub(crate) async fn reread(
        &self,
        operation: &'static str,
        id: &crate::id::SessionId,
        base: &Record,
        deadline: Deadline,
    ) -> Result<Record, Error> {
        let record = self.0.manager.load(operation, id, deadline).await?;
        let record = record.ok_or_else(|| Error::gone(operation))?;
        self.check(operation, &record, Some(base))?;
        Ok(record)
    }

    /// Repeats the checks of the first reading (rule C3).
    pub(crate) fn check(
        &self,
        operation: &'static str,
        record: &Record,
        base: Option<&Record>,
    ) -> Result<(), Error> {
        let manager = &self.0.manager;
        let address = self.0.visitor.address;
        let admitted = base.is_some_and(|base| {
            still_admits(record, base, address, manager.now(), manager.config())
        });
        if admitted {
            Ok(())
        } else {
            Err(Error::gone(operation))
        }
    }

    /// Deletes the record of a session that was ended, under its own generation.
    async fn delete_ended(&self, operation: &'static str) -> Result<(), Error> {
        let ended = {
            let state = self.state();
            let live = state.intent.end.as_ref().and_then(|end| end.live.as_ref());
            live.map(|(token, record)| (token.id(), record.generation))
        };
        let Some((id, generation)) = ended else {
            return Ok(());
        };
        let manager = &self.0.manager;
        let deleted = manager
            .delete(operation, &id, only(generation), manager.deadline())
            .await?;
        match deleted {
            // Already gone is as good: someone else ended it.
            Written::Done | Written::Gone => {
                tracing::debug!(target: "session", session = %id, "destroyed");
                if let Some(end) = self.state().intent.end.as_mut() {
                    end.live = None;
                }
                Ok(())
            }
            Written::Conflict => Err(Error::gone(operation)),
        }
    }

    async fn touch(&self, operation: &'static str, cookie: CookieMove) -> Result<(), Error> {
        let manager = &self.0.manager;
        let found = {
            let state = self.state();
            state.token.as_ref().map(Token::id).zip(state.base.clone())
        };
        let Some((id, base)) = found else {
            return Ok(());
        };
        if is_expired(&base, manager.now(), manager.config()) {
            // It ended while the request ran: a touch would bring it back (rule E2).
            return Ok(());
        }
        let touch = Touch {
            generation: base.generation,
            accessed_at: manager.now(),
        };
        let answer = manager
            .deadline()
            .bound(manager.store().touch(&id, &touch))
            .await;
        match settle(operation, answer) {
            // Ended or renewed meanwhile: this request only read, and its cookie is not the
            // newest one.
            Ok(Written::Conflict | Written::Gone) => Ok(()),
            Ok(Written::Done) => {
                let mut state = self.state();
                if let Some(base) = &mut state.base {
                    base.touch(&touch);
                }
                state.conclude(cookie);
                Ok(())
            }
            Err(error) => match manager.config().options.on_touch_outage {
                crate::config::OnOutage::Continue => {
                    tracing::warn!(target: "session", session = %id, %error, "not touched");
                    Ok(())
                }
                crate::config::OnOutage::Fail => Err(error),
            },
        }
    }
}

/// Unfreezes the operations unless the commit has begun to write.
pub(crate) struct CommitGuard<'a>(pub(crate) &'a Session);

impl CommitGuard<'_> {
    pub(crate) fn keep(self) {
        std::mem::forget(self);
    }
}

impl Drop for CommitGuard<'_> {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.draft.abort_commit();
        state.doubt = None;
    }
}

impl State {
    /// The client's token, or a new one for the session that a commit will begin.
    pub(crate) fn identity(&mut self, operation: &'static str) -> Result<Token, Error> {
        match (self.standing, &self.token) {
            (Standing::New | Standing::Live, Some(token)) => Ok(token.clone()),
            (Standing::New, None) => {
                let token = Token::random()?;
                self.token = Some(token.clone());
                Ok(token)
            }
            (Standing::Detached, _) => Err(refused(operation, Refusal::Unavailable)),
            _ => Err(Error::gone(operation)),
        }
    }

    /// What the passing of time has made due.
    fn note_due(&mut self, now: Timestamp, manager: &crate::manager::SessionManager) {
        let Some(base) = &self.base else {
            return;
        };
        let config = manager.config();
        self.due.persistent = config
            .cookie_life(base.persistent, base.expiry.timeout())
            .is_some();
        self.due.touch =
            !self.intent.keep_expiry && now.since(base.accessed_at) >= config.touch_interval();
        self.due.renewal &= !self.head_sent;
    }

    fn plan(&self, scope: Scope) -> Result<Plan, Refusal> {
        plan(self.standing, self.done_in(scope), self.due_in(scope))
    }

    fn done_in(&self, scope: Scope) -> Done {
        let done = self.done();
        match scope {
            Scope::Everything => done,
            Scope::Data => Done {
                changed: done.changed,
                ..Done::default()
            },
        }
    }

    fn due_in(&self, scope: Scope) -> Due {
        match scope {
            Scope::Everything => self.due,
            Scope::Data => Due::default(),
        }
    }

    /// Freezes the operations and hands out all that a write attempt needs.
    pub(crate) fn begin(
        &mut self,
        scope: Scope,
        operation: &'static str,
    ) -> Result<(Draft, Attempt), Error> {
        let everything = scope == Scope::Everything;
        if self.head_sent && self.intent.needs_head() {
            return Err(head_sent(operation));
        }
        let token = self.identity(operation)?;
        let attempt = Attempt {
            standing: self.standing,
            base: self.base.clone(),
            token,
            done: self.done_in(scope),
            due: self.due_in(scope),
            loaded_secret: self.base.as_ref().map(|base| base.secret),
            login: self.intent.login.clone().filter(|_| everything),
            limits: self
                .intent
                .limits
                .filter(|_| everything || self.base.is_none()),
            keep_expiry: self.intent.keep_expiry,
            head_sent: self.head_sent,
        };
        Ok((self.draft.begin_commit(), attempt))
    }

    /// The record is stored; what was asked for is done.
    pub(crate) fn committed(
        &mut self,
        scope: Scope,
        record: Record,
        token: Token,
        cookie: CookieMove,
    ) {
        self.draft
            .committed(record.data.clone(), record.own.clone());
        self.doubt = None;
        self.standing = Standing::Live;
        self.rebase(record);
        self.token = Some(token);
        match scope {
            Scope::Everything => self.conclude(cookie),
            Scope::Data => self.note(cookie),
        }
    }

    /// Goes on from a newer record of the same session.
    fn rebase(&mut self, record: Record) {
        let before = self.base.as_ref().map(|base| base.secret);
        // Another request was first to renew: a second new secret would kill the one it gave.
        self.due.renewal &= before == Some(record.secret);
        self.base = Some(record);
    }

    /// Everything that was asked for is done.
    fn conclude(&mut self, cookie: CookieMove) {
        self.intent = Intent {
            logged_out: self.intent.logged_out,
            ..Intent::default()
        };
        self.note(cookie);
        self.due = Due::default();
    }

    fn note(&mut self, cookie: CookieMove) {
        if cookie != CookieMove::Keep {
            self.cookie = cookie;
        }
    }
}

pub(crate) fn refused(operation: &'static str, refusal: Refusal) -> Error {
    match refusal {
        Refusal::Gone => Error::gone(operation),
        Refusal::Unavailable => Error::new(
            ErrorKind::Unavailable,
            format!("{operation} failed: the session could not be read"),
        ),
    }
}

pub(crate) fn contended(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::Contended,
        format!("{operation} failed: too many requests change this session at once"),
    )
}

pub(crate) fn head_sent(operation: &'static str) -> Error {
    Error::new(
        ErrorKind::HeadSent,
        format!("{operation} failed: it needs a new cookie, but the response head has left"),
    )
}

/// A random pause that doubles with each try: 0 to 2 ms, 0 to 4 ms, up to 0 to 64 ms.
fn jitter(tries: u32) -> Result<Duration, Error> {
    let most_us = 1_000_u64 << tries.min(6);
    Ok(Duration::from_micros(fresh_nonce()? % most_us))
}
