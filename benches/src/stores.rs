//! What a store's operations cost, beside the raw operations of its backend.
//!
//! `load` and `change + save` go the whole way that a request's session goes, from the cookie's
//! text to the conditional write; the others are the store's own.

use std::hint::black_box;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use criterion::Criterion;
use session_core::http::{Exchange, Finish, RequestHead};
use session_core::{
    Clock, Created, Data, Expiry, Generation, KeyRing, Only, Owner, Record, SessionConfig,
    SessionId, SessionManager, Store, Token, Touch, Written,
};
use tokio::runtime::Runtime;

use crate::beds::Bed;
use crate::figures::Figure;
use crate::floors::Part;
use crate::operation::{Operation, Run};
use crate::pair::{Label, measure_tasks};
use crate::progress::Progress;
use crate::requests::Size;

/// What is done to a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// A request loads its session and reads one key.
    Load,
    /// A request loads its session, changes one key and saves.
    ChangeSave,
    /// A record is created.
    Create,
    /// A record's last access is written down.
    Touch,
    /// A record is deleted.
    Delete,
    /// An owner's three sessions are listed.
    OwnedBy,
    /// An expired record is removed, among as many live ones.
    Sweep,
}

impl Work {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Load,
        Self::ChangeSave,
        Self::Create,
        Self::Touch,
        Self::Delete,
        Self::OwnedBy,
        Self::Sweep,
    ];

    /// What it is called.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Load => "load",
            Self::ChangeSave => "load + change + save",
            Self::Create => "create",
            Self::Touch => "touch",
            Self::Delete => "delete",
            Self::OwnedBy => "owned_by",
            Self::Sweep => "sweep",
        }
    }

    /// What of the floor it stands beside.
    fn part(self) -> Part {
        match self {
            Self::Load | Self::OwnedBy => Part::Read,
            Self::ChangeSave => Part::Both,
            Self::Create | Self::Touch | Self::Delete | Self::Sweep => Part::Write,
        }
    }
}

/// Tasks at once.
pub const TASKS: [usize; 2] = [1, 64];

/// Measures every work on the store of `bed`, in every size and number of tasks.
///
/// # Errors
///
/// A server cannot be kept apart from this process: see [`Placement::apart`](crate::placement::Placement::apart).
pub fn measure_all(
    criterion: &mut Criterion,
    runtime: &Runtime,
    name: &str,
    bed: &Bed,
    works: &[Work],
    progress: &Progress,
) -> io::Result<Vec<Figure>> {
    let mut figures = Vec::new();
    for &work in works {
        for size in Size::ALL {
            let sample = record(size, None);
            for tasks in TASKS {
                // Sweeps of one store take turns, so 64 of them measure the turnstile; Redis
                // removes what has expired by itself.
                if work == Work::Sweep && (tasks > 1 || name.starts_with("redis")) {
                    progress.step();
                    continue;
                }
                let label = Label {
                    bench: "stores",
                    subject: name.to_owned(),
                    operation: work.name().to_owned(),
                    size: size.to_string(),
                    tasks,
                };
                progress.say(&format!("{name}: {} {size}, {tasks} at once", work.name()));
                if let Some(placement) = &bed.placement {
                    match tasks {
                        1 => placement.apart()?,
                        _ => placement.anywhere()?,
                    }
                }
                let run = run(work, size, &bed.store);
                let (floor, floor_name) = bed.floor(work.part(), &sample.encode());
                let floor = (&floor, &*floor_name);
                figures.push(measure_tasks(criterion, runtime, label, &run, floor));
                progress.step();
            }
        }
    }
    if let Some(placement) = &bed.placement {
        placement.anywhere()?;
    }
    Ok(figures)
}

fn run(work: Work, size: Size, store: &Arc<dyn Store>) -> Run {
    let store = Arc::clone(store);
    match work {
        Work::Load => Run::new(Request::new(store, size, false)),
        Work::ChangeSave => Run::new(Request::new(store, size, true)),
        Work::Create => Run::new(Create { store, size }),
        Work::Touch => Run::new(Touching { store, size }),
        Work::Delete => Run::new(Delete { store, size }),
        Work::OwnedBy => Run::new(OwnedBy { store, size }),
        Work::Sweep => Run::new(Sweep { store, size }),
    }
}

