//! What a session handle knows: what was loaded, what was done since, what is in doubt.
//!
//! A handle goes through *lives*: the session it was let in to, and, after `destroy`, the one
//! that may begin anew. A commit belongs to one life; when it ends after a `destroy` on a clone
//! of the handle, its outcome is noted in the life it was made for.

use crate::access::is_same;
use crate::clock::{Timestamp, millis};
use crate::csrf::Seed;
use crate::data::Data;
use crate::error::Error;
use crate::event::Facts;
use crate::id::{SessionId, Token};
use crate::limit::SignedIn;
use crate::manager::SessionManager;
use crate::operations::Draft;
use crate::plan::{CookieMove, Done, Due, Standing};
use crate::record::{Owner, Record, Version};
use crate::store::Touch;
use crate::visitor::Visitor;
use crate::why_new::WhyNew;

use std::sync::Arc;
use std::time::Duration;

/// The state that the clones of a handle share.
pub(crate) struct State {
    pub(crate) visitor: Visitor,
    pub(crate) life: Life,
    /// Lives that were ended and whose records wait to be deleted, oldest first.
    pub(crate) ended: Vec<Life>,
    /// `destroy` was called, whatever there was to end.
    pub(crate) end_asked: bool,
    /// `logout` was called.
    pub(crate) logged_out: bool,
    pub(crate) keep_expiry: bool,
    /// What the client must learn of what has been committed.
    pub(crate) cookie: CookieMove,
    /// The request carried a token that opened nothing.
    pub(crate) presented_nothing: bool,
    pub(crate) head_sent: bool,
    /// What was not stored then: whoever asked for it has been told, or has gone.
    pub(crate) left: Left,
    /// A handler took the token's text, perhaps into the response's body.
    pub(crate) exposed: bool,
    /// The session that the client's token opened was deleted.
    pub(crate) token_is_dead: bool,
    /// The client keeps the session itself.
    pub(crate) sealed: bool,
    /// When the record was loaded.
    pub(crate) opened_at: Timestamp,
    /// Why there is no live session, as long as there is none.
    pub(crate) why_new: WhyNew,
}

/// What the end of a request leaves undone.
#[derive(Clone, Copy)]
pub(crate) struct Left {
    changes: usize,
    limits: Option<Limits>,
    end_asked: bool,
}

/// One session, or the prospect of one.
pub(crate) struct Life {
    pub(crate) number: u32,
    pub(crate) standing: Standing,
    /// The record as last loaded or stored; `Some` exactly when live.
    pub(crate) base: Option<Arc<Record>>,
    /// The client's token, or the one it will be given.
    pub(crate) token: Option<Token>,
    pub(crate) draft: Draft,
    pub(crate) due: Due,
    /// The client has its token: it came with the request.
    pub(crate) is_known: bool,
    pub(crate) renew: bool,
    pub(crate) login: Option<Login>,
    /// The seed of CSRF tokens that is stored with the new secret, where one has been shown already.
    pub(crate) next_seed: Option<Seed>,
    /// A committed login that the limit of its owner's sessions has not seen.
    pub(crate) signed_in: Option<SignedIn>,
    pub(crate) limits: Option<Limits>,
    /// Writes whose outcome is unknown (rule C5).
    pub(crate) doubts: Doubts,
    /// That its saves are refused has been told.
    pub(crate) refusal_told: bool,
}

/// A login that waits for the end of the request.
#[derive(Clone)]
pub(crate) struct Login {
    pub(crate) owner: Owner,
    /// The session is another owner's: what was in it, and is put aside.
    pub(crate) taken_over: Option<Box<Draft>>,
}

/// Limits of this session's own.
#[derive(Clone, Copy, PartialEq)]
pub(crate) struct Limits {
    /// `None`: the configuration's.
    pub(crate) timeout: Option<Duration>,
    /// `None`: as before.
    pub(crate) persistent: Option<bool>,
}

/// A write that may have happened, and what it means if it did.
#[derive(Clone)]
pub(crate) struct Doubt {
    pub(crate) version: Version,
    /// What it replaces, if it happened; nothing, if it begins the session.
    pub(crate) expected: Option<Version>,
    pub(crate) outcome: Outcome,
}

/// Writes in doubt, oldest first; the one that is being made takes no allocation.
#[derive(Default)]
pub(crate) struct Doubts {
    older: Vec<Doubt>,
    latest: Option<Doubt>,
}

