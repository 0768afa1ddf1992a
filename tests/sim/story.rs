//! What people know of each incident, from what was committed, and since when.

use crate::sim::world::{Line, Said};
use incidentd::model::{Action, ActionKind, Incident, IncidentId, Output, Time, TimelineEvent};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Read on and on, as `out` grows.
#[derive(Default)]
pub struct Story {
    /// Lines of `out` read so far.
    read: usize,
    pub last: BTreeMap<IncidentId, Arc<Incident>>,
    /// The place in `out` at which its last epoch began, in which version, and when that was.
    opened: BTreeMap<IncidentId, (usize, u64, Time)>,
    /// The place of the last action about it.
    told: BTreeMap<IncidentId, usize>,
    /// The newest version of it that an action showed.
    shown: BTreeMap<IncidentId, u64>,
    /// Since when it fires no more.
    over: BTreeMap<IncidentId, Time>,
    /// Who is past a digest's limit is only counted: told of, without a name.
    pub untraceable: bool,
}

impl Story {
    pub fn read<'l>(&mut self, committed: impl Iterator<Item = &'l Line>) {
        for line in committed.skip(self.read) {
            let place = self.read;
            self.read += 1;
            match &line.said {
                Said::Output(Output::Incident(incident)) => self.published(incident, place, line.now),
                Said::Output(Output::Action(action)) => {
                    self.told.extend(about(action).into_iter().map(|id| (id, place)));
                    if matches!(action.kind, ActionKind::Notification { .. } | ActionKind::Escalation { .. }) {
                        let shown = self.shown.entry(action.incident.id).or_default();
                        *shown = action.incident.version.max(*shown);
                    }
                    self.untraceable |= matches!(&action.kind, ActionKind::Digest { more: 1.., .. });
                }
                _ => {}
            }
        }
    }

    fn published(&mut self, incident: &Arc<Incident>, place: usize, now: Time) {
        let before = self.last.insert(incident.id, Arc::clone(incident));
        if let Some(before) = &before {
            assert!(before.version < incident.version, "the version of {} does not rise", incident.id);
        }
        if openings(incident) > before.map_or(0, |before| openings(&before)) {
            self.opened.insert(incident.id, (place, incident.version, now));
        }
        if incident.status.fires() {
            self.over.remove(&incident.id);
        } else {
            self.over.entry(incident.id).or_insert(now);
        }
    }

    /// Was anybody told of it since its last epoch began?
    pub fn told(&self, id: IncidentId) -> bool {
        let told = self.told.get(&id);
        self.untraceable || told.is_some_and(|told| self.opened.get(&id).is_some_and(|(opened, ..)| told > opened))
    }

    /// Was somebody told of it as it is since its last epoch began? What a desk had kept from before that does not count.
    pub fn surely_told(&self, id: IncidentId) -> bool {
        let shown = self.shown.get(&id);
        shown.is_some_and(|shown| self.opened.get(&id).is_some_and(|(_, opened, _)| shown >= opened))
    }

    /// Was anybody ever?
    pub fn ever_told(&self, id: IncidentId) -> bool {
        self.untraceable || self.told.contains_key(&id)
    }

    /// When its last epoch began.
    pub fn opened(&self, id: IncidentId) -> Time {
        self.opened.get(&id).map_or(Time::NEVER, |(.., at)| *at)
    }

    /// Since when it fires no more; `NEVER`: it does.
    pub fn over(&self, id: IncidentId) -> Time {
        self.over.get(&id).copied().unwrap_or(Time::NEVER)
    }
}

fn openings(incident: &Incident) -> usize {
    use TimelineEvent::*;
    let opens = |event| matches!(event, Triggered | Reopened | Unsuppressed | Unacknowledged);
    incident.timeline.iter().filter(|entry| opens(entry.event)).count()
}

fn about(action: &Action) -> BTreeSet<IncidentId> {
    match &action.kind {
        ActionKind::Notice { .. } | ActionKind::Remediation { .. } => BTreeSet::new(),
        ActionKind::Digest { incidents, .. } => incidents.iter().map(|entry| entry.id).collect(),
        ActionKind::Notification { .. } | ActionKind::Escalation { .. } => [action.incident.id].into(),
    }
}

/// What of an incident has to do with its links.
pub fn brief(incident: &Incident) -> String {
    let Incident { id, service_id, title, severity, status, suppressed, parent_incident_id, first_seen_at, .. } = incident;
    let kind = incident.correlation.as_ref().map_or("", |found| found.kind.as_str());
    let what: Vec<String> = incident.timeline.iter().map(|entry| format!("{:?}@{}", entry.event, entry.timestamp)).collect();
    format!(
        "{id} of {service_id} ({title}): {severity}, {status}, suppressed: {suppressed}, {kind} of {parent_incident_id:?}, \
         first seen {first_seen_at}: {}",
        what.join(" ")
    )
}
