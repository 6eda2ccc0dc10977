//! The options of the store, and the URL they can be given in.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use redis::aio::ConnectionManager;
use session_core::{Error, ErrorKind};

use crate::link::{Access, Link, Timeouts, Tls};
use crate::url::{Servers, Url};

/// The options of a [`RedisStore`](crate::RedisStore), and the servers it is for.
///
/// ```no_run
/// use std::time::Duration;
/// use session_redis::{RedisConfig, RedisStore};
///
/// # async fn connect() -> Result<(), session_core::Error> {
/// let store = RedisStore::with_config(
///     RedisConfig::new("redis://10.0.0.5/3")
///         .prefix("shop:session:")
///         .clock_skew(Duration::from_secs(5)),
/// )
/// .await?;
/// # Ok(())
/// # }
/// ```
///
/// # URLs
///
/// | | |
/// |---|---|
/// | `redis://[user:password@]host[:port][/database]` | one server |
/// | `redis+unix://[user:password@]/path/of/socket` | one on this machine |
/// | `redis+cluster://[user:password@]host[:port],host[:port]…` | a cluster, some of whose servers are named |
/// | `redis+sentinel://[user:password@]host[:port],host[:port]…/name[/database]` | whom the sentinels call the primary of `name` |
/// | `rediss://`, `rediss+cluster://`, `rediss+sentinel://` | the same over TLS |
///
/// User and password are percent-encoded, and those of the servers; `:password@` is for the
/// user `default`. Options follow as `?name=value&…`; one that is not known is refused.
///
/// | option | |
/// |---|---|
/// | `prefix` | see [`prefix`](Self::prefix) |
/// | `clock_skew` | see [`clock_skew`](Self::clock_skew); whole seconds |
/// | `connections` | see [`connections`](Self::connections) |
/// | `pool` | size of a `deadpool-redis` pool to use instead; `redis`, `rediss` and `redis+unix` only; 1 to 1,024; feature `pool` |
/// | `ca` | see [`certificate_authority`](Self::certificate_authority); the path of a PEM file |
/// | `database` | the database's number, for `redis+unix` |
/// | `sentinel_user`, `sentinel_password` | of the sentinels themselves, if they have a password |
#[derive(Clone)]
pub struct RedisConfig {
    source: Source,
    prefix: String,
    clock_skew: Duration,
    timeouts: Timeouts,
    connections: usize,
    authority: Option<Authority>,
}

#[derive(Clone)]
enum Source {
    /// What was wrong with the URL is told when it is connected to.
    Wrong(String),
    Servers(Box<Place>),
    #[cfg(feature = "pool")]
    Pool(deadpool_redis::Pool),
    #[cfg(all(feature = "pool", feature = "cluster"))]
    ClusterPool(deadpool_redis::cluster::Pool),
    Manager(ConnectionManager),
}

#[derive(Clone)]
struct Place {
    servers: Servers,
    access: Access,
    sentinel_access: Access,
    tls: bool,
    pool: Option<usize>,
}

#[derive(Clone)]
enum Authority {
    File(String),
    #[cfg(feature = "tls")]
    Pem(Vec<u8>),
}

impl RedisConfig {
    /// The defaults, for the servers at `url`.
    ///
    /// What is wrong with the URL is told by
    /// [`RedisStore::with_config`](crate::RedisStore::with_config).
    #[must_use]
    pub fn new(url: impl AsRef<str>) -> Self {
        let mut config = Self::over(Source::Wrong(String::new()));
        config.source = match Url::parse(url.as_ref()).and_then(|url| config.place(url)) {
            Ok(place) => Source::Servers(Box::new(place)),
            Err(why) => Source::Wrong(why),
        };
        config
    }

    /// The defaults, over a pool of the application's own.
    ///
    /// [`connections`](Self::connections), [`response_timeout`](Self::response_timeout) and
    /// [`connect_timeout`](Self::connect_timeout) are then the pool's matter.
    #[cfg(feature = "pool")]
    #[must_use]
    pub fn from_pool(pool: deadpool_redis::Pool) -> Self {
        Self::over(Source::Pool(pool))
    }

    /// The defaults, over a pool of connections to a cluster of the application's own.
    #[cfg(all(feature = "pool", feature = "cluster"))]
    #[must_use]
    pub fn from_cluster_pool(pool: deadpool_redis::cluster::Pool) -> Self {
        Self::over(Source::ClusterPool(pool))
    }

    /// The defaults, over a connection of the application's own.
    #[must_use]
    pub fn from_connection_manager(manager: ConnectionManager) -> Self {
        Self::over(Source::Manager(manager))
    }

    fn over(source: Source) -> Self {
        Self {
            source,
            prefix: Self::PREFIX.to_owned(),
            clock_skew: Duration::from_secs(30),
            timeouts: Timeouts {
                response: Duration::from_millis(1_500),
                connect: Duration::from_millis(1_500),
            },
            connections: 1,
            authority: None,
        }
    }

