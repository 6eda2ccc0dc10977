//! A map as a session store, the fastest that the library's interface allows.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use actix_session::storage::{
    LoadError, SaveError, SessionKey, SessionStore, UpdateError, generate_session_key,
};
use actix_web::cookie::time::Duration;
use anyhow::Error;

type State = HashMap<String, String>;

/// Sessions by their keys, each with its end.
#[derive(Clone, Default)]
pub(crate) struct MemoryStore(Arc<Mutex<HashMap<String, (State, Instant)>>>);

impl MemoryStore {
    fn sessions(&self) -> MutexGuard<'_, HashMap<String, (State, Instant)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl SessionStore for MemoryStore {
    async fn load(&self, key: &SessionKey) -> Result<Option<State>, LoadError> {
        let sessions = self.sessions();
        let session = sessions.get(key.as_ref());
        Ok(session
            .filter(|(_, end)| *end > Instant::now())
            .map(|(state, _)| state.clone()))
    }

    async fn save(&self, state: State, ttl: &Duration) -> Result<SessionKey, SaveError> {
        let key = generate_session_key();
        let session = (state, Instant::now() + ttl.unsigned_abs());
        self.sessions().insert(key.as_ref().to_owned(), session);
        Ok(key)
    }

    /// As its Redis store does: what is gone is saved under a new key.
    async fn update(
        &self,
        key: SessionKey,
        state: State,
        ttl: &Duration,
    ) -> Result<SessionKey, UpdateError> {
        let end = Instant::now() + ttl.unsigned_abs();
        if let Some(session) = self.sessions().get_mut(key.as_ref()) {
            *session = (state, end);
            return Ok(key);
        }
        self.save(state, ttl).await.map_err(|error| match error {
            SaveError::Serialization(error) => UpdateError::Serialization(error),
            SaveError::Other(error) => UpdateError::Other(error),
        })
    }

    async fn update_ttl(&self, key: &SessionKey, ttl: &Duration) -> Result<(), Error> {
        if let Some((_, end)) = self.sessions().get_mut(key.as_ref()) {
            *end = Instant::now() + ttl.unsigned_abs();
        }
        Ok(())
    }

    async fn delete(&self, key: &SessionKey) -> Result<(), Error> {
        self.sessions().remove(key.as_ref());
        Ok(())
    }
}
