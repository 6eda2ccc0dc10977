//! The application that is killed: tasks that use sessions and tell what they were promised.
//!
//! Each task announces what it begins and tells what it was answered before it goes on, a line
//! each. The line is in the parent's pipe when `tell` returns, so a kill takes none back.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::io::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use session_kit::{Owner, SessionManager, connect};

use crate::client::{Request, config};
use crate::hasty::Hasty;

pub(crate) const URL: &str = "SESSION_KILL_URL";
pub(crate) const SHARED: &str = "SESSION_KILL_SHARED";
pub(crate) const EARLY: &str = "SESSION_KILL_EARLY";
pub(crate) const TASKS: usize = 6;
pub(crate) const OWNERS: [&str; 2] = ["ada", "bob"];

/// What the child does; nothing where this process is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(url) = std::env::var(URL) else {
        return;
    };
    let shared = std::env::var(SHARED).expect("the parent sets it");
    let store = connect(&url).await.expect("the store can be opened");
    let node = match std::env::var(EARLY) {
        Ok(_) => SessionManager::new(Hasty::before(store), config()),
        Err(_) => SessionManager::new(store, config()),
    };
    let tasks: Vec<_> = (0..TASKS)
        .map(|task| tokio::spawn(work(task, node.clone(), shared.clone())))
        .collect();
    for task in tasks {
        task.await.expect("a task works until it is killed");
    }
}

/// Uses one session after the other, for ever.
async fn work(task: usize, node: SessionManager, shared: String) {
    let mut cookie: Option<String> = None;
    loop {
        let choice = RandomState::new().build_hasher().finish() % 100;
        let Some(mut held) = cookie.take() else {
            tell(task, "will begin");
            let request = Request::begin(&node, "").await;
            request.session.insert("n", 1).expect("a number");
            let session = request.session.clone();
            let set = request.finish().await.expect("a first value sets a cookie");
            let id = session.id().expect("it is stored");
            tell(task, &format!("done {id} {set}"));
            cookie = Some(set);
            continue;
        };
        match choice {
            0..15 => {
                tell(task, "will share");
                let request = Request::begin(&node, &shared).await;
                let n = count(&request).await;
                tell(task, &format!("done {n}"));
            }
            15..50 => {
                tell(task, "will count");
                let request = Request::begin(&node, &held).await;
                let n = count(&request).await;
                tell(task, &format!("done {n}"));
            }
            50..65 => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH);
                let now = now.expect("it is after 1970").as_millis();
                // A touch is due a millisecond after the last access.
                tokio::time::sleep(Duration::from_millis(2)).await;
                tell(task, "will touch");
                Request::begin(&node, &held).await.finish().await;
                tell(task, &format!("done {now}"));
            }
            65..75 => {
                tell(task, "will renew");
                let request = Request::begin(&node, &held).await;
                request.session.renew();
                held = request.finish().await.expect("a new secret is sent");
                tell(task, &format!("done {held}"));
            }
            75..85 => {
                let owner = OWNERS[usize::from(choice % 2 == 0)];
                tell(task, &format!("will login {owner}"));
                let request = Request::begin(&node, &held).await;
                request.session.login(Owner::new(owner).expect("a name"));
                held = request.finish().await.expect("a new secret is sent");
                tell(task, &format!("done {held}"));
            }
            85..93 => {
                tell(task, "will destroy");
                let request = Request::begin(&node, &held).await;
                request.session.destroy();
                request.finish().await;
                tell(task, "done");
                continue;
            }
            // This one is left as it is.
            _ => continue,
        }
        cookie = Some(held);
    }
}

async fn count(request: &Request) -> u64 {
    let counted = request.session.transact(|s| {
        let n = s.get::<u64>("n")?.unwrap_or(0) + 1;
        s.insert("n", n)?;
        Ok(n)
    });
    counted.await.expect("it is counted")
}

fn tell(task: usize, what: &str) {
    let mut out = std::io::stdout().lock();
    let told = writeln!(out, "task {task} {what}").and_then(|()| out.flush());
    told.expect("the parent reads");
}
