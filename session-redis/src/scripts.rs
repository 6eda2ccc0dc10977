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
    LazyLock::new(|| on_a_record(include_str!("scripts/update.lua")));
pub(crate) static TOUCH: LazyLock<Script> =
    LazyLock::new(|| on_a_record(include_str!("scripts/touch.lua")));
pub(crate) static DELETE: LazyLock<Script> =
    LazyLock::new(|| on_a_record(include_str!("scripts/delete.lua")));
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
    let (accessed, expires, owner) = (Record::ACCESSED_AT, Record::EXPIRES_AT, Record::OWNER_AT);
    let offsets =
        format!("local ACCESSED_AT, EXPIRES_AT, OWNER_AT = {accessed}, {expires}, {owner}\n");
    Script::new(&(offsets + include_str!("scripts/head.lua") + body))
}

fn on_an_index(body: &str) -> Script {
    Script::new(&(include_str!("scripts/index.lua").to_owned() + body))
}
