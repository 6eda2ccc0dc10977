//! Options as text: from the environment, from a file, from the command line.
//!
//! [`SessionConfigBuilder::SETTINGS`] is the one table of them: it parses, and it is what a program
//! prints as its help. A new option is a row there and in its documentation, and a constant in
//! `kinds.rs` if its value is written like no other's.

mod kinds;

use std::collections::HashSet;
use std::fmt;

use crate::config::SessionConfigBuilder;
use crate::error::{Error, ErrorKind};
use kinds::Unfit;

/// An option of [`SessionConfigBuilder`] that can be given as text.
///
/// ```
/// use session_core::SessionConfigBuilder;
///
/// for setting in SessionConfigBuilder::SETTINGS {
///     println!("{:<22} {} [{}]", setting.name(), setting.help(), setting.default_text());
///     println!("{:<22} {}", "", setting.expected());
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Setting {
    name: &'static str,
    default: &'static str,
    expected: &'static str,
    secret: bool,
    help: &'static str,
    set: Set,
}

type Set = fn(SessionConfigBuilder, &str) -> Result<SessionConfigBuilder, Unfit>;

impl Setting {
    /// The option's name, which is that of the builder's method.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// The default, as it would be written.
    #[must_use]
    pub const fn default_text(&self) -> &'static str {
        self.default
    }

    /// What to write.
    #[must_use]
    pub const fn expected(&self) -> &'static str {
        self.expected
    }

    /// What the option is about, in one line.
    #[must_use]
    pub const fn help(&self) -> &'static str {
        self.help
    }
}

impl fmt::Debug for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setting")
            .field("name", &self.name)
            .field("default", &self.default)
            .finish_non_exhaustive()
    }
}

/// A row for each option: its name, kind of value, default and help; and how it is set, where it
/// is not by the builder's method of that name.
macro_rules! settings {
    ($($name:ident: $kind:ident = $default:literal, $help:literal $(, $set:expr)?;)*) => {
        &[$(
            Setting {
                name: stringify!($name),
                default: $default,
                expected: kinds::$kind.expected,
                secret: kinds::$kind.secret,
                help: $help,
                set: |builder, text| {
                    let value = (kinds::$kind.read)(text)?;
                    Ok(settings!(@set builder, value, $name $(, $set)?))
                },
            },
        )*]
    };
    (@set $builder:ident, $value:ident, $name:ident) => {
        $builder.$name($value)
    };
    (@set $builder:ident, $value:ident, $name:ident, $set:expr) => {
        with($builder, $value, $set)
    };
}

/// Names the types of a closure in the table.
fn with<T>(
    mut builder: SessionConfigBuilder,
    value: T,
    set: fn(&mut SessionConfigBuilder, T),
) -> SessionConfigBuilder {
    set(&mut builder, value);
    builder
}

