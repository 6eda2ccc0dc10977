//! Creating, updating, touching and deleting, broken.

use std::time::Duration;

use session_core::{
    Created, Cursor, Data, Expiry, Only, Record, SessionId, StoreError, StoreErrorKind, Touch,
    Version, Written,
};
use tokio::task::yield_now;

use super::{Broken, F};

impl Broken {
    pub(super) async fn create(
        &self,
        id: &SessionId,
        record: &Record,
    ) -> Result<Created, StoreError> {
        let (id, record) = (&self.id(id), &self.kept(record));
        let owner = record
            .owner
            .clone()
            .filter(|_| self.fault == F::OwnerIndexOnlyAtCreate);
        let result = match self.fault {
            F::CreateChecksThenWrites => {
                if self.store.load(id).await?.is_some() {
                    return Ok(Created::Taken);
                }
                yield_now().await;
                self.put(id, record).await?;
                Ok(Created::Done)
            }
            F::CreateInTwoSteps => {
                let half = Record {
                    owner: None,
                    data: Data::new(),
                    ..record.clone()
                };
                let created = self.store.create(id, &half).await?;
                yield_now().await;
                if created == Created::Done {
                    let _ = self.store.update(id, record, half.version).await?;
                }
                Ok(created)
            }
            F::CreateReplacesExpired => {
                let now = session_core::Clock::system().now();
                if self
                    .store
                    .load(id)
                    .await?
                    .is_some_and(|old| old.is_expired(now))
                {
                    self.put(id, record).await?;
                    return Ok(Created::Done);
                }
                self.store.create(id, record).await
            }
            F::CreateReplacesUnreadable if self.store.load(id).await.is_err() => {
                self.put(id, record).await?;
                Ok(Created::Done)
            }
            F::RefusesOddIds if id.as_bytes().is_ascii() => Err(StoreError::new(
                StoreErrorKind::Corrupt,
                "no such file name",
            )),
            F::CreateAnswersDoneWhenTaken => {
                let _ = self.store.create(id, record).await?;
                Ok(Created::Done)
            }
            _ => self.store.create(id, record).await,
        };
        if let (Some(owner), Ok(Created::Done)) = (owner, &result) {
            self.seen(|seen| seen.owners.insert(*id, owner));
        }
        match result {
            Err(error) if error.kind() == StoreErrorKind::Full => match self.fault {
                F::FullIsDone => Ok(Created::Done),
                F::FullEvicts => {
                    let all = self.every_record().await?;
                    let _ = self.store.delete(&all[0].0, Only::Any).await?;
                    let _ = self.store.create(id, record).await?;
                    Err(error)
                }
                _ => Err(error),
            },
            result => self.lost(result, Created::Done),
        }
    }

