use proptest::prelude::*;
use serde_json::json;

use super::*;

fn data(value: serde_json::Value) -> Data {
    Data::parse(&value.to_string()).unwrap()
}

fn result(draft: &Draft) -> serde_json::Value {
    serde_json::from_str(draft.apply().unwrap().0.as_str()).unwrap()
}

fn add_one(draft: &mut Draft, key: &str) {
    let closure = json_closure::<u64, _>(key, |n| n.unwrap_or(0) + 1);
    let value = run(&closure, draft.value(Space::User, key)).unwrap();
    draft.updated(key, closure, value);
}

#[test]
fn reading_sees_what_was_written_before() {
    let mut draft = Draft::new(data(json!({"a": 1, "b": 2})), Data::new());
    draft.insert("c", "x").unwrap();
    assert!(draft.remove("a"));
    draft.append("list", 1).unwrap();
    draft.append("list", 2).unwrap();
    add_one(&mut draft, "b");
    assert_eq!(draft.keys(), ["b", "c", "list"]);
    assert_eq!(draft.get::<u64>("b").unwrap(), Some(3));
    assert_eq!(result(&draft), json!({"b": 3, "c": "x", "list": [1, 2]}));
    draft.clear();
    assert_eq!((draft.len(), draft.get::<u64>("b").unwrap()), (0, None));
    draft.insert("b", 9).unwrap();
    assert_eq!(result(&draft), json!({"b": 9}));
}

#[test]
fn removing_what_is_not_there_changes_nothing() {
    let mut draft = Draft::default();
    assert!(!draft.remove("a"));
    draft.clear();
    assert_eq!(draft.take::<u8>("a").unwrap(), None);
    assert_eq!(draft.changes(), 0);
}

#[test]
fn a_value_of_another_type_is_an_error_and_stays() {
    let mut draft = Draft::new(data(json!({"a": "text"})), Data::new());
    let error = draft.take::<u64>("a").unwrap_err();
    assert_eq!(error.kind(), ErrorKind::WrongType);
    assert!(error.to_string().contains("\"a\" as u64"), "{error}");
    assert_eq!(
        draft.append("a", 1).unwrap_err().kind(),
        ErrorKind::WrongType
    );
    assert_eq!(draft.get::<String>("a").unwrap().as_deref(), Some("text"));
}

#[test]
fn c1_what_an_insert_made_moot_fails_on_no_other_data() {
    let newer = || data(json!({"k": {"no": "array, no number"}}));
    let before: [fn(&mut Draft); 3] = [
        |draft| draft.append("k", 1).unwrap(),
        |draft| {
            draft.append("k", 1).unwrap();
            draft.append("k", 2).unwrap();
        },
        |draft| add_one(draft, "k"),
    ];
    for make in before {
        let mut draft = Draft::default();
        draft.insert("other", 1).unwrap();
        make(&mut draft);
        draft.insert("k", "final").unwrap();
        draft.rebase(newer(), Data::new()).unwrap();
        assert_eq!(result(&draft), json!({"k": "final", "other": 1}));

        let mut draft = Draft::default();
        make(&mut draft);
        assert!(draft.remove("k"));
        draft.rebase(newer(), Data::new()).unwrap();
        assert_eq!(result(&draft), json!({}));
    }
}

#[test]
fn c1_operations_are_put_on_newer_data() {
    let mut draft = Draft::new(data(json!({"n": 1, "l": [1]})), Data::new());
    draft.insert("mine", 1).unwrap();
    draft.append("l", 9).unwrap();
    add_one(&mut draft, "n");
    draft
        .rebase(
            data(json!({"n": 10, "l": [1, 2], "theirs": 2})),
            Data::new(),
        )
        .unwrap();
    assert_eq!(
        result(&draft),
        json!({"n": 11, "l": [1, 2, 9], "theirs": 2, "mine": 1})
    );
}

#[test]
fn c1_a_default_yields_to_what_another_stored_first() {
    let newer = || data(json!({"k": null}));
    let mut draft = Draft::default();
    assert!(draft.insert_if_absent("k", "mine").unwrap());
    assert!(!draft.insert_if_absent("k", "again").unwrap());
    assert_eq!(draft.changes(), 1);
    assert_eq!(result(&draft), json!({"k": "mine"}));
    draft.rebase(newer(), Data::new()).unwrap();
    assert_eq!(result(&draft), json!({"k": null}), "null is a value");
    assert!(!draft.insert_if_absent("k", "late").unwrap());

    let mut draft = Draft::new(data(json!({"k": 1})), Data::new());
    assert!(draft.remove("k"));
    assert!(draft.insert_if_absent("k", "mine").unwrap());
    draft.rebase(newer(), Data::new()).unwrap();
    assert_eq!(
        result(&draft),
        json!({"k": "mine"}),
        "it was taken out first"
    );
}

