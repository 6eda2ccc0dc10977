//! A session's keys and values after all operations.

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
    const WALKED_MAX: usize = 32;

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
        self.base.unwrap_or(&none).with_changes(
            |key| self.latest(key).map(|(_, value)| value),
            self.new_entries(),
            bytes,
            keys,
        )
    }

    fn new_entries(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.mine().filter_map(|(at, operation)| {
            let (first, value) = self.latest(&operation.key)?;
            let value = value?;
            (first == at && !self.in_base(&operation.key)).then_some((&*operation.key, value))
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
