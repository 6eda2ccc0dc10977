//! Which server of a cluster keeps a key.
//!
//! Source: Redis cluster specification, "Key distribution model" and "Hash tags"; the reply of
//! `CLUSTER SLOTS`.

use redis::{Cmd, Value};

use super::target::Address;

const SLOTS: usize = 16_384;

/// Who keeps which slot, as one of the servers told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SlotMap {
    /// Sorted, each once.
    primaries: Vec<Address>,
    replicas: Vec<Address>,
    /// For each slot the position of its server in `primaries`, or `NOBODY`.
    owners: Vec<u16>,
}

const NOBODY: u16 = u16::MAX;

impl SlotMap {
    pub(crate) fn empty() -> Self {
        Self {
            primaries: Vec::new(),
            replicas: Vec::new(),
            owners: vec![NOBODY; SLOTS],
        }
    }

    /// From the reply of `CLUSTER SLOTS`, asked of the server at `asked`, which does not always
    /// know its own name. What cannot be read is left out: the servers may be newer than we are.
    pub(crate) fn parse(reply: &Value, asked: &Address) -> Self {
        let mut ranges: Vec<(usize, usize, Address)> = Vec::new();
        let mut map = Self::empty();
        for range in items(reply) {
            let [start, end, primary, replicas @ ..] = items(range) else {
                continue;
            };
            let (Some(start), Some(end)) = (number(start), number(end)) else {
                continue;
            };
            let known = |node| address(node, asked);
            map.replicas.extend(replicas.iter().filter_map(known));
            if let Some(primary) = known(primary)
                && start <= end
                && end < SLOTS
            {
                ranges.push((start, end, primary));
            }
        }
        map.primaries = ranges.iter().map(|range| range.2.clone()).collect();
        map.primaries.sort();
        map.primaries.dedup();
        for (start, end, primary) in ranges {
            if let Some(owner) = map.position(&primary) {
                map.owners[start..=end].fill(owner);
            }
        }
        map
    }

    pub(crate) fn owner(&self, slot: u16) -> Option<&Address> {
        self.primaries
            .get(usize::from(self.owners[usize::from(slot)]))
    }

    /// The same map after a server has told that `slot` is kept at `address`.
    #[must_use]
    pub(crate) fn moved(&self, slot: u16, address: &Address) -> Self {
        let mut map = self.clone();
        if let Err(position) = map.primaries.binary_search(address) {
            map.primaries.insert(position, address.clone());
            let shifted = u16::try_from(position).unwrap_or(NOBODY);
            for owner in &mut map.owners {
                if *owner >= shifted && *owner != NOBODY {
                    *owner += 1;
                }
            }
        }
        if let Some(owner) = map.position(address) {
            map.owners[usize::from(slot)] = owner;
        }
        map
    }

    /// In their order; those that keep no slot are not among them.
    pub(crate) fn primaries(&self) -> &[Address] {
        &self.primaries
    }

    /// Another one for every other map.
    pub(crate) fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        for primary in &self.primaries {
            hasher.update(primary.to_string().as_bytes());
            hasher.update(b"\n");
        }
        for owner in &self.owners {
            hasher.update(&owner.to_le_bytes());
        }
        data_encoding::HEXLOWER.encode(&hasher.finalize().as_bytes()[..8])
    }

    pub(crate) fn replicas(&self) -> &[Address] {
        &self.replicas
    }

    fn position(&self, address: &Address) -> Option<u16> {
        let position = self.primaries.binary_search(address).ok()?;
        u16::try_from(position).ok().filter(|it| *it != NOBODY)
    }
}

/// The slot of the command's first key; `None` if it has none.
pub(crate) fn slot_of(command: &Cmd) -> Option<u16> {
    let mut args = command.args_iter().map(|arg| match arg {
        redis::Arg::Simple(bytes) => bytes,
        _ => &[],
    });
    let name = args.next()?;
    let key = if name.eq_ignore_ascii_case(b"EVALSHA") || name.eq_ignore_ascii_case(b"EVAL") {
        args.nth(2)
    } else {
        args.next()
    };
    key.map(slot_of_key)
}

fn slot_of_key(key: &[u8]) -> u16 {
    // 16,384 divides 65,536: the rest is the low bits.
    crc16(tag(key)) & 0x3fff
}

/// What is between the first `{` and the next `}`, if there is something; else the whole key.
fn tag(key: &[u8]) -> &[u8] {
    let Some(open) = key.iter().position(|byte| *byte == b'{') else {
        return key;
    };
    let inner = &key[open + 1..];
    match inner.iter().position(|byte| *byte == b'}') {
        Some(0) | None => key,
        Some(end) => &inner[..end],
    }
}

/// CRC-16/XMODEM.
fn crc16(bytes: &[u8]) -> u16 {
    bytes.iter().fold(0, |crc, byte| {
        (crc << 8) ^ CRC16[usize::from((crc >> 8) as u8 ^ byte)]
    })
}

const CRC16: [u16; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let mut crc = (byte as u16) << 8;
        let mut bit = 0;
        while bit < 8 {
            crc = if crc & 0x8000 == 0 {
                crc << 1
            } else {
                (crc << 1) ^ 0x1021
            };
            bit += 1;
        }
        table[byte] = crc;
        byte += 1;
    }
    table
};

