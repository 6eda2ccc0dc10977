//! What each route does and answers.

use serde_json::json;
use tokio::task::JoinSet;

use crate::client::Client;
use crate::demo::Demo;

#[tokio::test]
async fn a_request_that_touches_no_session_leaves_no_trace_of_one() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    let reply = client.get("/plain").await;
    assert_eq!(reply.short(), (200, "ok"));
    for header in ["set-cookie", "vary", "cache-control"] {
        assert_eq!(reply.header(header), "", "{header}");
    }
}

#[tokio::test]
async fn showing_the_page_stores_nothing() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    let reply = client.get("/").await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.header("content-type"), "text/html; charset=utf-8");
    assert_eq!(reply.header("set-cookie"), "");
    assert_eq!(reply.header("vary"), "Cookie");
    assert!(!reply.body.contains("csrf_token"));
    assert!(reply.body.contains("memory") && reply.body.contains(crate::FRAMEWORK));
}

#[tokio::test]
async fn counting_answers_the_committed_number_and_peeking_changes_nothing() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    assert_eq!(client.get("/peek").await.short(), (200, "0"));
    assert_eq!(client.token(), None);
    let first = client.get("/count").await;
    assert_eq!(first.short(), (200, "1"));
    assert_eq!(first.header("content-type"), "text/plain; charset=utf-8");
    assert_eq!(first.header("cache-control"), "no-store");
    let cookie = first.header("set-cookie");
    assert!(cookie.starts_with("sid="), "{cookie}");
    assert!(
        cookie.ends_with("; Path=/; HttpOnly; SameSite=Lax"),
        "{cookie}"
    );
    let second = client.get("/count").await;
    assert_eq!(
        (second.short(), second.header("set-cookie")),
        ((200, "2"), "")
    );
    assert_eq!(client.get("/peek").await.short(), (200, "2"));
}

#[tokio::test]
async fn c2_sixty_four_at_once_lose_no_count_on_any_store() {
    let dir = tempfile::tempdir().expect("a folder");
    let files = format!("file:{}", dir.path().display());
    for store in ["memory:", files.as_str()] {
        let demo = Demo::start(&["--store", store]);
        let client = Client::new(&demo.url);
        client.send("PUT", "/values/count", &[], "0").await;
        let mut counting = JoinSet::new();
        for _ in 0..64 {
            let client = client.twin();
            counting.spawn(async move {
                let mut answers = Vec::new();
                for _ in 0..100 {
                    let reply = client.get("/count").await;
                    assert_eq!(reply.status, 200, "{}", reply.body);
                    answers.push(reply.body.parse::<u64>().expect("a number"));
                }
                answers
            });
        }
        let mut answers: Vec<u64> = counting.join_all().await.concat();
        answers.sort_unstable();
        assert!(answers.into_iter().eq(1..=6_400), "{store}");
        assert_eq!(client.get("/peek").await.body, "6400");
    }
}

#[tokio::test]
async fn resetting_ends_the_session_for_everyone_who_has_its_token() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    let twin = client.twin();
    let reply = client.get("/reset").await;
    assert_eq!((reply.short(), client.token()), ((200, ""), None));
    assert!(reply.header("set-cookie").starts_with("sid=; Max-Age=0"));
    assert_eq!(twin.get("/peek").await.body, "0");
}

#[tokio::test]
async fn me_tells_user_times_and_every_value() {
    let demo = Demo::start(&["--store", "memory:", "--timeout", "3600"]);
    let client = Client::new(&demo.url);
    let nobody = client.get("/me").await;
    assert_eq!(nobody.header("content-type"), "application/json");
    assert_eq!(
        nobody.body,
        r#"{"user":null,"is_new":true,"created_at":null,"accessed_at":null,"expires_at":null,"values":{}}"#
    );
    client.get("/count").await;
    client.get("/lang/fr").await;
    client
        .send("PUT", "/values/basket", &[], "[1, {\"b\": null}]")
        .await;
    client.post("/login", "user=ada").await;
    let me = client.get("/me").await.json();
    assert_eq!(me["user"], "ada");
    assert_eq!(me["is_new"], false);
    assert_eq!(
        me["values"],
        json!({"count": 1, "lang": "fr", "basket": [1, {"b": null}]})
    );
    let moment = |name: &str| {
        let text = me[name].as_str().expect("there is a moment");
        text.parse::<jiff::Timestamp>().expect("it is RFC 3339")
    };
    let idle = moment("expires_at").duration_since(moment("accessed_at"));
    assert_eq!(idle.as_secs(), 3600);
    assert!(moment("created_at") <= moment("accessed_at"));
}

#[tokio::test]
async fn login_renews_the_token_and_logout_ends_the_session() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    let before = client.twin();
    let reply = client.post("/login", "user=ada").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/"));
    assert_ne!(client.token(), before.token());
    assert_eq!(client.get("/peek").await.body, "1");
    assert_eq!(before.get("/peek").await.body, "0", "the old token is dead");

    let after = client.twin();
    let reply = client.post("/logout", "").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/"));
    assert_eq!(client.token(), None);
    assert_eq!(after.get("/me").await.json()["user"], json!(null));
}

