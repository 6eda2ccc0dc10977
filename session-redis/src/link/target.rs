//! Whom a line connects to, and as whom.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use redis::io::tcp::{TcpSettings, socket2::TcpKeepalive};
use redis::{
    Client, ConnectionAddr, IntoConnectionInfo, ProtocolVersion, RedisConnectionInfo, RedisError,
};

use super::line::{Live, Timeouts};
use super::sentinel::Sentinels;
use super::tls::Tls;

/// How the address of the server is known.
pub(crate) enum Target {
    Server {
        address: Address,
        access: Arc<Access>,
    },
    Primary(Sentinels),
}

/// Where a server listens.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Address {
    Tcp(String, u16),
    Unix(PathBuf),
}

/// What all servers of one URL are shown.
#[derive(Clone, Default)]
pub(crate) struct Access {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<String>,
    pub(crate) database: i64,
    pub(crate) tls: Option<Tls>,
}

impl Target {
    pub(crate) async fn client(&self, timeouts: Timeouts) -> Result<Client, RedisError> {
        match self {
            Self::Server { address, access } => access.client(address),
            Self::Primary(sentinels) => sentinels.primary(timeouts).await,
        }
    }

    /// Whether the connection leads to whom it should.
    pub(crate) async fn check(&self, live: &Live) -> Result<(), RedisError> {
        match self {
            Self::Server { .. } => Ok(()),
            Self::Primary(sentinels) => sentinels.check(live).await,
        }
    }
}

impl Access {
    pub(crate) fn client(&self, address: &Address) -> Result<Client, RedisError> {
        let mut login = RedisConnectionInfo::default()
            .set_protocol(ProtocolVersion::RESP3)
            .set_lib_name("session-redis", env!("CARGO_PKG_VERSION"))
            .set_db(self.database);
        if let Some(user) = &self.user {
            login = login.set_username(user);
        }
        if let Some(password) = &self.password {
            login = login.set_password(password);
        }
        let info = self
            .socket(address)
            .into_connection_info()?
            .set_redis_settings(login)
            .set_tcp_settings(tcp_settings());
        match &self.tls {
            None => Client::open(info),
            Some(tls) => tls.client(info),
        }
    }

    fn socket(&self, address: &Address) -> ConnectionAddr {
        match address {
            Address::Unix(path) => ConnectionAddr::Unix(path.clone()),
            Address::Tcp(host, port) if self.tls.is_some() => ConnectionAddr::TcpTls {
                host: host.clone(),
                port: *port,
                insecure: false,
                tls_params: None,
            },
            Address::Tcp(host, port) => ConnectionAddr::Tcp(host.clone(), *port),
        }
    }
}

/// Small packets leave at once, and a peer that is gone without a word is noticed: after
/// [`SILENCE`] if something was sent to it, and within half a minute if not.
fn tcp_settings() -> TcpSettings {
    let settings = TcpSettings::default().set_nodelay(true).set_keepalive(
        TcpKeepalive::new()
            .with_time(Duration::from_secs(15))
            .with_interval(Duration::from_secs(5)),
    );
    #[cfg(target_os = "linux")]
    let settings = settings.set_user_timeout(SILENCE);
    settings
}

/// How long sent bytes may stay unacknowledged.
#[cfg(target_os = "linux")]
const SILENCE: Duration = Duration::from_secs(5);

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Server { address, .. } => f.debug_tuple("Server").field(address).finish(),
            Self::Primary(sentinels) => sentinels.fmt(f),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(path) => write!(f, "{}", path.display()),
        }
    }
}
