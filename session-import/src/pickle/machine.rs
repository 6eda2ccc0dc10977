//! The machine that follows a pickle's opcodes, those that build data.

use std::borrow::Cow;
use std::collections::HashMap;

use super::heap::{Heap, Id, Node};
use super::text::{binary, decimal, python2_string, quoted, raw_unicode, utf8};
use crate::error::{ImportError, ImportErrorKind};
use crate::imported::BYTES_MAX;

/// Reads a pickle of at most [`BYTES_MAX`] bytes: what it builds, and which node is the whole.
///
/// What follows the end of the pickle is ignored, as Python does.
///
/// # Errors
///
/// [`ImportErrorKind::Corrupt`]: it ends early, uses its stack or memo wrongly, or has an opcode
/// that no protocol to 5 has. [`ImportErrorKind::TooLarge`].
pub(crate) fn load(pickle: &[u8]) -> Result<(Heap<'_>, Id), ImportError> {
    if pickle.len() > BYTES_MAX {
        return Err(ImportError::new(
            ImportErrorKind::TooLarge,
            format!("reading a pickle failed: it has more than {BYTES_MAX} bytes"),
        ));
    }
    let mut machine = Machine {
        rest: pickle,
        heap: Heap::new(),
        stack: Vec::new(),
        marks: Vec::new(),
        memo: HashMap::new(),
    };
    machine.run().map_or_else(
        || {
            let at = pickle.len() - machine.rest.len();
            Err(ImportError::new(
                ImportErrorKind::Corrupt,
                format!("reading a pickle failed: it cannot be followed beyond byte {at}"),
            ))
        },
        |root| Ok((std::mem::replace(&mut machine.heap, Heap::new()), root)),
    )
}

struct Machine<'a> {
    rest: &'a [u8],
    heap: Heap<'a>,
    stack: Vec<Id>,
    /// Heights of the stack; nothing below the last one is within reach.
    marks: Vec<usize>,
    memo: HashMap<u64, Id>,
}

