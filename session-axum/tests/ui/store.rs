//! What is no store, and a key of another type.
use session_core::{Draft, Key, SessionConfig, SessionManager};

const COUNT: Key<u64> = Key::new("count");

fn main() {
    let config = SessionConfig::builder().build().unwrap();
    let _ = SessionManager::new("file:sessions", config);
    let _ = Draft::default().insert(COUNT, "three");
}
