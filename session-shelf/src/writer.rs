//! The thread that writes: it takes all who wait, applies what they ask for one after the other,
//! waits once until that is safe, and answers them.
//!
//! One flush or commit for all is what makes an acknowledged write cheap. And of sled it is known
//! that several flushes at once can wait for each other for ever.

use std::collections::HashMap;
use std::mem;
use std::sync::{Arc, Mutex, PoisonError, mpsc as channel};
use std::thread;
use std::time::{Duration, Instant};

use session_core::{Record, StoreError, StoreErrorKind};
use tokio::sync::{mpsc, oneshot};

use crate::engine::View;
use crate::failure::Failure;
use crate::keys;
use crate::shelf::{CLOSING_MAX, Shelf};
use crate::writes::{Changes, Write};

/// Where writes are handed in; when it is dropped, what waits is written and the database closed.
#[derive(Debug)]
pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Job>>>,
    ended: Mutex<channel::Receiver<()>>,
}

impl Writer {
    /// Starts the thread. The shelf is closed when it ends.
    pub(crate) fn start(shelf: Arc<Shelf>) -> Result<Self, Failure> {
        let (queue, jobs) = mpsc::channel(WAITING_MAX);
        let (alive, ended) = channel::channel();
        let thread = thread::Builder::new().name("session-shelf".into());
        thread.spawn(move || {
            run(&shelf, jobs);
            drop(alive);
        })?;
        Ok(Self {
            queue: Some(queue),
            ended: Mutex::new(ended),
        })
    }

    /// Hands in a write and waits for what becomes of it.
    ///
    /// If the caller stops waiting before it is begun, it is not done.
    pub(crate) async fn write<W: Write>(&self, write: W) -> Result<W::Answer, StoreError> {
        let stopped = || {
            Failure::unavailable("the thread that writes has ended").into_store_error(W::OPERATION)
        };
        let (reply, answer) = oneshot::channel();
        let job = Asked {
            write,
            reply,
            answer: None,
        };
        let queue = self.queue.as_ref().ok_or_else(stopped)?;
        queue.send(Box::new(job)).await.map_err(|_| stopped())?;
        answer.await.unwrap_or_else(|_| Err(stopped()))
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.queue = None;
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if ended.recv_timeout(2 * CLOSING_MAX) == Err(channel::RecvTimeoutError::Timeout) {
            tracing::error!("the thread that writes does not end; the database stays open");
        }
    }
}

/// So many writes wait for the thread; who comes then waits to be one of them.
const WAITING_MAX: usize = 1024;

/// So many writes share a flush or commit.
const GROUP_MAX: usize = 256;

/// A write of any kind, and who waits for it.
trait Job: Send {
    fn is_abandoned(&self) -> bool;
    fn bytes(&self) -> Option<usize>;
    fn left_nothing(&self, view: &dyn View) -> bool;

    /// Decides, and keeps the answer until it is true.
    fn decide(&mut self, view: &dyn View) -> Result<Changes, Failure>;

    /// Tells the caller what was decided.
    fn acknowledge(self: Box<Self>);

    fn fail(self: Box<Self>, kind: StoreErrorKind, why: &StoreError);
}

struct Asked<W: Write> {
    write: W,
    reply: oneshot::Sender<Result<W::Answer, StoreError>>,
    answer: Option<Result<W::Answer, StoreError>>,
}

impl<W: Write> Job for Asked<W> {
    fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    fn bytes(&self) -> Option<usize> {
        self.write.bytes()
    }

    fn left_nothing(&self, view: &dyn View) -> bool {
        self.write.left_nothing(view)
    }

    fn decide(&mut self, view: &dyn View) -> Result<Changes, Failure> {
        match self.write.decide(view) {
            Ok((answer, changes)) => {
                self.answer = Some(Ok(answer));
                Ok(changes)
            }
            Err(failure @ Failure::Record(_)) => {
                self.answer = Some(Err(failure.into_store_error(W::OPERATION)));
                Ok(Changes::default())
            }
            Err(failure) => Err(failure),
        }
    }

    fn acknowledge(self: Box<Self>) {
        if let Some(answer) = self.answer {
            let _ = self.reply.send(answer);
        }
    }

    fn fail(self: Box<Self>, kind: StoreErrorKind, why: &StoreError) {
        let error = StoreError::new(kind, format!("{} failed: {why}", W::OPERATION));
        let _ = self.reply.send(Err(error));
    }
}

fn run(shelf: &Shelf, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut fullness = Fullness::default();
    let mut group = Vec::new();
    while jobs.blocking_recv_many(&mut group, GROUP_MAX) > 0 {
        while !group.is_empty() {
            group = write_group(shelf, mem::take(&mut group), &mut fullness);
        }
    }
    shelf.close();
}

/// That the disk was full a moment ago.
///
/// To find out again costs opening the database again, so for a while it is taken for granted,
/// unless something was removed.
#[derive(Default)]
struct Fullness {
    found: Option<Found>,
}

