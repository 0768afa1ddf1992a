//! An incident's life as alerts and time drive it: opened, counted, raised, reopened, resolved, closed (SPEC 4.3).

use crate::engine::Settings;
use crate::engine::book::Book;
use crate::engine::dedup::{Fit, Span, fit};
use crate::engine::entry::{Counts, Entry, Full, Slot};
use crate::engine::notify::Occasion;
use crate::engine::shard::Shard;
use crate::engine::sources::{Signal, Sources};
use crate::engine::step::{Change, Step};
use crate::model::{
    Alert, AlertBody, AlertOutcome, AlertStatus, CurrentValue, Fingerprint, Incident, IncidentId, Output, RuleEvent, Severity,
    Status, Time, TimelineEvent, number,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The `dedup_key` of the incident that stands for all that a full shard cannot hold (SPEC 6, limits).
const OVERFLOW_KEY: &str = "incidentd:overflow";

fn signal<'a>(alert: &'a Alert<'a>) -> Signal<'a> {
    Signal { name: alert.source.as_deref(), at: alert.timestamp, starts_at: alert.starts_at }
}

impl Shard {
    pub(super) fn alert<'a>(&self, now: Time, alert: &'a Alert<'a>, step: &mut Step<'a>) -> AlertOutcome {
        match alert.status {
            AlertStatus::Firing => self.firing(now, alert, step),
            AlertStatus::Resolved => self.resolution(now, alert, step),
        }
    }

    fn firing<'a>(&self, now: Time, alert: &'a Alert<'a>, step: &mut Step<'a>) -> AlertOutcome {
        let signal = signal(alert);
        if signal.starts_at.is_some()
            && let Some((slot, entry)) = self.of(alert).find(|(_, entry)| entry.status.fires() && entry.sources.hold(signal))
        {
            let counts = counts_after(entry, alert, now, 0);
            self.count(now, slot, entry, counts, Some(signal), step);
            return AlertOutcome::Refreshed;
        }
        let found = self.of(alert).map(|(slot, entry)| (slot, entry, fit(alert.timestamp, span(entry), &self.settings)));
        match found.into_iter().find(|(.., fit)| *fit != Fit::Outside) {
            Some((slot, entry, Fit::Reopens)) => {
                self.reopen(now, slot, entry, alert, step);
                AlertOutcome::Reopened
            }
            Some((slot, entry, Fit::CountsOnly)) => {
                let counts = counts_after(entry, alert, now, 1);
                self.count(now, slot, entry, counts, None, step);
                AlertOutcome::Merged
            }
            Some((slot, entry, _)) => {
                self.merge(now, slot, entry, alert, step);
                AlertOutcome::Merged
            }
            None if self.store.len() >= self.settings.max_open => self.overflow(now, alert, step),
            None => {
                self.create(now, alert, alert.fingerprint, (alert.body)(), alert.severity, step);
                AlertOutcome::Created
            }
        }
    }

    fn of(&self, alert: &Alert<'_>) -> impl Iterator<Item = (Slot, &Entry)> {
        self.store.of_identity(&alert.service_id, &alert.fingerprint)
    }

    fn merge<'a>(&self, now: Time, slot: Slot, entry: &Entry, alert: &'a Alert<'a>, step: &mut Step<'a>) {
        let counts = counts_after(entry, alert, now, 1);
        let raises = alert.severity > entry.severity;
        let asks = counts.occurrences >= entry.timing.ask_at;
        if !raises && !asks && alert.current_value != CurrentValue::Other {
            return self.count(now, slot, entry, counts, Some(signal(alert)), step);
        }
        let Some(mut full) = unpack(entry) else { return };
        full.take_occurrence(alert, now, &self.settings);
        let from = full.incident.severity;
        if raises {
            full.incident.severity = alert.severity;
            let details = json!({ "from": from.name(), "to": alert.severity.name() });
            full.incident.note(alert.timestamp, TimelineEvent::SeverityChanged, None, details);
        }
        let snapshot = full.publish(now, step);
        let occasion = |event| Occasion { event, at: now, now };
        self.tell(&mut full, &snapshot, occasion(RuleEvent::Occurrence), step);
        if raises {
            self.tell(&mut full, &snapshot, occasion(RuleEvent::SeverityChanged), step);
        }
        step.changes.push(Change::Put { slot: Some(slot), full: Box::new(full) });
    }

    /// A change of counts alone: published at most every `publish_interval`, the last of it always (SPEC 3.2).
    fn count<'a>(
        &self,
        now: Time,
        slot: Slot,
        entry: &Entry,
        mut counts: Counts,
        fired: Option<Signal<'a>>,
        step: &mut Step<'a>,
    ) {
        if now - counts.published_at >= self.settings.publish_interval {
            if let Some(mut full) = unpack(entry) {
                full.take_counts(&counts);
                full.publish(now, step);
                counts.version = full.incident.version;
                counts.published_at = full.published_at;
                counts.unpublished = false;
            }
        } else {
            counts.unpublished = true;
        }
        step.changes.push(Change::Count { slot, counts, fired });
    }

    fn reopen<'a>(&self, now: Time, slot: Slot, entry: &Entry, alert: &'a Alert<'a>, step: &mut Step<'a>) {
        let Some(mut full) = unpack(entry) else { return };
        full.sources = Sources::none();
        full.take_occurrence(alert, now, &self.settings);
        let incident = &mut full.incident;
        incident.severity = incident.severity.max(alert.severity);
        incident.status = Status::Triggered;
        (incident.resolved_at, incident.resolved_by, incident.resolution) = (None, None, None);
        incident.note(alert.timestamp, TimelineEvent::Reopened, None, json!({ "count": incident.occurrence_count }));
        if alert.severity > entry.severity {
            let details = json!({ "from": entry.severity.name(), "to": alert.severity.name() });
            incident.note(alert.timestamp, TimelineEvent::SeverityChanged, None, details);
        }
        full.close_at = Time::NEVER;
        full.book.open_epoch();
        let snapshot = full.publish(now, step);
        self.tell(&mut full, &snapshot, Occasion { event: RuleEvent::Reopened, at: now, now }, step);
        if alert.severity > entry.severity {
            self.tell(&mut full, &snapshot, Occasion { event: RuleEvent::SeverityChanged, at: now, now }, step);
        }
        step.changes.push(Change::Put { slot: Some(slot), full: Box::new(full) });
    }

    /// A shard that is full counts a service's further incidents in one, which pages.
    fn overflow<'a>(&self, now: Time, alert: &'a Alert<'a>, step: &mut Step<'a>) -> AlertOutcome {
        let fingerprint = Fingerprint::of_dedup_key(OVERFLOW_KEY);
        let mut held = self.store.of_identity(&alert.service_id, &fingerprint);
        if let Some((slot, entry)) = held.find(|(_, entry)| entry.status.fires()) {
            let counts = Counts { current_value: f64::NAN, ..counts_after(entry, alert, now, 1) };
            self.count(now, slot, entry, counts, Some(Signal { name: None, at: alert.timestamp, starts_at: None }), step);
            return AlertOutcome::Merged;
        }
        let body = AlertBody {
            title: format!(
                "incidentd holds {} incidents here, its limit: further ones of this service are only counted",
                self.store.len()
            ),
            description: format!("The first one past it: {}", (alert.body)().title),
            category: "incidentd".to_owned(),
            dedup_key: Some(OVERFLOW_KEY.to_owned()),
            ..AlertBody::default()
        };
        self.create(now, alert, fingerprint, body, Severity::Critical, step);
        AlertOutcome::Created
    }

    fn create<'a>(
        &self,
        now: Time,
        alert: &'a Alert<'a>,
        fingerprint: Fingerprint,
        body: AlertBody,
        severity: Severity,
        step: &mut Step<'a>,
    ) {
        let at = alert.timestamp;
        let overflow = body.dedup_key.as_deref() == Some(OVERFLOW_KEY);
        let incident = Incident {
            id: IncidentId::derive(self.partition, &alert.origin),
            fingerprint,
            dedup_key: body.dedup_key,
            title: body.title,
            description: body.description,
            severity,
            category: body.category,
            service_id: alert.service_id.clone().into_owned(),
            environment: body.environment,
            status: Status::Triggered,
            triggered_at: at,
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_at: None,
            resolved_by: None,
            resolution: None,
            labels: body.labels,
            metadata: body.metadata,
            parent_incident_id: None,
            related_incident_ids: Vec::new(),
            suppressed: false,
            correlation: None,
            silenced_by: Vec::new(),
            snoozed_until: None,
            notifications: Vec::new(),
            escalation_level: 0,
            escalation_policy_id: None,
            assigned_to: None,
            timeline: Vec::with_capacity(1),
            occurrence_count: 1,
            first_seen_at: at,
            last_seen_at: at,
            version: 0,
            last_alert: alert.origin,
        };
        // The overflow incident stands for many sources: only a person or `stale_after` ends it.
        let source = if overflow { Signal { name: None, at, starts_at: None } } else { signal(alert) };
        let mut full = Full {
            incident,
            book: Book::default(),
            sources: Sources::of(source),
            read_at: now,
            published_at: now,
            unpublished: false,
            close_at: Time::NEVER,
            ask_at: 0,
        };
        full.incident.note(at, TimelineEvent::Triggered, None, Value::Null);
        let snapshot = full.publish(now, step);
        self.tell(&mut full, &snapshot, Occasion { event: RuleEvent::Triggered, at: now, now }, step);
        step.changes.push(Change::Put { slot: None, full: Box::new(full) });
    }

    /// A `resolved` alert: each firing incident of the identity for itself.
    fn resolution<'a>(&self, now: Time, alert: &'a Alert<'a>, step: &mut Step<'a>) -> AlertOutcome {
        let mut outcome = AlertOutcome::Ignored;
        for (slot, entry) in self.of(alert).filter(|(_, entry)| entry.status.fires()) {
            let mut sources = entry.sources.clone();
            if !sources.resolve(signal(alert)) {
                continue;
            }
            outcome = AlertOutcome::Resolved;
            let Some(mut full) = unpack(entry) else { continue };
            let silent = sources.are_silent();
            full.sources = sources;
            full.incident.last_alert = alert.origin;
            if silent {
                self.resolve(&mut full, now, alert.timestamp, now, None, step);
            } else {
                full.unpublished = true;
            }
            step.changes.push(Change::Put { slot: Some(slot), full: Box::new(full) });
        }
        outcome
    }

    /// `resolved_at`: event time; `at`: the action's `created_at`.
    fn resolve(&self, full: &mut Full, now: Time, resolved_at: Time, at: Time, resolution: Option<&str>, step: &mut Step<'_>) {
        let incident = &mut full.incident;
        incident.status = Status::Resolved;
        incident.resolved_at = Some(resolved_at);
        incident.resolution = resolution.map(str::to_owned);
        let details = resolution.map_or(Value::Null, |resolution| json!({ "resolution": resolution }));
        incident.note(resolved_at, TimelineEvent::Resolved, None, details);
        full.sources = Sources::none();
        full.book.reminders.clear();
        full.close_at = if self.settings.close_after > 0 { now + self.settings.close_after } else { Time::NEVER };
        let snapshot = full.publish(now, step);
        self.tell(full, &snapshot, Occasion { event: RuleEvent::Resolved, at, now }, step);
    }

    /// What time alone does to an entry that is due; false: nothing any more.
    pub(super) fn entry_due(&self, now: Time, slot: Slot, step: &mut Step<'_>) -> bool {
        let Some(entry) = self.store.get(slot).filter(|entry| entry.due(&self.settings) <= now) else { return false };
        let due = entry.due(&self.settings);
        let Some(mut full) = unpack(entry) else { return false };
        if entry.stale_at(&self.settings) == due {
            self.resolve(&mut full, now, due, due, Some("stale: no occurrence any more"), step);
        } else if entry.timing.close_at == due {
            full.incident.status = Status::Closed;
            full.incident.note(due, TimelineEvent::Closed, None, Value::Null);
            let snapshot = full.publish(now, step);
            self.tell(&mut full, &snapshot, Occasion { event: RuleEvent::Closed, at: due, now }, step);
            step.changes.push(Change::Close { slot, forget_at: due + self.settings.keep_closed });
            return true;
        } else if entry.timing.remind_at == due {
            self.remind(&mut full, now, step);
        } else {
            full.publish(now, step);
        }
        step.changes.push(Change::Put { slot: Some(slot), full: Box::new(full) });
        true
    }
}