impl<'a> Machine<'a> {
    /// Runs to the end; `None` where the pickle makes no sense.
    fn run(&mut self) -> Option<Id> {
        loop {
            match self.byte()? {
                b'.' => return self.pop(),

                // Protocol and frame lengths matter to who reads from a stream.
                0x80 => self.skip(1)?,
                0x95 => self.skip(8)?,

                b'(' => self.marks.push(self.stack.len()),
                // Where nothing is above the mark, the mark is what is popped.
                b'0' => {
                    if self.pop().is_none() {
                        self.marks.pop()?;
                    }
                }
                b'1' => {
                    self.pop_to_mark()?;
                }
                b'2' => self.stack.push(self.top()?),

                b'p' => self.put_at_line()?,
                b'q' => self.put(1)?,
                b'r' => self.put(4)?,
                0x94 => {
                    self.memo.insert(self.memo.len() as u64, self.top()?);
                }
                b'g' => self.get_at_line()?,
                b'h' => self.get(1)?,
                b'j' => self.get(4)?,

                b'N' => self.stack.push(Heap::NONE),
                0x88 => self.stack.push(Heap::TRUE),
                0x89 => self.stack.push(Heap::FALSE),
                b'I' => match self.line()? {
                    b"00" => self.stack.push(Heap::FALSE),
                    b"01" => self.stack.push(Heap::TRUE),
                    line => self.push(decimal(line)?),
                },
                b'L' => {
                    let line = self.line()?;
                    self.push(decimal(line)?);
                }
                b'J' => {
                    let four = self.take(4)?.try_into().ok()?;
                    self.push(Node::Int(i32::from_le_bytes(four).into()));
                }
                b'K' => {
                    let int = self.number(1)?;
                    self.push(Node::Int(int.try_into().ok()?));
                }
                b'M' => {
                    let int = self.number(2)?;
                    self.push(Node::Int(int.try_into().ok()?));
                }
                0x8a => {
                    let bytes = self.counted(1)?;
                    self.push(binary(bytes));
                }
                0x8b => {
                    let bytes = self.counted(4)?;
                    self.push(binary(bytes));
                }
                b'F' => {
                    let line = std::str::from_utf8(self.line()?).ok()?;
                    self.push(Node::Float(line.parse().ok()?));
                }
                b'G' => {
                    let eight = self.take(8)?.try_into().ok()?;
                    self.push(Node::Float(f64::from_be_bytes(eight)));
                }

                b'S' => {
                    let line = self.line()?;
                    self.push(python2_string(quoted(line)?));
                }
                b'U' => {
                    let bytes = self.counted(1)?;
                    self.push(python2_string(Cow::Borrowed(bytes)));
                }
                b'T' => {
                    let bytes = self.counted(4)?;
                    self.push(python2_string(Cow::Borrowed(bytes)));
                }
                b'V' => {
                    let line = self.line()?;
                    self.push(raw_unicode(line)?);
                }
                0x8c => {
                    let bytes = self.counted(1)?;
                    self.push(utf8(bytes));
                }
                b'X' => {
                    let bytes = self.counted(4)?;
                    self.push(utf8(bytes));
                }
                0x8d => {
                    let bytes = self.counted(8)?;
                    self.push(utf8(bytes));
                }
                b'C' => {
                    let bytes = self.counted(1)?;
                    self.push(Node::Bytes(Cow::Borrowed(bytes)));
                }
                b'B' => {
                    let bytes = self.counted(4)?;
                    self.push(Node::Bytes(Cow::Borrowed(bytes)));
                }
                // Bytes, and an array of bytes.
                0x8e | 0x96 => {
                    let bytes = self.counted(8)?;
                    self.push(Node::Bytes(Cow::Borrowed(bytes)));
                }

                // Lists, tuples and sets: empty, from what is above the mark, and of one to three.
                b']' | b')' | 0x8f => self.push(Node::Array(Vec::new())),
                b'l' | b't' | 0x91 => {
                    let items = self.pop_to_mark()?;
                    self.push(Node::Array(items));
                }
                count @ 0x85..=0x87 => {
                    let start = self.reach(usize::from(count - 0x84))?;
                    let items = self.stack.split_off(start);
                    self.push(Node::Array(items));
                }
                b'a' => {
                    let item = self.pop()?;
                    self.extend(vec![item])?;
                }
                b'e' | 0x90 => {
                    let items = self.pop_to_mark()?;
                    self.extend(items)?;
                }

                b'}' => self.push(Node::Dict(Vec::new())),
                b'd' => {
                    let entries = pairs(&self.pop_to_mark()?)?;
                    self.push(Node::Dict(entries));
                }
                b's' => {
                    let start = self.reach(2)?;
                    let entry = self.stack.split_off(start);
                    self.set(&entry)?;
                }
                b'u' => {
                    let entries = self.pop_to_mark()?;
                    self.set(&entries)?;
                }

                // A class or function by its name.
                b'c' => {
                    let global = self.global()?;
                    self.stack.push(global);
                }
                0x93 => {
                    let name = self.pop()?;
                    let module = self.pop()?;
                    self.push(Node::Global { module, name });
                }
                // What would be called: with arguments, and as a class is made.
                b'R' | 0x81 => {
                    let args = self.pop()?;
                    let class = self.pop()?;
                    let made = self.heap.called(class, args);
                    self.stack.push(made);
                }
                0x92 => {
                    let start = self.reach(3)?;
                    let class = self.stack.split_off(start).first().copied();
                    self.push(Node::Object { class });
                }
                b'i' => {
                    let class = Some(self.global()?);
                    self.pop_to_mark()?;
                    self.push(Node::Object { class });
                }
                b'o' => {
                    let class = Some(*self.pop_to_mark()?.first()?);
                    self.push(Node::Object { class });
                }
                // An object is given its state, by a method of its own if it has one. A dictionary
                // of a class may come with a state of nothing, which Python 2 writes.
                b'b' => {
                    let state = self.pop()?;
                    let object = self.top()?;
                    let empty = match self.heap.node(state) {
                        Node::Dict(entries) => entries.is_empty(),
                        _ => false,
                    };
                    let node = self.heap.node_mut(object);
                    match node {
                        Node::Object { .. } | Node::External => {}
                        Node::Dict(_) if empty => {}
                        _ => *node = Node::Object { class: None },
                    }
                }

                // Persistent ids, registered extensions, buffers beside the pickle.
                b'P' => {
                    self.line()?;
                    self.push(Node::External);
                }
                b'Q' => {
                    self.pop()?;
                    self.push(Node::External);
                }
                width @ 0x82..=0x84 => {
                    self.skip(1 << (width - 0x82))?;
                    self.push(Node::External);
                }
                0x97 => self.push(Node::External),
                // Forbids writing into the buffer on top.
                0x98 => {
                    self.top()?;
                }

                _ => return None,
            }
        }
    }

