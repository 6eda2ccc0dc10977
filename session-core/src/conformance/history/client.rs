//! What one client does: requests that read, write, renew, sign in and end, as the dice fall.

use std::sync::Arc;

use super::dice::Dice;
use super::event::{Asked, COUNTER, Change, KEYS, OWNERS, Tag, Told};
use super::request::Request;
use super::stage::{Stage, count};
use crate::error::{Error, ErrorKind};
use crate::operations::Draft;
use crate::session::Session;
use crate::state::{Life, State};

/// A client, or several tabs of one browser: all clients know all cookies.
pub(super) struct Client {
    number: usize,
    stage: Arc<Stage>,
    dice: Dice,
    /// Of a hundred things it does so many end the session.
    ends: usize,
    open: Option<Handle>,
}

/// A session that is open, and the request that it is open in, unless that was answered.
struct Handle {
    request: Option<Request>,
    session: Session,
    by: Tag,
    node: usize,
}

impl Client {
    pub(super) fn new(number: usize, stage: &Arc<Stage>, dice: Dice, ends: usize) -> Self {
        Self {
            number,
            stage: Arc::clone(stage),
            dice,
            ends,
            open: None,
        }
    }

    /// Begins the session under an id that others are given, too: of all but one it is taken.
    pub(super) async fn create(&mut self) {
        let node = self.dice.below(self.stage.nodes.len());
        let mut life = Life::new(0, Draft::default());
        life.token = Some(self.stage.token.clone());
        let manager = self.stage.nodes[node].manager.clone();
        let session = Session::new(manager, State::new(life, false));
        let changes = self.change(&session);
        let call = self.stage.tick();
        let saved = self.save(&session).await;
        let told = match saved {
            Ok(()) if session.id() == Some(self.stage.id()) => stored(&self.stage, &session),
            Ok(()) => {
                self.stage.leave_behind(session.id());
                Told::Taken
            }
            Err(error) => told_by(&error),
        };
        self.note(node, call, Asked::Create { changes }, told);
    }

    /// One step.
    pub(super) async fn act(&mut self) {
        match self.open.take() {
            None if self.dice.percent(self.ends) => self.administer(true).await,
            None if self.dice.percent(10) => self.administer(false).await,
            None => self.begin().await,
            Some(handle) => match self.dice.below(10) {
                0..3 => self.store(handle).await,
                3..6 => self.transact(handle).await,
                6 => self.reload(handle).await,
                _ => self.answer(handle).await,
            },
        }
    }

    async fn administer(&mut self, end: bool) {
        let node = self.dice.below(self.stage.nodes.len());
        let manager = self.stage.nodes[node].manager.clone();
        let owner = 1 + self.dice.below(OWNERS.len() - 1) as u8;
        let of = self.stage.owner(owner).clone();
        let call = self.stage.tick();
        let (asked, answer) = if !end {
            let listed = manager.sessions_of(&of).await;
            let is_listed = listed.map(|all| all.iter().any(|one| one.id == self.stage.id()));
            (Asked::List(owner), is_listed)
        } else if self.dice.percent(50) {
            (Asked::Revoke, manager.revoke(&self.stage.id()).await)
        } else {
            let ended = manager.revoke_owner(&of, None).await;
            (Asked::RevokeOwner(owner), ended.map(|ended| ended > 0))
        };
        let told = match answer {
            Ok(true) if end && self.stage.faults > 0 => Told::Ended,
            Ok(true) => Told::Yes,
            Ok(false) => Told::No,
            Err(error) => told_by(&error),
        };
        self.note(node, call, asked, told);
    }

    async fn begin(&mut self) {
        if self.dice.percent(50) {
            self.stage.let_time_pass();
        }
        let mut known = self.stage.known();
        let newest = known.len() - 1;
        let chosen = match self.dice.percent(80) {
            true => newest,
            false => self.dice.below(known.len()),
        };
        let (by, cookie) = known.swap_remove(chosen);
        let node = self.dice.below(self.stage.nodes.len());
        let manager = self.stage.nodes[node].manager.clone();
        let call = self.stage.tick();
        let told = match Request::begin(&manager, &cookie).await {
            Ok(request) if request.session.is_new() => Told::Nothing,
            Ok(request) => {
                let session = request.session.clone();
                let seen = self.stage.seen_by(&session);
                self.open = Some(Handle {
                    request: Some(request),
                    session,
                    by,
                    node,
                });
                Told::Read(seen)
            }
            Err(error) => told_by(&error),
        };
        self.note(node, call, Asked::Open { by }, told);
    }

    async fn reload(&mut self, handle: Handle) {
        let call = self.stage.tick();
        let told = match handle.session.reload().await {
            Ok(()) => Told::Read(self.stage.seen_by(&handle.session)),
            Err(error) => told_by(&error),
        };
        let asked = Asked::Reload { by: handle.by };
        self.go_on(handle, call, asked, told);
    }

    /// Changes the session and saves it while the request goes on.
    async fn store(&mut self, handle: Handle) {
        let changes = self.change(&handle.session);
        let call = self.stage.tick();
        let told = match self.save(&handle.session).await {
            Ok(()) => stored(&self.stage, &handle.session),
            Err(error) => told_by(&error),
        };
        let asked = commit(handle.by, changes);
        self.go_on(handle, call, asked, told);
    }

    /// Saves; after a lost answer perhaps once more, which must find out what became of the
    /// first.
    async fn save(&mut self, session: &Session) -> Result<(), Error> {
        match session.save().await {
            Err(error) if error.kind() == ErrorKind::Unavailable && self.dice.percent(50) => {
                // That it is gone now does not tell what became of the write.
                session.save().await.map_err(|_| error)
            }
            saved => saved,
        }
    }

