//! Who asks: what does not change while a request lives.

use std::net::IpAddr;
use std::sync::Arc;

use crate::record::Record;

/// The client of a request.
pub(crate) struct Visitor {
    pub(crate) address: Option<IpAddr>,
    pub(crate) agent: Option<Agent>,
}

/// A user agent, as the client sent it: any bytes.
///
/// It is needed where a session begins or is logged in to, and the request's head is gone by then:
/// so it is kept where it takes no allocation, for the many requests that do neither.
#[derive(Clone)]
pub(crate) struct Agent {
    bytes: [u8; Self::BYTES_MAX],
    len: usize,
}

impl Agent {
    /// No more is kept than a record takes, and the rest of its last character.
    const BYTES_MAX: usize = Record::AGENT_BYTES_MAX + 4;

    pub(crate) fn sent(line: &[u8]) -> Self {
        let mut agent = Self {
            bytes: [0; Self::BYTES_MAX],
            len: line.len().min(Self::BYTES_MAX),
        };
        agent.bytes[..agent.len].copy_from_slice(&line[..agent.len]);
        agent
    }
}

impl From<&Agent> for Arc<str> {
    /// As a record keeps it: cut at a character's end.
    fn from(agent: &Agent) -> Self {
        let text = String::from_utf8_lossy(&agent.bytes[..agent.len]);
        text[..text.floor_char_boundary(Record::AGENT_BYTES_MAX)].into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_cut_at_the_end_of_a_character() {
        let crab = "\u{1F980}";
        for (sent, kept) in [
            ("curl/8".to_owned(), "curl/8".to_owned()),
            ("a".repeat(300), "a".repeat(256)),
            (crab.repeat(100), crab.repeat(64)),
            (
                format!("a{}", crab.repeat(100)),
                format!("a{}", crab.repeat(63)),
            ),
            (String::new(), String::new()),
        ] {
            assert_eq!(*Arc::<str>::from(&Agent::sent(sent.as_bytes())), *kept);
        }
        let odd = [&b"a\xff"[..], &[b'b'; 300]].concat();
        let kept = format!("a\u{fffd}{}", "b".repeat(252));
        assert_eq!(*Arc::<str>::from(&Agent::sent(&odd)), *kept);
    }
}
