//! Which incident hangs on which: duplicate, cascade, related (SPEC 4.4).
//!
//! A link follows from the facts known, never from the order in which they came: it is worked out anew whenever one comes.

use crate::engine::entry::{Entry, Full, Slot, half, kin};
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::engine::upstreams::{WINDOW, active_at};
use crate::model::{Correlation, Environment, IncidentId, Severity, Status, Time, TimelineEvent, Upstream};
use serde_json::json;

/// Only these may be hung on.
pub fn is_active(status: Status) -> bool {
    matches!(status, Status::Triggered | Status::Acknowledged | Status::Investigating)
}

/// What a parent is to a child.
struct Parent {
    fires: bool,
    /// Wall time since when it does not fire.
    at: Time,
    severity: Severity,
    environment: Environment,
    muted: bool,
    untold: bool,
}

impl Parent {
    fn may_suppress(&self, child: &Full) -> bool {
        self.environment == child.incident.environment && self.severity >= child.incident.severity && !self.muted && !self.untold
    }
}

impl Shard {
    /// What a new incident hangs on. Its body has nothing of it yet.
    pub(super) fn link_new(&self, full: &mut Full, now: Time, step: &mut Step<'_, '_>) {
        self.find_root(full);
        self.link(full, now);
        self.find_related(full, step);
    }

    /// The oldest open one of the same identity.
    fn find_root(&self, full: &mut Full) {
        let incident = &full.incident;
        let near = |entry: &Entry| (entry.first_seen_at - incident.first_seen_at).abs() <= WINDOW;
        let same = self.store.of_identity(&incident.service_id, &incident.fingerprint);
        let root = same.filter(|(_, entry)| is_active(entry.status) && !entry.traits.duplicate && near(entry)).last();
        if let Some((_, root)) = root {
            let id = root.id;
            full.book.link.root = Some(id);
            hang(full, id, "duplicate", 1.0, "Exact fingerprint match");
        }
    }

    /// Works parent and suppression out anew; true if something of it has changed.
    pub(super) fn link(&self, full: &mut Full, now: Time) -> bool {
        let before = (full.incident.parent_incident_id, full.incident.suppressed, full.book.link.clone());
        let grace = self.settings.orphan_grace;
        let mut release_at = None;
        let fires = full.incident.status.fires();
        let suppressed = match full.book.link.root {
            Some(root) => match self.store.find_id(root).and_then(|slot| self.store.get(slot)) {
                Some(entry) if entry.status.fires() => of_entry(entry).may_suppress(full),
                // Gone or resolved: released after the grace.
                _ => {
                    let at = full.book.link.release_at.unwrap_or(now + grace);
                    release_at = (full.incident.suppressed && now < at).then_some(at);
                    release_at.is_some()
                }
            },
            None => match self.parent_of(full) {
                Some(found) => {
                    if full.incident.parent_incident_id != Some(found.id) {
                        hang(full, found.id, "cascade", 0.9, "Detected cascading failure from upstream service");
                    }
                    let parent = of_fact(found);
                    let until = parent.at + grace;
                    let suppresses = parent.may_suppress(full) && (parent.fires || now < until);
                    release_at = (suppresses && !parent.fires).then_some(until);
                    suppresses
                }
                None => {
                    // Links stay as history, where it is not that the facts now say otherwise.
                    if full.incident.parent_incident_id.is_some_and(|id| self.upstreams.get(id).is_some()) {
                        full.incident.parent_incident_id = None;
                        full.incident.correlation = None;
                    }
                    false
                }
            },
        };
        // Of one that fires no more the link is history.
        if fires {
            full.incident.suppressed = suppressed;
        }
        full.book.link.release_at = release_at.filter(|_| fires);
        before != (full.incident.parent_incident_id, full.incident.suppressed, full.book.link.clone())
    }

    /// Among what its service depends on: first those that may suppress; of these the newest first seen at or before it,
    /// else the oldest after it.
    fn parent_of(&self, full: &Full) -> Option<&Upstream> {
        let incident = &full.incident;
        let own = (incident.first_seen_at, incident.id);
        let dependencies = self.rules.dependencies();
        let mut best: Option<(bool, bool, &Upstream)> = None;
        for service in dependencies.upstreams(&incident.service_id) {
            let in_cycle = dependencies.in_cycle(&incident.service_id, service);
            for fact in self.upstreams.around(service, incident.first_seen_at) {
                let earlier = fact.first_seen_at <= incident.first_seen_at;
                if (earlier && !active_at(fact, incident.first_seen_at)) || (in_cycle && (fact.first_seen_at, fact.id) > own) {
                    continue;
                }
                let suppresses = of_fact(fact).may_suppress(full);
                let better = best.is_none_or(|(best_suppresses, best_earlier, best)| {
                    let (time, before) = ((fact.first_seen_at, fact.id), (best.first_seen_at, best.id));
                    (suppresses, earlier, if earlier { time > before } else { time < before })
                        > (best_suppresses, best_earlier, false)
                });
                if better {
                    best = Some((suppresses, earlier, fact));
                }
            }
        }
        best.map(|(_, _, fact)| fact)
    }

