//! Several requests on one connection: no session is another's.

use session_core::conformance::http::{Probe, Step};

use crate::probe_app;
use crate::server::{post, serve};
use crate::world::{add_step, n, seen, world};

#[tokio::test]
async fn requests_of_one_connection_have_each_their_own_session() {
    let (_, manager) = world();
    let probe = Probe::new(manager);
    let server = serve!(move || probe_app::app(probe.clone()));
    let mut connection = server.connect().await;
    let mut cookies = Vec::new();
    for _ in 0..3 {
        let reply = connection.call("", &[add_step()]).await;
        assert_eq!(reply.short(), (200, "[1]"));
        cookies.push(reply.cookie());
    }
    for sum in 2..5 {
        for (times, cookie) in cookies.iter().enumerate().skip(1) {
            for again in 0..times {
                let reply = connection.call(cookie, &[add_step()]).await;
                assert_eq!(reply.cookie(), "");
                let expected = 1 + (sum - 2) * times + again + 1;
                assert_eq!(reply.body, format!("[{expected}]"));
            }
        }
        let nobody = connection.call("", &[n()]).await;
        assert_eq!((nobody.short(), &*nobody.cookie()), ((200, "[null]"), ""));
    }
    assert_eq!(connection.call(&cookies[0], &[n()]).await.body, "[1]");
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order_each_from_its_session() {
    let (_, manager) = world();
    let probe = Probe::new(manager);
    let server = serve!(move || probe_app::app(probe.clone()));
    let mut connection = server.connect().await;
    let [ada, eve] = ["ada", "eve"];
    let mut cookies = Vec::new();
    for user in [ada, eve] {
        let steps = [Step::Insert("user".into(), user.into())];
        cookies.push(connection.call("", &steps).await.cookie());
    }
    let steps = [Step::Get("user".into()), add_step()];
    let mut all = String::new();
    for round in 0..8 {
        all += &post("/eager", &cookies[round % 2], &steps);
        all += &post("/untouched", &cookies[round % 2], &[]);
    }
    // And a visitor without a session, and one who begins one.
    all += &post("/eager", "", &[Step::Keys]);
    all += &post("/eager", "", &[seen()]);
    all += &post("/eager", &cookies[0], &[Step::Keys]);
    connection.write(all).await;
    for round in 0..8 {
        let user = [ada, eve][round % 2];
        let reply = connection.answer().await;
        assert_eq!(reply.body, format!("[\"{user}\",{}]", round / 2 + 1));
        assert_eq!(reply.cookie(), "");
        let reply = connection.answer().await;
        assert_eq!((reply.short(), reply.header("vary")), ((200, "[]"), ""));
    }
    let reply = connection.answer().await;
    assert_eq!((reply.short(), &*reply.cookie()), ((200, "[[]]"), ""));
    let reply = connection.answer().await;
    assert_eq!(reply.status, 200);
    assert!(!reply.cookie().is_empty() && !cookies.contains(&reply.cookie()));
    assert_eq!(connection.answer().await.body, r#"[["user","n"]]"#);
}

#[tokio::test]
async fn cookies_come_as_bytes_in_several_fields_and_head_is_answered_without_a_body() {
    let (_, manager) = world();
    let probe = Probe::new(manager);
    let server = serve!(move || probe_app::app(probe.clone()));
    let mut connection = server.connect().await;
    let cookie = connection.call("", &[seen()]).await.cookie();
    let head = "HEAD /eager HTTP/1.1\r\nhost: x\r\n";
    let body = serde_json::to_string(&[add_step()]).unwrap();
    let mut request = format!("{head}cookie: a=").into_bytes();
    request.extend_from_slice(b"\xff\xfe\x80\r\ncookie: b=\xe9; ");
    let length = body.len();
    request.extend_from_slice(
        format!("{cookie}\r\ncontent-length: {length}\r\n\r\n{body}").as_bytes(),
    );
    connection.write(&request).await;
    let reply = connection.head().await;
    assert_eq!((reply.status, reply.header("content-length")), (200, "3"));
    assert_eq!(reply.header("vary"), "Cookie");
    // What comes next is the next answer.
    assert_eq!(connection.call(&cookie, &[n()]).await.body, "[1]");
}
