//! C2 over real stores: many requests at once, on many threads and two nodes, lose nothing.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use session_kit::fs::FsStore;
use session_kit::http::{Exchange, Finish, RequestHead, ResponseHead};
use session_kit::{Error, MemoryStore, Session, SessionConfig, SessionManager, Store};
use tokio::task::JoinSet;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c2_sixty_four_tasks_add_to_exactly_6_400_in_memory() {
    sixty_four_tasks_add(&Arc::new(Nodes::in_memory())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c2_sixty_four_tasks_add_to_exactly_6_400_in_files() {
    let dir = tempfile::tempdir().expect("a folder");
    sixty_four_tasks_add(&Arc::new(Nodes::in_files(dir.path()))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c2_two_hundred_writers_of_different_keys_all_survive_in_memory() {
    two_hundred_writers(&Arc::new(Nodes::in_memory())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn c2_two_hundred_writers_of_different_keys_all_survive_in_files() {
    let dir = tempfile::tempdir().expect("a folder");
    two_hundred_writers(&Arc::new(Nodes::in_files(dir.path()))).await;
}

async fn sixty_four_tasks_add(nodes: &Arc<Nodes>) {
    let cookie = nodes.visitor().await;
    let mut tasks = JoinSet::new();
    for task in 0..64 {
        let (nodes, cookie) = (Arc::clone(nodes), cookie.clone());
        // Half of the tasks make a request for each addition, half make all of them in one.
        let requests = if task / 2 % 2 == 0 { 100 } else { 1 };
        tasks.spawn(async move {
            let mut answers = Vec::new();
            for _ in 0..requests {
                let request = nodes.request(task, &cookie).await;
                for _ in 0..100 / requests {
                    answers.push(add(&request.session).await.expect("it is counted"));
                }
                assert_eq!(request.finish().await, None, "the cookie stays");
            }
            answers
        });
    }
    let answers = tasks.join_all().await.concat();
    assert_eq!(answers.len(), 6_400);
    let distinct: BTreeSet<u64> = answers.into_iter().collect();
    assert!(distinct.into_iter().eq(1..=6_400), "all answers differ");
    for node in 0..2 {
        let session = nodes.request(node, &cookie).await.session;
        assert_eq!(session.get::<u64>("n").expect("a number"), Some(6_400));
    }
}

async fn two_hundred_writers(nodes: &Arc<Nodes>) {
    let cookie = nodes.visitor().await;
    // Every request has read the session before the first one stores something.
    let together = Arc::new(tokio::sync::Barrier::new(200));
    let mut tasks = JoinSet::new();
    for task in 0..200 {
        let (nodes, cookie) = (Arc::clone(nodes), cookie.clone());
        let together = Arc::clone(&together);
        tasks.spawn(async move {
            let request = nodes.request(task, &cookie).await;
            let key = format!("key{task}");
            request.session.insert(&*key, task).expect("a number");
            together.wait().await;
            assert_eq!(request.finish().await, None, "the cookie stays");
        });
    }
    tasks.join_all().await;
    for node in 0..2 {
        let session = nodes.request(node, &cookie).await.session;
        assert_eq!(session.len(), 201, "each key and what was there before");
        for task in 0..200 {
            let value = session.get::<usize>(&*format!("key{task}"));
            assert_eq!(value.expect("a number"), Some(task));
        }
    }
}

async fn add(session: &Session) -> Result<u64, Error> {
    session
        .transact(|s| {
            let n = s.get::<u64>("n")?.unwrap_or(0) + 1;
            s.insert("n", n)?;
            Ok(n)
        })
        .await
}

/// Two nodes behind a load balancer: they share the store and nothing in memory.
struct Nodes([SessionManager; 2]);

impl Nodes {
    fn in_memory() -> Self {
        let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
        Self([(); 2].map(|()| manager(Arc::clone(&store))))
    }

    fn in_files(dir: &std::path::Path) -> Self {
        Self([(); 2].map(|()| manager(Arc::new(FsStore::open(dir).expect("a path")))))
    }

    /// The cookie of a session that holds one value.
    async fn visitor(&self) -> String {
        let request = self.request(0, "").await;
        request.session.insert("seen", true).expect("a truth value");
        let cookie = request.finish().await.expect("a first value sets a cookie");
        let pair = cookie.split(';').next().expect("the first part");
        pair.to_owned()
    }

    /// A request to one of the nodes, in turn.
    async fn request(&self, number: usize, cookie: &str) -> Request {
        let exchange = Exchange::begin(&self.0[number % 2], "POST");
        let head = Head(cookie.to_owned());
        let session = exchange.session(&head).await.expect("it can be loaded");
        Request { exchange, session }
    }
}

fn manager(store: Arc<dyn Store>) -> SessionManager {
    // What is tested is that nothing is lost, on a machine of whatever speed.
    let patient = SessionConfig::builder().store_timeout(Duration::from_secs(600));
    SessionManager::new(store, patient.build().expect("the options are allowed"))
}

/// A request whose handler is at work.
struct Request {
    exchange: Exchange,
    session: Session,
}

impl Request {
    /// Answers 200 and returns the cookie that the answer sets.
    async fn finish(self) -> Option<String> {
        let finished = match self.exchange.finish(200) {
            Finish::Done(finished) => finished,
            Finish::Pending(pending) => pending.complete().await,
        };
        assert_eq!(finished.reply, None, "the handler's answer is replaced");
        let mut answer = Answer(None);
        finished.apply(&mut answer);
        answer.0
    }
}

/// A request's `Cookie` field.
struct Head(String);

impl RequestHead for Head {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if name == "cookie" {
            visit(self.0.as_bytes());
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

/// A response's `Set-Cookie` field.
struct Answer(Option<String>);

impl ResponseHead for Answer {
    fn each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}

    fn append(&mut self, name: &str, value: Cow<'static, str>) {
        if name == "set-cookie" {
            self.0 = Some(value.into_owned());
        }
    }

    fn replace(&mut self, _: &str, _: Cow<'static, str>) {}
}
