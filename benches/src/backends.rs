//! Where the programs keep their sessions: a folder, or a server that is started for them.

use std::error::Error as StdError;
use std::fmt;
use std::path::{Path, PathBuf};

use session_test_servers::{MariaDbServer, PostgresServer, RedisServer, ServerError};
use tempfile::TempDir;

/// Everything that a program's `--store` can name, by the names of [`beds`](crate::beds) where
/// they are the same.
pub const NAMES: [&str; 9] = [
    "memory", "cookie", "fs", "sled", "redb", "sqlite", "postgres", "mariadb", "redis",
];

/// A kind of store, ready to be used by several programs.
#[derive(Debug)]
pub struct Backend {
    name: String,
    folder: TempDir,
    server: Option<Server>,
}

/// A server that programs connect to.
enum Server {
    Redis(RedisServer),
    Postgres(PostgresServer),
    MariaDb(MariaDbServer),
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Redis(_) => "Redis",
            Self::Postgres(_) => "Postgres",
            Self::MariaDb(_) => "MariaDb",
        };
        f.debug_struct(name).finish_non_exhaustive()
    }
}

impl Backend {
    /// The store of this name, its files on the disk that holds `disk`.
    ///
    /// # Errors
    ///
    /// Its server is not installed, or does not start.
    pub fn open(name: &str, disk: &Path) -> Result<Self, Box<dyn StdError>> {
        let server = match name {
            "redis" => {
                let builder = RedisServer::builder().setting("appendonly", "no");
                Some(Server::Redis(builder.start()?))
            }
            "postgres" => {
                let builder = PostgresServer::builder().data_on(disk);
                Some(Server::Postgres(builder.start()?))
            }
            "mariadb" => {
                let builder = MariaDbServer::builder().data_on(disk);
                Some(Server::MariaDb(builder.start()?))
            }
            _ => None,
        };
        Ok(Self {
            name: name.to_owned(),
            folder: TempDir::new_in(disk)?,
            server,
        })
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The URL for `program`, which has what it stores to itself; Redis is shared, as the programs'
    /// keys differ.
    ///
    /// # Errors
    ///
    /// The server makes no database.
    pub fn url(&self, program: &str) -> Result<String, ServerError> {
        let file = |scheme: &str| {
            let path: PathBuf = self.folder.path().join(program);
            Ok(format!("{scheme}:{}", path.display()))
        };
        match (&self.server, self.name.as_str()) {
            (Some(Server::Redis(server)), _) => Ok(server.url()),
            (Some(Server::Postgres(server)), _) => server.new_database(),
            (Some(Server::MariaDb(server)), _) => server.new_database(),
            (None, "fs") => file("file"),
            (None, "sled") => file("shelf"),
            (None, "redb" | "sqlite") => file(&self.name),
            (None, name) => Ok(format!("{name}:")),
        }
    }

    /// Whether there is a server, which can fail by itself.
    #[must_use]
    pub fn has_server(&self) -> bool {
        self.server.is_some()
    }

    /// The server's process.
    #[must_use]
    pub fn pid(&self) -> Option<u32> {
        let pid = match self.server.as_ref()? {
            Server::Redis(server) => server.pid(),
            Server::Postgres(server) => server.pid(),
            Server::MariaDb(server) => server.pid(),
        };
        pid?.try_into().ok()
    }

    /// Stops the server: connections stay open, and nothing answers.
    pub fn freeze(&self) {
        match &self.server {
            Some(Server::Redis(server)) => server.freeze(),
            Some(Server::Postgres(server)) => server.freeze(),
            Some(Server::MariaDb(server)) => server.freeze(),
            None => {}
        }
    }

    /// Continues it.
    pub fn thaw(&self) {
        match &self.server {
            Some(Server::Redis(server)) => server.thaw(),
            Some(Server::Postgres(server)) => server.thaw(),
            Some(Server::MariaDb(server)) => server.thaw(),
            None => {}
        }
    }

    /// Kills the server.
    pub fn kill(&mut self) {
        match &mut self.server {
            Some(Server::Redis(server)) => server.kill(),
            Some(Server::Postgres(server)) => server.kill(),
            Some(Server::MariaDb(server)) => server.kill(),
            None => {}
        }
    }

    /// Starts it again, on the same port.
    ///
    /// # Errors
    ///
    /// It does not start.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        match &mut self.server {
            Some(Server::Redis(server)) => server.restart(),
            Some(Server::Postgres(server)) => server.restart(),
            Some(Server::MariaDb(server)) => server.restart(),
            None => Ok(()),
        }
    }
}
