//! Which nodes have a form in JSON, and that form.
//!
//! A pickle may say "this list twice" thirty times over in a hundred bytes, or nest a list in
//! itself. So first each node is judged, once, from its parts upwards and without recursion: how
//! long and how deep it would be, or why it cannot be. Only what passed is written.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use data_encoding::BASE64URL_NOPAD;

use super::heap::{Heap, Id, Node};
use crate::imported::{BYTES_MAX, DEPTH_MAX};

/// Why a node has no form in JSON.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Why {
    Object(Option<Id>),
    External,
    NotFinite,
    HugeInteger,
    NotText,
    BadKey,
    SameKey,
    Cyclic,
    TooDeep,
    TooLarge,
}

/// What a node is as JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) bytes: usize,
    height: usize,
}

type Verdict = Result<Shape, Why>;

#[derive(Clone, Copy)]
enum Known {
    Unseen,
    /// Its parts are being judged: whoever meets it is a part of it.
    Open,
    Done(Verdict),
}

/// Judges the nodes of a heap, each once.
pub(crate) struct Judge<'h> {
    heap: &'h Heap<'h>,
    known: Vec<Known>,
    /// The number of a key's text, so that a long one is compared once, however often it is used.
    names: HashMap<Cow<'h, str>, usize>,
    named: HashMap<Id, Option<usize>>,
}

impl<'h> Judge<'h> {
    pub(crate) fn new(heap: &'h Heap<'h>) -> Self {
        Self {
            heap,
            known: vec![Known::Unseen; heap.len()],
            names: HashMap::new(),
            named: HashMap::new(),
        }
    }

    /// What `root` is as JSON, or why it is not.
    pub(crate) fn verdict(&mut self, root: Id) -> Verdict {
        let mut open: Vec<(Id, usize)> = Vec::new();
        let mut next = Some(root);
        loop {
            // One that is open holds what is being judged; see `done`.
            if let Some(id) = next.take()
                && let Known::Unseen = self.known[id.index()]
            {
                self.known[id.index()] = Known::Open;
                open.push((id, 0));
            }
            let Some((id, at)) = open.last_mut() else {
                break;
            };
            next = self.part(*id, *at);
            *at += 1;
            if next.is_none() {
                let id = *id;
                open.pop();
                self.known[id.index()] = Known::Done(self.whole(id));
            }
        }
        self.done(root)
    }

    /// The part number `at` of a node.
    fn part(&self, id: Id, at: usize) -> Option<Id> {
        match self.heap.node(id) {
            Node::Array(items) => items.get(at).copied(),
            Node::Dict(entries) => entries.get(at).map(|(_, value)| *value),
            _ => None,
        }
    }

    fn done(&self, id: Id) -> Verdict {
        match self.known[id.index()] {
            Known::Done(verdict) => verdict,
            // It is a whole of which the one who asks is a part.
            Known::Unseen | Known::Open => Err(Why::Cyclic),
        }
    }

    /// The verdict on a node whose parts have theirs.
    fn whole(&mut self, id: Id) -> Verdict {
        let heap = self.heap;
        let leaf = |bytes| Ok(Shape { bytes, height: 0 });
        match heap.node(id) {
            Node::None | Node::Bool(true) => leaf(4),
            Node::Bool(false) => leaf(5),
            Node::Int(int) => leaf(int.to_string().len()),
            Node::Digits(digits) => leaf(digits.len() + 2),
            Node::Float(float) if float.is_finite() => leaf(number(*float).len()),
            Node::Float(_) => Err(Why::NotFinite),
            Node::HugeInt => Err(Why::HugeInteger),
            Node::Text(text) => leaf(quoted_length(text)),
            Node::BadText => Err(Why::NotText),
            Node::Bytes(bytes) => leaf(BASE64URL_NOPAD.encode_len(bytes.len()) + 2),
            Node::Array(items) => together(items.iter().map(|item| (1, self.done(*item)))),
            Node::Dict(entries) => {
                let mut seen = HashSet::new();
                let mut lengths = Vec::with_capacity(entries.len());
                for (key, _) in entries {
                    let name = self.name(*key).ok_or(Why::BadKey)?;
                    if !seen.insert(name) {
                        return Err(Why::SameKey);
                    }
                    lengths.push(self.key_bytes(*key));
                }
                let values = entries.iter().map(|(_, value)| self.done(*value));
                together(lengths.into_iter().zip(values))
            }
            Node::Global { .. } => Err(Why::Object(Some(id))),
            Node::Object { class } => Err(Why::Object(*class)),
            Node::External => Err(Why::External),
        }
    }

