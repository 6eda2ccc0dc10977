//! A real web.py session moves in, once, and its user stays signed in.

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
            let theirs = our_cookie(&other);
            assert_eq!(app.get(&theirs).body, "hello stranger, visit 2\n");
        }
        let ours = our_cookie(&moved[0]);
        assert_eq!(app.get(&ours).body, "hello ada, visit 4\n");
    }
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
        let reply = app.get(&old_cookie(id));
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
