//! What a change of one incident means for others of its shard: those that hang on it are looked at again.

use crate::engine::entry::{Entry, Full, Slot};
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::model::{Output, Severity, Time};
use crate::rules::Dependencies;
use std::cmp::Reverse;
use std::rc::Rc;

/// What of a root concerns its duplicates, and of a duplicate those that would be its own.
#[derive(PartialEq)]
pub(super) struct Standing {
    fires: bool,
    severity: Severity,
    muted: bool,
    untold: bool,
    duplicate: bool,
    active: Vec<(Time, bool)>,
}

impl Standing {
    pub fn of(full: &Full) -> Standing {
        Standing {
            fires: full.incident.status.fires(),
            severity: full.incident.severity,
            muted: full.muted(),
            untold: full.untold(),
            duplicate: full.book.link.root.is_some(),
            active: full.book.active.clone(),
        }
    }
}

impl Shard {
    /// What of an incident concerns the others of its identity; `None` where there is no other.
    pub(super) fn standing(&self, slot: Slot) -> Option<Standing> {
        self.store.same_identity(slot).nth(1)?;
        self.store.get(slot)?.full().ok().map(|full| Standing::of(&full))
    }

    /// Duplicates hang on their root, which has changed; another of them may be it now.
    pub(super) fn recheck_identity(&mut self, slot: Slot) {
        let same = self.store.same_identity(slot);
        self.recheck.extend(same.filter(|(other, entry)| *other != slot && entry.status.fires()).map(|(slot, _)| slot));
    }

    /// Does what follows for others from what was applied: whom facts concern last, each once, however many facts there were.
    pub(super) fn follow(&mut self, now: Time, out: &mut Vec<Output>) {
        loop {
            while let Some(slot) = self.recheck.pop() {
                let mut step = Step::new(out);
                self.relink(now, slot, &mut step);
                self.apply(step.changes);
            }
            self.look_at_stale(now);
            if self.concerned.is_empty() {
                return;
            }
            let age = |slot: Slot| (self.store.get(slot).map(|entry| (entry.first_seen_at, entry.id)), slot);
            let mut concerned: Vec<_> = self.concerned.drain().map(age).collect();
            // Taken from its end: the oldest first.
            concerned.sort_unstable_by_key(|concerned| Reverse(*concerned));
            self.recheck.extend(concerned.into_iter().map(|(_, slot)| slot));
        }
    }

    /// The oldest first, wherever they lie: what is done to many is done in the same order after a restart.
    pub(super) fn by_age(&self, of: impl Fn(&Entry) -> bool) -> Vec<Slot> {
        let found = self.store.slots().filter(|(_, entry)| of(entry));
        let mut found: Vec<_> = found.map(|(slot, entry)| (entry.first_seen_at, entry.id, slot)).collect();
        found.sort_unstable();
        found.into_iter().map(|(.., slot)| slot).collect()
    }

    /// Marks every incident whose service has, or had before, a place in the dependencies, and whoever is kept quiet: which
    /// were in force before a restart is not known.
    pub(super) fn review(&mut self, before: &Dependencies) {
        let now = Rc::clone(self.rules.dependencies());
        let knows = |all: &Dependencies, service: &str| !all.upstreams(service).is_empty() || !all.dependents(service).is_empty();
        let concerned = |entry: &Entry| {
            let service = self.store.name_of(entry);
            entry.traits.suppressed || knows(before, service) || knows(&now, service)
        };
        self.review = self.by_age(concerned);
    }

    /// Works out anew what hangs on what, after the dependencies have changed.
    pub(super) fn review_links(&mut self, now: Time, out: &mut Vec<Output>) {
        let anew = std::mem::take(&mut self.announces_anew);
        let review = std::mem::take(&mut self.review);
        for slot in &review {
            let mut step = Step::new(out);
            self.relink(now, *slot, &mut step);
            self.apply(step.changes);
            self.follow(now, out);
        }
        if anew {
            // Of these nothing would be told any more, not even that they are over.
            let dependencies = Rc::clone(self.rules.dependencies());
            let unasked = self.upstreams.of_services(|service| dependencies.dependents(service).is_empty());
            self.apply(unasked.into_iter().map(|id| Change::ForgetUpstream { id }));
            for slot in review {
                let mut step = Step::new(out);
                self.announce_anew(now, slot, &mut step);
                self.apply(step.changes);
                self.follow(now, out);
            }
        }
    }
}
