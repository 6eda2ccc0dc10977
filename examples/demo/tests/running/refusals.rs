//! What the routes refuse, and how.

use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use crate::client::Client;
use crate::demo::Demo;

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.post("/login", "user=ada").await;
    let me = client.get("/me").await.json()["values"].clone();
    let long = format!("user={}", "x".repeat(256));
    let table = [
        ("POST", "/login", "", 400),
        ("POST", "/login", "user=", 400),
        ("POST", "/login", "user=+", 400),
        ("POST", "/login", &long, 400),
        ("POST", "/", "action=dance", 400),
        ("POST", "/", "", 400),
        ("PUT", "/values/a", "", 400),
        ("PUT", "/values/a", "{\"a\":1", 400),
        ("PUT", "/values/a", "1 2", 400),
        ("PUT", "/values/%FF", "1", 400),
        ("GET", "/slow?ms=1", "", 400),
        ("GET", "/slow?ms=soon&key=a", "", 400),
        ("POST", "/devices/revoke", "", 400),
        ("POST", "/devices/revoke", "others=0", 400),
        (
            "POST",
            "/devices/revoke",
            "others=1&handle=AAAAAAAAAAAAAAAAAAAAAA",
            400,
        ),
        (
            "POST",
            "/devices/revoke",
            "handle=AAAAAAAAAAAAAAAAAAAAAA",
            404,
        ),
        ("POST", "/devices/revoke", "handle=me", 404),
        ("GET", "/lang/EN", "", 404),
        ("GET", "/values/none", "", 404),
        ("GET", "/nowhere", "", 404),
        ("GET", "/login", "", 405),
        ("POST", "/count", "", 405),
    ];
    for (method, path, body, status) in table {
        let reply = client.send(method, path, &[], body).await;
        assert_eq!(
            reply.status, status,
            "{method} {path} {body}: {}",
            reply.body
        );
        assert_eq!(reply.header("content-type"), "text/plain; charset=utf-8");
        assert_eq!(reply.header("set-cookie"), "", "{method} {path}");
    }
    assert_eq!(client.get("/me").await.json()["values"], me);
}

#[tokio::test]
async fn devices_are_shown_to_those_who_are_logged_in() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    assert_eq!(client.get("/devices").await.status, 401);
    assert_eq!(client.post("/devices/revoke", "others=1").await.status, 401);
}

#[tokio::test]
async fn nobody_ends_the_session_of_another_user() {
    let demo = Demo::start(&["--store", "memory:"]);
    let [ada, eve] = [(); 2].map(|()| Client::new(&demo.url));
    ada.post("/login", "user=ada").await;
    eve.post("/login", "user=eve").await;
    let list = ada.get("/devices").await.json();
    let form = format!("handle={}", list[0]["handle"].as_str().expect("text"));
    assert_eq!(eve.post("/devices/revoke", &form).await.status, 404);
    assert_eq!(ada.get("/me").await.json()["user"], "ada");
}

#[tokio::test]
async fn posts_from_another_site_are_refused() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    let own = demo.url.as_str();
    let table: [(&[(&str, &str)], u16); 7] = [
        (&[], 303),
        (&[("origin", own)], 303),
        (&[("origin", own), ("sec-fetch-site", "same-origin")], 303),
        (&[("origin", "http://evil.example")], 403),
        (&[("origin", "null")], 403),
        (&[("sec-fetch-site", "cross-site")], 403),
        (&[("sec-fetch-site", "same-site"), ("origin", own)], 403),
    ];
    for (headers, status) in table {
        let reply = client.send("POST", "/", headers, "action=count").await;
        assert_eq!(reply.status, status, "{headers:?}");
    }
    assert_eq!(client.get("/peek").await.body, "4");
    // The one route that goes by its token instead.
    let token = client.get("/csrf").await.body;
    let form = format!("amount=1&csrf_token={token}");
    let elsewhere = [("origin", "http://evil.example")];
    let reply = client.send("POST", "/transfer", &elsewhere, &form).await;
    assert_eq!(reply.status, 200);
}

#[tokio::test]
async fn a_count_that_is_no_number_is_a_conflict() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    for json in [
        "\"three\"",
        "null",
        "-1",
        "1.5",
        "[1]",
        "18446744073709551615",
    ] {
        client.send("PUT", "/values/count", &[], json).await;
        assert_eq!(client.get("/count").await.status, 409, "{json}");
        let button = client.post("/", "action=count").await;
        assert_eq!(button.status, 409, "{json}");
        assert_eq!(client.get("/").await.status, 200, "{json}");
        assert_eq!(client.get("/values/count").await.body, json);
    }
}

#[tokio::test]
async fn a_session_that_grows_too_large_stays_as_it_was() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    let table = [(1_000_000, 204), (1_048_576, 413), (3 * 1_048_576, 413)];
    for (length, status) in table {
        let json = format!("\"{}\"", "x".repeat(length));
        let reply = client.send("PUT", "/values/big", &[], &json).await;
        assert_eq!(reply.status, status, "{length}");
    }
    assert_eq!(client.get("/values/big").await.body.len(), 1_000_002);
    assert_eq!(client.get("/peek").await.body, "1");
}

/// The request is let into its session before its body is asked for, so it can be held there.
#[tokio::test]
async fn a_save_of_a_session_that_has_ended_is_a_conflict() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    let twin = client.twin();
    let held = Held::put(&client, "/values/late").await;
    client.get("/reset").await;
    assert_eq!(held.finish("1").await, 409);
    assert_eq!(twin.get("/values/late").await.status, 404);
}

/// A request whose body is still to be sent.
pub(crate) struct Held(BufReader<TcpStream>);

impl Held {
    /// Sends a request's head and waits until its handler asks for the body, of one byte.
    pub(crate) async fn put(client: &Client, path: &str) -> Self {
        let url = client.url();
        let address = url.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await.expect("it listens");
        let mut stream = BufReader::new(stream);
        let cookie = client.token().unwrap_or_default();
        let head = format!(
            "PUT {path} HTTP/1.1\r\nHost: {address}\r\nCookie: {cookie}\r\n\
             Content-Length: 1\r\nExpect: 100-continue\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).await.expect("it reads");
        let mut held = Self(stream);
        assert_eq!(held.status().await, 100);
        held.0
            .read_line(&mut String::new())
            .await
            .expect("an empty line");
        held
    }

    /// Sends the body and returns the answer's status.
    pub(crate) async fn finish(mut self, body: &str) -> u16 {
        self.0.write_all(body.as_bytes()).await.expect("it reads");
        let status = self.status().await;
        // Up to the end of the connection or of the head, whichever it is.
        let _ = self.0.read_u8().await;
        status
    }

    async fn status(&mut self) -> u16 {
        let mut line = String::new();
        self.0.read_line(&mut line).await.expect("it answers");
        let code = line.split(' ').nth(1).expect("a status line");
        code.parse().expect("a status code")
    }
}
