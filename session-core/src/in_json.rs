//! Ids, owners, moments and device lists in an application's own messages.

use std::borrow::Cow;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::clock::Timestamp;
use crate::id::SessionId;
use crate::record::Owner;

impl Serialize for SessionId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.encode().as_str())
    }
}

impl<'de> Deserialize<'de> for SessionId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        text(deserializer)?.parse().map_err(D::Error::custom)
    }
}

impl Serialize for Owner {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Owner {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(text(deserializer)?).map_err(D::Error::custom)
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_i64(self.as_unix_ms())
    }
}

impl<'de> Deserialize<'de> for Timestamp {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        i64::deserialize(deserializer).map(Self::from_unix_ms)
    }
}

/// Borrowed where the format allows it, owned where it has to be unescaped.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Cow<'de, str>, D::Error> {
    #[derive(Deserialize)]
    #[serde(transparent)]
    struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

    Text::deserialize(deserializer).map(|text| text.0)
}

/// The client's user agent, without serde's feature for shared pointers.
pub(crate) fn agent<S: Serializer>(
    agent: &Option<std::sync::Arc<str>>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    agent.as_deref().serialize(serializer)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manager::SessionInfo;

    #[test]
    fn a_device_list_is_an_answer_and_what_it_names_can_be_asked_for() {
        let info = SessionInfo {
            id: SessionId::from_bytes([7; 16]),
            owner: Some(Owner::new("ada \"L\"").unwrap()),
            created_at: Timestamp::from_unix_ms(-1),
            accessed_at: Timestamp::from_unix_ms(2),
            expires_at: None,
            address: Some([192, 0, 2, 1].into()),
            agent: Some("curl".into()),
        };
        let answer = serde_json::to_value(&info).unwrap();
        let expected = serde_json::json!({
            "id": info.id.to_string(),
            "owner": "ada \"L\"",
            "created_at": -1,
            "accessed_at": 2,
            "expires_at": null,
            "address": "192.0.2.1",
            "agent": "curl",
        });
        assert_eq!(answer, expected);
        let text = answer.to_string();
        #[derive(Deserialize)]
        struct Asked {
            id: SessionId,
            owner: Option<Owner>,
            created_at: Timestamp,
        }
        let asked: Asked = serde_json::from_str(&text).unwrap();
        assert_eq!(asked.id, info.id);
        assert_eq!(asked.owner, info.owner);
        assert_eq!(asked.created_at, info.created_at);
    }

    #[test]
    fn what_is_no_id_and_no_owner_is_refused() {
        for text in ["", "AAAAAAAAAAAAAAAAAAAAAB", "AAAAAAAAAAAAAAAAAAAAAA\n"] {
            let json = serde_json::to_string(text).unwrap();
            assert!(serde_json::from_str::<SessionId>(&json).is_err(), "{json}");
        }
        let json = serde_json::to_string(&"x".repeat(256)).unwrap();
        for json in ["\"\"", "\"a\\u0000\"", "7", &json] {
            assert!(serde_json::from_str::<Owner>(json).is_err(), "{json}");
        }
    }
}
