//! Session data: a JSON object whose values stay raw until someone asks for one.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use smallvec::SmallVec;

use crate::error::{Error, ErrorKind};
use crate::unread::Unread;

/// An immutable JSON object of raw values; cloning shares the text.
///
/// It is the object's text in one fixed spelling, `{"key":value,"key":value}` without white space
/// between its parts, and the length of each key and value. Finding a key walks the lengths and
/// compares; it parses nothing. The text is what stores keep and other languages read, so encoding
/// it is a copy.
///
/// What another language wrote may be spelled differently (white space, `\u00e9`, a key twice):
/// [`parse`](Self::parse) accepts all of JSON and brings it into this spelling; of a key that stands
/// twice the last counts.
///
/// ```
/// use session_core::Data;
///
/// let data = Data::parse(r#" { "count" : 3, "name": "Ada" } "#)?;
/// assert_eq!(data.as_str(), r#"{"count":3,"name":"Ada"}"#);
/// assert_eq!(data.raw("count"), Some("3"));
/// assert_eq!(data.raw("missing"), None);
/// # Ok::<(), session_core::Error>(())
/// ```
#[derive(Clone, Default)]
pub struct Data(Option<Arc<Inner>>);

struct Inner {
    text: String,
    spans: Spans,
}

/// Most sessions have few keys, whose lengths then take no allocation of their own.
type Spans = SmallVec<[Span; 4]>;

/// Lengths in bytes of one escaped key (without its quotes) and one value.
#[derive(Clone, Copy)]
struct Span {
    key: u32,
    value: u32,
}

impl Span {
    /// Where the value starts, for an entry whose opening quote is at `start`: `"key":`.
    fn value_at(self, start: usize) -> usize {
        start + self.key as usize + 3
    }

    /// One past the value.
    fn end(self, start: usize) -> usize {
        self.value_at(start) + self.value as usize
    }

    /// The key, of an object's text.
    fn key_of(self, text: &str, start: usize) -> &str {
        &text[start + 1..self.value_at(start) - 2]
    }
}

/// An object that is being written.
struct Builder {
    text: String,
    spans: Spans,
}

impl Builder {
    fn with_capacity(bytes: usize, keys: usize) -> Self {
        Self {
            text: String::with_capacity(bytes),
            spans: Spans::with_capacity(keys),
        }
    }

    fn push(&mut self, key: &str, value: &str) -> Result<(), Error> {
        let span = Span {
            key: length(key.len())?,
            value: length(value.len())?,
        };
        let text = &mut self.text;
        text.push(if text.is_empty() { '{' } else { ',' });
        text.push('"');
        text.push_str(key);
        text.push_str("\":");
        text.push_str(value);
        self.spans.push(span);
        Ok(())
    }

    /// Entries of another object: from the first one's opening quote to where the next one's would be.
    fn copy(&mut self, from: &str, place: Range<usize>, spans: &[Span]) {
        if !spans.is_empty() {
            let first = self.text.is_empty();
            self.text.push(if first { '{' } else { ',' });
            self.text.push_str(&from[place.start..place.end - 1]);
            self.spans.extend_from_slice(spans);
        }
    }

    fn finish(self) -> Data {
        let Self {
            mut text,
            mut spans,
        } = self;
        if spans.is_empty() {
            return Data::new();
        }
        text.push('}');
        // Stores may keep this for long: what was removed or replaced must not linger as room.
        if text.capacity() - text.len() > text.len() / 4 + 32 {
            text.shrink_to_fit();
        }
        let fits_inline = spans.len() <= spans.inline_size();
        if fits_inline || spans.capacity() - spans.len() > spans.len() / 4 + 4 {
            spans.shrink_to_fit();
        }
        Data(Some(Arc::new(Inner { text, spans })))
    }
}

impl Data {
    /// The empty object; takes no allocation.
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// Reads a JSON object written by anyone.
    ///
    /// # Errors
    ///
    /// [`ErrorKind::Corrupt`]: not a JSON object, or longer than 4 GiB.
    pub fn parse(json: &str) -> Result<Self, Error> {
        let corrupt = |source: serde_json::Error| {
            Error::new(
                ErrorKind::Corrupt,
                format!("reading session data failed: {}", Unread::from(source)),
            )
        };
        let mut reader = serde_json::Deserializer::from_str(json);
        let entries = reader.deserialize_map(Entries).map_err(corrupt)?;
        reader.end().map_err(corrupt)?;
        let keys: Vec<Cow<'_, str>> = entries.iter().map(|(key, _)| escaped(key)).collect();
        let entries = keys.iter().zip(&entries);
        Self::build(
            entries.map(|(key, (_, value))| (&**key, value.get())),
            json.len() + 2,
            keys.len(),
        )
    }

