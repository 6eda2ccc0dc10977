//! Why a command has no answer, and what that says about whether it was carried out.

use std::io;

use redis::{ErrorKind, RedisError, ServerErrorKind};

/// The distinction that decides whether a command may be sent again.
#[derive(Debug)]
pub(crate) enum Fault {
    /// It never left: there was no connection and none could be made.
    Unsent(RedisError),
    /// The server answered with an error instead of carrying it out.
    Refused(RedisError),
    /// It was sent, or may have been, and no answer came.
    Unanswered(RedisError),
}

impl Fault {
    /// What a command that was sent on a connection ended with.
    pub(crate) fn of_sent(error: RedisError) -> Self {
        match error.kind() {
            ErrorKind::Server(_) | ErrorKind::Extension => Self::Refused(error),
            _ => Self::Unanswered(error),
        }
    }
}

impl From<Fault> for RedisError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Unsent(error) | Fault::Refused(error) | Fault::Unanswered(error) => error,
        }
    }
}

/// Whether the server is a replica: a primary that was demoted, while we were connected to it.
///
/// Under `replica-serve-stale-data no` it does not say `READONLY` while it has no link to its
/// primary. Redis 6 reports what a script met as an error of the script.
pub(crate) fn is_of_replica(error: &RedisError) -> bool {
    matches!(
        error.kind(),
        ErrorKind::Server(ServerErrorKind::ReadOnly | ServerErrorKind::MasterDown)
    ) || is_of_script(error, "-READONLY ")
}

/// Whether the server takes the cluster to be down; the command was not carried out.
///
/// Under `cluster-allow-reads-when-down yes` scripts begin, and end before their first write.
#[cfg(feature = "cluster")]
pub(crate) fn is_cluster_down(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ClusterDown)
        || is_of_script(error, "while the cluster is down")
}

fn is_of_script(error: &RedisError, what: &str) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError)
        && error.detail().is_some_and(|detail| detail.contains(what))
}

pub(crate) fn is_unknown_script(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// The error of an attempt to connect, without what the server said in it: a server that does
/// not know `HELLO` repeats the password it was sent.
pub(crate) fn without_secrets(error: RedisError) -> RedisError {
    match error.kind() {
        ErrorKind::Io => error,
        kind @ ErrorKind::RESP3NotSupported => (
            kind,
            "the server does not know HELLO: Redis 6 or later is needed",
        )
            .into(),
        _ if is_refused_login(&error) => (
            ErrorKind::AuthenticationFailed,
            "the server refused the user or the password",
        )
            .into(),
        kind => match error.code().filter(|code| is_code(code)) {
            Some(code) => (kind, "the server refused the connection", code.to_owned()).into(),
            None => (kind, "the connection could not be set up").into(),
        },
    }
}

/// Whether the server demands a login, or refused the one it got.
pub(crate) fn is_refused_login(error: &RedisError) -> bool {
    error.kind() == ErrorKind::AuthenticationFailed
        || matches!(error.code(), Some("WRONGPASS" | "NOAUTH"))
}

pub(crate) fn timed_out(what: &'static str) -> RedisError {
    io::Error::new(io::ErrorKind::TimedOut, what).into()
}

fn is_code(code: &str) -> bool {
    code.len() <= 32 && code.bytes().all(|byte| byte.is_ascii_uppercase())
}