#[tokio::test]
async fn who_logs_in_over_another_user_finds_nothing_of_theirs() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.post("/login", "user=ada").await;
    client.get("/count").await;
    client.post("/login", "user=%20eve%20").await;
    let me = client.get("/me").await.json();
    assert_eq!((&me["user"], &me["values"]), (&json!("eve"), &json!({})));
}

#[tokio::test]
async fn values_are_kept_as_they_are_under_any_key() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    let exact = "{\"b\":1.50,\"a\":[ 1e2 , \"\\u00e9\"]}";
    let key = "/values/a%2Fb%20%C3%A9%25";
    assert_eq!(client.get(key).await.short(), (404, "not found"));
    let reply = client.send("PUT", key, &[], exact).await;
    assert_eq!(
        (reply.short(), reply.header("content-type")),
        ((204, ""), "")
    );
    let reply = client.get(key).await;
    assert_eq!(reply.short(), (200, exact));
    assert_eq!(reply.header("content-type"), "application/json");
    assert_eq!(
        client.get("/me").await.json()["values"]["a/b é%"]["a"][0],
        100.0
    );
    assert_eq!(client.send("DELETE", key, &[], "").await.short(), (204, ""));
    assert_eq!(client.send("DELETE", key, &[], "").await.status, 204);
    assert_eq!(client.get(key).await.status, 404);
}

#[tokio::test]
async fn a_slow_request_and_a_quick_one_both_keep_what_they_stored() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    let slow = client.twin();
    let slow = tokio::spawn(async move { slow.get("/slow?ms=300&key=slow&value=a+b").await });
    client.get("/slow?key=quick&value=%22").await;
    assert_eq!(slow.await.expect("it answers").short(), (200, "ok"));
    assert_eq!(
        client.get("/me").await.json()["values"],
        json!({"count": 1, "quick": "\"", "slow": "a b"})
    );
}

#[tokio::test]
async fn devices_are_listed_and_signed_out_one_by_one_and_all_but_one() {
    let demo = Demo::start(&["--store", "memory:"]);
    let [laptop, phone, tablet] = [(); 3].map(|()| Client::new(&demo.url));
    let agent = "é".repeat(200);
    let as_agent = [("user-agent", agent.as_str())];
    laptop.send("POST", "/login", &as_agent, "user=ada").await;
    phone.post("/login", "user=ada").await;
    tablet.post("/login", "user=ada").await;

    let list = laptop.get("/devices").await.json();
    let list = list.as_array().expect("a list");
    assert_eq!(list.len(), 3);
    let current: Vec<_> = list.iter().filter(|one| one["current"] == true).collect();
    assert_eq!(current.len(), 1);
    assert_eq!(current[0]["ip"], "127.0.0.1");
    assert_eq!(current[0]["user_agent"], "é".repeat(128));
    let other = list.iter().find(|one| one["current"] == false);
    let handle = other.expect("two others")["handle"].as_str().expect("text");

    let reply = laptop
        .post("/devices/revoke", &format!("handle={handle}"))
        .await;
    assert_eq!((reply.status, reply.header("location")), (303, "/"));
    let users = [&phone, &tablet].map(|device| device.get("/me"));
    let mut left = 0;
    for user in users {
        left += usize::from(user.await.json()["user"] == "ada");
    }
    assert_eq!(left, 1);
    assert_eq!(laptop.post("/devices/revoke", "others=1").await.status, 303);
    for device in [&phone, &tablet] {
        assert_eq!(device.get("/me").await.json()["user"], json!(null));
    }
    assert_eq!(
        laptop.get("/devices").await.json().as_array().map(Vec::len),
        Some(1)
    );
}

#[tokio::test]
async fn revoking_this_very_device_is_a_logout() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.post("/login", "user=ada").await;
    let list = client.get("/devices").await.json();
    let handle = list[0]["handle"].as_str().expect("text");
    let reply = client
        .post("/devices/revoke", &format!("handle={handle}"))
        .await;
    assert_eq!((reply.status, client.token()), (303, None));
}

#[tokio::test]
async fn a_transfer_needs_the_token_of_its_own_session() {
    let demo = Demo::start(&["--store", "memory:"]);
    let [client, other] = [(); 2].map(|()| Client::new(&demo.url));
    let token = client.get("/csrf").await;
    assert_eq!(token.status, 200);
    let again = client.get("/csrf").await.body;
    assert_ne!(token.body, again, "masked anew for each response");
    for token in [&token.body, &again] {
        let form = format!("amount=3&csrf_token={token}");
        assert_eq!(
            client.post("/transfer", &form).await.short(),
            (200, "transferred 3")
        );
        assert_eq!(other.post("/transfer", &form).await.status, 403);
    }
    assert_eq!(client.post("/transfer", "amount=3").await.status, 403);
}

#[tokio::test]
async fn the_store_is_asked_whether_it_is_there() {
    let demo = Demo::start(&["--store", "memory:"]);
    let reply = Client::new(&demo.url).get("/healthz").await;
    assert_eq!(
        (reply.short(), reply.header("set-cookie")),
        ((200, "ok"), "")
    );
}