    /// The default of [`prefix`](Self::prefix).
    pub const PREFIX: &'static str = "session:";

    /// What every key of the store begins with.
    ///
    /// Stores with different prefixes in one database do not see each other's sessions.
    ///
    /// # Default
    ///
    /// [`PREFIX`](Self::PREFIX).
    #[must_use]
    pub fn prefix(mut self, prefix: impl Into<String>) -> Self {
        self.prefix = prefix.into();
        self
    }

    /// How much longer than until its expiry the servers keep a record, as clocks differ.
    ///
    /// Not less than the manager's `clock_skew`. At most a century of 36,600 days: more counts as
    /// that, and is refused in a URL.
    ///
    /// # Default
    ///
    /// 30 s, as the manager's.
    #[must_use]
    pub fn clock_skew(mut self, skew: Duration) -> Self {
        self.clock_skew = skew.min(CLOCK_SKEW_MAX);
        self
    }

    /// How many connections of each runtime lead to the server; commands take turns on them.
    ///
    /// Each is shared by any number of requests. A second one helps where sessions are so large
    /// that a small one waits behind them. In a cluster each runtime has one to
    /// each server.
    ///
    /// A program under `#[tokio::main]` has one runtime, one under actix-web has one for each worker.
    /// At least 1 and at most 1,024: a number beyond these counts as the nearest, and is refused in a
    /// URL.
    ///
    /// # Default
    ///
    /// 1
    #[must_use]
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections.clamp(1, CONNECTIONS_MAX);
        self
    }

    /// How long a command waits for its answer.
    ///
    /// If nothing at all came in this time to anybody who waits, one request or one after the other,
    /// the connection is given up and another one made. Below the manager's `store_timeout` the request
    /// that finds it out is told why.
    ///
    /// # Default
    ///
    /// 1.5 s; the manager's time-out is 2 s.
    #[must_use]
    pub fn response_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.response = timeout;
        self
    }

    /// How long connecting may take, from looking up the name to the end of the login.
    ///
    /// Where the servers of a cluster, or sentinels, have to be asked whom to connect to, they get a
    /// third of it: one is asked, and when it has been silent for a fifteenth, all others at once.
    ///
    /// # Default
    ///
    /// 1.5 s
    #[must_use]
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.timeouts.connect = timeout;
        self
    }

    /// The certificates (PEM) of the authority that the servers' are signed by.
    ///
    /// # Default
    ///
    /// The authorities that browsers trust. With this, only the given ones.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn certificate_authority(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.authority = Some(Authority::Pem(pem.into()));
        self
    }

    pub(crate) fn chosen_prefix(&self) -> &str {
        &self.prefix
    }

    pub(crate) fn chosen_clock_skew(&self) -> Duration {
        self.clock_skew
    }

    fn place(&mut self, url: Url<'_>) -> Result<Place, String> {
        #[cfg(not(feature = "tls"))]
        if url.tls {
            return Err("the feature `tls` of session-redis is off".to_owned());
        }
        #[cfg(not(feature = "cluster"))]
        if matches!(url.servers, Servers::Cluster(_)) {
            return Err(CLUSTER_OFF.to_owned());
        }
        let mut place = Place {
            servers: url.servers,
            access: Access {
                user: url.user,
                password: url.password,
                database: url.database,
                tls: None,
            },
            sentinel_access: Access::default(),
            tls: url.tls,
            pool: None,
        };
        for (name, value) in url.parameters {
            self.parameter(&mut place, name, value)?;
        }
        Ok(place)
    }

    fn parameter(&mut self, place: &mut Place, name: &str, value: String) -> Result<(), String> {
        let sentinels = matches!(place.servers, Servers::Sentinels { .. });
        let one = matches!(place.servers, Servers::One(_));
        match name {
            "prefix" => self.prefix = value,
            "clock_skew" => self.clock_skew = clock_skew(name, &value)?,
            "connections" if !matches!(place.servers, Servers::Cluster(_)) => {
                self.connections = positive(name, &value)?;
            }
            "pool" if one => {
                if cfg!(not(feature = "pool")) {
                    let why =
                        "the feature `pool` of session-redis is off (`redis-pool` of session-kit)";
                    return Err(why.to_owned());
                }
                place.pool = Some(positive(name, &value)?);
            }
            "ca" if place.tls => self.authority = Some(Authority::File(value)),
            "database" if one => place.access.database = number(name, &value)?,
            "sentinel_user" if sentinels => place.sentinel_access.user = Some(value),
            "sentinel_password" if sentinels => place.sentinel_access.password = Some(value),
            _ => return Err(refused(name)),
        }
        Ok(())
    }

    /// The way to the servers; nothing has been sent yet.
    pub(crate) fn link(&self) -> Result<Link, Error> {
        match &self.source {
            Source::Wrong(why) => Err(Error::new(ErrorKind::Invalid, why.clone())),
            Source::Servers(place) => self.link_to(place),
            #[cfg(feature = "pool")]
            Source::Pool(pool) => Ok(Link::over_pool(pool.clone())),
            #[cfg(all(feature = "pool", feature = "cluster"))]
            Source::ClusterPool(pool) => Ok(Link::over_cluster_pool(pool.clone())),
            Source::Manager(manager) => Ok(Link::over_manager(manager.clone())),
        }
    }

    fn link_to(&self, place: &Place) -> Result<Link, Error> {
        let tls = match place.tls {
            true => Some(Tls::trusting(self.authority()?).map_err(unusable)?),
            false => None,
        };
        let with_tls = |access: &Access| Access {
            tls: tls.clone(),
            ..access.clone()
        };
        let access = Arc::new(with_tls(&place.access));
        Ok(match &place.servers {
            #[cfg(feature = "pool")]
            Servers::One(address) if place.pool.is_some() => {
                let size = place.pool.unwrap_or(1);
                Link::over_own_pool(address, &access, self.timeouts, size).map_err(unusable)?
            }
            Servers::One(address) => {
                Link::to_server(address, &access, self.timeouts, self.connections)
            }
            #[cfg(feature = "cluster")]
            Servers::Cluster(seeds) => Link::to_cluster(seeds, &access, self.timeouts),
            #[cfg(not(feature = "cluster"))]
            Servers::Cluster(_) => {
                return Err(Error::new(ErrorKind::Invalid, CLUSTER_OFF));
            }
            Servers::Sentinels { addresses, name } => Link::to_primary(
                addresses,
                name,
                &with_tls(&place.sentinel_access),
                &access,
                self.timeouts,
                self.connections,
            ),
        })
    }

    fn authority(&self) -> Result<Option<Vec<u8>>, Error> {
        match &self.authority {
            None => Ok(None),
            #[cfg(feature = "tls")]
            Some(Authority::Pem(pem)) => Ok(Some(pem.clone())),
            Some(Authority::File(path)) => match std::fs::read(path) {
                Ok(pem) => Ok(Some(pem)),
                Err(error) => {
                    let why = format!("reading the file of `ca` failed: {error}");
                    Err(Error::new(ErrorKind::Invalid, why).caused_by(error))
                }
            },
        }
    }
}