#[test]
fn c1_an_equal_element_is_found_in_any_spelling() {
    let mut draft = Draft::default();
    let add = |draft: &mut Draft| draft.append_once_in(Space::User, "l", r#"{"a":1,"b":"\u00e9"}"#);
    add(&mut draft).unwrap();
    add(&mut draft).unwrap();
    let other = Data::parse("{\"l\": [ {\"b\" : \"\u{e9}\", \"a\" : 1} ]}").unwrap();
    draft.rebase(other.clone(), Data::new()).unwrap();
    assert_eq!(draft.apply().unwrap().0.raw("l"), other.raw("l"));
    draft.rebase(data(json!({"l": []})), Data::new()).unwrap();
    assert_eq!(result(&draft), json!({"l": [{"a": 1, "b": "\u{e9}"}]}));
    let error = draft.rebase(data(json!({"l": {}})), Data::new());
    assert_eq!(error.unwrap_err().kind(), ErrorKind::WrongType);
}

#[test]
fn what_is_added_while_a_commit_runs_is_kept_for_the_next() {
    let mut draft = Draft::default();
    draft.insert("a", 1).unwrap();
    let copy = draft.begin_commit();
    draft.insert("a", 2).unwrap();
    draft.insert("b", 3).unwrap();
    assert_eq!(result(&copy), json!({"a": 1}));
    let (user, own) = copy.apply().unwrap();
    draft.committed(1, user, own);
    assert_eq!(
        (draft.changes(), result(&draft)),
        (2, json!({"a": 2, "b": 3}))
    );
}

#[test]
fn many_operations_give_what_few_give() {
    let base: serde_json::Map<_, _> = (0..40).map(|n| (n.to_string(), json!(n))).collect();
    let mut draft = Draft::new(data(base.clone().into()), Data::new());
    let mut model = base;
    for n in 20..100 {
        draft.insert(&n.to_string(), -n).unwrap();
        model.insert(n.to_string(), json!(-n));
    }
    for n in 0..10 {
        draft.remove(n.to_string());
        model.remove(&n.to_string());
    }
    assert_eq!(result(&draft), serde_json::Value::Object(model));
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, i32),
    Remove(u8),
    Add(u8),
    Append(u8, i32),
    AppendOnce(u8, i32),
    InsertIfAbsent(u8, i32),
    Clear,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u8..4, any::<i32>()).prop_map(|(k, v)| Step::Insert(k, v)),
        2 => (0_u8..4).prop_map(Step::Remove),
        3 => (0_u8..4).prop_map(Step::Add),
        3 => (4_u8..6, 0..9).prop_map(|(k, v)| Step::Append(k, v)),
        3 => (4_u8..6, 0..9).prop_map(|(k, v)| Step::AppendOnce(k, v)),
        3 => (0_u8..4, any::<i32>()).prop_map(|(k, v)| Step::InsertIfAbsent(k, v)),
        1 => Just(Step::Clear),
    ]
}

fn apply_to_draft(draft: &mut Draft, step: &Step) {
    match step {
        Step::Insert(k, v) => draft.insert(&k.to_string(), v).unwrap(),
        Step::Remove(k) => {
            draft.remove(k.to_string());
        }
        Step::Add(k) => {
            let key = k.to_string();
            let closure = json_closure::<i32, _>(&key, |n| n.unwrap_or(0).wrapping_add(1));
            let value = run(&closure, draft.value(Space::User, &key)).unwrap();
            draft.updated(&key, closure, value);
        }
        Step::Append(k, v) => draft.append(&k.to_string(), v).unwrap(),
        Step::AppendOnce(k, v) => {
            let (key, item) = (k.to_string(), v.to_string());
            draft.append_once_in(Space::User, &key, &item).unwrap();
        }
        Step::InsertIfAbsent(k, v) => {
            draft.insert_if_absent(&k.to_string(), v).unwrap();
        }
        Step::Clear => draft.clear(),
    }
}

proptest! {
    /// Two handles load the same record; the second commits after the first. What is stored is
    /// what one handle stores that makes both lists of operations in the order of the commits.
    #[test]
    fn c1_two_handles_give_what_the_commit_order_gives(
        start in prop::collection::vec(step(), 0..8),
        first in prop::collection::vec(step(), 0..40),
        second in prop::collection::vec(step(), 0..40),
    ) {
        let mut base = Draft::default();
        start.iter().for_each(|step| apply_to_draft(&mut base, step));
        let (user, own) = base.apply().unwrap();

        let mut a = Draft::new(user.clone(), own.clone());
        let mut b = Draft::new(user.clone(), own.clone());
        first.iter().for_each(|step| apply_to_draft(&mut a, step));
        second.iter().for_each(|step| apply_to_draft(&mut b, step));
        let (user_a, own_a) = a.apply().unwrap();
        b.rebase(user_a.clone(), own_a.clone()).unwrap();

        // A removal of what the second handle did not see is no operation of it (nor is
        // clearing nothing, nor a default for what it saw), so the model makes only the
        // operations that were recorded.
        let mut one = Draft::new(user_a, own_a);
        let mut seen = Draft::new(user, own);
        for step in &second {
            let recorded = seen.changes();
            let noop = match step {
                Step::Remove(k) => !seen.contains_key(k.to_string()),
                Step::InsertIfAbsent(k, _) => seen.contains_key(k.to_string()),
                Step::Clear => seen.is_empty(),
                _ => false,
            };
            apply_to_draft(&mut seen, step);
            prop_assert!(!noop || seen.changes() == recorded);
            if !noop {
                force(&mut one, step);
            }
        }
        prop_assert_eq!(result(&b), result(&one));

        // What is copied in pieces is what the entries say, one by one.
        let made = b.applied(Space::User).unwrap();
        let listed = b.merged(Space::User);
        let listed: Vec<_> = listed.entries().collect();
        prop_assert_eq!(made.escaped_entries().collect::<Vec<_>>(), listed);
        let lengths: Vec<u32> = made.lengths().collect();
        prop_assert_eq!(Data::with_lengths(made.as_str(), &lengths), Some(made));
    }
}

/// As `apply_to_draft`, but a removal or clear is recorded even where it changes nothing.
fn force(draft: &mut Draft, step: &Step) {
    match step {
        Step::Remove(k) => draft.replace(Space::User, &k.to_string(), None),
        Step::InsertIfAbsent(k, v) => draft.default_in(Space::User, &k.to_string(), v.to_string()),
        step => apply_to_draft(draft, step),
    }
}
