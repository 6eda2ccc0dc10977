//! A real server on a port of its own, and connections to it.

use std::net::SocketAddr;
use std::time::Duration;

use actix_web::dev;
use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use session_core::conformance::http::Step;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::world::Reply;

/// A listener for a server to take over.
pub(crate) fn listener() -> std::net::TcpListener {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap()
}

/// A slow machine is no reason to close a connection.
pub(crate) const PATIENCE: Duration = Duration::from_secs(600);

/// A running server; it ends when dropped.
pub(crate) struct Server {
    address: SocketAddr,
    running: tokio::task::JoinHandle<std::io::Result<()>>,
}

impl Server {
    pub(crate) fn run(address: SocketAddr, server: dev::Server) -> Self {
        let running = tokio::spawn(server);
        Self { address, running }
    }

    pub(crate) async fn connect(&self) -> Connection {
        Connection(BufReader::new(self.stream().await))
    }

    /// A connection without anything around it.
    pub(crate) async fn stream(&self) -> TcpStream {
        TcpStream::connect(self.address).await.unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.running.abort();
    }
}

/// Serves the application that the expression makes for each worker.
macro_rules! serve {
    ($app:expr) => {
        serve!($app, workers = 1, |server| server)
    };
    ($app:expr, workers = $workers:expr) => {
        serve!($app, workers = $workers, |server| server)
    };
    ($app:expr, workers = $workers:expr, |$server:ident| $configured:expr) => {{
        let listener = $crate::server::listener();
        let address = listener.local_addr().unwrap();
        let $server = actix_web::HttpServer::new($app)
            .workers($workers)
            .keep_alive($crate::server::PATIENCE)
            .client_request_timeout($crate::server::PATIENCE)
            .disable_signals();
        let server = $configured.listen(listener).unwrap().run();
        $crate::server::Server::run(address, server)
    }};
}
pub(crate) use serve;

/// One connection, kept alive.
pub(crate) struct Connection(BufReader<TcpStream>);

impl Connection {
    pub(crate) async fn write(&mut self, text: impl AsRef<[u8]>) {
        self.0.write_all(text.as_ref()).await.unwrap();
    }

    /// Sends a script and reads the answer.
    pub(crate) async fn call(&mut self, cookie: &str, steps: &[Step]) -> Reply {
        self.write(post("/eager", cookie, steps)).await;
        self.answer().await
    }

    /// Reads a head and a body of a known length.
    pub(crate) async fn answer(&mut self) -> Reply {
        let mut reply = self.head().await;
        let length = reply.header("content-length").parse().unwrap_or(0);
        let mut body = vec![0; length];
        self.0.read_exact(&mut body).await.unwrap();
        reply.body = String::from_utf8(body).unwrap();
        reply
    }

    /// Reads a head.
    pub(crate) async fn head(&mut self) -> Reply {
        let first = self.line().await;
        let status = first.split(' ').nth(1).expect("a status line");
        let mut headers = HeaderMap::new();
        loop {
            let line = self.line().await;
            let Some((name, value)) = line.split_once(": ") else {
                break;
            };
            let name: HeaderName = name.parse().unwrap();
            headers.append(name, HeaderValue::from_str(value).unwrap());
        }
        Reply {
            status: status.parse().unwrap(),
            headers,
            body: String::new(),
        }
    }

    /// Reads a line.
    pub(crate) async fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).await.unwrap();
        line.trim_end().to_owned()
    }

    /// Reads a chunk of a body of unknown length; empty at its end.
    pub(crate) async fn chunk(&mut self) -> String {
        let length = usize::from_str_radix(&self.line().await, 16).unwrap();
        let mut chunk = vec![0; length + 2];
        self.0.read_exact(&mut chunk).await.unwrap();
        chunk.truncate(length);
        String::from_utf8(chunk).unwrap()
    }

    /// Whatever still comes until the end, be it an orderly one or not.
    pub(crate) async fn rest(mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.0.read_to_end(&mut rest).await;
        rest
    }
}

/// A request as it is sent.
pub(crate) fn post(path: &str, cookie: &str, steps: &[Step]) -> String {
    let body = serde_json::to_string(steps).unwrap();
    let size = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\ncontent-length: {size}\r\n\r\n{body}"
    )
}
