//! The scripts that the server runs, each on one key.
//!
//! A record in session-core's own spelling has version, generation, times and owner at fixed
//! offsets, so the scripts parse no JSON. Where they come upon anything else they write nothing
//! and answer with what is there; `revise.rs` goes on from that.

use std::sync::LazyLock;

use crate::link::Script;
use session_core::Record;

pub(crate) static CREATE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/create.lua")));
pub(crate) static UPDATE: LazyLock<Script> =
    LazyLock::new(|| on_fields(include_str!("scripts/update.lua")));
pub(crate) static TOUCH: LazyLock<Script> =
    LazyLock::new(|| on_a_record(include_str!("scripts/touch.lua")));
pub(crate) static DELETE: LazyLock<Script> =
    LazyLock::new(|| on_a_record(include_str!("scripts/delete.lua")));
pub(crate) static OWNED: LazyLock<Script> =
    LazyLock::new(|| on_a_record(include_str!("scripts/owned.lua")));
pub(crate) static SWAP: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/swap.lua")));

pub(crate) static CLAIM: LazyLock<Script> =
    LazyLock::new(|| on_an_index(include_str!("scripts/claim.lua")));
pub(crate) static RELEASE: LazyLock<Script> =
    LazyLock::new(|| on_an_index(include_str!("scripts/release.lua")));
pub(crate) static LIST: LazyLock<Script> =
    LazyLock::new(|| on_an_index(include_str!("scripts/list.lua")));

pub(crate) static PROBE: LazyLock<Script> =
    LazyLock::new(|| Script::new(include_str!("scripts/probe.lua")));

fn on_a_record(body: &str) -> Script {
    on_fields(&(include_str!("scripts/head.lua").to_owned() + body))
}

/// Without `head_of`: the server makes functions anew in each run.
fn on_fields(body: &str) -> Script {
    let offsets = format!(
        "local ACCESSED_AT, EXPIRES_AT, ENDS_AT, OWNER_AT = {}, {}, {ENDS_AT}, {}\n",
        Record::ACCESSED_AT,
        Record::EXPIRES_AT,
        Record::OWNER_AT,
    );
    Script::new(&(offsets + include_str!("scripts/fields.lua") + body))
}

fn on_an_index(body: &str) -> Script {
    Script::new(&(include_str!("scripts/index.lua").to_owned() + body))
}

/// How a record in session-core's own spelling begins: before its version.
pub(crate) const BEGIN: &str = "{\"format\":1,\"version\":\"";

/// Where the 15 characters of `ends` start: after `expires` and `timeout`.
const ENDS_AT: usize =
    Record::EXPIRES_AT + 2 * Record::TIME_WIDTH + ",\"timeout\":".len() + ",\"ends\":".len();

#[cfg(test)]
mod tests {
    use super::*;
    use session_core::conformance::samples;
    use session_core::{Expiry, Timestamp};

    #[test]
    fn the_offsets_are_those_of_an_encoded_record() {
        let ends = Timestamp::from_unix_ms(1_764_000_000_000);
        for owner in [None, Some(samples::owner("ada"))] {
            let record = Record {
                owner,
                expiry: Expiry::new(None, Some(ends)),
                ..samples::record()
            };
            let text = record.encode();
            let field = |at: usize| text[at..at + Record::TIME_WIDTH].trim().to_owned();
            assert_eq!(field(ENDS_AT), "1764000000000");
            assert_eq!(
                field(Record::ACCESSED_AT),
                record.accessed_at.as_unix_ms().to_string()
            );
            assert!(text.starts_with(&format!("{BEGIN}{}\",\"generation\":", record.version)));
            // The places that `fields.lua` and `head.lua` know by number.
            assert_eq!(&text[56..71], "\",\"generation\":");
            assert_eq!(&text[81..93], ",\"accessed\":");
            assert_eq!(Record::ACCESSED_AT, 93);
        }
    }
}
