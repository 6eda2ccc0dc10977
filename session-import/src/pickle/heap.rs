//! What a pickle builds: nodes that refer to each other by number.

use std::borrow::Cow;
use std::collections::HashMap;

/// The number of a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Id(u32);

/// One Python object.
#[derive(Debug)]
pub(crate) enum Node<'a> {
    None,
    Bool(bool),
    Int(i64),
    /// The decimal digits of an integer beyond `i64`, with its sign.
    Digits(Box<str>),
    /// An integer too long to be written out.
    HugeInt,
    Float(f64),
    Text(Cow<'a, str>),
    /// Text with half a surrogate pair, or a Python 2 string that is no UTF-8.
    BadText,
    Bytes(Cow<'a, [u8]>),
    /// A list, tuple or set.
    Array(Vec<Id>),
    Dict(Vec<(Id, Id)>),
    /// A class or function, by the texts of its module and name; nothing is imported.
    Global {
        module: Id,
        name: Id,
    },
    /// What calling `class` would have made, if that is known; nothing is called.
    Object {
        class: Option<Id>,
    },
    /// What only the program that wrote the pickle could supply.
    External,
}

/// All nodes of a pickle.
pub(crate) struct Heap<'a> {
    nodes: Vec<Node<'a>>,
    latin1: HashMap<Id, Id>,
}

impl<'a> Heap<'a> {
    /// The constants take one opcode of one byte each, so they are shared rather than made anew.
    pub(crate) const NONE: Id = Id(0);
    pub(crate) const FALSE: Id = Id(1);
    pub(crate) const TRUE: Id = Id(2);

    pub(crate) fn new() -> Self {
        Self {
            nodes: vec![Node::None, Node::Bool(false), Node::Bool(true)],
            latin1: HashMap::new(),
        }
    }

    pub(crate) fn add(&mut self, node: Node<'a>) -> Id {
        // Each opcode adds at most three nodes, and the input is at most a mebibyte.
        let id = u32::try_from(self.nodes.len()).expect("a pickle has fewer nodes than 2^32");
        self.nodes.push(node);
        Id(id)
    }

    pub(crate) fn node(&self, id: Id) -> &Node<'a> {
        &self.nodes[id.index()]
    }

    pub(crate) fn node_mut(&mut self, id: Id) -> &mut Node<'a> {
        &mut self.nodes[id.index()]
    }

    pub(crate) fn text(&self, id: Id) -> Option<&str> {
        match self.node(id) {
            Node::Text(text) => Some(text),
            _ => None,
        }
    }

    /// The bytes whose values are the code points of the text at `id`; of one text the same
    /// node each time, so that asking again and again costs nothing.
    pub(crate) fn latin1(&mut self, id: Id) -> Option<Id> {
        if let Some(bytes) = self.latin1.get(&id) {
            return Some(*bytes);
        }
        let bytes: Option<Vec<u8>> = self
            .text(id)?
            .chars()
            .map(|char| u8::try_from(char).ok())
            .collect();
        let bytes = self.add(bytes.map_or(Node::BadText, |bytes| Node::Bytes(bytes.into())));
        self.latin1.insert(id, bytes);
        Some(bytes)
    }

    pub(crate) fn len(&self) -> usize {
        self.nodes.len()
    }
}

impl Id {
    pub(crate) fn index(self) -> usize {
        self.0 as usize
    }
}
