//! The engine over an in-memory log: what a history of records would have produced (SPEC 5, `incidentd replay`).
//!
//! Both clocks come from the records: wall time is a line's `at` (its alert's timestamp where it says none), never goes
//! back, and timers run at their due times in between. Nothing here reads the machine's clock, so the same lines give the
//! same output, byte for byte. The same driver runs the tests' cases three ways (see [`Fault`]).

mod line;
mod log;
mod said;
mod take;

pub use line::{Line, parse_moment};

use crate::codec::{self, OutRecord};
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

/// One record that would have been produced.
#[derive(Clone, Debug, PartialEq)]
pub struct Produced {
    /// Wall time.
    pub at: Time,
    pub record: OutRecord,
}

/// How many alerts ended how.
pub type Outcomes = BTreeMap<AlertOutcome, u64>;

/// A replay under way.
pub struct Replay {
    codec: codec::Settings,
    settings: Arc<engine::Settings>,
    rules: Rc<RuleSet>,
    fault: Fault,
    now: Time,
    shards: BTreeMap<u32, Shard>,
    states: BTreeMap<u32, StateLog>,
    /// What stands in the inboxes, each with its partition, in the order in which it was written.
    inbox: VecDeque<(u32, Letter)>,
    /// The next offset of each partition of each input topic.
    offsets: BTreeMap<(Topic, u32), i64>,
    said: Said,
    pub outcomes: Outcomes,
}

impl Replay {
    pub fn new(codec: codec::Settings, settings: engine::Settings, rules: RuleSet, fault: Fault) -> Replay {
        Replay {
            codec,
            settings: Arc::new(settings),
            rules: Rc::new(rules),
            fault,
            now: Time(0),
            shards: BTreeMap::new(),
            states: BTreeMap::new(),
            inbox: VecDeque::new(),
            offsets: BTreeMap::new(),
            said: Said::default(),
            outcomes: Outcomes::new(),
        }
    }

    /// Wall time as the lines have driven it.
    pub fn now(&self) -> Time {
        self.now
    }

    /// Takes one line of the input; an error says what of it cannot be understood, and nothing has happened.
    pub fn line(&mut self, line: &[u8], sink: &mut dyn FnMut(Produced)) -> Result<(), String> {
        match Line::parse(line)? {
            Line::Advance(by) => self.run_until(self.now + by, sink),
            Line::Record { topic, key, value, at } => {
                let at = at.unwrap_or(self.now);
                self.run_until(at, sink)?;
                self.record(topic, key.as_deref(), value, at, sink)?;
                // Whatever is due at this very moment is due, also where no further line comes.
                self.run_until(self.now, sink)
            }
        }
    }

    /// Lets time pass: every timer up to `until` runs at its own time.
    pub fn run_until(&mut self, until: Time, sink: &mut dyn FnMut(Produced)) -> Result<(), String> {
        let mut idle = 0;
        while let Some(due) = self.shards.values().map(Shard::next_due).min().filter(|due| *due <= until) {
            idle = if due > self.now { 0 } else { idle + 1 };
            if idle > ROUNDS {
                return Err(format!("after {ROUNDS} looks a timer is still due at {}: a fault of incidentd", self.now));
            }
            self.now = self.now.max(due);
            let now = self.now;
            self.transaction(sink, &mut |shards, pending| {
                for shard in shards.held() {
                    shard.tick(now, &mut pending.said);
                    pending.hear();
                }
            });
            self.exchange(sink)?;
        }
        self.now = self.now.max(until);
        Ok(())
    }

    fn record(
        &mut self,
        topic: Topic,
        key: Option<&[u8]>,
        value: Option<Cow<'_, [u8]>>,
        at: Time,
        sink: &mut dyn FnMut(Produced),
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
        let next = self.offsets.entry((topic, partition)).or_insert(0);
        let origin = Origin { topic, partition, offset: *next, index: 0 };
        *next += 1;
        let input = Taken { origin, time: at, key: key.map(<[u8]>::to_vec), value: value.map(Cow::into_owned) };
        let now = self.now;
        self.transaction(sink, &mut |shards, pending| match &unknown {
            Some(reason) => shards.bury(&input, "command", reason, pending),
            None => shards.take(now, partition, &input, pending),
        });
        self.exchange(sink)
    }

