//! What is revoked of one owner's sealed sessions: what a revocation record says, and the pure
//! decisions on it.
//!
//! As JSON, in the record's `data`; times are integer milliseconds since 1970 UTC:
//!
//! ```text
//! {"format":1,
//!  "not_before":{"at":1764000030000,"until":1833120060000,
//!                "spared":{"id":"AAAAAAAAAAAAAAAAAAAAAA","after":1763000000000}},
//!  "sessions":{"BBBBBBBBBBBBBBBBBBBBBA":{"at":1764000000000,"until":1764172860000,"lives_from":3}}}
//! ```
//!
//! | field | meaning |
//! |---|---|
//! | `not_before.at` | what was issued then or before is dead |
//! | `not_before.spared` | but for this session, which is dead only if it was issued at `after` or before: the bound that held for it until then |
//! | `sessions` | sessions that ended or were renewed: what was issued at `at` or before is dead |
//! | `lives_from` | but for this generation and those after it; absent: the session has ended |
//! | `until` | when no cookie that this is about can live any more: then it is forgotten |
//!
//! Each `at` lies after everything that may have been issued before: `clock_skew` after the time of
//! whoever writes it, and after every other `at`, since a login is issued right after those. So a
//! session that signs in anew under an id that had ended lives.
//!
//! Nothing that is merged in takes anything back: a second merge of the same changes nothing,
//! and what was dead stays so.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::clock::Timestamp;
use crate::data::Data;
use crate::error::{Error, ErrorKind};
use crate::id::SessionId;
use crate::record::{Generation, Record};

