//! What all programs here share: a command line, what routes answer, and how requests are measured.
//!
//! Each program answers, through its library as that library's users write it:
//!
//! | route | does | answers |
//! |---|---|---|
//! | `GET /plain` | asks for no session | `ok` |
//! | `GET /peek` | reads `count` | the number, `0` when there is none |
//! | `GET /count` | reads `count`, adds 1, stores it | the number |
//! | `GET /slow?ms=&key=&value=` | loads the session, sleeps, stores `value` | `ok` |
//! | `POST /login` form `user` | renews the id, stores `user` | 303 |
//! | `POST /logout` | ends the session | 303 |
//! | `GET /me` | | [`me`] |
//! | `GET /healthz` | | `ok` |
//! | `GET /read`, `GET /write` | reads or changes `key01` | `ok` |
//! | `GET /fill/small`, `/fill/large` | stores [`entries`] | `ok` |

mod measured;
mod options;

#[cfg(feature = "actix")]
pub mod actix;
#[cfg(feature = "axum")]
pub mod axum;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use options::{Options, Store};

/// Whatever stops a program from starting.
pub type Refused = Box<dyn std::error::Error + Send + Sync>;

/// The fields of `/login`.
#[derive(Deserialize)]
pub struct Login {
    /// Who logs in.
    pub user: String,
}

/// The fields of `/slow`.
#[derive(Deserialize)]
pub struct Slow {
    /// How long it sleeps.
    #[serde(default)]
    pub ms: u64,
    /// What is stored then.
    pub key: String,
    /// The value of it.
    #[serde(default)]
    pub value: String,
}

impl Slow {
    /// How long to sleep: never more than five seconds.
    #[must_use]
    pub fn nap(&self) -> Duration {
        Duration::from_millis(self.ms.min(5_000))
    }
}

/// How long sessions last.
pub const TIMEOUT: Duration = Duration::from_secs(24 * 60 * 60);

/// Connections to an SQL database, as many as ours has.
pub const CONNECTIONS: u32 = 10;

/// What `/me` answers.
#[must_use]
pub fn me(user: Option<String>, values: Map<String, Value>) -> String {
    json!({"user": user, "values": values}).to_string()
}

/// What a session of this size holds: 3 keys and 120 bytes, or 50 keys and 8 KB.
#[must_use]
pub fn entries(size: &str) -> Vec<(String, String)> {
    let (keys, bytes) = if size == "large" { (50, 148) } else { (3, 25) };
    (0..keys)
        .map(|n| (format!("key{n:02}"), "v".repeat(bytes)))
        .collect()
}

/// A value unlike the one before: some libraries store nothing that is as it was.
#[must_use]
pub fn another_value() -> &'static str {
    static ODD: AtomicBool = AtomicBool::new(false);
    match ODD.fetch_not(Ordering::Relaxed) {
        true => "wwwwwwwwwwwwwwwwwwwwwwwww",
        false => "xxxxxxxxxxxxxxxxxxxxxxxxx",
    }
}
