//! Requests in process: nanoseconds by criterion, then allocations above the bare framework.
//!
//! `cargo bench -p session-benches --bench requests`

use std::hint::black_box;

use criterion::{Criterion, criterion_group};
use session_benches::{Size, Work, bare, filled, manager, request, send, with_sessions};
use tokio::runtime::Runtime;

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a current-thread runtime")
}

fn requests(c: &mut Criterion) {
    let runtime = runtime();
    let sessions = manager();
    for size in Size::ALL {
        let mut router = with_sessions(&sessions);
        let cookie = runtime.block_on(filled(&mut router, size));
        let mut plain = bare();
        for work in [Work::Untouched, Work::Read, Work::Write] {
            let mut group = c.benchmark_group(format!("{work} {size}"));
            group.bench_function("bare", |b| {
                b.iter(|| {
                    runtime.block_on(send(
                        &mut plain,
                        black_box(request(work.path(), Some(&cookie))),
                    ))
                });
            });
            group.bench_function("session", |b| {
                b.iter(|| {
                    runtime.block_on(send(
                        &mut router,
                        black_box(request(work.path(), Some(&cookie))),
                    ))
                });
            });
            group.finish();
        }
    }
    let mut router = with_sessions(&sessions);
    let mut plain = bare();
    for work in [Work::Untouched, Work::Read] {
        let mut group = c.benchmark_group(format!("{work} no cookie"));
        group.bench_function("bare", |b| {
            b.iter(|| runtime.block_on(send(&mut plain, black_box(request(work.path(), None)))));
        });
        group.bench_function("session", |b| {
            b.iter(|| runtime.block_on(send(&mut router, black_box(request(work.path(), None)))));
        });
        group.finish();
    }
    // Sessions pile up in the store: a fresh one for each batch keeps it small.
    let mut group = c.benchmark_group("new");
    group.bench_function("bare", |b| {
        b.iter(|| runtime.block_on(send(&mut plain, black_box(request("/new", None)))));
    });
    group.bench_function("session", |b| {
        b.iter_custom(|iterations| {
            let mut router = with_sessions(&manager());
            let start = std::time::Instant::now();
            for _ in 0..iterations {
                runtime.block_on(send(&mut router, black_box(request("/new", None))));
            }
            start.elapsed()
        });
    });
    group.finish();
}

/// Allocations of one request in the steady state.
fn allocations(
    runtime: &Runtime,
    router: &mut axum::Router,
    path: &'static str,
    cookie: Option<&str>,
) -> u64 {
    for _ in 0..100 {
        runtime.block_on(send(router, request(path, cookie)));
    }
    let counted = allocation_counter::measure(|| {
        black_box(runtime.block_on(send(router, request(path, cookie))));
    });
    counted.count_total
}

fn print_allocations() {
    let runtime = runtime();
    let sessions = manager();
    let (mut router, mut plain) = (with_sessions(&sessions), bare());
    println!("\nallocations per request   bare  session  above");
    for size in Size::ALL {
        let cookie = runtime.block_on(filled(&mut router, size));
        for (work, cookie) in [
            (Work::Untouched, Some(&*cookie)),
            (Work::Read, Some(&*cookie)),
            (Work::Write, Some(&*cookie)),
            (Work::Read, None),
            (Work::New, None),
        ] {
            let without = allocations(&runtime, &mut plain, work.path(), cookie);
            let with = allocations(&runtime, &mut router, work.path(), cookie);
            let token = if cookie.is_some() {
                "token"
            } else {
                "no cookie"
            };
            let label = format!("{work} {size} {token}");
            println!("{label:<24} {without:>5}  {with:>7}  {:>5}", with - without);
        }
    }
}

criterion_group!(benches, requests);

fn main() {
    benches();
    Criterion::default().configure_from_args().final_summary();
    print_allocations();
}
