//! One connection to one server, made anew when it is lost.
//!
//! The connection is multiplexed: commands of any number of tasks share it, and their replies
//! come in their order. What redis-rs' `ConnectionManager` does not do, and a session store
//! needs:
//!
//! - A connection found dead is replaced *before* a command is sent on it. After that nobody knows
//!   whether the command was carried out, and it is not repeated.
//! - A connection on which nothing was heard while commands waited for the length of a time-out,
//!   one for all of it or several whose callers went away, is given up: the peer may be gone
//!   without a word, or hung while another was promoted. It is closed, with all the memory it
//!   holds, when the last command that waits on it has ended.
//! - A server that answers `READONLY` or `MASTERDOWN` has been demoted, or the name now leads
//!   elsewhere: the address is looked up again, and the command, which was not carried out, is sent
//!   once more.
//! - One task at a time connects, and it does so on its own: a request that is dropped does not
//!   take the attempt with it. While the server refuses connections, commands fail at once, and
//!   at most [`RETRY_AFTER`] after it is back they succeed.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, PushInfo, PushKind, RedisError, Value};
use tokio::sync::watch;

use super::driver::{self, Driver, Waiting};
use super::fault::{Fault, is_of_replica, timed_out, without_secrets};
use super::silence::Silence;
use super::target::Target;

/// For so long after a failed attempt to connect, commands get its error.
pub(crate) const RETRY_AFTER: Duration = Duration::from_millis(100);

/// A cheap clone; all clones share the connection.
#[derive(Clone)]
pub(crate) struct Line(Arc<Inner>);

struct Inner {
    target: Target,
    timeouts: Timeouts,
    /// Never held across an `.await`.
    state: Mutex<State>,
}

/// How long is waited for a server.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Timeouts {
    /// For the answer to a command.
    pub(crate) response: Duration,
    /// For a connection, from looking up the name to the end of the login.
    pub(crate) connect: Duration,
}

enum State {
    Idle,
    Connecting(watch::Receiver<Option<Outcome>>),
    Up(Arc<Live>),
    Failed(Instant, RedisError),
}

type Outcome = Result<Arc<Live>, RedisError>;

/// Whether the server is to be asked for a key that is just moving to it.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ask {
    No,
    #[cfg(feature = "cluster")]
    First,
}

/// A connection, and what is known of it.
pub(crate) struct Live {
    connection: MultiplexedConnection,
    health: Arc<Health>,
    waiting: Waiting,
    _driver: Option<Driver>,
}

struct Health {
    lost: AtomicBool,
    silence: Silence,
    since: Instant,
}

impl Line {
    /// A line that connects when it is first used.
    pub(crate) fn new(target: Target, timeouts: Timeouts) -> Self {
        Self(Arc::new(Inner {
            target,
            timeouts,
            state: Mutex::new(State::Idle),
        }))
    }

    pub(crate) async fn command(&self, command: &Cmd) -> Result<Value, Fault> {
        self.send(command, Ask::No).await
    }

    /// The command on a server that is about to own its key.
    #[cfg(feature = "cluster")]
    pub(crate) async fn command_asking(&self, command: &Cmd) -> Result<Value, Fault> {
        self.send(command, Ask::First).await
    }

    /// Whether there is a connection, as far as is known.
    #[cfg(feature = "cluster")]
    pub(crate) fn is_up(&self) -> bool {
        matches!(&*self.state(), State::Up(live) if !live.is_lost())
    }

    /// Connects, if there is no connection.
    pub(crate) async fn connect(&self) -> Result<(), RedisError> {
        self.live().await.map(drop)
    }

    async fn send(&self, command: &Cmd, ask: Ask) -> Result<Value, Fault> {
        let live = self.live().await.map_err(Fault::Unsent)?;
        let error = match live.carry_out(command, ask).await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        // A connection just made already leads to whom the name or the sentinels now give.
        if is_of_replica(&error) && live.health.since.elapsed() > RETRY_AFTER {
            live.give_up();
            let live = self.live().await.map_err(Fault::Unsent)?;
            let again = Box::pin(live.carry_out(command, ask));
            return again.await.map_err(Fault::of_sent);
        }
        Err(Fault::of_sent(error))
    }