struct Found {
    at: Instant,
    lasts: Duration,
    error: StoreError,
}

impl Fullness {
    fn lasting(&self) -> Option<&StoreError> {
        let found = self.found.as_ref()?;
        (found.at.elapsed() < found.lasts).then_some(&found.error)
    }

    /// It was full, and it took so long to open the database again.
    fn find(&mut self, error: StoreError, opening: Duration) {
        self.found = Some(Found {
            at: Instant::now(),
            lasts: FULL_FOR.max(opening.saturating_mul(OPENINGS)),
            error,
        });
    }
}

const FULL_FOR: Duration = Duration::from_secs(1);

/// It is full for at least so many times what opening the database takes: a large one would else
/// be opened again and again, and nobody else served.
const OPENINGS: u32 = 10;

/// Writes for a group, and returns those that were not begun.
fn write_group(
    shelf: &Shelf,
    mut group: Vec<Box<dyn Job>>,
    fullness: &mut Fullness,
) -> Vec<Box<dyn Job>> {
    group.retain(|job| !job.is_abandoned());
    refuse_without_room(shelf, &mut group, fullness);
    if group.is_empty() {
        return group;
    }
    let mut begun = 0;
    let mut stored: HashMap<_, Option<Record>> = HashMap::new();
    shelf.records().begin_group();
    let written = shelf.write(|changing| {
        for job in &mut group {
            begun += 1;
            let Changes { list, record } = job.decide(changing.view())?;
            for id in list.iter().filter_map(|(key, _)| keys::changed(key)) {
                shelf.records().begin(&id);
                stored.insert(id, None);
            }
            stored.extend(record.map(|(id, record)| (id, Some(record))));
            if !list.is_empty() {
                changing.apply(list)?;
            }
        }
        Ok(())
    });
    shelf.records().end_group(written.is_ok(), stored);
    match written {
        Ok(()) => {
            if group.iter().any(|job| job.bytes().is_none()) {
                fullness.found = None;
            }
            group.into_iter().for_each(Job::acknowledge);
            Vec::new()
        }
        Err(failure) => {
            // One has its answer in any case, so that this comes to an end.
            let left = group.split_off(begun.clamp(1, group.len()));
            let failed_at = Instant::now();
            fail(shelf, group, failure.error());
            if failure.error().kind() == StoreErrorKind::Full {
                let error = StoreError::new(StoreErrorKind::Full, failure.error().to_string());
                fullness.find(error, failed_at.elapsed());
            }
            left
        }
    }
}

/// Answers those that would need more room than there is; what makes room goes on, while there is what
/// that takes.
fn refuse_without_room(shelf: &Shelf, group: &mut Vec<Box<dyn Job>>, fullness: &Fullness) {
    if group.iter().any(|job| job.bytes().is_none())
        && let Err(failure) = shelf.room_to_remove()
    {
        let why = failure.error();
        let refused = group.extract_if(.., |job| job.bytes().is_none());
        refused.for_each(|job| job.fail(why.kind(), why));
    }
    let needed = group.iter().filter_map(|job| job.bytes());
    let Some(bytes) = needed.reduce(|sum, bytes| sum + bytes) else {
        return;
    };
    let mut refuse = |why: &StoreError| {
        let refused = group.extract_if(.., |job| job.bytes().is_some());
        refused.for_each(|job| job.fail(why.kind(), why));
    };
    match fullness.lasting() {
        Some(error) => refuse(error),
        None => match shelf.room_for(bytes) {
            Ok(()) => {}
            Err(Failure::Record(full)) => refuse_what_does_not_fit(shelf, group, &full),
            Err(failure) => refuse(failure.error()),
        },
    }
}

/// Who comes first has the room; one that is too large takes none from those behind it.
fn refuse_what_does_not_fit(shelf: &Shelf, group: &mut Vec<Box<dyn Job>>, full: &StoreError) {
    let mut taken = 0;
    let refused = group.extract_if(.., |job| {
        let Some(bytes) = job.bytes() else {
            return false;
        };
        let fits = shelf.room_for(taken + bytes).is_ok();
        if fits {
            taken += bytes;
        }
        !fits
    });
    refused.for_each(|job| job.fail(full.kind(), full));
}

/// Answers a group that failed.
///
/// `Full` and `TooLarge` promise that nothing was written. That is said only of what the
/// database, opened anew, shows to be so.
fn fail(shelf: &Shelf, group: Vec<Box<dyn Job>>, why: &StoreError) {
    for job in group {
        let promises_nothing =
            matches!(why.kind(), StoreErrorKind::Full | StoreErrorKind::TooLarge);
        let kept =
            !promises_nothing || matches!(shelf.read(|view| Ok(job.left_nothing(view))), Ok(true));
        let kind = if kept {
            why.kind()
        } else {
            StoreErrorKind::Unavailable
        };
        job.fail(kind, why);
    }
}
