//! Opening a store by its URL.

use std::sync::Arc;

use session_core::{Error, ErrorKind, MemoryStore, Store};

/// Opens the store that `url` names.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `memory:` | [`MemoryStore`]: this process's own memory | always there |
/// | `file:DIR` | `fs::FsStore`: one file a session, in a folder that is made when missing | `fs` |
///
/// The path is taken as it is written, relative to the current folder or absolute; nothing in it
/// is percent-decoded. `shelf:`, `redb:`, `sqlite:`, `postgres:`, `mysql:`, `redis:`, `rediss:`,
/// `redis+cluster:` and `redis+sentinel:` are reserved and not available in this version.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), session_kit::Error> {
/// let store = session_kit::connect("memory:").await?;
/// store.ping().await.expect("memory is always there");
/// # Ok(()) }
/// ```
///
/// # Errors
///
/// [`ErrorKind::Invalid`]: no such scheme, a scheme whose feature is off or which this version
/// does not have, a path where none belongs or none where one does. [`ErrorKind::Unavailable`]:
/// the store cannot be opened. No message holds more of `url` than its scheme: there may be a
/// password in it.
pub async fn connect(url: &str) -> Result<Arc<dyn Store>, Error> {
    let (scheme, rest) = url
        .split_once(':')
        .filter(|(scheme, _)| is_scheme(scheme))
        .ok_or_else(|| {
            invalid("a store's URL begins with a scheme, as in `memory:` or `file:DIR`".to_owned())
        })?;
    match scheme.to_ascii_lowercase().as_str() {
        "memory" if rest.is_empty() => Ok(Arc::new(MemoryStore::new())),
        "memory" => Err(invalid("nothing can follow `memory:`".to_owned())),
        "file" => open_file(rest),
        planned if PLANNED.contains(&planned) => Err(invalid(format!(
            "a `{planned}:` store is not available in this version"
        ))),
        "cookie" => Err(invalid(
            "`cookie:` is no store: the session is sealed in the cookie itself".to_owned(),
        )),
        unknown => Err(invalid(format!(
            "there is no store with the scheme `{unknown}:`"
        ))),
    }
}

/// Schemes of stores that are still to come.
const PLANNED: [&str; 9] = [
    "shelf",
    "redb",
    "sqlite",
    "postgres",
    "mysql",
    "redis",
    "rediss",
    "redis+cluster",
    "redis+sentinel",
];

#[cfg(feature = "fs")]
fn open_file(path: &str) -> Result<Arc<dyn Store>, Error> {
    if path.starts_with("//") && !path.starts_with("///") {
        return Err(invalid(
            "`file://` would name a host: write `file:DIR`".to_owned(),
        ));
    }
    Ok(Arc::new(session_fs::FsStore::open(path)?))
}

#[cfg(not(feature = "fs"))]
fn open_file(_: &str) -> Result<Arc<dyn Store>, Error> {
    Err(invalid(
        "a `file:` store needs the feature `fs`, which is off".to_owned(),
    ))
}

/// RFC 3986 section 3.1, so that no part of a password is taken for a scheme and shown.
fn is_scheme(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|byte| byte.is_ascii_alphabetic())
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

fn invalid(message: String) -> Error {
    Error::new(ErrorKind::Invalid, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(url: &str) -> String {
        let error = connect(url)
            .await
            .err()
            .unwrap_or_else(|| panic!("{url} was opened"));
        assert_eq!(error.kind(), ErrorKind::Invalid);
        error.to_string()
    }

    #[tokio::test]
    async fn what_cannot_be_opened_is_told_apart() {
        let table = [
            ("", "begins with a scheme"),
            ("./data", "begins with a scheme"),
            ("memory:all", "nothing can follow"),
            ("mongodb://db", "no store with the scheme `mongodb:`"),
            (
                "REDIS://db",
                "`redis:` store is not available in this version",
            ),
            ("redis+sentinel://a,b", "not available in this version"),
            ("cookie:", "sealed in the cookie"),
        ];
        for (url, part) in table {
            let message = refused(url).await;
            assert!(message.contains(part), "{url} was refused with: {message}");
        }
    }

    #[tokio::test]
    async fn no_password_shows_in_an_error() {
        for url in [
            "postgres://ada:hunter2@db/app",
            "postgress://ada:hunter2@db/app",
            "hunter2@db/app",
            "//ada:hunter2@db",
            "memory://ada:hunter2@",
            "file://ada:hunter2@db",
        ] {
            let error = connect(url)
                .await
                .expect_err("nothing of this can be opened");
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("hunter2"), "{shown}");
        }
    }
}
