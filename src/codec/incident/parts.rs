//! The parts of an incident's JSON that differ from the model's own serde form.

use crate::model::{Correlation, Labels, Metadata, Origin, Receipt, Time, TimelineEntry, TimelineEvent, Topic};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Who acted where no person did (SPEC 3.2).
const SYSTEM: &str = "system";

/// A fingerprint as lower-case hex.
pub mod hex {
    use crate::model::Fingerprint;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};
    use std::borrow::Cow;

    pub fn serialize<S: Serializer>(fingerprint: &Fingerprint, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(const_hex::Buffer::<32>::new().format(&fingerprint.0))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Fingerprint, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        Fingerprint::parse(&text).ok_or_else(|| D::Error::custom("fingerprint: expected 64 hex digits"))
    }
}

/// Labels as an object.
pub struct WireLabels<'a>(pub Cow<'a, Labels>);

impl Serialize for WireLabels<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter())
    }
}

impl<'de> Deserialize<'de> for WireLabels<'_> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let map = BTreeMap::<String, String>::deserialize(deserializer)?;
        Ok(WireLabels(Cow::Owned(map.into_iter().collect())))
    }
}

#[derive(Serialize, Deserialize)]
pub struct WireCorrelation<'a> {
    #[serde(rename = "type")]
    kind: Cow<'a, str>,
    confidence: f64,
    reason: Cow<'a, str>,
}

impl<'a> From<&'a Correlation> for WireCorrelation<'a> {
    fn from(it: &'a Correlation) -> Self {
        WireCorrelation { kind: Cow::Borrowed(&it.kind), confidence: it.confidence, reason: Cow::Borrowed(&it.reason) }
    }
}

impl WireCorrelation<'_> {
    pub fn read(self) -> Correlation {
        Correlation { kind: self.kind.into_owned(), confidence: self.confidence, reason: self.reason.into_owned() }
    }
}

#[derive(Serialize, Deserialize)]
pub struct WireReceipt<'a> {
    channel: Cow<'a, str>,
    target: Cow<'a, str>,
    sent_at: Time,
    delivered: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Cow<'a, str>>,
}

impl<'a> From<&'a Receipt> for WireReceipt<'a> {
    fn from(it: &'a Receipt) -> Self {
        WireReceipt {
            channel: Cow::Borrowed(&it.channel),
            target: Cow::Borrowed(&it.target),
            sent_at: it.sent_at,
            delivered: it.delivered,
            error: it.error.as_deref().map(Cow::Borrowed),
        }
    }
}

impl WireReceipt<'_> {
    pub fn read(self) -> Receipt {
        Receipt {
            channel: self.channel.into_owned(),
            target: self.target.into_owned(),
            sent_at: self.sent_at,
            delivered: self.delivered,
            error: self.error.map(Cow::into_owned),
        }
    }
}

#[derive(Serialize, Deserialize)]
pub struct WireEntry<'a> {
    timestamp: Time,
    event: TimelineEvent,
    user: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "is_empty")]
    details: Cow<'a, Metadata>,
}

fn is_empty(details: &Metadata) -> bool {
    details.0.is_empty()
}

impl<'a> From<&'a TimelineEntry> for WireEntry<'a> {
    fn from(it: &'a TimelineEntry) -> Self {
        WireEntry {
            timestamp: it.timestamp,
            event: it.event,
            user: Cow::Borrowed(it.user.as_deref().unwrap_or(SYSTEM)),
            details: Cow::Borrowed(&it.details),
        }
    }
}

impl WireEntry<'_> {
    pub fn read(self) -> TimelineEntry {
        TimelineEntry {
            timestamp: self.timestamp,
            event: self.event,
            user: (self.user != SYSTEM).then(|| self.user.into_owned()),
            details: self.details.into_owned(),
        }
    }
}

/// The topic stands there by its default name, whatever the cluster calls it.
#[derive(Serialize, Deserialize)]
pub struct WireOrigin<'a> {
    topic: Cow<'a, str>,
    partition: u32,
    offset: i64,
}

impl From<Origin> for WireOrigin<'_> {
    fn from(it: Origin) -> Self {
        WireOrigin { topic: Cow::Borrowed(it.topic.name()), partition: it.partition, offset: it.offset }
    }
}

impl WireOrigin<'_> {
    pub fn read(self) -> Result<Origin, String> {
        let topic = Topic::ALL.into_iter().find(|topic| topic.name() == self.topic);
        let topic = topic.ok_or_else(|| format!("not an incident: last_alert.topic: no topic is called `{}`", self.topic))?;
        Ok(Origin { topic, partition: self.partition, offset: self.offset, index: 0 })
    }
}