    /// Takes text that is known by its checksum to be this library's own, with the lengths
    /// that were stored beside it; `None` when they do not fit the text exactly.
    pub(crate) fn with_lengths(text: &str, lengths: &[u32]) -> Option<Self> {
        if lengths.is_empty() {
            return (text == "{}").then(Self::new);
        }
        let (pairs, []) = lengths.as_chunks::<2>() else {
            return None;
        };
        let bytes = text.as_bytes();
        let mut spans = Spans::with_capacity(pairs.len());
        let mut start = 0;
        for &[key, value] in pairs {
            let span = Span { key, value };
            let opening = if start == 0 { b'{' } else { b',' };
            let key_at = start + 1;
            let value_at = span.value_at(key_at);
            let end = span.end(key_at);
            if value == 0
                || bytes.get(start) != Some(&opening)
                || bytes.get(key_at) != Some(&b'"')
                || bytes.get(value_at - 2..value_at) != Some(b"\":")
                || end >= bytes.len()
                || !text.is_char_boundary(end)
            {
                return None;
            }
            spans.push(span);
            start = end;
        }
        (bytes[start..] == *b"}").then(|| {
            Self(Some(Arc::new(Inner {
                text: text.to_owned(),
                spans,
            })))
        })
    }

    /// The lengths to be stored beside the text: key, value, key, value and so on, in bytes.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = u32> {
        self.spans().iter().flat_map(|span| [span.key, span.value])
    }

    /// Builds an object from escaped keys and the JSON texts of their values; no key may come
    /// twice. `bytes` and `keys` are how much there is at most.
    pub(crate) fn build<'a>(
        entries: impl Iterator<Item = (&'a str, &'a str)>,
        bytes: usize,
        keys: usize,
    ) -> Result<Self, Error> {
        let mut built = Builder::with_capacity(bytes, keys);
        for (key, value) in entries {
            built.push(key, value)?;
        }
        Ok(built.finish())
    }

    /// The object with the changes made: `changed` says of a key what its value is now, none if it is
    /// gone; `new` comes after what there was. Keys are escaped. What stays is copied as it stands,
    /// in as few pieces as there are.
    pub(crate) fn with_changes<'a>(
        &self,
        changed: impl Fn(&str) -> Option<Option<&'a str>>,
        new: impl Iterator<Item = (&'a str, &'a str)>,
        bytes: usize,
        keys: usize,
    ) -> Result<Self, Error> {
        let (text, spans) = (self.as_str(), self.spans());
        let mut built = Builder::with_capacity(bytes, keys);
        let (mut start, mut stays_from, mut first_to_stay) = (1, 1, 0);
        for (at, span) in spans.iter().enumerate() {
            let (key, end) = (span.key_of(text, start), span.end(start));
            if let Some(value) = changed(key) {
                built.copy(text, stays_from..start, &spans[first_to_stay..at]);
                (stays_from, first_to_stay) = (end + 1, at + 1);
                if let Some(value) = value {
                    built.push(key, value)?;
                }
            }
            start = end + 1;
        }
        built.copy(text, stays_from..start, &spans[first_to_stay..]);
        for (key, value) in new {
            built.push(key, value)?;
        }
        Ok(built.finish())
    }

    /// The object as JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.as_ref().map_or("{}", |inner| &inner.text)
    }

    /// The JSON text of the value under `key`.
    #[must_use]
    pub fn raw(&self, key: &str) -> Option<&str> {
        self.raw_escaped(&escaped(key))
    }

    /// As [`raw`](Self::raw), for a key as it stands in the text.
    pub(crate) fn raw_escaped(&self, key: &str) -> Option<&str> {
        let (text, mut start) = (self.as_str(), 1);
        for span in self.spans() {
            let (key_at, end) = (start + 1, span.end(start));
            // Lengths differ more often than not, and then the text is not looked at.
            if span.key as usize == key.len()
                && text.as_bytes().get(key_at..key_at + key.len()) == Some(key.as_bytes())
            {
                return text.get(span.value_at(start)..end);
            }
            start = end + 1;
        }
        None
    }

    /// Keys and the JSON texts of their values, in the order they were first stored.
    pub fn entries(&self) -> impl Iterator<Item = (Cow<'_, str>, &str)> + Clone {
        self.escaped_entries()
            .map(|(key, value)| (unescaped(key), value))
    }

    /// The number of keys.
    #[must_use]
    pub fn len(&self) -> usize {
        self.spans().len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.spans().is_empty()
    }

    /// What is held behind the `Arc`, in bytes; none where there is no key.
    pub(crate) fn bytes_held(&self) -> Option<usize> {
        let inner = self.0.as_deref()?;
        let spans = match inner.spans.spilled() {
            true => size_of_val(inner.spans.as_slice()),
            false => 0,
        };
        Some(size_of::<Inner>() + inner.text.len() + spans)
    }

    fn spans(&self) -> &[Span] {
        self.0.as_ref().map_or(&[], |inner| &inner.spans)
    }

    pub(crate) fn escaped_entries(&self) -> impl Iterator<Item = (&str, &str)> + Clone {
        let text = self.as_str();
        self.spans().iter().scan(1, move |start, span| {
            let at = *start;
            let end = span.end(at);
            *start = end + 1;
            let key = text.get(at + 1..span.value_at(at) - 2)?;
            Some((key, text.get(span.value_at(at)..end)?))
        })
    }
}

