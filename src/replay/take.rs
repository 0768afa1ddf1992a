//! One record in one transaction: what the worker does with it, over shards in memory.
//!
//! A command or an event that does not stand at its home goes there through the inbox, as it would live: each hop is a
//! transaction, as it is for facts.

use crate::codec::{self, AlertRecord, DeadLetter, FACT, Item, Opened, OutRecord};
use crate::engine::{self, Input, Outcome, Shard};
use crate::model::{AlertOutcome, Origin, Output, Time, Topic, home::home};
use crate::rules::RuleSet;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// A record as it was first written.
#[derive(Clone)]
pub struct Taken {
    pub origin: Origin,
    pub time: Time,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
}

/// A record of an inbox.
pub enum Letter {
    Fact(OutRecord),
    Forwarded(Taken),
}

/// What a transaction writes, in order.
pub enum Outgoing {
    Said(Output),
    Buried(OutRecord),
    Letter { to: u32, letter: Letter },
}

/// A transaction before it is committed.
#[derive(Default)]
pub struct Pending {
    pub results: Vec<Outgoing>,
    /// By [`AlertOutcome`].
    pub outcomes: [u64; AlertOutcome::ALL.len()],
    /// The shards that took something, perhaps more than once.
    pub touched: SmallVec<[u32; 4]>,
    /// It took something, though that may have led to nothing.
    pub worked: bool,
    /// What a shard says of the input at hand.
    pub said: Vec<Output>,
}

impl Pending {
    /// Puts what was said behind the rest.
    pub fn hear(&mut self) {
        self.results.extend(self.said.drain(..).map(Outgoing::Said));
    }

    fn forward(&mut self, to: u32, taken: Taken) {
        self.results.push(Outgoing::Letter { to, letter: Letter::Forwarded(taken) });
    }

    fn count(&mut self, outcome: AlertOutcome) {
        self.outcomes[outcome as usize] += 1;
    }
}

/// The shards, made where they are first needed.
pub struct Shards<'r> {
    pub codec: &'r codec::Settings,
    pub settings: &'r Arc<engine::Settings>,
    pub rules: &'r Rc<RuleSet>,
    pub shards: &'r mut BTreeMap<u32, Shard>,
}

