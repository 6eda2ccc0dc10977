//! The command line.

use std::net::SocketAddr;

use clap::Parser;

/// One library's sessions behind the routes that all of them have.
#[derive(Parser)]
pub struct Options {
    /// `memory:`, `redis://…`, `postgres://…`, `sqlite:FILE`, or `cookie:`.
    #[arg(long, default_value = "memory:")]
    store: String,
    /// The address to listen on; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8080")]
    pub(crate) bind: SocketAddr,
    /// Measure requests in process instead of serving, a JSON line each.
    #[arg(long)]
    pub(crate) measure: bool,
    /// With `--measure`: shorter rounds.
    #[arg(long)]
    pub(crate) quick: bool,
}

/// Where sessions are kept.
pub enum Store<'a> {
    /// In the process.
    Memory,
    /// In the cookie.
    Cookie,
    /// In Redis, at this URL.
    Redis(&'a str),
    /// In PostgreSQL, at this URL.
    Postgres(&'a str),
    /// In SQLite, in this file.
    Sqlite(&'a str),
    /// Elsewhere.
    Other(&'a str),
}

impl Options {
    /// The command line of this process; ends it if there is something wrong with it.
    #[must_use]
    pub fn of_process() -> Self {
        Self::parse()
    }

    /// Where sessions are kept.
    #[must_use]
    pub fn store(&self) -> Store<'_> {
        let url = self.store.as_str();
        match url.split_once(':') {
            Some(("memory", _)) => Store::Memory,
            Some(("cookie", _)) => Store::Cookie,
            Some(("redis", _)) => Store::Redis(url),
            Some(("postgres", _)) => Store::Postgres(url),
            Some(("sqlite", file)) => Store::Sqlite(file),
            _ => Store::Other(url),
        }
    }

    /// The answer for a store that the library has not.
    #[must_use]
    pub fn no_such_store(&self) -> crate::Refused {
        format!("this library keeps no sessions in {}", self.store).into()
    }
}
