//! What came over from an old session, and what did not.

use std::collections::HashSet;
use std::fmt;
use std::net::IpAddr;

use serde::ser::{Error as _, SerializeMap};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::value::RawValue;
use session_core::{Data, Error, ErrorKind, Session, Timestamp};

use crate::error::{ImportError, ImportErrorKind};
use crate::pickle::{Heap, Id, Judge, Node, Why, key_text, quoted};

/// The most bytes an old record may have, decoded, and its values may have as JSON: 1 MiB, which
/// is also what a session may have by default.
pub const BYTES_MAX: usize = 1 << 20;

/// How deep lists and dictionaries may be nested; readers of JSON commonly stop a little later.
pub const DEPTH_MAX: usize = 100;

/// How many of the keys whose values stay behind are listed.
pub const SKIPPED_MAX: usize = 1_000;

/// How many characters of a key or class name are reported.
const NAME_CHARS_MAX: usize = 100;

/// An old session's values as session data, and what could not be moved.
///
/// ```
/// use session_import::beaker;
///
/// let old = beaker::decode(br#"{"user": "ada", "_accessed_time": 1764000000.5, "odds": NaN}"#)?;
/// assert_eq!(old.data.as_str(), r#"{"user":"ada"}"#);
/// assert_eq!(old.get::<String>("user")?.as_deref(), Some("ada"));
/// assert_eq!(old.accessed_at.map(|at| at.as_unix_ms()), Some(1_764_000_000_500));
/// assert_eq!(
///     old.skipped[0].to_string(),
///     r#""odds" was left behind: it holds a number that is not finite"#,
/// );
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Imported {
    /// The application's own values. What the old library kept for itself is not among them,
    /// above all not the session's id, which is the secret of its cookie.
    pub data: Data,
    /// The keys whose values could not be moved, in their order; the first [`SKIPPED_MAX`].
    pub skipped: Vec<Skipped>,
    /// How many more values could not be moved.
    pub skipped_more: usize,
    /// When the old session was begun, if that is known.
    pub created_at: Option<Timestamp>,
    /// When the old session was last used, if that is known. Old libraries remove sessions late
    /// or never: whether this one's time is up is for the application to check.
    pub accessed_at: Option<Timestamp>,
    /// The client's address at the last request, if it is known.
    pub address: Option<IpAddr>,
}

impl Imported {
    /// The value under `key`.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: there is a value, but not of type `T`.
    pub fn get<'a, T: Deserialize<'a>>(&'a self, key: &str) -> Result<Option<T>, Error> {
        let Some(json) = self.data.raw(key) else {
            return Ok(None);
        };
        // The deserialiser's own error is not kept: it quotes the value.
        serde_json::from_str(json).map(Some).map_err(|_| {
            Error::new(
                ErrorKind::WrongType,
                format!("the imported value under {key:?} is of another type"),
            )
        })
    }

    /// Puts the values into `session`, each as an insertion of its own; keys that are there are
    /// replaced. They are stored when the request ends, or by `save` at once.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::WrongType`]: never for what this crate has read.
    pub fn into_session(self, session: &Session) -> Result<(), Error> {
        session.insert_all(AsTheyAre(&self.data))
    }

    /// Takes the entries of a dictionary in a pickle. `own` sees each key and value first, notes
    /// what it knows, and says whether the entry is the old library's own.
    pub(crate) fn from_dict<'a>(
        heap: &'a Heap<'a>,
        entries: &[(Id, Id)],
        mut own: impl FnMut(&mut Self, &str, &Node<'a>) -> bool,
    ) -> Result<Self, ImportError> {
        let mut imported = Self::default();
        let mut judge = Judge::new(heap);
        let mut names = HashSet::new();
        let mut json = String::from("{");
        for (key, value) in entries {
            let (Some(text), Some(name)) = (key_text(heap, *key), judge.name(*key)) else {
                imported.skip(None, Reason::Key);
                continue;
            };
            if own(&mut imported, &text, heap.node(*value)) {
                continue;
            }
            let bytes = judge.key_bytes(*key);
            let verdict = match judge.verdict(*value) {
                _ if !names.insert(name) => Err(Why::SameKey),
                Ok(shape) if json.len() + bytes + shape.bytes > BYTES_MAX => Err(Why::TooLarge),
                verdict => verdict,
            };
            if let Err(why) = verdict {
                imported.skip(Some(&text), Reason::new(heap, why));
                continue;
            }
            if json.len() > 1 {
                json.push(',');
            }
            json.push_str(&quoted(&text));
            json.push(':');
            judge.write(*value, &mut json);
        }
        json.push('}');
        imported.data = parsed(&json)?;
        Ok(imported)
    }

