//! Opening a store by its URL.

use std::sync::Arc;

use session_core::{Error, ErrorKind, MemoryStore, Store};

/// Opens a store if all `features` are on, and names those that are off.
macro_rules! opened {
    ($scheme:ident, $place:ident, [$($feature:literal),+], $open:expr) => {{
        #[cfg(all($(feature = $feature),+))]
        {
            Ok(Arc::new($open))
        }
        #[cfg(not(all($(feature = $feature),+)))]
        {
            let _ = $place;
            let off = [$(($feature, cfg!(feature = $feature))),+];
            Err(features_off(&$scheme, &off))
        }
    }};
}

/// Opens the store that `url` names.
///
/// | URL | store | feature |
/// |---|---|---|
/// | `memory:` | [`MemoryStore`]: this process's own memory | always there |
/// | `file:DIR` | `fs::FsStore`: one file a session, in a folder | `fs` |
/// | `shelf:DIR` | `shelf::ShelfStore`: a sled database in a folder | `shelf` |
/// | `redb:FILE` | `shelf::ShelfStore`: a redb database in a file | `redb` |
/// | `sqlite:FILE` | `sql::SqlStore`: a table of a SQLite database | `sqlite` |
/// | `postgres://USER:PASSWORD@HOST/DATABASE` | `sql::SqlStore`: a table of PostgreSQL | `postgres` |
/// | `mysql://USER:PASSWORD@HOST/DATABASE` | `sql::SqlStore`: a table of MySQL or MariaDB | `mysql` |
/// | `redis://HOST`, `rediss://HOST` | `redis::RedisStore`: one Redis or Valkey server | `redis` |
/// | `redis+cluster://HOST,HOST` | `redis::RedisStore`: a Cluster | `redis-cluster` |
/// | `redis+sentinel://HOST,HOST/NAME` | `redis::RedisStore`: the primary that Sentinels name | `redis` |
/// | `redis+unix:///SOCKET` | `redis::RedisStore`: a server on this machine | `redis` |
///
/// `rediss:`, `rediss+cluster:` and `rediss+sentinel:` are the same over TLS (feature `tls`);
/// `postgresql:` and `mariadb:` are other names of `postgres:` and `mysql:`.
/// The paths of `file:`, `shelf:`, `redb:` and `sqlite:` are taken as they are written, relative
/// to the current folder or absolute; nothing in them is percent-decoded. Folders, files and
/// tables are made when they are missing. A `file:` store opens its folder when it is first used,
/// so [`Store::ping`] tells whether it can; all others are opened here.
///
/// What else a URL can say is in the documentation of each store's crate; to a Redis server it says
/// the configuration's `clock_skew`, in seconds, if that is above the default:
/// `redis://HOST?clock_skew=60`.
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
/// [`ErrorKind::Invalid`]: no such scheme, a scheme whose feature is off, a path where none
/// belongs or none where one does, a user or password that is refused.
/// [`ErrorKind::Unavailable`]: the store cannot be opened or reached; never of `file:`. No message
/// holds more of `url` than its scheme and path: there may be a password in it.
pub async fn connect(url: &str) -> Result<Arc<dyn Store>, Error> {
    let (scheme, rest) = url
        .split_once(':')
        .filter(|(scheme, _)| is_scheme(scheme))
        .ok_or_else(|| {
            invalid("a store's URL begins with a scheme, as in `memory:` or `file:DIR`".to_owned())
        })?;
    let scheme = scheme.to_ascii_lowercase();
    match scheme.as_str() {
        "memory" if rest.is_empty() => Ok(Arc::new(MemoryStore::new())),
        "memory" => Err(invalid("nothing can follow `memory:`".to_owned())),
        "file" => {
            let dir = path(&scheme, rest)?;
            opened!(scheme, dir, ["fs"], session_fs::FsStore::open(dir)?)
        }
        "shelf" => {
            let dir = path(&scheme, rest)?.to_owned();
            opened!(scheme, dir, ["shelf"], {
                blocking(move || session_shelf::ShelfStore::sled(dir)).await?
            })
        }
        "redb" => {
            let file = path(&scheme, rest)?.to_owned();
            opened!(scheme, file, ["redb"], {
                blocking(move || session_shelf::ShelfStore::redb(file)).await?
            })
        }
        "sqlite" => {
            let url = format!("{scheme}:{}", path(&scheme, rest)?);
            opened!(scheme, url, ["sqlite"], table(&url).await?)
        }
        "postgres" | "postgresql" => {
            let url = format!("{scheme}:{rest}");
            opened!(scheme, url, ["postgres"], table(&url).await?)
        }
        "mysql" | "mariadb" => {
            let url = format!("mysql:{rest}");
            opened!(scheme, url, ["mysql"], table(&url).await?)
        }
        "redis" | "redis+unix" | "redis+sentinel" => {
            let url = format!("{scheme}:{rest}");
            opened!(scheme, url, ["redis"], redis(&url).await?)
        }
        "rediss" | "rediss+sentinel" => {
            let url = format!("{scheme}:{rest}");
            opened!(scheme, url, ["redis", "tls"], redis(&url).await?)
        }
        "redis+cluster" => {
            let url = format!("{scheme}:{rest}");
            opened!(scheme, url, ["redis-cluster"], redis(&url).await?)
        }
        "rediss+cluster" => {
            let url = format!("{scheme}:{rest}");
            opened!(scheme, url, ["redis-cluster", "tls"], redis(&url).await?)
        }
        "cookie" => Err(invalid(
            "`cookie:` is no store: see `SessionManager::sealed` for sessions sealed in the cookie"
                .to_owned(),
        )),
        unknown => Err(invalid(format!(
            "there is no store with the scheme `{unknown}:`; the known ones are {}",
            SCHEMES.map(|known| format!("`{known}:`")).join(", ")
        ))),
    }
}

