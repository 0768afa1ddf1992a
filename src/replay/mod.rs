//! The engine over an in-memory log: what a history of alerts would have produced (SPEC 5, `incidentd replay`).
//!
//! Both clocks come from the records: wall time is a line's `at` (its alert's timestamp where it says none), never goes
//! back, and timers run at their due times in between. Nothing here reads the machine's clock, so the same lines give the
//! same output, byte for byte. The same driver runs the tests' cases three ways (see [`Fault`]).

mod line;
mod log;

pub use line::{Line, parse_moment};

use crate::codec::{self, AlertRecord, Item, OutRecord};
use crate::engine::{self, Input, Shard};
use crate::model::{AlertOutcome, Origin, Output, Time, Topic, home::home};
use crate::rules::{Diagnostic, Limits, RuleSet, RuleSource};
use log::StateLog;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

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
    /// The next offset of each partition of each input topic.
    offsets: BTreeMap<(Topic, u32), i64>,
    pub outcomes: Outcomes,
}

/// What one transaction would have written, before it is committed.
#[derive(Default)]
struct Pending {
    outputs: Vec<Output>,
    rejected: Vec<OutRecord>,
    outcomes: Outcomes,
    /// Positions in `outputs` where each rejected record belongs.
    rejected_at: Vec<usize>,
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
            offsets: BTreeMap::new(),
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
                self.run_until(at, sink);
                self.record(topic, key.as_deref(), value.as_deref(), at, sink);
            }
        }
        Ok(())
    }

    /// Lets time pass: every timer up to `until` runs at its own time.
    pub fn run_until(&mut self, until: Time, sink: &mut dyn FnMut(Produced)) {
        while let Some(due) = self.shards.values().map(Shard::next_due).min().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            let now = self.now;
            self.transaction(sink, &mut |replay, pending| {
                for shard in replay.shards.values_mut() {
                    shard.tick(now, &mut pending.outputs);
                }
            });
        }
        self.now = self.now.max(until);
    }

    fn record(&mut self, topic: Topic, key: Option<&[u8]>, value: Option<&[u8]>, at: Time, sink: &mut dyn FnMut(Produced)) {
        let partitions = self.settings.partitions;
        // Without a key the home of the first alert in it: where a producer that knows the contract puts it.
        let partition = match key {
            Some(key) => home(key, partitions),
            None => value.and_then(line::service_of).map_or(0, |service| home(service.as_bytes(), partitions)),
        };
        let next = self.offsets.entry((topic, partition)).or_insert(0);
        let origin = Origin { topic, partition, offset: *next, index: 0 };
        *next += 1;
        let now = self.now;
        self.transaction(sink, &mut |replay, pending| {
            if topic != Topic::Alerts {
                let reason = format!("`{}` is not read by this version", topic.name());
                let stage = if topic == Topic::Commands { "command" } else { "event" };
                return replay.reject(&origin, key, value, stage, &reason, pending);
            }
            let Replay { codec, settings, rules, shards, .. } = replay;
            let mut rejected = Vec::new();
            codec::read_alerts(&AlertRecord { origin, time: at, value, form: None }, codec, &mut |item| match item {
                Item::Alert { alert, .. } => {
                    let home = home(alert.service_id.as_bytes(), partitions);
                    let shard = shards.entry(home).or_insert_with(|| Shard::new(home, Arc::clone(settings), Rc::clone(rules)));
                    let outcome = shard.process(now, Input::Alert(alert), &mut pending.outputs);
                    *pending.outcomes.entry(outcome).or_default() += 1;
                }
                Item::Rejected { index, reason, bytes } => rejected.push((index, reason, bytes.to_vec(), pending.outputs.len())),
                Item::Ignored => *pending.outcomes.entry(AlertOutcome::Ignored).or_default() += 1,
            });
            for (index, reason, bytes, at) in rejected {
                replay.reject(&Origin { index, ..origin }, key, value.map(|_| bytes.as_slice()), "decode", &reason, pending);
                if let Some(place) = pending.rejected_at.last_mut() {
                    *place = at;
                }
            }
        });
    }

    fn reject(
        &self,
        origin: &Origin,
        key: Option<&[u8]>,
        bytes: Option<&[u8]>,
        stage: &str,
        reason: &str,
        pending: &mut Pending,
    ) {
        pending.rejected.push(codec::dead_letter(
            &codec::DeadLetter {
                topic: origin.topic.name(),
                partition: origin.partition,
                offset: origin.offset,
                index: origin.index,
                stage,
                reason,
                key,
                value: bytes,
                headers: &[],
            },
            &self.codec,
        ));
        pending.rejected_at.push(pending.outputs.len());
        *pending.outcomes.entry(AlertOutcome::Rejected).or_default() += 1;
    }

    /// Works, perhaps fails, works again, and commits.
    fn transaction(&mut self, sink: &mut dyn FnMut(Produced), work: &mut dyn FnMut(&mut Replay, &mut Pending)) {
        let mut pending = Pending::default();
        work(self, &mut pending);
        if self.fault == Fault::AbortEachOnce {
            self.restart();
            pending = Pending::default();
            work(self, &mut pending);
        }
        for (partition, shard) in &mut self.shards {
            let state = self.states.entry(*partition).or_default();
            if self.fault == Fault::None {
                continue;
            }
            shard.changelog(&mut |record| state.append(record));
        }
        // A look at timers of which none was due yet commits nothing.
        let committed = !pending.outputs.is_empty() || !pending.outcomes.is_empty();
        for (outcome, count) in pending.outcomes {
            *self.outcomes.entry(outcome).or_default() += count;
        }
        let mut rejected = pending.rejected.into_iter().zip(pending.rejected_at).peekable();
        for (at, output) in pending.outputs.iter().enumerate() {
            while let Some((record, _)) = rejected.next_if(|(_, place)| *place <= at) {
                sink(Produced { at: self.now, record });
            }
            if let Some(record) = codec::write_output(output, &self.codec) {
                sink(Produced { at: self.now, record });
            }
        }
        rejected.for_each(|(record, _)| sink(Produced { at: self.now, record }));
        if self.fault == Fault::RestartAfterEach && committed {
            self.restart();
        }
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
