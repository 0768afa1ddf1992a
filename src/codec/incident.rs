//! The incident as JSON, for people and programs (SPEC 3.2), and back.
//!
//! Arrays, maps and `suppressed` are always there; other optional fields only where they say something.

mod indexed;
mod parts;

use crate::model::{Environment, Fingerprint, Incident, IncidentId, Metadata, Severity, Status, Time};
pub use parts::WireEntry;
use parts::{WireCorrelation, WireLabels, WireOrigin, WireReceipt, hex};
use serde::{Deserialize, Serialize, Serializer};
use std::borrow::Cow;

pub use indexed::{Indexed, read_indexed};

/// How much of an incident is written: a record of ours has a greatest size (SPEC 6).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Extent {
    Whole,
    NoTimeline,
    NoTimelineNorMetadata,
}

/// An incident in its JSON form.
pub struct Shown<'a>(pub &'a Incident, pub Extent);

/// The widest of the JSON texts that fits into `most` bytes; the narrowest where none does.
pub fn fitting(most: usize, mut write: impl FnMut(Extent) -> Vec<u8>) -> Vec<u8> {
    let mut text = Vec::new();
    for extent in [Extent::Whole, Extent::NoTimeline, Extent::NoTimelineNorMetadata] {
        text = write(extent);
        if text.len() <= most {
            break;
        }
    }
    text
}

/// The value of a record of `incidents`, at most `most` bytes long.
pub fn incident(incident: &Incident, most: usize) -> Vec<u8> {
    fitting(most, |extent| json(&Shown(incident, extent), room(incident)))
}

/// About how many bytes an incident takes: a text that grows as it is written is moved at each doubling.
pub fn room(incident: &Incident) -> usize {
    let texts = [&incident.title, &incident.description, &incident.category, &incident.service_id];
    let texts: usize = texts.into_iter().map(String::len).sum();
    let labels: usize = incident.labels.iter().map(|(name, value)| name.len() + value.len() + 8).sum();
    1_024 + texts + labels + 64 * incident.metadata.0.len() + 128 * incident.timeline.len()
}

/// JSON of what cannot fail to be written: string keys, no foreign `Serialize`. `room`: about what it takes.
pub fn json(value: &impl Serialize, room: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(room);
    let written = serde_json::to_writer(&mut text, value);
    if written.is_err() { Vec::new() } else { text }
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    id: IncidentId,
    #[serde(with = "hex")]
    fingerprint: Fingerprint,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    dedup_key: Option<Cow<'a, str>>,
    title: Cow<'a, str>,
    description: Cow<'a, str>,
    severity: Severity,
    category: Cow<'a, str>,
    service_id: Cow<'a, str>,
    environment: Environment,
    status: Status,
    triggered_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acknowledged_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acknowledged_by: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolved_at: Option<Time>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolved_by: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    resolution: Option<Cow<'a, str>>,
    labels: WireLabels<'a>,
    metadata: Cow<'a, Metadata>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    parent_incident_id: Option<IncidentId>,
    related_incident_ids: Cow<'a, [IncidentId]>,
    #[serde(default, skip_serializing_if = "is_zero")]
    related_more: u64,
    suppressed: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    correlation: Option<WireCorrelation<'a>>,
    silenced_by: Cow<'a, [String]>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snoozed_until: Option<Time>,
    notifications: Vec<WireReceipt<'a>>,
    #[serde(default, skip_serializing_if = "is_zero")]
    notifications_more: u64,
    escalation_level: u32,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    escalation_policy_id: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    assigned_to: Option<Cow<'a, str>>,
    timeline: Vec<WireEntry<'a>>,
    occurrence_count: u64,
    first_seen_at: Time,
    last_seen_at: Time,
    version: u64,
    last_alert: WireOrigin<'a>,
    /// The timeline is left out, and perhaps the metadata, for the record's size.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    truncated: bool,
}

fn is_zero(count: &u64) -> bool {
    *count == 0
}

