//! Which incidents a filter takes, newest first, without looking at any other: sets of keys by the fields of the filter.
//!
//! One set for each status, severity and environment that occur together, for all services and again for each service. A filter
//! is then a union of some of these sets, its total the sum of their lengths.

use crate::board::ordered::{Ordered, page};
use crate::model::{Environment, IncidentId, Severity, Status, Time};
use hashbrown::HashMap;
use std::sync::Arc;

/// What an incident is looked for by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Place {
    pub triggered_at: Time,
    pub service_id: Arc<str>,
    pub status: Status,
    pub severity: Severity,
    pub environment: Environment,
}

/// Which incidents are wanted: of each field any of those named, or any at all where none is.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    pub statuses: Vec<Status>,
    pub severities: Vec<Severity>,
    pub environments: Vec<Environment>,
    pub services: Vec<String>,
}

/// Fields that a set has in common.
type Kind = (Status, Severity, Environment);

impl Filter {
    fn takes(&self, (status, severity, environment): Kind) -> bool {
        (self.statuses.is_empty() || self.statuses.contains(&status))
            && (self.severities.is_empty() || self.severities.contains(&severity))
            && (self.environments.is_empty() || self.environments.contains(&environment))
    }
}

/// The sets of all services, or of one; few for most services.
#[derive(Default)]
struct Sets(Vec<(Kind, Ordered)>);

impl Sets {
    fn put(&mut self, kind: Kind, key: u128) {
        match self.0.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, set)) => {
                set.insert(key);
            }
            None => {
                let mut set = Ordered::default();
                set.insert(key);
                self.0.push((kind, set));
            }
        }
    }

    fn remove(&mut self, kind: Kind, key: u128) {
        if let Some(at) = self.0.iter().position(|(known, _)| *known == kind) {
            self.0[at].1.remove(key);
            if self.0[at].1.len() == 0 {
                self.0.swap_remove(at);
            }
        }
    }
}

#[derive(Default)]
pub struct Index {
    all: Sets,
    services: HashMap<Arc<str>, Sets>,
}

impl Index {
    /// The service's name as it is held, so that incidents share it.
    pub fn name(&self, service_id: &str) -> Arc<str> {
        self.services.get_key_value(service_id).map_or_else(|| Arc::from(service_id), |(name, _)| Arc::clone(name))
    }

    pub fn put(&mut self, id: IncidentId, place: &Place) {
        let (kind, key) = (place.kind(), key(id, place.triggered_at));
        self.all.put(kind, key);
        self.services.entry(Arc::clone(&place.service_id)).or_default().put(kind, key);
    }

    pub fn remove(&mut self, id: IncidentId, place: &Place) {
        let (kind, key) = (place.kind(), key(id, place.triggered_at));
        self.all.remove(kind, key);
        if let Some(sets) = self.services.get_mut(&place.service_id) {
            sets.remove(kind, key);
            if sets.0.is_empty() {
                self.services.remove(&place.service_id);
            }
        }
    }

    /// How many there are, and those at the positions from `offset` on, newest first.
    pub fn find(&self, filter: &Filter, offset: usize, limit: usize) -> (usize, Vec<IncidentId>) {
        let mut services: Vec<&Sets> = Vec::new();
        if filter.services.is_empty() {
            services.push(&self.all);
        }
        for (at, name) in filter.services.iter().enumerate() {
            // A name that comes twice counts once.
            if !filter.services[..at].contains(name) {
                services.extend(self.services.get(name.as_str()));
            }
        }
        let sets = services.into_iter().flat_map(|sets| &sets.0).filter(|(kind, _)| filter.takes(*kind));
        let sets: Vec<&Ordered> = sets.map(|(_, set)| set).collect();
        let total = sets.iter().map(|set| set.len()).sum();
        (total, page(&sets, offset, limit).into_iter().map(id).collect())
    }
}

impl Place {
    fn kind(&self) -> Kind {
        (self.status, self.severity, self.environment)
    }
}

/// 0000-01-01, the first moment that RFC 3339 can write.
const FIRST: i64 = -62_167_219_200_000;

/// Orders by time, then by id, and tells the id: 48 bits of milliseconds since the year 0 (moments past the year 8919 count as
/// that), then the id's 80.
fn key(id: IncidentId, at: Time) -> u128 {
    let millis = at.0.saturating_sub(FIRST).clamp(0, (1 << 48) - 1);
    (millis as u128) << 80 | u128::from(id.partition) << 64 | u128::from(id.hash)
}

fn id(key: u128) -> IncidentId {
    IncidentId { partition: (key >> 64) as u16, hash: key as u64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_orders_by_time_and_tells_the_id() {
        let ids = [IncidentId { partition: 0, hash: u64::MAX }, IncidentId { partition: u16::MAX, hash: 0 }];
        let times =
            [Time(i64::MIN), Time(FIRST), Time(-1), Time(0), Time(1_795_000_000_000), Time(200_000_000_000_000), Time::NEVER];
        for known in ids {
            assert!(times.iter().all(|at| id(key(known, *at)) == known));
            assert!(times.windows(2).all(|pair| key(known, pair[0]) <= key(known, pair[1])));
        }
        assert!(key(ids[1], Time(-1)) < key(ids[0], Time(0)), "time goes before the id");
    }
}