    pub(crate) fn skip(&mut self, key: Option<&str>, reason: Reason) {
        if self.skipped.len() >= SKIPPED_MAX {
            self.skipped_more += 1;
            return;
        }
        let key = key.map(short);
        self.skipped.push(Skipped { key, reason });
    }
}

/// The values as their JSON texts: `Data` itself reads them, and large integers become floats.
struct AsTheyAre<'a>(&'a Data);

impl Serialize for AsTheyAre<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for (key, json) in self.0.entries() {
            let raw: &RawValue = serde_json::from_str(json).map_err(S::Error::custom)?;
            object.serialize_entry(&key, raw)?;
        }
        object.end()
    }
}

pub(crate) fn parsed(json: &str) -> Result<Data, ImportError> {
    Data::parse(json).map_err(|source| {
        ImportError::new(
            ImportErrorKind::Corrupt,
            "reading an old session's JSON failed",
        )
        .caused_by(source)
    })
}

/// Python's `time.time()`, seconds since the Unix epoch; stops at the ends of the range.
pub(crate) fn moment(seconds: f64) -> Option<Timestamp> {
    seconds
        .is_finite()
        .then(|| Timestamp::from_unix_ms((seconds * 1_000.0) as i64))
}

fn short(text: &str) -> String {
    text.chars().take(NAME_CHARS_MAX).collect()
}

/// A key whose value could not be moved, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Skipped {
    /// The key, its first 100 characters; `None` if it has no form as text.
    pub key: Option<String>,
    /// Why its value stayed behind.
    pub reason: Reason,
}

impl fmt::Display for Skipped {
    /// Fit for a log: names are escaped, and values are not shown.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.key {
            Some(key) => write!(f, "{key:?} was left behind: {}", self.reason),
            None => write!(f, "a value was left behind: {}", self.reason),
        }
    }
}

/// Why a value could not be moved.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// It holds an object that Python makes by calling something: the class or function's
    /// name, if it is known, its first 200 characters. Nothing is called here.
    Object(Option<String>),
    /// It holds what only the old program could supply: a persistent id, an extension.
    External,
    /// It holds NaN or an infinity, which JSON has not.
    NotFinite,
    /// It holds an integer of more than 1,024 bits.
    HugeInteger,
    /// It holds text that is not Unicode: half a surrogate pair, or a Python 2 string that is
    /// not UTF-8.
    NotText,
    /// It is under, or holds a dictionary with, a key that is not text, an integer, a truth value
    /// or `None`.
    Key,
    /// It is under, or holds a dictionary with, a key whose text is another key's, such as `1`
    /// beside `"1"`.
    SameKey,
    /// It holds itself.
    Cyclic,
    /// It is nested deeper than [`DEPTH_MAX`].
    TooDeep,
    /// It would, with the values before it, take more than [`BYTES_MAX`] as JSON.
    TooLarge,
}

impl Reason {
    fn new(heap: &Heap<'_>, why: Why) -> Self {
        match why {
            Why::Object(class) => Self::Object(class.and_then(|class| class_name(heap, class))),
            Why::External => Self::External,
            Why::NotFinite => Self::NotFinite,
            Why::HugeInteger => Self::HugeInteger,
            Why::NotText => Self::NotText,
            Why::BadKey => Self::Key,
            Why::SameKey => Self::SameKey,
            Why::Cyclic => Self::Cyclic,
            Why::TooDeep => Self::TooDeep,
            Why::TooLarge => Self::TooLarge,
        }
    }
}

fn class_name(heap: &Heap<'_>, class: Id) -> Option<String> {
    let Node::Global { module, name } = *heap.node(class) else {
        return None;
    };
    let (module, name) = (heap.text(module)?, heap.text(name)?);
    Some(format!("{}.{}", short(module), short(name)))
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Object(Some(class)) => {
                return write!(f, "it holds an object of {}", class.escape_debug());
            }
            Self::Object(None) => "it holds an object",
            Self::External => "it holds what only the old program could supply",
            Self::NotFinite => "it holds a number that is not finite",
            Self::HugeInteger => "it holds an integer of more than 1,024 bits",
            Self::NotText => "it holds text that is not Unicode",
            Self::Key => "a key has no form as text",
            Self::SameKey => "another key has the same text",
            Self::Cyclic => "it holds itself",
            Self::TooDeep => return write!(f, "it is nested deeper than {DEPTH_MAX}"),
            Self::TooLarge => return write!(f, "it is longer than {BYTES_MAX} bytes"),
        })
    }
}