#[cfg(not(feature = "cluster"))]
const CLUSTER_OFF: &str =
    "the feature `cluster` of session-redis is off (`redis-cluster` of session-kit)";

fn unusable(error: redis::RedisError) -> Error {
    Error::new(ErrorKind::Invalid, error.to_string()).caused_by(error)
}

fn number<N: std::str::FromStr>(name: &str, value: &str) -> Result<N, String> {
    let wrong = |_| format!("the URL's option `{name}` is not a number that fits");
    value.parse().map_err(wrong)
}

/// For ever, and a number that the scripts can add.
const CLOCK_SKEW_MAX: Duration = Duration::from_secs(36_600 * 86_400);

/// Whole seconds.
fn clock_skew(name: &str, value: &str) -> Result<Duration, String> {
    let skew = value.parse().map(Duration::from_secs).ok();
    let wrong = || {
        let most = CLOCK_SKEW_MAX.as_secs();
        format!("the URL's option `{name}` is not a whole number of seconds up to {most}")
    };
    skew.filter(|skew| *skew <= CLOCK_SKEW_MAX)
        .ok_or_else(wrong)
}

/// The most connections that are made at once: an absurd number is an error, not a panic.
const CONNECTIONS_MAX: usize = 1_024;

/// A number of connections.
fn positive(name: &str, value: &str) -> Result<usize, String> {
    match number(name, value)? {
        0 => Err(format!("the URL's option `{name}` is 0")),
        positive if positive <= CONNECTIONS_MAX => Ok(positive),
        _ => Err(format!(
            "the URL's option `{name}` is above {CONNECTIONS_MAX}"
        )),
    }
}

/// An option is named if it looks like one: what follows a `?` may be the rest of a password.
fn refused(name: &str) -> String {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte == b'_';
    if !name.is_empty() && name.len() <= 32 && name.bytes().all(legal) {
        format!("the URL's option `{name}` is not one of this kind of URL")
    } else {
        "the URL has an option with a strange name".to_owned()
    }
}

/// Without the servers, so without the password.
impl fmt::Debug for RedisConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisConfig")
            .field("prefix", &self.prefix)
            .field("clock_skew", &self.clock_skew)
            .field("timeouts", &self.timeouts)
            .field("connections", &self.connections)
            .finish_non_exhaustive()
    }
}
