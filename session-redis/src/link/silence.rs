//! How long commands have waited on a connection since something was last heard on it.
//!
//! No single command need wait for long to show that a server hangs: a caller whose patience is
//! shorter than the time-out goes away, and the next one waits just as long. What counts is the time
//! in which any of them waited. While none does, a connection rests, and its silence says nothing.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// The silence of one connection.
#[derive(Debug)]
pub(super) struct Silence {
    most: Duration,
    heard: Mutex<Heard>,
}

/// A command that has no answer yet. Dropped so, by its time-out or with its caller, it counts as
/// waited for in vain.
pub(super) struct Asked<'a, F: Fn()> {
    silence: &'a Silence,
    is_answered: bool,
    too_long: F,
}

#[derive(Debug)]
struct Heard {
    waiting: usize,
    /// The later of the last answer and the moment since which some are waiting.
    since: Instant,
    /// What was waited for in vain before that.
    before: Duration,
}

impl Silence {
    /// One that is too long when commands have waited for `most`.
    pub(super) fn new(most: Duration) -> Self {
        let heard = Heard {
            waiting: 0,
            since: Instant::now(),
            before: Duration::ZERO,
        };
        Self {
            most,
            heard: Mutex::new(heard),
        }
    }

    /// A command is sent; `too_long` is called when it is dropped and the silence is too long.
    pub(super) fn ask<F: Fn()>(&self, too_long: F) -> Asked<'_, F> {
        self.heard(|heard, now| heard.asked(now));
        Asked {
            silence: self,
            is_answered: false,
            too_long,
        }
    }

    fn heard<T>(&self, note: impl FnOnce(&mut Heard, Instant) -> T) -> T {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        // Within the lock, so that moments come in their order.
        note(&mut heard, Instant::now())
    }
}

impl<F: Fn()> Asked<'_, F> {
    pub(super) fn answered(mut self) {
        self.is_answered = true;
    }
}

impl<F: Fn()> Drop for Asked<'_, F> {
    fn drop(&mut self) {
        if self.is_answered {
            self.silence.heard(Heard::answered);
        } else if self.silence.heard(Heard::unanswered) >= self.silence.most {
            (self.too_long)();
        }
    }
}

impl Heard {
    fn asked(&mut self, now: Instant) {
        if self.waiting == 0 {
            self.since = now;
        }
        self.waiting += 1;
    }

    fn answered(&mut self, now: Instant) {
        self.waiting -= 1;
        self.since = now;
        self.before = Duration::ZERO;
    }

    /// One waits no more; returns how long they have waited.
    fn unanswered(&mut self, now: Instant) -> Duration {
        self.waiting -= 1;
        let waited = self.before + now.saturating_duration_since(self.since);
        if self.waiting == 0 {
            self.before = waited;
        }
        waited
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What happens, and after how many milliseconds.
    enum Does {
        Ask(u64),
        Answer(u64),
        /// With how long was waited by then.
        GoAway(u64, u64),
    }

    #[test]
    fn only_time_counts_in_which_somebody_waits_and_nobody_is_answered() {
        use Does::{Answer, Ask, GoAway};
        let cases: [&[Does]; 4] = [
            // One after the other.
            &[Ask(0), GoAway(400, 400), Ask(500), GoAway(900, 800)],
            // Rest is no silence, however long.
            &[Ask(0), GoAway(10, 10), Ask(60_000), GoAway(60_010, 20)],
            // At once.
            &[Ask(0), Ask(100), GoAway(400, 400), GoAway(500, 500)],
            // Whoever's answer it is.
            &[
                Ask(0),
                Ask(0),
                Answer(300),
                GoAway(400, 100),
                Ask(400),
                Answer(401),
                Ask(500),
                GoAway(600, 100),
            ],
        ];
        for (number, case) in cases.into_iter().enumerate() {
            let begun = Instant::now();
            let at = |millis| begun + Duration::from_millis(millis);
            let mut heard = Heard {
                waiting: 0,
                since: begun,
                before: Duration::ZERO,
            };
            for step in case {
                match *step {
                    Ask(when) => heard.asked(at(when)),
                    Answer(when) => heard.answered(at(when)),
                    GoAway(when, waited) => {
                        let found = heard.unanswered(at(when));
                        assert_eq!(found, Duration::from_millis(waited), "case {number}");
                    }
                }
            }
        }
    }
}
