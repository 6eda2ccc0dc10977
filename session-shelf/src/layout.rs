//! The database's own entry: which form its keys and values have, and whether they are all there.

use session_core::{StoreError, StoreErrorKind};

use crate::failure::Failure;
use crate::keys;
use crate::shelf::Shelf;

/// What the entry says of a database that can be used.
pub(crate) const READY: &[u8] = br#"{"layout":1,"state":"ready"}"#;
/// What it says of one that a migration is filling.
pub(crate) const FILLING: &[u8] = br#"{"layout":1,"state":"filling"}"#;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// There is nothing in it.
    Empty,
    Ready,
    /// A migration into it has not come to its end.
    Filling,
}

/// What a database is, as its own entry says.
pub(crate) fn state(shelf: &Shelf) -> Result<State, Failure> {
    let (entry, empty) = shelf.read(|view| {
        let empty = view.keys(&[], &[u8::MAX], 1)?.is_empty();
        Ok((view.get(keys::LAYOUT)?, empty))
    })?;
    match entry.as_deref() {
        None if empty => Ok(State::Empty),
        None => Err(Failure::corrupt("it is a database of something else")),
        Some(READY) => Ok(State::Ready),
        Some(FILLING) => Ok(State::Filling),
        Some(_) => Err(Failure::Record(StoreError::new(
            StoreErrorKind::NewerFormat,
            "a later version of session-shelf laid the database out",
        ))),
    }
}

/// Makes an empty database ready, and refuses one that is not ready to be used.
pub(crate) fn begin(shelf: &Shelf) -> Result<(), Failure> {
    match state(shelf)? {
        State::Ready => Ok(()),
        State::Empty => set(shelf, READY),
        State::Filling => Err(Failure::unavailable(
            "a migration into it was not finished: run the migration again",
        )),
    }
}

pub(crate) fn set(shelf: &Shelf, entry: &[u8]) -> Result<(), Failure> {
    shelf.write(|changing| changing.apply(vec![(keys::LAYOUT.to_vec(), Some(entry.to_vec()))]))
}
