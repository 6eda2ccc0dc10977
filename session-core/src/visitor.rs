//! Who asks: what does not change while a request lives.

use std::net::IpAddr;
use std::sync::Arc;

use smallvec::SmallVec;

use crate::record::Record;

/// The client of a request.
pub(crate) struct Visitor {
    pub(crate) address: Option<IpAddr>,
    pub(crate) agent: Option<Agent>,
    /// Whether a session that begins is counted by `creation_cap`: not if the application began it.
    pub(crate) is_counted: bool,
}

/// The same as a record keeps it, and a limit counts it.
pub(crate) struct Client {
    pub(crate) address: Option<IpAddr>,
    pub(crate) agent: Option<Arc<str>>,
    pub(crate) is_counted: bool,
}

impl Visitor {
    /// One of whom nothing is known.
    pub(crate) const UNKNOWN: Self = Self {
        address: None,
        agent: None,
        is_counted: true,
    };

    pub(crate) fn client(&self) -> Client {
        Client {
            address: self.address,
            agent: self.agent.as_ref().map(Into::into),
            is_counted: self.is_counted,
        }
    }
}

/// A user agent.
///
/// It is needed where a session begins or is logged in to, and the request's head is gone by then. One of
/// a usual length takes no allocation, for the many requests that do neither.
#[derive(Clone)]
pub(crate) enum Agent {
    /// The one that a record has already.
    Known(Arc<str>),
    /// As the client sent it: any bytes.
    Sent(SmallVec<[u8; 128]>),
}

/// No more is kept than a record takes, and the rest of its last character.
const BYTES_MAX: usize = Record::AGENT_BYTES_MAX + 4;

impl Agent {
    /// What a client sent; `known` is what it sent before.
    pub(crate) fn of(line: &[u8], known: Option<&Arc<str>>) -> Self {
        match known {
            Some(known) if known.as_bytes() == line => Self::Known(Arc::clone(known)),
            _ => {
                let len = line.len().min(BYTES_MAX);
                Self::Sent(SmallVec::from_slice(&line[..len]))
            }
        }
    }

    /// The same, shared if it is `known`.
    pub(crate) fn or_known(&self, known: Option<&Arc<str>>) -> Self {
        match self {
            Self::Known(own) => Self::Known(Arc::clone(own)),
            Self::Sent(bytes) => Self::of(bytes, known),
        }
    }
}

impl From<&Agent> for Arc<str> {
    /// As a record keeps it: cut at a character's end.
    fn from(agent: &Agent) -> Self {
        match agent {
            Agent::Known(known) => Arc::clone(known),
            Agent::Sent(bytes) => {
                let text = String::from_utf8_lossy(bytes);
                text[..text.floor_char_boundary(Record::AGENT_BYTES_MAX)].into()
            }
        }
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
            assert_eq!(*Arc::<str>::from(&Agent::of(sent.as_bytes(), None)), *kept);
        }
        let odd = [&b"a\xff"[..], &[b'b'; 300]].concat();
        let kept = format!("a\u{fffd}{}", "b".repeat(252));
        assert_eq!(*Arc::<str>::from(&Agent::of(&odd, None)), *kept);
    }

    #[test]
    fn an_agent_that_a_record_has_is_shared() {
        let known: Arc<str> = "curl/8".into();
        for (sent, shares) in [("curl/8", true), ("curl/9", false)] {
            let text = Arc::<str>::from(&Agent::of(sent.as_bytes(), Some(&known)));
            assert_eq!((&*text, Arc::ptr_eq(&text, &known)), (sent, shares));
        }
    }
}