    /// The length in bytes, at most, of a dictionary's key with quotes, colon and comma.
    pub(crate) fn key_bytes(&mut self, key: Id) -> usize {
        self.verdict(key).map_or(0, |shape| shape.bytes) + 4
    }

    /// The number of the text that a dictionary's key becomes.
    pub(crate) fn name(&mut self, key: Id) -> Option<usize> {
        if let Some(name) = self.named.get(&key) {
            return *name;
        }
        let fresh = self.names.len();
        let name = key_text(self.heap, key).map(|text| *self.names.entry(text).or_insert(fresh));
        self.named.insert(key, name);
        name
    }

    /// The JSON text of a node that was judged to have one.
    pub(crate) fn write(&self, id: Id, json: &mut String) {
        // As deep as DEPTH_MAX at most, or it would not have been judged so.
        match self.heap.node(id) {
            Node::None => json.push_str("null"),
            Node::Bool(true) => json.push_str("true"),
            Node::Bool(false) => json.push_str("false"),
            Node::Int(int) => json.push_str(&int.to_string()),
            Node::Digits(digits) if digits.parse::<u64>().is_ok() => json.push_str(digits),
            Node::Digits(digits) => json.push_str(&quoted(digits)),
            Node::Float(float) => json.push_str(&number(*float)),
            Node::Text(text) => json.push_str(&quoted(text)),
            Node::Bytes(bytes) => json.push_str(&quoted(&BASE64URL_NOPAD.encode(bytes))),
            Node::Array(items) => {
                json.push('[');
                for (at, item) in items.iter().enumerate() {
                    if at > 0 {
                        json.push(',');
                    }
                    self.write(*item, json);
                }
                json.push(']');
            }
            Node::Dict(entries) => {
                json.push('{');
                for (at, (key, value)) in entries.iter().enumerate() {
                    if at > 0 {
                        json.push(',');
                    }
                    json.push_str(&quoted(&key_text(self.heap, *key).unwrap_or_default()));
                    json.push(':');
                    self.write(*value, json);
                }
                json.push('}');
            }
            Node::HugeInt
            | Node::BadText
            | Node::Global { .. }
            | Node::Object { .. }
            | Node::External => json.push_str("null"),
        }
    }
}

/// The text that a dictionary's key becomes, as Python's own `json` has it.
pub(crate) fn key_text<'h>(heap: &'h Heap<'_>, key: Id) -> Option<Cow<'h, str>> {
    match heap.node(key) {
        Node::Text(text) => Some(Cow::Borrowed(text)),
        Node::Int(int) => Some(Cow::Owned(int.to_string())),
        Node::Digits(digits) => Some(Cow::Borrowed(digits)),
        Node::Bool(true) => Some(Cow::Borrowed("true")),
        Node::Bool(false) => Some(Cow::Borrowed("false")),
        Node::None => Some(Cow::Borrowed("null")),
        _ => None,
    }
}

/// The verdict on a list or dictionary: each part with what is written beside it.
fn together(parts: impl Iterator<Item = (usize, Verdict)>) -> Verdict {
    let mut shape = Shape {
        bytes: 2,
        height: 0,
    };
    for (beside, part) in parts {
        let part = part?;
        shape.bytes = shape.bytes.saturating_add(beside + part.bytes);
        shape.height = shape.height.max(part.height);
    }
    shape.height += 1;
    if shape.height > DEPTH_MAX {
        return Err(Why::TooDeep);
    }
    if shape.bytes > BYTES_MAX {
        return Err(Why::TooLarge);
    }
    Ok(shape)
}

pub(crate) fn quoted(text: &str) -> String {
    serde_json::to_string(text).expect("a string is always JSON")
}

/// The length of [`quoted`], without making it.
fn quoted_length(text: &str) -> usize {
    let escaped = |byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' | 0x08 | 0x0c => 2,
        0..0x20 => 6,
        _ => 1,
    };
    text.bytes().map(escaped).sum::<usize>() + 2
}

fn number(float: f64) -> String {
    serde_json::to_string(&float).expect("a number is always JSON")
}
