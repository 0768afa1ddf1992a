//! The incident as people and programs see it (SPEC 3.2): the seed's `Incident` and what the SPEC adds.

use crate::model::{Environment, Fingerprint, IncidentId, Labels, Metadata, Origin, Severity, Status, Time};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// The serde form here is the compact one of the changelog; the JSON of the topics is `codec`'s.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Incident {
    pub id: IncidentId,
    pub fingerprint: Fingerprint,
    pub dedup_key: Option<String>,
    pub title: String,
    pub description: String,
    pub severity: Severity,
    pub category: String,
    pub service_id: String,
    pub environment: Environment,
    pub status: Status,
    pub triggered_at: Time,
    pub acknowledged_at: Option<Time>,
    pub acknowledged_by: Option<String>,
    pub resolved_at: Option<Time>,
    pub resolved_by: Option<String>,
    pub resolution: Option<String>,
    pub labels: Labels,
    pub metadata: Metadata,
    pub parent_incident_id: Option<IncidentId>,
    /// The first of them, within the limit.
    #[serde(with = "ids")]
    pub related_incident_ids: Vec<IncidentId>,
    /// How many more there are.
    pub related_more: u64,
    pub suppressed: bool,
    pub correlation: Option<Correlation>,
    pub silenced_by: Vec<String>,
    pub snoozed_until: Option<Time>,
    /// The last receipts, within the limit.
    pub notifications: Vec<Receipt>,
    /// How many more there were.
    pub notifications_more: u64,
    pub escalation_level: u32,
    pub escalation_policy_id: Option<String>,
    pub assigned_to: Option<String>,
    /// The first 20 and last 180 entries, and one between that counts the rest.
    pub timeline: Vec<TimelineEntry>,
    pub occurrence_count: u64,
    pub first_seen_at: Time,
    pub last_seen_at: Time,
    /// Rises with every published change; 1 when first published.
    pub version: u64,
    pub last_alert: Origin,
}

/// Why it hangs together with others (SPEC 4.4).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Correlation {
    /// `duplicate`, `cascade` or `related`.
    pub kind: String,
    /// 0–1.
    pub confidence: f64,
    pub reason: String,
}

/// What became of one delivery; the seed's `notifications` entry.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Receipt {
    pub channel: String,
    pub target: String,
    pub sent_at: Time,
    pub delivered: bool,
    pub error: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct TimelineEntry {
    pub timestamp: Time,
    pub event: TimelineEvent,
    /// `None` where no person acted: `"system"` in JSON.
    pub user: Option<String>,
    pub details: Metadata,
}

/// The seed's event names and ours.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TimelineEvent {
    Triggered,
    Occurrence,
    SeverityChanged,
    Acknowledged,
    Investigating,
    Identified,
    Escalated,
    Resolved,
    Reopened,
    Closed,
    Assigned,
    Note,
    Snoozed,
    Suppressed,
    Unsuppressed,
    Silenced,
    Unacknowledged,
    Flapping,
    AutoRemediation,
    AutoRemediationFailed,
    ApprovalRequired,
    Correlated,
    /// Stands for the entries between the first 20 and the last 180: `details.entries` counts them.
    Omitted,
}

impl TimelineEvent {
    pub fn name(self) -> &'static str {
        match self {
            TimelineEvent::Triggered => "triggered",
            TimelineEvent::Occurrence => "occurrence",
            TimelineEvent::SeverityChanged => "severity_changed",
            TimelineEvent::Acknowledged => "acknowledged",
            TimelineEvent::Investigating => "investigating",
            TimelineEvent::Identified => "identified",
            TimelineEvent::Escalated => "escalated",
            TimelineEvent::Resolved => "resolved",
            TimelineEvent::Reopened => "reopened",
            TimelineEvent::Closed => "closed",
            TimelineEvent::Assigned => "assigned",
            TimelineEvent::Note => "note",
            TimelineEvent::Snoozed => "snoozed",
            TimelineEvent::Suppressed => "suppressed",
            TimelineEvent::Unsuppressed => "unsuppressed",
            TimelineEvent::Silenced => "silenced",
            TimelineEvent::Unacknowledged => "unacknowledged",
            TimelineEvent::Flapping => "flapping",
            TimelineEvent::AutoRemediation => "auto_remediation",
            TimelineEvent::AutoRemediationFailed => "auto_remediation_failed",
            TimelineEvent::ApprovalRequired => "approval_required",
            TimelineEvent::Correlated => "correlated",
            TimelineEvent::Omitted => "omitted",
        }
    }
}

/// A list of ids in the compact form. Nearly always they have one partition, which then goes before the hashes; otherwise an
/// odd byte goes before whole ids, so that the length tells which it is.
mod ids {
    use super::IncidentId;
    use serde::{Deserialize, Deserializer, Serializer, de};

    const HASH: usize = 8;
    const WHOLE: usize = 10;

    fn whole(id: &IncidentId) -> impl Iterator<Item = u8> {
        id.partition.to_be_bytes().into_iter().chain(id.hash.to_be_bytes())
    }

