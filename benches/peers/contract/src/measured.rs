//! Requests in process, in turns with the bare framework's.

use std::hint::black_box;
use std::time::{Duration, Instant};

use serde_json::json;
use tokio::runtime::Runtime;

/// An application that is called without a socket.
pub(crate) trait Application {
    type Request;
    type Response;

    fn request(path: &'static str, cookie: Option<&str>) -> Self::Request;

    async fn send(&mut self, request: Self::Request) -> Self::Response;

    /// What a browser would send back: `a=1; b=2`.
    fn cookie(response: &Self::Response) -> String;
}

/// What is measured: the operation's name, its path.
const OPERATIONS: [(&str, &str); 3] = [
    ("untouched", "/plain"),
    ("read", "/read"),
    ("write", "/write"),
];

/// The sizes of a session, and what fills it.
const SIZES: [(&str, &str); 2] = [("small", "/fill/small"), ("large", "/fill/large")];

/// Measures every operation on a session of every size, and prints a line of JSON for each:
/// nanoseconds of both sides, round by round, and the allocations above the bare side's.
pub(crate) fn measure<A: Application>(runtime: &Runtime, mut own: A, mut bare: A, quick: bool) {
    let (rounds, length) = match quick {
        true => (6, Duration::from_millis(5)),
        false => (24, Duration::from_millis(40)),
    };
    for (size, fill) in SIZES {
        let filled = runtime.block_on(own.send(A::request(fill, None)));
        let cookie = A::cookie(&filled);
        for (operation, path) in OPERATIONS {
            let took = |app: &mut A, iterations: u32| {
                let mut took = Duration::ZERO;
                // Counting takes a good part of an allocation's time.
                allocation_counter::opt_out(|| {
                    let begin = Instant::now();
                    for _ in 0..iterations {
                        let request = A::request(path, Some(&cookie));
                        black_box(runtime.block_on(app.send(black_box(request))));
                    }
                    took = begin.elapsed();
                });
                took
            };
            // As many as fill a round, found out while everything warms up.
            let mut iterations = 16;
            while took(&mut own, iterations) < length {
                iterations *= 2;
            }
            let (mut nanos, mut floor_nanos) = (Vec::new(), Vec::new());
            for round in 0..rounds {
                let each = |took: Duration| took.as_secs_f64() * 1e9 / f64::from(iterations);
                if round % 2 == 0 {
                    nanos.push(each(took(&mut own, iterations)));
                    floor_nanos.push(each(took(&mut bare, iterations)));
                } else {
                    floor_nanos.push(each(took(&mut bare, iterations)));
                    nanos.push(each(took(&mut own, iterations)));
                }
            }
            let [counted, floor] =
                [&mut own, &mut bare].map(|app| allocations(runtime, app, path, &cookie));
            let line = json!({
                "operation": operation,
                "size": size,
                "nanos": nanos,
                "floor_nanos": floor_nanos,
                "allocations": counted.cast_signed() - floor.cast_signed(),
            });
            println!("{line}");
        }
    }
}

/// Allocations of one request in the steady state: the fewest of some, as maps grow now and then.
fn allocations<A: Application>(
    runtime: &Runtime,
    app: &mut A,
    path: &'static str,
    cookie: &str,
) -> u64 {
    let mut send = || {
        black_box(runtime.block_on(app.send(A::request(path, Some(cookie)))));
    };
    (0..100).for_each(|_| send());
    let counts = (0..100).map(|_| allocation_counter::measure(&mut send).count_total);
    counts.min().unwrap_or_default()
}
