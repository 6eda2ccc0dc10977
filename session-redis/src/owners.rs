//! The owner index: a sorted set per owner, in another slot than the records it names.
//!
//! Members are ids; a score says until when the record may live. No transaction spans a record
//! and an index, so an order does: an entry is claimed before the record is written and released
//! after it, and
//!
//! - every claim gives the entry a higher score, so that whoever read the score before can tell
//!   that someone has claimed the entry since, and leaves it;
//! - an entry whose time is over is removed after a look at the record, and only with the score
//!   it had before the look. A writer who has claimed it and not written yet writes, by the
//!   server's clock, a record that is over too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future;
use redis::{RedisError, Value};
use session_core::{Owner, Record, SessionId, StoreErrorKind, Timestamp};

use crate::answer::{bytes, integer, list, parts};
use crate::failure::Failure;
use crate::keys::{Keys, id_of};
use crate::link::{Link, Script};
use crate::scripts;

/// The indices of one store.
#[derive(Clone, Debug)]
pub(crate) struct Owners {
    link: Link,
    keys: Arc<Keys>,
    skew: Duration,
}

/// An entry as it was claimed.
#[derive(Debug)]
pub(crate) struct Claim {
    owner: Owner,
    entry: Entry,
    is_new: bool,
    /// Others of this owner whose time is over.
    passed: Vec<Entry>,
}

/// An entry as it was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: SessionId,
    pub(crate) score: i64,
}

/// What stands behind an entry.
enum Found {
    Live(Box<Record>),
    /// Nothing, or another's record.
    Ghost,
    /// Whose it is cannot be told: the entry stays until the record is deleted.
    Unreadable,
}

impl Owners {
    pub(crate) fn new(link: Link, keys: Arc<Keys>, skew: Duration) -> Self {
        Self { link, keys, skew }
    }

    /// Lets the index speak for `id` under the record's owner, if it has one, as long as the
    /// record may live, touches of a while included.
    pub(crate) async fn claim(
        &self,
        id: &SessionId,
        record: &Record,
    ) -> Result<Option<Claim>, Failure> {
        let Some(owner) = &record.owner else {
            return Ok(None);
        };
        let until = score_of(record, self.skew).to_string();
        let text = id.encode();
        let args = [text.as_str().as_bytes(), until.as_bytes()];
        let answer = self.script(&scripts::CLAIM, owner, &args).await?;
        let [score, before, passed] = parts(answer)?;
        Ok(Some(Claim {
            owner: owner.clone(),
            entry: Entry {
                id: *id,
                score: integer(score)?,
            },
            is_new: integer(before)? == 0,
            passed: entries(passed)?.0,
        }))
    }

    /// After the record was not written: an entry that the claim has made goes, if nobody has
    /// claimed it since.
    pub(crate) async fn take_back(&self, claim: Option<Claim>) {
        let Some(claim) = claim.filter(|claim| claim.is_new) else {
            return;
        };
        self.release(&claim.owner, &claim.entry).await;
    }

    /// After the record was written: looks at some of the owner's entries whose time is over, so
    /// that an index nobody lists does not grow for ever.
    pub(crate) async fn settle(&self, claim: Option<Claim>) {
        let Some(claim) = claim else {
            return;
        };
        if let Err(failure) = self.clean(&claim.owner, &claim.passed).await {
            let failure = failure.into_store_error("cleaning the owner index");
            tracing::debug!(%failure, "old entries of the owner index stay for now");
        }
    }

    /// The entry of `id` as it is now.
    pub(crate) async fn entry(
        &self,
        owner: &Owner,
        id: &SessionId,
    ) -> Result<Option<Entry>, Failure> {
        let mut command = redis::cmd("ZSCORE");
        command.arg(self.keys.owner(owner));
        command.arg(id.encode().as_str());
        match self.link.command(&command).await? {
            Value::Nil => Ok(None),
            score => Ok(Some(Entry {
                id: *id,
                score: integer(score)?,
            })),
        }
    }

    /// Removes an entry of a record that is another's now, if it is as it was seen before.
    pub(crate) async fn release(&self, owner: &Owner, entry: &Entry) {
        let score = entry.score.to_string();
        self.remove(owner, &entry.id, score.as_bytes()).await;
    }

    /// Removes the entry of a record that was deleted: an id is not used again.
    pub(crate) async fn forget(&self, owner: &Owner, id: &SessionId) {
        self.remove(owner, id, b"").await;
    }

