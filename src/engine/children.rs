//! Which incidents a parent's fact may concern: those that hang on it, and those that it may take.
//!
//! A service that many depend on has thousands of incidents near each of its own; looking at all of them for every fact
//! would cost more than all else. Derived from the incidents, and rebuilt with them.

use crate::engine::entry::{Entry, Full, Slot};
use crate::engine::links::is_cascade;
use crate::engine::parents::Child;
use crate::engine::shard::Shard;
use crate::engine::upstreams::{Upstreams, WINDOW};
use crate::model::{IncidentId, Time, Upstream};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use std::cmp::Reverse;
use std::collections::BTreeSet;

/// Of incidents that fire, are no duplicates, and whose service depends on another.
#[derive(Default)]
pub struct Children {
    ties: HashMap<Slot, Tie, FxBuildHasher>,
    by_parent: HashMap<IncidentId, BTreeSet<Slot>, FxBuildHasher>,
    /// By service and age those that may want a parent first seen after them: no parent suppresses them, or one that itself
    /// came later, and the earliest of these is the best.
    loose: HashMap<String, BTreeSet<(Time, Slot)>, FxBuildHasher>,
}

#[derive(PartialEq)]
struct Tie {
    parent: Option<IncidentId>,
    loose: bool,
    first_seen_at: Time,
}

impl Children {
    /// An incident has changed.
    pub fn put(&mut self, slot: Slot, full: &Full, upstreams: &Upstreams) {
        let incident = &full.incident;
        if !incident.status.fires() || full.book.link.root.is_some() {
            return self.remove(slot, &incident.service_id);
        }
        let parent = incident.parent_incident_id.filter(|_| is_cascade(full));
        let at = incident.first_seen_at;
        let is_loose =
            !incident.suppressed || parent.and_then(|id| upstreams.get(id)).is_none_or(|parent| parent.first_seen_at > at);
        let tie = Tie { parent, loose: is_loose, first_seen_at: at };
        if self.ties.get(&slot) == Some(&tie) {
            return;
        }
        self.remove(slot, &incident.service_id);
        if let Some(parent) = parent {
            self.by_parent.entry(parent).or_default().insert(slot);
        }
        if tie.loose {
            let loose = match self.loose.get_mut(&incident.service_id) {
                Some(loose) => loose,
                None => self.loose.entry(incident.service_id.clone()).or_default(),
            };
            loose.insert((tie.first_seen_at, slot));
        }
        self.ties.insert(slot, tie);
    }

    pub fn remove(&mut self, slot: Slot, service_id: &str) {
        let Some(tie) = self.ties.remove(&slot) else { return };
        if let Some(parent) = tie.parent
            && let Some(slots) = self.by_parent.get_mut(&parent)
        {
            slots.remove(&slot);
            if slots.is_empty() {
                self.by_parent.remove(&parent);
            }
        }
        if tie.loose
            && let Some(loose) = self.loose.get_mut(service_id)
        {
            loose.remove(&(tie.first_seen_at, slot));
            if loose.is_empty() {
                self.loose.remove(service_id);
            }
        }
    }

    fn of(&self, parent: IncidentId) -> impl Iterator<Item = Slot> {
        self.by_parent.get(&parent).into_iter().flatten().copied()
    }

    fn loose(&self, service_id: &str, from: Time, to: Time) -> impl Iterator<Item = Slot> {
        let loose = self.loose.get(service_id).into_iter();
        loose.flat_map(move |seen| seen.range((from, 0)..(to, 0))).map(|(_, slot)| *slot)
    }

    fn parent(&self, slot: Slot) -> Option<IncidentId> {
        self.ties.get(&slot)?.parent
    }
}

/// May it be somebody's parent now who would not have had it before?
fn gains(before: &Upstream, fact: &Upstream) -> bool {
    let lost = fact.active.strip_prefix(&before.active[..]).is_some_and(|more| more.iter().all(|(_, active)| !active));
    fact.severity > before.severity
        || fact.environment != before.environment
        || (before.muted && !fact.muted)
        || (before.untold && !fact.untold)
        || (before.duplicate && !fact.duplicate)
        || !lost
}

impl Shard {
    /// Those of ours whose link may be another now that `fact` is known; what was known of it before still is.
    pub(super) fn recheck_dependents(&mut self, fact: &Upstream) {
        let before = self.upstreams.get(fact.id);
        let mut concerned: Vec<Slot> = self.children.of(fact.id).collect();
        if before.is_none_or(|before| gains(before, fact)) {
            let at = fact.first_seen_at;
            let dependencies = self.rules.dependencies();
            for service in dependencies.dependents(&fact.service_id) {
                let in_cycle = dependencies.in_cycle(service, &fact.service_id);
                let takes = |slot: &Slot| self.store.get(*slot).is_some_and(|entry| self.takes(fact, in_cycle, *slot, entry));
                // Earlier ones that are suppressed by what came before them have a better parent than one that came later.
                let later = self.store.around(service, at, at + WINDOW).map(|(slot, _)| slot);
                let earlier = self.children.loose(service, at + -WINDOW, at);
                concerned.extend(later.chain(earlier).filter(takes));
            }
        }
        // Taken from its end: the oldest first, wherever they lie.
        concerned.sort_by_cached_key(|slot| Reverse(self.store.get(*slot).map(|entry| (entry.first_seen_at, entry.id))));
        concerned.dedup();
        self.recheck.extend(concerned);
    }

    /// Is `fact` a better parent for an incident than the one that it has?
    fn takes(&self, fact: &Upstream, in_cycle: bool, slot: Slot, entry: &Entry) -> bool {
        if !entry.status.fires() || entry.traits.duplicate {
            return false;
        }
        let child = Child {
            id: entry.id,
            service_id: self.store.name_of(entry),
            first_seen_at: entry.first_seen_at,
            severity: entry.severity,
            environment: entry.traits.environment,
        };
        let Some(rank) = child.rank(fact, in_cycle) else { return false };
        let Some(parent) = self.children.parent(slot) else { return true };
        // One that is forgotten stays its parent.
        let Some(parent) = self.upstreams.get(parent) else { return false };
        let in_cycle = self.rules.dependencies().in_cycle(child.service_id, &parent.service_id);
        child.rank(parent, in_cycle).is_none_or(|held| held < rank)
    }

    /// After a restore, and where a reload has changed the dependencies.
    pub(super) fn find_children(&mut self) {
        self.children = Children::default();
        let dependencies = self.rules.dependencies();
        let firing = self.store.slots().filter(|(_, entry)| entry.status.fires());
        let depend = firing.filter(|(_, entry)| !dependencies.upstreams(self.store.name_of(entry)).is_empty());
        let slots: Vec<Slot> = depend.map(|(slot, _)| slot).collect();
        for slot in slots {
            if let Some(full) = self.store.get(slot).and_then(|entry| entry.full().ok()) {
                self.children.put(slot, &full, &self.upstreams);
            }
        }
    }
}
