//! Two operations measured side by side: each sample of one has its sample of the other beside it.
//!
//! Shared machines drift by half within seconds, so a ratio of two figures that were measured one
//! after the other says little. Within each of criterion's samples both sides run, in turns as to
//! who is first; criterion estimates the session's side, and the ratio of each sample is kept.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion};
use tokio::runtime::Runtime;

use crate::figures::{Figure, Spread};
use crate::operation::Run;

/// What a figure is called.
#[derive(Clone, Debug)]
pub struct Label {
    /// The bench: `stores`.
    pub bench: &'static str,
    /// What is measured: `redis`.
    pub subject: String,
    /// What it does: `load`.
    pub operation: String,
    /// `small` or `large`.
    pub size: String,
    /// How many tasks do it at once.
    pub tasks: usize,
}

/// One side: makes so many operations and says how long they took together.
pub type Side<'a> = &'a mut dyn FnMut(u64) -> Duration;

/// Measures `own` beside `floor`, which `floor_name` describes.
pub fn measure(
    criterion: &mut Criterion,
    label: Label,
    own: Side<'_>,
    floor: Side<'_>,
    floor_name: &str,
) -> Figure {
    let Label {
        bench,
        subject,
        operation,
        size,
        tasks,
    } = label;
    let mut samples: Vec<[f64; 2]> = Vec::new();
    let id = BenchmarkId::new(format!("{subject}/{operation}"), format!("{size}/{tasks}"));
    let mut group = criterion.benchmark_group(bench);
    group.bench_function(id, |b| {
        b.iter_custom(|iterations| {
            let took = if samples.len().is_multiple_of(2) {
                let beside = floor(iterations);
                [own(iterations), beside]
            } else {
                [own(iterations), floor(iterations)]
            };
            samples.push(took.map(|took| took.as_secs_f64() * 1e9 / iterations as f64));
            took[0]
        });
    });
    group.finish();
    // Criterion's warm-up comes first.
    let measured = &samples[samples.len().saturating_sub(SAMPLES)..];
    let ratios = measured.iter().map(|[own, floor]| own / floor);
    Figure {
        bench: bench.to_owned(),
        subject,
        operation,
        size,
        tasks,
        nanos: Spread::of(measured.iter().map(|[own, _]| *own)),
        floor: floor_name.to_owned(),
        floor_nanos: Spread::of(measured.iter().map(|[_, floor]| *floor)),
        ratio: Spread::of(ratios),
        allocations: None,
    }
}

/// Measures two operations made by `label.tasks` tasks each, on `runtime`.
pub fn measure_tasks(
    criterion: &mut Criterion,
    runtime: &Runtime,
    label: Label,
    own: &Run,
    (floor, floor_name): (&Run, &str),
) -> Figure {
    let tasks = label.tasks;
    let side = |run: &Run, iterations: u64| {
        let each = iterations.div_ceil(tasks as u64);
        let took = runtime.block_on(run.took(tasks, each));
        // Criterion divides by the iterations that it asked for.
        took.mul_f64(iterations as f64 / (each * tasks as u64) as f64)
    };
    measure(
        criterion,
        label,
        &mut |iterations| side(own, iterations),
        &mut |iterations| side(floor, iterations),
        floor_name,
    )
}

/// Samples of one figure.
pub const SAMPLES: usize = 20;