    /// Incidents of the same service with like symptoms, the newest first.
    fn find_related(&self, full: &mut Full, step: &mut Step<'_, '_>) {
        let own = kin(&full.incident);
        let identity = half(&full.incident.fingerprint.0);
        let (service_id, at, environment) = (&full.incident.service_id, full.incident.first_seen_at, full.incident.environment);
        let most = self.settings.max_related;
        let mut found = Vec::new();
        for (slot, entry) in self.store.around(service_id, at + -WINDOW, at + WINDOW) {
            // Of a pair with the same identity one is the other's duplicate.
            if !is_active(entry.status) || entry.fingerprint == identity {
                continue;
            }
            let score = similarity(own, environment, entry);
            if score <= SIMILAR {
                continue;
            }
            found.push((slot, entry.id, score));
            if found.len() >= most {
                break;
            }
        }
        let incident = &mut full.incident;
        let Some(&(_, _, score)) = found.first() else { return };
        incident.related_incident_ids = found.iter().map(|(_, id, _)| *id).collect();
        if incident.correlation.is_none() {
            let reason = format!("High similarity score: {score:.2}");
            incident.correlation = Some(Correlation { kind: "related".to_owned(), confidence: score, reason });
        }
        let id = incident.id;
        step.changes.extend(found.into_iter().map(|(slot, ..)| Change::Related { slot, id }));
    }

    /// What others have become may concern this one: its link is worked out anew, and what follows is done.
    pub(super) fn relink(&self, now: Time, slot: Slot, step: &mut Step<'_, '_>) {
        let Some(mut full) = self.store.get(slot).and_then(|entry| entry.full().ok()) else { return };
        let was = full.is_hushed();
        let shown = (full.incident.parent_incident_id, full.incident.suppressed);
        if self.link(&mut full, now) {
            if shown != (full.incident.parent_incident_id, full.incident.suppressed) {
                self.after_mute(&mut full, was, now, now, step);
            }
            return self.save(Some(slot), full, now, step);
        }
        // After a reload other services may depend on its own.
        let announced = full.book.announced.clone();
        self.announce(&mut full, now, step);
        if full.book.announced != announced {
            step.changes.push(Change::Put { slot: Some(slot), full: Box::new(full) });
        }
    }

    /// The grace after its parent's resolution is over.
    pub(super) fn release(&self, full: &mut Full, at: Time, now: Time, step: &mut Step<'_, '_>) {
        let was = full.is_hushed();
        if full.book.link.root.is_some() {
            // Of the duplicates that are left only the newest speaks; the others hang on it.
            let mut same = self.store.of_identity(&full.incident.service_id, &full.incident.fingerprint);
            match same.find(|(_, entry)| entry.status.fires() && entry.traits.duplicate).map(|(_, entry)| entry.id) {
                Some(newest) if newest != full.incident.id => {
                    full.book.link.root = Some(newest);
                    full.book.link.release_at = None;
                    hang(full, newest, "duplicate", 1.0, "Exact fingerprint match");
                }
                _ => full.book.link.root = None,
            }
        }
        if full.book.link.root.is_none() && full.incident.correlation.as_ref().is_some_and(|found| found.kind == "duplicate") {
            full.incident.suppressed = false;
            full.book.link.release_at = None;
        } else {
            self.link(full, now);
        }
        self.after_mute(full, was, at, now, step);
    }
}

/// The seed's threshold.
const SIMILAR: f64 = 0.75;

/// The seed's weights; the service is the same.
fn similarity(own: [u32; 3], environment: Environment, other: &Entry) -> f64 {
    let [category, model, metric] = other.traits.kin;
    let points = 3
        + 2 * u32::from(own[0] == category)
        + 2 * u32::from(own[1] == model)
        + u32::from(own[2] == metric)
        + u32::from(environment == other.traits.environment);
    f64::from(points) / 9.0
}

fn of_entry(entry: &Entry) -> Parent {
    Parent {
        fires: entry.status.fires(),
        at: Time::NEVER,
        severity: entry.severity,
        environment: entry.traits.environment,
        muted: entry.traits.muted,
        untold: entry.traits.untold,
    }
}

fn of_fact(fact: &Upstream) -> Parent {
    Parent {
        fires: fact.status.fires(),
        at: fact.at,
        severity: fact.severity,
        environment: fact.environment,
        muted: fact.muted,
        untold: fact.untold,
    }
}

fn hang(full: &mut Full, parent: IncidentId, kind: &str, confidence: f64, reason: &str) {
    let incident = &mut full.incident;
    incident.parent_incident_id = Some(parent);
    incident.correlation = Some(Correlation { kind: kind.to_owned(), confidence, reason: reason.to_owned() });
    let details = json!({ "type": kind, "parent_incident_id": parent.to_string(), "confidence": confidence, "reason": reason });
    incident.note(incident.last_seen_at, TimelineEvent::Correlated, None, details);
}
