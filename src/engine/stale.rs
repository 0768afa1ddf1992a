//! Links that would only name a better parent, and change nothing of who is told: worked out as counts are published.
//!
//! A shard that is behind others hears of the incidents that its own may hang on one after the other, each a better parent than
//! the one before: followed up at once, a storm of incidents would be linked, and published, dozens of times each. What makes
//! somebody quiet, and what becomes of the parent that he has, is never waited for. The rest is seen to when its counts are
//! published, and of those that do not count when the interval is over: the clock's, and kept in the changelog, so that a restart
//! changes nothing.

use crate::engine::candidates::Dependent;
use crate::engine::changelog::{StateRecord, versioned};
use crate::engine::children::Tie;
use crate::engine::entry::{Entry, Full, Slot};
use crate::engine::parents::Child;
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::model::time::{Millis, SECOND};
use crate::model::{Output, Time, Upstream};
use hashbrown::{HashMap, HashSet};
use rustc_hash::FxBuildHasher;

/// So many are looked at before the next records are taken: a storm's are tens of thousands.
const AT_ONCE: usize = 256;

/// Which incidents are to be looked at. Not kept over a restart, which looks at all; when is.
#[derive(Default)]
pub struct Stale {
    marks: HashMap<Dependent, Mark, FxBuildHasher>,
    /// `None`: to be said by whoever knows what time it is.
    due: Option<Time>,
    /// As the changelog has it.
    logged_due: Option<Time>,
    /// Nobody has asked since what time it is: the clock may stand long before that of who wrote it.
    restored: bool,
    /// Those that are to be linked anew, the last first.
    found: Vec<Slot>,
    /// The same, to be asked for.
    waiting: HashSet<Slot, FxBuildHasher>,
}

/// Of a service those of an age.
struct Mark {
    from: Time,
    to: Time,
    /// These have been looked at since something was last heard that may concern the service's.
    seen: HashSet<Slot, FxBuildHasher>,
}

impl Stale {
    /// Of a service's incidents those first seen from `from` to `to` may want another parent. `due`: when they are looked at.
    pub fn mark(&mut self, dependent: Dependent, from: Time, to: Time, due: Time) {
        self.due = Some(self.due.filter(|_| !self.marks.is_empty()).map_or(due, |before| before.min(due)));
        self.put(dependent, from, to);
    }

    /// After a restore and after a reload: at the next look.
    pub fn mark_again(&mut self, dependent: Dependent, at: Time) {
        self.put(dependent, at, at);
    }

    fn put(&mut self, dependent: Dependent, from: Time, to: Time) {
        let mark = self.marks.entry(dependent).or_insert_with(|| Mark { from, to, seen: HashSet::default() });
        mark.from = mark.from.min(from);
        mark.to = mark.to.max(to);
        mark.seen.clear();
    }

    /// Services are about to be others.
    pub fn forget_marks(&mut self) {
        self.marks.clear();
    }

    /// When the next look is due, where that has changed.
    pub fn changelog(&mut self, sink: &mut dyn FnMut(StateRecord)) {
        // What was found is not waited for: after a restart it is found again at once.
        let due = if self.found.is_empty() { self.due } else { Some(Time(0)) };
        let Some(due) = due.filter(|due| self.logged_due != Some(*due)) else { return };
        self.logged_due = Some(due);
        sink(StateRecord { key: b"l".to_vec(), value: Some(versioned(&due)) });
    }

    /// Puts back what [`Stale::changelog`] has written.
    pub fn restore(&mut self, due: Time) {
        (self.due, self.logged_due, self.restored) = (Some(due), Some(due), true);
    }

    /// Was anything heard that may concern it since it was last looked at? A glance, where most are not concerned.
    fn is_marked(&self, dependent: Dependent, slot: Slot, first_seen_at: Time) -> bool {
        let mark = self.marks.get(&dependent);
        mark.is_some_and(|mark| (mark.from..=mark.to).contains(&first_seen_at) && !mark.seen.contains(&slot))
            || self.waiting.contains(&slot)
    }

    /// When it is to be looked at; `None`: there is nothing. As early as can be where that was not said yet.
    pub fn next(&self) -> Option<Time> {
        if !self.found.is_empty() {
            return Some(Time(i64::MIN));
        }
        (!self.marks.is_empty()).then(|| self.due.filter(|_| !self.restored).unwrap_or(Time(i64::MIN)))
    }