impl Doubts {
    pub(crate) fn push(&mut self, doubt: Doubt) {
        self.older.extend(self.latest.replace(doubt));
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &Doubt> {
        self.older.iter().chain(&self.latest)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub(crate) fn forget(&mut self, version: Version) {
        self.older.retain(|doubt| doubt.version != version);
        self.latest.take_if(|doubt| doubt.version == version);
    }

    fn clear(&mut self) {
        *self = Self::default();
    }
}

/// What a write brings about.
#[derive(Clone)]
pub(crate) struct Outcome {
    pub(crate) scope: Scope,
    pub(crate) token: Token,
    pub(crate) cookie: CookieMove,
    /// So many of the operations are in the record then.
    pub(crate) operations: usize,
    /// A renewal was asked for when it was made.
    pub(crate) renew: bool,
    /// The limits that are in the record then.
    pub(crate) limits: Option<Limits>,
    pub(crate) facts: Facts,
}

/// Which of the things that were asked for a commit carries out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// The operations on data, and limits.
    Data,
    /// Also renewal, login and what is due.
    Everything,
}

impl State {
    /// Of a request whose session is not opened: a constant, since it is made for each.
    pub(crate) const UNOPENED: Self = Self {
        visitor: Visitor::UNKNOWN,
        life: Life::new(0, Draft::EMPTY),
        ended: Vec::new(),
        end_asked: false,
        logged_out: false,
        keep_expiry: false,
        cookie: CookieMove::Keep,
        presented_nothing: false,
        head_sent: false,
        left: Left {
            changes: 0,
            limits: None,
            end_asked: false,
        },
        exposed: false,
        token_is_dead: false,
        sealed: false,
        opened_at: Timestamp::from_unix_ms(0),
        why_new: WhyNew::NoToken,
    };

    /// A request's state, in the first of its lives.
    pub(crate) fn new(life: Life, presented_nothing: bool) -> Self {
        Self {
            life,
            presented_nothing,
            ..Self::UNOPENED
        }
    }

    /// Ends this life and begins another.
    pub(crate) fn begin_anew(&mut self, manager: &SessionManager) {
        self.end_asked = true;
        if self.life.standing == Standing::Live {
            self.why_new = WhyNew::Ended;
        }
        if matches!(self.life.standing, Standing::Live | Standing::New) {
            let next = Life::new(self.life.number + 1, initial_or_none(manager));
            self.ended.push(std::mem::replace(&mut self.life, next));
        }
    }

    /// The head has left, or never will.
    pub(crate) fn end_head(&mut self) {
        self.head_sent = true;
        self.leave();
    }

    /// What is unsaved now is known to be: an error has told so.
    pub(crate) fn leave(&mut self) {
        self.left = Left {
            changes: self.life.draft.changes(),
            limits: self.life.limits,
            end_asked: self.end_asked,
        };
    }

    /// Whether something was asked for after the head and never stored: the end of no request does it.
    pub(crate) fn is_unsaved(&self) -> bool {
        let life = &self.life;
        let changed = life.draft.changes() > self.left.changes && life.is_changed();
        let limited = life.limits.is_some() && life.limits != self.left.limits;
        let limited = limited && life.standing == Standing::Live;
        let ended = self.end_asked && !self.left.end_asked;
        self.head_sent && (changed || limited || ended)
    }

    /// The session that was in use, if any was.
    pub(crate) fn session(&self) -> Option<SessionId> {
        let mut lives = self.ended.iter().chain([&self.life]);
        let used = lives.find(|life| life.base.is_some());
        used.and_then(|life| life.token.as_ref()).map(Token::id)
    }

    /// Lets go of all lives, for good: the handle's clones read nothing and store nothing. What may be
    /// stored of them.
    pub(crate) fn close(&mut self) -> Vec<SessionId> {
        let closed = Life {
            standing: Standing::Superseded,
            ..Life::new(self.life.number + 1, Draft::default())
        };
        let mut lives = std::mem::take(&mut self.ended);
        lives.push(std::mem::replace(&mut self.life, closed));
        self.end_asked = false;
        let tokens = lives.iter().filter_map(|life| life.token.as_ref());
        tokens.map(Token::id).collect()
    }

    /// Back to what was last loaded or stored.
    pub(crate) fn revert(&mut self) {
        // A session that was stored after the end stays; one that was not never was.
        self.take_ends_back();
        self.life.revert();
        self.leave();
    }

