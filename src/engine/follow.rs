//! What a change of one incident means for others of its shard: those that hang on it are looked at again.

use crate::engine::entry::{Entry, Slot};
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::engine::upstreams::WINDOW;
use crate::model::{Output, Time, Upstream};
use crate::rules::Dependencies;
use std::rc::Rc;

impl Shard {
    /// Duplicates hang on their root, which has changed.
    pub(super) fn recheck_duplicates(&mut self, slot: Slot) {
        let same = self.store.same_identity(slot);
        self.recheck.extend(same.filter(|(other, entry)| *other != slot && entry.traits.duplicate).map(|(slot, _)| slot));
    }

    /// Those of ours that may hang on an incident of another shard.
    pub(super) fn recheck_dependents(&mut self, fact: &Upstream) {
        let (from, to) = (fact.first_seen_at + -WINDOW, fact.first_seen_at + WINDOW);
        for service in self.rules.dependencies().dependents(&fact.service_id) {
            self.recheck.extend(self.store.around(service, from, to).map(|(slot, _)| slot));
        }
    }

    /// Does what follows for others from what was applied.
    pub(super) fn follow(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some(slot) = self.recheck.pop() {
            let mut step = Step::new(out);
            self.relink(now, slot, &mut step);
            self.apply(step.changes);
        }
    }

    /// Marks every incident whose service has, or had before, a place in the dependencies.
    pub(super) fn review(&mut self, before: &Dependencies) {
        let now = Rc::clone(self.rules.dependencies());
        let knows = |all: &Dependencies, service: &str| !all.upstreams(service).is_empty() || !all.dependents(service).is_empty();
        let concerned = |entry: &Entry| {
            let service = self.store.name_of(entry);
            knows(before, service) || knows(&now, service)
        };
        self.review = self.store.slots().filter(|(_, entry)| concerned(entry)).map(|(slot, _)| slot).collect();
    }

    /// Works out anew what hangs on what, after the dependencies have changed.
    pub(super) fn review_links(&mut self, now: Time, out: &mut Vec<Output>) {
        for slot in std::mem::take(&mut self.review) {
            let mut step = Step::new(out);
            self.relink(now, slot, &mut step);
            self.apply(step.changes);
            self.follow(now, out);
        }
    }
}