impl SessionConfigBuilder {
    /// Every option that can be given as text: all but those that are code, such as
    /// [`initializer`](Self::initializer). [`settings`](Self::settings) sets them; each is described at
    /// the builder's method of its name.
    ///
    /// | name | form | default | meaning |
    /// |---|---|---|---|
    /// | `cookie_name` | a text | `__Host-sid` | the cookie's name |
    /// | `cookie_domain` | a domain, or `none` | `none` | the domain whose hosts all get the cookie; none: the host alone |
    /// | `cookie_path` | a text | `/` | the path below which the cookie is sent |
    /// | `secure` | `true` or `false` | `true` | whether the cookie travels over HTTPS alone |
    /// | `http_only` | `true` or `false` | `true` | whether scripts are kept from reading the cookie |
    /// | `same_site` | `strict`, `lax` or `none` | `lax` | which requests from other sites carry the cookie |
    /// | `partitioned` | `true` or `false` | `false` | whether each embedding site gets a cookie of its own |
    /// | `lifetime` | `browser`, or a duration such as `30d` | `browser` | how long the browser keeps the cookie, beside timeout; browser: until it closes |
    /// | `transport` | `cookie`, `header:NAME` or `bearer:NAME` | `cookie` | how tokens travel |
    /// | `timeout` | a duration such as `90` (seconds), `90s`, `15m`, `24h`, `30d` or `250ms` | `24h` | how long a session may lie idle |
    /// | `absolute_timeout` | a duration such as `90s`, `15m`, `24h` or `30d`, or `none` | `none` | how long a session may live, however busy it is |
    /// | `remembered_absolute_timeout` | a duration such as `90s`, `15m`, `24h` or `30d`, or `none` | `none` | the absolute_timeout of sessions that are remembered; none: the same |
    /// | `touch_interval` | a duration such as `90s` or `15m`, or `auto` | `auto` | how often at most an access is noted; auto: a tenth of timeout or lifetime, at most 60s |
    /// | `renew_every` | a duration such as `90s`, `15m`, `24h` or `30d`, or `never` | `never` | how old a secret may become before a new one is given out |
    /// | `grace` | a duration such as `90` (seconds), `90s`, `15m`, `24h`, `30d` or `250ms` | `10s` | how long a superseded token is told from a stranger's |
    /// | `clock_skew` | a duration such as `90` (seconds), `90s`, `15m`, `24h`, `30d` or `250ms` | `30s` | how far the clocks of the nodes may be apart |
    /// | `ignore_expiry` | `true` or `false` | `false` | whether both time-outs are off |
    /// | `ignore_change_ip` | `true` or `false` | `true` | whether a session works from every client address |
    /// | `ip_prefix` | the bits of an IPv4 and of an IPv6 address that count, such as `24,56` | `32,128` | how much of the address must stay the same, if not |
    /// | `trusted_proxies` | addresses or blocks such as `10.0.0.0/8`, separated by commas, or `none` | `none` | the proxies whose X-Forwarded-For and Forwarded are believed |
    /// | `trust_unix_socket` | `true` or `false` | `false` | whether a proxy that connects over a Unix socket is believed, too |
    /// | `secret_key` | keys in base64 separated by commas, the one that signs first, or `none` | `none` | the keys that sign tokens; `openssl rand -base64 32` prints one |
    /// | `on_expired` | `fresh` or `unauthorized` | `fresh` | what becomes of a request whose session expired |
    /// | `expired_message` | a text | `your session has expired, please sign in again` | the body of the 401 that on_expired can ask for |
    /// | `max_size` | a size in bytes, such as `65536`, `64KiB` or `1MiB` | `1MiB` | how large a session may be |
    /// | `store_timeout` | a duration such as `90` (seconds), `90s`, `15m`, `24h`, `30d` or `250ms` | `2s` | how long an operation on the store may take |
    /// | `on_load_outage` | `fail` or `continue` | `fail` | what a request does that cannot load its session |
    /// | `on_touch_outage` | `fail` or `continue` | `fail` | what a request does that cannot extend its session's life |
    /// | `on_corrupt` | `fresh` or `fail` | `fresh` | what becomes of a session that cannot be decoded |
    /// | `on_gone` | `conflict-if-unsafe`, `conflict` or `ignore` | `conflict-if-unsafe` | what becomes of changes to a session that ended meanwhile |
    /// | `save_on_server_error` | `true` or `false` | `false` | whether a response of 500 or above, or of 408, still stores the changes |
    /// | `clear_site_data` | `true` or `false` | `false` | whether a logout asks the browser to forget the site |
    /// | `creation_cap` | a count in a duration such as `20/1m`, or `none` | `none` | how many sessions one client address may begin in a while |
    /// | `owner_sessions_max` | a number and `end-oldest` or `refuse`, such as `5:end-oldest`, or `none` | `none` | how many sessions an owner may have, and what the next login does |
    ///
    /// Words and units may be written in any case, words also with `_` in place of `-`. A duration is
    /// one whole number and its unit. A switch is also `yes`, `on` or `1`, and `no`, `off` or `0`.
    ///
    /// ```
    /// use session_core::SessionConfig;
    ///
    /// let config = SessionConfig::builder().settings("", [
    ///     // Twenty sessions at once, and twenty more in each minute after that.
    ///     ("creation_cap", "20/1m"),
    ///     // Or `5:refuse`.
    ///     ("owner_sessions_max", "5:end-oldest"),
    ///     // From the client `Authorization: Bearer`, to it a header of this name.
    ///     ("transport", "bearer:x-session"),
    ///     ("trusted_proxies", "10.0.0.0/8, ::1"),
    ///     // 24 bits of an IPv4 address must stay the same, 56 of an IPv6 address.
    ///     ("ignore_change_ip", "false"),
    ///     ("ip_prefix", "24,56"),
    /// ])?;
    /// # let _ = config.build()?;
    /// # Ok::<(), session_core::Error>(())
    /// ```
    pub const SETTINGS: &'static [Setting] = settings! {
        cookie_name: TEXT = "__Host-sid",
            "the cookie's name";
        cookie_domain: DOMAIN = "none",
            "the domain whose hosts all get the cookie; none: the host alone",
            |builder, domain| builder.cookie.domain = domain;
        cookie_path: TEXT = "/",
            "the path below which the cookie is sent";
        secure: SWITCH = "true",
            "whether the cookie travels over HTTPS alone";
        http_only: SWITCH = "true",
            "whether scripts are kept from reading the cookie";
        same_site: SAME_SITE = "lax",
            "which requests from other sites carry the cookie";
        partitioned: SWITCH = "false",
            "whether each embedding site gets a cookie of its own";
        lifetime: LIFETIME = "browser",
            "how long the browser keeps the cookie, beside timeout; browser: until it closes";
        transport: TRANSPORT = "cookie",
            "how tokens travel";
        timeout: DURATION = "24h",
            "how long a session may lie idle";
        absolute_timeout: DURATION_OR_NONE = "none",
            "how long a session may live, however busy it is",
            |builder, age| builder.absolute_timeout = age;
        remembered_absolute_timeout: DURATION_OR_NONE = "none",
            "the absolute_timeout of sessions that are remembered; none: the same",
            |builder, age| builder.remembered_absolute_timeout = age;
        touch_interval: DURATION_OR_AUTO = "auto",
            "how often at most an access is noted; auto: a tenth of timeout or lifetime, at most 60s",
            |builder, interval| builder.touch_interval = interval;
        renew_every: DURATION_OR_NEVER = "never",
            "how old a secret may become before a new one is given out",
            |builder, age| builder.renew_every = age;
        grace: DURATION = "10s",
            "how long a superseded token is told from a stranger's";
        clock_skew: DURATION = "30s",
            "how far the clocks of the nodes may be apart";
        ignore_expiry: SWITCH = "false",
            "whether both time-outs are off";
        ignore_change_ip: SWITCH = "true",
            "whether a session works from every client address";
        ip_prefix: IP_PREFIX = "32,128",
            "how much of the address must stay the same, if not";
        trusted_proxies: NETS = "none",
            "the proxies whose X-Forwarded-For and Forwarded are believed";
        trust_unix_socket: SWITCH = "false",
            "whether a proxy that connects over a Unix socket is believed, too";
        secret_key: KEYS = "none",
            "the keys that sign tokens; `openssl rand -base64 32` prints one",
            |builder, keys| builder.secret_key = keys;
        on_expired: ON_EXPIRED = "fresh",
            "what becomes of a request whose session expired";
        expired_message: TEXT = "your session has expired, please sign in again",
            "the body of the 401 that on_expired can ask for";
        max_size: SIZE = "1MiB",
            "how large a session may be";
        store_timeout: DURATION = "2s",
            "how long an operation on the store may take";
        on_load_outage: ON_OUTAGE = "fail",
            "what a request does that cannot load its session";
        on_touch_outage: ON_OUTAGE = "fail",
            "what a request does that cannot extend its session's life";
        on_corrupt: ON_CORRUPT = "fresh",
            "what becomes of a session that cannot be decoded";
        on_gone: ON_GONE = "conflict-if-unsafe",
            "what becomes of changes to a session that ended meanwhile";
        save_on_server_error: SWITCH = "false",
            "whether a response of 500 or above, or of 408, still stores the changes";
        clear_site_data: SWITCH = "false",
            "whether a logout asks the browser to forget the site";
        creation_cap: CAP = "none",
            "how many sessions one client address may begin in a while",
            |builder, cap| builder.creation_cap = cap;
        owner_sessions_max: LIMIT = "none",
            "how many sessions an owner may have, and what the next login does",
            |builder, limit| builder.owner_sessions = limit;
    };

    /// Sets the options among `pairs` whose key begins with `prefix`.
    ///
    /// - A key is the prefix and a name of [`SETTINGS`](Self::SETTINGS), in any case, with `.`,
    ///   `-` and `_` alike: `APP_SESSION_TIMEOUT`, `app.session.timeout`. White space around a
    ///   value is ignored.
    /// - A key without the prefix is somebody else's and ignored. One with it that names no option
    ///   is refused: a misspelled time-out must not go unnoticed. With an empty prefix every key is
    ///   to name an option.
    /// - What has to fit together is checked by [`build`](Self::build), as always. Of two calls the
    ///   later counts.
    ///
    /// # Example
    ///
    /// From the environment:
    ///
    /// ```
    /// use session_core::{Error, SessionConfig};
    ///
    /// fn from_environment() -> Result<SessionConfig, Error> {
    ///     // `std::env::vars` panics where some variable, whoever set it, is no Unicode.
    ///     let variables = std::env::vars_os().map(|(key, value)| {
    ///         [key, value].map(|text| text.to_string_lossy().into_owned()).into()
    ///     });
    ///     SessionConfig::builder().settings::<String, String>("APP_SESSION_", variables)?.build()
    /// }
    /// # from_environment()?;
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// A prefix of the application's own is wise: desktops set `SESSION_MANAGER`, which under the
    /// prefix `SESSION_` is an unknown option.
    ///
    /// From the section of an INI or TOML file, which the application reads, and over it from the
    /// command line:
    ///
    /// ```
    /// use session_core::SessionConfig;
    ///
    /// // [session]
    /// // timeout = 30m
    /// // max-size = 64KiB
    /// let section = [("timeout", "30m"), ("max-size", "64KiB")];
    /// let arguments = [("session.timeout", "15m"), ("listen", "[::1]:8080")];
    /// let config = SessionConfig::builder()
    ///     .settings("", section)?
    ///     .settings("session.", arguments)?
    ///     .build()?;
    ///
    /// let error = SessionConfig::builder().settings("", [("timeout", "soon")]).unwrap_err();
    /// assert_eq!(
    ///     error.to_string(),
    ///     "reading the setting \"timeout\" failed: \"soon\" is not a duration such as 90 (seconds), \
    ///      90s, 15m, 24h, 30d or 250ms",
    /// );
    /// # Ok::<(), session_core::Error>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Invalid`]: a key with the prefix names no option, or one that another key of
    /// `pairs` names, too; a value cannot be read. The message names the key, and shows the value
    /// unless it is a secret.
    pub fn settings<K: AsRef<str>, V: AsRef<str>>(
        mut self,
        prefix: &str,
        pairs: impl IntoIterator<Item = (K, V)>,
    ) -> Result<Self, Error> {
        let prefix = plain(prefix);
        let mut seen = HashSet::new();
        for (key, value) in pairs {
            let (key, value) = (key.as_ref(), value.as_ref().trim());
            let Some(name) = name(key, &prefix) else {
                continue;
            };
            let setting = Self::SETTINGS.iter().find(|setting| setting.name == name);
            let setting = setting.ok_or_else(|| unknown(key))?;
            // Which of two counts would depend on the order, and the environment has none.
            if !seen.insert(setting.name) {
                return Err(failed(key, "another key sets the same option"));
            }
            self =
                (setting.set)(self, value).map_err(|unfit| setting.refused(key, value, unfit))?;
        }
        Ok(self)
    }
}