/// Without those that are another name of one.
const SCHEMES: [&str; 14] = [
    "memory",
    "file",
    "shelf",
    "redb",
    "sqlite",
    "postgres",
    "mysql",
    "redis",
    "rediss",
    "redis+unix",
    "redis+sentinel",
    "rediss+sentinel",
    "redis+cluster",
    "rediss+cluster",
];

/// The path after a scheme that has no host.
fn path<'a>(scheme: &str, rest: &'a str) -> Result<&'a str, Error> {
    if rest.is_empty() {
        return Err(invalid(format!("a path must follow `{scheme}:`")));
    }
    if rest.starts_with("//") && !rest.starts_with("///") {
        return Err(invalid(format!(
            "`{scheme}://` would name a host: write `{scheme}:` and the path"
        )));
    }
    Ok(rest)
}

/// Opening an embedded database may replay its log.
#[cfg(any(feature = "shelf", feature = "redb"))]
async fn blocking<T: Send + 'static>(
    open: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    let opened = tokio::task::spawn_blocking(open).await;
    opened.map_err(|source| {
        Error::new(ErrorKind::Unavailable, "opening the store failed").caused_by(source)
    })?
}

#[cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]
async fn table(url: &str) -> Result<session_sql::SqlStore, Error> {
    let store = session_sql::SqlStore::connect(url).await?;
    store.migrate().await?;
    Ok(store)
}

#[cfg(feature = "redis")]
async fn redis(url: &str) -> Result<session_redis::RedisStore, Error> {
    session_redis::RedisStore::connect(url).await
}

/// `features`: each with whether it is on.
#[cfg_attr(
    all(
        not(test),
        feature = "fs",
        feature = "shelf",
        feature = "redb",
        feature = "sqlite",
        feature = "postgres",
        feature = "mysql",
        feature = "redis-cluster",
        feature = "tls"
    ),
    expect(dead_code, reason = "everything is on")
)]
fn features_off(scheme: &str, features: &[(&str, bool)]) -> Error {
    let off = features.iter().filter(|(_, on)| !on);
    let names: Vec<_> = off.map(|(name, _)| format!("`{name}`")).collect();
    let (noun, verb) = match names.len() {
        1 => ("feature", "is"),
        _ => ("features", "are"),
    };
    let names = names.join(" and ");
    invalid(format!(
        "a `{scheme}:` store needs the {noun} {names} of session-kit, which {verb} off"
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
            (
                "mongodb://db",
                "no store with the scheme `mongodb:`; the known ones are `memory:`, `file:`, ",
            ),
            ("cookie:", "sealed in the cookie"),
            ("file:", "a path must follow `file:`"),
            ("shelf://db", "`shelf://` would name a host"),
            ("sqlite:", "a path must follow `sqlite:`"),
        ];
        for (url, part) in table {
            let message = refused(url).await;
            assert!(message.contains(part), "{url} was refused with: {message}");
        }
    }

    #[tokio::test]
    async fn every_scheme_that_a_refusal_names_is_known() {
        for scheme in SCHEMES {
            let opened = connect(&format!("{scheme}://[")).await;
            let message = opened.expect_err("this is no URL").to_string();
            assert!(!message.contains("no store with"), "{scheme}: {message}");
        }
    }

    #[tokio::test]
    async fn a_scheme_whose_feature_is_off_names_it() {
        let table = [
            ("file:x", "`fs`", cfg!(feature = "fs")),
            ("shelf:x", "`shelf`", cfg!(feature = "shelf")),
            ("redb:x", "`redb`", cfg!(feature = "redb")),
            ("sqlite:x", "`sqlite`", cfg!(feature = "sqlite")),
            ("postgres://x", "`postgres`", cfg!(feature = "postgres")),
            ("mysql://x", "`mysql`", cfg!(feature = "mysql")),
            ("REDIS://x", "`redis`", cfg!(feature = "redis")),
            ("rediss://x", "`tls`", cfg!(feature = "tls")),
            ("redis+sentinel://x/s", "`redis`", cfg!(feature = "redis")),
            (
                "redis+cluster://x",
                "`redis-cluster`",
                cfg!(feature = "redis-cluster"),
            ),
        ];
        for (url, feature, on) in table {
            if !on {
                let message = refused(url).await;
                assert!(
                    message.contains(feature),
                    "{url} was refused with: {message}"
                );
            }
        }
        let both = features_off("x", &[("a", false), ("b", true), ("c", false)]).to_string();
        assert!(
            both.contains("the features `a` and `c` of session-kit, which are off"),
            "{both}"
        );
    }

    #[tokio::test]
    async fn no_password_shows_in_an_error() {
        for url in [
            "postgres://ada:hunter2@127.0.0.1:1/app",
            "postgres://ada:hunter2@[::/app?sslmode=hunter2",
            "mysql://ada:hunter2@127.0.0.1:1/app",
            "redis://ada:hunter2@127.0.0.1:1/hunter2",
            "redis://ada:hunter2@127.0.0.1:1",
            "redis+sentinel://ada:hunter2@127.0.0.1:1",
            "rediss+cluster://ada:hunter2@127.0.0.1:1",
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
