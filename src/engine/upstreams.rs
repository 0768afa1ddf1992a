//! Incidents of other shards on which ours may hang, as their facts tell (SPEC 4.4). Kept until the incident closes, and a
//! while longer, so that who hangs on it is released in order.

use crate::model::time::{MINUTE, Millis};
use crate::model::{Environment, IncidentId, Severity, Status, Time, Upstream};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound::{Excluded, Unbounded};
use std::rc::Rc;

/// Incidents first seen within this of each other may hang together.
pub const WINDOW: Millis = 30 * MINUTE;

const LEAST: IncidentId = IncidentId { partition: 0, hash: 0 };

#[derive(Default)]
pub struct Upstreams {
    by_service: HashMap<Rc<str>, Known, FxBuildHasher>,
    by_id: HashMap<IncidentId, Place, FxBuildHasher>,
    /// Of the closed ones: when they are forgotten (wall time).
    ends: BTreeSet<(Time, IncidentId)>,
}

/// Of one service; never empty.
#[derive(Default)]
pub struct Known {
    seen: BTreeMap<(Time, IncidentId), Upstream>,
    /// How many of them may suppress at all, by environment and severity.
    able: [[u32; Severity::ALL.len()]; Environment::ALL.len()],
}

/// Where a fact lies.
struct Place {
    service: Rc<str>,
    first_seen_at: Time,
    ends_at: Option<Time>,
}

impl Upstreams {
    /// In no order.
    pub fn keys(&self) -> impl Iterator<Item = &IncidentId> {
        self.by_id.keys()
    }

    pub fn get(&self, id: IncidentId) -> Option<&Upstream> {
        let place = self.by_id.get(&id)?;
        self.by_service.get(&place.service)?.seen.get(&(place.first_seen_at, id))
    }

    /// Those of the services that `takes` takes, in an order that does not hang on how they came.
    pub fn of_services(&self, takes: impl Fn(&str) -> bool) -> Vec<IncidentId> {
        let known = self.by_service.iter().filter(|(service, _)| takes(service)).map(|(_, known)| known);
        let mut ids: Vec<IncidentId> = known.flat_map(|known| known.seen.keys().map(|(_, id)| *id)).collect();
        ids.sort_unstable();
        ids
    }

    pub fn of(&self, service_id: &str) -> Option<&Known> {
        self.by_service.get(service_id)
    }

    /// Does `fact` say something newer?
    pub fn is_news(&self, fact: &Upstream) -> bool {
        self.get(fact.id).is_none_or(|held| held.revision < fact.revision)
    }

    /// `keep`: for so long one that is closed is known, counted from when it fired no more.
    pub fn put(&mut self, fact: Upstream, keep: Millis) {
        self.remove(fact.id);
        let ends_at = (fact.status == Status::Closed).then(|| fact.at + keep);
        self.ends.extend(ends_at.map(|at| (at, fact.id)));
        let (id, first_seen_at) = (fact.id, fact.first_seen_at);
        let service = match self.by_service.get_key_value(fact.service_id.as_str()) {
            Some((service, _)) => Rc::clone(service),
            None => Rc::from(fact.service_id.as_str()),
        };
        self.by_id.insert(id, Place { service: Rc::clone(&service), first_seen_at, ends_at });
        self.by_service.entry(service).or_default().put(fact);
    }

    pub fn remove(&mut self, id: IncidentId) {
        let Some(place) = self.by_id.remove(&id) else { return };
        if let Some(known) = self.by_service.get_mut(&place.service) {
            known.remove((place.first_seen_at, id));
            if known.seen.is_empty() {
                self.by_service.remove(&place.service);
            }
        }
        if let Some(at) = place.ends_at {
            self.ends.remove(&(at, id));
        }
    }

    /// The closed one that is to be forgotten first.
    pub fn next_end(&self) -> Option<(Time, IncidentId)> {
        self.ends.first().copied()
    }
}

impl Known {
    /// First seen in the window up to `at`, newest first.
    pub fn before(&self, at: Time) -> impl Iterator<Item = &Upstream> {
        let (from, to) = ((at + -WINDOW, LEAST), (at + 1, LEAST));
        // Nearly always `at` is newer than all: then the end need not be looked for.
        let end = if self.seen.last_key_value().is_some_and(|(last, _)| *last < to) { Unbounded } else { Excluded(to) };
        let seen = self.seen.range((Unbounded, end)).rev();
        seen.take_while(move |(key, _)| **key >= from).map(|(_, fact)| fact)
    }

    /// First seen in the window after `at`, oldest first.
    pub fn after(&self, at: Time) -> impl Iterator<Item = &Upstream> {
        let (from, to) = ((at + 1, LEAST), (at + (WINDOW + 1), LEAST));
        self.seen.range(from..to).map(|(_, fact)| fact)
    }

    /// False where none can suppress an incident of that severity, whenever it was first seen.
    pub fn may_suppress(&self, severity: Severity, environment: Environment) -> bool {
        self.able[environment as usize][severity as usize..].iter().any(|count| *count > 0)
    }

    fn put(&mut self, fact: Upstream) {
        self.count(&fact, 1);
        self.seen.insert((fact.first_seen_at, fact.id), fact);
    }

    fn remove(&mut self, key: (Time, IncidentId)) {
        if let Some(fact) = self.seen.remove(&key) {
            self.count(&fact, -1);
        }
    }

    fn count(&mut self, fact: &Upstream, by: i32) {
        if !fact.muted && !fact.untold && !fact.duplicate {
            let count = &mut self.able[fact.environment as usize][fact.severity as usize];
            *count = count.saturating_add_signed(by);
        }
    }
}

/// Was an incident with that past (`Book::active`) triggered, acknowledged or investigating at `at` (event time)?
pub fn active_at(past: &[(Time, bool)], at: Time) -> bool {
    past.iter().take_while(|(since, _)| *since <= at).last().is_none_or(|(_, active)| *active)
}
