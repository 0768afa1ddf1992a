//! Names that follow from the input alone: the same log gives the same ids again (SPEC 3.2, 3.5; ARCHITECTURE 8).

use crate::model::text::ascii;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};
use std::fmt;
use std::str::FromStr;

/// A topic by what it is for; its name on the cluster is the configuration's affair.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Topic {
    Alerts,
    Commands,
    Events,
    Incidents,
    Silences,
    Notifications,
    Escalations,
    Remediations,
    Decisions,
    DeadLetters,
    State,
    Inbox,
    Replies,
    Delivery,
}

impl Topic {
    pub const ALL: [Topic; 14] = [
        Topic::Alerts,
        Topic::Commands,
        Topic::Events,
        Topic::Incidents,
        Topic::Silences,
        Topic::Notifications,
        Topic::Escalations,
        Topic::Remediations,
        Topic::Decisions,
        Topic::DeadLetters,
        Topic::State,
        Topic::Inbox,
        Topic::Replies,
        Topic::Delivery,
    ];

    /// The default name (SPEC 2). Also what ids are derived from, so that a prefix changes none.
    pub fn name(self) -> &'static str {
        match self {
            Topic::Alerts => "alerts",
            Topic::Commands => "commands",
            Topic::Events => "events",
            Topic::Incidents => "incidents",
            Topic::Silences => "silences",
            Topic::Notifications => "notifications",
            Topic::Escalations => "escalations",
            Topic::Remediations => "remediations",
            Topic::Decisions => "decisions",
            Topic::DeadLetters => "dead-letters",
            Topic::State => "incidentd-state",
            Topic::Inbox => "incidentd-inbox",
            Topic::Replies => "incidentd-replies",
            Topic::Delivery => "incidentd-delivery",
        }
    }
}

/// Where a record first stood, which is what counts however often it was forwarded (SPEC 2).
/// `index` is the alert's place in a webhook body, 0 otherwise.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Origin {
    pub topic: Topic,
    pub partition: u32,
    pub offset: i64,
    pub index: u32,
}

/// `inc_`, four hex digits of the home partition, 16 of a hash of the first record's coordinates.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IncidentId {
    pub partition: u16,
    pub hash: u64,
}

impl IncidentId {
    pub fn derive(partition: u16, first: &Origin) -> IncidentId {
        let mut hasher = Sha256::new();
        hasher.update(first.topic.name());
        hasher.update(first.partition.to_be_bytes());
        hasher.update(first.offset.to_be_bytes());
        hasher.update(first.index.to_be_bytes());
        let digest = hasher.finalize();
        let mut hash = [0; 8];
        hash.copy_from_slice(&digest[..8]);
        IncidentId { partition, hash: u64::from_be_bytes(hash) }
    }

    /// As text, without the machinery of formatting: every incident that is written names up to twenty others.
    fn text(self) -> [u8; 24] {
        let mut text = *b"inc_00000000000000000000";
        // Two digits a byte: it fits.
        let _ = const_hex::encode_to_slice(self.partition.to_be_bytes(), &mut text[4..8]);
        let _ = const_hex::encode_to_slice(self.hash.to_be_bytes(), &mut text[8..]);
        text
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(ascii(&self.text()))
    }
}

impl fmt::Debug for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for IncidentId {
    type Err = NotAnIncidentId;
    fn from_str(text: &str) -> Result<IncidentId, NotAnIncidentId> {
        let hex = text
            .strip_prefix("inc_")
            .filter(|hex| hex.len() == 20 && hex.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b)))
            .ok_or(NotAnIncidentId)?;
        let partition = u16::from_str_radix(&hex[..4], 16).map_err(|_| NotAnIncidentId)?;
        let hash = u64::from_str_radix(&hex[4..], 16).map_err(|_| NotAnIncidentId)?;
        Ok(IncidentId { partition, hash })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an incident id: `inc_` and 20 lower-case hex digits are wanted")]
pub struct NotAnIncidentId;

impl Serialize for IncidentId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(ascii(&self.text()))
        } else {
            (self.partition, self.hash).serialize(serializer)
        }
    }
}

impl<'de> Deserialize<'de> for IncidentId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<IncidentId, D::Error> {
        if deserializer.is_human_readable() {
            std::borrow::Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
        } else {
            let (partition, hash) = <(u16, u64)>::deserialize(deserializer)?;
            Ok(IncidentId { partition, hash })
        }
    }
}

/// `act_` and 32 hex digits: incident, kind, rule, cause and index, hashed. The idempotency key downstream (SPEC 3.5).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct ActionId(pub String);

impl ActionId {
    /// `cause` names what made the rule act within the incident's life, such as `triggered:0` (event and epoch).
    pub fn derive(incident: IncidentId, kind: &str, rule: &str, cause: &str, index: u32) -> ActionId {
        let mut hasher = Sha256::new();
        // Lengths go before the texts: no two lists of parts may read alike.
        for part in [incident.to_string().as_str(), kind, rule, cause] {
            hasher.update((part.len() as u32).to_be_bytes());
            hasher.update(part);
        }
        hasher.update(index.to_be_bytes());
        ActionId(format!("act_{}", const_hex::encode(&hasher.finalize()[..16])))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_id_names_its_partition_and_reads_back() {
        let id = IncidentId::derive(0x1f, &Origin { topic: Topic::Alerts, partition: 3, offset: 42, index: 0 });
        let text = id.to_string();
        assert!(text.starts_with("inc_001f") && text.len() == 24, "{text}");
        assert_eq!(text.parse(), Ok(id));
        for wrong in [
            "",
            "inc_",
            "inc_001F0000000000000000",
            "001f0000000000000000",
            "inc_001f000000000000000g",
            "inc_+01f0000000000000000",
        ] {
            assert_eq!(wrong.parse::<IncidentId>(), Err(NotAnIncidentId), "{wrong}");
        }
    }
}
