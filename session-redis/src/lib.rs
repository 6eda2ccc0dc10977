//! Sessions in Redis or Valkey: JSON that other languages read, conditional writes in one round
//! trip, an owner index that is safe in a cluster.
//!
//! Rules:
//!
//! - A load is one `GET`; a create, an update (renewals included), a touch and a delete are one
//!   `EVALSHA` on one key each. What changes the owner also writes the owner index.
//! - Of writers that share a session, in any processes, each sees the version of the one before
//!   it: the script compares, and writes, or does not.
//! - A record is dropped by the server itself, `clock_skew` after its expiry and not before: loads
//!   never prolong a life, touches and updates do so in the same step in which they write.
//! - Whoever ends all sessions of an owner misses none that lives (one caveat: a failover, below).
//! - A write whose answer was lost or late is an error and is not repeated: it may have happened.
//!   The manager finds out.
//! - A value that cannot be read, of a newer format, or of another type is reported and kept;
//!   `delete` with [`Only::Any`](session_core::Only::Any) removes it.
//! - No error, no `Debug` output and no source of an error holds a password.
//!
//! Caveat: give sessions a server, or at least a policy, that evicts nothing: `maxmemory-policy
//! noeviction`, Redis' own default. With any other, a server that is full ends sessions that live,
//! and drops owner indices, without a word. With it, it refuses new ones and updates, which is
//! [`Full`](session_core::StoreErrorKind::Full); sessions are still loaded and touched, and can
//! end. A touch is refused, and the record stays, only if it would take memory: if the next step
//! begins and the owner index has lost the entry, or if another program spelled the record shorter.
//!
//! ```no_run
//! use session_core::{Clock, Created, Expiry, Record, Store, Token};
//! use session_redis::RedisStore;
//! use std::time::Duration;
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let store = RedisStore::connect("redis://127.0.0.1:6379").await?;
//! let token = Token::random()?;
//! let expiry = Expiry::new(Some(Duration::from_secs(3600)), None);
//! let record = Record::new(token.digest(), Clock::system().now(), expiry)?;
//! assert_eq!(store.create(&token.id(), &record).await?, Created::Done);
//! assert_eq!(store.load(&token.id()).await?, Some(record));
//! # Ok(())
//! # }
//! ```
//!
//! Servers: Redis 6 and later, Valkey 7.2 and later; the tests run on Redis, and Valkey 8.0.1 has
//! passed them. The store sends `GET`, `EVALSHA`, `EVAL`,
//! `ZSCORE`, `PING`; its scripts run `DEL`, `EXISTS`, `GET`, `GETRANGE`, `INFO`, `PERSIST`,
//! `PEXPIREAT`, `SCAN`, `SET`, `SETRANGE`, `TIME`, `ZADD`, `ZRANGEBYSCORE`, `ZREM`, `ZREVRANGE`,
//! `ZSCORE`. A user of its own needs these and the keys of the prefix; also `CLUSTER|SLOTS`,
//! `CLUSTER|INFO` and `ASKING` over a cluster, `SELECT` for a database other than 0, and `ROLE`
//! behind Sentinels. Without `CLUSTER|INFO` a server that is cut off from the others is believed
//! about the slots.
//!
//! # Features
//!
//! | feature | in session-kit | brings | |
//! |---|---|---|---|
//! | `cluster` | `redis-cluster` | `redis+cluster://` URLs | |
//! | `pool` | `redis-pool` | [`from_pool`](RedisStore::from_pool), `?pool=16` in a URL; with `cluster` also [`from_cluster_pool`](RedisStore::from_cluster_pool) | deadpool-redis |
//! | `tls` | `tls` | `rediss://`, `rediss+cluster://`, `rediss+sentinel://` URLs, by rustls with ring | certificates of webpki-roots |
//!
//! One server and Sentinel need none of them.
//!
//! # What is stored
//!
//! | key | type | |
//! |---|---|---|
//! | `session:` and the id (22 characters of base64url) | string | one per session |
//! | `session:owner:` and 64 hex digits: BLAKE3 of the owner's text | sorted set | one per owner |
//! | `session:probe:` and 22 characters | string | for the moment of a ping |
//!
//! `session:` is the [prefix](RedisConfig::prefix). Stores with different prefixes in one database
//! are apart, also if one prefix begins with another.
//!
//! The string is the record as JSON, in the form that [`session_core`] documents; its first fields
//! stand at fixed offsets, so the scripts need no parser, and a touch replaces 41 bytes, however
//! large the session. Other programs read it:
//!
//! ```python
//! record = json.loads(redis.get("session:" + id))
//! ```
//!
//! and may write it in any spelling of JSON, with a new `version`, and the key's expiry kept
//! (`KEEPTTL`). The scripts leave such a value alone; the store then reads it, decides, and
//! replaces exactly what it read, in its own spelling, with the fields it knows. A program that
//! changes `owner`, `timeout` or `ends` has the owner index to write as well, as below.
//!
//! # In a cluster
//!
//! Every command has one key, so nothing depends on where keys are. Ids and hashes hold no brace:
//! keys are spread by their whole text. A `{tag}` in the prefix is a hash tag, as Redis has it: it
//! puts *all* sessions of the store into one slot, on one server.
//!
//! A scan goes through one server after the other. If one is restarted, replaced, or given other
//! slots meanwhile, the scan is refused and has to begin again, as a server's cursor means nothing
//! to another. A session that is being moved in that moment may be listed by neither server.
//!
//! # How long records live
//!
//! The server drops a record (`PEXPIREAT`) when its expiry and
//! [`clock_skew`](RedisConfig::clock_skew) have passed by its own clock. Records without an expiry
//! stay. So there is nothing to sweep: `sweep` asks whether the server is there, and answers 0.
//!
//! # The owner index
//!
//! Members of the sorted set are ids; the score says until when the record may live. A record and
//! its owner's index are in different slots, and no transaction spans them, so:
//!
//! - The entry is claimed before the record is written and released after it. What fails in
//!   between leaves an entry too many, a *ghost*, and never one too few.
//! - An entry made for a record last accessed at `a` with time-out `T` speaks for it until the
//!   next step after `a`, and `T` more, or until its `ends`; a step is `T`, but at least a minute
//!   and at most a day, counted from 1970. While touches and updates stay within the step, and
//!   updates leave owner and limits, the entry is right as it is, and the script writes the record
//!   at once. Otherwise it writes nothing and answers with the record: the store claims the index
//!   anew, and then replaces exactly that record. That is once in a step, not once a touch. (The
//!   score also holds `clock_skew`, and up to 35 minutes by the moment of the claim.)
//! - Every claim gives another score than all before it, a higher one while the entry is there. A release is for the score that was read before the record was
//!   written, so a login that claims the entry meanwhile keeps it. After a delete the entry goes
//!   whatever its score: an id is not used again.
//! - When its time is over, an entry is removed only after a look at the record, and only with the
//!   score it had before the look. A login that has claimed an entry and not yet written the
//!   record raised the score after the look, or writes a record whose time is over too.
//!   Listing an owner looks at all such entries; a login at up to 16, so an index that nobody
//!   lists does not grow for ever. A ghost thus stays for a step and a time-out at most; only that
//!   of a record without an expiry stays for ever. Lists of up to 256 leave all ghosts out.
//! - The set is listed by pages of 1,000, in the order of scores: a claim moves an entry on, so
//!   none is missed, and no command keeps the server for long.
//! - The set's own expiry is an hour after its last entry's time.
//!
//! # Durability
//!
//! What an acknowledged write survives is the server's to say; the application's end it always
//! does.
//!
//! | server's setting | survives |
//! |---|---|
//! | neither `appendonly` nor `save` | nothing: with the server, all sessions end |
//! | `save` (Redis' default) | the server's crash, but for what came after the last snapshot |
//! | `appendonly yes` (`everysec`) | `kill -9` of the server; a power cut, but for the last second |
//! | `appendonly yes`, `appendfsync always` | a power cut, at the price of a sync for each turn of the server |
//!
//! Replication is asynchronous: a primary that fails may take its last writes with it, those of
//! an owner index too, while the session's, on another primary, stays. Such a session works and
//! is not listed, until it is touched in its next step. `min-replicas-to-write` bounds this.
//!
//! # Connections
//!
//! Rules:
//!
//! - A command is sent again only if it was certainly not carried out: the server refused it
//!   (`READONLY`, `MASTERDOWN`, `MOVED`, `ASK`, `CLUSTERDOWN`, `NOSCRIPT`), or there was no
//!   connection to send it on. One whose answer was lost or late is
//!   [`Unavailable`](session_core::StoreErrorKind::Unavailable), and the manager finds out whether
//!   it happened, so that nothing is counted twice.
//! - [`connect`](RedisStore::connect) fails if the servers cannot be reached; after that the
//!   store reconnects by itself. While a server refuses connections, requests fail at once; at
//!   most a tenth of a second after it is back they succeed.
//! - A server that hangs costs what waits on it: after
//!   [`response_timeout`](RedisConfig::response_timeout) without an answer to anybody who waits,
//!   one request or one after the other, another connection is made, and the old one is closed
//!   with the last request that waits on it.
//!   Dropped requests leave nothing.
//!
//! [`RedisConfig`] lists the URLs. The servers are Redis from version 6 (or Valkey); the
//! connections made here speak RESP3, in which the end of a connection is told at once.
//!
//! ## Which connection when
//!
//! | | when | failover |
//! |---|---|---|
//! | `redis://`, `rediss://`, `redis+unix://` | one server, or a name that leads to the primary (managed services) | at the first `READONLY` or `MASTERDOWN`, lost, or silent connection the name is looked up again |
//! | the same with `connections=2` to `4` | sessions of hundreds of kilobytes, behind which small ones would wait | the same |
//! | `redis+sentinel://` | a primary and replicas under Sentinel | the sentinels are asked for each new connection, and the server for its role |
//! | `redis+cluster://` (feature `cluster`) | more than one server can hold or serve | redirections are followed, and the slots asked for anew when a server is lost, silent, or says `CLUSTERDOWN`; what a server says of them that is cut off from the others counts last |
//! | [`from_pool`](RedisStore::from_pool), `?pool=16` (feature `pool`) | the application has a `deadpool-redis` pool, or must not share a connection between requests | `READONLY` or `MASTERDOWN` empties the pool |
//! | [`from_cluster_pool`](RedisStore::from_cluster_pool) (features `pool` and `cluster`) | the application has one | redis-rs' own; see below |
//! | [`from_connection_manager`](RedisStore::from_connection_manager) | the application has a `ConnectionManager` | redis-rs' own: none while the old server still answers, not even at `READONLY` |
//!
//! One shared connection is the default, for each runtime that uses the store: actix-web has a runtime for
//! each worker, and one more connection is that of the runtime that called
//! [`connect`](RedisStore::connect). Each is made at the first command there, and goes with its runtime.
//! Were it another runtime's, every command would wake two threads. Commands that wait together are
//! written together, except over TLS.
//!
//! A pool costs two to three times as much to one task and two and a half to ten times as much to 64. The default is not
//! redis-rs' `ConnectionManager`, because that one does not notice a server that hangs or was demoted. In
//! one run against one server (`cargo bench -p session-benches --bench redis_links`), as multiples of
//! a bare `GET` by one task (11 µs), and by 64 (2.7 µs):
//!
//! | | load, 1 task | load, 64 | update, 1 | update, 64 |
//! |---|---|---|---|---|
//! | `redis://` | 1.0 | 1.2 | 2.3 | 2.5 |
//! | `?connections=4` | 1.4 | 1.3 | 2.4 | 2.9 |
//! | `ConnectionManager` | 1.0 | 1.5 | 2.3 | 2.6 |
//! | a pool of 4, 16 or 64 | 2.7 to 3.4 | 5.4 to 11.7 | 3.8 to 5.0 | 6.1 to 16.0 |
//! | a cluster of three, on the same two cores | 0.9 | 1.3 | 2.0 | 3.0 |
//!
//! The `ConnectionManager` of this run had `TCP_NODELAY` off, as is its default: its packets are
//! fewer and, over a network, may wait for each other's acknowledgement.
//!
//! A pool of deadpool's sends `UNWATCH` and `PING` each time it lends a connection, which is
//! the greater part of its cost. It buys nothing here: the store uses no blocking command and no
//! `MULTI`.
//!
//! A cluster has one connection to each server. It is not redis-rs' `ClusterConnection`, which
//! [`from_cluster_pool`](RedisStore::from_cluster_pool) lends out: that one sends a command again
//! after a lost or late answer. If the update was carried out the first time, and another request
//! has updated the session in between, the repetition is told of a conflict, and the manager makes
//! the change a second time. Who counts money in sessions uses the URL.
//!
//! Of the time-outs, [`connect_timeout`](RedisConfig::connect_timeout) and
//! [`response_timeout`](RedisConfig::response_timeout) are 1.5 s, below the manager's 2 s. A pool,
//! a cluster pool, and a `ConnectionManager` of the application's own keep their own (redis-rs'
//! are 0.5 s for an answer and 1 s for a connection; a pool may wait for ever): the manager's
//! deadline holds with them too. They keep their own protocol and TLS provider as well.
//!
//! ## TLS
//!
//! Feature `tls`: rustls with ring. The servers' certificates must be signed by an authority that
//! browsers trust, or by the one of `ca` in the URL (or
//! [`certificate_authority`](RedisConfig::certificate_authority)). An application that has
//! installed a rustls `CryptoProvider` keeps it; else ring's is installed at the first connection.
//!
//! ## What a failover loses
//!
//! Redis copies to its replicas after it has answered. A primary that dies takes with it what it
//! had acknowledged and not yet copied: usually the last milliseconds, and everything since the
//! partition if it was cut off from its replicas, but not from us. A session can then be back at
//! an earlier version, a new one gone, and one that was signed out *there again*, until it
//! expires. Where that matters:
//!
//! - `min-replicas-to-write 1` and `min-replicas-max-lag 1` in the server's configuration (or
//!   a cluster's) make a primary without a live replica refuse writes (`NOREPLICAS`, reported as
//!   `Unavailable`); a cut-off primary then accepts about a second of writes, not ten.
//! - `WAIT` would delay each answer until a replica has it. It is not used: it cannot be
//!   undone if it fails, and narrows the window without closing it.
//! - Sessions whose logout must hold through a failover belong into a database that commits in
//!   more than one place before it answers.

mod config;
mod connect;
mod store;

mod owners;
mod revise;
mod scan;
mod scripts;

mod answer;
mod keys;
mod link;
mod url;

mod failure;

pub use config::RedisConfig;
#[cfg(feature = "pool")]
pub use deadpool_redis;
pub use redis;
pub use store::RedisStore;
