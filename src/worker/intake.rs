//! A record into its lane: alerts to the shard, alerts of other shards to the inbox, the rest to `dead-letters`.

use crate::codec::{self, AlertRecord, DeadLetter, Form, Item, Opened};
use crate::engine::{Input, Shard};
use crate::kafka::Record;
use crate::model::{AlertOutcome, Origin, Output, Time, Topic, home};
use crate::worker::forward::{self, forward};
use crate::worker::lane::{self, Lane};
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
        match (INPUTS[topic], opened) {
            (_, Some(opened)) => self.alerts(moment, record, opened),
            (Topic::Inbox, None) => match forward::read(record.headers()) {
                Ok(forwarded) => {
                    let alert = AlertRecord {
                        origin: forwarded.origin,
                        time: forwarded.time,
                        value: record.value(),
                        form: Some(forwarded.form),
                    };
                    self.alerts(moment, record, &codec::open(alert, &moment.settings.codec));
                }
                Err(reason) => self.reject(moment, record, origin(topic, record), "inbox", &reason),
            },
            (input, None) => {
                let stage = if input == Topic::Commands { "command" } else { "event" };
                self.reject(moment, record, origin(topic, record), stage, "not supported by this version");
            }
        }
    }

    fn alerts(&mut self, moment: &Moment<'_>, record: &Record<'_>, opened: &Opened<'_>) {
        let (settings, alerts) = (moment.settings, &opened.record);
        opened.read(&settings.codec, &mut |item| match item {
            Item::Alert { alert, form, bytes } => {
                let to = home::home(alert.service_id.as_bytes(), settings.layout.shards);
                if self.home == Some(to)
                    && let Some(shard) = &mut self.shard
                {
                    let outcome = shard.process(moment.now, Input::Alert(alert), &mut self.said);
                    self.counts.alerts[outcome as usize] += 1;
                    if matches!(outcome, AlertOutcome::Created | AlertOutcome::Reopened | AlertOutcome::Resolved) {
                        self.urgent = true;
                    }
                    if !self.said.is_empty() {
                        self.hear(moment, Some(alerts.time));
                    }
                } else {
                    self.send_home(moment, record, alerts, alert.origin, form, bytes, to);
                }
            }
            Item::Rejected { index, reason, bytes } => {
                self.counts.alerts[AlertOutcome::Rejected as usize] += 1;
                // A forwarded element's place in its body came with it.
                let index = if alerts.form.is_some() { alerts.origin.index } else { index };
                let value = alerts.value.map(|_| bytes);
                self.bury(moment, record, Origin { index, ..alerts.origin }, "decode", &reason, value);
            }
            Item::Ignored => self.counts.alerts[AlertOutcome::Ignored as usize] += 1,
        });
    }

    #[allow(clippy::too_many_arguments, reason = "the parts of one alert, used once")]
    fn send_home(
        &mut self,
        moment: &Moment<'_>,
        record: &Record<'_>,
        alerts: &AlertRecord<'_>,
        origin: Origin,
        form: Form,
        bytes: &[u8],
        to: u32,
    ) {
        let letter = if alerts.form.is_some() {
            // What was forwarded stands at its home: what does not was not written by us.
            Err(format!("`service_id`: its home is partition {to}, and a record is forwarded only once"))
        } else {
            let forwarded = forward(record, origin, alerts.time, form, bytes, to);
            match lane::size(&forwarded) {
                size if size > moment.settings.codec.record_max => {
                    Err(format!("with its key and headers it has {size} bytes, too many to be forwarded to its home"))
                }
                _ => Ok(forwarded),
            }
        };
        match letter {
            Ok(forwarded) => {
                self.counts.alerts[AlertOutcome::Forwarded as usize] += 1;
                self.urgent = true;
                self.say(forwarded);
            }
            Err(reason) => {
                self.counts.alerts[AlertOutcome::Rejected as usize] += 1;
                self.bury(moment, record, origin, "inbox", &reason, Some(bytes));
            }
        }
    }

    /// What the shard said into the buffer and the counts. `cause`: the Kafka timestamp of what made it speak.
    pub fn hear(&mut self, moment: &Moment<'_>, cause: Option<Time>) {
        let mut said = std::mem::take(&mut self.said);
        let mut acted = false;
        for output in &said {
            if let Some(record) = codec::write_output(output, &moment.settings.codec) {
                self.say(record);
            }
        }
        for output in said.drain(..) {
            match output {
                Output::Action(action) => {
                    acted = true;
                    *self.counts.actions.entry((action.kind.name(), action.rule)).or_default() += 1;
                }
                Output::Unrouted(_) => self.counts.unrouted += 1,
                Output::Evaluated { rule, result } => *self.counts.evaluations.entry((rule, result)).or_default() += 1,
                Output::Incident(_) | Output::IncidentGone(_) | Output::Decision(_) => {}
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
        let Some(shard) = self.shard.as_mut().filter(|shard| shard.next_due() <= moment.now) else { return };
        Shard::tick(shard, moment.now, &mut self.said);
        self.touch(moment.at);
        self.hear(moment, None);
    }

    fn reject(&mut self, moment: &Moment<'_>, record: &Record<'_>, origin: Origin, stage: &'static str, reason: &str) {
        self.bury(moment, record, origin, stage, reason, record.value());
    }

    fn bury(
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
