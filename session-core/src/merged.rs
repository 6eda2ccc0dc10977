//! A session's keys and values after all operations.

use std::cell::Cell;
use std::collections::{HashMap, HashSet};

use crate::data::Data;
use crate::error::Error;
use crate::operations::{Act, Draft, Operation, Space};

/// A space with all operations applied: the base's keys, then the new ones.
///
/// A few operations are looked up by walking them, which allocates nothing; many by a map, so
/// that the work stays linear.
pub(crate) struct Merged<'a> {
    base: Option<&'a Data>,
    space: Space,
    /// The operations since the space was last cleared (other spaces' among them).
    operations: &'a [Operation],
    index: Option<Index<'a>>,
}

struct Index<'a> {
    operations: HashMap<&'a str, (usize, Option<&'a str>)>,
    base: HashSet<&'a str>,
}

impl<'a> Merged<'a> {
    const WALKED_MAX: usize = u32::BITS as usize;

    pub(crate) fn new(draft: &'a Draft, space: Space) -> Self {
        let cleared = draft
            .operations()
            .iter()
            .rposition(|operation| operation.space == space && matches!(operation.act, Act::Clear));
        let mut merged = Self {
            base: cleared.is_none().then(|| draft.base(space)),
            space,
            operations: &draft.operations()[cleared.map_or(0, |at| at + 1)..],
            index: None,
        };
        if merged.operations.len() > Self::WALKED_MAX {
            let mut operations = HashMap::new();
            for (at, operation) in merged.mine() {
                operations.entry(&*operation.key).or_insert((at, None)).1 =
                    operation.value.as_deref();
            }
            let base = merged.base.iter().flat_map(|base| base.escaped_entries());
            merged.index = Some(Index {
                operations,
                base: base.map(|(key, _)| key).collect(),
            });
        }
        merged
    }

    /// Escaped keys and their values.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let base = self
            .base
            .into_iter()
            .flat_map(|base| base.escaped_entries());
        let kept = base.filter_map(|(key, value)| match self.latest(key) {
            None => Some((key, value)),
            Some((_, value)) => Some((key, value?)),
        });
        kept.chain(self.new_entries())
    }

    /// The object of these entries, of at most so many bytes and keys.
    pub(crate) fn data(&self, bytes: usize, keys: usize) -> Result<Data, Error> {
        let none = Data::new();
        // The operations that are walked, and so are few, whose keys the base has: it is walked before
        // the new keys are asked for.
        let met = Cell::new(0_u32);
        let changed = |key: &str| {
            let (first, value) = self.latest(key)?;
            if self.index.is_none() {
                met.set(met.get() | 1 << first);
            }
            Some(value)
        };
        let is_met = |at: usize, key: &str| match self.index {
            Some(_) => self.in_base(key),
            None => met.get() & 1 << at != 0,
        };
        self.base
            .unwrap_or(&none)
            .with_changes(changed, self.new_among(is_met), bytes, keys)
    }

    fn new_entries(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.new_among(|_, key| self.in_base(key))
    }

    /// The entries whose keys the base does not have, as `in_base` says of an operation's place and key.
    fn new_among(
        &self,
        in_base: impl Fn(usize, &str) -> bool,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.mine().filter_map(move |(at, operation)| {
            let (first, value) = self.latest(&operation.key)?;
            let value = value?;
            (first == at && !in_base(at, &operation.key)).then_some((&*operation.key, value))
        })
    }

    fn mine(&self) -> impl Iterator<Item = (usize, &'a Operation)> + Clone {
        let space = self.space;
        let all = self.operations.iter().enumerate();
        all.filter(move |(_, operation)| operation.space == space)
    }

    /// Where the first operation on `key` stands, and the value after the last one.
    fn latest(&self, key: &str) -> Option<(usize, Option<&'a str>)> {
        if let Some(index) = &self.index {
            return index.operations.get(key).copied();
        }
        let mut found = None;
        for (at, operation) in self.mine() {
            if *operation.key == *key {
                let (first, _) = found.unwrap_or((at, None));
                found = Some((first, operation.value.as_deref()));
            }
        }
        found
    }

    fn in_base(&self, key: &str) -> bool {
        match &self.index {
            Some(index) => index.base.contains(key),
            None => self
                .base
                .is_some_and(|base| base.raw_escaped(key).is_some()),
        }
    }
}
