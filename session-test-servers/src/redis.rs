//! One Redis server.

use std::fmt::{self, Write};
use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use crate::certificates::{AUTHORITY, Certificates};
use crate::resp::Connection;
use crate::server::Server;
use crate::{ServerError, port, program, url};

/// A Redis server, ended when dropped.
///
/// What it acknowledged is in its append-only file, synced before the answer, so it is there
/// after [`kill`](Self::kill) and [`restart`](Self::restart).
///
/// ```
/// # fn main() -> Result<(), session_test_servers::ServerError> {
/// let mut redis = session_test_servers::RedisServer::start()?;
/// redis.command(&["SET", "key", "value"])?;
/// redis.kill();
/// redis.restart()?;
/// assert_eq!(redis.command(&["GET", "key"])?, "value");
/// # Ok(())
/// # }
/// ```
pub struct RedisServer {
    server: Server,
    password: Option<String>,
    tls: bool,
    authority: PathBuf,
}

impl RedisServer {
    /// Starts a server with the builder's defaults.
    ///
    /// # Errors
    ///
    /// The program is missing, or it did not start.
    pub fn start() -> Result<Self, ServerError> {
        Self::builder().start()
    }

    /// A server to be configured before it starts.
    pub fn builder() -> RedisBuilder {
        RedisBuilder::default()
    }

    /// The port it listens on.
    pub fn port(&self) -> u16 {
        self.addr().port()
    }

    /// The address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.server.addr()
    }

    /// `redis://127.0.0.1:PORT` or, with TLS, `rediss://…`; with the password if it has one.
    pub fn url(&self) -> String {
        self.url_at(self.addr())
    }

    /// The URL of this server behind another address: a [`Proxy`](crate::Proxy)'s.
    pub fn url_at(&self, addr: SocketAddr) -> String {
        let scheme = if self.tls { "rediss" } else { "redis" };
        match &self.password {
            Some(password) => format!("{scheme}://:{}@{addr}", url::encode(password)),
            None => format!("{scheme}://{addr}"),
        }
    }

    /// With TLS: the file with the certificate (PEM) of the authority that signed the server's.
    pub fn ca(&self) -> &Path {
        &self.authority
    }

    /// The main process, if it runs.
    pub fn pid(&self) -> Option<i32> {
        self.server.pid()
    }

    /// Has the server execute a command. An array's elements are given on lines of their own,
    /// nil as an empty line.
    ///
    /// # Errors
    ///
    /// The server's own error, or it did not answer for half a minute.
    pub fn command(&self, command: &[&str]) -> Result<String, ServerError> {
        let bytes: Vec<&[u8]> = command.iter().map(|argument| argument.as_bytes()).collect();
        self.command_bytes(&bytes)
    }

    pub(crate) fn command_bytes(&self, command: &[&[u8]]) -> Result<String, ServerError> {
        Connection::open(&socket(self.server.folder()), self.password.as_deref())
            .and_then(|mut connection| connection.call(command))
            .map_err(ServerError::io("asking redis-server"))
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
        self.server.restart(answers(self.password.clone()))
    }

    /// Waits until the server says `wanted` in the answer to `command`.
    pub(crate) fn wait_for(&self, command: &[&str], wanted: &str) -> Result<(), ServerError> {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            match self.command(command) {
                Ok(answer) if answer.contains(wanted) => return Ok(()),
                answer if Instant::now() > deadline => {
                    return Err(ServerError::new(format!(
                        "redis-server did not say {wanted} to {command:?} but {answer:?}"
                    )));
                }
                _ => thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

impl fmt::Debug for RedisServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RedisServer({})", self.addr())
    }
}

/// How a [`RedisServer`] is to be started.
///
/// ```
/// # fn main() -> Result<(), session_test_servers::ServerError> {
/// use session_test_servers::RedisServer;
///
/// let small = RedisServer::builder()
///     .setting("maxmemory", "3mb")
///     .password("a password")
///     .start()?;
/// let replica = RedisServer::builder()
///     .password("a password")
///     .replica_of(small.port())
///     .start()?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct RedisBuilder {
    settings: Vec<(String, String)>,
    password: Option<String>,
    tls: bool,
    replica_of: Option<u16>,
    cluster: bool,
    sentinel: bool,
}