    /// What cannot be removed stays, which does no harm: the record has been written, and a list
    /// may hold an id too many.
    async fn remove(&self, owner: &Owner, id: &SessionId, score: &[u8]) {
        let text = id.encode();
        let args = [text.as_str().as_bytes(), score];
        let key = self.keys.owner(owner);
        if let Err(error) = self.link.script(&scripts::RELEASE, &key, &args).await {
            let failure = Failure::from(error).into_store_error("leaving the owner index");
            tracing::warn!(%failure, %id, "an entry of the owner index stays behind");
        }
    }

    /// All ids in the owner's index, but those whose record is gone or another's. If their time is
    /// over, they are removed.
    ///
    /// Pages go by rising scores. A claim can only move an entry on, so none is missed, and no
    /// command keeps the server for long.
    pub(crate) async fn list(&self, owner: &Owner) -> Result<Vec<SessionId>, Failure> {
        let (mut ids, mut passed, mut others) = (BTreeSet::new(), Vec::new(), Vec::new());
        let (mut from, mut count) = (i64::MIN, PAGE);
        loop {
            let args = [from.to_string(), count.to_string()];
            let args = args.each_ref().map(String::as_bytes);
            let answer = self.script(&scripts::LIST, owner, &args).await?;
            let [over, page] = parts(answer)?;
            let (over, (page, length)) = (integer(over)?, entries(page)?);
            for entry in &page {
                if ids.insert(entry.id) {
                    let is_passed = entry.score < over;
                    if is_passed { &mut passed } else { &mut others }.push(*entry);
                }
            }
            if length < count {
                break;
            }
            match page.last() {
                Some(last) if last.score > from => from = last.score,
                // A page of one score, or of none of ours: a larger one goes past it.
                _ => count = count.saturating_mul(2),
            }
        }
        // What is left is listed, as an id too many may be, and is for the next call to look at.
        passed.truncate(LOOKS_MAX);
        for ghost in self.clean(owner, &passed).await? {
            ids.remove(&ghost);
        }
        // Their entries stay: they may be those of logins that are just being written. To leave
        // them out of a list is right, as nobody was told of these logins yet.
        if others.len() <= LOOKED_THROUGH_MAX {
            for some in others.chunks(LOOKS_AT_ONCE) {
                let looks = some.iter().map(|entry| self.is_ghost(owner, entry));
                for (entry, is_ghost) in some.iter().zip(future::join_all(looks).await) {
                    if is_ghost? {
                        ids.remove(&entry.id);
                    }
                }
            }
        }
        Ok(ids.into_iter().collect())
    }

    /// Looks at the records; removes the entries of those that are gone or another's, and says
    /// which.
    async fn clean(&self, owner: &Owner, passed: &[Entry]) -> Result<Vec<SessionId>, Failure> {
        let mut ghosts = Vec::new();
        for some in passed.chunks(LOOKS_AT_ONCE) {
            let looks = some.iter().map(|entry| self.look(owner, entry));
            let mut gone = Vec::new();
            for (entry, found) in some.iter().zip(future::join_all(looks).await) {
                match found? {
                    Found::Ghost => gone.push(*entry),
                    // Another program has let it live longer.
                    Found::Live(record) => drop(self.claim(&entry.id, &record).await?),
                    Found::Unreadable => {}
                }
            }
            // At once: should the deadline cut this short, the next one has less to do.
            future::join_all(gone.iter().map(|entry| self.release(owner, entry))).await;
            ghosts.extend(gone.iter().map(|entry| entry.id));
        }
        Ok(ghosts)
    }

    /// Whether a look finds a ghost. Of a record whose beginning tells that it is the owner's nothing
    /// is sent: all of a list together may be hundreds of megabytes.
    async fn is_ghost(&self, owner: &Owner, entry: &Entry) -> Result<bool, Failure> {
        let found = match field_of(owner) {
            Some(field) => {
                let key = self.keys.session(&entry.id);
                let args = [field.as_bytes()];
                match self.link.script(&scripts::OWNED, &key, &args).await {
                    Ok(Value::Int(1)) => return Ok(false),
                    value => found(owner, value)?,
                }
            }
            None => self.look(owner, entry).await?,
        };
        Ok(matches!(found, Found::Ghost))
    }

