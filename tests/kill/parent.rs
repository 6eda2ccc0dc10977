//! Starts the application, kills it in the middle of its work and looks what is left.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use session_kit::SessionManager;

use crate::application::{EARLY, SHARED, URL};
use crate::client::{Request, node};
use crate::ledger::Ledger;

const ROUNDS: u64 = 20;

/// Twenty rounds on one store; what was acknowledged and is not there ends them.
pub(crate) async fn kill_again_and_again(url: &str, early: bool) -> Result<(), String> {
    let mut ledger = Ledger::default();
    let shared = {
        let node = node(url).await;
        let request = Request::begin(&node, "").await;
        request
            .session
            .insert("shared", true)
            .expect("a truth value");
        request.finish().await.expect("a first value sets a cookie")
    };
    for round in 0..ROUNDS {
        // Not always at the same distance from the start.
        let answers = 60 + 37 * round % 300;
        let (url_, shared_) = (url.to_owned(), shared.clone());
        let killed = tokio::task::spawn_blocking(move || {
            run_and_kill(&url_, &shared_, early, &mut ledger, answers);
            ledger
        });
        ledger = killed.await.expect("the application is run");
        let node = node(url).await;
        shared_is_counted(&node, &shared, &mut ledger).await?;
        ledger
            .check(&node)
            .await
            .map_err(|broken| format!("round {round}: {broken}"))?;
        the_store_works_on(&node).await?;
    }
    Ok(())
}

fn run_and_kill(url: &str, shared: &str, early: bool, ledger: &mut Ledger, answers: u64) {
    let program = std::env::current_exe().expect("this program has a path");
    let mut command = Command::new(program);
    command
        .args(["--exact", "application::child", "--nocapture"])
        .env(URL, url)
        .env(SHARED, shared)
        .stdout(Stdio::piped());
    if early {
        command.env(EARLY, "1");
    }
    let mut application = Application(command.spawn().expect("this program starts"));
    let output = application.0.stdout.take().expect("it is piped");
    let enough = ledger.answers + answers;
    let mut alive = true;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.expect("the pipe can be read");
        // The test harness of the child has lines of its own; a line cut by the kill was not told.
        let _told = ledger.note(&String::from_utf8_lossy(&line));
        if alive && ledger.answers >= enough {
            application.0.kill().expect("it is killed");
            alive = false;
        }
    }
    assert!(!alive, "the application ended by itself");
}

/// Killed when it is forgotten, too.
struct Application(Child);

impl Drop for Application {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _status = self.0.wait();
    }
}

/// Every acknowledged count of the session that all tasks share is there, and no more than were
/// asked for.
async fn shared_is_counted(
    node: &SessionManager,
    shared: &str,
    ledger: &mut Ledger,
) -> Result<(), String> {
    let under_way = ledger.shares_under_way();
    let session = Request::begin(node, shared).await.session;
    let n = session.get::<u64>("n").map_err(|error| error.to_string())?;
    let (n, acknowledged) = (n.unwrap_or(0), ledger.shared);
    if !(acknowledged..=acknowledged + under_way).contains(&n) {
        return Err(format!(
            "{acknowledged} counts were acknowledged, {under_way} under way, {n} are there"
        ));
    }
    ledger.shared = n;
    Ok(())
}

async fn the_store_works_on(node: &SessionManager) -> Result<(), String> {
    let request = Request::begin(node, "").await;
    request.session.insert("n", 1).expect("a number");
    let cookie = request.finish().await.expect("a first value sets a cookie");
    let request = Request::begin(node, &cookie).await;
    if request.session.get::<u64>("n").ok() != Some(Some(1)) {
        return Err("a session that was begun after the kill cannot be read".to_owned());
    }
    request.session.destroy();
    request.finish().await;
    if !Request::begin(node, &cookie).await.session.is_new() {
        return Err("a session that was begun after the kill cannot be ended".to_owned());
    }
    node.sweep()
        .await
        .map(drop)
        .map_err(|error| error.to_string())
}
