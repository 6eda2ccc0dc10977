//! A real web.py session moves in, once, and its user stays signed in.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Barrier;
use std::time::{Duration, SystemTime};

const ID: &str = "0123456789abcdef0123456789abcdef01234567";

/// What web.py wrote: Ada is signed in and has been counted three times.
const SESSION: &[u8] = include_bytes!(
    "../../../session-import/tests/vectors/web_py/python3-plain/0123456789abcdef0123456789abcdef01234567"
);

#[test]
fn a_user_of_web_py_stays_signed_in() {
    let app = App::start();
    app.keep(SESSION, Duration::ZERO);
    let moved = app.get(&old_cookie(ID));
    assert_eq!(moved.status, 307);
    assert_eq!(moved.field("location"), Some("/"));
    assert!(moved.removes_the_old_cookie());
    assert!(!app.old_file().exists());
    let ours = moved.cookie().expect("a cookie of ours");
    assert!(!ours.contains(ID) && !ours.contains(&ID[..32]));
    assert_eq!(app.get(&ours).body, "hello ada, visit 4\n");
    assert_eq!(app.get(&ours).body, "hello ada, visit 5\n");
}

#[test]
fn who_moves_in_comes_back_to_this_site() {
    let app = App::start();
    for (target, location) in [
        ("/a/b?c=//d", "/a/b?c=//d"),
        ("//evil.example/a", "/evil.example/a"),
        ("/\\evil.example", "/evil.example"),
        ("/\\/evil.example", "/evil.example"),
        ("http://evil.example//evil.example", "/evil.example"),
    ] {
        app.keep(SESSION, Duration::ZERO);
        let moved = app.get_at(target, &old_cookie(ID));
        assert_eq!(moved.status, 307, "{target}");
        assert_eq!(moved.field("location"), Some(location), "{target}");
    }
}

#[test]
fn i2_a_second_presentation_of_the_old_cookie_gives_nothing() {
    let app = App::start();
    app.keep(SESSION, Duration::ZERO);
    let first = app.get(&old_cookie(ID)).cookie().expect("a cookie of ours");
    let second = app.get(&old_cookie(ID));
    assert_eq!(second.body, "hello stranger, visit 1\n");
    // Nor does the id, of old or ours, under our cookie's name.
    assert_eq!(
        app.get(&format!("sid={ID}")).body,
        "hello stranger, visit 1\n"
    );
    assert_eq!(app.get(&first).body, "hello ada, visit 4\n");
}

