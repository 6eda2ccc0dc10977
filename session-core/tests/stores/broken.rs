//! Stores that break the contract in one place each.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use session_core::conformance::{Harness, Planted};
use session_core::{
    Created, Cursor, Data, Expiry, Only, Owner, Page, Record, SessionId, Store, StoreError,
    StoreErrorKind, Timestamp, Touch, Version, Written,
};
use tokio::task::yield_now;

/// What is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    BlindUpsert,
    CaseInsensitiveIds,
    ComparesOnlyTheCounter,
    CreateAnswersDoneWhenTaken,
    CreateChecksThenWrites,
    CreateInTwoSteps,
    CreateReplacesExpired,
    CreateReplacesUnreadable,
    CutsLargeData,
    CutsTheOwnerList,
    DataAsSortedMap,
    DeleteAnswersDoneForNothing,
    DeleteCannotRemoveUnreadable,
    DeleteIgnoresGeneration,
    DeleteKeepsTheIndex,
    DeleteOnlyAnswersDone,
    DeleteRemovesTwo,
    FullEvicts,
    FullIsDone,
    FullUpdateDeletes,
    IgnoresABitOfTheId,
    IgnoresTheLastByteOfOwners,
    LoadJudges,
    LoadTouches,
    LosesErrors,
    NeverRecovers,
    NewerFormatIsCorrupt,
    OwnerIndexAfterTheRecord,
    OwnerIndexOnlyAtCreate,
    OwnersFoldCase,
    OwnersTrimmed,
    PingAlwaysAnswers,
    PingMakesARecord,
    RefusesOddIds,
    RemembersWhatItLoaded,
    ResurrectingTouch,
    ResurrectingUpdate,
    ScanByOffset,
    ScanHidesExpired,
    ScanHidesUnreadable,
    ScanKeepsItsPlaceInTheStore,
    ScanListsDeleted,
    ScanNeverEnds,
    ScanSkips,
    SweepBeforeTheBoundary,
    SweepCountsNothing,
    SweepFailsWhenEmpty,
    SweepFailsOnUnreadable,
    SweepForgetsTouches,
    SweepIgnoresTheLimit,
    SweepKeepsTheIndex,
    SweepRemovesAMillisecondMore,
    SweepRemovesAll,
    SweepRemovesNeverExpiring,
    SweepRemovesNothing,
    TimesInSeconds,
    TouchAnswersConflictLate,
    TouchChangesTheVersion,
    TouchDoesNothing,
    TouchIgnoresGeneration,
    TouchInTwoSteps,
    TouchJudges,
    TouchMovesBack,
    TouchSetsItsOwnExpiry,
    TouchWritesWhatItRead,
    UnreadableIsAbsent,
    UpdateChecksThenWrites,
    UpdateInTwoSteps,
    UpdateJudges,
    UpdateKeepsTheGeneration,
    UpdateLosesPrevious,
    UpdateMovesAccessBack,
    UpdateNeverMovesAccess,
    UpdateReplacesUnreadable,
    UpdateWritesOnConflict,
}
use Fault as F;

/// A store that works, and one fault in front of it.
#[derive(Debug)]
pub(crate) struct Broken {
    store: Arc<dyn Store>,
    fault: Fault,
    seen: Mutex<Seen>,
}

/// What a broken store keeps beside the one that works.
#[derive(Debug, Default)]
struct Seen {
    loaded: BTreeMap<SessionId, Record>,
    owners: BTreeMap<SessionId, Owner>,
    deleted: Vec<SessionId>,
    cursor: Option<Cursor>,
    failed: bool,
}

impl Broken {
    pub(crate) fn new(store: Arc<dyn Store>, fault: Fault) -> Self {
        Self {
            store,
            fault,
            seen: Mutex::default(),
        }
    }

    fn seen<T>(&self, with: impl FnOnce(&mut Seen) -> T) -> T {
        with(&mut self.seen.lock().expect("nothing panics under the lock"))
    }

    fn id(&self, id: &SessionId) -> SessionId {
        match self.fault {
            F::CaseInsensitiveIds => {
                let text = id.to_string();
                let (front, last) = text.split_at(SessionId::TEXT_LEN - 1);
                format!("{}{last}", front.to_lowercase()).parse().unwrap()
            }
            F::IgnoresABitOfTheId => {
                let mut bytes = *id.as_bytes();
                bytes[9] &= 0xfb;
                SessionId::from_bytes(bytes)
            }
            _ => *id,
        }
    }

