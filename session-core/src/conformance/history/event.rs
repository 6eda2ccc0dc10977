//! What a client asked for and what it was told, from when to when.

use std::fmt;

/// The keys that clients write; the last is a counter.
pub(super) const KEYS: [&str; 3] = ["a", "b", "n"];
pub(super) const COUNTER: usize = 2;
/// The owners that clients sign in as; 0 is none.
pub(super) const OWNERS: [&str; 3] = ["nobody", "ada", "bob"];

/// One of the secrets that the session had, numbered as they were asked for; 0 is the first.
pub(super) type Tag = u16;

/// One operation of one client.
#[derive(Clone, Debug)]
pub(super) struct Event {
    pub(super) client: usize,
    /// A tick of the history's clock, before the operation began.
    pub(super) call: u64,
    /// A tick after it ended; if its outcome is unknown, one by which it has happened or never
    /// will.
    pub(super) end: u64,
    pub(super) asked: Asked,
    pub(super) told: Told,
}

/// What a client asks of the session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Asked {
    /// Store the first values, under the id and the first secret that the history gave out.
    Create { changes: Vec<Change> },
    /// Open it with the secret `by`.
    Open { by: Tag },
    /// Read it again, through a handle let in under `by`.
    Reload { by: Tag },
    /// Store changes, perhaps with a login, perhaps under a new secret.
    Commit {
        by: Tag,
        renews: Option<Tag>,
        login: Option<u8>,
        changes: Vec<Change>,
    },
    /// End it, through a handle let in under `by`.
    Destroy { by: Tag },
    /// End it, as an administrator.
    Revoke,
    /// End it if it is this owner's.
    RevokeOwner(u8),
    /// Look whether it is among this owner's sessions.
    List(u8),
    /// Read the record in the store.
    Peek,
}

/// One change of the data; each stored value is written once in a history.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    Insert(usize, u32),
    Remove(usize),
    Clear,
    /// The counter goes up by one.
    Add,
}

/// What is in a session; the value 0 is none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Seen {
    pub(super) owner: u8,
    pub(super) values: [u32; KEYS.len()],
}

/// What a client was told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Told {
    /// It is live and holds this.
    Read(Seen),
    /// There is no session, or none that the secret opens.
    Nothing,
    /// It is stored; what was there before, if the client saw it, and what is there now.
    Stored {
        before: Option<Seen>,
        after: Seen,
    },
    /// The id was taken.
    Taken,
    /// The session has ended or its secret was replaced; nothing was stored.
    Gone,
    /// It has ended, by this or before.
    Ended,
    Yes,
    No,
    /// An error: it may have happened, or happen until the event's end.
    Unknown,
}

impl Event {
    /// Whether it may as well never have happened.
    pub(super) fn is_unknown(&self) -> bool {
        self.told == Told::Unknown
    }

    /// The data it changed, or was to change.
    pub(super) fn changes(&self) -> &[Change] {
        match &self.asked {
            Asked::Create { changes } | Asked::Commit { changes, .. } => changes,
            _ => &[],
        }
    }

    /// What it saw of the session.
    pub(super) fn seen(&self) -> impl Iterator<Item = &Seen> {
        let both = match &self.told {
            Told::Read(seen) => [Some(seen), None],
            Told::Stored { before, after } => [before.as_ref(), Some(after)],
            _ => [None, None],
        };
        both.into_iter().flatten()
    }

    /// The secret that let it in.
    pub(super) fn by(&self) -> Option<Tag> {
        match &self.asked {
            Asked::Open { by }
            | Asked::Reload { by }
            | Asked::Commit { by, .. }
            | Asked::Destroy { by } => Some(*by),
            _ => None,
        }
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Create { changes } => write!(f, "create{}", Changes(changes)),
            Self::Open { by } => write!(f, "open by secret {by}"),
            Self::Reload { by } => write!(f, "reload by secret {by}"),
            Self::Commit {
                by,
                renews,
                login,
                changes,
            } => {
                write!(f, "by secret {by}:")?;
                if let Some(owner) = login {
                    write!(f, " login {}", OWNERS[usize::from(*owner)])?;
                }
                match renews {
                    Some(tag) => write!(f, " renew to secret {tag}{}", Changes(changes)),
                    None => write!(f, " store{}", Changes(changes)),
                }
            }
            Self::Destroy { by } => write!(f, "destroy by secret {by}"),
            Self::Revoke => f.write_str("revoke"),
            Self::RevokeOwner(owner) => write!(f, "revoke all of {}", OWNERS[usize::from(*owner)]),
            Self::List(owner) => write!(f, "list {}", OWNERS[usize::from(*owner)]),
            Self::Peek => f.write_str("look into the store"),
        }
    }
}

struct Changes<'a>(&'a [Change]);

impl fmt::Display for Changes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for change in self.0 {
            match change {
                Change::Insert(key, value) => write!(f, " {}={value}", KEYS[*key])?,
                Change::Remove(key) => write!(f, " -{}", KEYS[*key])?,
                Change::Clear => f.write_str(" clear")?,
                Change::Add => write!(f, " {}+1", KEYS[COUNTER])?,
            }
        }
        Ok(())
    }
}

impl fmt::Display for Seen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        if self.owner > 0 {
            write!(f, "{}", OWNERS[usize::from(self.owner)])?;
        }
        for (key, value) in KEYS.iter().zip(self.values).filter(|(_, value)| *value > 0) {
            write!(f, " {key}={value}")?;
        }
        f.write_str(" }")
    }
}

impl fmt::Display for Told {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(seen) => write!(f, "{seen}"),
            Self::Nothing => f.write_str("nothing"),
            Self::Stored {
                before: Some(before),
                after,
            } => write!(f, "stored: {before} became {after}"),
            Self::Stored { after, .. } => write!(f, "stored: {after}"),
            Self::Taken => f.write_str("taken"),
            Self::Gone => f.write_str("gone"),
            Self::Ended => f.write_str("ended"),
            Self::Yes => f.write_str("yes"),
            Self::No => f.write_str("no"),
            Self::Unknown => f.write_str("error: unknown"),
        }
    }
}
