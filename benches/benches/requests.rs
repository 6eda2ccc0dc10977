//! Requests in process: nanoseconds by criterion, then allocations above the bare framework.
//!
//! `cargo bench -p session-benches --bench requests`

use std::hint::black_box;

use criterion::{Criterion, criterion_group};
use session_benches::{Actix, Axum, Framework, Size, Work, manager};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a current-thread runtime")
}

fn requests<F: Framework>(c: &mut Criterion) {
    let runtime = runtime();
    let sessions = manager();
    let mut plain = runtime.block_on(F::bare());
    for size in Size::ALL {
        let mut app = runtime.block_on(F::with_sessions(&sessions));
        let cookie = runtime.block_on(F::filled(&mut app, size));
        for work in [Work::Untouched, Work::Read, Work::Write] {
            let mut group = c.benchmark_group(format!("{} {work} {size}", F::NAME));
            for (name, app) in [("bare", &mut plain), ("session", &mut app)] {
                group.bench_function(name, |b| {
                    b.iter(|| {
                        let request = F::request(work.path(), Some(&cookie));
                        runtime.block_on(F::send(app, black_box(request)))
                    });
                });
            }
            group.finish();
        }
    }
    let mut app = runtime.block_on(F::with_sessions(&sessions));
    for work in [Work::Untouched, Work::Read] {
        let mut group = c.benchmark_group(format!("{} {work} no cookie", F::NAME));
        for (name, app) in [("bare", &mut plain), ("session", &mut app)] {
            group.bench_function(name, |b| {
                b.iter(|| {
                    let request = F::request(work.path(), None);
                    runtime.block_on(F::send(app, black_box(request)))
                });
            });
        }
        group.finish();
    }
    let mut group = c.benchmark_group(format!("{} new", F::NAME));
    group.bench_function("bare", |b| {
        b.iter(|| runtime.block_on(F::send(&mut plain, black_box(F::request("/new", None)))));
    });
    // Sessions pile up in the store: a fresh one for each batch keeps it small.
    group.bench_function("session", |b| {
        b.iter_custom(|iterations| {
            let mut app = runtime.block_on(F::with_sessions(&manager()));
            let start = std::time::Instant::now();
            for _ in 0..iterations {
                runtime.block_on(F::send(&mut app, black_box(F::request("/new", None))));
            }
            start.elapsed()
        });
    });
    group.finish();
}

/// Allocations of one request in the steady state.
fn allocations<F: Framework>(
    runtime: &Runtime,
    app: &mut F::App,
    path: &'static str,
    cookie: Option<&str>,
) -> u64 {
    for _ in 0..100 {
        runtime.block_on(F::send(app, F::request(path, cookie)));
    }
    let counted = allocation_counter::measure(|| {
        black_box(runtime.block_on(F::send(app, F::request(path, cookie))));
    });
    counted.count_total
}

fn print_allocations<F: Framework>() {
    let runtime = runtime();
    let sessions = manager();
    let mut app = runtime.block_on(F::with_sessions(&sessions));
    let mut plain = runtime.block_on(F::bare());
    println!(
        "\n{:<5} allocations a request  bare  session  above",
        F::NAME
    );
    for size in Size::ALL {
        let cookie = runtime.block_on(F::filled(&mut app, size));
        for (work, cookie) in [
            (Work::Untouched, Some(&*cookie)),
            (Work::Read, Some(&*cookie)),
            (Work::Write, Some(&*cookie)),
            (Work::Read, None),
            (Work::New, None),
        ] {
            let without = allocations::<F>(&runtime, &mut plain, work.path(), cookie);
            let with = allocations::<F>(&runtime, &mut app, work.path(), cookie);
            let token = if cookie.is_some() {
                "token"
            } else {
                "no cookie"
            };
            let label = format!("{work} {size} {token}");
            let above = with.saturating_sub(without);
            println!("{label:<26} {without:>6}  {with:>7}  {above:>5}");
        }
    }
}

criterion_group!(benches, requests::<Axum>, requests::<Actix>);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    print_allocations::<Axum>();
    print_allocations::<Actix>();
}
