//! The page that a session gets to see.

use crate::client::{Client, Reply};
use crate::demo::Demo;

#[tokio::test]
async fn the_page_comes_with_headers_that_hold_a_browser_to_it() {
    let demo = Demo::start(&["--store", "memory:"]);
    let reply = Client::new(&demo.url).get("/").await;
    let table = [
        ("x-content-type-options", "nosniff"),
        ("cache-control", "no-store"),
        ("referrer-policy", "same-origin"),
        ("content-security-policy", session_demo::page::csp()),
    ];
    for (name, value) in table {
        assert_eq!(reply.header(name), value, "{name}");
    }
}

#[tokio::test]
async fn after_each_action_the_page_says_once_what_happened() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.post("/", "action=count").await;
    client.post("/", "action=count").await;
    let page = client.get("/").await;
    assert_eq!(flashes(&page), ["Counted to 1.", "Counted to 2."]);
    assert_eq!(flashes(&client.get("/").await), [""; 0]);

    client.post("/login", "user=ada+%3Cb%3E").await;
    let page = client.get("/").await;
    assert_eq!(flashes(&page), ["Signed in as ada &lt;b&gt;."]);
    assert!(page.body.contains("<h1>Hello, ada &lt;b&gt;.</h1>"));

    client.get("/lang/de").await;
    let page = client.get("/").await;
    assert_eq!(flashes(&page), ["Diese Seite spricht jetzt Deutsch."]);
    assert!(page.body.contains("<html lang=\"de\">"));

    client.post("/devices/revoke", "others=1").await;
    let page = client.get("/").await;
    assert_eq!(flashes(&page), ["Alle anderen Geräte sind abgemeldet."]);
}

#[tokio::test]
async fn a_browser_that_signs_out_is_told_so_in_its_language() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.get("/lang/fr").await;
    client.get("/count").await;
    client.post("/login", "user=ada").await;
    let before = client.twin();
    let browser = [("accept", "text/html,application/xhtml+xml,*/*;q=0.8")];
    let reply = client.send("POST", "/logout", &browser, "").await;
    assert_eq!((reply.status, reply.header("location")), (303, "/"));
    let page = client.get("/").await;
    assert_eq!(flashes(&page), ["Session fermée."]);
    assert!(page.body.contains("<h1>Bonjour.</h1>"));
    assert_eq!(client.get("/peek").await.body, "0");
    assert_eq!(
        before.get("/me").await.json()["user"],
        serde_json::json!(null)
    );
}

#[tokio::test]
async fn forms_carry_a_token_once_there_is_a_session() {
    let demo = Demo::start(&["--store", "memory:"]);
    let client = Client::new(&demo.url);
    client.get("/count").await;
    let page = client.get("/").await;
    let (_, rest) = page
        .body
        .split_once("name=\"csrf_token\" value=\"")
        .expect("there is a token");
    let (token, _) = rest.split_once('"').expect("it ends");
    let form = format!("csrf_token={token}&amount=1");
    assert_eq!(client.post("/transfer", &form).await.status, 200);
}

fn flashes(page: &Reply) -> Vec<&str> {
    let (_, rest) = page.body.split_once("id=\"flash\"").expect("a place");
    let (lines, _) = rest.split_once("</div>").expect("it ends");
    lines
        .split("<p class=\"flash ")
        .skip(1)
        .filter_map(|line| Some(line.split_once('>')?.1.split_once("</p>")?.0))
        .collect()
}