    async fn live(&self) -> Outcome {
        // The second round is for the case that the runtime that was connecting has ended.
        for _ in 0..2 {
            let mut outcome = match self.connection_or_attempt() {
                Ok(answer) => return answer,
                Err(outcome) => outcome,
            };
            if let Ok(outcome) = outcome.wait_for(Option::is_some).await
                && let Some(outcome) = outcome.clone()
            {
                return outcome;
            }
            self.abandon_attempt();
        }
        Err(timed_out("the runtime that was connecting has ended"))
    }

    /// What there is to say at once, or the attempt to wait for.
    fn connection_or_attempt(&self) -> Result<Outcome, watch::Receiver<Option<Outcome>>> {
        let mut state = self.state();
        match &*state {
            State::Up(live) if !live.is_lost() => return Ok(Ok(Arc::clone(live))),
            State::Failed(at, error) if at.elapsed() < RETRY_AFTER => {
                return Ok(Err(error.clone()));
            }
            State::Connecting(outcome) => return Err(outcome.clone()),
            State::Idle | State::Up(_) | State::Failed(..) => {}
        }
        let (sender, outcome) = watch::channel(None);
        *state = State::Connecting(outcome.clone());
        drop(state);
        let line = self.clone();
        tokio::spawn(async move {
            let outcome = line.attempt().await;
            *line.state() = match &outcome {
                Ok(live) => State::Up(Arc::clone(live)),
                Err(error) => State::Failed(Instant::now(), error.clone()),
            };
            // Nobody waits any more: the outcome is in the state.
            let _ = sender.send(Some(outcome));
        });
        Err(outcome)
    }

    async fn attempt(&self) -> Outcome {
        let Inner {
            target, timeouts, ..
        } = &*self.0;
        let attempt = async {
            let client = target.client(*timeouts).await?;
            let live = Live::connect(&client, *timeouts).await?;
            target.check(&live).await?;
            Ok(Arc::new(live))
        };
        match tokio::time::timeout(timeouts.connect, attempt).await {
            Ok(outcome) => outcome,
            Err(_) => Err(timed_out("the server did not answer in time")),
        }
    }

    fn abandon_attempt(&self) {
        let mut state = self.state();
        if let State::Connecting(outcome) = &*state
            && outcome.has_changed().is_err()
        {
            *state = State::Idle;
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    /// Connects by RESP3, in which the end of the connection is told at once, not when the next
    /// command fails on it.
    pub(crate) async fn connect(client: &Client, timeouts: Timeouts) -> Result<Self, RedisError> {
        let health = Arc::new(Health {
            lost: AtomicBool::new(false),
            silence: Silence::new(timeouts.response),
            since: Instant::now(),
        });
        let told = Arc::clone(&health);
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(timeouts.connect))
            .set_response_timeout(Some(timeouts.response))
            .set_push_sender(move |push: PushInfo| {
                if push.kind == PushKind::Disconnection {
                    told.lost.store(true, Ordering::Relaxed);
                }
                Ok::<(), ()>(())
            });
        let waiting = Waiting::default();
        let opened = driver::open(client, config, &waiting).await;
        let (connection, driver) = opened.map_err(without_secrets)?;
        Ok(Self {
            connection,
            health,
            waiting,
            _driver: driver,
        })
    }

    pub(crate) async fn carry_out(&self, command: &Cmd, ask: Ask) -> Result<Value, RedisError> {
        let _waits = self.waiting.one();
        let mut connection = self.connection.clone();
        let asked = self.health.silence.ask(|| self.give_up());
        let answer = match ask {
            Ask::No => connection.send_packed_command(command).await,
            #[cfg(feature = "cluster")]
            Ask::First => {
                let mut both = redis::pipe();
                both.cmd("ASKING").add_command(command.clone());
                let answers = Box::pin(connection.send_packed_commands(&both, 0, 2)).await;
                answers.map(|mut both| both.pop().unwrap_or(Value::Nil))
            }
        };
        match &answer {
            Ok(_) => asked.answered(),
            Err(error) if error.is_timeout() => {}
            Err(error) if error.is_unrecoverable_error() => self.give_up(),
            // A refusal is an answer.
            Err(_) => asked.answered(),
        }
        answer?.extract_error()
    }

    fn is_lost(&self) -> bool {
        self.health.lost.load(Ordering::Relaxed)
    }

    fn give_up(&self) {
        self.health.lost.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Line").field(&self.0.target).finish()
    }
}
