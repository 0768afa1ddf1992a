//! The engine over an in-memory log: what a history of records would have produced (SPEC 5, `incidentd replay`).
//!
//! Both clocks come from the records: wall time is a line's `at` (its alert's timestamp where it says none), never goes
//! back, and timers run at their due times in between. Nothing here reads the machine's clock, so the same lines give the
//! same output, byte for byte. The same driver runs the tests' cases three ways (see [`Fault`]), and `rules test`'s.
//!
//! - `line`, `ahead`: what the input says; `play`: a file of it, read ahead on a thread of its own; `out`: what comes out
//! - `take`: one record in one transaction; `log`: the changelog in memory; `said`: names for what the output has told of

mod ahead;
mod line;
mod log;
mod out;
mod play;
mod said;
mod take;

pub use ahead::Ahead;
pub use line::{Line, parse_duration, parse_moment};
pub use out::{Produced, Told, What, Writer};
pub use play::play;

use crate::codec;
use crate::engine::{self, Shard};
use crate::model::{AlertOutcome, Origin, Output, Time, Topic, home::home};
use crate::rules::{Diagnostic, Limits, RuleSet, RuleSource};
use log::StateLog;
use said::{Named, Said};
use std::borrow::Cow;
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use take::{Letter, Outgoing, Pending, Shards, Taken};

/// So often shards may answer each other, or a timer be due again, without time passing.
const ROUNDS: u32 = 10_000;

/// What goes wrong after every line; the committed output must be the same whatever it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fault {
    None,
    /// Every shard is dropped and restored from its changelog after each commit.
    RestartAfterEach,
    /// Every transaction is aborted once: what it did is lost, and the line is taken again.
    AbortEachOnce,
}

/// A replay under way.
pub struct Replay {
    codec: Arc<codec::Settings>,
    settings: Arc<engine::Settings>,
    rules: Rc<RuleSet>,
    fault: Fault,
    now: Time,
    shards: BTreeMap<u32, Shard>,
    /// When each shard's next timer is due: asked anew only of those that a transaction has touched.
    dues: BTreeMap<u32, Time>,
    /// The earliest of them.
    due: Time,
    states: BTreeMap<u32, StateLog>,
    /// What stands in the inboxes, each with its partition, in the order in which it was written.
    inbox: VecDeque<(u32, Letter)>,
    /// The next offset of each partition of each input topic.
    offsets: BTreeMap<(Topic, u32), i64>,
    said: Said,
    outcomes: [u64; AlertOutcome::ALL.len()],
    /// Its room is kept from one transaction to the next.
    pending: Pending,
}

impl Replay {
    /// `rules`: several replays may share one set.
    pub fn new(codec: codec::Settings, settings: engine::Settings, rules: impl Into<Rc<RuleSet>>, fault: Fault) -> Replay {
        Replay {
            codec: Arc::new(codec),
            settings: Arc::new(settings),
            rules: rules.into(),
            fault,
            now: Time(0),
            shards: BTreeMap::new(),
            dues: BTreeMap::new(),
            due: Time::NEVER,
            states: BTreeMap::new(),
            inbox: VecDeque::new(),
            offsets: BTreeMap::new(),
            said: Said::default(),
            outcomes: Default::default(),
            pending: Pending::default(),
        }
    }

