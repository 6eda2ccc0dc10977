//! Each example of `examples/` starts and does what it says.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

#[test]
fn the_counter_counts_for_each_visitor() {
    let counter = Example::start("counter", &[]);
    let (first, cookie) = counter.send("GET", "/", "", "");
    assert_eq!(body(&first), "1\n");
    assert_eq!(body(&counter.send("GET", "/", &cookie, "").0), "2\n");
    assert_eq!(body(&counter.send("GET", "/", "", "").0), "1\n");
}

#[cfg(feature = "actix")]
#[test]
fn the_counter_under_actix_web_counts_for_each_visitor() {
    let counter = Example::start("counter-actix", &[]);
    let (first, cookie) = counter.send("GET", "/", "", "");
    assert_eq!(body(&first), "1\n");
    assert_eq!(body(&counter.send("GET", "/", &cookie, "").0), "2\n");
    assert_eq!(body(&counter.send("GET", "/", "", "").0), "1\n");
}

#[test]
fn the_login_takes_the_right_password_alone_and_ends_everywhere() {
    let login = Example::start("login", &["memory:"]);
    let (reply, _) = login.send("POST", "/login", "", "name=ada&password=wrong");
    assert!(reply.starts_with("HTTP/1.1 403 "), "{reply}");
    let right = "name=ada&password=lovelace";
    let (_, laptop) = login.send("POST", "/login", "", right);
    let (_, phone) = login.send("POST", "/login", "", &format!("{right}&remember=on"));
    let greeting = |cookie: &str| body(&login.send("GET", "/", cookie, "").0).to_owned();
    assert_eq!(greeting(&laptop), "hello ada\n");
    assert_eq!(greeting(&phone), "hello ada\n");
    login.send("POST", "/logout-everywhere", &laptop, "");
    assert_eq!(greeting(&laptop), "hello stranger\n");
    assert_eq!(greeting(&phone), "hello stranger\n");
}

#[test]
fn a_custom_store_keeps_what_it_is_given() {
    let visits = Example::start("custom-store", &[]);
    let (first, cookie) = visits.send("GET", "/", "", "");
    assert_eq!(body(&first), "visit 1\n");
    assert_eq!(body(&visits.send("GET", "/", &cookie, "").0), "visit 2\n");
}

/// A running example; killed when dropped.
struct Example {
    process: Child,
    address: String,
}

impl Example {
    fn start(name: &str, args: &[&str]) -> Self {
        let mut process = Command::new(built(name))
            .arg("127.0.0.1:0")
            .args(args)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut line = String::new();
        let stdout = process.stdout.as_mut().expect("stdout is piped");
        BufReader::new(stdout)
            .read_line(&mut line)
            .expect("it writes text");
        let address = line.trim_end().rsplit('/').next().unwrap_or_default();
        let address = address.to_owned();
        Self { process, address }
    }

    /// The whole response, and the cookie it sets as `name=value`.
    fn send(&self, method: &str, path: &str, cookie: &str, form: &str) -> (String, String) {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let length = form.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nConnection: close\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {length}\r\n\r\n\
             {form}",
            self.address
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it answers");
        let cookie = reply
            .split_once("\r\nset-cookie: ")
            .and_then(|(_, rest)| rest.split(';').next())
            .unwrap_or_default()
            .to_owned();
        (reply, cookie)
    }
}

impl Drop for Example {
    fn drop(&mut self) {
        // A failure means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn body(reply: &str) -> &str {
    reply.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

/// Where cargo has put the example: beside the folder of this very test.
fn built(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test has a path");
    let folder = test.ancestors().nth(2).expect("it is in target/…/deps");
    let example = folder.join("examples").join(name);
    assert!(
        example.is_file(),
        "{name} is not built: `cargo test --test` alone builds no example, `cargo build --examples` does"
    );
    example
}