    pub(super) async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let (id, mut record) = (&self.id(id), self.kept(record));
        let stored = self.store.load(id).await;
        let found = stored.as_ref().ok().and_then(Option::as_ref);
        let known = match (self.fault, found) {
            (F::UpdateReplacesUnreadable, _) if stored.is_err() => {
                self.put(id, &record).await?;
                return Ok(Written::Done);
            }
            (F::ResurrectingUpdate, None) if stored.is_ok() => {
                self.put(id, &record).await?;
                return Ok(Written::Done);
            }
            (F::AcknowledgesWhatItDrops, Some(found))
                if found.version == expected && self.every(20) =>
            {
                return Ok(Written::Done);
            }
            (F::BlindUpsert, _) => {
                self.put(id, &record).await?;
                return Ok(Written::Done);
            }
            (F::UpdateChecksThenWrites, Some(found)) if found.version == expected => {
                yield_now().await;
                self.put(id, &record).await?;
                return Ok(Written::Done);
            }
            (F::UpdateWritesOnConflict, Some(found)) if found.version != expected => {
                record.version = found.version;
                let _ = self.store.update(id, &record, found.version).await?;
                return Ok(Written::Conflict);
            }
            (F::UpdateMovesAccessBack, Some(found)) if found.version == expected => {
                self.put(id, &record).await?;
                return Ok(Written::Done);
            }
            (F::UpdateJudges, Some(found)) => {
                let now = session_core::Clock::system().now();
                if found.is_expired(now) {
                    return Ok(Written::Gone);
                }
                expected
            }
            (F::ComparesOnlyTheCounter, Some(found))
                if found.version.counter() == expected.counter() =>
            {
                found.version
            }
            (F::UpdateNeverMovesAccess, Some(found)) => {
                record.accessed_at = found.accessed_at;
                expected
            }
            (F::UpdateKeepsTheGeneration, Some(found)) => {
                record.generation = found.generation;
                expected
            }
            (F::UpdateLosesPrevious, _) => {
                record.previous = None;
                expected
            }
            (F::UpdateInTwoSteps, Some(found)) => {
                let half = Record {
                    owner: found.owner.clone(),
                    ..record.clone()
                };
                let written = self.store.update(id, &half, expected).await?;
                yield_now().await;
                if written == Written::Done {
                    let _ = self.store.update(id, &record, half.version).await?;
                }
                return Ok(written);
            }
            (F::OwnerIndexAfterTheRecord, Some(_)) => {
                let written = self.store.update(id, &record, expected).await?;
                self.seen(|seen| seen.deleted.push(*id));
                yield_now().await;
                self.seen(|seen| seen.deleted.clear());
                return Ok(written);
            }
            _ => expected,
        };
        let result = self.store.update(id, &record, known).await;
        if self.fault == F::FullUpdateDeletes && result.is_err() {
            let _ = self.store.delete(id, Only::Any).await?;
        }
        self.lost(result, Written::Done)
    }

    pub(super) async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let id = &self.id(id);
        let stored = self.store.load(id).await;
        let Some(found) = stored.ok().flatten() else {
            if self.fault == F::ResurrectingTouch {
                let record = session_core::conformance::samples::record();
                self.put(id, &record).await?;
                return Ok(Written::Done);
            }
            return self.lost(self.store.touch(id, touch).await, Written::Done);
        };
        let fits = found.generation == touch.generation;
        let mut touched = Record {
            accessed_at: touch.accessed_at.max(found.accessed_at),
            ..found.clone()
        };
        let mut touch = *touch;
        match self.fault {
            F::TouchDoesNothing => return Ok(Written::Done),
            F::TouchIgnoresGeneration => touch.generation = found.generation,
            F::TouchAnswersConflictLate if !fits => {
                touch.generation = found.generation;
                let _ = self.store.touch(id, &touch).await?;
                return Ok(Written::Conflict);
            }
            F::TouchJudges => {
                let now = session_core::Clock::system().now();
                if found.is_expired(now) {
                    return Ok(Written::Gone);
                }
            }
            F::TouchMovesBack if fits => {
                touched.accessed_at = touch.accessed_at;
                self.put(id, &touched).await?;
                return Ok(Written::Done);
            }
            F::TouchSetsItsOwnExpiry if fits => {
                touched.expiry = Expiry::new(Some(Duration::from_secs(3600)), None);
                return self.store.update(id, &touched, found.version).await;
            }
            F::TouchChangesTheVersion if fits => {
                touched.version = touched.version.next().unwrap();
                return self.store.update(id, &touched, found.version).await;
            }
            F::TouchWritesWhatItRead if fits => {
                yield_now().await;
                self.put(id, &touched).await?;
                return Ok(Written::Done);
            }
            F::TouchInTwoSteps if fits => {
                touched.persistent = !touched.persistent;
                let _ = self.store.update(id, &touched, found.version).await?;
                yield_now().await;
                touched.persistent = !touched.persistent;
                return self.store.update(id, &touched, found.version).await;
            }
            _ => {}
        }
        self.lost(self.store.touch(id, &touch).await, Written::Done)
    }

    pub(super) async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let id = &self.id(id);
        let only = match self.fault {
            F::DeleteIgnoresGeneration => Only::Any,
            F::DeleteOnlyAnswersDone => return Ok(Written::Done),
            F::DeleteCannotRemoveUnreadable => {
                self.store.load(id).await?;
                only
            }
            F::DeleteRemovesTwo => {
                let all = self.store.scan(Cursor::start(), usize::MAX).await?.ids;
                if let Some(other) = all.iter().find(|other| *other != id) {
                    let _ = self.store.delete(other, Only::Any).await?;
                }
                only
            }
            _ => only,
        };
        let owner = self
            .store
            .load(id)
            .await
            .ok()
            .flatten()
            .and_then(|found| found.owner);
        let written = self.lost(self.store.delete(id, only).await, Written::Done)?;
        if written == Written::Done {
            self.seen(|seen| seen.deleted.push(*id));
            if let Some(owner) = owner.filter(|_| self.fault == F::DeleteKeepsTheIndex) {
                self.seen(|seen| seen.owners.insert(*id, owner));
            }
        }
        match self.fault {
            F::DeleteAnswersDoneForNothing => Ok(Written::Done),
            _ => Ok(written),
        }
    }
}
