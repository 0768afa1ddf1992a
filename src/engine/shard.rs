//! One partition's state and its two moves: decide, then apply.

use crate::engine::announce::{Audiences, audiences};
use crate::engine::attempts::Attempts;
use crate::engine::book::{RuleKey, rule_key};
use crate::engine::budget::Budgets;
use crate::engine::candidates::Candidates;
use crate::engine::changelog::{Gone, asked_anew};
use crate::engine::children::Children;
use crate::engine::closed::Closed;
use crate::engine::context::Contexts;
use crate::engine::counted::Counted;
use crate::engine::desks::Desks;
use crate::engine::entry::{Dirty, Slot};
use crate::engine::follow::Standing;
use crate::engine::sides::Side;
use crate::engine::silences::Silences;
use crate::engine::stale::Stale;
use crate::engine::step::{Change, Step};
use crate::engine::store::Store;
use crate::engine::timers::Timers;
use crate::engine::upstreams::Upstreams;
use crate::engine::{Input, Outcome, Settings};
use crate::model::{Fingerprint, Output, Severity, Status, Time};
use crate::rules::RuleSet;
use hashbrown::HashSet;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use std::collections::{BTreeMap, BTreeSet};
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
    pub(super) counted: Counted,
    /// Entries that the changelog has to hear of at the next commit.
    pub(super) dirty: Vec<Slot>,
    /// Ids that left the store or the closed since then, with what replaces them.
    pub(super) gone: Vec<Gone>,
    pub(super) silences: Silences,
    pub(super) upstreams: Upstreams,
    pub(super) audiences: Audiences,
    pub(super) candidates: Candidates,
    pub(super) children: Children,
    pub(super) contexts: Contexts,
    pub(super) desks: Desks,
    pub(super) attempts: Attempts,
    pub(super) budgets: Budgets,
    /// Of these what the changelog has to hear of at the next commit.
    pub(super) sides: BTreeSet<Side>,
    /// Incidents whose links others' changes may have changed, and those that facts concern; empty between inputs.
    pub(super) recheck: Vec<Slot>,
    pub(super) concerned: HashSet<Slot, FxBuildHasher>,
    pub(super) stale: Stale,
    /// Incidents whose dependencies a reload has changed.
    pub(super) review: Vec<Slot>,
    /// Whoever depends on them now is told of them anew.
    pub(super) announces_anew: bool,
    /// Far behind: nothing is said, and no timer runs (SPEC 4, catch-up).
    pub(super) holding: bool,
    /// The rule set's hash that the changelog has; `None` before the first commit.
    pub(super) logged_rules: Option<String>,
    due: Vec<Slot>,
}

impl Shard {
    /// An empty shard; `partition` is below 65,536 (the topics are checked for it).
    pub fn new(partition: u32, settings: Arc<Settings>, rules: Rc<RuleSet>) -> Shard {
        let mut shard = Shard {
            partition: partition as u16,
            rules: Rc::clone(&rules),
            rules_by_key: BTreeMap::new(),
            store: Store::default(),
            closed: Closed::default(),
            timers: Timers::default(),
            counted: Counted::default(),
            dirty: Vec::new(),
            gone: Vec::new(),
            silences: Silences::default(),
            upstreams: Upstreams::new(settings.keep_upstream()),
            audiences: audiences(rules.dependencies(), partition as u16, settings.partitions),
            candidates: Candidates::default(),
            children: Children::default(),
            contexts: Contexts::default(),
            desks: Desks::default(),
            attempts: Attempts::default(),
            budgets: Budgets::default(),
            sides: BTreeSet::new(),
            recheck: Vec::new(),
            concerned: HashSet::default(),
            stale: Stale::default(),
            review: Vec::new(),
            announces_anew: false,
            holding: false,
            logged_rules: None,
            due: Vec::new(),
            settings,
        };
        shard.take_rules(rules);
        shard
    }

    /// Takes one input at wall time `now`; what it says is appended to `out`.
    pub fn process(&mut self, now: Time, input: Input<'_>, out: &mut Vec<Output>) -> Outcome {
        if let Input::Fact(fact) = input {
            self.process_facts(now, std::slice::from_ref(fact), out);
            return Outcome::Done(None);
        }
        let mut step = Step::new(out);
        let outcome = self.step(now, input, &mut step);
        self.apply(step.changes);
        self.follow(now, out);
        outcome
    }

