//! Python's pickle, read as data: opcodes are followed as far as data needs them, and what would
//! call, import or look something up becomes a value that says so.
//!
//! A pickle is a program for a machine with a stack, marks on it, and a memo. [`load`] runs the
//! part of it that builds data, protocols 0 to 5, into a [`Heap`]: a list of nodes that refer to
//! each other by number. So nothing is copied when a pickle refers to one object twice, an object
//! may hold itself, dropping is not recursive, and time and memory are linear in the input.
//! `json.rs` then says which nodes have a form in JSON.
//!
//! # Source
//!
//! CPython's `Lib/pickletools.py`, which describes each opcode, and `Lib/pickle.py`.

mod heap;
mod json;
mod known;
mod machine;
mod text;

pub(crate) use heap::{Heap, Id, Node};
pub(crate) use json::{Judge, Why, key_text, quoted};
pub(crate) use machine::load;