    /// Wall time as the lines have driven it.
    pub fn now(&self) -> Time {
        self.now
    }

    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }

    /// How many shards there are.
    pub fn partitions(&self) -> u32 {
        self.settings.partitions
    }

    /// How records are read and written.
    pub fn codec(&self) -> &Arc<codec::Settings> {
        &self.codec
    }

    /// How many alerts ended how; those that none did are left out.
    pub fn outcomes(&self) -> impl Iterator<Item = (AlertOutcome, u64)> {
        AlertOutcome::ALL.into_iter().map(|outcome| (outcome, self.outcomes[outcome as usize])).filter(|(_, count)| *count > 0)
    }

    /// Takes one line of the input; an error says what of it cannot be understood, and nothing has happened.
    pub fn line(&mut self, line: &[u8], sink: &mut dyn FnMut(Produced)) -> Result<(), String> {
        let codec = Arc::clone(&self.codec);
        self.take(&mut Ahead::of(line, &codec, self.settings.partitions), &mut |told| {
            if let Some(produced) = told.record(&codec) {
                sink(produced);
            }
        })
    }

    /// The same of a line that was read ahead.
    pub fn take(&mut self, line: &mut Ahead<'_>, sink: &mut dyn FnMut(Told)) -> Result<(), String> {
        match line {
            Ahead::Alert { opened, home, at } => {
                let at = at.unwrap_or(self.now);
                self.run_until(at, sink)?;
                self.alert(opened, *home, at, sink)?;
            }
            Ahead::Line(line) => match std::mem::replace(line, Err(String::new()))? {
                Line::Advance(by) => return self.run_until(self.now + by, sink),
                Line::Record { topic, key, value, at } => {
                    let at = at.unwrap_or(self.now);
                    self.run_until(at, sink)?;
                    self.record(topic, key.as_deref(), value, at, sink)?;
                }
            },
        }
        // Whatever is due at this very moment is due, also where no further line comes.
        self.run_until(self.now, sink)
    }

    /// Has the shard look for the incident of an alert that is about to be taken.
    pub fn expect(&self, line: &Ahead<'_>) {
        if let Ahead::Alert { opened, home, .. } = line
            && let Some((shard, fingerprint)) = self.shards.get(home).zip(opened.fingerprint())
        {
            shard.expect(fingerprint);
        }
    }

    /// Lets time pass: every timer up to `until` runs at its own time.
    pub fn run_until(&mut self, until: Time, sink: &mut dyn FnMut(Told)) -> Result<(), String> {
        let mut idle = 0;
        while self.due <= until && self.due != Time::NEVER {
            let due = self.due;
            idle = if due > self.now { 0 } else { idle + 1 };
            if idle > ROUNDS {
                return Err(format!("after {ROUNDS} looks a timer is still due at {}: a fault of incidentd", self.now));
            }
            self.now = self.now.max(due);
            let now = self.now;
            // A fault puts every shard back to its changelog, and what a look has found out of any timer is lost with it: then
            // all must look at once.
            let looks = |due: Time| due <= now || self.fault != Fault::None;
            let ticking: Vec<u32> = self.dues.iter().filter(|(_, due)| looks(**due)).map(|(at, _)| *at).collect();
            self.transaction(sink, &mut |shards, pending| {
                for partition in &ticking {
                    shards.tick(now, *partition, pending);
                }
            });
            self.exchange(sink)?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    /// Where the next record of that partition stands.
    fn origin(&mut self, topic: Topic, partition: u32) -> Origin {
        let next = self.offsets.entry((topic, partition)).or_insert(0);
        let origin = Origin { topic, partition, offset: *next, index: 0 };
        *next += 1;
        origin
    }

    /// A plain alert, without a key: it stands at its home, where a producer that knows the contract puts it.
    fn alert(&mut self, opened: &mut codec::Opened<'_>, home: u32, at: Time, sink: &mut dyn FnMut(Told)) -> Result<(), String> {
        opened.record.origin = self.origin(Topic::Alerts, home);
        opened.record.time = at;
        let now = self.now;
        self.transaction(sink, &mut |shards, pending| shards.alerts(now, opened, None, pending));
        self.exchange(sink)
    }

    fn record(
        &mut self,
        topic: Topic,
        key: Option<&[u8]>,
        value: Option<Cow<'_, [u8]>>,
        at: Time,
        sink: &mut dyn FnMut(Told),
    ) -> Result<(), String> {
        let (value, unknown) = match (topic, value) {
            (Topic::Commands, Some(value)) => match self.said.name(value) {
                Named::Command(value) => (Some(value), None),
                Named::Nothing { value, reason } => (Some(value), Some(reason)),
                Named::Ignored => return Ok(()),
            },
            (_, value) => (value, None),
        };
        // Without a key its home: where a producer that knows the contract puts it.
        let partitions = self.settings.partitions;
        let partition = match key {
            Some(key) => home(key, partitions),
            None => line::home_of(topic, value.as_deref(), partitions, &self.codec),
        };
        let origin = self.origin(topic, partition);
        let input = Taken { origin, time: at, key: key.map(<[u8]>::to_vec), value: value.map(Cow::into_owned) };
        let now = self.now;
        self.transaction(sink, &mut |shards, pending| match &unknown {
            Some(reason) => shards.bury(&input, "command", reason, pending),
            None => shards.take(now, partition, &input, pending),
        });
        self.exchange(sink)
    }

    /// Takes all records of the inboxes, each in a transaction of its own, and what those lead to.
    fn exchange(&mut self, sink: &mut dyn FnMut(Told)) -> Result<(), String> {
        let now = self.now;
        for _ in 0..ROUNDS {
            if self.inbox.is_empty() {
                return Ok(());
            }
            for (partition, letter) in std::mem::take(&mut self.inbox) {
                self.transaction(sink, &mut |shards, pending| shards.open(now, partition, &letter, pending));
            }
        }
        Err(format!("after {ROUNDS} rounds the shards still have things to tell each other: a fault of incidentd"))
    }

    /// Works, perhaps fails, works again, and commits.
    fn transaction(&mut self, sink: &mut dyn FnMut(Told), work: &mut dyn FnMut(&mut Shards<'_>, &mut Pending)) {
        let mut pending = std::mem::take(&mut self.pending);
        self.work(work, &mut pending);
        if self.fault == Fault::AbortEachOnce {
            self.restart();
            pending = Pending::default();
            self.work(work, &mut pending);
        }
        if self.fault != Fault::None {
            for (partition, shard) in &mut self.shards {
                let state = self.states.entry(*partition).or_default();
                shard.changelog(&mut |record| state.append(record));
            }
        }
        // A look at timers of which none was due yet commits nothing.
        let committed = !pending.results.is_empty() || pending.worked;
        for (total, count) in self.outcomes.iter_mut().zip(&mut pending.outcomes) {
            *total += std::mem::take(count);
        }
        for result in pending.results.drain(..) {
            let what = match result {
                Outgoing::Letter { to, letter } => {
                    self.inbox.push_back((to, letter));
                    continue;
                }
                Outgoing::Buried(record) => What::Buried(record),
                Outgoing::Said(Output::Fact { to, fact }) => {
                    // As bytes: what does not survive the inbox shall not survive it here.
                    let letter = |to: u32| (to, Letter::Fact(codec::write_fact(to, &fact, &self.codec)));
                    self.inbox.extend(to.into_iter().map(letter));
                    continue;
                }
                Outgoing::Said(output) => {
                    self.said.hear(&output);
                    What::Said(output)
                }
            };
            sink(Told { at: self.now, what });
        }
        for partition in pending.touched.drain(..) {
            if let Some(shard) = self.shards.get_mut(&partition) {
                if self.fault == Fault::None {
                    shard.leave_unwritten();
                }
                self.dues.insert(partition, shard.next_due());
            }
        }
        self.due = self.dues.values().copied().min().unwrap_or(Time::NEVER);
        pending.worked = false;
        self.pending = pending;
        if self.fault == Fault::RestartAfterEach && committed {
            self.restart();
        }
    }

    fn work(&mut self, work: &mut dyn FnMut(&mut Shards<'_>, &mut Pending), pending: &mut Pending) {
        let Replay { codec, settings, rules, shards, .. } = self;
        work(&mut Shards { codec, settings, rules, shards }, pending);
    }

    /// Drops every shard and restores it from what was committed.
    fn restart(&mut self) {
        for (partition, shard) in &mut self.shards {
            *shard = Shard::new(*partition, Arc::clone(&self.settings), Rc::clone(&self.rules));
            if let Some(state) = self.states.get(partition) {
                state.restore(shard);
            }
            self.dues.insert(*partition, shard.next_due());
        }
        self.due = self.dues.values().copied().min().unwrap_or(Time::NEVER);
    }
}

/// Loads a rule set for a replay, or says everything that is wrong with it. Scripts are bounded by operations alone, so that
/// a slow machine changes nothing; one that fails does what it does in force: it fails open.
pub fn load_rules(source: &RuleSource) -> Result<RuleSet, Vec<Diagnostic>> {
    RuleSet::load(source, &Limits { refuse_failing: false, ..Limits::default() }).map(|(rules, _)| rules)
}