impl Shards<'_> {
    /// Runs the timers of a shard.
    pub fn tick(&mut self, now: Time, partition: u32, pending: &mut Pending) {
        pending.touched.push(partition);
        if let Some(shard) = self.shards.get_mut(&partition) {
            shard.tick(now, &mut pending.said);
            pending.hear();
        }
    }

    fn process(&mut self, now: Time, partition: u32, input: Input<'_>, pending: &mut Pending) -> Outcome {
        pending.touched.push(partition);
        let outcome = self.shard(partition).process(now, input, &mut pending.said);
        pending.hear();
        outcome
    }

    fn shard(&mut self, partition: u32) -> &mut Shard {
        let (settings, rules) = (self.settings, self.rules);
        self.shards.entry(partition).or_insert_with(|| Shard::new(partition, Arc::clone(settings), Rc::clone(rules)))
    }

    /// Takes a record of an input topic that stands in `partition`, first or forwarded.
    pub fn take(&mut self, now: Time, partition: u32, taken: &Taken, pending: &mut Pending) {
        pending.worked = true;
        match taken.origin.topic {
            Topic::Commands => self.command(now, partition, taken, pending),
            Topic::Events => self.event(now, partition, taken, pending),
            _ => {
                let Taken { origin, time, value, .. } = taken;
                let record = AlertRecord { origin: *origin, time: *time, value: value.as_deref(), form: None };
                self.alerts(now, &codec::open(record, self.codec), taken.key.as_deref(), pending);
            }
        }
    }

    /// Takes a record of the inbox of `partition`.
    pub fn open(&mut self, now: Time, partition: u32, letter: &Letter, pending: &mut Pending) {
        match letter {
            Letter::Forwarded(taken) => self.take(now, partition, taken, pending),
            Letter::Fact(record) => {
                pending.worked = true;
                let version = record.headers.iter().find(|(name, _)| name == FACT).map(|(_, version)| version.as_slice());
                match codec::read_facts(version.unwrap_or_default(), record.value.as_deref()) {
                    Ok(facts) => {
                        for fact in &facts {
                            self.process(now, partition, Input::Fact(fact), pending);
                        }
                    }
                    Err(reason) => {
                        let origin = Origin { topic: Topic::Inbox, partition, offset: 0, index: 0 };
                        let taken = Taken { origin, time: now, key: None, value: record.value.clone() };
                        self.bury(&taken, "inbox", &reason, pending);
                    }
                }
            }
        }
    }

    /// Takes what stands in `alerts`. At home at once, whatever its record's key: a body's alerts stay in their order.
    pub fn alerts(&mut self, now: Time, opened: &Opened<'_>, key: Option<&[u8]>, pending: &mut Pending) {
        pending.worked = true;
        let (codec, partitions) = (self.codec, self.settings.partitions);
        let AlertRecord { origin, time, value, .. } = opened.record;
        let part = |origin: Origin, bytes: &[u8]| Taken {
            origin,
            time,
            key: key.map(<[u8]>::to_vec),
            value: value.map(|_| bytes.to_vec()),
        };
        opened.read(codec, &mut |item| match item {
            Item::Alert { alert, bytes, .. } => {
                let to = home(alert.service_id.as_bytes(), partitions);
                match self.process(now, to, Input::Alert(alert), pending) {
                    Outcome::Alert { outcome, .. } => pending.count(outcome),
                    Outcome::Done(_) | Outcome::Ignored => pending.count(AlertOutcome::Ignored),
                    Outcome::Refused(refusal) => {
                        pending.count(AlertOutcome::Rejected);
                        self.bury(&part(alert.origin, bytes), "alert", &refusal.reason, pending);
                    }
                }
            }
            Item::Rejected { index, reason, bytes } => {
                pending.count(AlertOutcome::Rejected);
                self.bury(&part(Origin { index, ..origin }, bytes), "decode", &reason, pending);
            }
            Item::Ignored => pending.count(AlertOutcome::Ignored),
        });
    }

    fn command(&mut self, now: Time, partition: u32, taken: &Taken, pending: &mut Pending) {
        let command = match codec::read_command(taken.value.as_deref(), taken.time, self.codec) {
            Ok(command) => command,
            Err(reason) => return self.bury(taken, "command", &reason, pending),
        };
        let (to, shards) = (command.home(self.settings.partitions), self.settings.partitions);
        if to >= shards {
            let reason = format!("incident_id: there is no such incident: it names the shard {to}, and there are {shards}");
            self.bury(taken, "command", &reason, pending);
        } else if to != partition {
            pending.forward(to, taken.clone());
        } else {
            let input = Input::Command { command: &command, at: taken.time };
            self.order(now, to, input, taken, "command", pending);
        }
    }

    fn event(&mut self, now: Time, partition: u32, taken: &Taken, pending: &mut Pending) {
        let event = match codec::read_event(taken.value.as_deref(), taken.time, self.codec) {
            Ok(event) => event,
            Err(reason) => return self.bury(taken, "event", &reason, pending),
        };
        match home(event.service_id.as_bytes(), self.settings.partitions) {
            to if to != partition => pending.forward(to, taken.clone()),
            to => self.order(now, to, Input::Event(&event), taken, "event", pending),
        }
    }

    fn order(&mut self, now: Time, to: u32, input: Input<'_>, taken: &Taken, stage: &str, pending: &mut Pending) {
        if let Outcome::Refused(refusal) = self.process(now, to, input, pending) {
            self.bury(taken, stage, &refusal.reason, pending);
        }
    }

    /// To `dead-letters`.
    pub fn bury(&self, taken: &Taken, stage: &str, reason: &str, pending: &mut Pending) {
        pending.worked = true;
        let Origin { topic, partition, offset, index } = taken.origin;
        let letter = DeadLetter {
            topic: topic.name(),
            partition,
            offset,
            index,
            stage,
            reason,
            key: taken.key.as_deref(),
            value: taken.value.as_deref(),
            headers: &[],
        };
        pending.results.push(Outgoing::Buried(codec::dead_letter(&letter, self.codec)));
    }
}
