//! Sample incidents for the dry run: those that a rule's own `where` admits and its events come with, of every shape that the
//! schema allows: each severity, environment, event and status, with as little and with as much as an incident can carry.

use crate::model::{
    Correlation, Environment, Fingerprint, Incident, IncidentId, Labels, Metadata, Origin, Receipt, RuleEvent, Severity, Status,
    Time, TimelineEntry, TimelineEvent, Topic,
};
use crate::rules::matcher::{Field, Where};
use crate::rules::view::{ContextView, Sample, View};
use rhai::Dynamic;
use serde_json::json;
use std::rc::Rc;
use std::sync::Arc;

/// 2026-01-15T10:00:00Z.
const NOW: Time = Time(1_768_471_200_000);

pub(super) struct Sampled {
    pub view: View,
    /// For a message.
    pub described: String,
    event: RuleEvent,
    full: bool,
}

impl Sampled {
    pub fn context(&self) -> ContextView {
        ContextView::sample(NOW, self.event, self.full, self.view.sample.clone())
    }

    /// Was anything read of it that other samples may have otherwise?
    pub fn open(&self) -> bool {
        self.view.sample.as_ref().is_some_and(|sample| sample.open.get())
    }

    /// Was it asked for metadata that it does not have?
    pub fn asked(&self) -> bool {
        self.view.sample.as_ref().is_some_and(|sample| sample.asked.get())
    }
}

/// As many as the longest of what is gone through needs, not one for each combination: each value of each stands in two
/// samples at least, a full one and a bare one.
pub(super) fn all(matcher: &Where, events: &[RuleEvent]) -> impl Iterator<Item = Sampled> {
    let (severities, environments) = admitted(matcher);
    let events: Vec<(RuleEvent, Status)> =
        events.iter().flat_map(|event| statuses(*event).iter().map(|status| (*event, *status))).collect();
    let longest = if severities.is_empty() { 0 } else { severities.len().max(environments.len()).max(events.len()) };
    (0..2 * longest).map(move |number| {
        // Of two in a row the one is bare, the other full.
        let (turn, full) = (number / 2, number % 2 == 1);
        let environment = turned(&environments, turn + usize::from(full)).unwrap_or_default();
        let (event, status) = turned(&events, turn).unwrap_or((RuleEvent::Triggered, Status::Triggered));
        let severity = turned(&severities, turn).unwrap_or(Severity::High);
        let shape = Sample { all_labels: full, ..Sample::default() };
        sampled(matcher, (severity, environment), (event, status), full, shape)
    })
}

/// One for each severity, environment, status and event: what reads nothing else has no others.
pub(super) fn every(matcher: &Where) -> impl Iterator<Item = Sampled> {
    let (severities, environments) = admitted(matcher);
    let events = RuleEvent::LISTENABLE.into_iter().chain([RuleEvent::Reminder]);
    let states = events.flat_map(|event| Status::ALL.into_iter().map(move |status| (event, status)));
    let places =
        severities.into_iter().flat_map(move |severity| environments.clone().into_iter().map(move |one| (severity, one)));
    places.flat_map(move |place| {
        let states = states.clone();
        states.map(move |state| sampled(matcher, place, state, false, Sample::default()))
    })
}

/// One for each kind of value that metadata can hold.
pub(super) fn of_unknown_metadata(matcher: &Where, events: &[RuleEvent]) -> impl Iterator<Item = Sampled> {
    let (severities, environments) = admitted(matcher);
    let event = events.first().copied().unwrap_or(RuleEvent::Triggered);
    let status = statuses(event)[0];
    let kinds: [Dynamic; 6] = [
        "sample".into(),
        "7".into(),
        7.into(),
        true.into(),
        Dynamic::from_array(vec!["sample".into()]),
        Dynamic::from_map(rhai::Map::from([("sample".into(), 7.into())])),
    ];
    let severity = severities.first().copied().unwrap_or(Severity::High);
    let environment = environments.first().copied().unwrap_or_default();
    kinds.into_iter().map(move |metadata| {
        let shape = Sample { all_labels: true, metadata, ..Sample::default() };
        sampled(matcher, (severity, environment), (event, status), true, shape)
    })
}

fn sampled(
    matcher: &Where,
    (severity, environment): (Severity, Environment),
    (event, status): (RuleEvent, Status),
    full: bool,
    shape: Sample,
) -> Sampled {
    let incident = sample(matcher, severity, environment, status, full);
    let described = format!("{severity}, {environment}, {event}, {} labels and metadata", if full { "with" } else { "without" });
    Sampled { view: View { incident: Arc::new(incident), sample: Some(Rc::new(shape)) }, described, event, full }
}

fn admitted(matcher: &Where) -> (Vec<Severity>, Vec<Environment>) {
    let severities = Severity::ALL.into_iter().filter(|severity| matcher.admits(&Field::Severity, severity.name()));
    let environments = Environment::ALL.into_iter().filter(|one| matcher.admits(&Field::Environment, one.name()));
    (severities.collect(), environments.collect())
}

