//! Sessions in a table of a SQL database: SQLite, PostgreSQL, MySQL or MariaDB, each with a
//! feature of its own.
//!
//! Rules:
//!
//! - Each operation is one statement, built once per store. An update carries its condition,
//!   `WHERE session_id = … AND version = …`, so of writers that share a session, in any
//!   processes, each sees the version of the one before it. Only a statement that met no row is
//!   followed by a second one, to tell a conflict from a session that is gone.
//! - Nothing but `create` inserts: a late save never brings back a session that was deleted.
//! - A write is made again only if the database says that it was not carried out (a deadlock's
//!   victim); reading, touching and deleting also if the connection broke. A write whose answer
//!   was lost is [`Unavailable`](session_core::StoreErrorKind::Unavailable), and its caller looks.
//! - Ids and owners are compared byte for byte in every database, letter case and spaces at the
//!   end included.
//! - The table's name is checked and quoted; every value is a parameter.
//! - No password is in any error, log or `Debug`.
//!
//! Caveat: behind a replica that lags, or a proxy that reads from one, a session may be back at
//! an earlier version; sessions belong on the primary. SQLite's file belongs on a local disk.
//!
//! ```
//! use session_core::{Clock, Created, Expiry, Record, Store, Token};
//! use session_sql::SqlStore;
//! use std::time::Duration;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let dir = tempfile::tempdir()?;
//! # let path = dir.path().join("sessions.db");
//! # let path = path.display();
//! let store = SqlStore::connect(&format!("sqlite:{path}")).await?;
//! store.migrate().await?;
//! let token = Token::random()?;
//! let expiry = Expiry::new(Some(Duration::from_secs(3600)), None);
//! let record = Record::new(token.digest(), Clock::system().now(), expiry)?;
//! assert_eq!(store.create(&token.id(), &record).await?, Created::Done);
//! assert_eq!(store.load(&token.id()).await?, Some(record));
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//!
//! | feature | brings | |
//! |---|---|---|
//! | `sqlite` (default) | SQLite 3, built in | |
//! | `postgres` | PostgreSQL 12 and later | |
//! | `mysql` | MariaDB 10.6 and MySQL 8.0, and later | `FOR UPDATE SKIP LOCKED` is needed; the tests run on MariaDB, MySQL is supported by its manual alone |
//! | `tls` | TLS for the latter two, by rustls with ring, if the URL asks for it: see below | certificates of webpki-roots |
//!
//! # TLS
//!
//! What sqlx does for a URL is left as it is, and its default is safe on a network of one's own alone:
//! without a mode, connections go on in plain text where the server offers no TLS or the feature `tls`
//! is off, and no certificate is checked. So a URL says how it is to be:
//!
//! | | PostgreSQL: `?sslmode=` | MySQL, MariaDB: `?ssl-mode=` |
//! |---|---|---|
//! | plain text where there is no TLS, no certificate checked | `prefer`, the default | `PREFERRED`, the default |
//! | TLS, and no certificate checked, not even against an authority that is named | `require` | `REQUIRED` |
//! | TLS, and a certificate that a known authority signed, for whatever name | `verify-ca` | `VERIFY_CA` |
//! | **TLS, and a certificate of the server's name** | `verify-full` | `VERIFY_IDENTITY` |
//!
//! All but the first are an error without the feature. An authority of one's own is a PEM file,
//! `sslrootcert=FILE` or, for MySQL and MariaDB, `ssl-ca=FILE`; it is trusted beside the others.
//!
//! ```text
//! postgres://shop@db.internal/shop?sslmode=verify-full&sslrootcert=/etc/shop/ca.pem
//! mysql://shop@db.internal/shop?ssl-mode=VERIFY_IDENTITY&ssl-ca=/etc/shop/ca.pem
//! ```
//!
//! # The table
//!
//! [`SqlStore::migrate`] makes it; [`SqlStore::schema`] is its text.
//!
//! | column | value |
//! |---|---|
//! | `session_id` | primary key: the 22 characters of the id, as logs show it |
//! | `atime` | when it was last accessed; moved by a touch |
//! | `expires` | when it expires, as `atime`, `timeout` and `ends` say; null: never |
//! | `timeout` | allowed inactivity in milliseconds; null: unlimited |
//! | `ends` | when it ends however busy it is; null: never |
//! | `format` | 1; rows of a larger one are kept and not read |
//! | `generation` | counts the secrets given out by `renew` and `login` |
//! | `version` | changes with every write |
//! | `owner` | the application's user, bound by `login`; null: none. `VARBINARY` on MySQL |
//! | `meta` | a JSON object: the other fields, as `session_core` documents a record |
//! | `data` | a JSON object: the application's values |
//!
//! Times are integer milliseconds since 1970, UTC. There are indexes of `expires` for the sweep
//! and of `owner` for the list of an owner's sessions, on SQLite and PostgreSQL only of rows that
//! have one. A row takes about a kilobyte without its data.
//!
//! Three columns are those of web.py's `DBStore`, and its query finds a session, as does any other
//! program:
//!
//! ```sql
//! SELECT session_id, atime, data FROM sessions WHERE session_id = 'Wgyd9pX0i1qq3gR9OxKE9g';
//! SELECT session_id FROM sessions WHERE data ->> '$.count' = 2;               -- SQLite
//! SELECT session_id FROM sessions WHERE data::json ->> 'count' = '2';         -- PostgreSQL
//! SELECT session_id FROM sessions WHERE JSON_VALUE(data, '$.count') = 2;      -- MySQL, MariaDB
//! ```
//!
//! Who changes `data` by hand changes `version` too, in the same statement and to any other value
//! of its form: 16 hex digits, `-`, 16 hex digits. Then no request in flight overwrites it. Of
//! `version` and `atime` the columns count and not what `meta` says; `expires`, `timeout`, `ends`,
//! `generation` and `owner` are copies from `meta` that statements go by. A touch therefore
//! succeeds on a row whose columns are whole and whose `meta` is not; it is kept, and reading it
//! is [`Corrupt`](session_core::StoreErrorKind::Corrupt).
//!
//! # Connections
//!
//! [`SqlStore::connect`] opens a pool of its own, [`SqlStore::from_pool`] takes the application's.
//!
//! | | own pool | the application's |
//! |---|---|---|
//! | connections | 10; SQLite one writer and 10 readers | its choice |
//! | whose | the runtime's that opened it, while there may be more; SQLite anybody's | anybody's |
//! | waiting for one | 5 s, and no longer than the caller does | `acquire_timeout` |
//! | opening one | 5 s; of those whose callers have given up one goes on, and the next caller finds it | given up with the caller, so `store_timeout` should be longer than it takes |
//! | a statement | 30 s, then the server ends it | its choice |
//! | MySQL and MariaDB | `autocommit = 1`, whatever the server's setting is | must commit by itself: with `autocommit = 0` what was acknowledged ends with its connection |
//! | one whose statement is answered | at hand for the next; closed after ten minutes of rest, or half an hour after it was opened, but SQLite's | in the pool, after a round trip |
//! | a dead connection | asked for a sign of life before it is used, if idle for a second or since another broke; after half a second of silence it is closed, with those at rest that were last used before it | `test_before_acquire`, a round trip each time |
//! | one whose server takes no writes any more, after a switchover, or is no more in its Galera cluster | closed, with all that were opened before, and the statement is made again; one opened in the last five seconds is kept. The name should lead to the primary alone | one closed in five seconds |
//! | SQLite | write-ahead log, file mode 0600; a file that was moved, replaced or deleted is neither read nor written | its choice |
//!
//! A future may be dropped at any point. Its statement is then carried out wholly or not at all;
//! its connection goes back to the pool when the server has answered, and is closed if it does
//! not within five seconds. A pool of the application's asks each connection that comes back for a
//! sign of life, as sqlx does: with many requests at once that costs a fifth of a load.
//!
//! actix-web has a runtime for each worker, and one more called `connect`. A task uses a connection of
//! its own runtime's, and opens one where all that rest are others', so there are at least as many
//! connections as workers, up to the limit. At the limit, or where the server gives no more, it uses
//! another runtime's, at a third more for each statement; once a minute one of those
//! is closed and opened as its own. With ten workers or more,
//! [`connections`](SqlConfig::connections) should be larger than they are.
//!
//! **PgBouncer** can stand between in session mode, or in transaction mode from version 1.21 on with
//! `max_prepared_statements` above 0, which is the default from 1.24 on. Statements are prepared under
//! names, and prepared and used in two steps: in transaction mode the second may reach another
//! connection of the server's, where the same name is another client's statement, so that a load
//! might carry out a deletion. That setting gives each client names of its own. **Before 1.21
//! transaction mode must not be used**, and sqlx's cache of statements must stay on: without it a
//! statement gets a new name each time and is never closed, so the server's memory fills with them. A
//! URL with `statement-cache-capacity=0` is refused; of a pool of the application's own that cannot
//! be seen, nor does its `persistent(false)` help. In any mode PgBouncer refuses settings of a
//! connection until it is told to pass over them, and then the statement timeout is the role's:
//!
//! ```text
//! ignore_startup_parameters = extra_float_digits,options     ; pgbouncer.ini
//! max_prepared_statements = 100
//!
//! ALTER ROLE shop SET statement_timeout = '30s';             -- on the server
//! ```
//!
//! On MySQL and MariaDB a statement without the cache is closed after each use: nothing is left, at a
//! second round trip each time.
//!
//! **MySQL 8** lets users of its default `caching_sha2_password` in only through TLS (feature
//! `tls`) or a Unix socket: the RSA exchange that would replace them is left out, because the only
//! crate for it has an open advisory (RUSTSEC-2023-0071). MariaDB is not affected.
//!
//! # One transaction for a session and the application's rows
//!
//! [`SqlStore::save_in`] writes a session as part of a transaction of the application's own.
//!
//! # Sweeping
//!
//! A sweep is one `DELETE` of at most `limit` rows, found by the index of `expires`. On the
//! servers it passes by rows that others hold (`SKIP LOCKED`), so it waits for no request, and
//! sweeps at once share the work.
//!
//! # Durability
//!
//! | | survives `kill -9` of the application | survives a power cut |
//! |---|---|---|
//! | SQLite, [`Durability::Os`] (default) | yes | the last seconds may be lost, the file is whole |
//! | SQLite, [`Durability::Disk`] | yes | yes, at an `fsync` a write |
//! | PostgreSQL | yes | as `synchronous_commit` says: by default, yes |
//! | MySQL, MariaDB | yes | as `innodb_flush_log_at_trx_commit` says: by default, yes |

// Without a database there is nothing to offer.
#![cfg(any(feature = "sqlite", feature = "postgres", feature = "mysql"))]

mod config;
mod store;

mod migrate;
mod transaction;

mod link;
mod row;
mod statements;

mod at_hand;
mod connection;
mod open;
mod pool;
mod suspicion;

mod dialect;
mod table;

#[cfg(all(test, feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[path = "plans_tests.rs"]
mod plans;

mod failure;

// The tests' database is shared with those that see the crate from outside.
#[cfg(all(test, feature = "sqlite", feature = "postgres", feature = "mysql"))]
#[path = "../tests/store/database.rs"]
#[expect(dead_code, reason = "the other tests need more of it")]
mod database;
#[cfg(all(test, feature = "sqlite", feature = "postgres", feature = "mysql"))]
extern crate self as session_sql;

pub use config::{Durability, SqlConfig};
pub use connection::SqlConnection;
pub use pool::SqlPool;
pub use sqlx;
pub use store::SqlStore;
