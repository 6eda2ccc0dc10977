//! Typed keys: the name and the type of a value, written once.

use std::fmt;
use std::marker::PhantomData;

/// A key that knows the type of its value; it works wherever a `&str` key does.
///
/// ```
/// use session_core::{Draft, Key};
///
/// const COUNT: Key<u64> = Key::new("count");
///
/// let mut draft = Draft::default();
/// draft.insert(COUNT, 3)?;
/// assert_eq!(draft.get(COUNT)?, Some(3));
/// assert!(draft.remove(COUNT));
/// # Ok::<(), session_core::Error>(())
/// ```
pub struct Key<T> {
    name: &'static str,
    value: PhantomData<fn() -> T>,
}

impl<T> Key<T> {
    /// A key of this name.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        Self {
            name,
            value: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Key<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Key").field(&self.name).finish()
    }
}

impl<T> Clone for Key<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Key<T> {}

impl<T> AsRef<str> for Key<T> {
    fn as_ref(&self) -> &str {
        self.name
    }
}

/// What names a value of type `T`: a `&str` for any type, or a [`Key<T>`].
#[diagnostic::on_unimplemented(
    message = "`{Self}` names no session value of type `{T}`",
    label = "not a key of a `{T}`",
    note = "a key is a `&str`, or a `Key<{T}>`: the value's type must be the key's"
)]
pub trait IntoKey<T> {
    /// The key's text.
    fn name(&self) -> &str;
}

impl<T> IntoKey<T> for &str {
    fn name(&self) -> &str {
        self
    }
}

impl<T> IntoKey<T> for &String {
    fn name(&self) -> &str {
        self
    }
}

impl<T> IntoKey<T> for Key<T> {
    fn name(&self) -> &str {
        self.name
    }
}
