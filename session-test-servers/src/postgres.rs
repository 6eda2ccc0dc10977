//! One PostgreSQL server.

use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::account::Account;
use crate::postgres_wire::Connection;
use crate::server::{Server, run_once};
use crate::{ServerError, program, url};

/// A PostgreSQL server, ended when dropped.
///
/// It never runs as root: when the test does, the server runs as the system user `postgres`.
///
/// ```
/// # fn main() -> Result<(), session_test_servers::ServerError> {
/// let mut postgres = session_test_servers::PostgresServer::start()?;
/// postgres.sql("CREATE TABLE t (n int); INSERT INTO t VALUES (1), (2)")?;
/// postgres.kill();
/// postgres.restart()?;
/// assert_eq!(postgres.sql("SELECT n, n * 10 FROM t ORDER BY n")?, "1|10\n2|20");
/// # Ok(())
/// # }
/// ```
pub struct PostgresServer {
    server: Server,
    builder: PostgresBuilder,
    databases: AtomicU32,
}

impl PostgresServer {
    /// Starts a server with the builder's defaults.
    ///
    /// # Errors
    ///
    /// A program is missing, or it did not start.
    pub fn start() -> Result<Self, ServerError> {
        Self::builder().start()
    }

    /// A server to be configured before it starts.
    pub fn builder() -> PostgresBuilder {
        PostgresBuilder::default()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// `postgres://postgres@127.0.0.1:PORT/postgres`, with the password if it has one.
    pub fn url(&self) -> String {
        self.url_at(self.addr(), "postgres")
    }

    /// The URL of a database of this server behind another address: a [`Proxy`](crate::Proxy)'s.
    pub fn url_at(&self, addr: SocketAddr, database: &str) -> String {
        match &self.builder.password {
            Some(password) => {
                let password = url::encode(password);
                format!("postgres://{USER}:{password}@{addr}/{database}")
            }
            None => format!("postgres://{USER}@{addr}/{database}"),
        }
    }

    /// Makes an empty database and gives its URL.
    ///
    /// # Errors
    ///
    /// The server's own error.
    pub fn new_database(&self) -> Result<String, ServerError> {
        let number = self.databases.fetch_add(1, Ordering::Relaxed);
        let name = format!("sessions_{number}");
        self.sql(&format!("CREATE DATABASE {name}"))?;
        Ok(self.url_at(self.addr(), &name))
    }

    /// The main process, if it runs.
    pub fn pid(&self) -> Option<i32> {
        self.server.pid()
    }

    /// Runs statements in the database `postgres`, as the superuser and past any password. Rows
    /// are given on lines of their own, fields joined by `|`, null as nothing.
    ///
    /// # Errors
    ///
    /// The server's own error with its SQLSTATE, or it did not answer for half a minute.
    pub fn sql(&self, sql: &str) -> Result<String, ServerError> {
        self.sql_in("postgres", sql)
    }

    /// As [`sql`](Self::sql), in another database.
    ///
    /// # Errors
    ///
    /// As [`sql`](Self::sql).
    pub fn sql_in(&self, database: &str, sql: &str) -> Result<String, ServerError> {
        Connection::open(&socket(self.server.folder(), self.port()), USER, database)
            .and_then(|mut connection| connection.query(sql))
            .map_err(ServerError::io("asking postgres"))
    }

    /// Starts a hot standby: it follows this server and is read-only.
    ///
    /// # Errors
    ///
    /// It could not be made or did not start.
    pub fn standby(&self) -> Result<Self, ServerError> {
        let builder = PostgresBuilder {
            data_on: None,
            ..self.builder.clone()
        };
        let from = self.server.folder().to_path_buf();
        builder.start_with(|programs, account, data| {
            let arguments = [
                "--pgdata".into(),
                data.as_os_str().to_owned(),
                "--host".into(),
                from.clone().into(),
                "--port".into(),
                self.port().to_string().into(),
                "--username".into(),
                USER.into(),
                "--write-recovery-conf".into(),
                "--checkpoint=fast".into(),
                "--no-sync".into(),
            ];
            run_once(
                "pg_basebackup",
                &programs.basebackup()?,
                &arguments,
                account,
            )
        })
    }

    /// Stops every process of the server (`SIGSTOP`): connections stay open, and nothing answers.
    pub fn freeze(&self) {
        self.server.freeze();
    }

    /// Continues a frozen server.
    pub fn thaw(&self) {
        self.server.thaw();
    }

    /// Kills every process of the server (`SIGKILL`) and waits for their end. The data stay.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts the server again on the same port and data, after killing it if it runs.
    ///
    /// # Errors
    ///
    /// It did not start.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.server.restart(answers)
    }
}

