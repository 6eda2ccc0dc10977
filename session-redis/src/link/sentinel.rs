//! Who the primary is, by asking the sentinels, each time a connection to it is made.
//!
//! Redis documentation, "Guidelines for Redis clients with support for Redis Sentinel": ask a
//! sentinel, go on from one that does not answer, and ask the server it names for its role: a
//! sentinel may not know yet, or no longer, and a server that was demoted still answers.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use redis::{Client, ErrorKind, RedisError, ServerErrorKind, Value};

use super::fault::{is_refused_login, timed_out};
use super::first_good::first_good;
use super::line::{Ask, Live, Timeouts};
use super::target::{Access, Address};

/// The sentinels of one primary.
pub(crate) struct Sentinels {
    addresses: Vec<Address>,
    /// What the primary is called among them.
    name: String,
    /// Towards the sentinels.
    access: Access,
    /// Towards the primary.
    server: Arc<Access>,
    turn: AtomicUsize,
}

impl Sentinels {
    pub(crate) fn new(
        addresses: Vec<Address>,
        name: String,
        access: Access,
        server: Arc<Access>,
    ) -> Self {
        Self {
            addresses,
            name,
            access,
            server,
            turn: AtomicUsize::new(0),
        }
    }

    pub(crate) async fn primary(&self, timeouts: Timeouts) -> Result<Client, RedisError> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let question = |sentinel| self.ask(sentinel, timeouts);
        match first_good(&self.addresses, turn, timeouts.connect, question).await {
            Ok(primary) => self.server.client(&primary),
            Err(_) if self.addresses.is_empty() => {
                Err((ErrorKind::EmptySentinelList, "no sentinel is named").into())
            }
            Err(mut failures) => Err(failures
                .pop()
                .unwrap_or_else(|| timed_out("no sentinel answered in time"))),
        }
    }

    async fn ask(&self, sentinel: &Address, timeouts: Timeouts) -> Result<Address, RedisError> {
        let client = self.access.client(sentinel)?;
        let live = Live::connect(&client, timeouts)
            .await
            .map_err(of_sentinel)?;
        let mut question = redis::cmd("SENTINEL");
        question.arg("GET-MASTER-ADDR-BY-NAME").arg(&self.name);
        let answer = live.carry_out(&question, Ask::No).await?;
        let named: Option<(String, u16)> = redis::from_redis_value(answer)?;
        match named {
            Some((host, port)) => Ok(Address::Tcp(host, port)),
            None => Err((
                ErrorKind::MasterNameNotFoundBySentinel,
                "the sentinels do not know the primary's name",
            )
                .into()),
        }
    }

    pub(crate) async fn check(&self, live: &Live) -> Result<(), RedisError> {
        let role = match live.carry_out(&redis::cmd("ROLE"), Ask::No).await {
            Ok(Value::Array(role)) => role,
            Ok(_) => return Err(not_a_primary()),
            // This user may not ask. The first write will tell.
            Err(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm) => {
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        match role
            .into_iter()
            .next()
            .map(redis::from_redis_value::<String>)
        {
            Some(Ok(role)) if role == "master" => Ok(()),
            _ => Err(not_a_primary()),
        }
    }
}

/// A sentinel's password is not that of the servers.
fn of_sentinel(error: RedisError) -> RedisError {
    if !is_refused_login(&error) {
        return error;
    }
    (
        ErrorKind::AuthenticationFailed,
        "the sentinel refused the user or the password: see `sentinel_password`",
    )
        .into()
}

fn not_a_primary() -> RedisError {
    (
        ErrorKind::MasterNameNotFoundBySentinel,
        "the server that the sentinels name is not a primary",
    )
        .into()
}

impl fmt::Debug for Sentinels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sentinels")
            .field("addresses", &self.addresses)
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}
