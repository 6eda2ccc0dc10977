//! Every option, with its default and what it costs.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::{OnCorrupt, OnExpired, OnGone, OnOutage};
use crate::clock::Clock;
use crate::error::Error;
use crate::event::{Event, Hook};
use crate::http::{
    CookieAttributes, IpNet, IpPrefix, Lifetime, SameSite, Transport, TrustedProxies,
};
use crate::keys::KeyRing;
use crate::limit::{Limit, OnTooMany};
use crate::operations::Draft;

type Initializer = Arc<dyn Fn(&mut Draft) -> Result<(), Error> + Send + Sync>;

/// Collects options; [`build`](Self::build) checks them together.
///
/// Each is a method; as text, from the environment say, they come in by [`settings`](Self::settings),
/// and [`SETTINGS`](Self::SETTINGS) is a table of them all.
#[derive(Clone)]
pub struct SessionConfigBuilder {
    pub(crate) cookie: CookieAttributes,
    pub(crate) transport: Transport,
    pub(crate) timeout: Duration,
    pub(crate) absolute_timeout: Option<Duration>,
    pub(crate) remembered_absolute_timeout: Option<Duration>,
    pub(crate) touch_interval: Option<Duration>,
    pub(crate) renew_every: Option<Duration>,
    pub(crate) grace: Duration,
    pub(crate) clock_skew: Duration,
    pub(crate) ignore_expiry: bool,
    pub(crate) ignore_change_ip: bool,
    pub(crate) ip_prefix: IpPrefix,
    pub(crate) trusted_proxies: TrustedProxies,
    pub(crate) trust_unix_socket: bool,
    pub(crate) secret_key: Option<KeyRing>,
    pub(crate) on_expired: OnExpired,
    pub(crate) expired_message: Arc<str>,
    pub(crate) initializer: Option<Initializer>,
    pub(crate) owner_sessions: Option<Limit>,
    pub(crate) max_size: usize,
    pub(crate) store_timeout: Duration,
    pub(crate) on_load_outage: OnOutage,
    pub(crate) on_touch_outage: OnOutage,
    pub(crate) on_corrupt: OnCorrupt,
    pub(crate) on_gone: OnGone,
    pub(crate) save_on_server_error: bool,
    pub(crate) clear_site_data: bool,
    pub(crate) creation_cap: Option<(u32, Duration)>,
    pub(crate) on_event: Option<Hook>,
    pub(crate) clock: Clock,
}

impl Default for SessionConfigBuilder {
    fn default() -> Self {
        Self {
            cookie: CookieAttributes::default(),
            transport: Transport::Cookie,
            timeout: Duration::from_secs(24 * 60 * 60),
            absolute_timeout: None,
            remembered_absolute_timeout: None,
            touch_interval: None,
            renew_every: None,
            grace: Duration::from_secs(10),
            clock_skew: Duration::from_secs(30),
            ignore_expiry: false,
            ignore_change_ip: true,
            ip_prefix: IpPrefix::default(),
            trusted_proxies: TrustedProxies::default(),
            trust_unix_socket: false,
            secret_key: None,
            on_expired: OnExpired::default(),
            expired_message: "your session has expired, please sign in again".into(),
            initializer: None,
            owner_sessions: None,
            max_size: 1024 * 1024,
            store_timeout: Duration::from_secs(2),
            on_load_outage: OnOutage::default(),
            on_touch_outage: OnOutage::default(),
            on_corrupt: OnCorrupt::default(),
            on_gone: OnGone::default(),
            save_on_server_error: false,
            clear_site_data: false,
            creation_cap: None,
            on_event: None,
            clock: Clock::default(),
        }
    }
}

