//! Which of the known incidents of other services is an incident's parent (SPEC 4.4): a rank, and the first by it.
//!
//! First those that may suppress; of these the newest first seen at or before it, else the oldest after it; ties by id.

use crate::engine::candidates::Class;
use crate::engine::entry::{Entry, Full};
use crate::engine::shard::Shard;
use crate::engine::upstreams::active_at;
use crate::model::{Environment, IncidentId, Severity, Time, Upstream};
use smallvec::SmallVec;
use std::cmp::Reverse;

/// Whoever looks for a parent.
#[derive(Clone, Copy)]
pub struct Child<'a> {
    pub id: IncidentId,
    pub service_id: &'a str,
    pub first_seen_at: Time,
    pub severity: Severity,
    pub environment: Environment,
}

/// What a parent is to a child.
#[derive(PartialEq)]
pub struct Parent {
    severity: Severity,
    environment: Environment,
    muted: bool,
    untold: bool,
}

/// The greatest is the parent.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Rank {
    pub suppresses: bool,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
enum Place {
    After(Reverse<(Time, IncidentId)>),
    Before((Time, IncidentId)),
}

impl Child<'_> {
    pub fn of(full: &Full) -> Child<'_> {
        let incident = &full.incident;
        Child {
            id: incident.id,
            service_id: &incident.service_id,
            first_seen_at: incident.first_seen_at,
            severity: incident.severity,
            environment: incident.environment,
        }
    }

    pub fn of_entry<'s>(entry: &Entry, service_id: &'s str) -> Child<'s> {
        Child {
            id: entry.id,
            service_id,
            first_seen_at: entry.first_seen_at,
            severity: entry.severity,
            environment: entry.traits.environment,
        }
    }

    /// `None`: it is none of its candidates. `in_cycle`: each service depends on the other.
    pub fn rank(&self, fact: &Upstream, in_cycle: bool) -> Option<Rank> {
        let (own, other) = ((self.first_seen_at, self.id), (fact.first_seen_at, fact.id));
        let before = fact.first_seen_at <= self.first_seen_at;
        // One that came later was active when it opened.
        let was_active = !before || active_at(&fact.active, self.first_seen_at);
        if !was_active || fact.duplicate || (in_cycle && other > own) {
            return None;
        }
        Some(Rank { suppresses: Parent::of_fact(fact).may_suppress(self), place: self.place(fact) })
    }

    fn place(&self, fact: &Upstream) -> Place {
        let other = (fact.first_seen_at, fact.id);
        if fact.first_seen_at <= self.first_seen_at { Place::Before(other) } else { Place::After(Reverse(other)) }
    }
}

impl Parent {
    pub fn of_entry(entry: &Entry) -> Parent {
        Parent {
            severity: entry.severity,
            environment: entry.traits.environment,
            muted: entry.traits.muted,
            untold: entry.traits.untold,
        }
    }

    pub fn of_fact(fact: &Upstream) -> Parent {
        Parent { severity: fact.severity, environment: fact.environment, muted: fact.muted, untold: fact.untold }
    }

    pub fn may_suppress(&self, child: &Child<'_>) -> bool {
        self.environment == child.environment && self.severity >= child.severity && !self.muted && !self.untold
    }
}

impl Shard {
    pub(super) fn parent_of(&self, child: &Child<'_>) -> Option<&Upstream> {
        let dependencies = self.rules.dependencies();
        let bounds = self.candidates.classes(child.service_id, dependencies).filter_map(|class| {
            let place = Place::Before(class.bound(child.first_seen_at)?);
            Some((Rank { suppresses: class.may_suppress(child), place }, class))
        });
        let mut bounds: SmallVec<[(Rank, &Class); 64]> = bounds.collect();
        // Where the best is probably found comes first: then the others need not be looked at.
        if let Some(first) = (0..bounds.len()).max_by_key(|at| bounds[*at].0) {
            bounds.swap(0, first);
        }
        let mut best: Option<(Rank, &Upstream)> = None;
        for (bound, class) in bounds {
            let suppresses = bound.suppresses;
            if best.is_some_and(|(best, _)| best > bound) {
                continue;
            }
            for fact in class.around(child.first_seen_at) {
                // By falling place: once one is worse than the best, so is whatever comes behind it.
                if best.is_some_and(|(best, _)| best > Rank { suppresses, place: child.place(fact) }) {
                    break;
                }
                let in_cycle = dependencies.in_cycle(child.service_id, &fact.service_id);
                if let Some(rank) = child.rank(fact, in_cycle) {
                    best = Some((rank, fact));
                    break;
                }
            }
        }
        best.map(|(_, fact)| fact)
    }
}
