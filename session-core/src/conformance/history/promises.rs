//! What is promised of every history, in sentences: which one a failing history breaks.
//!
//! The search for an order says only that there is none. These checks name what is wrong where
//! it has a name, and stand on their own: they know nothing of the model.

use super::event::{Asked, COUNTER, Change, Event, KEYS, Told};

/// The promises that `events` break.
pub(super) fn broken(events: &[Event]) -> Vec<String> {
    [
        reads_what_was_written(events),
        keeps_what_was_acknowledged(events),
        counts_no_two_alike(events),
        lets_nobody_in_after_its_end(events),
        lets_nobody_act_under_an_old_secret(events),
        is_created_once(events),
    ]
    .into_iter()
    .flatten()
    .collect()
}

fn reads_what_was_written(events: &[Event]) -> Option<String> {
    let seen = events
        .iter()
        .flat_map(|event| event.seen().map(move |seen| (event, seen)));
    let values = seen.flat_map(|(event, seen)| {
        let inserted = seen.values.iter().enumerate().take(KEYS.len() - 1);
        inserted.map(move |(key, value)| (event, key, *value))
    });
    let mut unfounded = values.filter(|(read, key, value)| {
        let writes = |event: &Event| {
            let it = Change::Insert(*key, *value);
            event.call < read.end && event.changes().contains(&it)
        };
        *value > 0 && !events.iter().any(writes)
    });
    let (_, key, value) = unfounded.next()?;
    Some(format!(
        "{}={value} was read, which nobody had written",
        KEYS[key]
    ))
}

/// Looks at the last reading alone, since other values may be overwritten.
fn keeps_what_was_acknowledged(events: &[Event]) -> Option<String> {
    let last = events.iter().max_by_key(|event| event.call)?;
    let Told::Read(seen) = last.told else {
        return None;
    };
    for (key, name) in KEYS.iter().enumerate().filter(|(key, _)| *key != COUNTER) {
        let begun_later = |write: &Event| {
            let others = events.iter().filter(|other| other.end > write.call);
            let mut others = others.filter(|other| other.call != write.call);
            others.any(|other| {
                let takes_over = matches!(other.asked, Asked::Commit { login: Some(_), .. });
                let over = |change: &Change| match change {
                    Change::Insert(at, _) | Change::Remove(at) => *at == key,
                    Change::Clear => true,
                    Change::Add => false,
                };
                takes_over || other.changes().iter().any(over)
            })
        };
        for write in events {
            let Told::Stored { after, .. } = write.told else {
                continue;
            };
            let value = after.values[key];
            let stores = write.changes().contains(&Change::Insert(key, value));
            if stores && write.end < last.call && seen.values[key] != value && !begun_later(write) {
                return Some(format!("{name}={value} was acknowledged and is lost"));
            }
        }
    }
    None
}

/// Of transactions that only count, and see it, no two see the same count and data.
fn counts_no_two_alike(events: &[Event]) -> Option<String> {
    let counted = events.iter().filter_map(|event| match event.told {
        Told::Stored {
            before: Some(before),
            after,
        } if event.changes() == [Change::Add] => Some((before, after)),
        _ => None,
    });
    let mut answers: Vec<_> = counted
        .map(|(_, after)| (after.values, after.owner))
        .collect();
    answers.sort_unstable();
    let can_return = events.iter().any(|event| {
        let returns = |change: &Change| matches!(change, Change::Clear);
        let takes_over = matches!(event.asked, Asked::Commit { login: Some(_), .. });
        takes_over || event.changes().iter().any(returns)
    });
    let alike = answers.windows(2).any(|pair| pair[0] == pair[1]);
    (alike && !can_return).then(|| "two transactions counted to the same number".to_owned())
}

fn lets_nobody_in_after_its_end(events: &[Event]) -> Option<String> {
    let ends = events
        .iter()
        .filter(|event| match (&event.asked, &event.told) {
            (_, Told::Ended) => true,
            (Asked::Revoke | Asked::RevokeOwner(_), told) => *told == Told::Yes,
            _ => false,
        });
    let end = ends.map(|event| event.end).min()?;
    let lives = |event: &&Event| event.call > end && event.seen().next().is_some();
    let event = events.iter().find(lives)?;
    Some(format!(
        "the session had ended and it could still be used: {}",
        event.asked
    ))
}

fn lets_nobody_act_under_an_old_secret(events: &[Event]) -> Option<String> {
    for renewal in events {
        let (Asked::Commit { by, renews, .. }, Told::Stored { .. }) =
            (&renewal.asked, &renewal.told)
        else {
            continue;
        };
        let acts = |event: &&Event| {
            let is_ended = event.told == Told::Ended && !has_ended(events, event.end);
            let acts = event.seen().next().is_some() || is_ended;
            event.call > renewal.end && event.by() == Some(*by) && acts
        };
        if let Some(event) = events.iter().find(acts).filter(|_| renews.is_some()) {
            return Some(format!(
                "secret {by} had been replaced and it could still be used: {}",
                event.asked
            ));
        }
    }
    None
}

/// Whether something else may have ended the session before `tick`.
fn has_ended(events: &[Event], tick: u64) -> bool {
    events.iter().any(|event| {
        let ends = matches!(
            event.asked,
            Asked::Destroy { .. } | Asked::Revoke | Asked::RevokeOwner(_)
        );
        ends && event.call < tick && event.end != tick && event.told != Told::No
    })
}

fn is_created_once(events: &[Event]) -> Option<String> {
    let creates = events.iter().filter(|event| {
        matches!(event.asked, Asked::Create { .. }) && matches!(event.told, Told::Stored { .. })
    });
    (creates.count() > 1).then(|| "the session was created twice".to_owned())
}
