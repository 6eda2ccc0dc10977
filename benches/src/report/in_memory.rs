//! What the store in memory costs beside time.

use super::goals::threads;
use super::table::Table;
use crate::figures::Results;

/// Adds the memory that sessions take, and the waits beside a sweep, where they were measured.
pub(super) fn append(text: &mut String, results: &Results) {
    if !results.kept.is_empty() {
        text.push_str(
            "What a live session takes, in bytes asked of the allocator, at the emptiest moment of every \
             map.\n\n",
        );
        let mut table = Table::new(["session", "sessions", "stored bytes", "bytes in memory"]);
        for kept in &results.kept {
            table.row([
                kept.size.clone(),
                kept.sessions.to_string(),
                kept.stored_bytes.to_string(),
                kept.bytes.to_string(),
            ]);
        }
        text.push_str(&table.text());
        text.push('\n');
    }
    if !results.waits.is_empty() {
        text.push_str(
            "Requests that read their session while the expired half of all sessions is swept, and as many \
             beside a task that is as busy with nothing; milliseconds from the arrival, its turn on the thread \
             included.\n\n",
        );
        let mut table = Table::new([
            "both on",
            "sessions",
            "swept",
            "in, ms",
            "requests",
            "median, ms",
            "longest, ms",
            "longest beside nothing, ms",
        ]);
        for wait in &results.waits {
            table.row([
                threads(wait),
                wait.sessions.to_string(),
                wait.expired.to_string(),
                format!("{:.0}", wait.sweep_ms),
                wait.requests.to_string(),
                format!("{:.4}", wait.median_ms),
                format!("{:.2}", wait.longest_ms),
                format!("{:.2}", wait.longest_beside_other_ms),
            ]);
        }
        text.push_str(&table.text());
        text.push('\n');
    }
}
