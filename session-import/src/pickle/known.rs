//! The few names of classes and functions whose meaning as data is known, so that what a pickle
//! makes by calling them can be read without calling anything.
//!
//! A set is a list in a call of `set`; bytes are text in a call of `_codecs.encode` wherever Python 3
//! writes protocol 2, which Beaker does; web.py's rows and forms are its own `Storage`, a
//! dictionary. Everything else that is called makes an object that cannot be moved.

use std::borrow::Cow;

use super::heap::{Heap, Id, Node};

/// Dictionaries by another name.
const DICTS: [(&str, &str); 3] = [
    ("collections", "OrderedDict"),
    ("collections", "defaultdict"),
    ("web.utils", "Storage"),
];

impl<'a> Heap<'a> {
    /// What `class` called with `args` is, as data.
    pub(crate) fn called(&mut self, class: Id, args: Id) -> Id {
        self.known(class, args)
            .unwrap_or_else(|| self.add(Node::Object { class: Some(class) }))
    }

    fn known(&mut self, class: Id, args: Id) -> Option<Id> {
        let Node::Global { module, name } = *self.node(class) else {
            return None;
        };
        let Node::Array(args) = self.node(args) else {
            return None;
        };
        let first = args.first().copied();
        let second = args.get(1).and_then(|arg| self.text(*arg));
        let third = args.get(2).copied();
        let of_one = args.len() == 1;
        match (self.text(module)?, self.text(name)?) {
            ("__builtin__" | "builtins", "set" | "frozenset") => match first {
                None => Some(self.add(Node::Array(Vec::new()))),
                // The list itself: a copy could be asked for again and again.
                Some(list) => (of_one && matches!(self.node(list), Node::Array(_))).then_some(list),
            },
            ("__builtin__" | "builtins", "bytes" | "bytearray") | ("_codecs", "encode") => {
                match (first, second) {
                    (None, _) => Some(self.add(Node::Bytes(Cow::Borrowed(&[])))),
                    (Some(bytes), None) => {
                        (of_one && matches!(self.node(bytes), Node::Bytes(_))).then_some(bytes)
                    }
                    (Some(text), Some("latin1" | "latin-1")) => self.latin1(text),
                    _ => None,
                }
            }
            // Protocols 0 and 1: the class, what it is built on, and that object.
            ("copy_reg" | "copyreg", "_reconstructor") => {
                let (class, state) = (first?, third?);
                let is_dict = self.is_dict(class) && matches!(self.node(state), Node::Dict(_));
                Some(if is_dict {
                    state
                } else {
                    self.add(Node::Object { class: Some(class) })
                })
            }
            _ => self
                .is_dict(class)
                .then(|| self.add(Node::Dict(Vec::new()))),
        }
    }

    fn is_dict(&self, class: Id) -> bool {
        let Node::Global { module, name } = *self.node(class) else {
            return false;
        };
        match (self.text(module), self.text(name)) {
            (Some(module), Some(name)) => DICTS.contains(&(module, name)),
            _ => false,
        }
    }
}
