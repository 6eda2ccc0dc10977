//! What was done to a session, as a list that can be done again.

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use serde::Serialize;
use serde::de::DeserializeOwned;
use smallvec::{SmallVec, smallvec};

use crate::data::{Data, escaped, unescaped};
use crate::error::{Error, ErrorKind};
use crate::key::IntoKey;
use crate::merged::Merged;
use crate::unread::Unread;

/// Session data with the changes made to it so far: what a `transact` closure works on.
///
/// It is the data as loaded and a list of what was done since; reading looks through that list
/// first. A save carries the list and not a snapshot (rule C1). When it meets a newer record, the
/// same is done to the newer data: an insert keeps its value, an append appends again, the closure
/// of an [`update`](crate::Session::update) runs again.
///
/// ```
/// use session_core::Draft;
///
/// let mut draft = Draft::default();
/// draft.insert("count", 1)?;
/// assert_eq!(draft.get::<u64>("count")?, Some(1));
/// assert_eq!(draft.take::<u64>("count")?, Some(1));
/// assert!(draft.is_empty());
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Draft {
    user: Data,
    own: Data,
    /// Shared with the copy that a commit works on; copied only if one of them changes.
    operations: Option<Arc<Operations>>,
    /// Operations before this one are being committed: they may no longer be merged into.
    committing: usize,
    /// Operations were left over by a commit and have yet to be put on the data it wrote.
    stale: bool,
}

/// Most requests that change something do one thing, which then takes no allocation beside the `Arc`.
type Operations = SmallVec<[Operation; 1]>;

/// Whose keys: the application's, or the library's own (flashes, CSRF seed).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Space {
    User,
    Own,
}

#[derive(Clone)]
pub(crate) struct Operation {
    pub(crate) space: Space,
    /// As it stands in JSON text: escaped.
    pub(crate) key: Box<str>,
    pub(crate) act: Act,
    /// The JSON the key has after this operation, on the data it was last put on.
    pub(crate) value: Option<String>,
}

#[derive(Clone)]
pub(crate) enum Act {
    /// Insert or remove: the value stands, whatever was there before.
    Replace,
    /// Every key of the space is gone.
    Clear,
    /// Adds one element, given as JSON, to an array.
    Append(Box<str>),
    /// As `Append`, unless the array has an equal element.
    AppendOnce(Box<str>),
    /// Stands only where there is no value yet.
    Default(Box<str>),
    Update(Closure),
}

/// Computes a key's JSON from its present JSON; run again on every conflict.
pub(crate) type Closure = Arc<Mutex<dyn FnMut(Option<&str>) -> Result<String, Error> + Send>>;

impl Draft {
    /// No data, and nothing done to them.
    pub(crate) const EMPTY: Self = Self {
        user: Data::new(),
        own: Data::new(),
        operations: None,
        committing: 0,
        stale: false,
    };

    /// Data as loaded, with nothing done to it.
    pub(crate) fn new(user: Data, own: Data) -> Self {
        Self {
            user,
            own,
            ..Self::EMPTY
        }
    }

    /// The value under `key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: there is a value, but not of type `T`.
    pub fn get<T: DeserializeOwned>(&self, key: impl IntoKey<T>) -> Result<Option<T>, Error> {
        let key = key.name();
        self.value(Space::User, key)
            .map(|json| decode(key, json))
            .transpose()
    }

    /// Stores `value` under `key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: the value cannot be expressed as JSON (NaN becomes `null`,
    /// a map with keys that are no strings is refused).
    pub fn insert<T: Serialize>(&mut self, key: impl IntoKey<T>, value: T) -> Result<(), Error> {
        let json = encode(key.name(), &value)?;
        self.replace(Space::User, key.name(), Some(json));
        Ok(())
    }

    /// Stores `value` under `key` unless there is a value, and says whether it did.
    ///
    /// # Errors
    ///
    /// As for [`insert`](Self::insert).
    pub fn insert_if_absent<T: Serialize>(
        &mut self,
        key: impl IntoKey<T>,
        value: T,
    ) -> Result<bool, Error> {
        let json = encode(key.name(), &value)?;
        Ok(self.insert_json_if_absent(key.name(), json))
    }

    /// Removes `key` and says whether it was there.
    pub fn remove(&mut self, key: impl AsRef<str>) -> bool {
        self.remove_in(Space::User, key.as_ref())
    }

