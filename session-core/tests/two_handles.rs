//! Random operations on two handles of one session give what they give one after the other.

use std::net::IpAddr;

use proptest::prelude::*;
use session_core::http::{Exchange, Finish, Finished, RequestHead, ResponseHead};
use session_core::{Error, MemoryStore, Session, SessionConfig, SessionManager};

/// A request that carries this cookie.
struct Cookie(String);

impl RequestHead for Cookie {
    fn each_header<'a>(&'a self, name: &str, visit: &mut dyn FnMut(&'a [u8])) {
        if name == "cookie" && !self.0.is_empty() {
            visit(self.0.as_bytes());
        }
    }

    fn peer(&self) -> Option<IpAddr> {
        None
    }
}

/// The cookie that a response sets.
#[derive(Default)]
struct SetCookie(String);

impl ResponseHead for SetCookie {
    fn each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}

    fn append(&mut self, name: &str, value: std::borrow::Cow<'static, str>) {
        if name == "set-cookie" {
            self.0 = value.split(';').next().unwrap_or_default().to_owned();
        }
    }

    fn replace(&mut self, _: &str, _: std::borrow::Cow<'static, str>) {}
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, i32),
    Remove(u8),
    Take(u8),
    Add(u8),
    Append(u8, i32),
    Clear,
    /// Commits at once: what came before, and this.
    Transact(u8),
    Save,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..4, any::<i32>()).prop_map(|(key, value)| Step::Insert(key, value)),
        2 => (0_u8..6).prop_map(Step::Remove),
        1 => (0_u8..4).prop_map(Step::Take),
        3 => (0_u8..4).prop_map(Step::Add),
        3 => (4_u8..6, any::<i32>()).prop_map(|(key, value)| Step::Append(key, value)),
        1 => Just(Step::Clear),
        1 => (0_u8..4).prop_map(Step::Transact),
        1 => Just(Step::Save),
    ]
}

/// Whether a step is an operation where it is made: removing what is not there is none.
fn is_one(session: &Session, step: &Step) -> bool {
    match step {
        Step::Remove(key) | Step::Take(key) => session.contains_key(key.to_string()),
        Step::Clear => !session.is_empty(),
        _ => true,
    }
}

async fn make(session: &Session, step: &Step) -> Result<(), Error> {
    match step {
        Step::Insert(key, value) => session.insert(&key.to_string(), value)?,
        Step::Remove(key) => drop(session.remove(key.to_string())),
        Step::Take(key) => drop(session.take::<serde_json::Value>(&key.to_string())?),
        Step::Add(key) => {
            let add = |n: Option<i64>| n.unwrap_or(0).wrapping_add(1);
            session.update(&key.to_string(), add)?;
        }
        Step::Append(key, value) => session.append(&key.to_string(), value)?,
        Step::Clear => session.clear(),
        Step::Save => session.save().await?,
        Step::Transact(key) => {
            let key = key.to_string();
            let add = session.transact(|draft| {
                let n = draft.get::<i64>(&key)?.unwrap_or(0);
                draft.insert(&key, n.wrapping_add(1))
            });
            add.await?;
        }
    }
    Ok(())
}

struct World {
    manager: SessionManager,
    cookie: String,
}

impl World {
    async fn new(start: &[Step]) -> Self {
        let config = SessionConfig::builder().build().unwrap();
        let manager = SessionManager::new(MemoryStore::new(), config);
        let mut world = Self {
            manager,
            cookie: String::new(),
        };
        let (exchange, session) = world.request().await;
        session.insert("there", true).unwrap();
        for step in start {
            make(&session, step).await.unwrap();
        }
        let mut set = SetCookie::default();
        finish(exchange).await.apply(&mut set);
        world.cookie = set.0;
        world
    }

    async fn request(&self) -> (Exchange, Session) {
        let exchange = Exchange::begin(&self.manager, "POST");
        let session = exchange.session(&Cookie(self.cookie.clone())).await;
        (exchange, session.unwrap())
    }

    async fn stored(&self) -> serde_json::Value {
        let (_, session) = self.request().await;
        let value = |key: String| {
            let value: Option<serde_json::Value> = session.get(&key).unwrap();
            (key, value.unwrap())
        };
        session.keys().into_iter().map(value).collect()
    }
}

async fn finish(exchange: Exchange) -> Finished {
    match exchange.finish(200) {
        Finish::Done(finished) => finished,
        Finish::Pending(pending) => pending.complete().await,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Two requests load the same session; the first to end is stored first. Then the session
    /// holds what one request leaves that makes the operations of both in that order.
    #[test]
    fn c1_two_requests_leave_what_their_operations_leave_in_the_order_of_their_commits(
        start in prop::collection::vec(step(), 0..6),
        first in prop::collection::vec(step(), 0..12),
        second in prop::collection::vec(step(), 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let (left, expected) = runtime.block_on(async {
            let world = World::new(&start).await;
            let (a, first_session) = world.request().await;
            let (b, second_session) = world.request().await;
            for step in &first {
                make(&first_session, step).await.unwrap();
            }
            finish(a).await;
            // What the second request does is decided by what it sees, so the operations that
            // count are those it makes on its own view.
            let mut made = Vec::new();
            for step in &second {
                if is_one(&second_session, step) {
                    made.push(step.clone());
                    make(&second_session, step).await.unwrap();
                }
            }
            finish(b).await;

            let model = World::new(&start).await;
            let (one, session) = model.request().await;
            for step in first.iter().chain(&made) {
                make(&session, step).await.unwrap();
            }
            finish(one).await;
            (world.stored().await, model.stored().await)
        });
        prop_assert_eq!(left, expected);
    }
}