    async fn look(&self, owner: &Owner, entry: &Entry) -> Result<Found, Failure> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys.session(&entry.id));
        found(owner, self.link.command(&command).await)
    }

    /// A script on the owner's index; the clocks' difference is its last argument.
    async fn script(
        &self,
        script: &Script,
        owner: &Owner,
        args: &[&[u8]],
    ) -> Result<Value, Failure> {
        let skew = self.skew.as_millis().to_string();
        let [first, second] = args else {
            return Err(Failure::Answer("nothing"));
        };
        let args = [first, second, skew.as_bytes()];
        let key = self.keys.owner(owner);
        Ok(self.link.script(script, &key, &args).await?)
    }
}

/// What a record's value, or its absence, is to the owner.
fn found(owner: &Owner, value: Result<Value, RedisError>) -> Result<Found, Failure> {
    let value = match value.map_err(Failure::from) {
        Ok(value) => bytes(value)?,
        Err(failure) if failure.kind() == StoreErrorKind::Corrupt => {
            return Ok(Found::Unreadable);
        }
        Err(failure) => return Err(failure),
    };
    Ok(match value.as_deref().map(Record::decode) {
        Some(Ok(record)) if record.owner.as_ref() == Some(owner) => Found::Live(Box::new(record)),
        None | Some(Ok(_)) => Found::Ghost,
        Some(Err(_)) => Found::Unreadable,
    })
}

/// What stands at the owner's place in a record; `None` if the name is not spelled there as it is.
fn field_of(owner: &Owner) -> Option<String> {
    let name = owner.as_str();
    let is_escaped = |letter: char| letter.is_control() || letter == '"' || letter == '\\';
    (!name.contains(is_escaped)).then(|| format!("\"owner\":\"{name}\""))
}

/// Until when the index speaks for a record: past every expiry that touches of its step can give
/// it. The script adds up to 35 minutes, by its clock: no two claims have one score.
fn score_of(record: &Record, skew: Duration) -> i64 {
    let ends = record.expiry.ends_at().map_or(NEVER, Timestamp::as_unix_ms);
    let until =
        step_of(record).map_or(ends, |step| step.end.saturating_add(step.timeout).min(ends));
    Timestamp::from_unix_ms(until)
        .after(skew)
        .as_unix_ms()
        .min(SCORE_MAX)
}

/// For a write of `record` over one with the same limits and owner: the earliest access of that
/// one for which the index speaks long enough already.
pub(crate) fn spoken_for_from(record: &Record) -> i64 {
    match step_of(record) {
        Some(step) if record.owner.is_some() => step.start,
        _ => i64::MIN,
    }
}

/// The stretch of time that a record's last access is in; `touch.lua` computes the same.
struct Step {
    start: i64,
    end: i64,
    timeout: i64,
}

fn step_of(record: &Record) -> Option<Step> {
    let timeout = i64::try_from(record.expiry.timeout()?.as_millis()).unwrap_or(NEVER);
    let length = timeout.clamp(STEP_MIN_MS, STEP_MAX_MS);
    let start = record
        .accessed_at
        .as_unix_ms()
        .div_euclid(length)
        .saturating_mul(length);
    Some(Step {
        start,
        end: start.saturating_add(length),
        timeout,
    })
}

/// Pairs of member and score, and how many there were before those that are no ids were left out.
fn entries(value: Value) -> Result<(Vec<Entry>, usize), Failure> {
    let values = list(value)?;
    let length = values.len() / 2;
    let mut found = Vec::with_capacity(length);
    let mut values = values.into_iter();
    while let (Some(member), Some(score)) = (values.next(), values.next()) {
        let member = bytes(member)?.unwrap_or_default();
        let score = integer(score)?;
        found.extend(id_of(&member).map(|id| Entry { id, score }));
    }
    Ok((found, length))
}

/// Beyond every time of 15 digits.
const NEVER: i64 = 1 << 52;
/// The last whole number that a score holds, less room for claims.
const SCORE_MAX: i64 = NEVER + (1 << 51);
const STEP_MIN_MS: i64 = 60_000;
const STEP_MAX_MS: i64 = 86_400_000;
const PAGE: usize = 1_000;
const LOOKS_AT_ONCE: usize = 64;
/// A list has a deadline.
const LOOKS_MAX: usize = 1_024;
/// Longer lists may name an id too many.
const LOOKED_THROUGH_MAX: usize = 256;
