//! The store: one command or script for each operation.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use session_core::{
    Created, Cursor, Only, Owner, Page, Record, SessionId, Store, StoreError, Timestamp, Touch,
    Version, Written,
};

use crate::answer::{Answer, bytes};
use crate::config::RedisConfig;
use crate::failure::Failure;
use crate::keys::Keys;
use crate::link::Link;
use crate::owners::{self, Owners};
use crate::revise::Change;
use crate::scripts;

/// Sessions in Redis or Valkey.
///
/// Clones share the connections.
#[derive(Clone, Debug)]
pub struct RedisStore {
    pub(crate) link: Link,
    pub(crate) keys: Arc<Keys>,
    pub(crate) owners: Owners,
    skew: Duration,
}

impl RedisStore {
    /// The store over a link that is up; the only constructor.
    pub(crate) fn over(link: Link, config: &RedisConfig) -> Self {
        let keys = Arc::new(Keys::new(config.chosen_prefix()));
        let skew = config.chosen_clock_skew();
        Self {
            owners: Owners::new(link.clone(), Arc::clone(&keys), skew),
            link,
            keys,
            skew,
        }
    }

    pub(crate) fn encode(record: &Record) -> Result<String, Failure> {
        let (value, most) = (record.encode(), RECORD_BYTES_MAX);
        match value.len() {
            bytes if bytes > most => Err(Failure::TooLarge { bytes, most }),
            _ => Ok(value),
        }
    }

    /// When the server drops the record, in milliseconds; empty for never.
    pub(crate) fn lives_until(&self, record: &Record) -> String {
        let ends = record.expires_at().map(|end| end.after(self.skew));
        ends.map_or(String::new(), |end| end.as_unix_ms().max(1).to_string())
    }

    async fn try_create(&self, id: &SessionId, record: &Record) -> Result<Created, Failure> {
        let value = Self::encode(record)?;
        let until = self.lives_until(record);
        let claim = self.owners.claim(id, record).await?;
        let (key, args) = (self.keys.session(id), [value.as_bytes(), until.as_bytes()]);
        let answer = match self.link.script(&scripts::CREATE, &key, &args).await {
            Ok(answer) => Answer::of(answer)?,
            Err(error) => {
                let failure = Failure::from(error);
                if failure.is_refusal() {
                    self.owners.take_back(claim).await;
                }
                return Err(failure);
            }
        };
        match answer {
            Answer::Written(Written::Done) => {
                self.owners.settle(claim).await;
                Ok(Created::Done)
            }
            _ => {
                self.owners.take_back(claim).await;
                Ok(Created::Taken)
            }
        }
    }

    async fn try_load(&self, id: &SessionId) -> Result<Option<Record>, Failure> {
        match self.value(id).await? {
            Some(value) => Ok(Some(Record::decode(&value)?)),
            None => Ok(None),
        }
    }

    async fn try_update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, Failure> {
        let value = Self::encode(record)?;
        let answer = match owner_field(&value) {
            Some(owner) => {
                let begin = format!("{}{expected}", scripts::BEGIN);
                let spoken_for = owners::spoken_for_from(record).to_string();
                let until = self.lives_until(record);
                let args = [&value, &begin, owner, &spoken_for, &until].map(str::as_bytes);
                let key = self.keys.session(id);
                Answer::of(self.link.script(&scripts::UPDATE, &key, &args).await?)?
            }
            None => Box::pin(self.look(id)).await?,
        };
        match answer {
            Answer::Written(written) => Ok(written),
            Answer::Deleted(_) => Err(Failure::Answer("an update")),
            Answer::Look(there) => {
                let change = |stored: &Record| updated(stored, record, expected);
                Box::pin(self.revise(id, there, change)).await
            }
        }
    }

    async fn try_touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, Failure> {
        let key = self.keys.session(id);
        let generation = touch.generation.0.to_string();
        let accessed = touch.accessed_at.as_unix_ms().to_string();
        let skew = self.skew.as_millis().to_string();
        let args = [&generation, &accessed, &skew].map(|arg| arg.as_bytes());
        match Answer::of(self.link.script(&scripts::TOUCH, &key, &args).await?)? {
            Answer::Written(written) => Ok(written),
            Answer::Deleted(_) => Err(Failure::Answer("a touch")),
            Answer::Look(there) => {
                Box::pin(self.revise(id, there, |stored| touched(stored, touch))).await
            }
        }
    }

    async fn try_delete(&self, id: &SessionId, only: Only) -> Result<Written, Failure> {
        let key = self.keys.session(id);
        let generation = match only {
            Only::Generation(generation) => generation.0.to_string(),
            Only::Any => String::new(),
        };
        let args = [generation.as_bytes()];
        match Answer::of(self.link.script(&scripts::DELETE, &key, &args).await?)? {
            Answer::Written(written) => Ok(written),
            Answer::Deleted(was) => {
                if let Ok(Record {
                    owner: Some(owner), ..
                }) = Record::decode(&was)
                {
                    Box::pin(self.owners.forget(&owner, id)).await;
                }
                Ok(Written::Done)
            }
            Answer::Look(there) => {
                Box::pin(self.revise(id, there, |stored| deleted(stored, only))).await
            }
        }
    }

