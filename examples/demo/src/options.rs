//! The command line: what can be chosen, and one line for what cannot.
//!
//! Values are checked here as far as their form goes. Whether a store can be opened, a network is
//! a network, or a cookie name is legal, its owner in the session library says.

use std::ffi::OsString;
use std::fmt;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{ArgAction, Parser, ValueEnum};

/// A small web app that shows sessions at work.
// No `Debug`: a store URL may carry a password.
#[derive(Parser)]
#[command(name = "session-demo", version)]
pub struct Options {
    /// Where sessions are kept: `memory:`, `file:DIR`, `shelf:DIR`, `redb:FILE`, `sqlite:FILE`,
    /// `postgres://…`, `mysql://…`, `redis://…`, `rediss://…`, `redis+cluster://HOST,HOST,…`,
    /// `redis+sentinel://…`, or `cookie:` for sessions sealed in the cookie itself; of these,
    /// `cookie:URL` remembers in the store at URL which have ended
    #[arg(long, value_name = "URL", default_value = "file:./session-demo-data")]
    pub store: String,

    /// The web framework that answers
    #[arg(long, value_enum, default_value_t = Framework::Axum)]
    pub framework: Framework,

    /// The address to listen on; port 0 picks a free one
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:8080")]
    pub bind: SocketAddr,

    /// How long a session lasts without a request
    #[arg(long, value_name = "SECS", default_value = "86400", value_parser = seconds)]
    pub timeout: Duration,

    /// How long a session lasts at all, from its creation or its last login [default: no limit]
    #[arg(long, value_name = "SECS", value_parser = seconds)]
    pub absolute_timeout: Option<Duration>,

    /// How long the store may take to answer, with queueing and retries
    #[arg(long, value_name = "SECS", default_value = "2", value_parser = seconds)]
    pub store_timeout: Duration,

    /// Keep sessions for ever, whatever the time-outs say
    #[arg(long)]
    pub ignore_expiry: bool,

    /// Whether a session goes on working from another address
    #[arg(
        long,
        value_name = "BOOL",
        default_value_t = true,
        action = ArgAction::Set,
    )]
    pub ignore_change_ip: bool,

    /// A network whose word on the client's address is taken, such as 10.0.0.0/8; may be repeated
    #[arg(long = "trust-proxy", value_name = "CIDR")]
    pub trusted_proxies: Vec<String>,

    /// A file with the secret key in base64, made when missing; `cookie:` needs it
    #[arg(long, value_name = "FILE")]
    pub secret_key_file: Option<PathBuf>,

    /// The cookie's name [default: __Host-sid, or sid where the cookie is not Secure]
    #[arg(long, value_name = "NAME")]
    cookie_name: Option<String>,

    /// How the token travels
    #[arg(long, value_enum, default_value_t = Transport::Cookie)]
    pub transport: Transport,

    /// Answer an expired session with 401 and this text [default: start a fresh session]
    #[arg(long, value_name = "TEXT")]
    pub expired_message: Option<String>,
}

impl Options {
    /// Reads the command line `args`, of which the first is the program's own name.
    ///
    /// # Errors
    ///
    /// [`Stop::Asked`] for `--help` and `--version`, [`Stop::Refused`] for what is not understood.
    pub fn from_args<A>(args: impl IntoIterator<Item = A>) -> Result<Self, Stop>
    where
        A: Into<OsString> + Clone,
    {
        Self::try_parse_from(args).map_err(|error| {
            let text = error.render().to_string();
            match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Stop::Asked(text),
                _ => Stop::Refused(one_line(&text)),
            }
        })
    }

    /// The store's kind alone: the rest of its URL may hold a password.
    pub fn store_name(&self) -> &str {
        self.store
            .split_once(':')
            .map_or(self.store.as_str(), |(scheme, _)| scheme)
    }

    /// What follows `cookie:`, if the sessions are sealed in their cookies: the URL of a store, or
    /// nothing.
    pub fn kept_in_cookie(&self) -> Option<&str> {
        let (scheme, rest) = self.store.split_once(':')?;
        scheme.eq_ignore_ascii_case("cookie").then_some(rest)
    }

    /// Whether cookies are `Secure`. The demo itself speaks plain HTTP, so on a loopback address
    /// nobody else can have added TLS; on any other, a proxy in front is expected to.
    pub fn secure(&self) -> bool {
        !self.bind.ip().to_canonical().is_loopback()
    }

    /// The cookie's name; unless one was chosen, it has the `__Host-` prefix where cookies are
    /// [`secure`](Self::secure), as browsers drop such a cookie elsewhere.
    pub fn cookie_name(&self) -> &str {
        match &self.cookie_name {
            Some(name) => name,
            None if self.secure() => "__Host-sid",
            None => "sid",
        }
    }
}

