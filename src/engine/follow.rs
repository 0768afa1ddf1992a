//! What a change of one incident means for others of its shard: those that hang on it are looked at again.

use crate::engine::entry::{Entry, Full, Slot};
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::model::home::home;
use crate::model::{Output, Severity, Time};
use crate::rules::Dependencies;
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
            if self.concerned.is_empty() {
                return;
            }
            let concerned = std::mem::take(&mut self.concerned);
            // Taken from its end.
            self.recheck.extend(self.oldest_first(concerned).into_iter().rev());
        }
    }

    /// Decides one thing, does it, and what follows for others.
    pub(super) fn take_step(&mut self, now: Time, out: &mut Vec<Output>, decide: impl FnOnce(&Shard, &mut Step<'_, '_>)) {
        let mut step = Step::new(out);
        decide(self, &mut step);
        self.apply(step.changes);
        self.follow(now, out);
    }

    /// Wherever they lie: what is done to many is done in the same order after a restart.
    pub(super) fn oldest_first(&self, slots: impl IntoIterator<Item = Slot>) -> Vec<Slot> {
        let age = |slot: Slot| (self.store.get(slot).map(|entry| (entry.first_seen_at, entry.id)), slot);
        let mut aged: Vec<_> = slots.into_iter().map(age).collect();
        aged.sort_unstable();
        aged.into_iter().map(|(_, slot)| slot).collect()
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
        let found = self.store.slots().filter(|(_, entry)| concerned(entry)).map(|(slot, _)| slot);
        self.review = self.oldest_first(found);
    }

    /// Works out anew what hangs on what, after the dependencies have changed.
    pub(super) fn review_links(&mut self, now: Time, out: &mut Vec<Output>) {
        let anew = std::mem::take(&mut self.announces_anew);
        let review = std::mem::take(&mut self.review);
        for slot in &review {
            self.take_step(now, out, |shard, step| shard.relink(now, *slot, step));
        }
        if anew {
            // Of these nothing would be told any more, not even that they are over.
            let dependencies = Rc::clone(self.rules.dependencies());
            let is_here = |service: &str| home(service.as_bytes(), self.settings.partitions) == u32::from(self.partition);
            let asks = |service: &str| dependencies.dependents(service).iter().any(|dependent| is_here(dependent));
            let unasked = self.upstreams.of_services(|service| !asks(service));
            self.apply(unasked.into_iter().map(|id| Change::ForgetUpstream { id }));
        }
        for slot in review {
            self.take_step(now, out, |shard, step| shard.announce_again(now, slot, anew, step));
        }
    }
}
