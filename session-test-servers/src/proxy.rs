//! A TCP proxy that misbehaves on demand.

use std::collections::HashMap;
use std::fmt;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::{ServerError, port};

/// A TCP proxy in front of a server, on a loopback port of its own, that misbehaves on demand.
///
/// It begins by forwarding everything. Each mode can be changed at any time, for connections that
/// are open and those to come. Dropping it closes every connection and the port.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// use session_test_servers::{Proxy, RedisServer};
///
/// let redis = RedisServer::start()?;
/// let proxy = Proxy::to(redis.addr())?;
/// let url = redis.url_at(proxy.addr());
/// // … a client connects to `url` and sends a command …
/// proxy.stall();
/// // … its next command is not answered …
/// proxy.flow();
/// // … and now it is.
/// # Ok(())
/// # }
/// ```
pub struct Proxy {
    addr: SocketAddr,
    shared: Arc<Shared>,
    acceptor: Mutex<Option<JoinHandle<()>>>,
}

impl Proxy {
    /// A proxy in front of `server`, which need not run.
    ///
    /// # Errors
    ///
    /// No port was free.
    pub fn to(server: SocketAddr) -> Result<Self, ServerError> {
        let listener = loop {
            match TcpListener::bind((Ipv4Addr::LOCALHOST, port::free()?)) {
                Ok(listener) => break listener,
                // Another took the port first.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(error) => return Err(ServerError::io("opening the proxy's port")(error)),
            }
        };
        let addr = listener
            .local_addr()
            .map_err(ServerError::io("asking for the proxy's port"))?;
        let shared = Arc::new(Shared {
            server,
            state: Mutex::new(State::default()),
            changed: Condvar::new(),
        });
        let acceptor = spawn_acceptor(listener, &shared);
        Ok(Self {
            addr,
            shared,
            acceptor: Mutex::new(Some(acceptor)),
        })
    }

    /// The address clients are to connect to.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The port clients are to connect to.
    pub fn port(&self) -> u16 {
        self.addr.port()
    }

    /// Closes every connection now. New ones are accepted.
    pub fn cut(&self) {
        self.shared.state().cut_all();
    }

    /// Closes the port: new connections are refused by the system. Open ones stay.
    pub fn refuse(&self) {
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = acceptor.take() {
            self.shared.state().refusing = true;
            // Wakes it from its wait; it sees that it is to end, and closes the port.
            let _ = TcpStream::connect(self.addr);
            let _ = thread.join();
        }
    }

    /// Opens the port again after [`refuse`](Self::refuse).
    ///
    /// # Errors
    ///
    /// Another has taken the port.
    pub fn accept(&self) -> Result<(), ServerError> {
        let mut acceptor = self.acceptor.lock().unwrap_or_else(PoisonError::into_inner);
        if acceptor.is_none() {
            let listener = TcpListener::bind(self.addr)
                .map_err(ServerError::io("opening the proxy's port again"))?;
            self.shared.state().refusing = false;
            *acceptor = Some(spawn_acceptor(listener, &self.shared));
        }
        Ok(())
    }

    /// Forwards nothing, in both directions, until [`flow`](Self::flow): what is sent waits.
    pub fn stall(&self) {
        self.shared.state().stalled = true;
    }

    /// Forwards everything again: ends [`stall`](Self::stall), [`lose_replies`](Self::lose_replies),
    /// [`lose_next_reply`](Self::lose_next_reply), [`lose_reply_to`](Self::lose_reply_to) and
    /// [`cut_request_after`](Self::cut_request_after).
    pub fn flow(&self) {
        let mut state = self.shared.state();
        state.stalled = false;
        state.replies = Replies::Forwarded;
        state.request_bytes_left = None;
        state.lose_reply_to = None;
        drop(state);
        self.shared.changed.notify_all();
    }

    /// Forwards `bytes` more bytes of what clients send, then cuts the connection they came on,
    /// without the byte after them. That happens once; then all is forwarded.
    pub fn cut_request_after(&self, bytes: usize) {
        self.shared.state().request_bytes_left = Some(bytes);
    }

    /// Forwards requests, but cuts each connection in place of its server's next bytes: the server
    /// has done what the client never learns of. It lasts until [`flow`](Self::flow).
    pub fn lose_replies(&self) {
        self.shared.state().replies = Replies::Lost;
    }

    /// As [`lose_replies`](Self::lose_replies), for one reply on one connection only.
    pub fn lose_next_reply(&self) {
        self.shared.state().replies = Replies::NextLost;
    }

    /// As [`lose_next_reply`](Self::lose_next_reply), from the next request on in which `part`
    /// occurs. It is looked for in what the client sent at once.
    pub fn lose_reply_to(&self, part: impl Into<Vec<u8>>) {
        self.shared.state().lose_reply_to = Some(part.into()).filter(|part| !part.is_empty());
    }

