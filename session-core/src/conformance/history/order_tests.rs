use super::super::event::{Asked, Change, Seen, Tag, Told};
use super::super::witness;
use super::*;

const A: usize = 0;

fn holds(a: u32) -> Seen {
    Seen {
        values: [a, 0, 0],
        ..Seen::default()
    }
}

fn stored(a: u32) -> Told {
    Told::Stored {
        before: None,
        after: holds(a),
    }
}

fn event(from: u64, to: u64, asked: Asked, told: Told) -> Event {
    Event {
        client: 0,
        call: from,
        end: to,
        asked,
        told,
    }
}

fn create() -> Event {
    let changes = vec![Change::Insert(A, 1)];
    event(1, 2, Asked::Create { changes }, stored(1))
}

fn store(from: u64, to: u64, by: Tag, a: u32, told: Told) -> Event {
    let asked = Asked::Commit {
        by,
        renews: None,
        login: None,
        changes: vec![Change::Insert(A, a)],
    };
    event(from, to, asked, told)
}

fn open(from: u64, to: u64, told: Told) -> Event {
    event(from, to, Asked::Open { by: 0 }, told)
}

fn renew(from: u64, to: u64, told: Told) -> Event {
    let asked = Asked::Commit {
        by: 0,
        renews: Some(1),
        login: None,
        changes: Vec::new(),
    };
    event(from, to, asked, told)
}

fn end(from: u64, to: u64, told: Told) -> Event {
    event(from, to, Asked::Destroy { by: 0 }, told)
}

#[test]
fn what_one_client_does_after_the_other_has_an_order() {
    let last = open(7, 8, Told::Read(holds(3)));
    let all = [
        create(),
        store(3, 4, 0, 2, stored(2)),
        store(5, 6, 0, 3, stored(3)),
        last,
    ];
    assert!(has_order(&all));
}

#[test]
fn of_two_at_once_either_may_be_first_but_not_both() {
    let at_once = [
        create(),
        store(3, 6, 0, 2, stored(2)),
        store(4, 5, 0, 3, stored(3)),
    ];
    for last in [2, 3] {
        let seen = open(7, 8, Told::Read(holds(last)));
        assert!(has_order(&[&at_once[..], &[seen]].concat()), "{last}");
    }
    let seen = [2, 3].map(|a| open(a.into(), u64::from(a) + 1, Told::Read(holds(a))));
    let [mut one, mut two] = seen;
    (one.call, one.end, two.call, two.end) = (7, 8, 9, 10);
    assert!(!has_order(&[&at_once[..], &[one, two]].concat()));
}

#[test]
fn a_lost_write_a_stale_read_and_a_value_from_nowhere_have_none() {
    for read in [1, 9] {
        let seen = open(5, 6, Told::Read(holds(read)));
        assert!(
            !has_order(&[create(), store(3, 4, 0, 2, stored(2)), seen]),
            "{read}"
        );
    }
}

#[test]
fn what_may_have_happened_may_be_seen_or_not() {
    for read in [1, 2] {
        let seen = open(5, 6, Told::Read(holds(read)));
        let doubt = store(3, 7, 0, 2, Told::Unknown);
        assert!(has_order(&[create(), doubt, seen]), "{read}");
    }
    // Once seen it stays; and it comes no later than it may.
    let seen = [(5, 2), (7, 1)].map(|(from, a)| open(from, from + 1, Told::Read(holds(a))));
    let doubt = store(3, 9, 0, 2, Told::Unknown);
    assert!(!has_order(&[&[create(), doubt][..], &seen].concat()));
    let seen = [(5, 1), (7, 2)].map(|(from, a)| open(from, from + 1, Told::Read(holds(a))));
    let over = store(3, 4, 0, 2, Told::Unknown);
    assert!(!has_order(&[&[create(), over][..], &seen].concat()));
}

#[test]
fn what_has_ended_is_over() {
    let ended = end(3, 4, Told::Ended);
    assert!(has_order(&[
        create(),
        ended.clone(),
        open(5, 6, Told::Nothing)
    ]));
    assert!(has_order(&[
        create(),
        ended.clone(),
        end(5, 6, Told::Ended)
    ]));
    assert!(has_order(&[
        create(),
        ended.clone(),
        store(5, 6, 0, 2, Told::Gone)
    ]));
    assert!(!has_order(&[
        create(),
        ended.clone(),
        open(5, 6, Told::Read(holds(1)))
    ]));
    assert!(!has_order(&[
        create(),
        ended.clone(),
        store(5, 6, 0, 2, stored(2))
    ]));
    assert!(!has_order(&[create(), ended, create()]));
    // Nobody is told that it is over while it lives.
    assert!(!has_order(&[create(), store(3, 4, 0, 2, Told::Gone)]));
}

#[test]
fn an_old_secret_does_nothing_more() {
    let renewed = renew(3, 4, stored(1));
    assert!(has_order(&[
        create(),
        renewed.clone(),
        store(5, 6, 1, 2, stored(2))
    ]));
    assert!(has_order(&[
        create(),
        renewed.clone(),
        store(5, 6, 0, 2, Told::Gone)
    ]));
    assert!(has_order(&[
        create(),
        renewed.clone(),
        end(5, 6, Told::Gone)
    ]));
    assert!(!has_order(&[
        create(),
        renewed.clone(),
        store(5, 6, 0, 2, stored(2))
    ]));
    assert!(!has_order(&[create(), renewed, end(5, 6, Told::Ended)]));
}

#[test]
fn what_is_shown_of_a_failure_is_what_makes_it_one() {
    let noise = (0..10).map(|n| {
        store(
            3 + 2 * n,
            4 + 2 * n,
            0,
            20 + n as u32,
            stored(20 + n as u32),
        )
    });
    let mut all: Vec<_> = [create()].into_iter().chain(noise).collect();
    all.push(end(30, 31, Told::Ended));
    all.push(open(32, 33, Told::Read(holds(29))));
    all.extend(
        (34..50)
            .step_by(2)
            .map(|from| open(from, from + 1, Told::Nothing)),
    );
    let shown = witness::of(&all);
    assert!(!has_order(&shown));
    let asked: Vec<_> = shown.iter().map(|event| event.asked.to_string()).collect();
    assert_eq!(asked, ["create", "destroy by secret 0", "open by secret 0"]);
    let table = witness::table(&shown);
    assert!(table.contains("0  ||      create"), "{table}");
}
