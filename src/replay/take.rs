//! One record in one transaction: what the worker does with it, over shards in memory.
//!
//! A command or an event that does not stand at its home goes there through the inbox, as it would live: each hop is a
//! transaction, as it is for facts.

use crate::codec::{self, AlertRecord, DeadLetter, FACT, Item, OutRecord};
use crate::engine::{self, Input, Outcome, Shard};
use crate::model::{AlertOutcome, Origin, Output, Time, Topic, home::home};
use crate::replay::Outcomes;
use crate::rules::RuleSet;
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
    pub outcomes: Outcomes,
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
        *self.outcomes.entry(outcome).or_default() += 1;
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
    pub fn held(&mut self) -> impl Iterator<Item = &mut Shard> {
        self.shards.values_mut()
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
            _ => self.alerts(now, taken, pending),
        }
    }

    /// Takes a record of the inbox of `partition`.
    pub fn open(&mut self, now: Time, partition: u32, letter: &Letter, pending: &mut Pending) {
        match letter {
            Letter::Forwarded(taken) => self.take(now, partition, taken, pending),
            Letter::Fact(record) => {
                pending.worked = true;
                let version = record.headers.iter().find(|(name, _)| name == FACT).map(|(_, version)| version.as_slice());
                match codec::read_fact(version.unwrap_or_default(), record.value.as_deref()) {
                    Ok(fact) => {
                        self.shard(partition).process(now, Input::Fact(&fact), &mut pending.said);
                        pending.hear();
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

    fn alerts(&mut self, now: Time, taken: &Taken, pending: &mut Pending) {
        let Taken { origin, time, value, .. } = taken;
        let (codec, partitions) = (self.codec, self.settings.partitions);
        let record = AlertRecord { origin: *origin, time: *time, value: value.as_deref(), form: None };
        codec::read_alerts(&record, codec, &mut |item| match item {
            Item::Alert { alert, bytes, .. } => {
                // At home at once, whatever its record's key: a body's alerts stay in their order.
                let to = home(alert.service_id.as_bytes(), partitions);
                let outcome = self.shard(to).process(now, Input::Alert(alert), &mut pending.said);
                pending.hear();
                match outcome {
                    Outcome::Alert { outcome, .. } => pending.count(outcome),
                    Outcome::Done(_) | Outcome::Ignored => pending.count(AlertOutcome::Ignored),
                    Outcome::Refused(refusal) => {
                        pending.count(AlertOutcome::Rejected);
                        let part = Taken { origin: alert.origin, value: Some(bytes.to_vec()), ..taken.clone() };
                        self.bury(&part, "alert", &refusal.reason, pending);
                    }
                }
            }
            Item::Rejected { index, reason, bytes } => {
                pending.count(AlertOutcome::Rejected);
                let value = value.as_ref().map(|_| bytes.to_vec());
                let part = Taken { origin: Origin { index, ..*origin }, value, ..taken.clone() };
                self.bury(&part, "decode", &reason, pending);
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
        let outcome = self.shard(to).process(now, input, &mut pending.said);
        pending.hear();
        if let Outcome::Refused(refusal) = outcome {
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
