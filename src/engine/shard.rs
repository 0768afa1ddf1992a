//! One partition's state and its two moves: decide, then apply.

use crate::engine::book::{RuleKey, rule_key};
use crate::engine::changelog::{CountRing, Gone};
use crate::engine::closed::Closed;
use crate::engine::entry::{Dirty, Slot};
use crate::engine::step::{Change, Step};
use crate::engine::store::Store;
use crate::engine::timers::Timers;
use crate::engine::{Input, Settings};
use crate::model::{AlertOutcome, Fingerprint, Output, Severity, Status, Time};
use crate::rules::RuleSet;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// All state of one partition.
pub struct Shard {
    pub(super) partition: u16,
    pub(super) settings: Arc<Settings>,
    pub(super) rules: Rc<RuleSet>,
    /// Index of each notification rule by its key.
    pub(super) rules_by_key: BTreeMap<RuleKey, usize>,
    pub(super) store: Store,
    pub(super) closed: Closed,
    pub(super) timers: Timers,
    pub(super) ring: CountRing,
    /// Entries that the changelog has to hear of at the next commit.
    pub(super) dirty: Vec<Slot>,
    /// Ids that left the store or the closed since then, with what replaces them.
    pub(super) gone: Vec<Gone>,
    /// The rule set's hash that the changelog has; `None` before the first commit.
    pub(super) logged_rules: Option<String>,
    due: Vec<Slot>,
}

impl Shard {
    /// An empty shard; `partition` is below 65,536 (the topics are checked for it).
    pub fn new(partition: u32, settings: Arc<Settings>, rules: Rc<RuleSet>) -> Shard {
        let mut shard = Shard {
            partition: partition as u16,
            settings,
            rules: Rc::clone(&rules),
            rules_by_key: BTreeMap::new(),
            store: Store::default(),
            closed: Closed::default(),
            timers: Timers::default(),
            ring: CountRing::default(),
            dirty: Vec::new(),
            gone: Vec::new(),
            logged_rules: None,
            due: Vec::new(),
        };
        shard.take_rules(rules);
        shard
    }

    /// Takes one input at wall time `now`; what it says is appended to `out`.
    pub fn process(&mut self, now: Time, input: Input<'_>, out: &mut Vec<Output>) -> AlertOutcome {
        let mut step = Step { changes: SmallVec::new(), outputs: out };
        let outcome = self.step(now, input, &mut step);
        self.apply(step.changes);
        outcome
    }

    /// A hint that an alert with that fingerprint is about to be processed.
    pub fn expect(&self, fingerprint: &Fingerprint) {
        self.store.prefetch_identity(fingerprint);
    }

