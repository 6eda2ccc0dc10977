//! One session as if one client used it at a time: what each operation does and answers.

use super::event::{Asked, COUNTER, Change, Event, KEYS, Seen, Tag, Told};

/// The session between two operations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct State {
    life: Life,
    secret: Tag,
    seen: Seen,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
enum Life {
    #[default]
    NotYet,
    Live,
    Ended,
}

impl State {
    /// The session after `event`, if its client could be told what it was told.
    pub(super) fn after(&self, event: &Event) -> Option<Self> {
        let (right, next) = self.ask(&event.asked);
        fits(&event.told, &right).then_some(next)
    }

    /// What the operation answers in this state, and the state it leaves.
    fn ask(&self, asked: &Asked) -> (Told, Self) {
        let is_live = self.life == Life::Live;
        let (ended, seen) = (self.ended(), self.seen);
        match asked {
            Asked::Create { changes } if self.life == Life::NotYet => {
                let mut next = Self {
                    life: Life::Live,
                    ..*self
                };
                next.seen.change(changes);
                (stored(seen, next.seen), next)
            }
            Asked::Create { .. } => (Told::Taken, *self),
            Asked::Open { by } if is_live && *by == self.secret => (Told::Read(seen), *self),
            Asked::Open { .. } => (Told::Nothing, *self),
            Asked::Reload { by } if is_live && *by == self.secret => (Told::Read(seen), *self),
            Asked::Commit {
                by,
                renews,
                login,
                changes,
            } if is_live && *by == self.secret => {
                let mut next = *self;
                if let Some(owner) = login {
                    if seen.owner != 0 && seen.owner != *owner {
                        // Another's values are not the new owner's to see.
                        next.seen = Seen::default();
                    }
                    next.seen.owner = *owner;
                }
                next.secret = renews.unwrap_or(self.secret);
                next.seen.change(changes);
                (stored(seen, next.seen), next)
            }
            Asked::Destroy { by } if !is_live || *by == self.secret => (Told::Ended, ended),
            Asked::Reload { .. } | Asked::Commit { .. } | Asked::Destroy { .. } => {
                (Told::Gone, *self)
            }
            Asked::Revoke if is_live => (Told::Yes, ended),
            Asked::RevokeOwner(owner) if is_live && seen.owner == *owner => (Told::Yes, ended),
            Asked::List(owner) if is_live && seen.owner == *owner => (Told::Yes, *self),
            Asked::Revoke | Asked::RevokeOwner(_) | Asked::List(_) => (Told::No, *self),
            Asked::Peek if is_live => (Told::Read(seen), *self),
            Asked::Peek => (Told::Nothing, *self),
        }
    }

    fn ended(&self) -> Self {
        match self.life {
            Life::NotYet => *self,
            // What it held is of no more interest: fewer states for the search to tell apart.
            Life::Live | Life::Ended => Self {
                life: Life::Ended,
                ..Self::default()
            },
        }
    }
}

impl Seen {
    fn change(&mut self, changes: &[Change]) {
        for change in changes {
            match *change {
                Change::Insert(key, value) => self.values[key] = value,
                Change::Remove(key) => self.values[key] = 0,
                Change::Clear => self.values = [0; KEYS.len()],
                Change::Add => self.values[COUNTER] += 1,
            }
        }
    }
}

fn stored(before: Seen, after: Seen) -> Told {
    Told::Stored {
        before: Some(before),
        after,
    }
}

/// Whether a client that was told `told` was told right.
fn fits(told: &Told, right: &Told) -> bool {
    match (told, right) {
        (Told::Unknown, _) => true,
        (
            Told::Stored { before, after },
            Told::Stored {
                before: was,
                after: is,
            },
        ) => after == is && (before.is_none() || before == was),
        // Where the answer was lost and the session is gone, whoever looks says so.
        (Told::Ended, Told::Yes | Told::No) => true,
        _ => told == right,
    }
}