fn items(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        _ => &[],
    }
}

fn number(value: &Value) -> Option<usize> {
    match value {
        Value::Int(number) => usize::try_from(*number).ok(),
        _ => None,
    }
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::BulkString(bytes) => std::str::from_utf8(bytes).ok(),
        Value::SimpleString(text) => Some(text),
        _ => None,
    }
}

fn address(node: &Value, asked: &Address) -> Option<Address> {
    let [host, port, ..] = items(node) else {
        return None;
    };
    let port = u16::try_from(number(port)?).ok()?;
    parse(text(host).unwrap_or(""), port, asked)
}

/// The address in the text of a redirection: `3999 10.0.0.1:6381`, possibly without a host.
pub(crate) fn redirection(error: &redis::RedisError, asked: &Address) -> Option<Address> {
    let (node, _) = error.redirect_node()?;
    let (host, port) = node.rsplit_once(':')?;
    parse(host, port.parse().ok()?, asked)
}

/// An empty host is the one that was asked; `?` is one that the servers do not know.
fn parse(host: &str, port: u16, asked: &Address) -> Option<Address> {
    match (host, asked) {
        ("?", _) => None,
        ("", Address::Tcp(host, _)) => Some(Address::Tcp(host.clone(), port)),
        ("", Address::Unix(_)) => None,
        (host, _) => Some(Address::Tcp(host.to_owned(), port)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(port: u16) -> Address {
        Address::Tcp("10.0.0.1".to_owned(), port)
    }

    fn node(host: &str, port: i64) -> Value {
        Value::Array(vec![
            Value::BulkString(host.as_bytes().to_vec()),
            Value::Int(port),
            Value::BulkString(b"id".to_vec()),
        ])
    }

    fn range(start: i64, end: i64, nodes: Vec<Value>) -> Value {
        let mut range = vec![Value::Int(start), Value::Int(end)];
        range.extend(nodes);
        Value::Array(range)
    }

    #[test]
    fn a_key_has_the_slot_that_the_specification_gives_it() {
        for (key, slot) in [
            ("123456789", 0x31c3),
            ("foo", 12_182),
            ("{foo}bar", 12_182),
            ("a{foo}b{bar}", 12_182),
            ("", 0),
        ] {
            assert_eq!(slot_of_key(key.as_bytes()), slot, "{key}");
        }
        assert_eq!(tag(b"{}foo"), b"{}foo");
        assert_eq!(tag(b"foo{bar"), b"foo{bar");
        assert_eq!(tag(b"{{foo}}"), b"{foo");
    }

    #[test]
    fn a_command_is_routed_by_its_first_key() {
        let mut get = redis::cmd("GET");
        assert_eq!(slot_of(get.arg("foo")), Some(12_182));
        let mut script = redis::cmd("evalsha");
        script.arg("00").arg(1).arg("foo").arg("bar");
        assert_eq!(slot_of(&script), Some(12_182));
        assert_eq!(slot_of(&redis::cmd("PING")), None);
    }

    #[test]
    fn a_map_names_the_owner_of_each_slot() {
        let reply = Value::Array(vec![
            range(5_000, 16_383, vec![node("", 2), node("10.0.0.9", 9)]),
            range(0, 4_998, vec![node("10.0.0.1", 1)]),
        ]);
        let map = SlotMap::parse(&reply, &at(7));
        assert_eq!(map.primaries(), [at(1), at(2)]);
        assert_eq!(map.replicas().len(), 1);
        assert_eq!(map.owner(0), Some(&at(1)));
        assert_eq!(map.owner(4_999), None);
        assert_eq!(map.owner(16_383), Some(&at(2)));
    }

    #[test]
    fn what_cannot_be_read_owns_nothing() {
        for reply in [
            Value::Nil,
            Value::Array(vec![Value::Int(1)]),
            Value::Array(vec![range(0, 16_384, vec![node("h", 1)])]),
            Value::Array(vec![range(9, 1, vec![node("h", 1)])]),
            Value::Array(vec![range(-1, 1, vec![node("h", 1)])]),
            Value::Array(vec![range(0, 1, vec![node("?", 1)])]),
            Value::Array(vec![range(0, 1, vec![node("h", 65_536)])]),
            Value::Array(vec![range(0, 1, vec![Value::Nil])]),
        ] {
            assert_eq!(SlotMap::parse(&reply, &at(1)).owner(0), None, "{reply:?}");
        }
    }

    #[test]
    fn a_moved_slot_has_its_new_owner_and_the_others_keep_theirs() {
        let reply = Value::Array(vec![
            range(0, 99, vec![node("10.0.0.1", 2)]),
            range(100, 199, vec![node("10.0.0.1", 4)]),
        ]);
        let map = SlotMap::parse(&reply, &at(2));
        for new in [1, 3, 4, 5] {
            let moved = map.moved(7, &at(new));
            assert_eq!(moved.owner(7), Some(&at(new)));
            assert_eq!(moved.owner(8), Some(&at(2)));
            assert_eq!(moved.owner(150), Some(&at(4)));
            assert_eq!(moved.owner(200), None);
        }
    }
}
