//! A real web.py session moves in, once, and its user stays signed in.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Barrier;
use std::time::{Duration, SystemTime};

use session_test_program::{Program, Reply};

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
    assert_eq!(moved.header("location"), Some("/"));
    assert!(removes_the_old_cookie(&moved));
    assert!(!app.old_file().exists());
    let ours = our_cookie(&moved);
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
        assert_eq!(moved.header("location"), Some(location), "{target}");
    }
}

#[test]
fn i2_a_second_presentation_of_the_old_cookie_gives_nothing() {
    let app = App::start();
    app.keep(SESSION, Duration::ZERO);
    let first = our_cookie(&app.get(&old_cookie(ID)));
    let mut thief = Browser::with(&old_cookie(ID));
    assert_eq!(app.visit(&mut thief).body, "hello stranger, visit 1\n");
    assert_eq!(app.visit(&mut thief).body, "hello stranger, visit 2\n");
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
        let mut replies: Vec<Reply> = std::thread::scope(|scope| {
            let get = || {
                together.wait();
                app.get(&old_cookie(ID))
            };
            let threads: Vec<_> = (0..8).map(|_| scope.spawn(get)).collect();
            threads.into_iter().map(|one| one.join().unwrap()).collect()
        });
        // All are one browser's, and its cookie is that of the one which moved in, in whatever order
        // the answers come.
        assert!(replies.iter().all(|reply| reply.status == 307));
        let moved = |reply: &&Reply| cookies_set_by(reply).any(|set| set.starts_with("sid="));
        assert_eq!(replies.iter().filter(moved).count(), 1);
        for visit in [4, 5] {
            let mut browser = Browser::with(&old_cookie(ID));
            replies.iter().for_each(|reply| browser.keep(reply));
            let hello = format!("hello ada, visit {visit}\n");
            assert_eq!(app.visit(&mut browser).body, hello);
            replies.reverse();
        }
    }
}

#[test]
fn a_request_that_comes_a_moment_too_late_takes_no_cookie_away() {
    let app = App::start();
    for moved_first in [true, false] {
        app.keep(SESSION, Duration::ZERO);
        let moved = app.get(&old_cookie(ID));
        // Sent before the browser had that answer.
        let late = app.get(&old_cookie(ID));
        assert_eq!(late.status, 307);
        let mut browser = Browser::with(&old_cookie(ID));
        let (first, second) = if moved_first {
            (&moved, &late)
        } else {
            (&late, &moved)
        };
        browser.keep(first);
        browser.keep(second);
        assert_eq!(app.visit(&mut browser).body, "hello ada, visit 4\n");
    }
}

#[test]
fn who_was_sent_back_goes_on_without_the_old_cookie() {
    let app = App::start();
    let mut browser = Browser::with(&old_cookie(ID));
    let back = app.get_at("/a?b=c", &browser.cookies());
    assert_eq!(
        (back.status, back.header("location")),
        (307, Some("/a?b=c"))
    );
    assert_eq!(cookies_set_by(&back).count(), 1);
    browser.keep(&back);
    let reply = app.get(&browser.cookies());
    assert_eq!(reply.body, "hello stranger, visit 1\n");
    assert!(removes_the_old_cookie(&reply));
}

#[test]
fn an_old_session_whose_time_is_up_signs_nobody_in() {
    let app = App::start();
    app.keep(SESSION, Duration::from_secs(25 * 60 * 60));
    let reply = app.get(&old_cookie(ID));
    assert_eq!(reply.body, "hello stranger, visit 1\n");
    assert!(removes_the_old_cookie(&reply));
}

#[test]
fn a_session_of_ours_is_not_replaced_by_an_old_one() {
    let app = App::start();
    let ours = our_cookie(&app.get(""));
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
        let reply = app.visit(&mut Browser::with(&old_cookie(id)));
        assert_eq!(reply.body, "hello stranger, visit 1\n", "{id}");
    }
}

#[test]
fn who_has_no_old_cookie_is_not_told_of_one() {
    let app = App::start();
    let reply = app.get("");
    assert_eq!(reply.body, "hello stranger, visit 1\n");
    assert!(!removes_the_old_cookie(&reply));
}

fn old_cookie(id: &str) -> String {
    format!("webpy_session_id={id}")
}

/// Keeps cookies by name.
struct Browser(BTreeMap<String, String>);

impl Browser {
    fn with(cookie: &str) -> Self {
        let (name, value) = cookie.split_once('=').expect("name=value");
        Self(BTreeMap::from([(name.to_owned(), value.to_owned())]))
    }

    fn keep(&mut self, reply: &Reply) {
        for set in cookies_set_by(reply) {
            let (pair, attributes) = set.split_once(';').unwrap_or((set, ""));
            let (name, value) = pair.split_once('=').expect("name=value");
            if attributes.contains("Max-Age=0") {
                self.0.remove(name);
            } else {
                self.0.insert(name.to_owned(), value.to_owned());
            }
        }
    }

    fn cookies(&self) -> String {
        let pairs = self.0.iter().map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }
}

/// The running example, over a folder of web.py's.
struct App {
    program: Program,
    old_sessions: tempfile::TempDir,
}

impl App {
    fn start() -> Self {
        Self::start_with(|_| None)
    }

    /// With the store that `url` names, perhaps below the folder that it is given.
    fn start_with(url: impl FnOnce(&Path) -> Option<String>) -> Self {
        let old_sessions = tempfile::tempdir().unwrap();
        let dir = old_sessions.path().to_str().expect("text");
        let url = url(old_sessions.path());
        let args: Vec<&str> = [dir].into_iter().chain(url.as_deref()).collect();
        Self {
            program: Program::start(env!("CARGO_BIN_EXE_moving-in"), &args),
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

    /// Asks for the page, and follows where the answers lead.
    #[track_caller]
    fn visit(&self, browser: &mut Browser) -> Reply {
        for _ in 0..3 {
            let reply = self.get(&browser.cookies());
            browser.keep(&reply);
            if reply.status != 307 {
                return reply;
            }
        }
        panic!("it is sent back again and again");
    }

    fn get(&self, cookies: &str) -> Reply {
        self.get_at("/", cookies)
    }

    fn get_at(&self, target: &str, cookies: &str) -> Reply {
        let mut visitor = self.program.visitor();
        visitor.cookie = cookies.to_owned();
        visitor.get(target)
    }
}

fn cookies_set_by(reply: &Reply) -> impl Iterator<Item = &str> {
    let fields = reply.head.lines().filter_map(|line| line.split_once(": "));
    fields.filter_map(|(name, value)| (name == "set-cookie").then_some(value))
}

/// The cookie of ours that it sets, as `name=value`.
#[track_caller]
fn our_cookie(reply: &Reply) -> String {
    let ours = cookies_set_by(reply).find(|cookie| cookie.starts_with("sid="));
    let pair = ours.and_then(|cookie| cookie.split(';').next());
    pair.expect("a cookie of ours").to_owned()
}

fn removes_the_old_cookie(reply: &Reply) -> bool {
    cookies_set_by(reply)
        .any(|cookie| cookie.starts_with("webpy_session_id=; ") && cookie.contains("Max-Age=0"))
}
