//! From options to an application that is ready to serve.

use std::sync::Arc;
use std::time::Duration;

use session_kit::http::{IpNet, Transport};
use session_kit::{OnExpired, SessionConfig, SessionManager, Store, connect};

use crate::app::{self, App};
use crate::options::{self, Framework, Options, Stop};
use crate::secret_key;

/// How often expired sessions are removed.
pub const SWEEP_EVERY: Duration = Duration::from_secs(60);

/// The header that carries the token with `--transport header`.
const TOKEN_HEADER: &str = "x-session-id";

/// Opens the store, makes sure that it answers, and puts the application together.
///
/// # Errors
///
/// [`Stop::Refused`]: whatever of `options` cannot be had.
pub async fn app(options: &Options) -> Result<App, Stop> {
    if !is_built_in(options.framework) {
        return Err(refused(format!(
            "--framework {0} is not in this build: turn on the feature `{0}`",
            options.framework
        )));
    }
    let config = config(options)?;
    let in_cookie = options.kept_in_cookie();
    let sessions = match in_cookie {
        Some(revocations) => sealed(options, config, revocations).await?,
        None => SessionManager::new(open(&options.store).await?, config),
    };
    sessions
        .ping()
        .await
        .map_err(|error| refused(format!("--store: {error}")))?;
    let guard = app::guard().map_err(|error| refused(error.to_string()))?;
    Ok(App {
        sessions,
        guard,
        store: options.store_name().to_owned(),
        ends_unlisted: in_cookie.is_some_and(|revocations| !revocations.is_empty()),
        framework: options.framework.to_string(),
    })
}

async fn open(url: &str) -> Result<Arc<dyn Store>, Stop> {
    let store = connect(url).await;
    store.map_err(|error| refused(format!("--store: {error}")))
}

/// Sessions that their clients keep; those that ended are kept at the URL `revocations`, if there
/// is one.
#[cfg(feature = "sealed")]
async fn sealed(
    options: &Options,
    config: SessionConfig,
    revocations: &str,
) -> Result<SessionManager, Stop> {
    if options.secret_key_file.is_none() {
        return Err(refused(
            "--store cookie: needs --secret-key-file FILE, which is made when it is missing",
        ));
    }
    let sessions = match revocations {
        "" => SessionManager::sealed(config),
        url => SessionManager::sealed_with_revocations(config, open(url).await?),
    };
    sessions.map_err(|error| refused(format!("--store: {error}")))
}

#[cfg(not(feature = "sealed"))]
async fn sealed(_: &Options, _: SessionConfig, _: &str) -> Result<SessionManager, Stop> {
    Err(refused(
        "--store: `cookie:` needs the feature `sealed`, which is off",
    ))
}

/// Whether the framework's feature is on.
fn is_built_in(framework: Framework) -> bool {
    match framework {
        Framework::Axum => cfg!(feature = "axum"),
        Framework::Actix => cfg!(feature = "actix"),
    }
}

fn config(options: &Options) -> Result<SessionConfig, Stop> {
    // Whichever comes first ends a session, so an idle time-out beyond the absolute one is the
    // same as one of its length.
    let timeout = options
        .absolute_timeout
        .map_or(options.timeout, |age| options.timeout.min(age));
    let mut config = SessionConfig::builder()
        .timeout(timeout)
        .store_timeout(options.store_timeout)
        .ignore_expiry(options.ignore_expiry)
        .ignore_change_ip(options.ignore_change_ip)
        .trusted_proxies(trusted_proxies(options)?)
        .secure(options.secure())
        .cookie_name(options.cookie_name());
    if let Some(age) = options.absolute_timeout.filter(|_| !options.ignore_expiry) {
        config = config.absolute_timeout(age);
    }
    if let Some(path) = &options.secret_key_file {
        let keys = secret_key::load(path)
            .map_err(|error| refused(format!("--secret-key-file: {error}")))?;
        config = config.secret_key(keys);
    }
    if options.transport == options::Transport::Header {
        config = config.transport(Transport::Header(TOKEN_HEADER.to_owned()));
    }
    if let Some(message) = &options.expired_message {
        config = config
            .on_expired(OnExpired::Unauthorized)
            .expired_message(message.as_str());
    }
    config.build().map_err(|error| refused(error.to_string()))
}

fn trusted_proxies(options: &Options) -> Result<Vec<IpNet>, Stop> {
    let parse = |text: &String| {
        text.parse::<IpNet>()
            .map_err(|error| refused(format!("--trust-proxy {text:?}: {error}")))
    };
    options.trusted_proxies.iter().map(parse).collect()
}

/// A refusal in one line, whatever the message holds.
fn refused(message: impl Into<String>) -> Stop {
    let message = message.into();
    Stop::Refused(message.split_whitespace().collect::<Vec<_>>().join(" "))
}
