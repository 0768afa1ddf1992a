//! A record into its lane: to the shard, to the inbox of another, or to `dead-letters`. Commands and events are `orders`'.

use crate::codec::{self, AlertRecord, DeadLetter, FACT, Form, Item, Opened};
use crate::engine::{Input, Outcome, Shard};
use crate::kafka::Record;
use crate::model::{AlertOutcome, Origin, Output, Time, Topic, home};
use crate::worker::answer::{Answer, Request};
use crate::worker::forward::{self, Forwarded, Kind};
use crate::worker::lane::Lane;
use crate::worker::orders::Source;
use crate::worker::{INPUTS, Settings, topic_name};
use std::time::Instant;

/// What is the same for all records of a batch: the clock is read once for it.
pub struct Moment<'a> {
    pub settings: &'a Settings,
    pub now: Time,
    pub at: Instant,
}

/// Where a record of the topic that stands at `topic` in [`INPUTS`] stands.
fn origin(topic: usize, record: &Record<'_>) -> Origin {
    Origin { topic: INPUTS[topic], partition: record.partition(), offset: record.offset(), index: 0 }
}

impl Lane {
    /// Begins to read an alert, some records before it is taken.
    pub fn open<'r>(&self, moment: &Moment<'_>, topic: usize, record: &Record<'r>) -> Option<Opened<'r>> {
        if INPUTS[topic] != Topic::Alerts {
            return None;
        }
        let time = record.timestamp().map_or(moment.now, Time);
        let alert = AlertRecord { origin: origin(topic, record), time, value: record.value(), form: None };
        Some(codec::open(alert, &moment.settings.codec))
    }

    /// Has the shard look for the incident of an alert that is about to be taken.
    pub fn expect(&self, opened: &Opened<'_>) {
        if let Some((shard, fingerprint)) = self.shard.as_ref().zip(opened.fingerprint()) {
            shard.expect(fingerprint);
        }
    }

    /// Takes one record of the topic that stands at `topic` in [`INPUTS`]; `opened`: what [`Lane::open`] gave for it.
    pub fn take(&mut self, moment: &Moment<'_>, topic: usize, record: &Record<'_>, opened: Option<&Opened<'_>>) {
        let Some(position) = &mut self.positions[topic] else { return };
        position.next = record.offset() + 1;
        position.caught_up |= position.next >= position.end;
        self.touch(moment.at);
        if INPUTS[topic] != Topic::Inbox {
            self.take_facts(moment);
        }
        match (INPUTS[topic], opened) {
            (_, Some(opened)) => self.alerts(moment, record, opened),
            (Topic::Alerts, None) => {
                let (origin, time) = (origin(topic, record), record.timestamp().map_or(moment.now, Time));
                let alerts = AlertRecord { origin, time, value: record.value(), form: None };
                self.alerts(moment, record, &codec::open(alerts, &moment.settings.codec));
            }
            (Topic::Inbox, None) => self.inbox(moment, record, origin(topic, record)),
            (input, None) => {
                let (origin, time) = (origin(topic, record), record.timestamp().map_or(moment.now, Time));
                let kind = if input == Topic::Commands { Kind::Command } else { Kind::Event };
                self.order(moment, &Source { record, origin, time, forwarded: false }, kind);
            }
        }
    }

    /// What other shards have told, all of it at once.
    pub fn take_facts(&mut self, moment: &Moment<'_>) {
        if let Some(shard) = self.shard.as_mut().filter(|_| !self.facts.is_empty()) {
            shard.process_facts(moment.now, &self.facts, &mut self.said);
            self.facts.clear();
            self.hear(moment, None);
        }
    }

    /// Facts of other shards, and what came to a wrong one.
    fn inbox(&mut self, moment: &Moment<'_>, record: &Record<'_>, origin: Origin) {
        if let Some((_, version)) = record.headers().find(|(name, _)| *name == FACT) {
            let read = codec::read_facts(version.unwrap_or_default(), record.value());
            return match (read, &mut self.shard) {
                (Ok(facts), Some(_)) => self.facts.extend(facts),
                (Ok(_), None) => self.bury(moment, record, origin, "inbox", "this partition belongs to no shard", record.value()),
                (Err(reason), _) => self.bury(moment, record, origin, "inbox", &reason, record.value()),
            };
        }
        self.take_facts(moment);
        match forward::read(record.headers()) {
            Ok(Forwarded { origin, time, kind: Kind::Alert(form) }) => {
                let alert = AlertRecord { origin, time, value: record.value(), form: Some(form) };
                self.alerts(moment, record, &codec::open(alert, &moment.settings.codec));
            }
            Ok(Forwarded { origin, time, kind }) => {
                self.order(moment, &Source { record, origin, time, forwarded: true }, kind);
            }
            Err(reason) => self.bury(moment, record, origin, "inbox", &reason, record.value()),
        }
    }