    async fn transact(&mut self, handle: Handle) {
        let wanted = self.wish();
        let (stage, owner) = (Arc::clone(&self.stage), handle.session.owner());
        let call = stage.tick();
        let answer = handle.session.transact(|draft| {
            let before = stage.seen_in(owner.as_ref(), draft);
            for change in &wanted {
                match *change {
                    Change::Insert(key, value) => draft.insert(KEYS[key], value)?,
                    Change::Remove(key) => drop(draft.remove(KEYS[key])),
                    Change::Clear => draft.clear(),
                    Change::Add => {
                        let n = draft.get::<u32>(KEYS[COUNTER])?.unwrap_or(0);
                        draft.insert(KEYS[COUNTER], n + 1)?;
                    }
                }
            }
            Ok((before, stage.seen_in(owner.as_ref(), draft)))
        });
        let told = match answer.await {
            Ok((before, after)) => Told::Stored {
                before: Some(before),
                after,
            },
            Err(error) => told_by(&error),
        };
        let asked = commit(handle.by, wanted);
        self.go_on(handle, call, asked, told);
    }

    /// Ends the request: perhaps with changes, a login, a renewal, or the session's end.
    async fn answer(&mut self, mut handle: Handle) {
        let Some(request) = handle.request.take() else {
            // Code that outlived its response ends, too.
            return;
        };
        if self.dice.percent(50) {
            // A slow handler: the session becomes another one under its hands.
            let operations = self.dice.below(8);
            self.stage.let_others_do(operations).await;
        }
        if self.dice.percent(3 * self.ends) {
            handle.session.destroy();
            let call = self.stage.tick();
            let told = match request.finish().await {
                Ok(_) => Told::Ended,
                Err(kind) => told_of(kind),
            };
            let asked = Asked::Destroy { by: handle.by };
            return self.note(handle.node, call, asked, told);
        }
        let does = self.dice.below(10);
        let login = (does < 2).then(|| 1 + self.dice.below(OWNERS.len() - 1) as u8);
        let renews = (does < 4).then(|| self.stage.tag());
        match (login, renews) {
            (Some(owner), _) => handle.session.login(self.stage.owner(owner).clone()),
            (None, Some(_)) => handle.session.renew(),
            (None, None) => {}
        }
        let mut changes = Vec::new();
        if (1..7).contains(&does) {
            changes = self.change(&handle.session);
        }
        let call = self.stage.tick();
        let answer = request.finish().await;
        if does >= 7 {
            // It has only read; at most its access was written down.
            return;
        }
        let told = match answer {
            Ok(cookie) => {
                if let Some(tag) = renews {
                    let cookie = cookie.expect("a new secret is sent to the client");
                    self.stage.learn(tag, cookie);
                }
                stored(&self.stage, &handle.session)
            }
            Err(kind) => told_of(kind),
        };
        let asked = Asked::Commit {
            by: handle.by,
            renews,
            login,
            changes,
        };
        handle.by = renews.unwrap_or(handle.by);
        self.go_on(handle, call, asked, told);
        if does.is_multiple_of(2) {
            // Only some code outlives its response: a stream, a socket.
            self.open = None;
        }
    }

    /// What to change; always something that is written.
    fn wish(&mut self) -> Vec<Change> {
        let key = self.dice.below(COUNTER);
        let insert = |stage: &Stage| Change::Insert(key, stage.value());
        match self.dice.below(8) {
            0..3 => vec![insert(&self.stage)],
            3 => vec![Change::Remove(1 - key), insert(&self.stage)],
            4 => vec![Change::Clear, insert(&self.stage)],
            5 => vec![insert(&self.stage), Change::Add],
            _ => vec![Change::Add],
        }
    }

    /// Changes what a handle holds; what changes nothing there will not be done elsewhere.
    fn change(&mut self, session: &Session) -> Vec<Change> {
        let mut wish = self.wish();
        wish.retain(|change| match *change {
            Change::Insert(key, value) => session.insert(KEYS[key], value).is_ok(),
            Change::Remove(key) => session.remove(KEYS[key]),
            Change::Clear => {
                let holds = !session.is_empty();
                session.clear();
                holds
            }
            Change::Add => count(session).is_ok(),
        });
        wish
    }

    fn note(&mut self, node: usize, call: u64, asked: Asked, told: Told) {
        self.stage.note(self.number, node, call, asked, told);
    }

    /// Notes what happened; who was told of an error, or that it is over, lets go of the handle.
    fn go_on(&mut self, handle: Handle, call: u64, asked: Asked, told: Told) {
        let lives = matches!(told, Told::Read(_) | Told::Stored { .. });
        self.note(handle.node, call, asked, told);
        self.open = Some(handle).filter(|_| lives);
    }
}

fn commit(by: Tag, changes: Vec<Change>) -> Asked {
    Asked::Commit {
        by,
        renews: None,
        login: None,
        changes,
    }
}

fn stored(stage: &Stage, session: &Session) -> Told {
    Told::Stored {
        before: None,
        after: stage.seen_by(session),
    }
}

fn told_by(error: &Error) -> Told {
    match error.kind() {
        ErrorKind::Gone | ErrorKind::Unavailable => told_of(error.kind()),
        // So few clients are never too many.
        _ => panic!("a client of the suite was told: {error}"),
    }
}

fn told_of(kind: ErrorKind) -> Told {
    match kind {
        ErrorKind::Gone => Told::Gone,
        _ => Told::Unknown,
    }
}
