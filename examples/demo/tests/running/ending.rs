//! The program is told to end, and starts again.

use std::io::Read;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::client::Client;
use crate::demo::Demo;
use crate::refusals::Held;

/// What an ended program has left.
pub(crate) struct Said {
    pub(crate) code: Option<i32>,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Demo {
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_child(&self.process);
        kill_process(pid, signal).expect("the demo is there to be told");
    }

    pub(crate) fn interrupt_and_wait(self) -> Said {
        self.signal(Signal::INT);
        self.wait()
    }

    pub(crate) fn wait(mut self) -> Said {
        let mut stdout = String::new();
        let rest = self.process.stdout.as_mut().expect("stdout is piped");
        rest.read_to_string(&mut stdout).expect("text");
        let status = self.process.wait().expect("it ends");
        let stderr = std::fs::read_to_string(self.stderr.path()).expect("text");
        Said {
            code: status.code(),
            stdout,
            stderr,
        }
    }
}

#[tokio::test]
async fn requests_in_flight_finish_before_it_ends() {
    for signal in [Signal::TERM, Signal::INT] {
        let dir = tempfile::tempdir().expect("a folder");
        let store = format!("file:{}", dir.path().display());
        let demo = Demo::start(&["--store", &store]);
        let client = Client::new(&demo.url);
        client.get("/count").await;
        let held = Held::put(&client, "/values/late").await;
        demo.signal(signal);
        wait_until_refused(&demo.url);
        assert_eq!(held.finish("7").await, 204);
        let said = tokio::task::spawn_blocking(|| demo.wait()).await;
        assert_eq!(said.expect("it ends").code, Some(0));

        let demo = Demo::start(&["--store", &store]);
        client.move_to(&demo.url);
        assert_eq!(client.get("/values/late").await.short(), (200, "7"));
        assert_eq!(client.get("/count").await.short(), (200, "2"));
    }
}

#[tokio::test]
async fn a_connection_that_says_nothing_does_not_keep_it() {
    let demo = Demo::start(&["--store", "memory:"]);
    let address = demo.url.trim_start_matches("http://").to_owned();
    let silent = TcpStream::connect(address).expect("it listens");
    let kept_alive = Client::new(&demo.url);
    kept_alive.get("/count").await;
    let said = tokio::task::spawn_blocking(|| demo.interrupt_and_wait()).await;
    assert_eq!(said.expect("it ends").code, Some(0));
    drop(silent);
}

fn wait_until_refused(url: &str) {
    let address = url.trim_start_matches("http://");
    let deadline = Instant::now() + Duration::from_secs(60);
    while TcpStream::connect(address).is_ok() {
        assert!(Instant::now() < deadline, "it goes on listening");
        std::thread::sleep(Duration::from_millis(5));
    }
}
