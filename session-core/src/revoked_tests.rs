use super::*;
use crate::expiry::Expiry;
use crate::id::{Secret, Token};

fn id(n: u8) -> SessionId {
    SessionId::from_bytes([n; 16])
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_unix_ms(ms)
}

/// What a cookie of generation `generation` holds that was issued at `ms`.
fn issued(generation: u32, ms: i64) -> Record {
    let secret = Token::new(id(0), Secret::random().unwrap()).digest();
    let mut record = Record::new(secret, at(ms), Expiry::NEVER).unwrap();
    record.generation = Generation(generation);
    record
}

const LATER: Timestamp = Timestamp::from_unix_ms(1_000_000);

#[test]
fn o2_what_was_issued_until_the_bound_is_dead_and_nothing_else() {
    let mut revoked = Revoked::default();
    assert_eq!(revoked.verdict(&id(1), &issued(1, 0)), Verdict::Lives);
    revoked.end_all(at(100), LATER, None);
    assert_eq!(revoked.verdict(&id(1), &issued(9, 100)), Verdict::Ended);
    assert_eq!(revoked.verdict(&id(1), &issued(1, 101)), Verdict::Lives);
    assert_eq!(revoked.floor(&id(1), Generation(1)), at(101));
    // It never moves back.
    revoked.end_all(at(50), at(1), None);
    assert_eq!(revoked.verdict(&id(1), &issued(1, 100)), Verdict::Ended);
    assert_eq!(revoked.until(), LATER);
}

#[test]
fn i4_a_renewal_leaves_the_generations_from_it_on() {
    let mut revoked = Revoked::default();
    revoked.end_one(&id(1), Some(Generation(3)), at(100), LATER);
    let renewed = Verdict::Renewed {
        at: at(100),
        lives_from: Generation(3),
    };
    assert_eq!(revoked.verdict(&id(1), &issued(2, 100)), renewed);
    assert_eq!(revoked.verdict(&id(1), &issued(3, 100)), Verdict::Lives);
    assert_eq!(revoked.verdict(&id(2), &issued(2, 100)), Verdict::Lives);
    // A sign-in under the same id begins after it, whatever its generation.
    assert_eq!(revoked.floor(&id(1), Generation(2)), at(101));
    assert_eq!(revoked.verdict(&id(1), &issued(2, 101)), Verdict::Lives);
    // An end is about all of them, and a renewal that comes later takes nothing of it back.
    revoked.end_one(&id(1), None, at(200), LATER);
    revoked.end_one(&id(1), Some(Generation(5)), at(150), at(1));
    assert_eq!(revoked.verdict(&id(1), &issued(7, 200)), Verdict::Ended);
    assert_eq!(revoked.until(), LATER);
}

#[test]
fn o2_one_that_is_spared_keeps_the_bound_it_had() {
    let mut revoked = Revoked::default();
    revoked.end_all(at(100), LATER, Some(&id(1)));
    assert_eq!(revoked.verdict(&id(1), &issued(1, 50)), Verdict::Lives);
    assert_eq!(revoked.verdict(&id(2), &issued(1, 50)), Verdict::Ended);
    revoked.end_all(at(200), LATER, Some(&id(2)));
    for (session, issue, verdict) in [
        (1, 150, Verdict::Ended),
        (2, 100, Verdict::Ended),
        (2, 101, Verdict::Lives),
    ] {
        let found = revoked.verdict(&id(session), &issued(1, issue));
        assert_eq!(found, verdict, "{session} issued at {issue}");
    }
    // Being ended by name counts for the one that is spared, too.
    revoked.end_one(&id(2), None, at(250), LATER);
    assert_eq!(revoked.verdict(&id(2), &issued(1, 150)), Verdict::Ended);
    revoked.end_all(at(300), LATER, Some(&id(2)));
    assert_eq!(revoked.verdict(&id(2), &issued(1, 150)), Verdict::Ended);
}

#[test]
fn o2_an_end_that_is_merged_late_takes_nothing_of_a_newer_one_back() {
    let mut revoked = Revoked::default();
    // Decided at 100, merged after all these.
    revoked.end_one(&id(1), None, at(110), LATER);
    revoked.end_all(at(105), LATER, Some(&id(2)));
    revoked.end_all(at(100), LATER, Some(&id(3)));
    for (session, issue, verdict) in [
        (1, 110, Verdict::Ended),
        (2, 100, Verdict::Ended),
        (2, 101, Verdict::Lives),
        (3, 100, Verdict::Ended),
        (4, 105, Verdict::Ended),
        (4, 106, Verdict::Lives),
    ] {
        let found = revoked.verdict(&id(session), &issued(1, issue));
        assert_eq!(found, verdict, "{session} issued at {issue}");
    }
    // Whom both spare is spared.
    revoked.end_all(at(99), LATER, Some(&id(2)));
    assert_eq!(revoked.verdict(&id(2), &issued(1, 101)), Verdict::Lives);
}