    /// What the handler did, for [`plan`](crate::plan::plan).
    pub(crate) fn done(&self, scope: Scope) -> Done {
        let life = &self.life;
        let data = Done {
            changed: life.is_changed(),
            limits: life.limits.is_some() && life.standing != Standing::New,
            ..Done::default()
        };
        if scope == Scope::Data {
            return data;
        }
        let shut_out = matches!(life.standing, Standing::Superseded | Standing::Detached);
        let live = |life: &Life| life.base.is_some();
        Done {
            // There is nothing to renew where nothing is stored.
            renewed: life.renew && life.standing != Standing::New,
            logged_in: life.login.is_some(),
            ended: self.ended.iter().any(live) || (shut_out && self.end_asked),
            ended_nothing: self.end_asked && self.presented_nothing,
            ..data
        }
    }

    pub(crate) fn due(&self, scope: Scope) -> Due {
        let due = match scope {
            Scope::Everything => self.life.due,
            Scope::Data => Due::default(),
        };
        Due {
            sealed: self.sealed,
            ..due
        }
    }

    /// Whether the end of the request has something to tell the client.
    pub(crate) fn needs_head(&self) -> bool {
        self.life.renew || self.speaks_of_identity()
    }

    /// Whether the session was ended when no end of a request was left to carry it out.
    pub(crate) fn ended_after_head(&self) -> bool {
        self.head_sent && self.end_asked
    }

    /// Whether the answer says who is signed in: a login or logout is still to happen.
    pub(crate) fn speaks_of_identity(&self) -> bool {
        self.end_asked || self.life.login.is_some()
    }

    /// The life of this number, unless its end has been carried out.
    pub(crate) fn life_mut(&mut self, number: u32) -> Option<&mut Life> {
        let mut lives = std::iter::once(&mut self.life).chain(&mut self.ended);
        lives.find(|life| life.number == number)
    }

    /// The record is stored; what was asked for is done.
    pub(crate) fn committed(&mut self, number: u32, record: Arc<Record>, outcome: &Outcome) {
        let Some(life) = self.life_mut(number) else {
            return;
        };
        life.committed(record, outcome);
        if number != self.life.number {
            return;
        }
        (self.left.changes, self.left.limits) = (0, None);
        if outcome.scope == Scope::Data {
            return self.note(outcome.cookie);
        }
        let life = &mut self.life;
        let (renew, login) = (life.renew && !outcome.renew, life.login.take());
        let seed = life.next_seed;
        self.conclude(outcome.cookie);
        if renew || login.is_some() {
            // It was asked for since.
            self.life.renew = renew;
            self.life.login = login;
            self.life.next_seed = seed;
        }
    }

    /// Everything that was asked for is done.
    pub(crate) fn conclude(&mut self, cookie: CookieMove) {
        self.note(cookie);
        self.ended.clear();
        self.end_asked = false;
        self.life.renew = false;
        self.life.login = None;
        self.life.next_seed = None;
        self.life.due = Due::default();
    }

    /// What was ended is deleted; what was asked for since is still to be done.
    pub(crate) fn ends_are_carried_out(&mut self) {
        self.ended.retain(|life| life.base.is_some());
        self.end_asked = !self.ended.is_empty();
    }

    /// The request is answered with an error, so what it was to end lives on.
    pub(crate) fn take_ends_back(&mut self) {
        if self.life.standing == Standing::New && !self.ended.is_empty() {
            let first = self.ended.iter().position(|life| life.base.is_some());
            self.life = self.ended.swap_remove(first.unwrap_or(0));
        }
        self.ended.clear();
        self.end_asked = false;
        self.logged_out = false;
    }

    /// The life that an end would be the end of: one that is to be deleted, or the one in front.
    pub(crate) fn number_of_the_living(&self) -> u32 {
        let mut ended = self.ended.iter();
        let living = ended.find(|life| life.base.is_some());
        living.map_or(self.life.number, |life| life.number)
    }

    /// The session of `base` has ended, or another secret is in force: the browser may have that one by
    /// now, which the one of `base` must not replace.
    pub(crate) fn withhold(&mut self, base: &Record) {
        let ours = self.life.base.as_ref();
        if ours.is_some_and(|ours| ours.secret == base.secret) {
            self.send_nothing();
        }
    }

    fn send_nothing(&mut self) {
        if self.cookie == CookieMove::Set {
            self.cookie = CookieMove::Keep;
        }
    }

    /// `newest` is stored: a token that it has replaced is not sent.
    pub(crate) fn withhold_unless(&mut self, newest: &Record) {
        let ours = self.life.base.as_ref();
        if ours.is_some_and(|ours| ours.secret != newest.secret) {
            self.send_nothing();
        }
    }