    fn push(&mut self, node: Node<'a>) {
        let id = self.heap.add(node);
        self.stack.push(id);
    }

    fn pop(&mut self) -> Option<Id> {
        self.top()?;
        self.stack.pop()
    }

    fn top(&self) -> Option<Id> {
        self.reach(1).map(|at| self.stack[at])
    }

    /// Where the last `count` things of the stack begin, if they are within reach.
    fn reach(&self, count: usize) -> Option<usize> {
        let start = self.stack.len().checked_sub(count)?;
        (start >= self.marks.last().copied().unwrap_or(0)).then_some(start)
    }

    fn pop_to_mark(&mut self) -> Option<Vec<Id>> {
        let mark = self.marks.pop()?;
        Some(self.stack.split_off(mark))
    }

    /// Adds items to the list or set on top; what an object is given is of no interest.
    fn extend(&mut self, items: Vec<Id>) -> Option<()> {
        let top = self.top()?;
        match self.heap.node_mut(top) {
            Node::Array(array) => array.extend(items),
            Node::Object { .. } | Node::External => {}
            _ => return None,
        }
        Some(())
    }

    /// Adds entries to the dictionary on top; what an object is given is of no interest.
    fn set(&mut self, entries: &[Id]) -> Option<()> {
        let entries = pairs(entries)?;
        let top = self.top()?;
        match self.heap.node_mut(top) {
            Node::Dict(dict) => dict.extend(entries),
            Node::Object { .. } | Node::External => {}
            _ => return None,
        }
        Some(())
    }

    /// A class or function named by two lines.
    fn global(&mut self) -> Option<Id> {
        let module = utf8(self.line()?);
        let module = self.heap.add(module);
        let name = utf8(self.line()?);
        let name = self.heap.add(name);
        Some(self.heap.add(Node::Global { module, name }))
    }

    fn put(&mut self, width: usize) -> Option<()> {
        let at = self.number(width)?;
        self.memo.insert(at, self.top()?);
        Some(())
    }

    fn put_at_line(&mut self) -> Option<()> {
        let at = self.number_line()?;
        self.memo.insert(at, self.top()?);
        Some(())
    }

    fn get(&mut self, width: usize) -> Option<()> {
        let at = self.number(width)?;
        self.stack.push(*self.memo.get(&at)?);
        Some(())
    }

    fn get_at_line(&mut self) -> Option<()> {
        let at = self.number_line()?;
        self.stack.push(*self.memo.get(&at)?);
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    fn skip(&mut self, count: usize) -> Option<()> {
        self.take(count).map(|_| ())
    }

    /// A number without sign of `width` bytes, the least significant first.
    fn number(&mut self, width: usize) -> Option<u64> {
        let mut eight = [0; 8];
        eight[..width].copy_from_slice(self.take(width)?);
        Some(u64::from_le_bytes(eight))
    }

    /// Bytes behind their number, which takes `width` bytes. Nothing is reserved for what is
    /// not there.
    fn counted(&mut self, width: usize) -> Option<&'a [u8]> {
        let count = self.number(width)?;
        self.take(usize::try_from(count).ok()?)
    }

    /// What comes before the next newline.
    fn line(&mut self) -> Option<&'a [u8]> {
        let end = self.rest.iter().position(|byte| *byte == b'\n')?;
        let line = self.take(end)?;
        self.take(1)?;
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    fn number_line(&mut self) -> Option<u64> {
        std::str::from_utf8(self.line()?).ok()?.parse().ok()
    }
}

fn pairs(flat: &[Id]) -> Option<Vec<(Id, Id)>> {
    let (pairs, []) = flat.as_chunks::<2>() else {
        return None;
    };
    Some(pairs.iter().map(|&[key, value]| (key, value)).collect())
}
