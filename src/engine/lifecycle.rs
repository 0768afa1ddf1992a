//! An incident's life as alerts and time drive it: opened, counted, raised, reopened, resolved, closed (SPEC 4.3).

use crate::engine::book::{Book, Stage};
use crate::engine::command::fires_again;
use crate::engine::count::counts_after;
use crate::engine::dedup::{Fit, Span, fit};
use crate::engine::entry::{Counts, Entry, Full, Slot};
use crate::engine::notify::{Occasion, Said};
use crate::engine::shard::Shard;
use crate::engine::sources::{Signal, Sources};
use crate::engine::step::Step;
use crate::engine::{Outcome, Settings};
use crate::model::{
    Alert, AlertBody, AlertOutcome, AlertStatus, CurrentValue, Fingerprint, Incident, IncidentId, Output, RuleEvent, Severity,
    Status, Time, TimelineEvent, number,
};
use serde_json::{Value, json};
use std::sync::Arc;

/// The `dedup_key` of the incident that stands for all that a full shard cannot hold (SPEC 6, limits).
const OVERFLOW_KEY: &str = "incidentd:overflow";

/// What became of an alert, and of which incident it is now a part.
type Fate = (AlertOutcome, Option<IncidentId>);

fn signal<'a>(alert: &'a Alert<'a>) -> Signal<'a> {
    Signal { name: alert.source.as_deref(), at: alert.timestamp, starts_at: alert.starts_at }
}

