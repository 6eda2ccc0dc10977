//! One MariaDB server.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use crate::mariadb_wire::Connection;
use crate::server::{Server, run_once};
use crate::{ServerError, program, url};

/// A MariaDB server, ended when dropped.
///
/// Clients come in as the user `sessions`, who may do everything in databases whose names begin
/// with `sessions` and has no global privilege, so that `SET GLOBAL read_only = 1` holds for it.
///
/// ```
/// # fn main() -> Result<(), session_test_servers::ServerError> {
/// let mut mariadb = session_test_servers::MariaDbServer::start()?;
/// mariadb.sql("CREATE TABLE sessions.t (n int)")?;
/// mariadb.sql("INSERT INTO sessions.t VALUES (1), (2)")?;
/// mariadb.kill();
/// mariadb.restart()?;
/// assert_eq!(mariadb.sql("SELECT n, n * 10 FROM sessions.t ORDER BY n")?, "1|10\n2|20");
/// # Ok(())
/// # }
/// ```
pub struct MariaDbServer {
    server: Server,
    password: Option<String>,
    databases: AtomicU32,
}

impl MariaDbServer {
    /// Starts a server with the builder's defaults.
    ///
    /// # Errors
    ///
    /// A program is missing, or it did not start.
    pub fn start() -> Result<Self, ServerError> {
        Self::builder().start()
    }

    /// A server to be configured before it starts.
    pub fn builder() -> MariaDbBuilder {
        MariaDbBuilder::default()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// `mysql://sessions@127.0.0.1:PORT/sessions`, with the password if it has one.
    pub fn url(&self) -> String {
        self.url_at(self.addr(), USER)
    }

    /// The URL of a database of this server behind another address: a [`Proxy`](crate::Proxy)'s.
    pub fn url_at(&self, addr: SocketAddr, database: &str) -> String {
        match &self.password {
            Some(password) => {
                let password = url::encode(password);
                format!("mysql://{USER}:{password}@{addr}/{database}")
            }
            None => format!("mysql://{USER}@{addr}/{database}"),
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

    /// The process, if it runs.
    pub fn pid(&self) -> Option<i32> {
        self.server.pid()
    }

    /// Runs one statement as the superuser, past any password; no database is chosen but `mysql`.
    /// Rows are given on lines of their own, fields joined by `|`, null as nothing.
    ///
    /// # Errors
    ///
    /// The server's own error with its number, or it did not answer for half a minute.
    pub fn sql(&self, sql: &str) -> Result<String, ServerError> {
        self.sql_in("mysql", sql)
    }

    /// As [`sql`](Self::sql), in another database.
    ///
    /// # Errors
    ///
    /// As [`sql`](Self::sql).
    pub fn sql_in(&self, database: &str, sql: &str) -> Result<String, ServerError> {
        Connection::open(&socket(self.server.folder()), "root", database)
            .and_then(|mut connection| connection.query(sql))
            .map_err(ServerError::io("asking mariadbd"))
    }

    /// Stops the process (`SIGSTOP`): connections stay open, and nothing answers.
    pub fn freeze(&self) {
        self.server.freeze();
    }

    /// Continues a frozen process.
    pub fn thaw(&self) {
        self.server.thaw();
    }

    /// Kills the process (`SIGKILL`) and waits for its end. The data stay.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts the process again on the same port and data, after killing it if it runs.
    ///
    /// # Errors
    ///
    /// It did not start.
    pub fn restart(&mut self) -> Result<(), ServerError> {
        self.server.restart(answers)
    }
}

impl fmt::Debug for MariaDbServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MariaDbServer({})", self.addr())
    }
}

/// How a [`MariaDbServer`] is to be started.
///
/// ```
/// # fn main() -> Result<(), session_test_servers::ServerError> {
/// let mariadb = session_test_servers::MariaDbServer::builder()
///     .setting("max-connections", "20")
///     .password("a password")
///     .start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct MariaDbBuilder {
    settings: Vec<(String, String)>,
    password: Option<String>,
    data_on: Option<PathBuf>,
}

impl MariaDbBuilder {
    /// An option of `mariadbd`, without its dashes; overrides what this crate sets.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The password of the user `sessions`.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// Where the data is kept: a folder on a small disk, say.
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
    pub fn start(self) -> Result<MariaDbServer, ServerError> {
        let program = program::find("mariadbd", PACKAGE)?;
        let install = program::find("mariadb-install-db", PACKAGE)?;
        let server = Server::start(
            "mariadbd",
            program,
            None,
            self.data_on.as_deref(),
            |folder, port| {
                let data = folder.join("data");
                let mut arguments = shared_arguments(folder, &data);
                if !data.exists() {
                    let mut arguments = arguments.clone();
                    arguments.push("--auth-root-authentication-method=normal".into());
                    arguments.push("--skip-test-db".into());
                    run_once("mariadb-install-db", &install, &arguments, None)?;
                }
                arguments.push(option("socket", socket(folder)));
                arguments.push(option("pid-file", folder.join("pid")));
                arguments.push("--bind-address=127.0.0.1".into());
                arguments.push(format!("--port={port}").into());
                for (name, value) in &self.settings {
                    arguments.push(format!("--{name}={value}").into());
                }
                Ok(arguments)
            },
            answers,
        )?;
        let mariadb = MariaDbServer {
            server,
            password: self.password,
            databases: AtomicU32::new(0),
        };
        let password = mariadb.password.as_deref().unwrap_or_default();
        let password = password.replace('\\', "\\\\").replace('\'', "''");
        mariadb.sql(&format!(
            "CREATE USER {USER}@'%' IDENTIFIED BY '{password}'"
        ))?;
        mariadb.sql(&format!("GRANT ALL ON `{USER}%`.* TO {USER}@'%'"))?;
        mariadb.sql(&format!("CREATE DATABASE {USER}"))?;
        Ok(mariadb)
    }
}

/// What mariadb-install-db is to know too. Its and the server's own files are kept small.
fn shared_arguments(folder: &Path, data: &Path) -> Vec<OsString> {
    let mut arguments = vec![
        // Must come first.
        "--no-defaults".into(),
        option("datadir", data),
        option("tmpdir", folder),
        "--skip-name-resolve".into(),
        "--innodb-buffer-pool-size=16M".into(),
        "--innodb-log-file-size=8M".into(),
    ];
    if rustix::process::getuid().is_root() {
        arguments.push("--user=root".into());
    }
    arguments
}

fn option(name: &str, value: impl AsRef<Path>) -> OsString {
    let mut option = OsString::from(format!("--{name}="));
    option.push(value.as_ref());
    option
}

/// The clients' user, and the beginning of the names of its databases.
const USER: &str = "sessions";

/// Where Debian has the programs.
const PACKAGE: &str = "mariadb-server";

fn socket(folder: &Path) -> PathBuf {
    folder.join("mariadb.sock")
}

/// The socket is the server's own, so its answer is not another server's on a port just lost.
fn answers(folder: &Path, _port: u16) -> bool {
    Connection::open(&socket(folder), "root", "mysql").is_ok()
}