fn text(text: &Option<String>) -> Option<Cow<'_, str>> {
    text.as_deref().map(Cow::Borrowed)
}

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Shown(incident, extent) = self;
        let nothing = Metadata::default();
        let without_metadata = *extent == Extent::NoTimelineNorMetadata;
        let timeline = if *extent == Extent::Whole { incident.timeline.as_slice() } else { &[] };
        Wire {
            id: incident.id,
            fingerprint: incident.fingerprint,
            dedup_key: text(&incident.dedup_key),
            title: Cow::Borrowed(&incident.title),
            description: Cow::Borrowed(&incident.description),
            severity: incident.severity,
            category: Cow::Borrowed(&incident.category),
            service_id: Cow::Borrowed(&incident.service_id),
            environment: incident.environment,
            status: incident.status,
            triggered_at: incident.triggered_at,
            acknowledged_at: incident.acknowledged_at,
            acknowledged_by: text(&incident.acknowledged_by),
            resolved_at: incident.resolved_at,
            resolved_by: text(&incident.resolved_by),
            resolution: text(&incident.resolution),
            labels: WireLabels(Cow::Borrowed(&incident.labels)),
            metadata: Cow::Borrowed(if without_metadata { &nothing } else { &incident.metadata }),
            parent_incident_id: incident.parent_incident_id,
            related_incident_ids: Cow::Borrowed(&incident.related_incident_ids),
            related_more: incident.related_more,
            notifications_more: incident.notifications_more,
            suppressed: incident.suppressed,
            correlation: incident.correlation.as_ref().map(WireCorrelation::from),
            silenced_by: Cow::Borrowed(&incident.silenced_by),
            snoozed_until: incident.snoozed_until,
            notifications: incident.notifications.iter().map(WireReceipt::from).collect(),
            escalation_level: incident.escalation_level,
            escalation_policy_id: text(&incident.escalation_policy_id),
            assigned_to: text(&incident.assigned_to),
            timeline: timeline.iter().map(WireEntry::from).collect(),
            occurrence_count: incident.occurrence_count,
            first_seen_at: incident.first_seen_at,
            last_seen_at: incident.last_seen_at,
            version: incident.version,
            last_alert: WireOrigin::from(incident.last_alert),
            truncated: *extent != Extent::Whole,
        }
        .serialize(serializer)
    }
}

/// Reads the value of a record of `incidents`. What was left out for its size is empty, and `last_alert.index` is 0: the JSON
/// does not tell.
pub fn read_incident(json: &[u8]) -> Result<Incident, String> {
    let wire: Wire<'_> = serde_json::from_slice(json).map_err(|error| format!("not an incident: {error}"))?;
    let text = |text: Option<Cow<'_, str>>| text.map(Cow::into_owned);
    Ok(Incident {
        id: wire.id,
        fingerprint: wire.fingerprint,
        dedup_key: text(wire.dedup_key),
        title: wire.title.into_owned(),
        description: wire.description.into_owned(),
        severity: wire.severity,
        category: wire.category.into_owned(),
        service_id: wire.service_id.into_owned(),
        environment: wire.environment,
        status: wire.status,
        triggered_at: wire.triggered_at,
        acknowledged_at: wire.acknowledged_at,
        acknowledged_by: text(wire.acknowledged_by),
        resolved_at: wire.resolved_at,
        resolved_by: text(wire.resolved_by),
        resolution: text(wire.resolution),
        labels: wire.labels.0.into_owned(),
        metadata: wire.metadata.into_owned(),
        parent_incident_id: wire.parent_incident_id,
        related_incident_ids: wire.related_incident_ids.into_owned(),
        related_more: wire.related_more,
        notifications_more: wire.notifications_more,
        suppressed: wire.suppressed,
        correlation: wire.correlation.map(WireCorrelation::read),
        silenced_by: wire.silenced_by.into_owned(),
        snoozed_until: wire.snoozed_until,
        notifications: wire.notifications.into_iter().map(WireReceipt::read).collect(),
        escalation_level: wire.escalation_level,
        escalation_policy_id: text(wire.escalation_policy_id),
        assigned_to: text(wire.assigned_to),
        timeline: wire.timeline.into_iter().map(WireEntry::read).collect(),
        occurrence_count: wire.occurrence_count,
        first_seen_at: wire.first_seen_at,
        last_seen_at: wire.last_seen_at,
        version: wire.version,
        last_alert: wire.last_alert.read()?,
    })
}