    /// Removes `key` and returns its value. In a [`transact`](crate::Session::transact) no other request
    /// gets it; [`Session::take`](crate::Session::take) alone may give it to several at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: there is a value, but not of type `T`; it stays.
    pub fn take<T: DeserializeOwned>(&mut self, key: impl IntoKey<T>) -> Result<Option<T>, Error> {
        let name = key.name();
        let value = self
            .value(Space::User, name)
            .map(|json| decode(name, json))
            .transpose()?;
        if value.is_some() {
            self.replace(Space::User, name, None);
        }
        Ok(value)
    }

    /// Adds `item` to the end of the array under `key`, which is made if there is none.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: what is there is no array, or the item cannot be expressed as
    /// JSON.
    pub fn append<T: Serialize>(
        &mut self,
        key: impl IntoKey<Vec<T>>,
        item: T,
    ) -> Result<(), Error> {
        let item = encode(key.name(), &item)?;
        self.append_in(Space::User, key.name(), &item)
    }

    /// Whether there is a value under `key`.
    #[must_use]
    pub fn contains_key(&self, key: impl AsRef<str>) -> bool {
        self.value(Space::User, key.as_ref()).is_some()
    }

    /// The JSON text under `key`.
    #[must_use]
    pub fn raw(&self, key: impl AsRef<str>) -> Option<&str> {
        self.value(Space::User, key.as_ref())
    }

