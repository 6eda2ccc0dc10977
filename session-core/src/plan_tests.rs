use std::time::Duration;

use super::*;
use crate::expiry::Expiry;
use crate::id::Token;
use crate::record::Previous;

const NOTHING: Done = Done {
    changed: false,
    renewed: false,
    logged_in: false,
    limits: false,
    ended: false,
    ended_nothing: false,
};
const CHANGED: Done = Done {
    changed: true,
    ..NOTHING
};
const RENEWED: Done = Done {
    renewed: true,
    ..NOTHING
};
const LOGIN: Done = Done {
    logged_in: true,
    changed: true,
    ..NOTHING
};
const LIMITS: Done = Done {
    limits: true,
    ..NOTHING
};
const ENDED: Done = Done {
    ended: true,
    ..NOTHING
};
const ENDED_AND_CHANGED: Done = Done {
    ended: true,
    changed: true,
    ..NOTHING
};
const ENDED_NOTHING: Done = Done {
    ended_nothing: true,
    ..NOTHING
};

const CALM: Due = Due {
    touch: false,
    renewal: false,
    confirm: false,
    resign: false,
    slides: false,
    persistent: false,
    sealed: false,
};
const TOUCH: Due = Due {
    touch: true,
    ..CALM
};
const SLIDES: Due = Due {
    touch: true,
    slides: true,
    persistent: true,
    ..CALM
};
const SLID: Due = Due {
    slides: true,
    persistent: true,
    ..CALM
};
const PERSISTENT: Due = Due {
    persistent: true,
    ..CALM
};
const RENEWAL: Due = Due {
    renewal: true,
    ..CALM
};
const CONFIRM: Due = Due {
    confirm: true,
    ..CALM
};
const RESIGN: Due = Due {
    resign: true,
    ..CALM
};
const SEALED: Due = Due {
    sealed: true,
    ..CALM
};
const SEALED_TOUCH: Due = Due {
    touch: true,
    ..SEALED
};

/// Standing, what was done, what is due: delete, write, cookie, whether the cookie is needed.
#[rustfmt::skip]
const ROWS: &[(Standing, Done, Due, bool, Write, CookieMove, bool)] = {
    use CookieMove::{Keep, Remove, Set};
    use Standing::{Live, New};
    use Write::{Create, Nothing, Touch, Update};
    &[
        (New, NOTHING, CALM, false, Nothing, Keep, false),
        (New, CHANGED, CALM, false, Create, Set, true),
        (New, LOGIN, CALM, false, Create, Set, true),
        (New, ENDED, CALM, true, Nothing, Remove, false),
        (New, ENDED_AND_CHANGED, CALM, true, Create, Set, true),
        (New, ENDED_NOTHING, CALM, false, Nothing, Remove, false),
        (New, LIMITS, CALM, false, Nothing, Keep, false),
        (Live, NOTHING, CALM, false, Nothing, Keep, false),
        (Live, NOTHING, TOUCH, false, Touch, Keep, false),
        (Live, NOTHING, SLIDES, false, Touch, Set, false),
        (Live, NOTHING, PERSISTENT, false, Nothing, Keep, false),
        (Live, NOTHING, SLID, false, Touch, Set, false),
        (Live, NOTHING, RESIGN, false, Touch, Set, false),
        (Live, NOTHING, RENEWAL, false, Update, Set, true),
        (Live, NOTHING, CONFIRM, false, Update, Keep, false),
        (Live, CHANGED, CALM, false, Update, Keep, false),
        (Live, CHANGED, TOUCH, false, Update, Keep, false),
        (Live, CHANGED, SLIDES, false, Update, Set, false),
        (Live, CHANGED, RESIGN, false, Update, Set, false),
        (Live, CHANGED, RENEWAL, false, Update, Set, true),
        (Live, RENEWED, CALM, false, Update, Set, true),
        (Live, LOGIN, CALM, false, Update, Set, true),
        (Live, LIMITS, CALM, false, Update, Set, false),
        (New, NOTHING, SEALED, false, Nothing, Keep, false),
        (New, CHANGED, SEALED, false, Create, Set, true),
        (Live, NOTHING, SEALED, false, Nothing, Keep, false),
        (Live, NOTHING, SEALED_TOUCH, false, Touch, Set, false),
        (Live, CHANGED, SEALED, false, Update, Set, true),
        (Live, LIMITS, SEALED, false, Update, Set, true),
        (Live, ENDED, SEALED, true, Nothing, Keep, false),
        (Live, ENDED, CALM, true, Nothing, Keep, false),
        (Live, ENDED_AND_CHANGED, CALM, true, Update, Keep, false),
    ]
};

#[test]
fn every_row_of_the_plan() {
    for &(standing, done, due, delete, write, cookie, cookie_needed) in ROWS {
        let expected = Plan {
            delete,
            write,
            cookie,
            cookie_needed,
            asked: done != Done::default(),
        };
        assert_eq!(
            plan(standing, done, due),
            Ok(expected),
            "{standing:?} {done:?} {due:?}"
        );
    }
}

fn flags<const N: usize>() -> impl Iterator<Item = [bool; N]> {
    (0..1_u32 << N).map(|bits| std::array::from_fn(|at| bits >> at & 1 == 1))
}

fn dones() -> impl Iterator<Item = Done> {
    flags().map(
        |[changed, renewed, logged_in, limits, ended, ended_nothing]| Done {
            changed,
            renewed,
            logged_in,
            limits,
            ended,
            ended_nothing,
        },
    )
}

fn dues() -> impl Iterator<Item = Due> {
    flags().map(
        |[touch, renewal, confirm, resign, slides, persistent, sealed]| Due {
            touch,
            renewal,
            confirm,
            resign,
            slides,
            persistent,
            sealed,
        },
    )
}

