//! Sessions in Redis or Valkey.
//!
//! # Connections
//!
//! Rules:
//!
//! - A command is sent again only if it was certainly not carried out: the server refused it
//!   (`READONLY`, `MOVED`, `ASK`, `NOSCRIPT`), or there was no connection to send it on. One whose
//!   answer was lost or late is [`Unavailable`](session_core::StoreErrorKind::Unavailable), and
//!   the manager finds out whether it happened, so that nothing is counted twice.
//! - [`connect`](RedisStore::connect) fails if the servers cannot be reached; after that the
//!   store reconnects by itself. While a server refuses connections, requests fail at once; at
//!   most a tenth of a second after it is back they succeed.
//! - A server that hangs costs what waits on it: after
//!   [`response_timeout`](RedisConfig::response_timeout) without a byte, the connection and all
//!   that waits on it are given up, and another one is made. Dropped requests leave nothing.
//! - No error and no `Debug` text holds a password, or more of a URL than its scheme and the
//!   name of an option.
//!
//! [`RedisConfig`] lists the URLs. The servers are Redis from version 6 (or Valkey); the
//! connections made here speak RESP3, in which the end of a connection is told at once.
//!
//! ## Which connection when
//!
//! | | when | failover |
//! |---|---|---|
//! | `redis://`, `rediss://`, `redis+unix://` | one server, or a name that leads to the primary (managed services) | at the first `READONLY`, lost, or silent connection the name is looked up again |
//! | the same with `connections=2` to `4` | sessions of hundreds of kilobytes, behind which small ones would wait | the same |
//! | `redis+sentinel://` | a primary and replicas under Sentinel | the sentinels are asked for each new connection, and the server for its role |
//! | `redis+cluster://` (feature `cluster`) | more than one server can hold or serve | redirections are followed, and the slots asked for anew when a server is lost or silent |
//! | [`from_pool`](RedisStore::from_pool), `?pool=16` (feature `pool`) | the application has a `deadpool-redis` pool, or must not share a connection between requests | `READONLY` empties the pool |
//! | [`from_cluster_pool`](RedisStore::from_cluster_pool) (features `pool` and `cluster`) | the application has one | redis-rs' own; see below |
//! | [`from_connection_manager`](RedisStore::from_connection_manager) | the application has a `ConnectionManager` | redis-rs' own: none while the old server still answers, not even at `READONLY` |
//!
//! One shared connection is the default because it is the fastest: FIGURES
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
//! partition if it was cut off from its replicas, but not from us. What is lost is
//! also lost to this store: a session can be back at an earlier version, a new one gone, and one
//! that was signed out *there again*, until it expires. Where that matters:
//!
//! - `min-replicas-to-write 1` and `min-replicas-max-lag 1` in the server's configuration (or
//!   a cluster's) make a primary without a live replica refuse writes (`NOREPLICAS`, reported as
//!   `Unavailable`); a cut-off primary then accepts about a second of writes, not ten.
//! - `WAIT` would delay each answer until a replica has it. It is not used: it cannot be
//!   undone if it fails, and narrows the window without closing it.
//! - A session whose logout must hold through a failover is kept in a database
//!   that commits to more than one place before it answers.
//!
//! The end of one server's process loses nothing with `appendonly yes`, and a power cut the last
//! second (nothing with `appendfsync always`); without it, everything since the last snapshot is
//! lost.

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
pub use store::RedisStore;