    /// All keys, in the order they were first stored.
    #[must_use]
    pub fn keys(&self) -> Vec<String> {
        let merged = self.merged(Space::User);
        let keys = merged.entries().map(|(key, _)| unescaped(key));
        keys.map(Cow::into_owned).collect()
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        if self.changes() == 0 {
            return self.user.len();
        }
        self.merged(Space::User).entries().count()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Removes every key. It is no logout: owner, flashes and CSRF token stay, and
    /// [`Session::logout`](crate::Session::logout) ends a login.
    pub fn clear(&mut self) {
        self.clear_in(Space::User);
    }

    pub(crate) fn clear_in(&mut self, space: Space) {
        if self.merged(space).entries().next().is_none() {
            return;
        }
        self.push(space, "", Act::Clear, None);
    }

    pub(crate) fn value(&self, space: Space, key: &str) -> Option<&str> {
        self.value_escaped(space, &escaped(key))
    }

    fn value_escaped(&self, space: Space, key: &str) -> Option<&str> {
        for operation in self.operations().iter().rev() {
            if operation.space == space {
                match operation.act {
                    Act::Clear => return None,
                    _ if *operation.key == *key => return operation.value.as_deref(),
                    _ => {}
                }
            }
        }
        self.base(space).raw_escaped(key)
    }

    pub(crate) fn replace(&mut self, space: Space, key: &str, value: Option<String>) {
        self.replace_among(self.changes(), space, key, value);
    }

    /// As `replace` for each value. The keys differ from one another, so each is looked for among
    /// the operations of before alone: the work stays linear, however many there are.
    pub(crate) fn replace_each(&mut self, space: Space, values: &Data) {
        let (mut known, mut added) = (self.changes(), 0);
        for (key, json) in values.entries() {
            let before = self.changes();
            self.replace_among(known, space, &key, Some(json.to_owned()));
            added += usize::from(self.changes() > before);
            // What was moot has left.
            known = self.changes() - added;
        }
    }

    fn replace_among(&mut self, known: usize, space: Space, key: &str, value: Option<String>) {
        let key = &*escaped(key);
        let open = self.operations()[..known]
            .iter()
            .enumerate()
            .skip(self.committing)
            .rev();
        let mut earlier = open
            .filter(|(_, operation)| operation.space == space)
            .take_while(|(_, operation)| !matches!(operation.act, Act::Clear))
            .filter_map(|(at, operation)| (*operation.key == *key).then_some(at));
        let (last, more) = (earlier.next(), earlier.next().is_some());
        let Some(last) = last else {
            return self.push(space, key, Act::Replace, value);
        };
        let (first_open, operations) = (self.committing, self.operations_mut());
        operations[last].act = Act::Replace;
        operations[last].value = value;
        if more {
            // What was done to the key before is moot, and must not fail on other data.
            let mut at = 0;
            operations.retain(|operation| {
                let moot = at >= first_open
                    && at < last
                    && operation.space == space
                    && *operation.key == *key
                    && !matches!(operation.act, Act::Clear);
                at += 1;
                !moot
            });
        }
    }

    /// Whether a key has a value that it did not have when loaded, or another one.
    pub(crate) fn adds_something(&self) -> bool {
        self.operations().iter().any(|operation| {
            operation.value.is_some()
                && self
                    .value_escaped(operation.space, &operation.key)
                    .is_some()
        })
    }

    pub(crate) fn remove_in(&mut self, space: Space, key: &str) -> bool {
        let there = self.value(space, key).is_some();
        if there {
            self.replace(space, key, None);
        }
        there
    }

    pub(crate) fn append_in(&mut self, space: Space, key: &str, item: &str) -> Result<(), Error> {
        let value = appended(key, self.value(space, key), item)?;
        self.push(space, &escaped(key), Act::Append(item.into()), Some(value));
        Ok(())
    }

    /// As [`append_in`](Self::append_in), unless the array has an equal element by then.
    ///
    /// It is an operation also where there is one now: someone else may be taking it out.
    pub(crate) fn append_once_in(
        &mut self,
        space: Space,
        key: &str,
        item: &str,
    ) -> Result<(), Error> {
        let value = appended_once(key, self.value(space, key), item)?;
        self.push(
            space,
            &escaped(key),
            Act::AppendOnce(item.into()),
            Some(value),
        );
        Ok(())
    }

    /// Gives `key` a value unless it has one by then.
    pub(crate) fn default_in(&mut self, space: Space, key: &str, value: String) {
        let act = Act::Default(value.as_str().into());
        let value = defaulted(self.value(space, key), &value);
        self.push(space, &escaped(key), act, Some(value));
    }

    /// Where there is a value now it is no operation: who asks for a default at each request
    /// must not write at each.
    pub(crate) fn insert_json_if_absent(&mut self, key: &str, json: String) -> bool {
        let absent = !self.contains_key(key);
        if absent {
            self.default_in(Space::User, key, json);
        }
        absent
    }

    /// Records an update whose closure has just made `value`.
    pub(crate) fn updated(&mut self, key: &str, closure: Closure, value: String) {
        self.push(
            Space::User,
            &escaped(key),
            Act::Update(closure),
            Some(value),
        );
    }

    pub(crate) fn operations(&self) -> &[Operation] {
        self.operations.as_deref().map_or(&[], SmallVec::as_slice)
    }

    fn operations_mut(&mut self) -> &mut Operations {
        Arc::make_mut(self.operations.get_or_insert_default())
    }

    fn push(&mut self, space: Space, key: &str, act: Act, value: Option<String>) {
        let operation = Operation {
            space,
            key: key.into(),
            act,
            value,
        };
        match &mut self.operations {
            None => self.operations = Some(Arc::new(smallvec![operation])),
            Some(operations) => Arc::make_mut(operations).push(operation),
        }
    }

    /// The number of operations made: whether there is something to save.
    pub(crate) fn changes(&self) -> usize {
        self.operations().len()
    }

    /// Freezes the operations made so far and returns a copy to commit.
    pub(crate) fn begin_commit(&mut self) -> Self {
        self.committing = self.changes();
        Self {
            committing: 0,
            ..self.clone()
        }
    }

    /// The commit did not happen; the first `in_doubt` operations stay frozen.
    pub(crate) fn abort_commit(&mut self, in_doubt: usize) {
        self.committing = in_doubt;
    }

    /// The first `count` operations are in `user` and `own` now; those made since stay.
    ///
    /// Their values are then those they had on the old data, until the next commit puts them on
    /// the new.
    pub(crate) fn committed(&mut self, count: usize, user: Data, own: Data) {
        if count >= self.changes() {
            self.operations = None;
        } else {
            self.operations_mut().drain(..count);
            self.stale = true;
        }
        self.committing = 0;
        self.user = user;
        self.own = own;
    }

    /// Whether values are those of older data.
    pub(crate) fn is_stale(&self) -> bool {
        self.stale
    }

    /// Whether nothing was done to one of two copies that was not done to the other.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (&self.operations, &other.operations) {
            (Some(one), Some(two)) => Arc::ptr_eq(one, two),
            (None, None) => true,
            _ => false,
        }
    }

    /// Takes over which operations a commit works on: one may have begun since `self` was copied.
    pub(crate) fn freeze_as(&mut self, other: &Self) {
        self.committing = other.committing;
    }

    /// The data that the operations were made on.
    pub(crate) fn began_with(&self) -> (Data, Data) {
        (self.user.clone(), self.own.clone())
    }

    /// Puts the same operations on other data.
    pub(crate) fn rebase(&mut self, user: Data, own: Data) -> Result<(), Error> {
        let operations = self.operations().to_vec();
        let committing = self.committing;
        *self = Self::new(user, own);
        self.committing = committing;
        for mut operation in operations {
            // Looked for only where it matters: it is a walk over the operations so far.
            let before = || self.value_escaped(operation.space, &operation.key);
            operation.value = match &operation.act {
                Act::Replace | Act::Clear => operation.value,
                Act::Append(item) => Some(appended(&operation.key, before(), item)?),
                Act::AppendOnce(item) => Some(appended_once(&operation.key, before(), item)?),
                Act::Default(value) => Some(defaulted(before(), value)),
                Act::Update(closure) => Some(run(closure, before())?),
            };
            self.operations_mut().push(operation);
        }
        Ok(())
    }

    /// Forgets every operation, also those whose commit is in doubt.
    pub(crate) fn revert(&mut self) {
        self.operations = None;
        self.committing = 0;
        self.stale = false;
    }

    /// The data with all operations applied.
    pub(crate) fn apply(&self) -> Result<(Data, Data), Error> {
        Ok((self.applied(Space::User)?, self.applied(Space::Own)?))
    }

    /// One space's part of it; without an operation it is shared, not copied.
    pub(crate) fn applied(&self, space: Space) -> Result<Data, Error> {
        let mine = self
            .operations()
            .iter()
            .filter(|operation| operation.space == space);
        let (mut bytes, mut keys) = (2, 0);
        for operation in mine {
            bytes += operation.key.len() + operation.value.as_deref().map_or(0, str::len) + 4;
            keys += 1;
        }
        let base = self.base(space);
        if keys == 0 {
            return Ok(base.clone());
        }
        let merged = self.merged(space);
        merged.data(bytes + base.as_str().len(), keys + base.len())
    }

    pub(crate) fn base(&self, space: Space) -> &Data {
        match space {
            Space::User => &self.user,
            Space::Own => &self.own,
        }
    }

    fn merged(&self, space: Space) -> Merged<'_> {
        Merged::new(self, space)
    }
}