/// The web framework that answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Framework {
    /// axum, on hyper.
    Axum,
    /// actix-web.
    Actix,
}

impl fmt::Display for Framework {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Axum => "axum",
            Self::Actix => "actix",
        })
    }
}

/// How the token travels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Transport {
    /// In a cookie.
    Cookie,
    /// In the `X-Session-Id` header, both ways, for clients without cookies.
    Header,
}

/// Why there are no [`Options`] to go on with.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// The user asked for this text, for stdout; nothing is wrong.
    Asked(String),
    /// What was wrong, in one line, for stderr; the exit code is [`Stop::REFUSED`].
    Refused(String),
}

impl Stop {
    /// The exit code of a program that cannot do what its command line says.
    pub const REFUSED: u8 = 2;
}

/// Reads a duration of at least one whole second.
fn seconds(text: &str) -> Result<Duration, String> {
    // 32 bits reach 136 years, and no sum of such a duration and a date overflows.
    match text.parse::<u32>() {
        Ok(seconds @ 1..) => Ok(Duration::from_secs(seconds.into())),
        _ => Err(format!("expected whole seconds from 1 to {}", u32::MAX)),
    }
}

/// The first paragraph of clap's report in one line; the rest is usage and advice.
fn one_line(report: &str) -> String {
    report
        .trim_start_matches("error: ")
        .lines()
        .take_while(|line| !line.is_empty())
        .flat_map(str::split_whitespace)
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(args: &[&str]) -> Result<Options, Stop> {
        Options::from_args([&["session-demo"], args].concat())
    }

    fn options(args: &[&str]) -> Options {
        parse(args).unwrap_or_else(|stop| panic!("{args:?} is legal: {stop:?}"))
    }

    #[test]
    fn without_flags_the_defaults_hold() {
        let options = options(&[]);
        assert_eq!(options.store, "file:./session-demo-data");
        assert_eq!(options.framework, Framework::Axum);
        assert_eq!(options.bind.to_string(), "127.0.0.1:8080");
        assert_eq!(options.timeout, Duration::from_secs(24 * 60 * 60));
        assert_eq!(options.absolute_timeout, None);
        assert_eq!(options.store_timeout, Duration::from_secs(2));
        assert!(!options.ignore_expiry);
        assert!(options.ignore_change_ip);
        assert!(options.trusted_proxies.is_empty());
        assert_eq!(options.secret_key_file, None);
        assert_eq!(options.transport, Transport::Cookie);
        assert_eq!(options.expired_message, None);
    }

    #[test]
    fn every_flag_is_read() {
        let options = options(&[
            "--store=redis://127.0.0.1/3",
            "--framework=actix",
            "--bind=[::1]:0",
            "--timeout=60",
            "--absolute-timeout=3600",
            "--store-timeout=5",
            "--ignore-expiry",
            "--ignore-change-ip=false",
            "--trust-proxy=10.0.0.0/8",
            "--trust-proxy=fd00::/8",
            "--secret-key-file=/run/key",
            "--cookie-name=demo",
            "--transport=header",
            "--expired-message=Session expired, sign in again.",
        ]);
        assert_eq!(options.store, "redis://127.0.0.1/3");
        assert_eq!(options.framework, Framework::Actix);
        assert_eq!(options.bind.to_string(), "[::1]:0");
        assert_eq!(options.timeout, Duration::from_secs(60));
        assert_eq!(options.absolute_timeout, Some(Duration::from_secs(3600)));
        assert_eq!(options.store_timeout, Duration::from_secs(5));
        assert!(options.ignore_expiry);
        assert!(!options.ignore_change_ip);
        assert_eq!(options.trusted_proxies, ["10.0.0.0/8", "fd00::/8"]);
        assert_eq!(options.secret_key_file, Some("/run/key".into()));
        assert_eq!(options.cookie_name(), "demo");
        assert_eq!(options.transport, Transport::Header);
        assert_eq!(
            options.expired_message.as_deref(),
            Some("Session expired, sign in again.")
        );
    }

    #[test]
    fn the_cookie_has_the_host_prefix_where_it_is_secure() {
        let table = [
            ("127.0.0.1:80", false, "sid"),
            ("[::1]:80", false, "sid"),
            ("[::ffff:127.0.0.1]:80", false, "sid"),
            ("0.0.0.0:80", true, "__Host-sid"),
            ("192.0.2.7:80", true, "__Host-sid"),
        ];
        for (bind, secure, name) in table {
            let options = options(&["--bind", bind]);
            assert_eq!((options.secure(), options.cookie_name()), (secure, name));
        }
    }

    #[test]
    fn a_bad_flag_is_refused_in_one_line_that_names_it() {
        let table: [(&[&str], &str); 9] = [
            (&["--framework", "rocket"], "[possible values: axum, actix]"),
            (&["--bind", "nowhere"], "--bind"),
            (&["--timeout", "0"], "whole seconds"),
            (&["--timeout", "1.5"], "whole seconds"),
            (&["--absolute-timeout", "-3"], "-3"),
            (&["--ignore-change-ip", "maybe"], "--ignore-change-ip"),
            (&["--transport", "pigeon\n\npost"], "pigeon"),
            (&["--sotre", "memory:"], "--sotre"),
            (&["memory:"], "memory:"),
        ];
        for (args, part) in table {
            let Err(Stop::Refused(line)) = parse(args) else {
                panic!("{args:?} is not legal");
            };
            assert_eq!(line.lines().count(), 1, "{line}");
            assert!(!line.starts_with("error"), "{line}");
            assert!(line.contains(part), "{args:?} was refused with: {line}");
        }
    }

    #[test]
    fn help_shows_the_defaults() {
        let Err(Stop::Asked(help)) = parse(&["--help"]) else {
            panic!("help was asked for");
        };
        for part in [
            "[default: file:./session-demo-data]",
            "[default: axum]",
            "[default: 127.0.0.1:8080]",
            "[default: 86400]",
            "[default: no limit]",
            "[default: true]",
            "[default: __Host-sid, or sid where the cookie is not Secure]",
            "[default: cookie]",
            "[default: start a fresh session]",
        ] {
            assert!(help.contains(part), "{part} is missing in:\n{help}");
        }
    }

    #[test]
    fn a_store_may_follow_the_cookie() {
        let table = [
            ("cookie:", Some("")),
            ("Cookie:redis://db/3", Some("redis://db/3")),
            ("cookie", None),
            ("file:cookie:", None),
        ];
        for (url, rest) in table {
            assert_eq!(options(&["--store", url]).kept_in_cookie(), rest, "{url}");
        }
    }

    #[test]
    fn the_name_of_a_store_carries_no_password() {
        let table = [
            ("cookie:postgres://ada:hunter2@db/app", "cookie"),
            ("postgres://ada:hunter2@db/app", "postgres"),
            ("memory:", "memory"),
            ("redis+cluster://a,b", "redis+cluster"),
            ("nothing", "nothing"),
        ];
        for (url, name) in table {
            assert_eq!(options(&["--store", url]).store_name(), name);
        }
    }
}
