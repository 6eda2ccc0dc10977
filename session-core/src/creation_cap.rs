//! How many sessions one client address may begin.
//!
//! Each address has a bucket that holds `count` and drains evenly, a bucketful in `per`; what is
//! created is poured in, and what would overflow is refused. An IPv6 address counts as its /64,
//! which one client has to itself, and an IPv4 address mapped into IPv6 as the IPv4 address.
//!
//! Only what may fill the memory is bounded here, and the memory of this cap is, too: it knows
//! [`ADDRESSES_MAX`] addresses. When a new one comes to a full map, those whose bucket has drained
//! are forgotten, and else the one whose bucket holds least. So a flood from many addresses shuts
//! nobody out, and an address that is at its cap is the last to be forgotten.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::clock::{Timestamp, millis};
use crate::error::{Error, ErrorKind};
use crate::manager::SessionManager;
use crate::visitor::Client;

/// Counts what each address creates.
pub(crate) struct CreationCap {
    count: u64,
    per_ms: u64,
    shards: Box<[Mutex<HashMap<Block, Bucket>>]>,
    hasher: RandomState,
}

/// What counts as one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Block {
    V4(u32),
    V6(u64),
}

/// `held` is in units of which a creation pours in `per_ms` and `count` drain each millisecond, so
/// that no division rounds anything away.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    held: u64,
    at: Timestamp,
}

/// What one creation has poured in.
pub(crate) struct Place {
    cap: Arc<CreationCap>,
    address: IpAddr,
    taken_at: Timestamp,
}

/// Many and small: a full one is searched through for each new address.
const SHARDS: usize = 1_024;
/// Addresses that are known at once; about 2 MB. Seven eighths of a power of two: for one more a
/// map would take twice the room.
const ADDRESSES_MAX: usize = 57_344;
const SHARD_ADDRESSES_MAX: usize = ADDRESSES_MAX / SHARDS;
/// With this and a count below 2^32, no bucket overflows its number.
pub(crate) const PER_MAX: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl CreationCap {
    /// `count` is at least 1, `per` at least a millisecond and at most [`PER_MAX`].
    pub(crate) fn new(count: u32, per: Duration) -> Self {
        Self {
            count: u64::from(count.max(1)),
            per_ms: u64::try_from(millis(per.min(PER_MAX))).unwrap_or(0).max(1),
            shards: (0..SHARDS).map(|_| Mutex::default()).collect(),
            hasher: RandomState::new(),
        }
    }

    /// Pours one creation in, or says how long it must wait.
    fn take(&self, address: IpAddr, now: Timestamp) -> Result<(), Duration> {
        let block = Block::of(address);
        let mut shard = self.shard(&block);
        let known = shard.get(&block).map_or(0, |bucket| self.held(bucket, now));
        let held = known + self.per_ms;
        let over = held.saturating_sub(self.full());
        if over > 0 {
            // A clock that was set back drains it from now on, not from where it had been.
            let bucket = Bucket {
                held: known,
                at: now,
            };
            shard.insert(block, bucket);
            return Err(Duration::from_millis(over.div_ceil(self.count)));
        }
        if shard.len() >= SHARD_ADDRESSES_MAX && !shard.contains_key(&block) {
            self.make_room(&mut shard, now);
        }
        shard.insert(block, Bucket { held, at: now });
        Ok(())
    }

    /// Takes out what a creation poured in at `taken_at`, but for what has drained since: that
    /// may have made room for another.
    fn give_back(&self, address: IpAddr, taken_at: Timestamp, now: Timestamp) {
        let block = Block::of(address);
        let mut shard = self.shard(&block);
        let rest = self.per_ms.saturating_sub(self.drained(taken_at, now));
        if let Some(bucket) = shard.get_mut(&block) {
            let held = self.held(bucket, now).saturating_sub(rest);
            *bucket = Bucket { held, at: now };
        }
    }

    /// Forgets the addresses that count no more, or the one that counts least.
    fn make_room(&self, shard: &mut HashMap<Block, Bucket>, now: Timestamp) {
        shard.retain(|_, bucket| self.held(bucket, now) > 0);
        if shard.len() >= SHARD_ADDRESSES_MAX {
            let least = shard
                .iter()
                .min_by_key(|(_, bucket)| self.held(bucket, now));
            if let Some(block) = least.map(|(block, _)| *block) {
                shard.remove(&block);
            }
        }
    }

    fn full(&self) -> u64 {
        self.count * self.per_ms
    }

    fn held(&self, bucket: &Bucket, now: Timestamp) -> u64 {
        bucket.held.saturating_sub(self.drained(bucket.at, now))
    }

    fn drained(&self, since: Timestamp, now: Timestamp) -> u64 {
        let ms = u64::try_from(millis(now.since(since))).unwrap_or(0);
        ms.saturating_mul(self.count)
    }

    fn shard(&self, block: &Block) -> MutexGuard<'_, HashMap<Block, Bucket>> {
        let at = usize::try_from(self.hasher.hash_one(block) % SHARDS as u64).unwrap_or(0);
        self.shards[at]
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CreationCap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CreationCap")
            .field("count", &self.count)
            .field("per_ms", &self.per_ms)
            .finish_non_exhaustive()
    }
}

impl Block {
    fn of(address: IpAddr) -> Self {
        match address.to_canonical() {
            IpAddr::V4(address) => Self::V4(address.to_bits()),
            IpAddr::V6(address) => Self::V6((address.to_bits() >> 64) as u64),
        }
    }
}

impl SessionManager {
    /// A place for a session that is about to be created; `None` where there is no cap.
    pub(crate) fn take_place(
        &self,
        operation: &'static str,
        client: Option<&Client>,
    ) -> Result<Option<Place>, Error> {
        let Some(cap) = &self.config().creation_cap else {
            return Ok(None);
        };
        let Some(client) = client.filter(|client| client.is_counted) else {
            return Ok(None);
        };
        // One bucket for all whose address is not known would shut all of them out.
        let Some(address) = client.address else {
            return Err(Error::new(
                ErrorKind::Invalid,
                format!(
                    "{operation} failed: creation_cap is set and the client's address is not known, so it cannot be counted; under axum serve with `into_make_service_with_connect_info::<SocketAddr>()`; over a Unix socket set `trust_unix_socket`"
                ),
            ));
        };
        let taken_at = self.now();
        match cap.take(address, taken_at) {
            Ok(()) => Ok(Some(Place {
                cap: Arc::clone(cap),
                address,
                taken_at,
            })),
            Err(wait) => Err(Error::too_many(operation, wait)),
        }
    }

    /// What was to be created was not.
    pub(crate) fn give_place_back(&self, place: Option<Place>) {
        if let Some(place) = place {
            place
                .cap
                .give_back(place.address, place.taken_at, self.now());
        }
    }
}

#[cfg(test)]
#[path = "creation_cap_tests.rs"]
mod tests;