/// A record of this size, as a session's first save makes it.
pub(crate) fn record(size: Size, owner: Option<Owner>) -> Record {
    let token = Token::random().expect("the system gives random bytes");
    let day = Expiry::new(Some(Duration::from_secs(24 * 60 * 60)), None);
    let mut record = Record::new(token.digest(), Clock::system().now(), day)
        .expect("the system gives random bytes");
    let entries: serde_json::Map<_, _> = size
        .entries()
        .into_iter()
        .map(|(key, value)| (key, value.into()))
        .collect();
    let json = serde_json::Value::Object(entries).to_string();
    record.data = Data::parse(&json).expect("it is an object");
    record.owner = owner;
    record
}

fn random_id() -> SessionId {
    SessionId::random().expect("the system gives random bytes")
}

pub(crate) async fn created(store: &Arc<dyn Store>, record: &Record) -> SessionId {
    let id = random_id();
    let answer = store.create(&id, record).await;
    assert_eq!(answer.expect("the store answers"), Created::Done);
    id
}

async fn deleted(store: &Arc<dyn Store>, id: &SessionId) {
    let answer = store.delete(id, Only::Any).await;
    assert_eq!(answer.expect("the store answers"), Written::Done);
}

/// A request that loads its session, and perhaps changes it.
#[derive(Clone)]
pub(crate) struct Request {
    manager: SessionManager,
    size: Size,
    changes: bool,
}

/// A request's head: its cookies are one line.
pub(crate) struct Head(String);

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

impl Request {
    pub(crate) fn manager(&self) -> &SessionManager {
        &self.manager
    }

    pub(crate) fn new(store: Arc<dyn Store>, size: Size, changes: bool) -> Self {
        let keys = KeyRing::generate().expect("the system gives random bytes");
        let config = SessionConfig::builder()
            .secret_key(keys)
            .cookie_name("sid")
            // A touch now and then is not what is measured here.
            .touch_interval(Duration::from_secs(3_600))
            .store_timeout(Duration::from_secs(30))
            .build()
            .expect("the options go together");
        Self {
            manager: SessionManager::new(store, config),
            size,
            changes,
        }
    }
}

/// What the response head says of the cookie.
#[derive(Default)]
struct SetCookie(String);

impl session_core::http::ResponseHead for SetCookie {
    fn each_header(&self, _: &str, _: &mut dyn FnMut(&[u8])) {}

    fn append(&mut self, name: &str, value: std::borrow::Cow<'static, str>) {
        if name == "set-cookie" {
            self.0 = value.into_owned();
        }
    }

    fn replace(&mut self, _: &str, _: std::borrow::Cow<'static, str>) {}
}

impl Operation for Request {
    type Task = Head;

    async fn prepare(&self, _: usize, _: u64) -> Head {
        let exchange = Exchange::begin(&self.manager, "POST");
        let session = exchange.session(&Head(String::new())).await;
        let session = session.expect("a new session");
        for (key, value) in self.size.entries() {
            session.insert(&*key, value).expect("text is JSON");
        }
        let finished = match exchange.finish(200) {
            Finish::Done(finished) => finished,
            Finish::Pending(pending) => pending.complete().await,
        };
        assert_eq!(finished.reply, None, "the session is stored");
        let mut head = SetCookie::default();
        finished.apply(&mut head);
        let cookie = head.0.split(';').next().unwrap_or_default();
        Head(cookie.to_owned())
    }

    async fn once(&self, head: &mut Head, n: u64) {
        let exchange = Exchange::begin(&self.manager, "POST");
        let session = exchange.session(&*head).await.expect("the store answers");
        let value: Option<String> = session.get("key01").expect("it is text");
        assert!(black_box(value).is_some(), "the session is live");
        if self.changes {
            let value = format!("{n:025}");
            session.insert("key01", value).expect("text is JSON");
        }
        let finished = match exchange.finish(200) {
            Finish::Done(finished) => finished,
            Finish::Pending(pending) => pending.complete().await,
        };
        assert_eq!(finished.reply, None, "the session is stored");
    }

    async fn clear(&self, head: Head) {
        let exchange = Exchange::begin(&self.manager, "POST");
        let session = exchange.session(&head).await.expect("the store answers");
        session.destroy();
        if let Finish::Pending(pending) = exchange.finish(200) {
            pending.complete().await;
        }
    }
}

#[derive(Clone)]
struct Create {
    store: Arc<dyn Store>,
    size: Size,
}

impl Operation for Create {
    type Task = (Record, Vec<SessionId>);

