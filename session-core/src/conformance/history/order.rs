//! The search for an order in which one client at a time would have been told the same.
//!
//! A history is right if its operations can be put in a line such that each stands between its
//! call and its end, and the model of one session answers each as its client was told
//! (linearizability: Herlihy and Wing 1990). The search goes from call to call and back (Wing
//! and Gong 1993) and remembers where it has been (Lowe 2017, "Testing for linearizability").
//! An operation whose outcome is unknown may have its place in the line, or none.

use std::collections::HashSet;

use super::event::Event;
use super::model::State;

/// Whether there is such an order; at most [`EVENTS_MAX`] events.
pub(super) fn has_order(events: &[Event]) -> bool {
    assert!(events.len() <= EVENTS_MAX, "histories are short");
    let mut search = Search {
        events,
        been: HashSet::new(),
    };
    search.from(0, State::default())
}

/// Events of one history: a bit of a word for each.
pub(super) const EVENTS_MAX: usize = 64;

struct Search<'a> {
    events: &'a [Event],
    /// Which events were in line, and the state that they left.
    been: HashSet<(u64, State)>,
}

impl Search<'_> {
    fn from(&mut self, in_line: u64, state: State) -> bool {
        let waiting =
            |(at, event): &(usize, &Event)| in_line & (1 << at) == 0 && !event.is_unknown();
        let first_end = self
            .events
            .iter()
            .enumerate()
            .filter(waiting)
            .map(|(_, event)| event.end)
            .min();
        let Some(first_end) = first_end else {
            return true;
        };
        if !self.been.insert((in_line, state)) {
            return false;
        }
        let placed = self.events.iter().enumerate();
        let placed = placed.filter(|(at, _)| in_line & (1 << at) != 0);
        let last_call = placed.map(|(_, event)| event.call).max().unwrap_or(0);
        let events = self.events;
        events.iter().enumerate().any(|(at, event)| {
            // None may stand after one that began when it had ended, nor before one that had
            // ended when it began.
            let can_be_next =
                in_line & (1 << at) == 0 && event.call < first_end && last_call < event.end;
            let next = state.after(event).filter(|_| can_be_next);
            next.is_some_and(|next| self.from(in_line | (1 << at), next))
        })
    }
}

#[cfg(test)]
#[path = "order_tests.rs"]
mod tests;
