//! A failing history, cut down to what shows the failure, as a table.
//!
//! Nothing is left out that could make a right history look wrong: what remains has no order
//! only if the whole had none.

use std::collections::BTreeSet;
use std::fmt::Write;

use super::event::{Asked, Change, Event, KEYS, Told};
use super::order::has_order;

/// The least part found of a history without an order that has none either.
pub(super) fn of(events: &[Event]) -> Vec<Event> {
    let mut least = shortest_beginning(events);
    loop {
        let before = least.len();
        for key in 0..KEYS.len() {
            let other = without_key(&least, key);
            if !has_order(&other) {
                least = other;
            }
        }
        for at in (0..least.len()).rev() {
            let mut fewer = least.clone();
            let event = fewer.remove(at);
            if (leaves_no_trace(&event) || is_unseen(&event, &fewer)) && !has_order(&fewer) {
                least = fewer;
            }
        }
        if least.len() == before {
            return least;
        }
    }
}

/// The history up to the moment in which there is no order any more. What was under way then may
/// have happened or not.
fn shortest_beginning(events: &[Event]) -> Vec<Event> {
    let ends: BTreeSet<u64> = events.iter().map(|event| event.end).collect();
    let until = |moment: u64| -> Vec<Event> {
        let begun = events.iter().filter(|event| event.call <= moment).cloned();
        let cut = begun.map(|mut event| {
            if event.end > moment {
                event.told = Told::Unknown;
            }
            event
        });
        cut.filter(|event| !event.is_unknown() || !only_looks(&event.asked))
            .collect()
    };
    let beginnings = ends.into_iter().map(until);
    let mut failing = beginnings.filter(|beginning| !has_order(beginning));
    failing.next().unwrap_or_else(|| events.to_vec())
}

/// The same history as seen by someone who looks away from one key.
fn without_key(events: &[Event], key: usize) -> Vec<Event> {
    let mut events = events.to_vec();
    for event in &mut events {
        match &mut event.asked {
            Asked::Create { changes } | Asked::Commit { changes, .. } => {
                changes.retain(|change| match change {
                    Change::Insert(at, _) | Change::Remove(at) => *at != key,
                    Change::Add => key != super::event::COUNTER,
                    Change::Clear => true,
                });
            }
            _ => {}
        }
        match &mut event.told {
            Told::Read(seen) => seen.values[key] = 0,
            Told::Stored { before, after } => {
                after.values[key] = 0;
                if let Some(before) = before {
                    before.values[key] = 0;
                }
            }
            _ => {}
        }
    }
    events
}

fn only_looks(asked: &Asked) -> bool {
    matches!(
        asked,
        Asked::Open { .. } | Asked::Reload { .. } | Asked::List(_) | Asked::Peek
    )
}

/// Whether the event changed nothing.
fn leaves_no_trace(event: &Event) -> bool {
    only_looks(&event.asked) || matches!(event.told, Told::Gone | Told::Taken | Told::No)
}

/// Whether the event changed nothing but what nobody else has seen.
fn is_unseen(event: &Event, others: &[Event]) -> bool {
    let Asked::Commit {
        renews: None,
        login: None,
        changes,
        ..
    } = &event.asked
    else {
        return false;
    };
    changes.iter().all(|change| match change {
        Change::Insert(key, value) => {
            let mut seen = others.iter().flat_map(Event::seen);
            !seen.any(|seen| seen.values[*key] == *value)
        }
        _ => false,
    })
}

/// One line for each event: who, from when to when, what, and the answer.
pub(super) fn table(events: &[Event]) -> String {
    let ticks: BTreeSet<u64> = events
        .iter()
        .flat_map(|event| [event.call, event.end])
        .collect();
    let column = |tick: u64| ticks.range(..tick).count();
    let width = ticks.len().max("time".len());
    let mut asked: Vec<_> = events.iter().map(|event| event.asked.to_string()).collect();
    let wide = asked.iter().map(|text| text.chars().count()).max();
    let wide = wide.unwrap_or(0).max("asked".len());
    let mut table = format!("client  {:width$}  {:wide$}  told\n", "time", "asked");
    for (event, asked) in events.iter().zip(&mut asked) {
        let (from, to) = (column(event.call), column(event.end));
        let fill = if event.is_unknown() { "." } else { "=" };
        let bar = format!(
            "{}|{}{}",
            " ".repeat(from),
            fill.repeat((to - from).saturating_sub(1)),
            if event.is_unknown() { "." } else { "|" },
        );
        let who = event.client;
        let _ = writeln!(
            table,
            "{who:6}  {bar:width$}  {asked:wide$}  {}",
            event.told
        );
    }
    table
}
