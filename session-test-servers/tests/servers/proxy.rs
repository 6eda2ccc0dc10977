//! The proxy, in front of a server that echoes lines and counts the bytes it got.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use session_test_servers::Proxy;

use crate::process::until;

/// Lives as long as the test's process.
struct Echo {
    addr: SocketAddr,
    received: Arc<AtomicUsize>,
}

impl Echo {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let addr = listener.local_addr().unwrap();
        let received = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&received);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let count = Arc::clone(&count);
                thread::spawn(move || echo(stream.unwrap(), &count));
            }
        });
        Self { addr, received }
    }

    fn received(&self) -> usize {
        self.received.load(Ordering::SeqCst)
    }
}

fn echo(mut stream: TcpStream, count: &AtomicUsize) {
    let mut buffer = [0; 1024];
    while let Ok(read @ 1..) = stream.read(&mut buffer) {
        count.fetch_add(read, Ordering::SeqCst);
        if stream.write_all(&buffer[..read]).is_err() {
            return;
        }
    }
}

struct Client(BufReader<TcpStream>);

impl Client {
    fn connect(proxy: &Proxy) -> Self {
        let stream = TcpStream::connect(proxy.addr()).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(60)))
            .unwrap();
        Self(BufReader::new(stream))
    }

    /// The line as it came back; nothing if the connection was cut.
    fn ask(&mut self, line: &str) -> Option<String> {
        self.0
            .get_mut()
            .write_all(format!("{line}\n").as_bytes())
            .ok()?;
        let mut answer = String::new();
        self.0.read_line(&mut answer).ok()?;
        answer.strip_suffix('\n').map(str::to_owned)
    }
}

#[test]
fn it_forwards_both_ways() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.addr).unwrap();
    let mut client = Client::connect(&proxy);
    assert_eq!(client.ask("one").as_deref(), Some("one"));
    assert_eq!(client.ask("two").as_deref(), Some("two"));
}

#[test]
fn a_cut_ends_open_connections_and_new_ones_are_served() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.addr).unwrap();
    let mut client = Client::connect(&proxy);
    client.ask("one").unwrap();
    proxy.cut();
    assert_eq!(client.ask("two"), None);
    assert_eq!(
        Client::connect(&proxy).ask("three").as_deref(),
        Some("three")
    );
}

#[test]
fn a_refusing_proxy_keeps_its_open_connections_and_its_port() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.addr).unwrap();
    let mut client = Client::connect(&proxy);
    client.ask("one").unwrap();
    proxy.refuse();
    proxy.refuse();
    TcpStream::connect(proxy.addr()).unwrap_err();
    assert_eq!(client.ask("two").as_deref(), Some("two"));
    proxy.accept().unwrap();
    proxy.accept().unwrap();
    assert_eq!(
        Client::connect(&proxy).ask("three").as_deref(),
        Some("three")
    );
}

#[test]
fn a_stalled_proxy_forwards_nothing_until_it_flows() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.addr).unwrap();
    let mut client = Client::connect(&proxy);
    client.ask("one").unwrap();
    proxy.stall();
    let asking = thread::spawn(move || client.ask("two"));
    thread::sleep(Duration::from_millis(50));
    assert!(!asking.is_finished());
    assert_eq!(echo.received(), 4);
    proxy.flow();
    assert_eq!(asking.join().unwrap().as_deref(), Some("two"));
}

#[test]
fn a_request_is_cut_at_the_byte_that_was_named_and_the_next_is_whole() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.addr).unwrap();
    let mut client = Client::connect(&proxy);
    client.ask("one").unwrap();
    proxy.cut_request_after(6);
    client.ask("two").unwrap();
    assert_eq!(client.ask("three"), None);
    until("six more bytes", || echo.received() == 10);
    let mut client = Client::connect(&proxy);
    assert_eq!(client.ask("a whole line").as_deref(), Some("a whole line"));
    assert_eq!(echo.received(), 23);
}

#[test]
fn lost_replies_are_to_requests_that_arrived() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.addr).unwrap();
    let mut client = Client::connect(&proxy);
    client.ask("one").unwrap();
    proxy.lose_replies();
    assert_eq!(client.ask("two"), None);
    assert_eq!(echo.received(), 8);
    assert_eq!(Client::connect(&proxy).ask("three"), None);
    proxy.flow();
    assert_eq!(Client::connect(&proxy).ask("four").as_deref(), Some("four"));

    proxy.lose_next_reply();
    assert_eq!(Client::connect(&proxy).ask("five"), None);
    assert_eq!(Client::connect(&proxy).ask("six").as_deref(), Some("six"));
    assert_eq!(proxy.replies_lost(), 3);
}

#[test]
fn the_lost_reply_is_to_the_request_that_was_described() {
    let echo = Echo::start();
    let proxy = Proxy::to(echo.addr).unwrap();
    let mut client = Client::connect(&proxy);
    proxy.lose_reply_to("write");
    assert_eq!(client.ask("read").as_deref(), Some("read"));
    assert_eq!(client.ask("a write"), None);
    assert_eq!(echo.received(), 13);
    assert_eq!(proxy.replies_lost(), 1);
    let mut client = Client::connect(&proxy);
    assert_eq!(client.ask("write").as_deref(), Some("write"));
}