impl Shard {
    pub(super) fn alert<'a>(&self, now: Time, alert: &'a Alert<'a>, step: &mut Step<'_, 'a>) -> Outcome {
        let (outcome, incident) = match alert.status {
            AlertStatus::Firing => self.firing(now, alert, step),
            AlertStatus::Resolved => self.resolution(now, alert, step),
        };
        Outcome::Alert { outcome, incident }
    }

    fn firing<'a>(&self, now: Time, alert: &'a Alert<'a>, step: &mut Step<'_, 'a>) -> Fate {
        let signal = signal(alert);
        if signal.starts_at.is_some()
            && let Some((slot, entry)) = self.of(alert).find(|(_, entry)| entry.status.fires() && entry.sources.hold(signal))
        {
            let counts = counts_after(entry, alert, now, 0);
            self.count(now, slot, entry, counts, Some(signal), step);
            return (AlertOutcome::Refreshed, Some(entry.id));
        }
        let found = self.of(alert).map(|(slot, entry)| (slot, entry, fit(alert.timestamp, span(entry), &self.settings)));
        match found.into_iter().find(|(.., fit)| *fit != Fit::Outside) {
            Some((slot, entry, Fit::Reopens)) => {
                self.reopen(now, slot, entry, alert, step);
                (AlertOutcome::Reopened, Some(entry.id))
            }
            Some((slot, entry, Fit::CountsOnly)) => {
                let counts = counts_after(entry, alert, now, 1);
                self.count(now, slot, entry, counts, None, step);
                (AlertOutcome::Merged, Some(entry.id))
            }
            Some((slot, entry, _)) => {
                self.merge(now, slot, entry, alert, step);
                (AlertOutcome::Merged, Some(entry.id))
            }
            None if self.store.len() >= self.settings.max_open => self.overflow(now, alert, step),
            None => {
                let id = self.create(now, alert, alert.fingerprint, (alert.body)(), alert.severity, step);
                (AlertOutcome::Created, Some(id))
            }
        }
    }

    fn of(&self, alert: &Alert<'_>) -> impl Iterator<Item = (Slot, &Entry)> {
        self.store.of_identity(&alert.service_id, &alert.fingerprint)
    }

    fn merge<'a>(&self, now: Time, slot: Slot, entry: &Entry, alert: &'a Alert<'a>, step: &mut Step<'_, 'a>) {
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
        self.touch_root(entry, now, step);
        let occasion = |event| Occasion { event, at: now, now };
        let mut began = false;
        if raises {
            let was = full.is_hushed();
            full.incident.suppressed &= !self.is_root_gone(&full);
            self.hush_anew(&mut full, now);
            began = self.after_mute(&mut full, was, now, now, step);
        } else {
            self.publish_counts(slot, entry, &mut full, now, step);
        }
        let snapshot = step.shown(&full);
        // Who hears of the occurrence hears of the severity that it brought.
        let told = self.tell(&mut full, &snapshot, occasion(RuleEvent::Occurrence), Said::default(), step);
        if raises {
            self.raised(&mut full, snapshot, occasion(RuleEvent::SeverityChanged), began || told, step);
        }
        self.save(Some(slot), full, now, step);
    }

    fn reopen<'a>(&self, now: Time, slot: Slot, entry: &Entry, alert: &'a Alert<'a>, step: &mut Step<'_, 'a>) {
        let Some(mut full) = unpack(entry) else { return };
        full.sources = Sources::none();
        full.take_occurrence(alert, now, &self.settings);
        full.incident.severity = full.incident.severity.max(alert.severity);
        fires_again(&mut full, alert.timestamp);
        let count = full.incident.occurrence_count;
        full.incident.note(alert.timestamp, TimelineEvent::Reopened, None, json!({ "count": count }));
        let raises = alert.severity > entry.severity;
        if raises {
            let details = json!({ "from": entry.severity.name(), "to": alert.severity.name() });
            full.incident.note(alert.timestamp, TimelineEvent::SeverityChanged, None, details);
        }
        self.reopened(&mut full, now, step);
        if raises {
            let snapshot = step.shown(&full);
            self.raised(&mut full, snapshot, Occasion { event: RuleEvent::SeverityChanged, at: now, now }, true, step);
        }
        self.save(Some(slot), full, now, step);
    }

    /// A shard that is full counts a service's further incidents in one, which pages.
    fn overflow<'a>(&self, now: Time, alert: &'a Alert<'a>, step: &mut Step<'_, 'a>) -> Fate {
        let fingerprint = Fingerprint::of_dedup_key(OVERFLOW_KEY);
        let mut held = self.store.of_identity(&alert.service_id, &fingerprint);
        if let Some((slot, entry)) = held.find(|(_, entry)| entry.status.fires()) {
            let counts = Counts { current_value: f64::NAN, ..counts_after(entry, alert, now, 1) };
            self.count(now, slot, entry, counts, Some(Signal { name: None, at: alert.timestamp, starts_at: None }), step);
            return (AlertOutcome::Merged, Some(entry.id));
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
        let id = self.create(now, alert, fingerprint, body, Severity::Critical, step);
        (AlertOutcome::Created, Some(id))
    }

    fn create<'a>(
        &self,
        now: Time,
        alert: &'a Alert<'a>,
        fingerprint: Fingerprint,
        body: AlertBody,
        severity: Severity,
        step: &mut Step<'_, 'a>,
    ) -> IncidentId {
        let at = alert.timestamp;
        let overflow = is_overflow(body.dedup_key.as_deref());
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
        if let Some(changes) = self.recent_changes(&full.incident.service_id, at) {
            full.incident.metadata.0.insert("recent_changes".to_owned(), changes);
        }
        if !overflow {
            self.link_new(&mut full, now, step);
        }
        full.incident.silenced_by = self.silences.matching(&full.incident, now);
        let held = self.settings.hold > 0 && !self.rules.dependencies().upstreams(&full.incident.service_id).is_empty();
        let snapshot = full.publish(now, step);
        if held || self.holding {
            full.book.stage = Stage::Held { until: if held { now + self.settings.hold } else { now } };
        } else {
            self.begin(&mut full, snapshot, now, now, step);
        }
        let id = full.incident.id;
        self.save(None, full, now, step);
        id
    }

    /// A `resolved` alert: each firing incident of the identity for itself.
    fn resolution<'a>(&self, now: Time, alert: &'a Alert<'a>, step: &mut Step<'_, 'a>) -> Fate {
        let mut outcome = (AlertOutcome::Ignored, None);
        for (slot, entry) in self.of(alert).filter(|(_, entry)| entry.status.fires()) {
            let mut sources = entry.sources.clone();
            if !sources.resolve(signal(alert)) {
                continue;
            }
            outcome = (AlertOutcome::Resolved, Some(entry.id));
            let Some(mut full) = unpack(entry) else { continue };
            let silent = sources.are_silent();
            full.sources = sources;
            full.incident.last_alert = alert.origin;
            if silent {
                self.resolve(&mut full, now, alert.timestamp, now, None, None, step);
            } else {
                full.unpublished = true;
            }
            self.save(Some(slot), full, now, step);
        }
        outcome
    }

    /// `resolved_at`: event time; `at`: the action's `created_at`.
    #[allow(clippy::too_many_arguments, reason = "who, what and when, used in three places")]
    pub(super) fn resolve(
        &self,
        full: &mut Full,
        now: Time,
        resolved_at: Time,
        at: Time,
        resolution: Option<&str>,
        user: Option<&str>,
        step: &mut Step<'_, '_>,
    ) {
        let incident = &mut full.incident;
        incident.status = Status::Resolved;
        incident.resolved_at = Some(resolved_at);
        incident.resolution = resolution.map(str::to_owned);
        // What was said in its place is over with it.
        incident.snoozed_until = None;
        let details = resolution.map_or(Value::Null, |resolution| json!({ "resolution": resolution }));
        incident.note(resolved_at, TimelineEvent::Resolved, user, details);
        full.sources = Sources::none();
        full.book.reminders.clear();
        full.book.unacknowledge_at = None;
        full.book.note_active(resolved_at, false);
        self.withdraw(full, step);
        self.stays_quiet(full, now);
        self.escalation_after(full, now);
        self.remediation_over(full, step);
        full.close_at = if self.settings.close_after > 0 { now + self.settings.close_after } else { Time::NEVER };
        let snapshot = full.publish(now, step);
        // What resolves while it is held says nothing.
        if matches!(full.book.stage, Stage::Held { .. }) {
            full.book.stage = Stage::Open;
            return;
        }
        full.book.stage = Stage::Open;
        self.tell(full, &snapshot, Occasion { event: RuleEvent::Resolved, at, now }, Said::default(), step);
    }
}

/// It stands for incidents of all sorts: it hangs on no other, and pages.
pub(super) fn is_overflow(dedup_key: Option<&str>) -> bool {
    dedup_key == Some(OVERFLOW_KEY)
}

/// A body was packed by this program or read from its own changelog; one that cannot be read is a damaged memory or disk.
/// The entry is left as it is: it still counts, and the next snapshot of the alert's identity opens after its window.
pub(super) fn unpack(entry: &Entry) -> Option<Full> {
    entry.full().ok()
}

fn span(entry: &Entry) -> Span {
    Span { first_seen_at: entry.first_seen_at, last_seen_at: entry.counts.last_seen_at, resolved_at: entry.resolved_at }
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

    /// To `incidents`, as a new version; the snapshot that this step's actions carry.
    pub(super) fn publish(&mut self, now: Time, step: &mut Step<'_, '_>) -> Arc<Incident> {
        self.incident.version += 1;
        self.published_at = now;
        self.unpublished = false;
        let snapshot = Arc::new(self.incident.clone());
        step.outputs.push(Output::Incident(Arc::clone(&snapshot)));
        snapshot
    }
}