    async fn try_ping(&self) -> Result<(), Failure> {
        let random =
            SessionId::random().map_err(|_| Failure::Answer("a request for random bytes"))?;
        let key = self.keys.probe(&random);
        self.link.script(&scripts::PROBE, &key, &[]).await?;
        Ok(())
    }

    async fn look(&self, id: &SessionId) -> Result<Answer, Failure> {
        Ok(match self.value(id).await? {
            Some(there) => Answer::Look(there),
            None => Answer::Written(Written::Gone),
        })
    }

    async fn value(&self, id: &SessionId) -> Result<Option<Vec<u8>>, Failure> {
        let mut command = redis::cmd("GET");
        command.arg(self.keys.session(id));
        bytes(self.link.command(&command).await?)
    }
}

fn updated(stored: &Record, record: &Record, expected: Version) -> Change {
    if stored.version == record.version {
        return Change::None(Written::Done);
    }
    if stored.version != expected {
        return Change::None(Written::Conflict);
    }
    let mut next = record.clone();
    next.accessed_at = next.accessed_at.max(stored.accessed_at);
    Change::Replace(Box::new(next))
}

fn touched(stored: &Record, touch: &Touch) -> Change {
    let mut next = stored.clone();
    if !next.touch(touch) {
        return Change::None(Written::Conflict);
    }
    if next.accessed_at == stored.accessed_at {
        return Change::None(Written::Done);
    }
    Change::Replace(Box::new(next))
}

fn deleted(stored: &Record, only: Only) -> Change {
    match only {
        Only::Generation(generation) if stored.generation != generation => {
            Change::None(Written::Conflict)
        }
        Only::Generation(_) | Only::Any => Change::Delete,
    }
}

/// What stands at the owner's place in an encoded record; `None` if its times are so far off
/// that they have moved it.
fn owner_field(value: &str) -> Option<&str> {
    let rest = value.get(Record::OWNER_AT..)?;
    if rest.starts_with(CREATED_KEY) {
        return rest.get(..CREATED_KEY.len());
    }
    let text = rest.strip_prefix(OWNER_KEY)?;
    let mut escaped = false;
    let quote = text.bytes().position(|byte| {
        let ends = byte == b'"' && !escaped;
        escaped = byte == b'\\' && !escaped;
        ends
    })?;
    rest.get(..OWNER_KEY.len() + quote + 1)
}

const OWNER_KEY: &str = "\"owner\":\"";
const CREATED_KEY: &str = "\"created\":";

/// Half of what a server takes for one string by default: old and new together stay below what
/// it takes in one request.
const RECORD_BYTES_MAX: usize = 256 << 20;

#[async_trait]
impl Store for RedisStore {
    async fn create(&self, id: &SessionId, record: &Record) -> Result<Created, StoreError> {
        let created = self.try_create(id, record).await;
        created.map_err(|failure| failure.into_store_error("creating the session"))
    }

    async fn load(&self, id: &SessionId) -> Result<Option<Record>, StoreError> {
        let loaded = self.try_load(id).await;
        loaded.map_err(|failure| failure.into_store_error("loading the session"))
    }

    async fn update(
        &self,
        id: &SessionId,
        record: &Record,
        expected: Version,
    ) -> Result<Written, StoreError> {
        let written = self.try_update(id, record, expected).await;
        written.map_err(|failure| failure.into_store_error("updating the session"))
    }

    async fn touch(&self, id: &SessionId, touch: &Touch) -> Result<Written, StoreError> {
        let written = self.try_touch(id, touch).await;
        written.map_err(|failure| failure.into_store_error("touching the session"))
    }

    async fn delete(&self, id: &SessionId, only: Only) -> Result<Written, StoreError> {
        let written = self.try_delete(id, only).await;
        written.map_err(|failure| failure.into_store_error("deleting the session"))
    }

    async fn owned_by(&self, owner: &Owner) -> Result<Vec<SessionId>, StoreError> {
        let listed = self.owners.list(owner).await;
        listed.map_err(|failure| failure.into_store_error("listing the owner's sessions"))
    }

    async fn scan(&self, cursor: Cursor, limit: usize) -> Result<Page, StoreError> {
        let page = self.page(&cursor, limit).await;
        page.map_err(|failure| failure.into_store_error("listing sessions"))
    }

    /// The server removes expired records by itself, and owners' indices clean themselves.
    async fn sweep(&self, _expired_before: Timestamp, _limit: usize) -> Result<u64, StoreError> {
        let asked = self.link.command(&redis::cmd("PING")).await;
        asked.map_err(|error| Failure::from(error).into_store_error("sweeping"))?;
        Ok(0)
    }

    async fn ping(&self) -> Result<(), StoreError> {
        let asked = self.try_ping().await;
        asked.map_err(|failure| failure.into_unavailable("asking the server"))
    }
}