    async fn prepare(&self, _: usize, each: u64) -> Self::Task {
        let ids = (0..each).map(|_| random_id()).collect();
        (record(self.size, None), ids)
    }

    async fn once(&self, (record, ids): &mut Self::Task, n: u64) {
        let answer = self.store.create(&ids[n as usize], record).await;
        assert_eq!(answer.expect("the store answers"), Created::Done);
    }

    async fn clear(&self, (_, ids): Self::Task) {
        for id in &ids {
            deleted(&self.store, id).await;
        }
    }
}

#[derive(Clone)]
struct Touching {
    store: Arc<dyn Store>,
    size: Size,
}

impl Operation for Touching {
    type Task = (SessionId, Touch);

    async fn prepare(&self, _: usize, _: u64) -> Self::Task {
        let record = record(self.size, None);
        let touch = Touch {
            generation: Generation::FIRST,
            accessed_at: record.accessed_at,
        };
        (created(&self.store, &record).await, touch)
    }

    async fn once(&self, (id, touch): &mut Self::Task, _: u64) {
        touch.accessed_at = touch.accessed_at.after(Duration::from_millis(1));
        let answer = self.store.touch(id, touch).await;
        assert_eq!(answer.expect("the store answers"), Written::Done);
    }

    async fn clear(&self, (id, _): Self::Task) {
        deleted(&self.store, &id).await;
    }
}

#[derive(Clone)]
struct Delete {
    store: Arc<dyn Store>,
    size: Size,
}

impl Operation for Delete {
    type Task = Vec<SessionId>;

    async fn prepare(&self, _: usize, each: u64) -> Self::Task {
        let record = record(self.size, None);
        let mut ids = Vec::new();
        for _ in 0..each {
            ids.push(created(&self.store, &record).await);
        }
        ids
    }

    async fn once(&self, ids: &mut Self::Task, n: u64) {
        let only = Only::Generation(Generation::FIRST);
        let answer = self.store.delete(&ids[n as usize], only).await;
        assert_eq!(answer.expect("the store answers"), Written::Done);
    }
}

#[derive(Clone)]
struct OwnedBy {
    store: Arc<dyn Store>,
    size: Size,
}

impl Operation for OwnedBy {
    type Task = (Owner, Vec<SessionId>);

    async fn prepare(&self, task: usize, _: u64) -> Self::Task {
        let owner = Owner::new(format!("user-{task}-{}", random_id())).expect("it is short");
        let record = record(self.size, Some(owner.clone()));
        let mut ids = Vec::new();
        for _ in 0..3 {
            ids.push(created(&self.store, &record).await);
        }
        (owner, ids)
    }

    async fn once(&self, (owner, ids): &mut Self::Task, _: u64) {
        let found = self.store.owned_by(owner).await;
        assert_eq!(found.expect("the store answers").len(), ids.len());
    }

    async fn clear(&self, (_, ids): Self::Task) {
        for id in &ids {
            deleted(&self.store, id).await;
        }
    }
}

#[derive(Clone)]
struct Sweep {
    store: Arc<dyn Store>,
    size: Size,
}

/// Records removed by one call.
const BATCH: u64 = 100;

impl Operation for Sweep {
    type Task = Vec<SessionId>;

    async fn prepare(&self, _: usize, each: u64) -> Self::Task {
        let live = record(self.size, None);
        let expired = Record {
            expiry: Expiry::new(None, Some(live.created_at.before(Duration::from_secs(60)))),
            ..live.clone()
        };
        let mut ids = Vec::new();
        for _ in 0..each {
            created(&self.store, &expired).await;
            ids.push(created(&self.store, &live).await);
        }
        ids
    }

    async fn once(&self, _: &mut Self::Task, n: u64) {
        if n.is_multiple_of(BATCH) {
            let now = Clock::system().now();
            let removed = self.store.sweep(now, BATCH as usize).await;
            black_box(removed.expect("the store answers"));
        }
    }

    async fn clear(&self, ids: Self::Task) {
        for id in &ids {
            deleted(&self.store, id).await;
        }
    }
}
