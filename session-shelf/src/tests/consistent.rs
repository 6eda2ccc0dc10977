//! Whether everything in a database fits together.

use std::collections::BTreeSet;

use crate::engine::View;
use crate::keys;
use crate::marks::Marks;
use crate::records;
use crate::shelf::Shelf;

/// Fails unless every record has its marks, every mark its record, and the entries are those that
/// the marks name.
pub(super) fn check(shelf: &Shelf) {
    shelf
        .read(|view| {
            check_view(view);
            Ok(())
        })
        .unwrap();
}

fn check_view(view: &dyn View) {
    let keys = view.keys(&[], &[u8::MAX], usize::MAX).unwrap();
    let starting = |letter: u8| keys.iter().filter(move |key| key[0] == letter);
    let ids = |letter| -> BTreeSet<_> { starting(letter).map(|key| keys::id(key)).collect() };
    assert_eq!(ids(b'r'), ids(b'm'), "records and marks");
    let mut named = BTreeSet::new();
    for id in ids(b'r').into_iter().flatten() {
        let record = records::load(view, &id).unwrap().unwrap();
        let text = view.get(&keys::marks(&id)).unwrap().unwrap();
        let marks = Marks::decode(&text).unwrap();
        assert_eq!(marks, Marks::of(&record), "the marks of {id}");
        named.extend(marks.entries(&id));
    }
    let entries: BTreeSet<_> = starting(b'o').chain(starting(b'e')).cloned().collect();
    assert_eq!(entries, named, "the entries and those that marks name");
}
