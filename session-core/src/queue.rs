//! Savers of one session wait for each other instead of colliding (rule C4).
//!
//! Within a process a saver holds the session's [`Ticket`] from its first write attempt to its
//! last; the others queue in order. Who leaves hands over what it stored, so the next starts
//! from the newest record without reading it again. The queue only saves collisions: what
//! keeps writes right is the store's conditional write.

use std::collections::VecDeque;
use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::deadline::{Deadline, Elapsed};
use crate::id::{IdMap, SessionId};
use crate::record::Record;

/// The queues of one manager; an entry exists only while someone saves.
#[derive(Default)]
pub(crate) struct Queues {
    shards: [Mutex<IdMap<Waiters>>; 16],
}

type Waiters = VecDeque<oneshot::Sender<Ticket>>;

/// The right to save one session; dropping it lets the next one in.
pub(crate) struct Ticket {
    queues: Arc<Queues>,
    id: SessionId,
    latest: Option<Arc<Record>>,
}

impl Queues {
    /// Waits for the turn to save `id`.
    pub(crate) async fn enter(
        self: &Arc<Self>,
        id: SessionId,
        deadline: &Deadline,
    ) -> Result<Ticket, Elapsed> {
        let turn = {
            match self.shard(&id).entry(id) {
                Entry::Vacant(free) => {
                    free.insert(VecDeque::new());
                    None
                }
                Entry::Occupied(mut busy) => {
                    let (sender, receiver) = oneshot::channel();
                    busy.get_mut().push_back(sender);
                    Some(receiver)
                }
            }
        };
        match turn {
            None => Ok(self.first(id)),
            Some(turn) => Box::pin(deadline.bound(Box::pin(turn)))
                .await?
                // The holder always sends before it forgets a waiter.
                .map_err(|_| Elapsed),
        }
    }

    /// The turn to save `id`, if nobody else has it.
    pub(crate) fn enter_at_once(self: &Arc<Self>, id: SessionId) -> Option<Ticket> {
        match self.shard(&id).entry(id) {
            Entry::Vacant(free) => {
                free.insert(VecDeque::new());
            }
            Entry::Occupied(_) => return None,
        }
        Some(self.first(id))
    }

    /// The ticket of who need not wait.
    fn first(self: &Arc<Self>, id: SessionId) -> Ticket {
        Ticket {
            queues: Arc::clone(self),
            id,
            latest: None,
        }
    }

    fn shard(&self, id: &SessionId) -> MutexGuard<'_, IdMap<Waiters>> {
        let shard = usize::from(id.as_bytes()[0]) % self.shards.len();
        self.shards[shard]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl Ticket {
    /// The record as the one before left it, if it said so.
    pub(crate) fn take_latest(&mut self) -> Option<Arc<Record>> {
        self.latest.take()
    }

    /// Leaves with the record that is stored now.
    pub(crate) fn leave_with(mut self, record: &Arc<Record>) {
        self.latest = Some(Arc::clone(record));
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        let next = {
            let mut shard = self.queues.shard(&self.id);
            let waiters = shard.get_mut(&self.id);
            let next = waiters.and_then(|waiters| {
                waiters.retain(|waiter| !waiter.is_closed());
                waiters.pop_front()
            });
            if next.is_none() {
                shard.remove(&self.id);
            }
            next
        };
        if let Some(next) = next {
            // A waiter that gives up just now drops the ticket, which lets in the one after it.
            drop(next.send(Self {
                queues: Arc::clone(&self.queues),
                id: self.id,
                latest: self.latest.take(),
            }));
        }
    }
}

impl fmt::Debug for Queues {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Queues")
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn soon() -> Deadline {
        Deadline::after(Duration::from_secs(5))
    }

    fn waiting(queues: &Queues, id: &SessionId) -> Option<usize> {
        queues.shard(id).get(id).map(VecDeque::len)
    }

    #[tokio::test(start_paused = true)]
    async fn c4_savers_of_one_session_enter_one_at_a_time_in_order() {
        let queues = Arc::new(Queues::default());
        let id = SessionId::random().unwrap();
        let other = SessionId::random().unwrap();
        let first = queues.enter(id, &soon()).await.unwrap();
        drop(queues.enter(other, &soon()).await.unwrap());
        let order = Arc::new(Mutex::new(Vec::new()));
        let mut tasks = Vec::new();
        for n in 0..5 {
            let (waiter, order) = (Arc::clone(&queues), Arc::clone(&order));
            tasks.push(tokio::spawn(async move {
                let ticket = waiter.enter(id, &soon()).await.unwrap();
                order.lock().unwrap().push(n);
                drop(ticket);
            }));
            while waiting(&queues, &id) != Some(n + 1) {
                tokio::task::yield_now().await;
            }
        }
        drop(first);
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.lock().unwrap(), [0, 1, 2, 3, 4]);
        assert_eq!(
            (waiting(&queues, &id), waiting(&queues, &other)),
            (None, None)
        );
    }

    #[tokio::test(start_paused = true)]
    async fn c4_a_waiter_that_gives_up_is_passed_over() {
        let queues = Arc::new(Queues::default());
        let id = SessionId::random().unwrap();
        let first = queues.enter(id, &soon()).await.unwrap();
        let hasty = queues
            .enter(id, &Deadline::after(Duration::from_millis(1)))
            .await;
        assert!(hasty.is_err());
        let patient = tokio::spawn({
            let queues = Arc::clone(&queues);
            async move { queues.enter(id, &soon()).await.is_ok() }
        });
        while waiting(&queues, &id) != Some(2) {
            tokio::task::yield_now().await;
        }
        drop(first);
        assert!(patient.await.unwrap());
        assert_eq!(waiting(&queues, &id), None);
    }
}