    /// Notes that the client gets its token again, if what would be said of it is what is `stored`.
    ///
    /// Whoever has changed that tells the client, and their answer may have arrived by now.
    pub(crate) fn send_again(&mut self, cookie: CookieMove, stored: Option<&Record>) {
        let Some(base) = &self.life.base else {
            return;
        };
        let life = |record: &Record| (record.persistent, record.expiry);
        let is_current = |stored: &Record| {
            // What a clone of the handle has stored since is newer.
            let is_newer = base.version.counter() > stored.version.counter();
            is_newer || (is_same(stored, base) && life(stored) == life(base))
        };
        match stored.is_some_and(is_current) {
            true => self.note(cookie),
            false => self.send_nothing(),
        }
    }

    /// Whether a token that the client has had before is to be sent to it.
    pub(crate) fn sends_again(&self) -> bool {
        self.cookie == CookieMove::Set && self.life.is_known && !self.sealed
    }

    /// Notes what the client must learn.
    pub(crate) fn note(&mut self, cookie: CookieMove) {
        if cookie != CookieMove::Keep {
            self.cookie = cookie;
        }
    }
}

impl Life {
    /// A life in which nothing is stored yet.
    pub(crate) const fn new(number: u32, draft: Draft) -> Self {
        Self {
            number,
            standing: Standing::New,
            base: None,
            token: None,
            draft,
            due: Due::NOTHING,
            is_known: false,
            renew: false,
            login: None,
            next_seed: None,
            signed_in: None,
            limits: None,
            doubts: Doubts {
                older: Vec::new(),
                latest: None,
            },
            refusal_told: false,
        }
    }

    /// Whether there are operations to be stored.
    fn is_changed(&self) -> bool {
        match self.standing {
            // What came and went again leaves nothing to begin a session for.
            Standing::New => self.draft.adds_something(),
            _ => self.draft.changes() > 0,
        }
    }

    /// Whether what is stored gets a new secret because somebody asked for it.
    pub(crate) fn replaces_secret(&self) -> bool {
        self.standing == Standing::Live && (self.renew || self.login.is_some())
    }

    /// Whether the record is another owner's, whose values must not be seen, nor added to.
    pub(crate) fn is_taken_over(&self) -> bool {
        let login = self.login.as_ref();
        login.is_some_and(|login| login.taken_over.is_some())
    }

    pub(crate) fn log_in(&mut self, owner: Owner) {
        let present = self.base.as_ref().and_then(|record| record.owner.as_ref());
        let another = present.is_some_and(|present| *present != owner);
        let put_aside = self.login.take().and_then(|login| login.taken_over);
        if !another {
            if let Some(draft) = put_aside {
                self.draft = *draft;
            }
            self.login = Some(Login {
                owner,
                taken_over: None,
            });
            return;
        }
        let taken_over = put_aside.unwrap_or_else(|| Box::new(std::mem::take(&mut self.draft)));
        self.login = Some(Login {
            owner,
            taken_over: Some(taken_over),
        });
    }

    /// What was done to the values that are stored.
    fn draft_on_base(&mut self) -> &mut Draft {
        let login = self.login.as_mut();
        match login.and_then(|login| login.taken_over.as_deref_mut()) {
            Some(put_aside) => put_aside,
            None => &mut self.draft,
        }
    }

    /// A commit did not happen: what was done is open again, but for what is in doubt.
    pub(crate) fn unfreeze(&mut self) {
        let frozen = |logged_in: bool| {
            let doubts = self.doubts.iter().map(|doubt| &doubt.outcome);
            let doubts = doubts.filter(|outcome| outcome.facts.logged_in == logged_in);
            doubts.map(|outcome| outcome.operations).max().unwrap_or(0)
        };
        let (before, with_login) = (frozen(false), frozen(true));
        let login = self.login.as_mut();
        match login.and_then(|login| login.taken_over.as_deref_mut()) {
            Some(put_aside) => {
                put_aside.abort_commit(before);
                self.draft.abort_commit(with_login);
            }
            None => self.draft.abort_commit(before.max(with_login)),
        }
    }

    fn revert(&mut self) {
        if let Some(draft) = self.login.take().and_then(|login| login.taken_over) {
            self.draft = *draft;
        }
        self.renew = false;
        self.next_seed = None;
        self.limits = None;
        self.doubts.clear();
        self.draft.revert();
    }