#[test]
fn i6_a_superseded_token_writes_nothing_and_its_answer_carries_no_cookie() {
    for done in dones() {
        for due in dues() {
            for (standing, refusal) in [
                (Standing::Superseded, Refusal::Gone),
                (Standing::Detached, Refusal::Unavailable),
            ] {
                match plan(standing, done, due) {
                    Ok(plan) => {
                        assert_eq!(done, NOTHING);
                        assert_eq!((plan.delete, plan.write), (false, Write::Nothing));
                        assert_eq!(plan.cookie, CookieMove::Keep);
                    }
                    Err(refused) => assert_eq!(refused, refusal),
                }
            }
        }
    }
}

#[test]
fn only_a_new_session_is_created_and_only_a_live_one_updated() {
    for done in dones() {
        for due in dues() {
            let new = plan(Standing::New, done, due).unwrap();
            assert!(matches!(new.write, Write::Nothing | Write::Create));
            assert_eq!(new.write == Write::Create, done.changed || done.logged_in);
            assert_eq!(new.delete, done.ended);
            let live = plan(Standing::Live, done, due).unwrap();
            assert!(live.write != Write::Create);
            assert_eq!(live.delete, done.ended);
            let must = done.changed || done.renewed || done.logged_in || done.limits;
            assert_eq!(
                live.write == Write::Update,
                must || due.renewal || due.confirm
            );
            let secret = done.renewed || done.logged_in || due.renewal;
            let travels = due.sealed && live.write == Write::Update;
            assert_eq!(live.cookie_needed, secret || travels);
            assert!(!secret || live.cookie == CookieMove::Set);
            assert!(live.cookie != CookieMove::Remove);
        }
    }
}

fn config(
    change: impl FnOnce(crate::SessionConfigBuilder) -> crate::SessionConfigBuilder,
) -> SessionConfig {
    change(SessionConfig::builder()).build().unwrap()
}

#[test]
fn every_row_of_the_admission() {
    let at = |secs: u64| Timestamp::from_unix_ms(0).after(Duration::from_secs(secs));
    let (now, old) = (Token::random().unwrap(), Token::random().unwrap());
    let (now, old) = (now.digest(), old.digest());
    let stranger = Token::random().unwrap().digest();
    let expiry = Expiry::new(Some(Duration::from_secs(60)), None);
    let plain = Record::new(now, at(0), expiry).unwrap();
    let with = |until: Option<u64>, valid| Record {
        previous: Some(Box::new(Previous {
            secret: old,
            until: until.map(at),
            valid,
        })),
        ..plain.clone()
    };
    let config = config(|config| config);
    let live = |by_previous| Admission::Live { by_previous };
    let dead = Admission::Dead;
    for (row, (record, presented, second, expected)) in [
        (plain.clone(), now, 0, live(false)),
        (plain.clone(), now, 59, live(false)),
        (plain.clone(), now, 60, dead(Dead::Expired)),
        (plain.clone(), stranger, 0, dead(Dead::WrongSecret)),
        (plain.clone(), stranger, 60, dead(Dead::WrongSecret)),
        (with(Some(90), false), old, 60, dead(Dead::Expired)),
        (plain.clone(), old, 0, dead(Dead::WrongSecret)),
        (with(Some(10), false), now, 5, live(false)),
        (with(Some(10), false), old, 9, Admission::Superseded),
        (with(Some(10), false), old, 10, dead(Dead::WrongSecret)),
        (with(Some(10), false), stranger, 5, dead(Dead::WrongSecret)),
        (with(None, true), old, 50, live(true)),
        (with(None, true), old, 60, dead(Dead::Expired)),
        (with(Some(10), true), old, 9, live(true)),
        (with(Some(10), true), old, 10, dead(Dead::WrongSecret)),
    ]
    .into_iter()
    .enumerate()
    {
        assert_eq!(
            admit(&record, &presented, None, at(second), &config),
            expected,
            "row {row}"
        );
    }
}

#[test]
fn a1_a_session_works_only_from_its_address_where_that_is_asked_for() {
    let strict = config(|config| config.ignore_change_ip(false));
    let lenient = config(|config| config);
    let digest = Token::random().unwrap().digest();
    let zero = Timestamp::from_unix_ms(0);
    let mut record = Record::new(digest, zero, Expiry::NEVER).unwrap();
    record.address = Some("192.0.2.1".parse().unwrap());
    let judge = |address: Option<&str>, config| {
        admit(
            &record,
            &digest,
            address.map(|a| a.parse().unwrap()),
            zero,
            config,
        )
    };
    let live = Admission::Live { by_previous: false };
    assert_eq!(judge(Some("192.0.2.1"), &strict), live);
    assert_eq!(
        judge(Some("192.0.2.2"), &strict),
        Admission::Dead(Dead::WrongAddress)
    );
    assert_eq!(judge(None, &strict), Admission::Dead(Dead::WrongAddress));
    assert_eq!(judge(Some("192.0.2.2"), &lenient), live);
}

#[test]
fn e1_with_ignore_expiry_nothing_is_expired() {
    let digest = Token::random().unwrap().digest();
    let zero = Timestamp::from_unix_ms(0);
    let record = Record::new(
        digest,
        zero,
        Expiry::new(Some(Duration::from_secs(1)), None),
    )
    .unwrap();
    let late = zero.after(Duration::from_secs(100));
    let ignoring = config(|config| config.ignore_expiry(true));
    assert_eq!(
        admit(&record, &digest, None, late, &ignoring),
        Admission::Live { by_previous: false }
    );
    assert!(still_admits(&record, &record, None, late, &ignoring));
    assert!(!still_admits(
        &record,
        &record,
        None,
        late,
        &config(|config| config)
    ));
}