#[test]
fn of_many_requests_with_the_old_cookie_one_moves_in() {
    // What is stored takes a while there, so that others come in between.
    let app = App::start_with(|dir| Some(format!("file:{}", dir.join("new").display())));
    let together = Barrier::new(8);
    for _ in 0..20 {
        app.keep(SESSION, Duration::ZERO);
        let replies: Vec<Reply> = std::thread::scope(|scope| {
            let get = || {
                together.wait();
                app.get(&old_cookie(ID))
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(get)).collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        let (moved, others): (Vec<_>, Vec<_>) =
            replies.into_iter().partition(|reply| reply.status == 307);
        assert_eq!(moved.len(), 1);
        for other in others {
            assert_eq!(other.body, "hello stranger, visit 1\n");
            let theirs = other.cookie().expect("a session of their own");
            assert_eq!(app.get(&theirs).body, "hello stranger, visit 2\n");
        }
        let ours = moved[0].cookie().expect("a cookie of ours");
        assert_eq!(app.get(&ours).body, "hello ada, visit 4\n");
    }
}

#[test]
fn an_old_session_whose_time_is_up_signs_nobody_in() {
    let app = App::start();
    app.keep(SESSION, Duration::from_secs(25 * 60 * 60));
    let reply = app.get(&old_cookie(ID));
    assert_eq!(reply.body, "hello stranger, visit 1\n");
    assert!(reply.removes_the_old_cookie());
}

#[test]
fn a_session_of_ours_is_not_replaced_by_an_old_one() {
    let app = App::start();
    let ours = app.get("").cookie().expect("a cookie of ours");
    app.keep(SESSION, Duration::ZERO);
    let reply = app.get(&format!("{}; {ours}", old_cookie(ID)));
    assert_eq!(reply.body, "hello stranger, visit 2\n");
    assert!(app.old_file().exists());
}

#[test]
fn an_old_session_that_cannot_be_read_is_kept_and_signs_nobody_in() {
    let app = App::start();
    app.keep(&SESSION[..100], Duration::ZERO);
    assert_eq!(app.get(&old_cookie(ID)).body, "hello stranger, visit 1\n");
    assert!(app.old_file().exists());
    for id in ["../Cargo.toml", "", "%2e%2e", &ID.to_uppercase()] {
        let reply = app.get(&old_cookie(id));
        assert_eq!(reply.body, "hello stranger, visit 1\n", "{id}");
    }
}

#[test]
fn who_has_no_old_cookie_is_not_told_of_one() {
    let app = App::start();
    let reply = app.get("");
    assert_eq!(reply.body, "hello stranger, visit 1\n");
    assert!(!reply.removes_the_old_cookie());
}

fn old_cookie(id: &str) -> String {
    format!("webpy_session_id={id}")
}

/// The running example, over a folder of web.py's; killed when dropped.
struct App {
    process: Child,
    address: String,
    old_sessions: tempfile::TempDir,
}

impl App {
    fn start() -> Self {
        Self::start_with(|_| None)
    }

    /// With the store that `url` names, perhaps below the folder that it is given.
    fn start_with(url: impl FnOnce(&Path) -> Option<String>) -> Self {
        let old_sessions = tempfile::tempdir().unwrap();
        let mut process = Command::new(env!("CARGO_BIN_EXE_moving-in"))
            .arg("127.0.0.1:0")
            .arg(old_sessions.path())
            .args(url(old_sessions.path()))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the example starts");
        let mut line = String::new();
        let stdout = process.stdout.as_mut().expect("stdout is piped");
        BufReader::new(stdout).read_line(&mut line).expect("text");
        let address = line.trim_end().rsplit('/').next().unwrap_or_default();
        Self {
            address: address.to_owned(),
            process,
            old_sessions,
        }
    }

    fn old_file(&self) -> PathBuf {
        self.old_sessions.path().join(ID)
    }

    /// Puts an old session into the folder, last used so long ago.
    fn keep(&self, session: &[u8], ago: Duration) {
        fs::write(self.old_file(), session).unwrap();
        let file = fs::File::options()
            .write(true)
            .open(self.old_file())
            .unwrap();
        file.set_modified(SystemTime::now() - ago).unwrap();
    }

    fn get(&self, cookie: &str) -> Reply {
        self.get_at("/", cookie)
    }

    fn get_at(&self, target: &str, cookie: &str) -> Reply {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        let request = format!(
            "GET {target} HTTP/1.1\r\nHost: {}\r\nCookie: {cookie}\r\nConnection: close\r\n\r\n",
            self.address
        );
        stream.write_all(request.as_bytes()).expect("it reads");
        let mut reply = String::new();
        stream.read_to_string(&mut reply).expect("it answers");
        let (head, body) = reply.split_once("\r\n\r\n").expect("a response");
        let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        Reply {
            status: status.expect("a status"),
            head: head.to_owned(),
            body: body.to_owned(),
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        // A failure means that it has ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

struct Reply {
    status: u16,
    head: String,
    body: String,
}

impl Reply {
    fn fields(&self, name: &'static str) -> impl Iterator<Item = &str> {
        let fields = self.head.lines().filter_map(|line| line.split_once(": "));
        fields.filter_map(move |(field, value)| (field == name).then_some(value))
    }

    fn field(&self, name: &'static str) -> Option<&str> {
        self.fields(name).next()
    }

    /// Our cookie that it sets, as `name=value`.
    fn cookie(&self) -> Option<String> {
        let mut cookies = self.fields("set-cookie");
        let ours = cookies.find(|cookie| cookie.starts_with("sid="))?;
        ours.split(';').next().map(str::to_owned)
    }

    fn removes_the_old_cookie(&self) -> bool {
        let mut cookies = self.fields("set-cookie");
        cookies
            .any(|cookie| cookie.starts_with("webpy_session_id=; ") && cookie.contains("Max-Age=0"))
    }
}
