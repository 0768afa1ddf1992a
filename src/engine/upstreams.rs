//! Incidents of other shards on which ours may hang, as their facts tell (SPEC 4.4). Kept until the incident closes, and a
//! while longer, so that who hangs on it is released in order.

use crate::model::time::{HOUR, MINUTE, Millis};
use crate::model::{IncidentId, Status, Time, Upstream};
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

/// Incidents first seen within this of each other may hang together.
pub const WINDOW: Millis = 30 * MINUTE;

const LEAST: IncidentId = IncidentId { partition: 0, hash: 0 };

#[derive(Default)]
pub struct Upstreams {
    by_service: BTreeMap<Rc<str>, BTreeMap<(Time, IncidentId), Upstream>>,
    by_id: BTreeMap<IncidentId, Place>,
    /// Of the closed ones: when they are forgotten (wall time).
    ends: BTreeSet<(Time, IncidentId)>,
    /// No fact is of an incident that was first seen later.
    newest: Option<Time>,
}

/// Where a fact lies.
struct Place {
    service: Rc<str>,
    first_seen_at: Time,
    ends_at: Option<Time>,
}

impl Upstreams {
    pub fn keys(&self) -> impl Iterator<Item = &IncidentId> {
        self.by_id.keys()
    }

    pub fn get(&self, id: IncidentId) -> Option<&Upstream> {
        let place = self.by_id.get(&id)?;
        self.by_service.get(&place.service)?.get(&(place.first_seen_at, id))
    }

    /// First seen later than all that are known?
    pub fn is_newest(&self, at: Time) -> bool {
        self.newest.is_none_or(|newest| newest < at)
    }

    /// Of one service, first seen in the window up to `at`, newest first.
    pub fn before<'s>(&'s self, service_id: &str, at: Time) -> impl Iterator<Item = &'s Upstream> + use<'s> {
        self.seen(service_id, at + -WINDOW, at + 1).rev()
    }

    /// Of one service, first seen in the window after `at`, oldest first.
    pub fn after<'s>(&'s self, service_id: &str, at: Time) -> impl Iterator<Item = &'s Upstream> + use<'s> {
        self.seen(service_id, at + 1, at + (WINDOW + 1))
    }

    fn seen<'s>(&'s self, service_id: &str, from: Time, to: Time) -> impl DoubleEndedIterator<Item = &'s Upstream> + use<'s> {
        let all = self.by_service.get(service_id).into_iter();
        all.flat_map(move |seen| seen.range((from, LEAST)..(to, LEAST))).map(|(_, fact)| fact)
    }

    /// Does `fact` say something newer?
    pub fn is_news(&self, fact: &Upstream) -> bool {
        self.get(fact.id).is_none_or(|held| held.revision < fact.revision)
    }

    pub fn put(&mut self, fact: Upstream, grace: Millis) {
        self.remove(fact.id);
        let ends_at = (fact.status == Status::Closed).then(|| end(&fact, grace));
        self.ends.extend(ends_at.map(|at| (at, fact.id)));
        let (id, first_seen_at) = (fact.id, fact.first_seen_at);
        let service = match self.by_service.get_key_value(fact.service_id.as_str()) {
            Some((service, _)) => Rc::clone(service),
            None => Rc::from(fact.service_id.as_str()),
        };
        self.newest = self.newest.max(Some(first_seen_at));
        self.by_id.insert(id, Place { service: Rc::clone(&service), first_seen_at, ends_at });
        self.by_service.entry(service).or_default().insert((first_seen_at, id), fact);
    }

    pub fn remove(&mut self, id: IncidentId) {
        let Some(place) = self.by_id.remove(&id) else { return };
        if let Some(seen) = self.by_service.get_mut(&place.service) {
            seen.remove(&(place.first_seen_at, id));
            if seen.is_empty() {
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

/// Whoever hangs on it was released by then.
fn end(fact: &Upstream, grace: Millis) -> Time {
    fact.at + (grace + HOUR)
}

/// Was an incident with that past (`Book::active`) triggered, acknowledged or investigating at `at` (event time)?
pub fn active_at(past: &[(Time, bool)], at: Time) -> bool {
    past.iter().take_while(|(since, _)| *since <= at).last().is_none_or(|(_, active)| *active)
}