impl Setting {
    fn refused(&self, key: &str, value: &str, unfit: Unfit) -> Error {
        let expected = self.expected;
        match unfit {
            Unfit::Because(reason) => failed(key, &reason),
            Unfit::Form if self.secret => failed(key, &format!("expected {expected}")),
            Unfit::Form => failed(key, &format!("{value:?} is not {expected}")),
        }
    }
}

/// The option that a key names; `None`: the key does not begin with the prefix.
fn name(key: &str, prefix: &str) -> Option<String> {
    let key = plain(key);
    if prefix.is_empty() {
        return Some(key);
    }
    let name = key.strip_prefix(prefix)?.strip_prefix('_')?;
    Some(name.trim_start_matches('_').to_owned())
}

/// As options are spelled: lower case, `_` between the words and none around them.
fn plain(key: &str) -> String {
    let key = key.trim().to_ascii_lowercase().replace(['.', '-'], "_");
    key.trim_matches('_').to_owned()
}

fn unknown(key: &str) -> Error {
    let names = SessionConfigBuilder::SETTINGS.iter().map(|one| one.name);
    let names = names.collect::<Vec<_>>().join(", ");
    failed(key, &format!("there is no such option, only {names}"))
}

fn failed(key: &str, why: &str) -> Error {
    let message = format!("reading the setting {key:?} failed: {why}");
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
#[path = "settings_tests.rs"]
mod tests;