    fn committed(&mut self, record: Arc<Record>, outcome: &Outcome) {
        let carried = |login: &mut Login| {
            outcome.facts.logged_in && record.owner.as_ref() == Some(&login.owner)
        };
        if let Some(login) = self.login.take_if(carried) {
            self.signed_in = Some(SignedIn::over(self.base.as_deref(), login.owner));
        }
        // A revert since has forgotten the write and its operations: those there are now are others.
        let known = self.doubts.iter();
        let known = known
            .map(|doubt| doubt.version)
            .any(|version| version == record.version);
        let operations = if known { outcome.operations } else { 0 };
        let (data, own) = (record.data.clone(), record.own.clone());
        let is_anothers = |login: &Login| {
            let owner = record.owner.as_ref();
            owner.is_some_and(|owner| *owner != login.owner)
        };
        match &mut self.login {
            // Another's login was on its way when this one was asked for.
            Some(login) if login.taken_over.is_none() && is_anothers(login) => {
                login.taken_over = Some(Box::new(Draft::new(data, own)));
                self.draft
                    .committed(operations, Data::default(), Data::default());
            }
            _ => self.draft_on_base().committed(operations, data, own),
        }
        self.doubts.clear();
        // Others may have been asked for since.
        self.limits
            .take_if(|limits| Some(*limits) == outcome.limits);
        self.standing = Standing::Live;
        self.refusal_told = false;
        let before = self.base.as_ref().map(|base| base.accessed_at);
        let is_noted = before.is_some_and(|before| before < record.accessed_at);
        // The end of the request sends the cookie again, unless this write does.
        self.due.slides |= is_noted && outcome.cookie == CookieMove::Keep;
        self.rebase(record);
        self.token = Some(outcome.token.clone());
    }

    /// An access is written down: by `touch`, or with a record in place of that of version `over`.
    pub(crate) fn accessed(&mut self, over: Version, touch: &Touch, replaced: Option<Arc<Record>>) {
        match (replaced, &mut self.base) {
            (Some(record), Some(base)) if base.version == over => self.rebase(record),
            (_, Some(base)) => {
                Arc::make_mut(base).touch(touch);
            }
            (_, None) => {}
        }
    }

    /// Goes on from a newer record of the same session.
    pub(crate) fn rebase(&mut self, record: Arc<Record>) {
        self.due.goes_on(self.base.as_deref(), &record);
        self.base = Some(record);
    }

    /// The token, if it is the one in force: an older one must not replace a newer in the
    /// browser.
    pub(crate) fn token_in_force(&self) -> Option<(&Token, &Arc<Record>)> {
        let (token, base) = self.token.as_ref().zip(self.base.as_ref())?;
        (token.digest() == base.secret).then_some((token, base))
    }

    /// What the passing of time has made due; an access is noted with what is written anyway.
    pub(crate) fn note_due(&mut self, keep_expiry: bool, writes: bool, manager: &SessionManager) {
        let Some(base) = &self.base else {
            return;
        };
        let config = manager.config();
        self.due.persistent = config.keeps_cookie(base.persistent);
        let looks = !keep_expiry && (!writes || self.due.persistent);
        let is_old = looks && needs_touch(base, manager.now(), false, manager);
        self.due.touch = is_old && !writes;
        // Who notes the access sends the cookie again, also where it fell due meanwhile.
        self.due.slides = (self.due.slides || is_old) && !keep_expiry;
    }
}

/// Whether the last access is old enough to be written down. After the head a persistent session waits
/// longer: only a request can send the cookie again, which the first to write the access down does.
pub(crate) fn needs_touch(
    record: &Record,
    now: Timestamp,
    head_sent: bool,
    manager: &SessionManager,
) -> bool {
    let mut interval = touch_interval_ms(record, manager);
    if head_sent && manager.config().keeps_cookie(record.persistent) {
        let room = record.expiry.timeout_ms().map(|timeout| timeout - interval);
        let longer = room.map_or(interval, |room| interval.min(room / 2));
        interval = interval.saturating_add(longer);
    }
    now.ms_since(record.accessed_at) >= interval
}

fn touch_interval_ms(record: &Record, manager: &SessionManager) -> i64 {
    let config = manager.config();
    let usual = config.touch_interval_ms;
    match record.expiry.timeout_ms() {
        // It must not expire between two touches.
        Some(timeout) if timeout < millis(config.options.timeout) => usual.min((timeout + 9) / 10),
        _ => usual,
    }
}

/// The data of a session that may follow on one that ended: its end must not fail for it.
pub(crate) fn initial_or_none(manager: &SessionManager) -> Draft {
    initial(manager).unwrap_or_else(|error| {
        tracing::warn!(target: "session", %error, "the initializer failed: the next session begins empty");
        Draft::default()
    })
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
