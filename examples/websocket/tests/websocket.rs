//! The socket and the stream as they run, with a real client of WebSockets.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use session_test_program::{Program, Visitor};
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

/// Longer than any machine needs: a socket that is not closed fails its test and holds up none.
const PATIENCE: Duration = Duration::from_secs(60);

type Socket = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

fn start() -> Program {
    Program::start(env!("CARGO_BIN_EXE_websocket"), &["memory:"])
}

fn signed_in(program: &Program) -> Visitor {
    let mut visitor = program.visitor();
    let reply = visitor.post("/login", "name=ada");
    assert_eq!(reply.short(), (200, "hello ada\n"));
    visitor
}

/// Opens a socket as a page of `origin` would; the error is the status of the refusal.
async fn open(visitor: &Visitor, origin: Option<&str>) -> Result<Socket, u16> {
    let url = format!("ws://{}/socket", visitor.address);
    let mut request = url.into_client_request().expect("an address");
    let headers = [
        ("cookie", Some(visitor.cookie.as_str())),
        ("origin", origin),
    ];
    for (name, value) in headers {
        if let Some(value) = value {
            let value = value.parse().expect("a header's value");
            request.headers_mut().insert(name, value);
        }
    }
    match connect_async(request).await {
        Ok((socket, _)) => Ok(socket),
        Err(Error::Http(refusal)) => Err(refusal.status().as_u16()),
        Err(error) => panic!("no answer: {error}"),
    }
}

async fn say(socket: &mut Socket, text: &str) -> String {
    socket.send(text.into()).await.expect("it is open");
    let answer = socket.next().await.expect("an answer").expect("it is open");
    answer.into_text().expect("a text").to_string()
}

/// Waits until the server closes, and returns what it says.
async fn closed(socket: &mut Socket) -> (CloseCode, String) {
    let message = timeout(PATIENCE, socket.next()).await;
    match message.expect("the server closes") {
        Some(Ok(Message::Close(Some(frame)))) => (frame.code, frame.reason.to_string()),
        other => panic!("no close: {other:?}"),
    }
}

#[tokio::test]
async fn t7_what_a_socket_stores_every_request_and_socket_of_the_session_sees() {
    let program = start();
    let visitor = signed_in(&program);
    let mut one = open(&visitor, None).await.expect("it opens");
    let mut other = open(&visitor, None).await.expect("it opens");
    assert_eq!(say(&mut one, "hi").await, "1: hi");
    assert_eq!(say(&mut other, "ho").await, "2: ho");
    assert_eq!(say(&mut one, "hum").await, "3: hum");
    assert_eq!(events(&visitor).next_data().as_deref(), Some("3"));
}

#[tokio::test]
async fn o2_a_socket_is_closed_and_a_stream_ends_when_the_user_signs_out_everywhere() {
    let program = start();
    let (visitor, mut elsewhere) = (signed_in(&program), signed_in(&program));
    let mut socket = open(&visitor, None).await.expect("it opens");
    let mut events = events(&visitor);
    assert_eq!(say(&mut socket, "hi").await, "1: hi");
    assert!(events.next_data().is_some());

    elsewhere.post("/logout-everywhere", "");
    let ended = (CloseCode::Policy, "the session has ended".to_owned());
    assert_eq!(closed(&mut socket).await, ended);
    while events.next_data().is_some() {}
    assert_eq!(open(&visitor, None).await.err(), Some(401));
    assert_eq!(visitor.clone().get("/events").status, 401);
}

#[tokio::test]
async fn c3_a_message_after_the_logout_gets_the_end_for_an_answer() {
    let program = start();
    let mut visitor = signed_in(&program);
    let mut socket = open(&visitor, None).await.expect("it opens");
    visitor.post("/logout-everywhere", "");
    // Whether this message or the look every second comes first: the answer is the end.
    // It may also find the socket closed, which is as good.
    let _ = socket.send("hi".into()).await;
    let ended = (CloseCode::Policy, "the session has ended".to_owned());
    assert_eq!(closed(&mut socket).await, ended);
}

#[tokio::test]
async fn a_socket_opens_for_pages_of_this_site_and_for_those_who_are_signed_in() {
    let program = start();
    let visitor = signed_in(&program);
    let own = format!("http://{}", program.address());
    assert!(open(&visitor, Some(&own)).await.is_ok());
    for other in ["http://evil.example", "null", ""] {
        let refused = open(&visitor, Some(other)).await;
        assert_eq!(refused.err(), Some(403), "{other}");
    }
    assert_eq!(open(&program.visitor(), Some(&own)).await.err(), Some(401));
}

/// The stream of events, as curl reads it.
struct Events(BufReader<TcpStream>);

fn events(visitor: &Visitor) -> Events {
    let (host, cookie) = (&visitor.address, &visitor.cookie);
    let mut stream = TcpStream::connect(host).expect("the program listens");
    let request = format!(
        "GET /events HTTP/1.1\r\nHost: {host}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n"
    );
    let patient = stream.set_read_timeout(Some(PATIENCE));
    patient.expect("it is not zero");
    let sent = stream.write_all(request.as_bytes());
    sent.expect("the program reads");
    Events(BufReader::new(stream))
}

impl Events {
    /// The next event's data; `None` at the end of the stream.
    fn next_data(&mut self) -> Option<String> {
        let lines = (&mut self.0).lines().map(|line| line.expect("text"));
        let mut data = lines.filter_map(|line| line.strip_prefix("data: ").map(str::to_owned));
        data.next()
    }
}
