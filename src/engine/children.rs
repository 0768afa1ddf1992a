//! Which incidents a parent's fact may concern: those that hang on it, and those that it may take.
//!
//! A service that many depend on has thousands of incidents near each of its own; looking at all of them for every fact
//! would cost more than all else. Derived from the incidents, and rebuilt with them.

use crate::engine::candidates::{Candidates, Dependent};
use crate::engine::entry::{Entry, Full, Slot};
use crate::engine::lifecycle::is_overflow;
use crate::engine::links::is_cascade;
use crate::engine::parents::{Child, Rank};
use crate::engine::shard::Shard;
use crate::engine::upstreams::{Upstreams, WINDOW};
use crate::model::{IncidentId, Time, Upstream};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use std::collections::BTreeSet;
use std::rc::Rc;

/// Of incidents that fire, are no duplicates, and whose service depends on another.
#[derive(Default)]
pub struct Children {
    ties: HashMap<Slot, Tie, FxBuildHasher>,
    by_parent: HashMap<IncidentId, BTreeSet<Slot>, FxBuildHasher>,
    /// By service and age those that may want a parent first seen after them: no parent suppresses them, or one that itself
    /// came later, and the earliest of these is the best.
    loose: HashMap<Dependent, BTreeSet<(Time, Slot)>, FxBuildHasher>,
}

#[derive(PartialEq)]
pub struct Tie {
    pub parent: Option<IncidentId>,
    loose: bool,
    first_seen_at: Time,
    /// Its service.
    pub dependent: Dependent,
}

impl Children {
    /// An incident has changed.
    pub fn put(&mut self, slot: Slot, full: &Full, dependent: Dependent, upstreams: &Upstreams) {
        let incident = &full.incident;
        if !incident.status.fires() || full.book.link.root.is_some() || is_overflow(incident.dedup_key.as_deref()) {
            return self.remove(slot);
        }
        let parent = incident.parent_incident_id.filter(|_| is_cascade(full));
        let at = incident.first_seen_at;
        let is_loose =
            !incident.suppressed || parent.and_then(|id| upstreams.get(id)).is_none_or(|parent| parent.first_seen_at > at);
        let tie = Tie { parent, loose: is_loose, first_seen_at: at, dependent };
        if self.ties.get(&slot) == Some(&tie) {
            return;
        }
        self.remove(slot);
        if let Some(parent) = parent {
            self.by_parent.entry(parent).or_default().insert(slot);
        }
        if tie.loose {
            self.loose.entry(dependent).or_default().insert((tie.first_seen_at, slot));
        }
        self.ties.insert(slot, tie);
    }

    pub fn remove(&mut self, slot: Slot) {
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
            && let Some(loose) = self.loose.get_mut(&tie.dependent)
        {
            loose.remove(&(tie.first_seen_at, slot));
            if loose.is_empty() {
                self.loose.remove(&tie.dependent);
            }
        }
    }

    /// Of one that fires, is no duplicate, and whose service depends on another.
    pub fn tie(&self, slot: Slot) -> Option<&Tie> {
        self.ties.get(&slot)
    }

    fn of(&self, parent: IncidentId) -> impl Iterator<Item = Slot> {
        self.by_parent.get(&parent).into_iter().flatten().copied()
    }

    fn loose(&self, dependent: Dependent, from: Time, to: Time) -> impl Iterator<Item = Slot> {
        let loose = self.loose.get(&dependent).into_iter();
        loose.flat_map(move |seen| seen.range((from, 0)..(to, 0))).map(|(_, slot)| *slot)
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

/// Does it matter to those that hang on it already?
fn matters(before: &Upstream, fact: &Upstream) -> bool {
    let fires = fact.status.fires();
    gains(before, fact)
        || before.muted != fact.muted
        || before.untold != fact.untold
        || before.duplicate != fact.duplicate
        || before.active != fact.active
        || before.status.fires() != fires
        || (!fires && before.at != fact.at)
}

impl Shard {
    /// Notes those of ours whose link may be another now that `fact` is known; what was known of it before still is.
    pub(super) fn recheck_dependents(&mut self, fact: &Upstream, now: Time) {
        let before = self.upstreams.get(fact.id);
        if before.is_none_or(|before| matters(before, fact)) {
            self.concerned.extend(self.children.of(fact.id));
        }
        if before.is_some_and(|before| !gains(before, fact)) {
            return;
        }
        let at = fact.first_seen_at;
        let dependencies = Rc::clone(self.rules.dependencies());
        let due = self.next_look(now);
        for dependent in self.candidates.children(&fact.service_id).iter().copied() {
            let in_cycle = dependencies.in_cycle(self.candidates.name_of(dependent), &fact.service_id);
            // Earlier ones that are suppressed by what came before them have a better parent than one that came later.
            let loose: SmallVec<[Slot; 16]> = self.children.loose(dependent, at + -WINDOW, at + (WINDOW + 1)).collect();
            for slot in loose {
                let Some(entry) = self.store.get(slot).filter(|_| !self.concerned.contains(&slot)) else { continue };
                let Some(rank) = self.takes(fact, in_cycle, slot, entry) else { continue };
                if rank.suppresses && !entry.traits.suppressed {
                    self.concerned.insert(slot);
                } else {
                    self.stale.mark(dependent, entry.first_seen_at, entry.first_seen_at, due);
                }
            }
            if self.has_later(dependent, at) {
                self.stale.mark(dependent, at, at + WINDOW, due);
            }
        }
    }

    /// Has a service incidents that were first seen at `at` or within the window after it? Nearly always there is nothing later.
    fn has_later(&self, dependent: Dependent, at: Time) -> bool {
        let around = || self.store.around(self.candidates.name_of(dependent), at, at + WINDOW).next().is_some();
        match self.candidates.newest(dependent) {
            newest if newest < at => false,
            newest => newest <= at + WINDOW || around(),
        }
    }

    /// Its rank, where `fact` is a better parent for an incident than the one that it has.
    fn takes(&self, fact: &Upstream, in_cycle: bool, slot: Slot, entry: &Entry) -> Option<Rank> {
        let child = Child::of_entry(entry, self.store.name_of(entry));
        let rank = child.rank(fact, in_cycle)?;
        let Some(parent) = self.children.tie(slot)?.parent else { return Some(rank) };
        // One that is forgotten stays its parent.
        let parent = self.upstreams.get(parent)?;
        let in_cycle = self.rules.dependencies().in_cycle(child.service_id, &parent.service_id);
        child.rank(parent, in_cycle).is_none_or(|held| held < rank).then_some(rank)
    }

    /// After a restore, and where a reload has changed the dependencies.
    pub(super) fn find_children(&mut self) {
        self.children = Children::default();
        let dependencies = self.rules.dependencies();
        self.candidates = Candidates::of(&self.upstreams);
        let mut depend = Vec::new();
        for (slot, entry) in self.store.slots() {
            let dependent = self.candidates.watch(self.store.name_of(entry), entry.first_seen_at, dependencies);
            depend.extend(dependent.filter(|_| entry.status.fires()).map(|dependent| (slot, dependent)));
        }
        self.stale.forget_marks();
        for (slot, dependent) in depend {
            let Some(entry) = self.store.get(slot) else { continue };
            if let Ok(full) = entry.full() {
                self.children.put(slot, &full, dependent, &self.upstreams);
            }
            if self.better_parent(slot, entry).is_some() {
                self.stale.mark_again(dependent, entry.first_seen_at);
            }
        }
    }
}
