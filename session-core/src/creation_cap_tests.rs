use std::net::{Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;

use super::*;
use crate::http::{Exchange, RequestHead};
use crate::{Clock, Created, EventKind, ManualClock, MemoryStore, Rejection, SessionConfig, Store};

const HOME: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
const START: Timestamp = Timestamp::from_unix_ms(1_764_000_000_000);

fn seconds(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn at(second: u64) -> Timestamp {
    START.after(seconds(second))
}

fn v4(n: u32) -> IpAddr {
    Ipv4Addr::from_bits(n).into()
}

fn known(cap: &CreationCap) -> usize {
    let shards = cap.shards.iter();
    shards.map(|shard| shard.lock().unwrap().len()).sum()
}

#[test]
fn so_many_at_once_and_then_one_at_a_time() {
    let cap = CreationCap::new(3, seconds(60));
    for (second, expected) in [
        (0, Ok(())),
        (0, Ok(())),
        (1, Ok(())),
        (1, Err(seconds(19))),
        (19, Err(seconds(1))),
        (20, Ok(())),
        (20, Err(seconds(20))),
        (80, Ok(())),
        (80, Ok(())),
        (80, Ok(())),
        (80, Err(seconds(20))),
    ] {
        assert_eq!(cap.take(HOME, at(second)), expected, "at {second}");
    }
}

#[test]
fn no_place_is_lost_to_rounding() {
    // 7 in 10 ms: each drains in a millisecond and three sevenths.
    let cap = CreationCap::new(7, Duration::from_millis(10));
    let mut taken = 0;
    for ms in 0..=10_000 {
        let now = START.after(Duration::from_millis(ms));
        while cap.take(HOME, now).is_ok() {
            taken += 1;
        }
    }
    assert_eq!(taken, 7 + 7_000);
}

#[test]
fn the_largest_cap_overflows_nothing() {
    let cap = CreationCap::new(u32::MAX, PER_MAX);
    for now in [i64::MIN, 0, i64::MAX, i64::MIN] {
        let now = Timestamp::from_unix_ms(now);
        assert_eq!(cap.take(HOME, now), Ok(()));
        cap.give_back(HOME, now, now);
    }
    let cap = CreationCap::new(1, PER_MAX);
    cap.take(HOME, START).unwrap();
    assert_eq!(cap.take(HOME, START), Err(PER_MAX));
}

#[test]
fn e3_a_clock_that_steps_back_shuts_nobody_out_for_longer_than_per() {
    let cap = CreationCap::new(2, seconds(60));
    let now = at(1_000_000);
    assert_eq!(cap.take(HOME, now), Ok(()));
    assert_eq!(cap.take(HOME, now), Ok(()));
    assert_eq!(cap.take(HOME, at(0)), Err(seconds(30)), "stepped back");
    assert_eq!(cap.take(HOME, at(29)), Err(seconds(1)));
    assert_eq!(cap.take(HOME, at(60)), Ok(()));
    assert_eq!(cap.take(HOME, at(60)), Ok(()));
    assert_eq!(cap.take(HOME, now), Ok(()), "and forward again");
}

#[test]
fn an_ipv6_client_is_its_64_and_a_mapped_address_is_ipv4() {
    for (address, same, other) in [
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff::", "2001:db8:0:2::1"),
        ("192.0.2.1", "::ffff:192.0.2.1", "192.0.2.2"),
        ("::1", "::2", "0.0.0.1"),
    ] {
        let of = |text: &str| Block::of(text.parse().unwrap());
        assert_eq!(of(address), of(same));
        assert_ne!(of(address), of(other));
    }
}

#[test]
fn what_drained_meanwhile_is_not_given_back_again() {
    let cap = CreationCap::new(1, seconds(60));
    cap.take(HOME, at(0)).unwrap();
    cap.give_back(HOME, at(0), at(0));
    assert_eq!(cap.take(HOME, at(0)), Ok(()));
    // By the time it is given back another was let in on what had drained.
    assert_eq!(cap.take(HOME, at(60)), Ok(()));
    cap.give_back(HOME, at(0), at(60));
    assert_eq!(cap.take(HOME, at(60)), Err(seconds(60)));
    cap.give_back(v4(7), at(0), at(60));
    assert!(!cap.shard(&Block::of(v4(7))).contains_key(&Block::of(v4(7))));
}

#[test]
fn a_full_map_neither_grows_nor_shuts_anybody_out() {
    let cap = CreationCap::new(2, seconds(60));
    let many = u32::try_from(ADDRESSES_MAX).unwrap() * 2;
    // Two, and so at the cap: who has created less is forgotten first.
    cap.take(HOME, at(0)).unwrap();
    cap.take(HOME, at(0)).unwrap();
    for n in 0..many {
        assert_eq!(cap.take(v4(n), at(0)), Ok(()), "address {n}");
    }
    // A map here and there may still have room.
    let full = ADDRESSES_MAX * 9 / 10..=ADDRESSES_MAX;
    assert!(full.contains(&known(&cap)), "{}", known(&cap));
    assert_eq!(cap.take(HOME, at(0)), Err(seconds(30)));
    for n in 0..many {
        let v6 = Ipv6Addr::from_bits(u128::from(n) << 64);
        assert_eq!(cap.take(v6.into(), at(0)), Ok(()), "address {n}");
    }
    assert!(full.contains(&known(&cap)), "{}", known(&cap));
    assert_eq!(cap.take(HOME, at(0)), Err(seconds(30)));
    // Who has drained is forgotten when there is need.
    for n in 0..many {
        cap.take(v4(n), at(60)).unwrap();
    }
    assert!(known(&cap) <= ADDRESSES_MAX);
    assert_eq!(cap.take(HOME, at(60)), Ok(()));
}

#[test]
fn a_cap_that_lets_nobody_in_is_refused() {
    for (count, per) in [
        (0, seconds(60)),
        (1, Duration::ZERO),
        (1, Duration::from_micros(999)),
        (1, PER_MAX + Duration::from_millis(1)),
    ] {
        let error = SessionConfig::builder().creation_cap(count, per).build();
        assert_eq!(error.unwrap_err().kind(), ErrorKind::Invalid, "{per:?}");
    }
    for per in [Duration::from_millis(1), PER_MAX] {
        let config = SessionConfig::builder().creation_cap(u32::MAX, per).build();
        assert!(config.unwrap().creation_cap.is_some());
    }
}

#[derive(Clone, Copy, Debug)]
enum Did {
    /// So many milliseconds pass.
    Wait(u64),
    StepBack(u64),
    Create,
    /// The latest creation that stands is found to have failed.
    Fail,
}

fn did() -> impl Strategy<Value = Did> {
    prop_oneof![
        (0..2_000_u64).prop_map(Did::Wait),
        (0..2_000_u64).prop_map(Did::StepBack),
        Just(Did::Create),
        Just(Did::Create),
        Just(Did::Create),
        Just(Did::Fail),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// In whatever stretch of time there are at most `count` creations and what drains in it, and
    /// a wait that was told is long enough and no longer.
    #[test]
    fn a_cap_holds_over_every_stretch_of_time(
        count in 1..6_u32,
        per_ms in 1..5_000_u64,
        story in prop::collection::vec(did(), 1..60),
    ) {
        let cap = CreationCap::new(count, Duration::from_millis(per_ms));
        // True time only passes; the wall clock may stand elsewhere.
        let (mut passed_ms, mut now) = (0_u64, START);
        let mut stand: Vec<(u64, Timestamp)> = Vec::new();
        for step in story {
            match step {
                Did::Wait(ms) => {
                    passed_ms += ms;
                    now = now.after(Duration::from_millis(ms));
                }
                Did::StepBack(ms) => now = now.before(Duration::from_millis(ms)),
                Did::Fail => if let Some((_, taken_at)) = stand.pop() {
                    cap.give_back(HOME, taken_at, now);
                },
                Did::Create => match cap.take(HOME, now) {
                    Ok(()) => stand.push((passed_ms, now)),
                    Err(wait) => {
                        prop_assert!(!wait.is_zero());
                        prop_assert!(wait <= Duration::from_millis(per_ms), "{wait:?}");
                        let just = wait - Duration::from_millis(1);
                        prop_assert!(cap.take(HOME, now.after(just)).is_err());
                        let ms = u64::try_from(wait.as_millis()).unwrap();
                        passed_ms += ms;
                        now = now.after(wait);
                        prop_assert_eq!(cap.take(HOME, now), Ok(()));
                        stand.push((passed_ms, now));
                    }
                },
            }
            for (first, (begun, _)) in stand.iter().enumerate() {
                for (last, (ended, _)) in stand.iter().enumerate().skip(first) {
                    let created = (last - first + 1) as u64;
                    let drained = u64::from(count) * (ended - begun);
                    let most = u64::from(count) * per_ms + drained;
                    prop_assert!(created * per_ms <= most, "{created} in {begun}..{ended}");
                }
            }
        }
    }
}

struct From(IpAddr);

impl RequestHead for From {
    fn each_header<'a>(&'a self, _: &str, _: &mut dyn FnMut(&'a [u8])) {}

    fn peer(&self) -> Option<IpAddr> {
        Some(self.0)
    }
}

#[tokio::test]
async fn a_save_in_a_transaction_counts_unless_it_is_aborted() {
    let told = Arc::new(Mutex::new(Vec::new()));
    let hook = Arc::clone(&told);
    let hands = ManualClock::at_unix_ms(1_764_000_000_000);
    let config = SessionConfig::builder()
        .clock(Clock::manual(&hands))
        .creation_cap(1, seconds(60))
        .on_event(move |event| hook.lock().unwrap().push(event.kind));
    let store: Arc<dyn Store> = Arc::new(MemoryStore::new());
    let sessions = SessionManager::new(Arc::clone(&store), config.build().unwrap());
    let begun = async || {
        let exchange = Exchange::begin(&sessions, "POST");
        let session = exchange.session(&From(HOME)).await.unwrap();
        session.insert("a", 1).unwrap();
        session
    };
    let session = begun().await;
    session.prepare_save().await.unwrap().unwrap().abort();
    assert_eq!(*told.lock().unwrap(), []);
    let pending = session.prepare_save().await.unwrap().unwrap();
    let (id, record) = (pending.id(), pending.record());
    let created = store.create(&id, record).await;
    assert_eq!(created.unwrap(), Created::Done);
    assert_eq!(*told.lock().unwrap(), [], "it may still be rolled back");
    pending.confirm().unwrap();
    let refused = begun().await.prepare_save().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::CreationCap);
    assert_eq!(refused.retry_after(), Some(seconds(60)));

    hands.advance(seconds(60));
    // Whether it was written is not known, so it counts.
    drop(begun().await.prepare_save().await.unwrap().unwrap());
    let refused = begun().await.prepare_save().await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::CreationCap);
    let rejected = EventKind::Rejected(Rejection::CreationCap);
    assert_eq!(
        *told.lock().unwrap(),
        [EventKind::Created, rejected, rejected]
    );
}

#[cfg(feature = "sealed")]
mod sealed {
    use super::*;
    use crate::KeyRing;
    use crate::http::Finish;

    #[tokio::test]
    async fn s1_the_cap_holds_for_sealed_sessions() {
        let hands = ManualClock::at_unix_ms(1_764_000_000_000);
        let config = SessionConfig::builder()
            .secret_key(KeyRing::generate().unwrap())
            .clock(Clock::manual(&hands))
            .creation_cap(1, seconds(60));
        let sessions = SessionManager::sealed(config.build().unwrap()).unwrap();
        let status = async |address| {
            let exchange = Exchange::begin(&sessions, "POST");
            let session = exchange.session(&From(address)).await.unwrap();
            session.insert("a", 1).unwrap();
            let Finish::Pending(pending) = exchange.finish(200) else {
                panic!("there is something to store");
            };
            pending.complete().await.reply.map(|reply| reply.status)
        };
        assert_eq!(status(HOME).await, None);
        assert_eq!(status(HOME).await, Some(429));
        assert_eq!(status(v4(7)).await, None);
        hands.advance(seconds(60));
        assert_eq!(status(HOME).await, None);
    }
}
