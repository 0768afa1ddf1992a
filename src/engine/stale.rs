//! Links that would only name a better parent, and change nothing of who is told: worked out as counts are published.
//!
//! A shard that is behind others hears of the incidents that its own may hang on one after the other, each a better parent than
//! the one before: followed up at once, a storm of incidents would be linked, and published, dozens of times each. What makes
//! somebody quiet, and what becomes of the parent that he has, is never waited for. The rest is seen to when its counts are
//! published, and of those that do not count when the interval is over: the clock's, so that a restart changes little.

use crate::engine::entry::{Entry, Slot};
use crate::engine::parents::Child;
use crate::engine::shard::Shard;
use crate::model::time::{Millis, SECOND};
use crate::model::{Output, Time};
use hashbrown::{HashMap, HashSet};
use rustc_hash::FxBuildHasher;

/// So many are looked at before the next records are taken: a storm's are tens of thousands.
const AT_ONCE: usize = 256;

/// Of services, which of their incidents are to be looked at, by age. Not kept over a restart, which looks at all.
#[derive(Default)]
pub struct Stale {
    ranges: HashMap<String, (Time, Time), FxBuildHasher>,
    /// `None`: to be said by whoever knows what time it is.
    due: Option<Time>,
    /// Those whose interval is over, the last first.
    found: Vec<Slot>,
    /// The last look has left these to the publication of their counts.
    left: HashSet<Slot, FxBuildHasher>,
}

impl Stale {
    pub fn mark(&mut self, service_id: &str, from: Time, to: Time) {
        match self.ranges.get_mut(service_id) {
            Some(range) => *range = (range.0.min(from), range.1.max(to)),
            None => _ = self.ranges.insert(service_id.to_owned(), (from, to)),
        }
    }

    /// Was anything heard that may concern an incident of that age? A glance, where most were not.
    pub fn is_marked(&self, service_id: &str, first_seen_at: Time) -> bool {
        self.ranges.get(service_id).is_some_and(|(from, to)| (*from..=*to).contains(&first_seen_at))
    }

    /// When it is to be looked at; `None`: there is nothing. As early as can be where that was not said yet.
    pub fn next(&self) -> Option<Time> {
        if !self.found.is_empty() {
            return Some(Time(i64::MIN));
        }
        (!self.ranges.is_empty()).then(|| self.due.unwrap_or(Time(i64::MIN)))
    }

    /// What is to be looked at `now`: at the first multiple of `interval` after something was marked.
    fn take(&mut self, now: Time, interval: Millis) -> HashMap<String, (Time, Time), FxBuildHasher> {
        if self.ranges.is_empty() {
            return HashMap::default();
        }
        let next = Time((now.0 + interval - 1).div_euclid(interval) * interval);
        // Where the clock was set back it is not waited for.
        let due = *self.due.insert(self.due.unwrap_or(next).min(next));
        if now < due {
            return HashMap::default();
        }
        self.due = None;
        std::mem::take(&mut self.ranges)
    }
}

impl Shard {
    /// Those that would hang on another are linked anew, some of them, once the interval is over.
    pub(super) fn look_at_stale(&mut self, now: Time, out: &mut Vec<Output>) {
        // Nobody is to wait for a name for longer than a glance at the screen takes, however seldom counts are published.
        let interval = self.settings.publish_interval.clamp(SECOND, 10 * SECOND);
        let ranges = self.stale.take(now, interval);
        if !ranges.is_empty() {
            let around = ranges.iter().flat_map(|(service_id, (from, to))| self.store.around(service_id, *from, *to));
            let stale: Vec<Slot> = around.filter(|(slot, entry)| self.is_stale(*slot, entry)).map(|(slot, _)| slot).collect();
            let soon = self.settings.publish_interval <= interval;
            let left = std::mem::take(&mut self.stale.left);
            let counts =
                |slot: &Slot| soon && !left.contains(slot) && self.store.get(*slot).is_some_and(|entry| entry.counts.unpublished);
            let (counting, found): (Vec<Slot>, Vec<Slot>) = stale.into_iter().partition(counts);
            // The timer's publication sees to it, once; should another come before that, the next look does.
            self.stale.left.extend(&counting);
            for entry in counting.into_iter().filter_map(|slot| self.store.get(slot)) {
                self.stale.mark(self.store.name_of(entry), entry.first_seen_at, entry.first_seen_at);
            }
            self.stale.due = (!self.stale.left.is_empty()).then(|| Time((now.0.div_euclid(interval) + 1) * interval));
            let waiting = std::mem::take(&mut self.stale.found);
            self.stale.found = self.oldest_first(found.into_iter().chain(waiting));
            self.stale.found.dedup();
            self.stale.found.reverse();
        }
        for _ in 0..AT_ONCE {
            let Some(slot) = self.stale.found.pop() else { return };
            self.take_step(now, out, |shard, step| shard.relink(now, slot, step));
        }
    }

    /// Would it hang on another if it were worked out now? One that is forgotten stays its parent.
    pub(super) fn is_stale(&self, slot: Slot, entry: &Entry) -> bool {
        let Some(tie) = self.children.tie(slot) else { return false };
        if tie.parent.is_some_and(|parent| self.upstreams.get(parent).is_none()) {
            return false;
        }
        let child = Child::of_entry(entry, self.store.name_of(entry));
        self.parent_of(&child).map(|found| found.id) != tie.parent
    }
}