    /// A hint that an alert with that fingerprint is about to be processed.
    pub fn expect(&self, fingerprint: &Fingerprint) {
        self.store.prefetch_identity(fingerprint);
    }

    /// Decides what an input does; changes nothing.
    pub fn step<'a>(&self, now: Time, input: Input<'a>, step: &mut Step<'_, 'a>) -> Outcome {
        match input {
            Input::Alert(alert) => self.alert(now, alert, step),
            Input::Command { command, at } => self.command(now, command, at, step),
            Input::Event(event) => self.service_event(event, step),
            Input::Fact(fact) => self.fact(now, fact, step),
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
                            let changes = self.standing(slot).is_some_and(|before| before != Standing::of(&full));
                            self.store.put(slot, &full);
                            if changes {
                                self.recheck_identity(slot);
                            }
                            slot
                        }
                        None => self.store.insert(&full),
                    };
                    let (service_id, dependencies) = (&full.incident.service_id, self.rules.dependencies());
                    if let Some(dependent) = self.candidates.watch(service_id, full.incident.first_seen_at, dependencies) {
                        self.children.put(slot, &full, dependent, &self.upstreams);
                    }
                    self.touch(slot, Dirty::Snapshot);
                }
                Change::Touch { slot, at } => {
                    let Some(entry) = self.store.get_mut(slot) else { continue };
                    entry.counts.read_at = entry.counts.read_at.max(at);
                    self.touch(slot, Dirty::Counts);
                }
                Change::Related { slot, id } => {
                    let most = self.settings.max_related as u32;
                    let Some(entry) = self.store.get_mut(slot) else { continue };
                    entry.counts.related += 1;
                    // Past the limit it is only counted, and shown when something else is.
                    let listed = entry.counts.related <= most;
                    if listed {
                        entry.related.get_or_insert_default().push(id);
                        entry.counts.unpublished = true;
                    }
                    self.touch(slot, if listed { Dirty::Snapshot } else { Dirty::Counts });
                }
                Change::Seen { slot } => self.has_seen(slot),
                Change::Silence(silence) => {
                    self.sides.insert(Side::Silence(silence.id.clone()));
                    self.silences.put(silence);
                }
                Change::SilenceJudged { id, now } => {
                    self.silences.judged(&id, now);
                    self.sides.insert(Side::Silence(id));
                }
                Change::SilenceOver { id } => {
                    self.silences.remove(&id);
                    self.sides.insert(Side::Silence(id));
                }
                Change::Upstream { fact, now } => {
                    self.recheck_dependents(&fact, now);
                    let before = self.upstreams.put(Arc::clone(&fact));
                    self.candidates.put(before.as_deref(), &fact);
                }
                Change::ForgetUpstream { id } => {
                    if let Some(fact) = self.upstreams.remove(id) {
                        self.candidates.remove(&fact);
                    }
                }
                Change::Context { service_id, context } => {
                    self.sides.insert(Side::Service(service_id.clone()));
                    self.sides.extend(self.contexts.put(service_id, context).map(Side::Service));
                }
                Change::Desk(change) => self.apply_desk(change),
                Change::Attempt { key, attempt } => {
                    self.sides.insert(Side::Attempt(key.clone()));
                    self.attempts.put(key, attempt);
                }
                Change::ForgetAttempt { key } => {
                    self.attempts.remove(&key);
                    self.sides.insert(Side::Attempt(key));
                }
                Change::Budget { rule, grants } => {
                    self.sides.insert(Side::Budget(rule.clone()));
                    if grants.is_empty() {
                        self.budgets.remove(&rule);
                    } else {
                        self.budgets.put(rule, grants);
                    }
                }
                Change::Close { slot, forget_at } => {
                    self.recheck_identity(slot);
                    self.children.remove(slot);
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

    /// Far behind the end of its partitions a shard says nothing and lets no timer run; what is then still true is said
    /// when that ends (SPEC 4, catch-up).
    pub fn hold(&mut self, holding: bool) {
        self.holding = holding;
    }

    /// An entry has changed: the changelog must hear of it, and the wheel of its next deadline.
    fn touch(&mut self, slot: Slot, dirty: Dirty) {
        let Some(entry) = self.store.get_mut(slot) else { return };
        if entry.dirty == Dirty::Clean {
            self.dirty.push(slot);
        }
        entry.dirty = entry.dirty.max(dirty);
        entry.schedule(slot, &self.settings, &mut self.timers);
    }

    /// Runs every timer that is due at `now`, entities in order of their due times.
    pub fn tick(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.holding {
            return;
        }
        self.follow(now, out);
        self.look_at_stale(now, out);
        self.silences_due(now, out);
        self.review_links(now, out);
        let mut due = std::mem::take(&mut self.due);
        self.timers.expire(now, &mut due);
        let mut ordered: SmallVec<[_; 8]> = SmallVec::new();
        for slot in due.drain(..) {
            let Some(entry) = self.store.get_mut(slot) else { continue };
            let [near, far] = entry.scheduled;
            if near <= now {
                entry.scheduled = [far, Time::NEVER];
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
                let mut step = Step::new(out);
                if !self.entry_due(now, slot, &mut step) {
                    break;
                }
                self.apply(step.changes);
                self.follow(now, out);
            }
            self.reschedule(slot);
        }
        self.desks_due(now, out);
        while let Some((_, id)) = self.upstreams.next_end().filter(|(ends, _)| *ends <= now) {
            self.apply([Change::ForgetUpstream { id }]);
        }
        while let Some(key) = self.attempts.next().filter(|(at, _)| *at <= now).map(|(_, key)| key.clone()) {
            self.apply([Change::ForgetAttempt { key }]);
        }
        while let Some(rule) = self.budgets.next().filter(|(at, _)| *at <= now).map(|(_, rule)| rule.to_owned()) {
            self.apply([Change::Budget { rule, grants: Vec::new() }]);
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
        if let Some(entry) = self.store.get_mut(slot) {
            entry.schedule(slot, &self.settings, &mut self.timers);
        }
    }

    /// When the next timer is due at the earliest; `Time::NEVER` without any. May be early, never late.
    pub fn next_due(&self) -> Time {
        if self.holding {
            return Time::NEVER;
        }
        if !self.review.is_empty() || self.announces_anew || self.desks.waits() || self.closed.len() > self.settings.max_closed {
            return Time(i64::MIN);
        }
        let others = [
            self.stale.next(),
            self.closed.next().map(|(forget_at, _)| forget_at),
            self.silences.next().map(|(at, _)| at),
            self.upstreams.next_end().map(|(at, _)| at),
            self.desks.next().map(|(at, _)| at),
            self.attempts.next().map(|(at, _)| at),
            self.budgets.next().map(|(at, _)| at),
        ];
        others.into_iter().flatten().fold(self.timers.next_due(), Time::min)
    }

    pub fn timers_pending(&self) -> usize {
        self.timers.len() + self.closed.len()
    }

    /// A reload: limits, timers and attempts are kept. Where a rule that occurrences may concern has changed, the incidents
    /// that it may concern are asked anew at their next one, and where the dependencies have changed, what hangs on what is
    /// worked out anew at the next tick.
    pub fn set_rules(&mut self, rules: Rc<RuleSet>) {
        let (key, before) = (self.rules.occurrence_key(), Rc::clone(self.rules.dependencies()));
        self.take_rules(rules);
        if key != self.rules.occurrence_key() {
            self.ask_anew();
        }
        if before != *self.rules.dependencies() {
            self.audiences = audiences(self.rules.dependencies(), self.partition, self.settings.partitions);
            self.find_children();
            self.review(&before);
            self.announces_anew = true;
        }
    }

    fn take_rules(&mut self, rules: Rc<RuleSet>) {
        self.rules_by_key = rules.notifications().iter().enumerate().map(|(at, rule)| (rule_key(&rule.name), at)).collect();
        self.rules = rules;
    }

    fn ask_anew(&mut self) {
        let asked = self.store.slots().map(|(slot, entry)| {
            let service_id = self.store.name_of(entry);
            (slot, asked_anew(&self.rules, service_id, entry.severity, entry.traits.environment))
        });
        for (slot, ask_at) in asked.collect::<Vec<_>>() {
            if let Some(entry) = self.store.get_mut(slot) {
                entry.timing.ask_at = ask_at;
            }
        }
    }

    /// After a restore: who hangs on whom, and every deadline into the wheel.
    pub(super) fn schedule_all(&mut self) {
        self.find_children();
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