/// What one record says of its owner's sessions.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Revoked {
    format: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    not_before: Option<NotBefore>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    sessions: BTreeMap<Id, Ended>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct NotBefore {
    at: i64,
    until: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    spared: Option<Spared>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Spared {
    id: Id,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    after: Option<i64>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Ended {
    at: i64,
    until: i64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    lives_from: Option<u32>,
}

/// What became of a session that its cookie says is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Lives,
    /// A newer generation of it was given out; `at` is the bound that was written for it.
    Renewed {
        at: Timestamp,
        lives_from: Generation,
    },
    Ended,
}

impl Revoked {
    /// What a record's data say.
    pub(crate) fn parse(data: &Data) -> Result<Self, Error> {
        let corrupt = |source| {
            Error::new(
                ErrorKind::Corrupt,
                "the owner's revocations cannot be decoded",
            )
            .caused_by(source)
        };
        let format = data.raw("format").map(serde_json::from_str::<u64>);
        if matches!(format, Some(Ok(format)) if format > u64::from(FORMAT)) {
            return Err(Error::new(
                ErrorKind::NewerFormat,
                "the owner's revocations are of a newer format",
            ));
        }
        serde_json::from_str(data.as_str()).map_err(corrupt)
    }

    pub(crate) fn to_data(&self) -> Result<Data, Error> {
        let text = serde_json::to_string(self).expect("numbers and ids are JSON");
        Data::parse(&text)
    }

    /// Whether the session `id` lives, of which a cookie holds `record`.
    pub(crate) fn verdict(&self, id: &SessionId, record: &Record) -> Verdict {
        let issued = record.secret_at.as_unix_ms();
        let ended = self.sessions.get(&Id(*id));
        match ended.filter(|ended| issued <= ended.at && ended.is_about(record.generation)) {
            None if self.bound(id).is_some_and(|bound| issued <= bound) => Verdict::Ended,
            None => Verdict::Lives,
            Some(ended) => ended
                .lives_from
                .map_or(Verdict::Ended, |from| Verdict::Renewed {
                    at: Timestamp::from_unix_ms(ended.at),
                    lives_from: Generation(from),
                }),
        }
    }

    /// What of this session was issued at that time or before is dead, whatever its generation.
    fn bound(&self, id: &SessionId) -> Option<i64> {
        let not_before = self.not_before?;
        match not_before.spared {
            Some(spared) if spared.id == Id(*id) => spared.after,
            _ => Some(not_before.at),
        }
    }

    /// The earliest time at which this generation of the session can be issued and live.
    pub(crate) fn floor(&self, id: &SessionId, generation: Generation) -> Timestamp {
        let ended = self.sessions.get(&Id(*id));
        let ended = ended.filter(|ended| ended.is_about(generation));
        after(self.bound(id).max(ended.map(|ended| ended.at)))
    }

    /// A time after all that anything here is about.
    pub(crate) fn end(&self) -> Timestamp {
        let sessions = self.sessions.values().map(|ended| ended.at).max();
        after(
            self.not_before
                .map(|not_before| not_before.at)
                .max(sessions),
        )
    }

    /// Ends what was issued of a session at `at` or before, but for `lives_from` and the
    /// generations after it.
    pub(crate) fn end_one(
        &mut self,
        id: &SessionId,
        lives_from: Option<Generation>,
        at: Timestamp,
        until: Timestamp,
    ) {
        let new = Ended {
            at: at.as_unix_ms(),
            until: until.as_unix_ms(),
            lives_from: lives_from.map(|generation| generation.0),
        };
        let known = self.sessions.entry(Id(*id)).or_insert(new);
        known.at = known.at.max(new.at);
        known.until = known.until.max(new.until);
        // An end is about every generation, also about those that a renewal would leave.
        known.lives_from = known
            .lives_from
            .zip(new.lives_from)
            .map(|(one, other)| one.max(other));
    }

    /// Ends whatever was issued at `at` or before, but for the session `except`.
    ///
    /// That one keeps the bound it had: being spared brings back nothing that was dead.
    pub(crate) fn end_all(&mut self, at: Timestamp, until: Timestamp, except: Option<&SessionId>) {
        let spared = except.map(|id| Spared {
            id: Id(*id),
            after: self.bound(id),
        });
        self.move_on(at, until, spared);
        // What was issued before needs no entry of its own.
        let at = at.as_unix_ms();
        self.sessions
            .retain(|id, ended| ended.at > at || spared.is_some_and(|spared| spared.id == *id));
    }

    fn move_on(&mut self, at: Timestamp, until: Timestamp, spared: Option<Spared>) {
        let (at, until) = (at.as_unix_ms(), until.as_unix_ms());
        let before = self.not_before;
        let newer = before.filter(|before| before.at > at);
        self.not_before = Some(NotBefore {
            at: newer.map_or(at, |newer| newer.at),
            until: before.map_or(until, |before| before.until.max(until)),
            // Whom a newer one spares is older than that, but perhaps not than this.
            spared: match newer {
                None => spared,
                Some(newer) => newer.spared.map(|theirs| match spared {
                    Some(ours) if ours.id == theirs.id => theirs,
                    _ => Spared {
                        after: theirs.after.max(Some(at)),
                        ..theirs
                    },
                }),
            },
        });
    }

    /// Drops what no living cookie is about.
    pub(crate) fn forget(&mut self, now: Timestamp) {
        let due = |until: i64| until > now.as_unix_ms();
        self.sessions.retain(|_, ended| due(ended.until));
        self.not_before = self.not_before.filter(|not_before| due(not_before.until));
    }

    /// Keeps at most [`SESSIONS_MAX`] sessions one by one: the older half of more is folded
    /// into the not-before time, which ends whatever began before them as well, and so is remembered
    /// until `until`, when no cookie of the owner's from then can live any more.
    pub(crate) fn fold(&mut self, until: Timestamp) {
        if self.sessions.len() <= SESSIONS_MAX {
            return;
        }
        let mut times: Vec<i64> = self.sessions.values().map(|ended| ended.at).collect();
        times.sort_unstable();
        let last = times[times.len() / 2];
        let folded = |ended: &Ended| ended.at <= last;
        let known = self.sessions.values().map(|ended| ended.until).max();
        let until = until.as_unix_ms().max(known.unwrap_or(last));
        let spared = self.not_before.and_then(|not_before| not_before.spared);
        let spared = spared.filter(|one| !self.sessions.get(&one.id).is_some_and(folded));
        let (at, until) = (
            Timestamp::from_unix_ms(last),
            Timestamp::from_unix_ms(until),
        );
        self.move_on(at, until, spared);
        self.sessions.retain(|_, ended| !folded(ended));
    }

    /// When all of it may be forgotten.
    pub(crate) fn until(&self) -> Timestamp {
        let sessions = self.sessions.values().map(|ended| ended.until);
        let all = sessions.chain(self.not_before.map(|not_before| not_before.until));
        Timestamp::from_unix_ms(all.max().unwrap_or(i64::MIN))
    }
}

impl Ended {
    fn is_about(&self, generation: Generation) -> bool {
        self.lives_from.is_none_or(|from| generation.0 < from)
    }
}

/// The moment after `at`; the start of the range where there is none.
fn after(at: Option<i64>) -> Timestamp {
    Timestamp::from_unix_ms(at.map_or(i64::MIN, |at| at.saturating_add(1)))
}

impl Default for Revoked {
    /// Nothing is revoked.
    fn default() -> Self {
        Self {
            format: FORMAT,
            not_before: None,
            sessions: BTreeMap::new(),
        }
    }
}

/// A session's id, as text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
struct Id(SessionId);

impl From<Id> for String {
    fn from(id: Id) -> Self {
        id.0.to_string()
    }
}

impl TryFrom<String> for Id {
    type Error = crate::id::BadToken;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse().map(Self)
    }
}

const FORMAT: u32 = 1;
/// Some 80 KB of JSON.
const SESSIONS_MAX: usize = 1_000;

#[cfg(test)]
#[path = "revoked_tests.rs"]
mod tests;
