//! How a change is stored: one conditional write, and what happens when it is refused.
//!
//! A commit takes its turn in the session's queue, applies the operations to the newest record it
//! knows and writes it under the version it read. A conflict means that another request was
//! first: the record is read again, the checks of the first reading are repeated (rule C3), the
//! operations are put on the newer data (rule C1). A lost answer is resolved by looking for our
//! own version's nonce (rule C5), never by writing again.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use crate::attempt::Attempt;
use crate::clock::Timestamp;
use crate::deadline::Deadline;
use crate::doubt::CommitGuard;
use crate::error::{Error, ErrorKind};
use crate::id::{SessionId, Token, fresh_nonce};
use crate::manager::settle;
use crate::operations::Draft;
use crate::plan::{CookieMove, Due, Plan, Refusal, Standing, Write, plan, still_admits};
use crate::record::Record;
use crate::session::Session;
use crate::span::{Failed, saving};
use crate::state::{Life, Scope, State};
use crate::store::{Created, Only, Written};

/// The operation of a request's end, for messages.
pub(crate) const CONCLUDING: &str = "saving the session";

impl Session {
    /// Stores pending operations together with what `work` does, now.
    pub(crate) async fn commit<T, E, F>(&self, operation: &'static str, mut work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: FnMut(&mut Draft) -> Result<T, E>,
    {
        let work = |draft: &mut Draft| work(draft).map_err(Failed::Theirs);
        let committing = pin!(async {
            self.end_after_head(operation).await?;
            self.before_login(operation, Scope::Data).await?;
            let answer = self.run(operation, Scope::Data, work).await?;
            self.after_login(operation).await?;
            Ok(answer)
        });
        saving(self, committing).await
    }

    /// What the end of a request has to do; `None` when nothing is left to be stored.
    pub(crate) fn conclusion(&self) -> Result<Option<Plan>, Error> {
        let manager = self.manager();
        let mut state = self.state();
        let (done, keep_expiry) = (state.done(Scope::Everything), state.keep_expiry);
        state.life.note_due(keep_expiry, done.changed, manager);
        let plan = plan(state.life.standing, done, state.due(Scope::Everything));
        let plan = plan.map_err(|no| refused(CONCLUDING, no))?;
        if plan.write != Write::Nothing || plan.delete || self.owes_limit(&state.life) {
            return Ok(Some(plan));
        }
        if state.sends_again() {
            // A save in the midst of the request noted it: the token may have been replaced since.
            return Ok(Some(Plan {
                write: Write::Touch,
                cookie: CookieMove::Set,
                ..plan
            }));
        }
        state.conclude(plan.cookie);
        Ok(None)
    }

    /// What is left to be done of what was committed, where everything else is discarded.
    pub(crate) fn remainder(&self) -> Option<Plan> {
        let mut state = self.state();
        let nothing = Plan {
            delete: false,
            write: Write::Nothing,
            cookie: CookieMove::Keep,
            cookie_needed: false,
            asked: true,
        };
        if self.owes_limit(&state.life) {
            return Some(nothing);
        }
        // A look, and no touch.
        state.life.due = Due::default();
        state.sends_again().then_some(Plan {
            write: Write::Touch,
            cookie: CookieMove::Set,
            ..nothing
        })
    }

    /// Carries out everything that was asked for.
    pub(crate) async fn carry_out(&self, plan: Plan) -> Result<(), Error> {
        let conclude = pin!(async { self.conclude(plan).await.map_err(Failed::Ours) });
        saving(self, conclude).await
    }

    async fn conclude(&self, plan: Plan) -> Result<(), Error> {
        self.before_login(CONCLUDING, Scope::Everything).await?;
        if plan.delete {
            Box::pin(self.delete_ended(CONCLUDING)).await?;
        }
        match plan.write {
            Write::Touch => {
                Box::pin(self.conclude_access(plan.cookie)).await?;
                self.state().ends_are_carried_out();
            }
            // What the deletion means for the cookie it has noted.
            Write::Nothing if plan.delete => self.state().ends_are_carried_out(),
            Write::Nothing => self.state().conclude(plan.cookie),
            Write::Create | Write::Update => {
                let written = self
                    .run(CONCLUDING, Scope::Everything, |_| Ok::<_, Error>(()))
                    .await;
                match plan.asked {
                    true => written?,
                    false => self.pass_over(written)?,
                }
            }
        }
        self.after_login(CONCLUDING).await
    }

    /// Reads the record again and puts the changes made so far on it.
    pub(crate) async fn refresh(&self, operation: &'static str) -> Result<(), Error> {
        let (number, id, base) = {
            let state = self.state();
            let life = &state.life;
            match (life.standing, &life.token, &life.base) {
                (Standing::Live, Some(token), Some(base)) => {
                    (life.number, token.id(), base.clone())
                }
                (Standing::New, ..) => return Ok(()),
                (Standing::Detached, ..) => return Err(refused(operation, Refusal::Unavailable)),
                _ => return Err(Error::gone(operation)),
            }
        };
        let deadline = &self.manager().deadline();
        let record = self.reread(operation, &id, &base, deadline).await?;
        loop {
            let mut draft = self.state().life.draft.clone();
            let seen = draft.clone();
            // The application's closures run here, outside the lock.
            draft.rebase(record.data.clone(), record.own.clone())?;
            let mut state = self.state();
            let known = state.life.base.as_ref().map(|base| base.version.counter());
            let newer = known.is_some_and(|known| known <= record.version.counter());
            if state.life.number != number || !newer || state.life.is_taken_over() {
                // Ended, taken over or committed meanwhile, which leaves newer data.
                return Ok(());
            }
            if state.life.draft.is_same(&seen) {
                draft.freeze_as(&state.life.draft);
                state.life.draft = draft;
                state.life.rebase(record);
                return Ok(());
            }
        }
    }

    /// Carries out an end that was asked for after the response head; whether there was one.
    pub(crate) async fn end_after_head(&self, operation: &'static str) -> Result<bool, Error> {
        if !self.state().ended_after_head() {
            return Ok(false);
        }
        if let Some(sealed) = self.manager().sealed_by() {
            let state = self.state();
            let mut ended = state.ended.iter().filter_map(|life| life.base.as_deref());
            // Only the browser could end it, by losing its cookie.
            if ended.any(|record| !sealed.can_end(record)) {
                return Err(head_sent(operation));
            }
        }
        Box::pin(self.delete_ended(operation)).await?;
        self.state().ends_are_carried_out();
        Ok(true)
    }

    /// Deletes what was ended before a session that follows on it begins: its client loses the
    /// token of the old one then, and could end that no more if the request failed.
    pub(crate) async fn end_before_beginning(
        &self,
        operation: &'static str,
        attempt: &Attempt,
        write: Write,
    ) -> Result<(), Error> {
        if write == Write::Create && attempt.follows_an_end {
            Box::pin(self.delete_ended(operation)).await?;
        }
        Ok(())
    }

    async fn run<T, E, F>(&self, operation: &'static str, scope: Scope, mut work: F) -> Result<T, E>
    where
        E: From<Error>,
        F: FnMut(&mut Draft) -> Result<T, E>,
    {
        let manager = self.manager();
        let deadline = &manager.deadline();
        let (id, takes_over) = {
            let life = &mut self.state().life;
            (life.identity(operation)?.id(), life.is_taken_over())
        };
        let turn = manager.queues().enter(id, deadline).await;
        let mut ticket = turn.map_err(|_| contended(operation))?;
        let mut newer = self.look_back(operation, &mut ticket, deadline).await?;

        let mut tries = 0_u32;
        // The deadline alone ends it.
        loop {
            let now = manager.now();
            let begun = self.state().begin(scope, now, takes_over, operation);
            let (mut draft, mut attempt) = begun?;
            let open = CommitGuard(self, attempt.life);
            self.bring_up_to_date(operation, &mut attempt, &mut draft, newer.take(), deadline)
                .await?;
            let answer = work(&mut draft)?;
            attempt.done.changed |= draft.changes() > 0;
            if attempt.standing == Standing::New {
                attempt.done.changed = draft.adds_something();
            }
            let plan = attempt.plan().map_err(|no| refused(operation, no))?;
            if matches!(plan.write, Write::Nothing | Write::Touch) {
                if let Some(newest) = &attempt.base {
                    self.state().withhold_unless(newest);
                }
                if attempt.standing == Standing::New && draft.changes() > 0 {
                    // What was taken out again is so for the handle, too.
                    let (data, own) = draft.apply()?;
                    let mut state = self.state();
                    let life = state.life_mut(attempt.life);
                    if let Some(life) = life.filter(|life| life.doubts.is_empty()) {
                        life.draft.committed(attempt.operations, data, own);
                    }
                }
                return Ok(answer);
            }
            if attempt.head_sent && attempt.needs_head(&plan) {
                return Err(head_sent(operation).into());
            }
            let (record, token) = attempt.next(manager, &draft, operation)?;
            let (mut record, outcome) = (Arc::new(record), attempt.outcome(&plan, token));
            drop(draft);
            if let Some(sealed) = manager.sealed_by() {
                let (id, base) = (outcome.token.id(), attempt.base.as_deref());
                let record = Arc::make_mut(&mut record);
                let ready = sealed.before_write(operation, &id, base, record, deadline);
                let ready = Box::pin(ready).await;
                ready.map_err(|error| self.withheld(error, base))?;
            }
            let place = match plan.write {
                Write::Create => manager.take_place(operation, attempt.binds_to.as_ref())?,
                _ => None,
            };
            // After all that may refuse the new session.
            let ended = self.end_before_beginning(operation, &attempt, plan.write);
            if let Err(error) = ended.await {
                manager.give_place_back(place);
                return Err(error.into());
            }
            open.keep();
            self.doubt(&attempt, record.version, &outcome);
            let written = self
                .write(operation, &attempt, &record, &outcome.token, deadline)
                .await;
            // Also where it may have happened: an outage must not use up anybody's places. A client
            // that goes away while it is being made never comes here.
            if !matches!(written, Ok(Written::Done)) {
                manager.give_place_back(place);
            }
            match written {
                Ok(Written::Done) => {
                    let mut state = self.state();
                    // The head took what was noted under this lock; a cookie that is noted
                    // only now is never sent.
                    let missed = state.head_sent && attempt.needs_head(&plan);
                    state.committed(attempt.life, Arc::clone(&record), &outcome);
                    drop(state);
                    ticket.leave_with(&record);
                    self.tell_committed(&outcome, &record);
                    return match missed {
                        true => Err(head_sent(operation).into()),
                        false => Ok(answer),
                    };
                }
                // It may have happened: its operations stay frozen, in doubt.
                Err(error) if error.kind() == ErrorKind::Unavailable => return Err(error.into()),
                _ => self.undoubt(attempt.life, record.version),
            }
            if written? == Written::Gone {
                return Err(self.gone(operation, attempt.base.as_deref()).into());
            }
            if tries > 0 {
                Box::pin(deadline.sleep(jitter(tries)?)).await;
            }
            newer = Box::pin(self.look_again(operation, &attempt, deadline)).await?;
            if deadline.has_passed() {
                return Err(contended(operation).into());
            }
            tries = tries.saturating_add(1);
        }
    }

    /// Puts an attempt on the newest record known.
    pub(crate) async fn bring_up_to_date(
        &self,
        operation: &'static str,
        attempt: &mut Attempt,
        draft: &mut Draft,
        newer: Option<Arc<Record>>,
        deadline: &Deadline,
    ) -> Result<(), Error> {
        if let Some(record) = newer {
            self.check(operation, &record, attempt.base.as_deref())?;
            attempt.on(record);
            return attempt.rebase(draft);
        }
        match &attempt.base {
            // Another request may have kept it alive: only the store knows.
            Some(base) if attempt.has_expired(self.manager()) => {
                let id = attempt.token.id();
                let record = Box::pin(self.reread(operation, &id, base, deadline)).await?;
                attempt.on(record);
                attempt.rebase(draft)
            }
            _ if draft.is_stale() || attempt.takes_over => attempt.rebase(draft),
            _ => Ok(()),
        }
    }

    /// One conditional write; a lost answer is resolved by one look for our own version.
    async fn write(
        &self,
        operation: &'static str,
        attempt: &Attempt,
        record: &Arc<Record>,
        token: &Token,
        deadline: &Deadline,
    ) -> Result<Written, Error> {
        let manager = self.manager();
        let (store, id) = (manager.store(), token.id());
        let answer = match &attempt.base {
            Some(base) => match store.update_in_memory(&id, record, base.version) {
                Some(written) => settle(operation, Ok(written)),
                None => {
                    let update = store.update(&id, record, base.version);
                    settle(operation, deadline.bound_in_part(update).await)
                }
            },
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
                Box::pin(async move {
                    match manager.load(operation, &id, deadline).await {
                        Ok(Some(stored)) if stored.version == record.version => Ok(Written::Done),
                        _ => Err(error),
                    }
                })
                .await
            }
            answer => answer,
        }
    }

    /// The record as it is now, if the session may still act on it.
    pub(crate) async fn reread(
        &self,
        operation: &'static str,
        id: &SessionId,
        base: &Record,
        deadline: &Deadline,
    ) -> Result<Arc<Record>, Error> {
        let record = self.manager().load(operation, id, deadline).await?;
        let record = record.ok_or_else(|| self.gone(operation, Some(base)))?;
        self.check(operation, &record, Some(base))?;
        if let Some(sealed) = self.manager().sealed_by() {
            let checked = Box::pin(sealed.check_again(operation, id, &record, deadline)).await;
            checked.map_err(|error| self.withheld(error, Some(base)))?;
        }
        Ok(record)
    }

    /// Repeats the checks of the first reading (rule C3).
    pub(crate) fn check(
        &self,
        operation: &'static str,
        record: &Record,
        base: Option<&Record>,
    ) -> Result<(), Error> {
        let manager = self.manager();
        let address = self.client_address();
        let admitted = base.is_some_and(|base| {
            still_admits(record, base, address, manager.now(), manager.config())
        });
        if admitted {
            Ok(())
        } else {
            Err(self.gone(operation, base))
        }
    }

    /// That the session of `base` has ended, or its secret was replaced.
    pub(crate) fn gone(&self, operation: &'static str, base: Option<&Record>) -> Error {
        self.withheld(Error::gone(operation), base)
    }

    /// The same error; if it says that the session of `base` is gone, the cookie stays here.
    fn withheld(&self, error: Error, base: Option<&Record>) -> Error {
        if let Some(base) = base.filter(|_| error.kind() == ErrorKind::Gone) {
            self.state().withhold(base);
        }
        error
    }

    /// Deletes the records of sessions that were ended, each under its own generation.
    async fn delete_ended(&self, operation: &'static str) -> Result<(), Error> {
        let manager = self.manager();
        let deadline = &manager.deadline();
        loop {
            let next = {
                let state = self.state();
                let mut live = state.ended.iter().filter_map(|life| {
                    let (token, record) = life.token.as_ref().zip(life.base.as_ref())?;
                    Some((life.number, token.id(), record.clone()))
                });
                live.next()
            };
            let Some((number, id, record)) = next else {
                return Ok(());
            };
            if let Some(sealed) = manager.sealed_by() {
                Box::pin(sealed.before_delete(operation, &id, &record, deadline)).await?;
            }
            let generation = record.generation;
            match manager
                .delete(operation, &id, Only::Generation(generation), deadline)
                .await?
            {
                // Already gone is as good: someone else ended it.
                written @ (Written::Done | Written::Gone) => {
                    if written == Written::Done {
                        self.tell_ended(number, id);
                    }
                    let mut state = self.state();
                    state.token_is_dead |= state.presented_nothing
                        || state.life_mut(number).is_some_and(|life| life.is_known);
                    // Unless a session begun since has its own cookie to send.
                    if state.life.standing == Standing::New {
                        // Of a session that nobody has heard of there is nothing to be taken away, and
                        // the browser may have got another request's cookie meanwhile.
                        state.cookie = match state.token_is_dead {
                            true => CookieMove::Remove,
                            false => CookieMove::Keep,
                        };
                    }
                    state.ended.retain(|life| life.number != number);
                }
                Written::Conflict => return Err(Error::gone(operation)),
            }
        }
    }
}

impl Life {
    /// The client's token, or a new one for the session that a commit will begin.
    pub(crate) fn identity(&mut self, operation: &'static str) -> Result<&Token, Error> {
        match (self.standing, &mut self.token) {
            (Standing::New | Standing::Live, Some(token)) => Ok(token),
            (Standing::New, none) => Ok(none.insert(Token::random()?)),
            (Standing::Detached, _) => Err(refused(operation, Refusal::Unavailable)),
            _ => Err(Error::gone(operation)),
        }
    }
}

impl State {
    /// Freezes the operations and hands out all that a write attempt needs. `took_over` says whether
    /// another owner's session was taken over when the operation began.
    pub(crate) fn begin(
        &mut self,
        scope: Scope,
        now: Timestamp,
        took_over: bool,
        operation: &'static str,
    ) -> Result<(Draft, Attempt), Error> {
        if self.head_sent && self.needs_head() {
            return Err(head_sent(operation));
        }
        // No value of the new owner's may be written into the other's session, or the other way round.
        let takes_over = self.life.is_taken_over();
        if takes_over && !took_over && scope == Scope::Data {
            return Err(Error::gone(operation));
        }
        let scope = if takes_over { Scope::Everything } else { scope };
        let everything = scope == Scope::Everything;
        let (mut done, due) = (self.done(scope), self.due(scope));
        // What was ended is deleted apart from this write.
        (done.ended, done.ended_nothing) = (false, false);
        let life = &mut self.life;
        let login = life.login.as_ref().filter(|_| everything);
        let login = login.map(|login| login.owner.clone());
        let token = life.identity(operation)?.clone();
        let mut draft = life.draft.begin_commit();
        let operations = draft.changes();
        if everything && life.replaces_secret() {
            draft.replace_seed(life.next_seed);
        }
        let binds = life.base.is_none() || login.is_some();
        let attempt = Attempt {
            life: life.number,
            now,
            scope,
            standing: life.standing,
            base: life.base.clone(),
            token,
            done,
            due,
            operations,
            renew: everything && life.renew,
            login,
            binds_to: binds.then(|| self.visitor.client()),
            takes_over,
            follows_an_end: !self.ended.is_empty(),
            limits: life.limits,
            keep_expiry: self.keep_expiry,
            head_sent: self.head_sent,
        };
        Ok((draft, attempt))
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

/// A random pause: 0 to 2 ms, then 0 to 4 ms, then 0 to 8 ms.
///
/// It grows no further. In a process that has won, the savers that queue write one after the
/// other without a pause; one that has lost and waits longer each time finds no gap among them.
pub(crate) fn jitter(tries: u32) -> Result<Duration, Error> {
    let most_us = 1_000_u64 << tries.min(3);
    Ok(Duration::from_micros(fresh_nonce()? % most_us))
}