impl fmt::Debug for Draft {
    /// Shows sizes only: session data may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Draft")
            .field("user", &self.user)
            .field("own", &self.own)
            .field("operations", &self.changes())
            .finish()
    }
}

/// Wraps a typed closure so that it computes JSON from JSON.
pub(crate) fn json_closure<T, F>(key: &str, mut compute: F) -> Closure
where
    T: Serialize + DeserializeOwned,
    F: FnMut(Option<T>) -> T + Send + 'static,
{
    let key: Box<str> = key.into();
    Arc::new(Mutex::new(move |before: Option<&str>| {
        let before = before.map(|json| decode(&key, json)).transpose()?;
        encode(&key, &compute(before))
    }))
}

/// Runs an update's closure on a key's present JSON.
pub(crate) fn run(closure: &Closure, before: Option<&str>) -> Result<String, Error> {
    // A closure that panicked earlier holds no state of ours: run it again and see.
    let mut compute = closure.lock().unwrap_or_else(PoisonError::into_inner);
    compute(before)
}

pub(crate) fn decode<T: DeserializeOwned>(key: &str, json: &str) -> Result<T, Error> {
    serde_json::from_str(json).map_err(|source| {
        let wanted = std::any::type_name::<T>();
        Error::new(
            ErrorKind::WrongType,
            format!("reading the session key {key:?} as {wanted} failed"),
        )
        .caused_by(Unread::from(source))
    })
}

pub(crate) fn encode<T: Serialize>(key: &str, value: &T) -> Result<String, Error> {
    serde_json::to_string(value).map_err(|source| {
        let given = std::any::type_name::<T>();
        Error::new(
            ErrorKind::WrongType,
            format!("writing a {given} under the session key {key:?} failed"),
        )
        .caused_by(source)
    })
}

fn defaulted(present: Option<&str>, value: &str) -> String {
    present.unwrap_or(value).to_owned()
}

fn appended(key: &str, array: Option<&str>, item: &str) -> Result<String, Error> {
    let Some(array) = array else {
        return Ok(format!("[{item}]"));
    };
    let inner = array
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
        .ok_or_else(|| {
            Error::new(
                ErrorKind::WrongType,
                format!("appending to the session key {key:?} failed: its value is no array"),
            )
        })?;
    Ok(if inner.trim().is_empty() {
        format!("[{item}]")
    } else {
        format!("[{inner},{item}]")
    })
}

/// Elements are compared as values: another program may have spelled one differently.
fn appended_once(key: &str, array: Option<&str>, item: &str) -> Result<String, Error> {
    if let Some(array) = array {
        let present: Vec<serde_json::Value> = decode(key, array)?;
        if present.contains(&decode(key, item)?) {
            return Ok(array.to_owned());
        }
    }
    appended(key, array, item)
}

#[cfg(test)]
#[path = "operations_tests.rs"]
mod tests;
