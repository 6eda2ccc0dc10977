//! The same requests get the same answers under both frameworks (rule H6).
//!
//! A seed makes a sequence of requests of a few visitors: sensible ones, odd ones and broken
//! ones. Two programs get it, one under each framework, over stores of the same kind. What only
//! one of them can know (ids, tokens, times) is masked; the rest is the same, byte for byte.
//! `SEED=7 cargo test -p session-demo --features actix same_answers` tries another sequence.

use std::time::Duration;

use crate::client::{Client, LONG, Reply};
use crate::demo::Demo;

const REQUESTS: usize = 250;
const VISITORS: usize = 3;

#[tokio::test]
async fn h6_the_same_requests_get_the_same_answers() {
    match std::env::var("SEED") {
        Ok(seed) => compare(seed.parse().expect("SEED is a number")).await,
        Err(_) => {
            for seed in 1..=8 {
                compare(seed).await;
            }
        }
    }
}

async fn compare(seed: u64) {
    let mut chance = Chance(seed);
    let mut args = Vec::new();
    for (flag, value) in [
        ("--transport", "header"),
        ("--expired-message", "Too late."),
        ("--absolute-timeout", "600"),
        ("--ignore-change-ip", "false"),
    ] {
        if chance.one_in(3) {
            args.extend([flag, value]);
        }
    }
    let in_files = chance.one_in(2);
    let folders = [(); 2].map(|()| tempfile::tempdir().expect("a folder"));
    let stores = folders.each_ref().map(|folder| match in_files {
        true => format!("file:{}", folder.path().display()),
        false => "memory:".to_owned(),
    });
    let sides = [("axum", &stores[0]), ("actix", &stores[1])];
    let mut sides = sides.map(|(framework, store)| {
        let demo = Demo::start_under(framework, &[&["--store", store], &*args].concat());
        let client = || match args.contains(&"header") {
            true => Client::by_header(&demo.url),
            false => Client::new(&demo.url),
        };
        let visitors = [(); VISITORS].map(|()| Visitor::new(client()));
        (demo, framework, visitors)
    });
    for number in 0..REQUESTS {
        let visitor = chance.below(VISITORS);
        let request = Sent::random(&mut chance);
        let mut answers = Vec::new();
        for (demo, framework, visitors) in &mut sides {
            let reply = visitors[visitor].send(&request).await;
            let own = demo.url.trim_start_matches("http://");
            answers.push(masked(&reply, framework, own));
        }
        if let Some([axum, actix]) = first_difference(&answers[0], &answers[1]) {
            let store = stores[0].split(':').next().unwrap_or_default();
            panic!(
                "seed {seed}, request {number} of visitor {visitor}, {store}, {args:?}:\n\
                 {request:?}\naxum:  {axum}\nactix: {actix}"
            );
        }
        // Lists are in the order of last use, so no two requests may fall into one millisecond.
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// One visitor of one program, and what they have seen of it.
struct Visitor {
    client: Client,
    /// Tokens that were good once.
    former: Vec<String>,
    csrf: String,
    handles: Vec<String>,
}

impl Visitor {
    fn new(client: Client) -> Self {
        Self {
            client,
            former: Vec::new(),
            csrf: String::new(),
            handles: Vec::new(),
        }
    }

    async fn send(&mut self, sent: &Sent) -> Reply {
        let body = self.filled(&sent.body);
        let own = self.client.url();
        let headers: Vec<_> = sent
            .headers
            .iter()
            .map(|(name, value)| (*name, self.filled(value).replace("OWN", &own)))
            .collect();
        let headers: Vec<_> = headers
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        let before = self.client.token();
        let reply = self.answer(sent, &headers, &body).await;
        if let Some(token) = before.filter(|token| self.client.token().as_ref() != Some(token)) {
            self.former.push(token);
        }
        if sent.path == "/csrf" && sent.method == "GET" && reply.status == 200 {
            self.csrf.clone_from(&reply.body);
        }
        if sent.path == "/devices" && sent.method == "GET" && reply.status == 200 {
            let list = reply.json();
            let list = list.as_array().expect("a list").iter();
            let handles = list.map(|one| one["handle"].as_str().expect("a text").to_owned());
            self.handles = handles.collect();
        }
        reply
    }

    /// The answer to a request, which is sent again where none could be read: a server that refuses
    /// a long body unread may close the connection while it is being written, and the answer is lost
    /// with it (RFC 9112, section 9.6). What it refuses so has changed nothing, as
    /// [`Sent::random`] gives no long body to what acts without reading it.
    async fn answer(&self, sent: &Sent, headers: &[(&str, &str)], body: &str) -> Reply {
        let tries = if sent.body.len() > LONG { 20 } else { 1 };
        let mut failure = String::new();
        for _ in 0..tries {
            let sending = self.client.try_send(sent.method, &sent.path, headers, body);
            match sending.await {
                Ok(reply) => return reply,
                Err(error) => failure = format!("{error:?}"),
            }
        }
        let sent: String = format!("{sent:?}").chars().take(300).collect();
        panic!("{sent}…: {failure}")
    }

    /// A text with this visitor's own things in it.
    fn filled(&self, text: &str) -> String {
        let last = |list: &[String]| list.last().cloned().unwrap_or_default();
        text.replace("CSRF", &self.csrf)
            .replace("HANDLE", &last(&self.handles))
            .replace("FORMER", &last(&self.former))
    }
}

/// A request, but for what is the program's own: `CSRF`, `HANDLE`, `FORMER` and `OWN` stand for it.
#[derive(Debug)]
struct Sent {
    method: &'static str,
    path: String,
    headers: Vec<(&'static str, String)>,
    body: String,
}

impl Sent {
    fn random(chance: &mut Chance) -> Self {
        let (mut method, path, body) = match chance.below(10) {
            0..7 => chance.of(SENSIBLE),
            7 | 8 => (chance.of(METHODS), chance.of(PATHS), chance.of(BODIES)),
            _ => {
                let (_, path, body) = chance.of(SENSIBLE);
                (chance.of(METHODS), path, body)
            }
        };
        let mut headers = Vec::new();
        for (name, values) in HEADERS {
            if chance.one_in(8) {
                headers.push((*name, chance.of(values).to_owned()));
            }
        }
        let mut body = body.to_owned();
        if body == "LARGE" {
            // These would act, and leave the body: `/count` counts.
            if matches!(method, "GET" | "HEAD" | "DELETE") {
                method = "PUT";
            }
            body = format!(
                "\"{}\"",
                "x".repeat(chance.of(&[1_000_000, 1_048_576, 2_200_000]))
            );
        }
        Self {
            method,
            path: path.to_owned(),
            headers,
            body,
        }
    }
}

const METHODS: &[&str] = &[
    "GET", "HEAD", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "BREW",
];

#[rustfmt::skip]
const SENSIBLE: &[(&str, &str, &str)] = &[
    ("GET", "/", ""),
    ("GET", "/", ""),
    ("HEAD", "/", ""),
    ("POST", "/", "action=count"),
    ("GET", "/plain", ""),
    ("GET", "/count", ""),
    ("GET", "/count", ""),
    ("HEAD", "/count", ""),
    ("GET", "/peek", ""),
    ("GET", "/peek", ""),
    ("GET", "/reset", ""),
    ("POST", "/login", "user=ada"),
    ("POST", "/login", "user=ada"),
    ("POST", "/login", "user=%C3%A9ve+%3Cb%3E"),
    ("POST", "/logout", ""),
    ("GET", "/me", ""),
    ("GET", "/me", ""),
    ("HEAD", "/me", ""),
    ("PUT", "/values/a", "{\"b\":[1, 2.50, null]}"),
    ("PUT", "/values/count", "41"),
    ("PUT", "/values/count", "\"no number\""),
    ("PUT", "/values/lang", "\"fr\""),
    ("PUT", "/values/a%2Fb%20%C3%A9", "true"),
    ("PUT", "/values/big", "LARGE"),
    ("GET", "/values/a", ""),
    ("GET", "/values/a%2Fb%20%C3%A9", ""),
    ("HEAD", "/values/a", ""),
    ("DELETE", "/values/a", ""),
    ("DELETE", "/values/big", ""),
    ("DELETE", "/values/count", ""),
    ("GET", "/slow?ms=1&key=slow&value=a+b", ""),
    ("GET", "/devices", ""),
    ("GET", "/devices", ""),
    ("POST", "/devices/revoke", "handle=HANDLE"),
    ("POST", "/devices/revoke", "others=1"),
    ("GET", "/csrf", ""),
    ("GET", "/csrf", ""),
    ("POST", "/transfer", "amount=3&csrf_token=CSRF"),
    ("GET", "/lang/de", ""),
    ("GET", "/lang/en", ""),
    ("GET", "/healthz", ""),
];

const PATHS: &[&str] = &[
    "/nowhere",
    "/count/",
    "//count",
    "/%63ount",
    "/COUNT",
    "/count?x=1&y",
    "/count%20",
    "/count%2F",
    "/./count",
    "/a/../count",
    "/values",
    "/values/",
    "/values//a",
    "/values/a/",
    "/values/a/b",
    "/values/%FF",
    "/values/%",
    "/values/%2",
    "/values/%00%0A",
    "/values/{key}",
    "/values/a+b",
    "/values/%61",
    "/%76alues/a",
    "/values/a%25b",
    "/values/a;b=c",
    "/values/~!$&'()*,:@",
    "/lang/xx",
    "/lang/%64%65",
    "/lang/",
    "/slow",
    "/slow?key=k&ms=99999999999x",
    "/slow?key=%FF&value=%00",
    "/devices/revoke/",
    "/devices/",
    "/login?user=ada",
    "/healthz?",
    "/me?a=b",
    "/index.html",
    "/favicon.ico",
];

const BODIES: &[&str] = &[
    "",
    "user=",
    "user",
    "user=+%00+",
    "user=%FF",
    "action=dance",
    "action=count&action=dance",
    "others=0",
    "others=1&handle=HANDLE",
    "handle=me",
    "amount=&csrf_token=CSRF",
    "amount=1&csrf_token=wrong",
    "csrf_token=CSRFx&amount=2",
    "{\"a\":",
    "[1,2",
    "1 2",
    "\u{fffd}\u{0}",
    "LARGE",
];

const HEADERS: &[(&str, &[&str])] = &[
    ("accept", &["text/html,*/*;q=0.8", "*/*", "TEXT/HTML", ""]),
    ("user-agent", &["demo/1.0", "", "é", "x/1 (a; b) <script>"]),
    (
        "origin",
        &["OWN", "http://evil.example", "null", "https://"],
    ),
    (
        "sec-fetch-site",
        &["same-origin", "cross-site", "none", "x"],
    ),
    (
        "cookie",
        &[
            "FORMER",
            "a=b; c",
            "sid=",
            "sid=x.y; FORMER",
            ";;;=",
            "sid=é",
        ],
    ),
    ("x-session-id", &["FORMER", "", "x"]),
    ("x-forwarded-for", &["198.51.100.7", "nonsense"]),
    (
        "content-type",
        &["application/json", "text/plain", "multipart/form-data"],
    ),
    ("content-encoding", &["gzip", "identity"]),
    ("range", &["bytes=0-1"]),
    ("if-none-match", &["*"]),
    ("x-http-method-override", &["DELETE"]),
];

/// Where two texts differ for the first time, with what is around it.
fn first_difference(one: &str, other: &str) -> Option<[String; 2]> {
    let same = one.chars().zip(other.chars()).take_while(|(a, b)| a == b);
    let same = same.count();
    let around = |text: &str| {
        let part = text.chars().skip(same.saturating_sub(60)).take(160);
        format!("{:?}", part.collect::<String>())
    };
    (one != other).then(|| [around(one), around(other)])
}

/// What the two answers must have in common.
fn masked(reply: &Reply, framework: &str, own: &str) -> String {
    const FIELDS: [&str; 12] = [
        "allow",
        "cache-control",
        "content-security-policy",
        "content-type",
        "location",
        "referrer-policy",
        "retry-after",
        "set-cookie",
        "vary",
        "www-authenticate",
        "x-content-type-options",
        "x-session-id",
    ];
    let mut text = format!("{}\n", reply.status);
    // Under axum a refusal by a layer has it, too, where the method would not have been allowed.
    let fields = FIELDS
        .iter()
        .filter(|name| **name != "allow" || reply.status == 405);
    for name in fields {
        for value in reply.headers.get_all(*name) {
            let value = String::from_utf8_lossy(value.as_bytes());
            text += &format!("{name}: {value}\n");
        }
    }
    text += &reply
        .body
        .replace(framework, "FRAMEWORK")
        .replace(own, "HOST");
    without_moments(&without_tokens(&without_times(&text)))
}

/// Long runs of what ids and tokens are made of, as their lengths.
fn without_tokens(text: &str) -> String {
    let is_token = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let mut masked = String::new();
    let mut rest = text;
    while let Some(start) = rest.find(is_token) {
        let (before, run) = rest.split_at(start);
        let end = run.find(|c| !is_token(c)).unwrap_or(run.len());
        let (run, after) = run.split_at(end);
        masked += before;
        match run.len() {
            22.. => masked += &format!("<{}>", run.len()),
            _ => masked += run,
        }
        rest = after;
    }
    masked + rest
}

/// The page's elements with times in them, empty.
fn without_times(text: &str) -> String {
    let mut parts = text.split("<time ");
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        masked += "<time>";
        masked += part.split_once("</time>").map_or(part, |(_, rest)| rest);
    }
    masked
}

/// Dates with times (RFC 3339, in UTC), as such.
fn without_moments(text: &str) -> String {
    let mut masked = String::new();
    let mut rest = text;
    while let Some(year) = rest.find("20") {
        let (before, from) = rest.split_at(year);
        masked += before;
        let end = from.find(|c: char| !(c.is_ascii_digit() || "-:.TZ".contains(c)));
        let (run, after) = from.split_at(end.unwrap_or(from.len()));
        match run.parse::<jiff::Timestamp>() {
            Ok(_) => masked += "<moment>",
            Err(_) => masked += run,
        }
        rest = after;
    }
    masked + rest
}

/// Numbers that only the seed decides (splitmix64, Steele et al. 2014).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn below(&mut self, count: usize) -> usize {
        (self.next() % count as u64) as usize
    }

    fn one_in(&mut self, count: usize) -> bool {
        self.below(count) == 0
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}