impl fmt::Debug for PostgresServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PostgresServer({})", self.addr())
    }
}

/// How a [`PostgresServer`] is to be started.
///
/// ```
/// # fn main() -> Result<(), session_test_servers::ServerError> {
/// let postgres = session_test_servers::PostgresServer::builder()
///     .setting("max_connections", "20")
///     .password("a password")
///     .start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct PostgresBuilder {
    settings: Vec<(String, String)>,
    password: Option<String>,
    data_on: Option<PathBuf>,
}

impl PostgresBuilder {
    /// A setting of `postgresql.conf`; overrides what this crate sets.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The password of the user `postgres`; without one, whoever reaches the port is let in.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Where the data is kept: a folder on a small disk, say. The user that the server runs as
    /// must be able to reach it.
    ///
    /// # Default
    ///
    /// The system's folder for temporary files.
    pub fn data_on(mut self, path: impl Into<PathBuf>) -> Self {
        self.data_on = Some(path.into());
        self
    }

    /// Starts the server; it answers when this returns.
    ///
    /// # Errors
    ///
    /// A program is missing, or it did not start.
    pub fn start(self) -> Result<PostgresServer, ServerError> {
        let password = self.password.clone();
        self.start_with(|programs, account, data| {
            let mut arguments: Vec<OsString> = vec![
                "--pgdata".into(),
                data.into(),
                "--username".into(),
                USER.into(),
                "--auth-local=trust".into(),
                "--encoding=UTF8".into(),
                "--no-locale".into(),
                "--no-sync".into(),
                "--no-instructions".into(),
            ];
            let file = data.with_extension("password");
            match &password {
                Some(password) => {
                    fs::write(&file, password).map_err(ServerError::io("writing the password"))?;
                    if let Some(account) = account {
                        account.own(&file)?;
                    }
                    arguments.push("--auth-host=scram-sha-256".into());
                    arguments.push("--pwfile".into());
                    arguments.push(file.into());
                }
                None => arguments.push("--auth-host=trust".into()),
            }
            run_once("initdb", &programs.initdb()?, &arguments, account)
        })
    }

    fn start_with(
        self,
        make_data: impl Fn(&Programs, Option<Account>, &Path) -> Result<(), ServerError>,
    ) -> Result<PostgresServer, ServerError> {
        let programs = Programs::find()?;
        let account = Account::unless_root("postgres", PACKAGE)?;
        let server = Server::start(
            "postgres",
            programs.postgres.clone(),
            account,
            self.data_on.as_deref(),
            |folder, port| {
                let data = folder.join("data");
                if !data.exists() {
                    make_data(&programs, account, &data)?;
                }
                let mut arguments = vec!["-D".into(), data.into()];
                let mut set = |name: &str, value: &str| {
                    arguments.push("-c".into());
                    arguments.push(format!("{name}={value}").into());
                };
                set("listen_addresses", "127.0.0.1");
                set("port", &port.to_string());
                set("unix_socket_directories", &folder.to_string_lossy());
                for (name, value) in &self.settings {
                    set(name, value);
                }
                Ok(arguments)
            },
            answers,
        )?;
        Ok(PostgresServer {
            server,
            builder: self,
            databases: AtomicU32::new(0),
        })
    }
}

/// The programs of one version, which is that of `postgres`.
struct Programs {
    postgres: PathBuf,
}

impl Programs {
    fn find() -> Result<Self, ServerError> {
        let postgres = program::find("postgres", PACKAGE)?;
        Ok(Self { postgres })
    }

    fn initdb(&self) -> Result<PathBuf, ServerError> {
        program::find_beside(&self.postgres, "initdb", PACKAGE)
    }

    fn basebackup(&self) -> Result<PathBuf, ServerError> {
        program::find_beside(&self.postgres, "pg_basebackup", PACKAGE)
    }
}

/// The superuser that initdb makes.
const USER: &str = "postgres";

/// Where Debian has the programs.
const PACKAGE: &str = "postgresql";

fn socket(folder: &Path, port: u16) -> PathBuf {
    folder.join(format!(".s.PGSQL.{port}"))
}

/// The socket is the server's own, so its answer is not another server's on a port just lost.
fn answers(folder: &Path, port: u16) -> bool {
    Connection::open(&socket(folder, port), USER, "postgres").is_ok()
}