    /// Takes all records of the inboxes, each in a transaction of its own, and what those lead to.
    fn exchange(&mut self, sink: &mut dyn FnMut(Produced)) -> Result<(), String> {
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
    fn transaction(&mut self, sink: &mut dyn FnMut(Produced), work: &mut dyn FnMut(&mut Shards<'_>, &mut Pending)) {
        let mut pending = self.work(work);
        if self.fault == Fault::AbortEachOnce {
            self.restart();
            pending = self.work(work);
        }
        for (partition, shard) in &mut self.shards {
            let state = self.states.entry(*partition).or_default();
            if self.fault == Fault::None {
                continue;
            }
            shard.changelog(&mut |record| state.append(record));
        }
        // A look at timers of which none was due yet commits nothing.
        let committed = !pending.results.is_empty() || pending.worked;
        for (outcome, count) in pending.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        for result in pending.results {
            let record = match result {
                Outgoing::Letter { to, letter } => {
                    self.inbox.push_back((to, letter));
                    continue;
                }
                Outgoing::Buried(record) => Some(record),
                Outgoing::Said(Output::Fact { to, fact }) => {
                    // As bytes: what does not survive the inbox shall not survive it here.
                    let record = codec::write_output(&Output::Fact { to, fact }, &self.codec);
                    self.inbox.extend(record.map(|record| (to, Letter::Fact(record))));
                    continue;
                }
                Outgoing::Said(output) => {
                    self.said.hear(&output);
                    codec::write_output(&output, &self.codec)
                }
            };
            if let Some(record) = record {
                sink(Produced { at: self.now, record });
            }
        }
        if self.fault == Fault::RestartAfterEach && committed {
            self.restart();
        }
    }

    fn work(&mut self, work: &mut dyn FnMut(&mut Shards<'_>, &mut Pending)) -> Pending {
        let mut pending = Pending::default();
        let Replay { codec, settings, rules, shards, .. } = self;
        work(&mut Shards { codec, settings, rules, shards }, &mut pending);
        pending
    }

    /// Drops every shard and restores it from what was committed.
    fn restart(&mut self) {
        for (partition, shard) in &mut self.shards {
            *shard = Shard::new(*partition, Arc::clone(&self.settings), Rc::clone(&self.rules));
            if let Some(state) = self.states.get(partition) {
                state.restore(shard);
            }
        }
    }
}

/// Loads a rule set for a replay, or says everything that is wrong with it. Scripts are bounded by operations alone, so that
/// a slow machine changes nothing; one that fails does what it does in force: it fails open.
pub fn load_rules(source: &RuleSource) -> Result<RuleSet, Vec<Diagnostic>> {
    RuleSet::load(source, &Limits { refuse_failing: false, ..Limits::default() }).map(|(rules, _)| rules)
}

impl Produced {
    /// The output line: `{"topic", "key", "value", "at"}`, with `headers` where it has any.
    pub fn to_json(&self) -> String {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let value = match self.record.value.as_deref() {
            None => "null".to_owned(),
            // Our own records are JSON; a dead letter may be anything.
            Some(value) => match serde_json::from_slice::<serde::de::IgnoredAny>(value) {
                Ok(_) => text(value).replace(['\n', '\r'], " "),
                Err(_) => serde_json::Value::from(text(value)).to_string(),
            },
        };
        let key = self.record.key.as_deref().map_or(serde_json::Value::Null, |key| text(key).into());
        let headers = match self.record.headers.is_empty() {
            true => String::new(),
            false => {
                let headers = self.record.headers.iter().map(|(name, value)| (name.clone(), text(value).into()));
                format!(r#","headers":{}"#, serde_json::Value::Object(headers.collect()))
            }
        };
        format!(r#"{{"topic":"{}","key":{key},"value":{value},"at":"{}"{headers}}}"#, self.record.topic.name(), self.at)
    }
}
