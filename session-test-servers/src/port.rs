//! Free ports that stay ours while their server is down.

use std::collections::hash_map::RandomState;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::net::{Ipv4Addr, TcpListener};

use crate::ServerError;

/// A loopback port nobody listens on.
///
/// It lies below the range that the system gives to outgoing connections and to binds to port 0:
/// one of those could take the port while its server is killed, and no restart would succeed.
/// Another test can still take it before the server does; then the start is tried anew.
pub(crate) fn free() -> Result<u16, ServerError> {
    let lowest = 10_240;
    let range = fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let ephemeral: u16 = range
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok())
        .unwrap_or(32_768);
    let count = u64::from(ephemeral.saturating_sub(lowest).max(1_000));
    for _ in 0..1_000 {
        // Each RandomState has its own keys.
        let random = RandomState::new().build_hasher().finish();
        let port = lowest + u16::try_from(random % count).expect("the count is below 65,536");
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return Ok(port);
        }
    }
    Err(ServerError::new(
        "no free port was found on the loopback address",
    ))
}
