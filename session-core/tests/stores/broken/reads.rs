//! Loading, listing and sweeping, broken.

use std::sync::Arc;
use std::time::Duration;

use session_core::{
    Cursor, Only, Owner, Page, Record, SessionId, StoreError, StoreErrorKind, Timestamp, Touch,
};
use tokio::task::yield_now;

use super::{Broken, F, later};

impl Broken {
    pub(super) async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        let id = &self.id(id);
        let loaded = self.lost(self.store.load(id).await, None);
        match (self.fault, loaded) {
            (F::UnreadableIsAbsent, Err(error)) if error.kind() != StoreErrorKind::Unavailable => {
                Ok(None)
            }
            (F::NewerFormatIsCorrupt, Err(_)) => {
                Err(StoreError::new(StoreErrorKind::Corrupt, "unreadable"))
            }
            (F::LoadJudges, Ok(found)) => {
                let now = session_core::Clock::system().now();
                Ok(found.filter(|record| !record.is_expired(now)))
            }
            (F::LoadTouches, Ok(Some(found))) => {
                let touch = Touch {
                    generation: found.generation,
                    accessed_at: later(found.accessed_at),
                };
                let _ = self.store.touch(id, &touch).await?;
                Ok(Some(found))
            }
            (F::RemembersWhatItLoaded, Ok(found)) => Ok(self.seen(|seen| {
                let remembered = seen.loaded.get(id).cloned().or(found)?;
                seen.loaded.insert(*id, remembered.clone());
                Some(remembered)
            })),
            (F::MemoryLagsBehind, Ok(Some(found))) => Ok(self.seen(|seen| {
                seen.loaded.insert(*id, found.clone());
                Some(found)
            })),
            (F::LoadLagsBehind, Ok(Some(found))) => {
                let before = self.seen(|seen| seen.loaded.insert(*id, found.clone()));
                Ok(before.filter(|_| self.every(10)).or(Some(found)))
            }
            (F::AbsentIsAnError, Ok(None)) => {
                Err(StoreError::new(StoreErrorKind::Corrupt, "no such file"))
            }
            (_, loaded) => loaded,
        }
    }

    pub(super) fn in_memory(&self, id: &SessionId) -> Option<Arc<Record>> {
        match self.fault {
            F::MemoryLagsBehind => self.seen(|seen| seen.loaded.get(id).cloned().map(Arc::new)),
            _ => None,
        }
    }

    pub(super) async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        let mut listed = self.lost(self.store.owned_by(owner).await, Vec::new())?;
        match self.fault {
            F::OwnersFoldCase | F::OwnersTrimmed | F::IgnoresTheLastByteOfOwners => {
                listed.clear();
                for (id, record) in self.every_record().await? {
                    if record
                        .owner
                        .is_some_and(|of| self.owner(&of) == self.owner(owner))
                    {
                        listed.push(id);
                    }
                }
            }
            F::OwnerIndexOnlyAtCreate => {
                let owners = self.seen(|seen| seen.owners.clone());
                let of_owner = owners.into_iter().filter(|(_, of)| of == owner);
                listed = of_owner.map(|(id, _)| id).collect();
            }
            F::OwnerIndexAfterTheRecord => {
                let missing = self.seen(|seen| seen.deleted.clone());
                listed.retain(|id| !missing.contains(id));
            }
            F::DeleteKeepsTheIndex | F::SweepKeepsTheIndex => {
                let owners = self.seen(|seen| seen.owners.clone());
                let of_owner = owners.into_iter().filter(|(_, of)| of == owner);
                listed.extend(of_owner.map(|(id, _)| id));
            }
            F::OwnerListHoldsStrangers => {
                listed = self.store.scan(Cursor::start(), usize::MAX).await?.ids;
            }
            F::CutsTheOwnerList => listed.truncate(100),
            _ => {}
        }
        Ok(listed)
    }

    pub(super) async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        let now = session_core::Clock::system().now();
        let position = cursor.position().map(str::to_owned);
        let cursor = match self.fault {
            F::ScanKeepsItsPlaceInTheStore if position.is_some() => {
                self.seen(|seen| seen.cursor.clone()).unwrap_or_default()
            }
            F::ScanByOffset => {
                let mut ids = self.store.scan(Cursor::start(), usize::MAX).await?.ids;
                let from = position.and_then(|text| text.parse().ok()).unwrap_or(0);
                ids = ids.into_iter().skip(from).take(limit).collect();
                let next = (ids.len() == limit).then(|| Cursor::at((from + limit).to_string()));
                return Ok(Page { ids, next });
            }
            _ => cursor,
        };
        let mut page = self.lost(self.store.scan(cursor, limit).await, Page::default())?;
        match self.fault {
            F::ScanSkips if page.ids.len() > 2 => drop(page.ids.pop()),
            F::ScanNeverEnds => page.next = Some(Cursor::start()),
            F::ScanListsDeleted => page.ids.extend(self.seen(|seen| seen.deleted.clone())),
            F::ScanKeepsItsPlaceInTheStore => {
                self.seen(|seen| seen.cursor.clone_from(&page.next));
            }
            F::ScanHidesExpired | F::ScanHidesUnreadable => {
                for id in std::mem::take(&mut page.ids) {
                    let hidden = match self.store.load(&id).await {
                        Ok(found) => {
                            let expired = found.is_some_and(|record| record.is_expired(now));
                            expired && self.fault == F::ScanHidesExpired
                        }
                        Err(_) => self.fault == F::ScanHidesUnreadable,
                    };
                    page.ids.extend(Some(id).filter(|_| !hidden));
                }
            }
            _ => {}
        }
        Ok(page)
    }

    pub(super) async fn sweep(
        &self,
        expired_before: Timestamp,
        limit: usize,
    ) -> Result<u64, StoreError> {
        let (mut before, mut limit) = (expired_before, limit);
        let due = |record: &Record| record.is_expired(expired_before);
        match self.fault {
            F::SweepRemovesNothing => return Ok(0),
            F::SweepRemovesAMillisecondMore => before = later(before),
            F::SweepBeforeTheBoundary => before = before.before(Duration::from_millis(1)),
            F::SweepIgnoresTheLimit => limit = usize::MAX,
            F::SweepFailsWhenEmpty if self.every_record().await?.is_empty() => {
                return Err(StoreError::new(
                    StoreErrorKind::Unavailable,
                    "no such table",
                ));
            }
            F::SweepFailsOnUnreadable => {
                for id in self.store.scan(Cursor::start(), usize::MAX).await?.ids {
                    self.store.load(&id).await?;
                }
            }
            F::SweepKeepsTheIndex => {
                for (id, record) in self.every_record().await?.into_iter().filter(|r| due(&r.1)) {
                    self.seen(|seen| seen.owners.extend(record.owner.map(|owner| (id, owner))));
                }
            }
            F::SweepRemovesAll | F::SweepRemovesNeverExpiring | F::SweepForgetsTouches => {
                let mut removed = 0;
                for (id, record) in self.every_record().await? {
                    let at_first = record.expiry.expires_at(record.created_at);
                    let falls = match self.fault {
                        F::SweepRemovesNeverExpiring => record.expires_at().is_none(),
                        F::SweepForgetsTouches => {
                            yield_now().await;
                            at_first.is_some_and(|end| end <= before)
                        }
                        _ => true,
                    };
                    if falls || due(&record) {
                        let _ = self.store.delete(&id, Only::Any).await?;
                        removed += 1;
                    }
                }
                return Ok(removed.min(limit as u64));
            }
            _ => {}
        }
        let removed = self.lost(self.store.sweep(before, limit).await, 0)?;
        match self.fault {
            F::SweepCountsNothing => Ok(0),
            _ => Ok(removed),
        }
    }

    pub(super) async fn ping(&self) -> Result<(), StoreError> {
        match self.fault {
            F::PingAlwaysAnswers => Ok(()),
            F::PingAlwaysFails => Err(StoreError::new(StoreErrorKind::Unavailable, "no ping")),
            F::PingMakesARecord => {
                let id = SessionId::from_bytes([1; 16]);
                let record = session_core::conformance::samples::plain_record();
                let _ = self.store.create(&id, &record).await?;
                Ok(())
            }
            _ => self.lost(self.store.ping().await, ()),
        }
    }
}