fn turned<T: Copy>(items: &[T], turn: usize) -> Option<T> {
    items.get(turn % items.len().max(1)).copied()
}

/// In which an incident can be when the event is raised.
fn statuses(event: RuleEvent) -> &'static [Status] {
    match event {
        RuleEvent::Acknowledged => &[Status::Acknowledged],
        RuleEvent::Resolved => &[Status::Resolved],
        RuleEvent::Closed => &[Status::Closed],
        RuleEvent::Occurrence | RuleEvent::SeverityChanged => {
            &[Status::Triggered, Status::Acknowledged, Status::Investigating, Status::Identified]
        }
        _ => &[Status::Triggered],
    }
}

/// With everything that an incident can carry, or with as little as it can.
fn sample(matcher: &Where, severity: Severity, environment: Environment, status: Status, full: bool) -> Incident {
    let text = |field: &Field, default: &str| {
        matcher.patterns(field).and_then(|patterns| patterns.first()).map_or_else(|| default.to_owned(), |p| p.sample())
    };
    let labels: Labels = matcher
        .fields
        .iter()
        .filter_map(|(field, patterns)| match field {
            Field::Label(name) => Some((name.clone(), patterns.first()?.sample())),
            _ => None,
        })
        .collect();
    let origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };
    let person = full.then(|| "alice".to_owned());
    Incident {
        id: IncidentId::derive(0, &origin),
        fingerprint: Fingerprint::of_dedup_key("sample"),
        dedup_key: full.then(|| "sample".to_owned()),
        title: text(&Field::Title, "Sample incident"),
        description: if full { "A sample incident of the check".to_owned() } else { String::new() },
        severity,
        category: text(&Field::Category, "model_performance"),
        service_id: text(&Field::ServiceId, "llm-gateway"),
        environment,
        status,
        triggered_at: NOW,
        acknowledged_at: full.then_some(NOW),
        acknowledged_by: person.clone(),
        resolved_at: full.then_some(NOW),
        resolved_by: person.clone(),
        resolution: full.then(|| "restarted".to_owned()),
        labels,
        metadata: if full { metadata() } else { Metadata::default() },
        parent_incident_id: full.then(|| IncidentId::derive(1, &origin)),
        related_incident_ids: full.then(|| IncidentId::derive(2, &origin)).into_iter().collect(),
        related_more: 0,
        suppressed: false,
        correlation: full.then(|| Correlation {
            kind: "cascade".to_owned(),
            confidence: 0.9,
            reason: "the service depends on the other's".to_owned(),
        }),
        silenced_by: full.then(|| "sil-1".to_owned()).into_iter().collect(),
        snoozed_until: full.then_some(NOW),
        notifications: full.then(receipt).into_iter().collect(),
        notifications_more: 0,
        escalation_level: u32::from(full),
        escalation_policy_id: full.then(|| "llm-critical".to_owned()),
        assigned_to: person,
        timeline: if full { timeline() } else { Vec::new() },
        occurrence_count: if full { 12 } else { 1 },
        first_seen_at: NOW,
        last_seen_at: NOW,
        version: 1,
        last_alert: origin,
    }
}

/// What the seed's incident carries, with the types that the engine makes sure of.
fn metadata() -> Metadata {
    let json = json!({
        "current_value": 7.5, "threshold": 5.0, "unit": "seconds", "deployment_id": "deploy-1",
        "dashboard_url": "https://grafana.example.com/d/1", "runbook_url": "https://wiki.example.com/runbook",
        "alert_manager_url": "https://alertmanager.example.com",
        "recent_changes": [{"type": "deployment", "description": "v2", "timestamp": "2026-01-15T09:50:00.000Z"}],
        "user_impact": 40.0, "degradation": 3.5, "error_rate": 12.0, "cost_increase": 1.5, "sla_risk_minutes": 30.0,
    });
    match json {
        serde_json::Value::Object(map) => Metadata(map),
        _ => Metadata::default(),
    }
}

fn receipt() -> Receipt {
    let (channel, target) = ("slack".to_owned(), "#llm-incidents".to_owned());
    Receipt { channel, target, sent_at: NOW, delivered: false, error: Some("channel_not_found".to_owned()) }
}

fn timeline() -> Vec<TimelineEntry> {
    let entry = |event, user: Option<&str>| TimelineEntry {
        timestamp: NOW,
        event,
        user: user.map(str::to_owned),
        details: Metadata::default(),
    };
    vec![entry(TimelineEvent::Triggered, None), entry(TimelineEvent::Acknowledged, Some("alice"))]
}

/// For tests of the parts.
#[cfg(test)]
pub(super) fn sample_incident() -> Incident {
    sample(&Where::default(), Severity::High, Environment::Production, Status::Triggered, true)
}
