//! Who waits for a session to end is told at once when this manager ends it.
//!
//! A word from here only hastens a look: what has ended is for the store to say. Whoever ends a
//! session tells after the store has done it, whoever waits takes a place before looking, so no
//! end falls between the two. Where nobody waits, telling reads one number.

use std::collections::hash_map::Entry;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::Notified;

use crate::id::{IdMap, SessionId};

/// The places of one manager; there is one exactly as long as someone waits in it.
#[derive(Default)]
pub(crate) struct Endings {
    taken: AtomicUsize,
    places: Mutex<IdMap<Waiting>>,
}

struct Waiting {
    count: usize,
    bell: Arc<Notify>,
}

/// A place to wait in; dropping it gives it up.
pub(crate) struct Place<'a> {
    endings: &'a Endings,
    id: SessionId,
    bell: Arc<Notify>,
}

impl Endings {
    /// Takes a place among those who wait for the end of `id`.
    pub(crate) fn enter(&self, id: SessionId) -> Place<'_> {
        self.taken.fetch_add(1, Ordering::SeqCst);
        let bell = match self.places().entry(id) {
            Entry::Occupied(mut place) => {
                place.get_mut().count += 1;
                Arc::clone(&place.get().bell)
            }
            Entry::Vacant(free) => {
                let bell = Arc::default();
                let waiting = Waiting { count: 1, bell };
                Arc::clone(&free.insert(waiting).bell)
            }
        };
        Place {
            endings: self,
            id,
            bell,
        }
    }

    /// Tells those who wait for the end of `id` to look.
    pub(crate) fn tell(&self, id: &SessionId) {
        if self.taken.load(Ordering::SeqCst) == 0 {
            return;
        }
        if let Some(waiting) = self.places().get(id) {
            waiting.bell.notify_waiters();
        }
    }

    /// Tells all who wait to look: whose sessions have ended is not known.
    #[cfg(feature = "sealed")]
    pub(crate) fn tell_all(&self) {
        for waiting in self.places().values() {
            waiting.bell.notify_waiters();
        }
    }

    fn places(&self) -> MutexGuard<'_, IdMap<Waiting>> {
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place<'_> {
    /// Resolves when told, once it was polled or enabled.
    pub(crate) fn told(&self) -> Notified<'_> {
        self.bell.notified()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut places = self.endings.places();
        if let Entry::Occupied(mut place) = places.entry(self.id) {
            place.get_mut().count -= 1;
            if place.get().count == 0 {
                place.remove();
            }
        }
        if places.is_empty() {
            // What a busy hour needed is not kept for ever.
            places.shrink_to_fit();
        }
        self.endings.taken.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Endings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Endings")
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Poll, Waker};

    use super::*;

    fn is_told(told: std::pin::Pin<&mut Notified<'_>>) -> bool {
        told.poll(&mut Context::from_waker(Waker::noop())) == Poll::Ready(())
    }

    #[test]
    fn t7_all_who_wait_for_one_session_are_told_and_no_others() {
        let endings = Endings::default();
        let [id, other] = [1, 2].map(|byte| SessionId::from_bytes([byte; 16]));
        let places = [id, id, other].map(|id| endings.enter(id));
        let [one, two, third] = &places;
        let (mut one, mut two) = (pin!(one.told()), pin!(two.told()));
        let mut third = pin!(third.told());
        for told in [&mut one, &mut two, &mut third] {
            assert!(!told.as_mut().enable());
        }
        endings.tell(&id);
        assert!(is_told(one) && is_told(two) && !is_told(third));
    }

    #[test]
    fn t7_what_is_told_between_taking_a_place_and_waiting_is_heard() {
        let endings = Endings::default();
        let id = SessionId::from_bytes([1; 16]);
        let place = endings.enter(id);
        let mut told = pin!(place.told());
        told.as_mut().enable();
        endings.tell(&id);
        assert!(is_told(told));
    }

    #[test]
    fn t7_places_given_up_leave_nothing_behind() {
        let endings = Endings::default();
        for round in 0..3_u8 {
            let id = |n: u8| SessionId::from_bytes([n.wrapping_add(round); 16]);
            let places: Vec<_> = (0..200).map(|n| endings.enter(id(n / 2))).collect();
            assert_eq!(endings.places().len(), 100);
            drop(places);
            assert!(endings.places().is_empty());
            assert_eq!(endings.places().capacity(), 0);
            assert_eq!(endings.taken.load(Ordering::SeqCst), 0);
        }
    }
}
