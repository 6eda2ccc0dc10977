//! What goes wrong on the way to the server, and what the caller is told.

use redis::{ErrorKind, RedisError};
use session_core::{StoreError, StoreErrorKind};

/// Why an operation stopped.
#[derive(Debug)]
pub(crate) enum Failure {
    Redis(RedisError),
    /// What is stored cannot be read.
    Store(StoreError),
    /// The server answered something that no server does.
    Answer(&'static str),
    TooLarge {
        bytes: usize,
        most: usize,
    },
    Cursor,
    /// Others wrote between every look and the write that followed it.
    Crowded,
}

impl Failure {
    /// Whether nothing can have been written.
    pub(crate) fn is_refusal(&self) -> bool {
        let kind = self.kind();
        kind == StoreErrorKind::Full || kind == StoreErrorKind::TooLarge
    }

    pub(crate) fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Redis(error) => kind_of(error),
            Self::Store(error) => error.kind(),
            Self::TooLarge { .. } => StoreErrorKind::TooLarge,
            Self::Answer(_) | Self::Cursor | Self::Crowded => StoreErrorKind::Unavailable,
        }
    }

    pub(crate) fn into_store_error(self, operation: &'static str) -> StoreError {
        let kind = self.kind();
        let failed = |why: &str| StoreError::new(kind, format!("{operation} failed: {why}"));
        match self {
            Self::Redis(error) => match without_arguments(&error.to_string()) {
                Some(told) => failed(told),
                None => failed(&error.to_string()).caused_by(error),
            },
            Self::Store(error) => failed(&error.to_string()).caused_by(error),
            Self::Answer(what) => failed(&format!(
                "the server's answer to {what} is of no known form"
            )),
            Self::TooLarge { bytes, most } => failed(&format!(
                "the record has {bytes} bytes, this store keeps at most {most}"
            )),
            Self::Cursor => failed("the cursor is not one of this store"),
            Self::Crowded => failed("others kept writing to it"),
        }
    }

    /// A ping has one way to fail: the server is there and does not accept writes, or it is not.
    pub(crate) fn into_unavailable(self, operation: &'static str) -> StoreError {
        let error = self.into_store_error(operation);
        match error.kind() {
            StoreErrorKind::Unavailable => error,
            _ => StoreError::new(StoreErrorKind::Unavailable, error.to_string()).caused_by(error),
        }
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Self {
        Self::Redis(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

fn kind_of(error: &RedisError) -> StoreErrorKind {
    if !matches!(error.kind(), ErrorKind::Server(_) | ErrorKind::Extension) {
        return StoreErrorKind::Unavailable;
    }
    // By their texts: up to version 6 the server puts a script's errors into one of its own.
    let text = error.to_string();
    let says = |what: &str| text.contains(what);
    if says("OOM") && says("maxmemory") {
        StoreErrorKind::Full
    } else if says("WRONGTYPE") {
        StoreErrorKind::Corrupt
    } else if says("invalid bulk length") || says("string exceeds maximum allowed size") {
        StoreErrorKind::TooLarge
    } else {
        StoreErrorKind::Unavailable
    }
}

/// The text up to the arguments that a server repeats when it does not know a command: those of
/// AUTH and HELLO are a password, those of ours a session.
pub(crate) fn without_arguments(text: &str) -> Option<&str> {
    let at = text.find("with args beginning with")?;
    Some(text[..at].trim_end_matches([' ', ',']))
}

#[cfg(test)]
mod tests {
    use super::*;
    use redis::ServerError;
    use std::error::Error;

    /// What the driver makes of a server's error line.
    fn said(line: &str) -> Failure {
        let reply = format!("-{line}\r\n");
        let value = redis::parse_redis_value(reply.as_bytes()).unwrap();
        let redis::Value::ServerError(error) = value else {
            panic!("{value:?} is no error");
        };
        Failure::Redis(<ServerError as Into<RedisError>>::into(error))
    }

    #[test]
    fn every_kind_of_refusal_is_told_apart() {
        use StoreErrorKind::{Corrupt, Full, TooLarge, Unavailable};
        for (line, kind) in [
            (
                "OOM command not allowed when used memory > 'maxmemory'.",
                Full,
            ),
            (
                "ERR Error running script (call to f_0): @user_script:1: @user_script: 1: -OOM command not allowed when used memory > 'maxmemory'.",
                Full,
            ),
            (
                "WRONGTYPE Operation against a key holding the wrong kind of value",
                Corrupt,
            ),
            (
                "ERR Error running script (call to f_0): @user_script:1: WRONGTYPE Operation against a key",
                Corrupt,
            ),
            ("ERR Protocol error: invalid bulk length", TooLarge),
            (
                "ERR string exceeds maximum allowed size (proto-max-bulk-len)",
                TooLarge,
            ),
            (
                "READONLY You can't write against a read only replica.",
                Unavailable,
            ),
            (
                "LOADING Redis is loading the dataset in memory",
                Unavailable,
            ),
            ("CLUSTERDOWN Hash slot not served", Unavailable),
            (
                "TRYAGAIN Multiple keys request during rehashing of slot",
                Unavailable,
            ),
            ("MASTERDOWN Link with MASTER is down", Unavailable),
            ("NOAUTH Authentication required.", Unavailable),
            (
                "WRONGPASS invalid username-password pair or user is disabled.",
                Unavailable,
            ),
            (
                "NOPERM this user has no permissions to run the 'evalsha' command",
                Unavailable,
            ),
            ("NOREPLICAS Not enough good replicas to write.", Unavailable),
            (
                "MISCONF Redis is configured to save RDB snapshots",
                Unavailable,
            ),
            ("BUSY Redis is busy running a script", Unavailable),
        ] {
            let error = said(line).into_store_error("updating the session");
            assert_eq!(error.kind(), kind, "{line}");
            let text = error.to_string();
            assert!(text.starts_with("updating the session failed: "), "{text}");
            assert!(
                error
                    .source()
                    .is_some_and(|source| source.is::<RedisError>())
            );
        }
    }

    #[test]
    fn what_is_not_the_servers_word_is_unavailable() {
        let io = std::io::Error::other("OOM and maxmemory and WRONGTYPE");
        let error = Failure::Redis(io.into()).into_store_error("loading the session");
        assert_eq!(error.kind(), StoreErrorKind::Unavailable);
    }

    #[test]
    fn a_password_that_the_server_repeats_is_not_passed_on() {
        for line in [
            "ERR unknown command `AUTH`, with args beginning with: `hunter2`, ",
            "ERR unknown command 'HELLO', with args beginning with: '3' 'AUTH' 'default' 'hunter2' ",
        ] {
            let error = said(line).into_store_error("asking the server");
            let shown = format!("{error} {error:?} {:?}", error.source());
            assert!(!shown.contains("hunter2"), "{shown}");
            assert!(shown.contains("unknown command"), "{shown}");
        }
    }
}