/// One setter an option, named after it.
macro_rules! setters {
    ($($(#[$doc:meta])* $name:ident: $type:ty;)*) => {
        $(
            $(#[$doc])*
            #[must_use]
            pub fn $name(mut self, $name: $type) -> Self {
                self.$name = $name;
                self
            }
        )*
    };
}

impl SessionConfigBuilder {
    setters! {
        /// How long a session may lie idle.
        ///
        /// # Default
        ///
        /// 24 hours. OWASP recommends 15 to 30 minutes for most applications and 2 to 5 for
        /// those of high value (Session Management Cheat Sheet, "Session Expiration").
        ///
        /// Another value applies to a session from when it is next used, to within the touch interval;
        /// to one that is sealed in its cookie from its next write. One that is not used keeps what
        /// it has: to end older ones now, call `revoke_all`. Nodes that share a store need the same
        /// value, or each use brings back its node's own.
        timeout: Duration;
        /// How long a superseded token is remembered, so that requests in flight can be told from
        /// those of strangers (rule I6). After a timed renewal it also works for that long; after
        /// `login` and `renew` it does not.
        ///
        /// # Default
        ///
        /// 10 seconds.
        grace: Duration;
        /// How far the clocks of the application's nodes may be apart: the sweep waits that much
        /// longer. A store whose server removes expired records by itself has to be told as much:
        /// `RedisConfig::clock_skew`, of the same default, or `?clock_skew=60` in its URL.
        ///
        /// # Default
        ///
        /// 30 seconds.
        clock_skew: Duration;
        /// Turns off both time-outs; records stored so are never swept.
        ///
        /// # Default
        ///
        /// `false`.
        ignore_expiry: bool;
        /// Whether a session works from every client address; if not, only from the one that
        /// created it (see [`ip_prefix`](Self::ip_prefix)).
        ///
        /// With `false` the client's address has to be known, or no session can begin. Under axum,
        /// serve with `into_make_service_with_connect_info::<SocketAddr>()`; over a Unix socket
        /// set [`trust_unix_socket`](Self::trust_unix_socket).
        ///
        /// # Default
        ///
        /// `true`: addresses of phones change all the time.
        ignore_change_ip: bool;
        /// How much of the address must stay the same, with `ignore_change_ip(false)`.
        ///
        /// # Default
        ///
        /// All of it.
        ip_prefix: IpPrefix;
        /// What becomes of a request whose session expired.
        ///
        /// # Default
        ///
        /// [`OnExpired::Fresh`].
        on_expired: OnExpired;
        /// The largest session in bytes of JSON, the library's own values included.
        ///
        /// # Default
        ///
        /// 1 MiB.
        max_size: usize;
        /// How long an operation on the store may take, retries and queueing included.
        ///
        /// # Default
        ///
        /// 2 seconds.
        store_timeout: Duration;
        /// What a request does that cannot load its session.
        ///
        /// # Default
        ///
        /// [`OnOutage::Fail`].
        on_load_outage: OnOutage;
        /// What a request does that cannot extend its session's life.
        ///
        /// # Default
        ///
        /// [`OnOutage::Fail`].
        on_touch_outage: OnOutage;
        /// What becomes of a session whose record cannot be decoded.
        ///
        /// # Default
        ///
        /// [`OnCorrupt::Fresh`].
        on_corrupt: OnCorrupt;
        /// What becomes of changes to a session that ended meanwhile, when they are stored at the
        /// request's end. A handler's own `save` or `transact` is told in any case.
        ///
        /// # Default
        ///
        /// [`OnGone::ConflictIfUnsafe`].
        on_gone: OnGone;
        /// Whether a response of 500 or above, or of 408, still stores the changes.
        ///
        /// # Default
        ///
        /// `false`: a request that failed, or was cut off by a time-out, drops what it has not stored
        /// yet. What `transact`, `save` or `take_flashes` stored before stays.
        save_on_server_error: bool;
        /// Whether a logout asks the browser to forget what it keeps of the site
        /// (`Clear-Site-Data: "cookies", "storage"`).
        ///
        /// # Default
        ///
        /// `false`.
        ///
        /// # Source
        ///
        /// W3C Clear Site Data.
        clear_site_data: bool;
        /// The clock of every decision; tests give one they can move.
        clock: Clock;
        /// How tokens travel.
        ///
        /// # Default
        ///
        /// [`Transport::Cookie`].
        transport: Transport;
    }

    /// The cookie's name.
    ///
    /// # Default
    ///
    /// `__Host-sid`. Without a `__Host-` name another site under the same domain can plant a
    /// cookie of its own; building then logs a warning.
    #[must_use]
    pub fn cookie_name(mut self, name: impl Into<String>) -> Self {
        self.cookie.name = name.into();
        self
    }

    /// The domain whose hosts all get the cookie.
    ///
    /// With another one than before, the cookies that browsers have stay where they are and no removal
    /// names them. Under [`OnExpired::Unauthorized`] each would be answered 401 once its session is over:
    /// give the cookie another name as well.
    ///
    /// # Default
    ///
    /// None: the host alone.
    #[must_use]
    pub fn cookie_domain(mut self, domain: impl Into<String>) -> Self {
        self.cookie.domain = Some(domain.into());
        self
    }

    /// The path below which the cookie is sent.
    ///
    /// With another one, browsers keep the cookies that they have: see [`cookie_domain`](Self::cookie_domain).
    ///
    /// # Default
    ///
    /// `/`.
    #[must_use]
    pub fn cookie_path(mut self, path: impl Into<String>) -> Self {
        self.cookie.path = path.into();
        self
    }

    /// Whether the cookie travels over HTTPS alone; turning it off is for development, and is
    /// logged.
    ///
    /// # Default
    ///
    /// `true`.
    #[must_use]
    pub fn secure(mut self, secure: bool) -> Self {
        self.cookie.secure = secure;
        self
    }

    /// Whether scripts in the page are kept from reading the cookie.
    ///
    /// # Default
    ///
    /// `true`.
    #[must_use]
    pub fn http_only(mut self, http_only: bool) -> Self {
        self.cookie.http_only = http_only;
        self
    }

    /// Which requests from other sites carry the cookie.
    ///
    /// # Default
    ///
    /// [`SameSite::Lax`].
    #[must_use]
    pub fn same_site(mut self, same_site: SameSite) -> Self {
        self.cookie.same_site = same_site;
        self
    }

    /// Whether the cookie is kept apart for each site that embeds this one (CHIPS).
    ///
    /// When it changes, browsers keep the cookies that they have: see [`cookie_domain`](Self::cookie_domain).
    ///
    /// # Default
    ///
    /// `false`.
    #[must_use]
    pub fn partitioned(mut self, partitioned: bool) -> Self {
        self.cookie.partitioned = partitioned;
        self
    }

    /// How long the browser keeps the cookie.
    ///
    /// This is about the cookie: the session still ends by [`timeout`](Self::timeout). With
    /// `Lifetime::Persistent` of 30 days and the default time-out, who stays away for 24 hours is
    /// signed out. So give both.
    ///
    /// # Default
    ///
    /// [`Lifetime::BrowserSession`]; one session can be made persistent, its time-out included, with
    /// [`Session::remember`](crate::Session::remember).
    #[must_use]
    pub fn lifetime(mut self, lifetime: Lifetime) -> Self {
        self.cookie.lifetime = lifetime;
        self
    }

    /// How long a session may live, however busy it is: from its beginning, or its last login. Not
    /// less than [`timeout`](Self::timeout), which has to be set, too, for less than 24 hours.
    ///
    /// Another value applies to a session from when it is next used, as of `timeout`.
    ///
    /// # Default
    ///
    /// No limit.
    #[must_use]
    pub fn absolute_timeout(mut self, age: Duration) -> Self {
        self.absolute_timeout = Some(age);
        self
    }

    /// The [`absolute_timeout`](Self::absolute_timeout) of sessions that are
    /// [remembered](crate::Session::remember), in place of that one:
    ///
    /// ```
    /// use session_core::SessionConfig;
    /// use std::time::Duration;
    ///
    /// const HOUR: Duration = Duration::from_secs(3_600);
    ///
    /// // An ordinary login lasts a working day at most, one on a device of the user's own a quarter.
    /// let config = SessionConfig::builder()
    ///     .timeout(HOUR)
    ///     .absolute_timeout(12 * HOUR)
    ///     .remembered_absolute_timeout(90 * 24 * HOUR)
    ///     .build()?;
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// # Default
    ///
    /// The `absolute_timeout`.
    #[must_use]
    pub fn remembered_absolute_timeout(mut self, age: Duration) -> Self {
        self.remembered_absolute_timeout = Some(age);
        self
    }

    /// How often at most a session's last access is written down, and a persistent cookie sent again.
    ///
    /// # Default
    ///
    /// A tenth of [`timeout`](Self::timeout), or of a persistent cookie's
    /// [`lifetime`](Self::lifetime) if that is shorter; at most 60 seconds. For a session whose own
    /// time-out is shorter than `timeout`, a tenth of that, if it is less than this interval.
    ///
    /// # Cost
    ///
    /// One store call for each session and interval in which it is read. One more where a persistent
    /// cookie is sent again, which is looked up first, and one more at the end of a request that took a
    /// second or longer.
    #[must_use]
    pub fn touch_interval(mut self, interval: Duration) -> Self {
        self.touch_interval = Some(interval);
        self
    }

    /// How old a secret may become before a new one is given out (rule I7). The old one works until
    /// the client has presented the new one, and for [`grace`](Self::grace) after that.
    ///
    /// # Default
    ///
    /// Never: secrets change with `login` and `renew`.
    #[must_use]
    pub fn renew_every(mut self, age: Duration) -> Self {
        self.renew_every = Some(age);
        self
    }

    /// The proxies whose `X-Forwarded-For` and `Forwarded` headers are believed.
    ///
    /// A proxy is known by the address at the other end of the connection. axum knows that if the
    /// application is served with `into_make_service_with_connect_info::<SocketAddr>()`; over a Unix
    /// socket there is none: see [`trust_unix_socket`](Self::trust_unix_socket).
    ///
    /// # Default
    ///
    /// None: the address is the peer's.
    #[must_use]
    pub fn trusted_proxies(mut self, nets: impl IntoIterator<Item = IpNet>) -> Self {
        self.trusted_proxies = nets.into_iter().collect();
        self
    }

    /// Whether a peer that has no address is a proxy whose `X-Forwarded-For` and `Forwarded` are believed:
    /// one that connects over a Unix socket, as nginx does with `proxy_pass http://unix:/run/shop.sock`.
    ///
    /// Only for an application that listens on such a socket and nowhere else. On a TCP port under axum a
    /// peer has no address either where `into_make_service_with_connect_info` was forgotten, and then
    /// every client would choose its own.
    ///
    /// ```
    /// use session_core::SessionConfig;
    ///
    /// let config = SessionConfig::builder().trust_unix_socket(true).build()?;
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// # Default
    ///
    /// `false`: of such a peer's clients no address is known.
    #[must_use]
    pub fn trust_unix_socket(mut self, trust: bool) -> Self {
        self.trust_unix_socket = trust;
        self
    }

    /// The keys that sign tokens, so that a forged one is refused without a store access.
    ///
    /// # Default
    ///
    /// None: a token is then recognised by its 256-bit secret alone, which is safe, and a forged one
    /// costs one load. Turning it on or off, or another `cookie_name` with it, ends every session.
    ///
    /// A key is [changed in three steps](KeyRing#to-change-the-key): every node knows the new one
    /// (`OLD,NEW`) before any signs with it (`NEW,OLD`), and the old one is dropped when the last session
    /// under it has been used or has ended. Whoever still comes with a token under it is signed out.
    #[must_use]
    pub fn secret_key(mut self, keys: KeyRing) -> Self {
        self.secret_key = Some(keys);
        self
    }

    /// The body of the 401 that [`OnExpired::Unauthorized`] answers, as plain text.
    #[must_use]
    pub fn expired_message(mut self, message: impl Into<Arc<str>>) -> Self {
        self.expired_message = message.into();
        self
    }

    /// How many live sessions an owner may have at once, and what a login does that is one too
    /// many.
    ///
    /// A login is counted after it was written, so a lower limit reaches an owner at their next login,
    /// and of logins that race, on whatever node, the last to look sees them all. What is found beyond
    /// the limit ends, or is withdrawn: see [`OnTooMany`].
    ///
    /// A login within a session that is the owner's already begins none. Expired and undecodable
    /// sessions do not count. Sessions that a client keeps itself cannot be counted:
    /// `SessionManager::sealed` and `sealed_with_revocations` refuse the option.
    ///
    /// ```
    /// use session_core::{OnTooMany, SessionConfig};
    ///
    /// let config = SessionConfig::builder()
    ///     .owner_sessions_max(3, OnTooMany::EndOldest)
    ///     .build()?;
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// # Default
    ///
    /// No limit.
    ///
    /// # Cost
    ///
    /// At a login, and only there: one look at the owner's index and one load for each of their
    /// sessions, with [`OnTooMany::Refuse`] both twice.
    ///
    /// # Source
    ///
    /// NIST SP 800-53, AC-10 "Concurrent Session Control".
    #[must_use]
    pub fn owner_sessions_max(mut self, most: usize, then: OnTooMany) -> Self {
        self.owner_sessions = Some(Limit { most, then });
        self
    }

    /// Fills each new session; its values do not count as stored until something else is. Where several
    /// tasks of a request ask for its session at the same moment it may run for each of them, and one
    /// result counts.
    ///
    /// # Errors
    ///
    /// What the closure returns fails the request that asked for the session.
    #[must_use]
    pub fn initializer<F>(mut self, fill: F) -> Self
    where
        F: Fn(&mut Draft) -> Result<(), Error> + Send + Sync + 'static,
    {
        self.initializer = Some(Arc::new(fill));
        self
    }

    /// How many sessions one client address may begin: `count` at once, and `count` more in each
    /// `per` after that, evenly spread. What is over it is answered 429 with `Retry-After`
    /// ([`ErrorKind::CreationCap`](crate::ErrorKind::CreationCap)), and nothing is stored.
    ///
    /// Sessions count that are stored for the first time, not visitors who store nothing, and not
    /// what could not be stored. An IPv6 address counts as its /64. Behind proxies, set
    /// [`trusted_proxies`](Self::trusted_proxies): the proxy's address would count for everyone.
    /// Many people may share one address (a school, a mobile carrier), so leave room for them.
    ///
    /// Where the client's address is not known, nothing can begin ([`ErrorKind::Invalid`](crate::ErrorKind::Invalid)).
    /// Under axum, serve with `into_make_service_with_connect_info::<SocketAddr>()`; over a Unix
    /// socket set [`trust_unix_socket`](Self::trust_unix_socket). What the application
    /// [begins](crate::SessionManager::begin) by itself does not count.
    ///
    /// # Default
    ///
    /// No cap.
    ///
    /// # Cost
    ///
    /// A short lock for each session that begins, and at most 2 MB: 57,344 addresses are known at
    /// a time; beyond that, those that have created least are forgotten first. Each node counts for
    /// itself, and a restart begins anew.
    #[must_use]
    pub fn creation_cap(mut self, count: u32, per: Duration) -> Self {
        self.creation_cap = Some((count, per));
        self
    }

    /// Called with each [event](crate::event) after it has become true, once, on the thread of the
    /// request that learned of it, and holding no lock of a session's.
    ///
    /// It should be quick, since the request waits for it (a channel is a good place to put events
    /// into), and not panic, since the request would. Events hold owners and addresses, which are
    /// personal, and never a secret.
    ///
    /// # Default
    ///
    /// None; events then go to `tracing` and `metrics` alone.
    ///
    /// # Example
    ///
    /// ```
    /// use session_core::{EventKind, SessionConfig};
    /// use std::sync::mpsc;
    ///
    /// let (events, audit) = mpsc::channel();
    /// let config = SessionConfig::builder()
    ///     .on_event(move |event| {
    ///         if matches!(event.kind, EventKind::LoggedIn | EventKind::LoggedOut) {
    ///             let _nobody_listens = events.send(event.clone());
    ///         }
    ///     })
    ///     .build()?;
    /// # drop((config, audit));
    /// # Ok::<(), session_core::Error>(())
    /// ```
    #[must_use]
    pub fn on_event(mut self, hook: impl Fn(&Event) + Send + Sync + 'static) -> Self {
        self.on_event = Some(Arc::new(hook));
        self
    }
}

impl fmt::Debug for SessionConfigBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionConfig")
            .field("cookie", &self.cookie)
            .field("transport", &self.transport)
            .field("timeout", &self.timeout)
            .field("absolute_timeout", &self.absolute_timeout)
            .field("ignore_expiry", &self.ignore_expiry)
            .field("ignore_change_ip", &self.ignore_change_ip)
            .field("secret_key", &self.secret_key)
            .field("max_size", &self.max_size)
            .field("store_timeout", &self.store_timeout)
            .field("creation_cap", &self.creation_cap)
            .finish_non_exhaustive()
    }
}