#[test]
fn c5_merging_a_change_twice_is_merging_it_once() {
    let mut once = Revoked::default();
    once.end_one(&id(3), Some(Generation(2)), at(40), LATER);
    let changes: [fn(&mut Revoked); 4] = [
        |revoked| revoked.end_all(at(100), LATER, Some(&id(1))),
        |revoked| revoked.end_all(at(120), LATER, None),
        |revoked| revoked.end_one(&id(1), Some(Generation(2)), at(130), LATER),
        |revoked| revoked.end_one(&id(1), None, at(140), LATER),
    ];
    for change in changes {
        change(&mut once);
        let mut twice = once.clone();
        change(&mut twice);
        assert_eq!(twice, once);
    }
}

#[test]
fn e4_what_is_over_is_forgotten() {
    let mut revoked = Revoked::default();
    revoked.end_all(at(100), at(500), None);
    revoked.end_one(&id(1), None, at(110), at(400));
    assert_eq!(revoked.until(), at(500));
    revoked.forget(at(399));
    assert_eq!(revoked.verdict(&id(1), &issued(1, 105)), Verdict::Ended);
    revoked.forget(at(400));
    assert_eq!(revoked.verdict(&id(1), &issued(1, 105)), Verdict::Lives);
    assert_eq!(revoked.verdict(&id(1), &issued(1, 100)), Verdict::Ended);
    revoked.forget(at(500));
    assert_eq!(revoked, Revoked::default());
}

#[test]
fn too_many_ends_are_folded_and_none_of_them_is_lost() {
    let name = |n: usize| {
        let mut bytes = [7; 16];
        bytes[..8].copy_from_slice(&(n as u64).to_le_bytes());
        SessionId::from_bytes(bytes)
    };
    let moment = |n: usize| 1_000 + i64::try_from(n).unwrap();
    let mut revoked = Revoked::default();
    revoked.end_all(at(500), LATER, Some(&id(1)));
    for n in 0..=SESSIONS_MAX {
        revoked.end_one(&name(n), None, at(moment(n)), LATER);
        revoked.fold(at(9_000_000));
    }
    assert!(revoked.sessions.len() <= SESSIONS_MAX / 2 + 1);
    for n in 0..=SESSIONS_MAX {
        let record = issued(1, moment(n));
        assert_eq!(revoked.verdict(&name(n), &record), Verdict::Ended, "{n}");
    }
    // The price: others that began as early end with them, but for the one that was spared.
    assert_eq!(revoked.verdict(&id(2), &issued(1, 1_000)), Verdict::Ended);
    assert_eq!(revoked.verdict(&id(2), &issued(1, 1_900)), Verdict::Lives);
    assert_eq!(revoked.verdict(&id(1), &issued(1, 400)), Verdict::Lives);
    let bytes = revoked.to_data().unwrap().as_str().len();
    assert!(bytes < 60_000, "{bytes}");
    // Those may live longer than the ones that were ended.
    revoked.forget(at(8_999_999));
    assert_eq!(revoked.verdict(&id(2), &issued(1, 1_000)), Verdict::Ended);
}

#[test]
fn it_is_json_that_says_what_it_means() {
    let mut revoked = Revoked::default();
    revoked.end_all(at(100), LATER, Some(&id(0)));
    revoked.end_all(at(200), LATER, Some(&id(0)));
    revoked.end_one(&id(1), Some(Generation(3)), at(210), at(900));
    revoked.end_one(&id(2), None, at(220), at(800));
    let data = revoked.to_data().unwrap();
    assert_eq!(Revoked::parse(&data).unwrap(), revoked);
    let (zero, one, two) = (id(0), id(1), id(2));
    assert_eq!(
        data.as_str(),
        format!(
            "{{\"format\":1,\"not_before\":{{\"at\":200,\"until\":1000000,\"spared\":{{\"id\":\"{zero}\"}}}},\
             \"sessions\":{{\"{one}\":{{\"at\":210,\"until\":900,\"lives_from\":3}},\
             \"{two}\":{{\"at\":220,\"until\":800}}}}}}"
        )
    );
}

#[test]
fn f2_what_is_not_understood_is_an_error_and_never_nothing() {
    let kind = |text: &str| {
        let data = Data::parse(text).unwrap();
        Revoked::parse(&data).unwrap_err().kind()
    };
    for corrupt in [
        "{}",
        "{\"format\":\"1\"}",
        "{\"format\":1,\"sessions\":[]}",
        "{\"format\":1,\"sessions\":{\"short\":{\"at\":1,\"until\":2}}}",
        "{\"format\":1,\"not_before\":{\"at\":1e99,\"until\":2}}",
        "{\"format\":1,\"not_before\":{\"until\":2}}",
    ] {
        assert_eq!(kind(corrupt), ErrorKind::Corrupt, "{corrupt}");
    }
    assert_eq!(kind("{\"format\":2}"), ErrorKind::NewerFormat);
}

#[test]
fn times_at_the_ends_of_the_range_are_no_panic() {
    let mut revoked = Revoked::default();
    revoked.end_all(at(i64::MAX), at(i64::MAX), None);
    assert_eq!(revoked.floor(&id(1), Generation(1)), at(i64::MAX));
    revoked.end_one(
        &id(1),
        Some(Generation(u32::MAX)),
        revoked.end(),
        at(i64::MIN),
    );
    revoked.forget(at(i64::MAX));
    assert_eq!(revoked, Revoked::default());
    assert_eq!(revoked.end(), at(i64::MIN));
}
