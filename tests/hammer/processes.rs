//! The same from two processes at once.
//!
//! A child is this test binary, told by its environment to run one test: [`child`].

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::Arc;

use tokio::sync::Barrier;

use crate::load;
use crate::nodes::Nodes;

const TASK: &str = "SESSION_HAMMER_TASK";
const URL: &str = "SESSION_HAMMER_URL";
const COOKIE: &str = "SESSION_HAMMER_COOKIE";

pub(crate) async fn two_processes_add(url: &str) {
    let nodes = Nodes::of_two_openings(url).await;
    let cookie = nodes.visitor().await;
    let answers = in_two_processes(["add", "add"], url, &cookie).await;
    load::all_are_counted(&nodes, &cookie, &answers).await;
}

pub(crate) async fn two_hundred_writers(url: &str) {
    let nodes = Nodes::of_two_openings(url).await;
    let cookie = nodes.visitor().await;
    in_two_processes(["0", "100"], url, &cookie).await;
    load::all_keys_are_there(&nodes, &cookie).await;
}

/// Runs a task in a child each and lets both begin to write together; the numbers they tell.
async fn in_two_processes(tasks: [&'static str; 2], url: &str, cookie: &str) -> Vec<u64> {
    let children = tasks.map(|task| Running::start(task, url, cookie));
    let waited = tokio::task::spawn_blocking(move || {
        let mut children = children;
        for child in &mut children {
            child.wait_for("ready");
        }
        for child in &mut children {
            child.go();
        }
        children.map(Running::numbers).concat()
    });
    waited.await.expect("both processes finish")
}

struct Running {
    child: Child,
    output: BufReader<ChildStdout>,
}

impl Running {
    fn start(task: &str, url: &str, cookie: &str) -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program)
            .args(["--exact", "processes::child", "--nocapture"])
            .env(TASK, task)
            .env(URL, url)
            .env(COOKIE, cookie)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("this program starts");
        let output = BufReader::new(child.stdout.take().expect("it is piped"));
        Self { child, output }
    }

    /// Reads up to the line that says `word`.
    fn wait_for(&mut self, word: &str) {
        let mut line = String::new();
        while line.trim_end() != word {
            line.clear();
            let read = self.output.read_line(&mut line).expect("it tells");
            assert!(read > 0, "the process ended before it was {word}");
        }
    }

    fn go(&mut self) {
        let input = self.child.stdin.as_mut().expect("it is piped");
        writeln!(input, "go").expect("it listens");
    }

    /// Waits for its end; the numbers it told.
    fn numbers(mut self) -> Vec<u64> {
        let lines = self
            .output
            .by_ref()
            .lines()
            .map(|line| line.expect("it tells"));
        let told = lines.filter_map(|line| line.strip_prefix("tell ")?.parse().ok());
        let told = told.collect();
        assert!(self.child.wait().expect("it ends").success());
        told
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Of a child that has ended already nothing is left to end.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

/// What a child does; nothing where this process is none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn child() {
    let Ok(task) = std::env::var(TASK) else {
        return;
    };
    let of_parent = |name| std::env::var(name).expect("the parent sets it");
    let (nodes, cookie) = (
        Nodes::of_two_openings(&of_parent(URL)).await,
        of_parent(COOKIE),
    );
    if task == "add" {
        say("ready");
        wait_for_the_parent();
        for answer in load::add_100_each(&nodes, &cookie, 32).await {
            say(&format!("tell {answer}"));
        }
        return;
    }
    let first: usize = task.parse().expect("a number");
    let together = Arc::new(Barrier::new(101));
    let all_have_read = Arc::clone(&together);
    let parent = tokio::spawn(async move {
        all_have_read.wait().await;
        say("ready");
        let go = tokio::task::spawn_blocking(wait_for_the_parent);
        go.await.expect("the parent lets go");
        all_have_read.wait().await;
    });
    load::write_one_key_each(&nodes, &cookie, first..first + 100, &together).await;
    parent.await.expect("the parent let go");
}

/// A line of its own, whatever the test harness has left on the last one.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "\n{line}")
        .and_then(|()| out.flush())
        .expect("the parent reads");
}

fn wait_for_the_parent() {
    let mut line = String::new();
    std::io::stdin()
        .read_line(&mut line)
        .expect("the parent speaks");
    assert_eq!(line.trim_end(), "go");
}