impl PartialEq for Data {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Data {}

impl fmt::Debug for Data {
    /// Shows the size only: session data may be personal.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Data({} keys, {} bytes)",
            self.len(),
            self.as_str().len()
        )
    }
}

/// The key as it stands between quotes in JSON text: as `serde_json` escapes it.
pub(crate) fn escaped(key: &str) -> Cow<'_, str> {
    let plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if key.bytes().all(plain) {
        return Cow::Borrowed(key);
    }
    let quoted = serde_json::to_string(key).expect("a string is always JSON");
    Cow::Owned(quoted[1..quoted.len() - 1].to_owned())
}

pub(crate) fn unescaped(key: &str) -> Cow<'_, str> {
    if !key.contains('\\') {
        return Cow::Borrowed(key);
    }
    serde_json::from_str(&format!("\"{key}\"")).map_or(Cow::Borrowed(key), Cow::Owned)
}

fn length(bytes: usize) -> Result<u32, Error> {
    u32::try_from(bytes)
        .map_err(|_| Error::new(ErrorKind::TooLarge, "a session value is longer than 4 GiB"))
}

/// Collects an object's entries; of a key that stands twice the last value counts.
struct Entries;

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<(Cow<'de, str>, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut entries: Self::Value = Vec::new();
        let mut positions: HashMap<Cow<'de, str>, usize> = HashMap::new();
        while let Some(key) = map.next_key::<BorrowedKey<'de>>()? {
            let value = map.next_value::<&'de RawValue>()?;
            if entries.len() == FEW_KEYS && positions.is_empty() {
                let known = entries.iter().enumerate();
                positions.extend(known.map(|(at, (key, _))| (key.clone(), at)));
            }
            let known = match entries.len() {
                ..FEW_KEYS => entries.iter().position(|(known, _)| *known == key.0),
                _ => positions.get(&key.0).copied(),
            };
            match known {
                Some(at) => entries[at].1 = value,
                None => {
                    if entries.len() >= FEW_KEYS {
                        positions.insert(key.0.clone(), entries.len());
                    }
                    entries.push((key.0, value));
                }
            }
        }
        Ok(entries)
    }
}

/// So many are compared one by one in less time than they are hashed.
const FEW_KEYS: usize = 16;

