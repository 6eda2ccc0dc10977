//! Requests in process, measured.

use std::fmt;
use std::hint::black_box;
use std::time::{Duration, Instant};

use criterion::Criterion;
use tokio::runtime::Runtime;

use super::{Framework, Size, Work, manager};
use crate::figures::Figure;
use crate::pair::{Label, measure};
use crate::progress::Progress;

/// A request that is measured: what it does, with how large a session, or without one.
const CASES: [(Work, Option<Size>); 9] = [
    (Work::Untouched, Some(Size::Small)),
    (Work::Read, Some(Size::Small)),
    (Work::Write, Some(Size::Small)),
    (Work::Untouched, Some(Size::Large)),
    (Work::Read, Some(Size::Large)),
    (Work::Write, Some(Size::Large)),
    (Work::Untouched, None),
    (Work::Read, None),
    (Work::New, None),
];

/// How many figures [`measure_all`] makes.
pub const FIGURES: usize = CASES.len();

/// The allocator that counts.
#[derive(Clone, Copy)]
pub struct Counter {
    /// Calls this and says how often it allocated.
    pub count: fn(&mut dyn FnMut()) -> u64,
    /// Calls this without counting, which takes a good part of an allocation's time.
    pub pause: fn(&mut dyn FnMut()),
}

impl fmt::Debug for Counter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Counter").finish_non_exhaustive()
    }
}

/// Measures every case under one framework, each beside the bare framework.
pub fn measure_all<F: Framework>(
    criterion: &mut Criterion,
    counter: Counter,
    progress: &Progress,
) -> Vec<Figure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a current-thread runtime");
    let mut bare = runtime.block_on(F::bare());
    let mut figures = Vec::new();
    for (work, size) in CASES {
        let size_name = size.map_or("no cookie".to_owned(), |size| size.to_string());
        progress.say(&format!("{}: {work}, {size_name}", F::NAME));
        let mut app = runtime.block_on(F::with_sessions(&manager()));
        let cookie = size.map(|size| runtime.block_on(F::filled(&mut app, size)));
        let cookie = cookie.as_deref();
        let label = Label {
            bench: "requests",
            subject: F::NAME.to_owned(),
            operation: work.to_string(),
            size: size_name,
            tasks: 1,
        };
        let took = |app: &mut F::App, iterations: u64| {
            let mut took = Duration::ZERO;
            (counter.pause)(&mut || {
                let begin = Instant::now();
                for _ in 0..iterations {
                    let request = F::request(work.path(), cookie);
                    black_box(runtime.block_on(F::send(app, black_box(request))));
                }
                took = begin.elapsed();
            });
            took
        };
        let mut figure = if work == Work::New {
            // New sessions pile up in the store: a fresh one for each sample keeps it small.
            let mut own = |iterations| {
                let mut app = runtime.block_on(F::with_sessions(&manager()));
                took(&mut app, iterations)
            };
            measure(
                criterion,
                label,
                &mut own,
                &mut |n| took(&mut bare, n),
                "bare",
            )
        } else {
            let mut own = |iterations| took(&mut app, iterations);
            measure(
                criterion,
                label,
                &mut own,
                &mut |n| took(&mut bare, n),
                "bare",
            )
        };
        let counts = [&mut app, &mut bare]
            .map(|app| allocations::<F>(&runtime, counter, app, work.path(), cookie));
        figure.allocations = Some(counts[0] as i64 - counts[1] as i64);
        figures.push(figure);
        progress.step();
    }
    figures
}

/// Allocations of one request in the steady state: the fewest of some, as maps grow now and then.
fn allocations<F: Framework>(
    runtime: &Runtime,
    counter: Counter,
    app: &mut F::App,
    path: &'static str,
    cookie: Option<&str>,
) -> u64 {
    let mut send = || {
        black_box(runtime.block_on(F::send(app, F::request(path, cookie))));
    };
    (0..100).for_each(|_| send());
    let counts = (0..100).map(|_| (counter.count)(&mut send));
    counts.min().unwrap_or_default()
}
