//! Moments as RFC 3339, in UTC, to the millisecond.

use session_kit::Timestamp;

/// `2026-03-05T14:05:59.123Z`; empty outside the years that RFC 3339 can express.
pub fn rfc3339(at: Timestamp) -> String {
    jiff::Timestamp::from_millisecond(at.as_unix_ms())
        .map(|at| format!("{at:.3}"))
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_have_three_places_and_an_end() {
        let table = [
            (0, "1970-01-01T00:00:00.000Z"),
            (1_772_719_559_120, "2026-03-05T14:05:59.120Z"),
            (i64::MAX, ""),
        ];
        for (ms, text) in table {
            assert_eq!(rfc3339(Timestamp::from_unix_ms(ms)), text);
        }
    }
}