#[derive(serde::Deserialize)]
struct BorrowedKey<'a>(#[serde(borrow)] Cow<'a, str>);

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value};

    use super::*;

    #[test]
    fn what_another_language_wrote_is_brought_into_one_spelling() {
        let data = Data::parse("{ \"a\\u0062\" : [ 1 , 2 ] ,\n \"x\":1, \"x\": 2}\t").unwrap();
        assert_eq!(data.as_str(), r#"{"ab":[ 1 , 2 ],"x":2}"#);
        assert_eq!(data.raw("ab"), Some("[ 1 , 2 ]"));
    }

    #[test]
    fn of_a_key_that_stands_twice_the_last_counts_however_many_there_are() {
        for keys in [1, FEW_KEYS - 1, FEW_KEYS, FEW_KEYS + 1, 3 * FEW_KEYS] {
            let entry = |round: usize| move |key| format!("\"k{key}\":{}", round * 100 + key);
            let entries: Vec<_> = (1..=3)
                .flat_map(|round| (0..keys).map(entry(round)))
                .collect();
            let data = Data::parse(&format!("{{{}}}", entries.join(","))).unwrap();
            assert_eq!(data.len(), keys);
            for key in 0..keys {
                assert_eq!(
                    data.raw(&format!("k{key}")),
                    Some(&*(300 + key).to_string())
                );
            }
        }
    }

    #[test]
    fn what_is_not_an_object_is_refused() {
        for bad in [
            "",
            "[]",
            "1",
            "null",
            "{",
            "{\"a\":NaN}",
            "{} {}",
            "{\"a\":}",
            "{a:1}",
        ] {
            assert_eq!(
                Data::parse(bad).unwrap_err().kind(),
                ErrorKind::Corrupt,
                "{bad}"
            );
        }
    }

    #[test]
    fn lengths_that_do_not_fit_are_ignored() {
        let text = r#"{"a":1,"bb":"x"}"#;
        assert!(Data::with_lengths(text, &[1, 1, 2, 3]).is_some());
        for wrong in [
            &[][..],
            &[1],
            &[1, 1],
            &[1, 2, 2, 3],
            &[2, 3, 1, 1],
            &[1, 1, 2, 4],
            &[u32::MAX, 1],
            &[1, 1, 2, u32::MAX],
            &[1, 0, 2, 3],
        ] {
            assert!(Data::with_lengths(text, wrong).is_none(), "{wrong:?}");
        }
        assert!(Data::with_lengths("{}", &[]).is_some());
        assert!(Data::with_lengths("", &[]).is_none());
    }

    #[test]
    fn what_is_held_depends_on_the_text_alone() {
        let all: Vec<_> = (0..8).map(|key| format!("\"k{key}\":{key}")).collect();
        let larger = Data::parse(&format!("{{{}}}", all.join(","))).unwrap();
        for keys in 0..all.len() {
            let parsed = Data::parse(&format!("{{{}}}", all[..keys].join(","))).unwrap();
            let stays = |key: &str| parsed.raw(key).is_some();
            let removed = |key: &str| (!stays(key)).then_some(None);
            let left = larger.with_changes(removed, std::iter::empty(), 100, all.len());
            let left = left.unwrap();
            assert_eq!(left, parsed);
            assert_eq!(left.bytes_held(), parsed.bytes_held());
            let lengths: Vec<_> = parsed.lengths().collect();
            let read = Data::with_lengths(parsed.as_str(), &lengths).unwrap();
            assert_eq!(read.bytes_held(), parsed.bytes_held());
        }
    }

    fn object() -> impl Strategy<Value = Map<String, Value>> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        let value = leaf.prop_recursive(3, 16, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        });
        prop::collection::btree_map(any::<String>(), value, 0..8)
            .prop_map(|map| map.into_iter().collect())
    }

    proptest! {
        #[test]
        fn every_object_round_trips(object in object()) {
            let pretty = serde_json::to_string_pretty(&object).unwrap();
            let data = Data::parse(&pretty).unwrap();
            prop_assert_eq!(data.len(), object.len());
            for (key, value) in &object {
                let raw = data.raw(key).unwrap();
                prop_assert_eq!(&serde_json::from_str::<Value>(raw).unwrap(), value);
            }
            let back: Map<String, Value> = serde_json::from_str(data.as_str()).unwrap();
            prop_assert_eq!(&back, &object);
            let lengths: Vec<u32> = data.lengths().collect();
            prop_assert_eq!(Data::with_lengths(data.as_str(), &lengths).unwrap(), data);
        }

        #[test]
        fn any_lengths_are_taken_or_ignored_without_a_panic(text in "\\{[\"a:,é1}]{0,12}", lengths in proptest::collection::vec(0_u32..6, 0..6)) {
            if let Some(data) = Data::with_lengths(&text, &lengths) {
                for (key, _) in data.entries() {
                    let _ = data.raw(&key);
                }
            }
        }
    }
}