/// A body was packed by this program or read from its own changelog; one that cannot be read is a damaged memory or disk.
/// The entry is left as it is: it still counts, and the next snapshot of the alert's identity opens after its window.
fn unpack(entry: &Entry) -> Option<Full> {
    entry.full().ok()
}

fn span(entry: &Entry) -> Span {
    Span { first_seen_at: entry.first_seen_at, last_seen_at: entry.counts.last_seen_at, resolved_at: entry.resolved_at }
}

fn counts_after(entry: &Entry, alert: &Alert<'_>, now: Time, occurrences: u64) -> Counts {
    let before = &entry.counts;
    Counts {
        occurrences: before.occurrences + occurrences,
        last_seen_at: before.last_seen_at.max(alert.timestamp),
        last_alert: alert.origin.into(),
        current_value: match alert.current_value {
            CurrentValue::Number(value) => value,
            _ => before.current_value,
        },
        read_at: now.max(before.read_at),
        ..before.clone()
    }
}

impl Full {
    /// A merge changes only counts, times and `metadata.current_value` (SPEC 4.2).
    fn take_occurrence(&mut self, alert: &Alert<'_>, now: Time, settings: &Settings) {
        let incident = &mut self.incident;
        incident.occurrence_count += 1;
        incident.last_seen_at = incident.last_seen_at.max(alert.timestamp);
        incident.last_alert = alert.origin;
        let value = match alert.current_value {
            CurrentValue::Absent => None,
            CurrentValue::Number(value) => Some(number::json(value)),
            CurrentValue::Other => (alert.body)().metadata.0.remove("current_value"),
        };
        if let Some(value) = value {
            incident.metadata.0.insert("current_value".to_owned(), value);
        }
        incident.note(incident.last_seen_at, TimelineEvent::Occurrence, None, json!({ "count": incident.occurrence_count }));
        self.read_at = self.read_at.max(now);
        self.sources.fire(signal(alert), settings.max_sources);
    }

    /// Brings an unpacked incident up to counts that moved since.
    fn take_counts(&mut self, counts: &Counts) {
        let incident = &mut self.incident;
        if counts.occurrences > incident.occurrence_count {
            incident.occurrence_count = counts.occurrences;
            incident.note(counts.last_seen_at, TimelineEvent::Occurrence, None, json!({ "count": counts.occurrences }));
        }
        incident.last_seen_at = counts.last_seen_at;
        incident.last_alert = counts.last_alert.into();
        if !counts.current_value.is_nan() {
            incident.metadata.0.insert("current_value".to_owned(), number::json(counts.current_value));
        }
    }

    /// To `incidents`, as a new version; the snapshot that this step's actions carry.
    pub(super) fn publish(&mut self, now: Time, step: &mut Step<'_>) -> Arc<Incident> {
        self.incident.version += 1;
        self.published_at = now;
        self.unpublished = false;
        let snapshot = Arc::new(self.incident.clone());
        step.outputs.push(Output::Incident(Arc::clone(&snapshot)));
        snapshot
    }
}