    /// Decides what an input does; changes nothing.
    pub fn step<'a>(&self, now: Time, input: Input<'a>, step: &mut Step<'a>) -> AlertOutcome {
        match input {
            Input::Alert(alert) => self.alert(now, alert, step),
        }
    }

    /// The only mutator.
    pub fn apply<'a>(&mut self, changes: impl IntoIterator<Item = Change<'a>>) {
        for change in changes {
            match change {
                Change::Count { slot, counts, fired } => {
                    let max_sources = self.settings.max_sources;
                    let Some(entry) = self.store.get_mut(slot) else { continue };
                    entry.counts = counts;
                    let joined =
                        fired.is_some_and(|signal| entry.sources.fire(signal, max_sources) == super::sources::Fired::Joined);
                    self.touch(slot, if joined { Dirty::Snapshot } else { Dirty::Counts });
                }
                Change::Put { slot, full } => {
                    let slot = match slot {
                        Some(slot) => {
                            self.store.put(slot, &full);
                            slot
                        }
                        None => self.store.insert(&full),
                    };
                    self.touch(slot, Dirty::Snapshot);
                }
                Change::Close { slot, forget_at } => {
                    if let Some(id) = self.store.remove(slot) {
                        self.closed.insert(id, forget_at);
                        self.gone.push(Gone::Closed(id, forget_at));
                    }
                }
                Change::Forget { id } => {
                    self.closed.remove(id);
                    self.gone.push(Gone::Forgotten(id));
                }
            }
        }
    }

    /// An entry has changed: the changelog must hear of it, and the wheel of its next deadline.
    fn touch(&mut self, slot: Slot, dirty: Dirty) {
        let Some(entry) = self.store.get_mut(slot) else { return };
        if entry.dirty == Dirty::Clean {
            self.dirty.push(slot);
        }
        entry.dirty = entry.dirty.max(dirty);
        let due = entry.due(&self.settings);
        // Later than what stands in the wheel: the re-check puts it in again. Two are remembered, so that the many short
        // waits of a publication leave the one long wait behind them where it is.
        if due < entry.scheduled[0] {
            entry.scheduled = [due, entry.scheduled[0]];
            self.timers.insert(due, slot);
        }
    }

    /// Runs every timer that is due at `now`, entities in order of their due times.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        let mut due = std::mem::take(&mut self.due);
        self.timers.expire(now, &mut due);
        let mut ordered: SmallVec<[_; 8]> = SmallVec::new();
        for slot in due.drain(..) {
            let Some(entry) = self.store.get_mut(slot) else { continue };
            let [near, far] = entry.scheduled;
            if near <= now {
                entry.scheduled = [far, Time::NEVER];
            }
            if entry.scheduled[0] <= now {
                entry.scheduled = [Time::NEVER; 2];
            }
            ordered.push((entry.due(&self.settings), entry.id, slot));
        }
        self.due = due;
        ordered.sort_unstable();
        ordered.dedup();
        for (at, _, slot) in ordered {
            if at > now {
                self.reschedule(slot);
                continue;
            }
            // Each pass moves the deadline on; an entry owes at most a publication, reminders, staleness and closing.
            for _ in 0..64 {
                let mut step = Step { changes: SmallVec::new(), outputs: out };
                if !self.entry_due(now, slot, &mut step) {
                    break;
                }
                self.apply(step.changes);
            }
            self.reschedule(slot);
        }
        while let Some((_, id)) = self.closed.next().filter(|(forget_at, _)| *forget_at <= now) {
            out.push(Output::IncidentGone(id));
            self.apply([Change::Forget { id }]);
        }
        while self.closed.len() > self.settings.max_closed
            && let Some((_, id)) = self.closed.next()
        {
            out.push(Output::IncidentGone(id));
            self.apply([Change::Forget { id }]);
        }
    }

    fn reschedule(&mut self, slot: Slot) {
        let Some(entry) = self.store.get_mut(slot) else { return };
        let due = entry.due(&self.settings);
        if due < entry.scheduled[0] {
            entry.scheduled = [due, entry.scheduled[0]];
            self.timers.insert(due, slot);
        }
    }

    /// When the next timer is due at the earliest; `Time::NEVER` without any. May be early, never late.
    pub fn next_due(&self) -> Time {
        self.timers.next_due().min(self.closed.next().map_or(Time::NEVER, |(forget_at, _)| forget_at))
    }

    pub fn timers_pending(&self) -> usize {
        self.timers.len() + self.closed.len()
    }

    /// A reload: limits, timers and attempts are kept. Every open incident is asked anew at its next occurrence.
    pub fn set_rules(&mut self, rules: Rc<RuleSet>) {
        self.take_rules(rules);
        self.ask_all();
    }

    fn take_rules(&mut self, rules: Rc<RuleSet>) {
        self.rules_by_key = rules.notifications().iter().enumerate().map(|(at, rule)| (rule_key(&rule.name), at)).collect();
        self.rules = rules;
    }

    pub(super) fn ask_all(&mut self) {
        let slots: Vec<Slot> = self.store.slots().map(|(slot, _)| slot).collect();
        for slot in slots {
            if let Some(entry) = self.store.get_mut(slot) {
                entry.timing.ask_at = 0;
            }
        }
    }

    /// After a restore: every deadline into the wheel.
    pub(super) fn schedule_all(&mut self) {
        let slots: Vec<Slot> = self.store.slots().map(|(slot, _)| slot).collect();
        for slot in slots {
            self.reschedule(slot);
        }
    }

    /// For the gauges: incidents that are not closed, by severity and status, zeros included.
    pub fn open(&self, each: &mut dyn FnMut(Severity, Status, u64)) {
        self.store.open(each);
    }
}