    /// What is to be looked at `now`. `next`: when another look would be due.
    fn take(&mut self, now: Time, next: Time) -> HashMap<Dependent, Mark, FxBuildHasher> {
        if self.marks.is_empty() {
            return HashMap::default();
        }
        self.restored = false;
        // Where the clock was set back it is not waited for.
        let due = *self.due.insert(self.due.unwrap_or(next).min(next));
        if now < due {
            return HashMap::default();
        }
        self.due = None;
        std::mem::take(&mut self.marks)
    }
}

impl Shard {
    /// Nobody is to wait for a name for longer than a glance at the screen takes, however seldom counts are published.
    fn look_interval(&self) -> Millis {
        self.settings.publish_interval.clamp(SECOND, 10 * SECOND)
    }

    /// When what is heard `now` is looked at: at the interval's first multiple after it.
    pub(super) fn next_look(&self, now: Time) -> Time {
        let interval = self.look_interval();
        Time((now.0.div_euclid(interval) + 1) * interval)
    }

    /// Those that would hang on another are linked anew, some of them, once the interval is over.
    pub(super) fn look_at_stale(&mut self, now: Time, out: &mut Vec<Output>) {
        let next = self.next_look(now);
        let mut marks = self.stale.take(now, next);
        if !marks.is_empty() {
            let mut waiting = std::mem::take(&mut self.stale.waiting);
            marks.retain(|dependent, mark| self.look(*dependent, mark, &mut waiting));
            self.stale.due = (!marks.is_empty()).then_some(next);
            self.stale.marks = marks;
            self.stale.found = self.oldest_first(waiting.iter().copied());
            self.stale.found.reverse();
            self.stale.waiting = waiting;
        }
        for _ in 0..AT_ONCE {
            let Some(slot) = self.stale.found.pop() else { return };
            self.stale.waiting.remove(&slot);
            self.take_step(now, out, |shard, step| shard.relink(now, slot, step));
        }
    }

    /// False: there is nothing of a service that is left to the publication of its counts, which is due before the next look.
    fn look(&self, dependent: Dependent, mark: &mut Mark, found: &mut HashSet<Slot, FxBuildHasher>) -> bool {
        let mut left: Option<(Time, Time)> = None;
        for (slot, entry) in self.store.around(self.candidates.name_of(dependent), mark.from, mark.to) {
            if mark.seen.contains(&slot) {
                continue;
            }
            let at = entry.first_seen_at;
            if entry.counts.unpublished && self.settings.publish_interval <= self.look_interval() {
                left = Some(left.map_or((at, at), |(from, to)| (from.min(at), to.max(at))));
                continue;
            }
            mark.seen.insert(slot);
            if self.better_parent(slot, entry).is_some() {
                found.insert(slot);
            }
        }
        (mark.from, mark.to) = left.unwrap_or((mark.from, mark.to));
        left.is_some()
    }

    /// To `incidents`, with the name of a better parent where there is one; true if its link has changed.
    pub(super) fn publish_counts(&self, slot: Slot, entry: &Entry, full: &mut Full, now: Time, step: &mut Step<'_, '_>) -> bool {
        let version = full.incident.version;
        let mut linked = false;
        let is_marked = |tie: &Tie| self.stale.is_marked(tie.dependent, slot, entry.first_seen_at);
        if self.children.tie(slot).is_some_and(is_marked) {
            step.changes.push(Change::Seen { slot });
            if let found @ Some(_) = self.better_parent(slot, entry) {
                linked = self.link_anew(full, found, now, step);
            }
        }
        if full.incident.version == version {
            full.publish(now, step);
        }
        linked
    }

    pub(super) fn has_seen(&mut self, slot: Slot) {
        let dependent = self.children.tie(slot).map(|tie| tie.dependent);
        if let Some(mark) = dependent.and_then(|dependent| self.stale.marks.get_mut(&dependent)) {
            mark.seen.insert(slot);
        }
    }

    /// On what it would hang if it were worked out now, where that is not what it hangs on; one that is forgotten stays its parent.
    pub(super) fn better_parent(&self, slot: Slot, entry: &Entry) -> Option<Option<&Upstream>> {
        let tie = self.children.tie(slot)?;
        if tie.parent.is_some_and(|parent| self.upstreams.get(parent).is_none()) {
            return None;
        }
        let child = Child::of_entry(entry, self.store.name_of(entry));
        let found = self.parent_of(&child);
        (found.map(|found| found.id) != tie.parent).then_some(found)
    }
}
