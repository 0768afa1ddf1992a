//! Incidents of other shards on which ours may hang, as their facts tell (SPEC 4.4). Kept until the incident closes, and a
//! while longer, so that who hangs on it is released in order.

use crate::model::time::{HOUR, MINUTE, Millis};
use crate::model::{IncidentId, Status, Time, Upstream};
use std::collections::{BTreeMap, BTreeSet};

/// Incidents first seen within this of each other may hang together.
pub const WINDOW: Millis = 30 * MINUTE;

#[derive(Default)]
pub struct Upstreams {
    by_id: BTreeMap<IncidentId, Upstream>,
    by_service: BTreeMap<String, BTreeSet<(Time, IncidentId)>>,
    /// Of the closed ones: when they are forgotten (wall time).
    ends: BTreeSet<(Time, IncidentId)>,
}

impl Upstreams {
    pub fn keys(&self) -> impl Iterator<Item = &IncidentId> {
        self.by_id.keys()
    }

    pub fn get(&self, id: IncidentId) -> Option<&Upstream> {
        self.by_id.get(&id)
    }

    /// Of one service, first seen within the window around `at`, oldest first.
    pub fn around<'s>(&'s self, service_id: &str, at: Time) -> impl Iterator<Item = &'s Upstream> {
        let least = IncidentId { partition: 0, hash: 0 };
        let all = self.by_service.get(service_id).into_iter();
        all.flat_map(move |seen| seen.range((at + -WINDOW, least)..(at + (WINDOW + 1), least)))
            .filter_map(|(_, id)| self.by_id.get(id))
    }

    /// Does `fact` say something newer?
    pub fn is_news(&self, fact: &Upstream) -> bool {
        self.by_id.get(&fact.id).is_none_or(|held| held.revision < fact.revision)
    }

    pub fn put(&mut self, fact: Upstream, grace: Millis) {
        self.remove(fact.id);
        if fact.status == Status::Closed {
            self.ends.insert((end(&fact, grace), fact.id));
        }
        self.by_service.entry(fact.service_id.clone()).or_default().insert((fact.first_seen_at, fact.id));
        self.by_id.insert(fact.id, fact);
    }

    pub fn remove(&mut self, id: IncidentId) {
        let Some(fact) = self.by_id.remove(&id) else { return };
        if let Some(seen) = self.by_service.get_mut(&fact.service_id) {
            seen.remove(&(fact.first_seen_at, id));
            if seen.is_empty() {
                self.by_service.remove(&fact.service_id);
            }
        }
        self.ends.retain(|(_, ends)| *ends != id);
    }

    /// The closed one that is to be forgotten first.
    pub fn next_end(&self) -> Option<(Time, IncidentId)> {
        self.ends.first().copied()
    }
}

/// Whoever hangs on it was released by then.
fn end(fact: &Upstream, grace: Millis) -> Time {
    fact.at + (grace + HOUR)
}

/// Was it triggered, acknowledged or investigating at `at` (event time)?
pub fn active_at(fact: &Upstream, at: Time) -> bool {
    fact.active.iter().take_while(|(since, _)| *since <= at).last().is_none_or(|(_, active)| *active)
}
