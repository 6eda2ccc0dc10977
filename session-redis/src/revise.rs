//! Writes that begin with a look: where the owner or the time the index speaks for changes, and
//! where the value is in no spelling that the scripts read.
//!
//! Look, claim the index, replace exactly what was looked at, release the index; from the start
//! if something else is there by then.

use session_core::{Record, SessionId, Written};

use crate::answer::Answer;
use crate::failure::Failure;
use crate::scripts;
use crate::store::RedisStore;

/// What is to become of a record, decided by looking at it.
#[derive(Debug)]
pub(crate) enum Change {
    /// Nothing; this is the answer.
    None(Written),
    Replace(Box<Record>),
    Delete,
}

impl RedisStore {
    /// Does to the record of `id`, last seen as `there`, what `change` says of it.
    pub(crate) async fn revise(
        &self,
        id: &SessionId,
        mut there: Vec<u8>,
        change: impl Fn(&Record) -> Change,
    ) -> Result<Written, Failure> {
        for _ in 0..LOOKS_MAX {
            let stored = Record::decode(&there)?;
            let next = match change(&stored) {
                Change::None(written) => return Ok(written),
                Change::Replace(next) => Some(next),
                Change::Delete => None,
            };
            match self.swap(id, &there, &stored, next.as_deref()).await? {
                Answer::Look(other) => there = other,
                Answer::Written(written) => return Ok(written),
                Answer::Deleted(_) => return Err(Failure::Answer("a replacement")),
            }
        }
        Err(Failure::Crowded)
    }

    async fn swap(
        &self,
        id: &SessionId,
        there: &[u8],
        stored: &Record,
        next: Option<&Record>,
    ) -> Result<Answer, Failure> {
        let value = next.map(Self::encode).transpose()?.unwrap_or_default();
        let until = next.map(|next| self.lives_until(next)).unwrap_or_default();
        // Before the write: a claim of the old owner's entry that comes after it is kept.
        let leaves = match (&stored.owner, next) {
            (Some(owner), Some(next)) if next.owner.as_ref() != Some(owner) => {
                let entry = self.owners.entry(owner, id).await?;
                entry.map(|entry| (owner, entry))
            }
            _ => None,
        };
        let claim = match next {
            Some(next) => self.owners.claim(id, next).await?,
            None => None,
        };
        let key = self.keys.session(id);
        // A touch is the write of those who only read: it goes on where there is no memory left.
        let is_touch = next.is_some_and(|next| next.version == stored.version);
        let when_full: &[u8] = match is_touch && value.len() <= there.len() {
            true => b"1",
            false => b"",
        };
        let args = [there, value.as_bytes(), until.as_bytes(), when_full];
        let answer = match self.link.script(&scripts::SWAP, &key, &args).await {
            Ok(answer) => Answer::of(answer)?,
            Err(error) => {
                let failure = Failure::from(error);
                if failure.is_refusal() {
                    self.owners.take_back(claim).await;
                }
                return Err(failure);
            }
        };
        if !matches!(answer, Answer::Written(Written::Done)) {
            self.owners.take_back(claim).await;
            return Ok(answer);
        }
        if let Some((owner, entry)) = leaves {
            self.owners.release(owner, &entry).await;
        }
        if let (Some(owner), None) = (&stored.owner, next) {
            self.owners.forget(owner, id).await;
        }
        self.owners.settle(claim).await;
        Ok(answer)
    }
}

/// So often something else may be there; a session is touched once a minute, and its writers in
/// one process take turns.
const LOOKS_MAX: usize = 100;