    fn owner(&self, owner: &Owner) -> Owner {
        let name = owner.as_str();
        let name = match self.fault {
            F::OwnersFoldCase => name.to_lowercase(),
            F::OwnersTrimmed => name.trim_end().to_owned(),
            F::IgnoresTheLastByteOfOwners => name.chars().take(254).collect(),
            _ => name.to_owned(),
        };
        Owner::new(name).unwrap_or_else(|_| owner.clone())
    }

    /// The record as this store would bring it back.
    fn kept(&self, record: &Record) -> Record {
        let mut record = record.clone();
        match self.fault {
            F::DataAsSortedMap => {
                let map: BTreeMap<_, _> = record.data.entries().collect();
                let text: Vec<_> = map.iter().map(|(k, v)| format!("{k:?}:{v}")).collect();
                if let Ok(data) = Data::parse(&format!("{{{}}}", text.join(","))) {
                    record.data = data;
                }
            }
            F::CutsLargeData if record.data.as_str().len() > 65_535 => record.data = Data::new(),
            F::TimesInSeconds => {
                let ms = record.accessed_at.as_unix_ms();
                record.accessed_at = Timestamp::from_unix_ms(ms - ms % 1_000);
            }
            _ => {}
        }
        record
    }

    fn lost<T>(&self, result: Result<T, StoreError>, answer: T) -> Result<T, StoreError> {
        match (self.fault, result) {
            (F::LosesErrors, Err(error)) if error.kind() == StoreErrorKind::Unavailable => {
                Ok(answer)
            }
            (F::NeverRecovers, Err(error)) => {
                self.seen(|seen| seen.failed = true);
                Err(error)
            }
            (F::NeverRecovers, Ok(_)) if self.seen(|seen| seen.failed) => {
                Err(StoreError::new(StoreErrorKind::Unavailable, "still down"))
            }
            (_, result) => result,
        }
    }

    /// Replaces whatever is there.
    async fn put(&self, id: &SessionId, record: &Record) -> Result<(), StoreError> {
        while self.store.create(id, record).await? == Created::Taken {
            let _ = self.store.delete(id, Only::Any).await?;
        }
        Ok(())
    }

    async fn every_record(&self) -> Result<Vec<(SessionId, Record)>, StoreError> {
        let mut all = Vec::new();
        for id in self.store.scan(Cursor::start(), usize::MAX).await?.ids {
            if let Ok(Some(record)) = self.store.load(&id).await {
                all.push((id, record));
            }
        }
        Ok(all)
    }
}

fn later(at: Timestamp) -> Timestamp {
    at.after(Duration::from_millis(1))
}

#[async_trait]
impl Store for Broken {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
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

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
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
            (F::RemembersWhatItLoaded, Ok(Some(found))) => {
                Ok(Some(self.seen(|seen| {
                    seen.loaded.entry(*id).or_insert(found).clone()
                })))
            }
            (_, loaded) => loaded,
        }
    }

    async fn update(
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

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
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
                touched.own_timeout = !touched.own_timeout;
                let _ = self.store.update(id, &touched, found.version).await?;
                yield_now().await;
                touched.own_timeout = !touched.own_timeout;
                return self.store.update(id, &touched, found.version).await;
            }
            _ => {}
        }
        self.lost(self.store.touch(id, &touch).await, Written::Done)
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
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

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
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
            F::CutsTheOwnerList => listed.truncate(100),
            _ => {}
        }
        Ok(listed)
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
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

    async fn sweep(&self, expired_before: Timestamp, limit: usize) -> Result<u64, StoreError> {
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

    async fn ping(&self) -> Result<(), StoreError> {
        match self.fault {
            F::PingAlwaysAnswers => Ok(()),
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

/// Another harness's stores, broken.
pub(crate) struct BrokenHarness<H> {
    pub(crate) harness: H,
    pub(crate) fault: Fault,
}

#[async_trait]
impl<H: Harness> Harness for BrokenHarness<H> {
    async fn empty_store(&self) -> Arc<dyn Store> {
        Arc::new(Broken::new(self.harness.empty_store().await, self.fault))
    }

    async fn small_store(&self) -> Arc<dyn Store> {
        Arc::new(Broken::new(self.harness.small_store().await, self.fault))
    }

    async fn reopen(&self) -> Arc<dyn Store> {
        Arc::new(Broken::new(self.harness.reopen().await, self.fault))
    }

    async fn plant(&self, id: &SessionId, what: Planted) {
        self.harness.plant(id, what).await;
    }

    async fn break_backend(&self) {
        self.harness.break_backend().await;
    }

    async fn mend_backend(&self) {
        self.harness.mend_backend().await;
    }
}
