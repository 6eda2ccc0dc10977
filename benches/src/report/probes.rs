//! Who gives right answers.

use super::table::Table;
use crate::probes::{Outcome, Probe};

pub(super) fn section<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> String {
    let outcomes: Vec<&Outcome> = outcomes.collect();
    if outcomes.is_empty() {
        return String::new();
    }
    let mut text = String::from(
        "## Right answers\n\nEach program over each store that it has. What is wrong is in bold.\n\n\
         - increments: 64 clients add 100 each to one session's number. A library that reads and \
         writes back without a check keeps them all only where nothing comes between.\n\
         - logout: a slow request is in flight over it and then stores something.\n\
         - ended, made-up id: two requests with a dead session's cookie, or with an invented one, \
         must not meet in one session.\n\
         - planted id: the victim logs in with a cookie that the attacker has too.\n\
         - frozen, killed: the store's server hangs or is dead. Nothing that needs it may be \
         answered 200, all has an answer in 8 s, `/plain` works, and all is well again after.\n\n\
         Over `cookie` the client holds the data: the last answer's are kept, and the cookie of an \
         ended session still opens it.\n\n",
    );
    let mut table = Table::new([
        "program",
        "store",
        "increments",
        "logout",
        "ended id",
        "made-up id",
        "planted id",
        "frozen",
        "killed",
    ]);
    let mut subjects: Vec<(&str, &str)> = Vec::new();
    for outcome in &outcomes {
        let subject = (outcome.program.as_str(), outcome.store.as_str());
        if !subjects.contains(&subject) {
            subjects.push(subject);
        }
    }
    for subject in subjects {
        let cells = Probe::ALL.map(|probe| {
            let outcome = outcomes.iter().find(|outcome| {
                (outcome.program.as_str(), outcome.store.as_str()) == subject
                    && outcome.probe == probe
            });
            outcome.map_or(String::new(), |outcome| match outcome.passed {
                true => outcome.seen.clone(),
                false => format!("**{}**", outcome.seen),
            })
        });
        let [a, b, c, d, e, f, g] = cells;
        let (program, store) = subject;
        table.row([program.to_owned(), store.to_owned(), a, b, c, d, e, f, g]);
    }
    text.push_str(&table.text());
    text.push('\n');
    text
}