    fn alerts(&mut self, moment: &Moment<'_>, record: &Record<'_>, opened: &Opened<'_>) {
        let (settings, alerts) = (moment.settings, &opened.record);
        let request = Request::of(record.headers(), settings.layout.replies);
        let mut answer = Answer::default();
        opened.read(&settings.codec, &mut |item| match item {
            Item::Alert { alert, form, bytes } => {
                let to = home::home(alert.service_id.as_bytes(), settings.layout.shards);
                if self.home == Some(to)
                    && let Some(shard) = &mut self.shard
                {
                    let outcome = shard.process(moment.now, Input::Alert(alert), &mut self.said);
                    if request.is_some() {
                        answer.taken(&outcome, &self.said, |id| shard.occurrences(id));
                    }
                    let outcome = match outcome {
                        Outcome::Alert { outcome, .. } => outcome,
                        Outcome::Refused(refusal) => {
                            answer.refused(refusal.status, "refused", &refusal.reason, None);
                            self.bury(moment, record, alert.origin, "alert", &refusal.reason, Some(bytes));
                            AlertOutcome::Rejected
                        }
                        Outcome::Done(_) | Outcome::Ignored => AlertOutcome::Ignored,
                    };
                    self.counts.alerts[outcome as usize] += 1;
                    if matches!(outcome, AlertOutcome::Created | AlertOutcome::Reopened | AlertOutcome::Resolved) {
                        self.urgent = true;
                    }
                    if !self.said.is_empty() {
                        self.hear(moment, Some(alerts.time));
                    }
                } else {
                    let source = Source { record, origin: alert.origin, time: alerts.time, forwarded: alerts.form.is_some() };
                    let outcome = match self.send_home(moment, &source, Kind::Alert(form), "service_id", bytes, to) {
                        Ok(()) if form == Form::Element => {
                            answer.passed(AlertOutcome::Forwarded);
                            AlertOutcome::Forwarded
                        }
                        // Its home answers.
                        Ok(()) => AlertOutcome::Forwarded,
                        Err(reason) => {
                            answer.refused(422, "rejected", &reason, None);
                            AlertOutcome::Rejected
                        }
                    };
                    self.counts.alerts[outcome as usize] += 1;
                }
            }
            Item::Rejected { index, reason, bytes } => {
                self.counts.alerts[AlertOutcome::Rejected as usize] += 1;
                // A forwarded element's place in its body came with it.
                let index = if alerts.form.is_some() { alerts.origin.index } else { index };
                let value = alerts.value.map(|_| bytes);
                answer.refused(422, AlertOutcome::Rejected.name(), &reason, None);
                self.bury(moment, record, Origin { index, ..alerts.origin }, "decode", &reason, value);
            }
            Item::Ignored => {
                answer.passed(AlertOutcome::Ignored);
                self.counts.alerts[AlertOutcome::Ignored as usize] += 1;
            }
        });
        self.answer(settings, request, &answer);
    }

    /// What the shard said into the buffer and the counts. `cause`: the Kafka timestamp of what made it speak.
    pub fn hear(&mut self, moment: &Moment<'_>, cause: Option<Time>) {
        let mut said = std::mem::take(&mut self.said);
        let mut acted = false;
        codec::write_outputs(&said, &moment.settings.codec).into_iter().for_each(|record| self.say(record));
        for output in said.drain(..) {
            match output {
                Output::Action(action) => {
                    acted = true;
                    *self.counts.actions.entry((action.kind.name(), action.rule)).or_default() += 1;
                }
                Output::Unrouted(_) => self.counts.unrouted += 1,
                Output::Evaluated { rule, result } => *self.counts.evaluations.entry((rule, result)).or_default() += 1,
                Output::Fact { to, fact } => {
                    self.bytes += self.telling.add(&to, &fact, &moment.settings.codec);
                    self.urgent = true;
                }
                Output::Incident(_)
                | Output::IncidentGone(_)
                | Output::Decision(_)
                | Output::Silence(_)
                | Output::SilenceGone(_) => {}
            }
        }
        if acted {
            self.urgent = true;
            if let Some(time) = cause {
                self.cause(time);
            }
        }
        // Its room is kept for the next input.
        self.said = said;
    }

    /// Runs the timers that are due.
    pub fn tick(&mut self, moment: &Moment<'_>) {
        self.take_facts(moment);
        let Some(shard) = self.shard.as_mut().filter(|shard| shard.next_due() <= moment.now) else { return };
        Shard::tick(shard, moment.now, &mut self.said);
        self.touch(moment.at);
        self.hear(moment, None);
    }

    pub fn bury(
        &mut self,
        moment: &Moment<'_>,
        record: &Record<'_>,
        origin: Origin,
        stage: &'static str,
        reason: &str,
        bytes: Option<&[u8]>,
    ) {
        let letter = DeadLetter {
            topic: topic_name(&moment.settings.names, origin.topic),
            partition: origin.partition,
            offset: origin.offset,
            index: origin.index,
            stage,
            reason,
            key: record.key(),
            value: bytes,
            headers: &forward::own_headers(record),
        };
        self.say(codec::dead_letter(&letter, &moment.settings.codec));
        *self.counts.dead_letters.entry(stage).or_default() += 1;
    }
}
