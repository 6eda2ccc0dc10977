//! Opening a connection, and the task that writes its commands and reads their answers.
//!
//! redis-rs' driver writes what it is given as soon as it runs, and a runtime of several threads
//! runs it right after the task that gave it a command: a system call, a packet and a turn of the
//! server for each. So while several commands wait, it lets the tasks that are ready run first,
//! once; what they send goes out together. A command that is alone is written at once, and
//! nothing waits for a clock.

use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;

use futures_util::future::select_ok;
use redis::aio::MultiplexedConnection;
use redis::io::tcp::{TcpSettings, socket2::SockRef};
use redis::{AsyncConnectionConfig, Client, ConnectionAddr, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpStream, lookup_host};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::AbortHandle;

/// How many commands wait for an answer on a connection.
#[derive(Clone, Default)]
pub(crate) struct Waiting(Arc<AtomicUsize>);

/// One of them, until it is dropped.
pub(crate) struct OneWaits<'a>(&'a AtomicUsize);

impl Waiting {
    pub(crate) fn one(&self) -> OneWaits<'_> {
        self.0.fetch_add(1, Ordering::Relaxed);
        OneWaits(&self.0)
    }

    fn several(&self) -> bool {
        self.0.load(Ordering::Relaxed) > 1
    }
}

impl Drop for OneWaits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The driver's task; it ends with this.
pub(crate) struct Driver(AbortHandle);

impl Drop for Driver {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A connection to the client's server. Over TLS redis-rs sets it up, spawns the driver, and ends
/// it; it does not give way.
pub(crate) async fn open(
    client: &Client,
    config: AsyncConnectionConfig,
    waiting: &Waiting,
) -> Result<(MultiplexedConnection, Option<Driver>), RedisError> {
    let info = client.get_connection_info();
    match info.addr() {
        ConnectionAddr::Tcp(host, port) => {
            let stream = reach(host, *port).await?;
            set_up(&stream, info.tcp_settings())?;
            driven(info.redis_settings(), stream, config, waiting).await
        }
        #[cfg(unix)]
        ConnectionAddr::Unix(path) => {
            let stream = tokio::net::UnixStream::connect(path).await?;
            driven(info.redis_settings(), stream, config, waiting).await
        }
        _ => {
            let connection = client.get_multiplexed_async_connection_with_config(&config);
            Ok((connection.await?, None))
        }
    }
}

/// Whichever address of the name answers first: one that is silent must not use up the time.
async fn reach(host: &str, port: u16) -> io::Result<TcpStream> {
    first_of(lookup_host((host, port)).await?).await
}

async fn first_of(addresses: impl Iterator<Item = SocketAddr>) -> io::Result<TcpStream> {
    let attempts: Vec<_> = addresses
        .map(|address| Box::pin(TcpStream::connect(address)))
        .collect();
    if attempts.is_empty() {
        let none = "the server's name has no address";
        return Err(io::Error::new(io::ErrorKind::NotFound, none));
    }
    let (stream, _) = select_ok(attempts).await?;
    Ok(stream)
}

fn set_up(stream: &TcpStream, settings: &TcpSettings) -> io::Result<()> {
    stream.set_nodelay(settings.nodelay())?;
    let socket = SockRef::from(stream);
    if let Some(keepalive) = settings.keepalive() {
        socket.set_tcp_keepalive(keepalive)?;
    }
    #[cfg(target_os = "linux")]
    socket.set_tcp_user_timeout(settings.user_timeout())?;
    Ok(())
}

async fn driven(
    login: &RedisConnectionInfo,
    stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    config: AsyncConnectionConfig,
    waiting: &Waiting,
) -> Result<(MultiplexedConnection, Option<Driver>), RedisError> {
    let (connection, driver) =
        MultiplexedConnection::new_with_config(login, stream, config).await?;
    let task = match Handle::current().runtime_flavor() {
        // Its one thread takes tasks in their order: those that are ready come first anyway.
        RuntimeFlavor::CurrentThread => tokio::spawn(driver),
        _ => tokio::spawn(giving_way(driver, waiting.clone())),
    };
    Ok((connection, Some(Driver(task.abort_handle()))))
}

async fn giving_way(driver: impl Future<Output = ()>, waiting: Waiting) {
    let mut driver = pin!(driver);
    let mut gave_way = false;
    poll_fn(|cx| {
        gave_way = !gave_way && waiting.several();
        if gave_way {
            // Woken while it runs, a task goes behind all that are ready.
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        driver.as_mut().poll(cx)
    })
    .await;
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Wake};

    use redis::io::tcp::socket2::{Domain, Socket, Type};

    use super::*;

    #[tokio::test]
    async fn an_address_that_is_silent_does_not_keep_the_others_waiting() {
        let socket = || {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            let any = SocketAddr::from(([127, 0, 0, 1], 0));
            socket.bind(&any.into()).unwrap();
            // No room but for one that nobody accepts.
            socket.listen(0).unwrap();
            let addr = socket.local_addr().unwrap().as_socket().unwrap();
            (socket, addr)
        };
        let ((_full, silent), (_free, good)) = (socket(), socket());
        let _first = TcpStream::connect(silent).await.unwrap();
        let tried = TcpStream::connect(silent);
        let brief = std::time::Duration::from_millis(200);
        assert!(
            tokio::time::timeout(brief, tried).await.is_err(),
            "it is silent"
        );
        let reached = first_of([silent, good].into_iter());
        let reached = tokio::time::timeout(std::time::Duration::from_secs(60), reached).await;
        let reached = reached.expect("the other one answers").unwrap();
        assert_eq!(reached.peer_addr().unwrap(), good);
    }

    /// Counts how often it is woken.
    #[derive(Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn the_driver_gives_way_once_while_several_commands_wait() {
        let (runs, waiting) = (AtomicUsize::new(0), Waiting::default());
        let driver = poll_fn(|_| {
            runs.fetch_add(1, Ordering::Relaxed);
            Poll::Pending
        });
        let mut driver = pin!(giving_way(driver, waiting.clone()));
        let woken = Arc::new(Woken::default());
        let waker = Arc::clone(&woken).into();
        // How often the driver ran, and how often it asked to be run again.
        let mut run = || {
            let _ = driver.as_mut().poll(&mut Context::from_waker(&waker));
            [&runs, &woken.0].map(|count| count.swap(0, Ordering::Relaxed))
        };
        let (ran, gave_way) = ([1, 0], [0, 1]);
        let first = waiting.one();
        assert_eq!([run(), run()], [ran, ran]);
        let second = waiting.one();
        assert_eq!([run(), run(), run(), run()], [gave_way, ran, gave_way, ran]);
        drop((first, second));
        assert_eq!(run(), ran);
    }
}