impl RedisBuilder {
    /// A line of `redis.conf`; overrides what this crate sets.
    pub fn setting(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.settings.push((name.into(), value.into()));
        self
    }

    /// The password that clients, and a primary, ask for.
    pub fn password(mut self, password: impl Into<String>) -> Self {
        self.password = Some(password.into());
        self
    }

    /// TLS instead of plain TCP, with a certificate for `localhost` and `127.0.0.1` from an
    /// authority made for this server: see [`RedisServer::ca`].
    pub fn tls(mut self, tls: bool) -> Self {
        self.tls = tls;
        self
    }

    /// A replica of the (plain) server on this port of the loopback address. It is started when
    /// it has the primary's data.
    pub fn replica_of(mut self, port: u16) -> Self {
        self.replica_of = Some(port);
        self
    }

    pub(crate) fn cluster(mut self) -> Self {
        self.cluster = true;
        self
    }

    /// A Sentinel: its settings are all that its configuration holds beside port and socket.
    pub(crate) fn sentinel(mut self) -> Self {
        self.sentinel = true;
        self
    }

    /// Starts the server; it answers when this returns.
    ///
    /// # Errors
    ///
    /// The program is missing, or it did not start.
    pub fn start(self) -> Result<RedisServer, ServerError> {
        let program = program::find("redis-server", "redis-server")?;
        let server = Server::start(
            "redis-server",
            program,
            None,
            None,
            |folder, port| {
                let file = folder.join("redis.conf");
                fs::write(&file, self.configuration(folder, port)?)
                    .map_err(ServerError::io("writing redis.conf"))?;
                let mut arguments = vec![file.into()];
                if self.sentinel {
                    arguments.push("--sentinel".into());
                }
                Ok(arguments)
            },
            answers(self.password.clone()),
        )?;
        let redis = RedisServer {
            authority: server.folder().join(AUTHORITY),
            server,
            password: self.password,
            tls: self.tls,
        };
        if self.replica_of.is_some() {
            redis.wait_for(&["INFO", "replication"], "master_link_status:up")?;
        }
        Ok(redis)
    }

    fn configuration(&self, folder: &Path, port: u16) -> Result<String, ServerError> {
        let mut lines = String::new();
        let mut line = |name: &str, value: &dyn fmt::Display| {
            writeln!(lines, "{name} {value}").expect("a string takes all text");
        };
        line("bind", &"127.0.0.1");
        line("dir", &folder.display());
        line("unixsocket", &socket(folder).display());
        if !self.sentinel {
            line("appendonly", &"yes");
            line("appendfsync", &"always");
            line("save", &"\"\"");
            // A replica is to have its data now, not after others have had time to ask too.
            line("repl-diskless-sync-delay", &"0");
        }
        if self.tls {
            let files = Certificates::write(folder)?;
            line("port", &0);
            line("tls-port", &port);
            line("tls-cert-file", &files.certificate.display());
            line("tls-key-file", &files.key.display());
            line("tls-ca-cert-file", &files.authority.display());
            line("tls-auth-clients", &"no");
        } else {
            line("port", &port);
        }
        if let Some(password) = &self.password {
            line("requirepass", &quoted(password));
            line("masterauth", &quoted(password));
        }
        if let Some(primary) = self.replica_of {
            line("replicaof 127.0.0.1", &primary);
        }
        if self.cluster {
            line("cluster-enabled", &"yes");
            line("cluster-port", &port::free()?);
        }
        for (name, value) in &self.settings {
            line(name, value);
        }
        Ok(lines)
    }
}

/// Every byte escaped, so that the configuration's syntax does not matter.
fn quoted(text: &str) -> String {
    let bytes: String = text.bytes().map(|byte| format!("\\x{byte:02x}")).collect();
    format!("\"{bytes}\"")
}

fn socket(folder: &Path) -> PathBuf {
    folder.join("redis.sock")
}

/// The socket is the server's own, so its answer is not another server's on a port just lost.
fn answers(password: Option<String>) -> impl Fn(&Path, u16) -> bool {
    move |folder, _| {
        Connection::open(&socket(folder), password.as_deref())
            .and_then(|mut connection| connection.call(&[b"PING"]))
            .is_ok()
    }
}
