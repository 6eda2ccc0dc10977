//! What the peers' sessions add to a request in process, as they measure it themselves.
//!
//! [`requests`](crate::requests) measures ours: the same works on sessions of the same sizes.

use std::error::Error as StdError;

use serde::Deserialize;

use crate::figures::{Figure, Spread};
use crate::programs::Program;

/// What a peer prints for one work.
#[derive(Deserialize)]
struct Line {
    operation: String,
    size: String,
    /// Nanoseconds of one request, round by round.
    nanos: Vec<f64>,
    /// The bare framework's in the same rounds.
    floor_nanos: Vec<f64>,
    /// Allocations of one request above the bare framework's.
    allocations: i64,
}

/// Lets `program` measure itself over memory.
///
/// # Errors
///
/// It is not built, fails, or prints something else.
pub fn measure(program: &Program, quick: bool) -> Result<Vec<Figure>, Box<dyn StdError>> {
    let text = program.measured(quick)?;
    let lines = text.lines().map(|line| {
        let line: Line = serde_json::from_str(line)?;
        Ok(figure(program, line))
    });
    lines.collect()
}

fn figure(program: &Program, line: Line) -> Figure {
    let pairs = line.nanos.iter().zip(&line.floor_nanos);
    Figure {
        bench: "peers".to_owned(),
        subject: program.name.to_owned(),
        operation: line.operation,
        size: line.size,
        tasks: 1,
        ratio: Spread::of(pairs.map(|(own, floor)| own / floor)),
        nanos: Spread::of(line.nanos),
        floor: program.floor().name.to_owned(),
        floor_nanos: Spread::of(line.floor_nanos),
        allocations: Some(line.allocations),
    }
}