    /// How many replies have been lost.
    pub fn replies_lost(&self) -> u64 {
        self.shared.state().replies_lost
    }
}

impl fmt::Debug for Proxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Proxy({} to {})", self.addr, self.shared.server)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.refuse();
        self.flow();
        self.cut();
    }
}

struct Shared {
    server: SocketAddr,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    refusing: bool,
    stalled: bool,
    replies: Replies,
    request_bytes_left: Option<usize>,
    lose_reply_to: Option<Vec<u8>>,
    replies_lost: u64,
    next: u64,
    open: HashMap<u64, [TcpStream; 2]>,
}

#[derive(Clone, Copy, Default, PartialEq)]
enum Replies {
    #[default]
    Forwarded,
    NextLost,
    Lost,
}

/// What becomes of some bytes.
enum Fate {
    Forward,
    /// So many are forwarded, then the connection is cut.
    Cut(usize),
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        // No invariant spans fields, so a panic elsewhere spoils nothing.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, once nothing is stalled.
    fn flowing(&self) -> MutexGuard<'_, State> {
        self.changed
            .wait_while(self.state(), |state| state.stalled)
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn cut_all(&mut self) {
        for (_, ends) in self.open.drain() {
            close(&ends);
        }
    }

    fn request(&mut self, bytes: &[u8]) -> Fate {
        let occurs = |part: &mut Vec<u8>| bytes.windows(part.len()).any(|window| window == part);
        if self.lose_reply_to.take_if(occurs).is_some() {
            self.replies = Replies::NextLost;
        }
        match self.request_bytes_left {
            Some(left) if left < bytes.len() => {
                self.request_bytes_left = None;
                Fate::Cut(left)
            }
            Some(left) => {
                self.request_bytes_left = Some(left - bytes.len());
                Fate::Forward
            }
            None => Fate::Forward,
        }
    }

    fn reply(&mut self) -> Fate {
        match self.replies {
            Replies::Forwarded => return Fate::Forward,
            Replies::NextLost => self.replies = Replies::Forwarded,
            Replies::Lost => {}
        }
        self.replies_lost += 1;
        Fate::Cut(0)
    }
}

fn spawn_acceptor(listener: TcpListener, shared: &Arc<Shared>) -> JoinHandle<()> {
    let shared = Arc::clone(shared);
    thread::spawn(move || {
        for client in listener.incoming() {
            if shared.state().refusing {
                return;
            }
            match client {
                Ok(client) => {
                    let shared = Arc::clone(&shared);
                    // A connect to a server that does not answer must not keep others waiting.
                    thread::spawn(move || serve(client, &shared));
                }
                // Out of file descriptors, say.
                Err(_) => thread::sleep(Duration::from_millis(10)),
            }
        }
    })
}

/// Forwards between `client` and the server until one of them, or a mode, ends it.
fn serve(client: TcpStream, shared: &Arc<Shared>) {
    let Ok(server) = TcpStream::connect(shared.server) else {
        return;
    };
    // Small writes are forwarded as they come.
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let clone = || Some([client.try_clone().ok()?, server.try_clone().ok()?]);
    let (Some(kept), Some([reply_to, reply_from])) = (clone(), clone()) else {
        return;
    };
    let mut state = shared.state();
    if state.refusing {
        return;
    }
    let number = state.next;
    state.next += 1;
    state.open.insert(number, kept);
    drop(state);

    let for_replies = Arc::clone(shared);
    let replies = thread::spawn(move || {
        pump(reply_from, reply_to, &for_replies, |state, _| state.reply());
    });
    let ends = clone();
    pump(client, server, shared, State::request);
    if let Some(ends) = ends {
        close(&ends);
    }
    let _ = replies.join();
    shared.state().open.remove(&number);
}

/// Copies until an end is closed; then closes both.
fn pump(
    mut from: TcpStream,
    mut to: TcpStream,
    shared: &Shared,
    fate: impl Fn(&mut State, &[u8]) -> Fate,
) {
    let mut buffer = vec![0; 64 * 1024];
    loop {
        let read = match from.read(&mut buffer) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(_) => break,
        };
        let fate = fate(&mut shared.flowing(), &buffer[..read]);
        let (forwarded, cut) = match fate {
            Fate::Forward => (read, false),
            Fate::Cut(bytes) => (bytes, true),
        };
        if to.write_all(&buffer[..forwarded]).is_err() || cut {
            break;
        }
    }
    close(&[from, to]);
}

fn close(ends: &[TcpStream; 2]) {
    for end in ends {
        // The other end may have closed it already.
        let _ = end.shutdown(Shutdown::Both);
    }
}