    pub fn serialize<S: Serializer>(ids: &[IncidentId], serializer: S) -> Result<S::Ok, S::Error> {
        let mut bytes = Vec::with_capacity(2 + WHOLE * ids.len());
        match ids.first() {
            None => {}
            Some(first) if ids.iter().all(|id| id.partition == first.partition) => {
                bytes.extend(first.partition.to_be_bytes());
                bytes.extend(ids.iter().flat_map(|id| id.hash.to_be_bytes()));
            }
            Some(_) => {
                bytes.push(0);
                bytes.extend(ids.iter().flat_map(whole));
            }
        }
        serializer.serialize_bytes(&bytes)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IncidentId>, D::Error> {
        let bytes = <&[u8]>::deserialize(deserializer)?;
        let (partition, rest, width) = match bytes {
            [] => return Ok(Vec::new()),
            [_, rest @ ..] if bytes.len() % 2 == 1 => (None, rest, WHOLE),
            [high, low, rest @ ..] => (Some([*high, *low]), rest, HASH),
            _ => return Err(de::Error::custom("a list of ids that is cut off")),
        };
        let ids = rest.chunks(width).map(|id| {
            let hash = id.last_chunk::<HASH>().copied()?;
            let own = id.first_chunk::<2>().copied();
            Some(IncidentId { partition: u16::from_be_bytes(partition.or(own)?), hash: u64::from_be_bytes(hash) })
        });
        ids.collect::<Option<_>>().ok_or_else(|| de::Error::custom("a list of ids that is cut off"))
    }
}

/// How many entries of a long timeline are kept at either end.
pub const TIMELINE_HEAD: usize = 20;
pub const TIMELINE_TAIL: usize = 180;

impl Incident {
    /// Adds an entry by the system or a person; a repeated occurrence folds into the last one.
    pub fn note(&mut self, timestamp: Time, event: TimelineEvent, user: Option<&str>, details: Value) {
        let details = match details {
            Value::Object(map) => Metadata(map),
            _ => Metadata::default(),
        };
        if event == TimelineEvent::Occurrence
            && let Some(last) = self.timeline.last_mut()
            && last.event == TimelineEvent::Occurrence
        {
            *last = TimelineEntry { timestamp, event, user: None, details };
            return;
        }
        self.timeline.push(TimelineEntry { timestamp, event, user: user.map(str::to_owned), details });
        self.shorten_timeline();
    }

    fn shorten_timeline(&mut self) {
        let omits = self.timeline.get(TIMELINE_HEAD).is_some_and(|entry| entry.event == TimelineEvent::Omitted);
        let most = TIMELINE_HEAD + TIMELINE_TAIL + usize::from(omits);
        if self.timeline.len() <= most {
            return;
        }
        if omits {
            let dropped = self.timeline.remove(TIMELINE_HEAD + 1);
            let omitted = &mut self.timeline[TIMELINE_HEAD];
            let entries = omitted.details.0.get("entries").and_then(Value::as_u64).unwrap_or(0);
            omitted.details.0.insert("entries".to_owned(), json!(entries + 1));
            omitted.timestamp = dropped.timestamp;
        } else {
            let dropped = &mut self.timeline[TIMELINE_HEAD];
            let mut details = Metadata::default();
            details.0.insert("entries".to_owned(), json!(1));
            *dropped = TimelineEntry { timestamp: dropped.timestamp, event: TimelineEvent::Omitted, user: None, details };
        }
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;
    use crate::model::Topic;

    pub fn incident() -> Incident {
        let origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };
        Incident {
            id: IncidentId::derive(0, &origin),
            fingerprint: Fingerprint::of_dedup_key("k"),
            dedup_key: None,
            title: "t".to_owned(),
            description: String::new(),
            severity: Severity::High,
            category: "c".to_owned(),
            service_id: "s".to_owned(),
            environment: Environment::Production,
            status: Status::Triggered,
            triggered_at: Time(0),
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_at: None,
            resolved_by: None,
            resolution: None,
            labels: Labels::default(),
            metadata: Metadata::default(),
            parent_incident_id: None,
            related_incident_ids: Vec::new(),
            related_more: 0,
            suppressed: false,
            correlation: None,
            silenced_by: Vec::new(),
            snoozed_until: None,
            notifications: Vec::new(),
            notifications_more: 0,
            escalation_level: 0,
            escalation_policy_id: None,
            assigned_to: None,
            timeline: Vec::new(),
            occurrence_count: 1,
            first_seen_at: Time(0),
            last_seen_at: Time(0),
            version: 0,
            last_alert: origin,
        }
    }

    #[test]
    fn lists_of_ids_come_back_whatever_their_partitions() {
        let id = |partition, hash| IncidentId { partition, hash };
        for ids in [
            vec![],
            vec![id(3, 7)],
            vec![id(3, 7), id(3, u64::MAX)],
            vec![id(3, 7), id(4, 8)],
            vec![id(1, 1), id(2, 2), id(1, 3)],
        ] {
            let incident = Incident { related_incident_ids: ids, ..incident() };
            let bytes = postcard::to_allocvec(&incident).expect("bytes");
            assert_eq!(postcard::from_bytes(&bytes), Ok(incident));
        }
    }

    #[test]
    fn a_long_timeline_keeps_its_ends_and_counts_the_rest() {
        let mut incident = incident();
        for n in 0..1_000 {
            incident.note(Time(n), TimelineEvent::Note, Some("ann"), json!({"note": n}));
        }
        let number = |entry: &TimelineEntry| entry.details.0["note"].as_i64();
        assert_eq!(incident.timeline.len(), 201);
        assert_eq!(number(&incident.timeline[19]), Some(19));
        assert_eq!(incident.timeline[20].details.0["entries"], 800);
        assert_eq!(number(&incident.timeline[21]), Some(820));
        assert_eq!(number(&incident.timeline[200]), Some(999));
    }

    #[test]
    fn repeated_occurrences_fold_into_one() {
        let mut incident = incident();
        for n in 2..5 {
            incident.note(Time(n), TimelineEvent::Occurrence, None, json!({"count": n}));
        }
        assert_eq!(incident.timeline.len(), 1);
        assert_eq!(incident.timeline[0].details.0["count"], 4);
    }
}
