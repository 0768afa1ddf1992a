//! Commands and events: to the shard, to their home, or to `dead-letters`; and the sending home, alerts' too.

use crate::codec;
use crate::engine::{Input, Outcome};
use crate::kafka::Record;
use crate::model::{Command, EventBody, IncidentId, Origin, ServiceEvent, Time, home};
use crate::worker::answer::{Answer, Request};
use crate::worker::forward::{Kind, forward};
use crate::worker::intake::Moment;
use crate::worker::lane::{self, Lane};

/// A record at hand, and where and when it first stood.
pub struct Source<'r> {
    pub record: &'r Record<'r>,
    pub origin: Origin,
    pub time: Time,
    /// It came through the inbox.
    pub forwarded: bool,
}

/// What was read of a record.
enum Order {
    Command(Command),
    Event(ServiceEvent),
}

impl Order {
    /// The metrics' word.
    fn name(&self) -> &'static str {
        match self {
            Order::Command(command) => command.name(),
            Order::Event(event) => match event.body {
                EventBody::Change(_) => "change",
                EventBody::Measurement { .. } => "measurement",
            },
        }
    }

    fn home(&self, partitions: u32) -> u32 {
        match self {
            Order::Command(command) => command.home(partitions),
            Order::Event(event) => home::home(event.service_id.as_bytes(), partitions),
        }
    }

    /// The field that tells the home.
    fn homing(&self) -> &'static str {
        match self {
            Order::Command(Command::Incident { .. }) => "incident_id",
            Order::Command(_) => "silence_id",
            Order::Event(_) => "service_id",
        }
    }

    fn incident(&self) -> Option<IncidentId> {
        match self {
            Order::Command(Command::Incident { id, .. }) => Some(*id),
            _ => None,
        }
    }
}

impl Lane {
    /// Takes a command or an event.
    pub fn order(&mut self, moment: &Moment<'_>, source: &Source<'_>, kind: Kind) {
        let settings = moment.settings;
        let (record, stage) = (source.record, if kind == Kind::Command { "command" } else { "event" });
        let request = Request::of(record.headers(), settings.layout.replies);
        let mut answer = Answer::default();
        let read = match kind {
            Kind::Command => codec::read_command(record.value(), source.time, &settings.codec).map(Order::Command),
            _ => codec::read_event(record.value(), source.time, &settings.codec).map(Order::Event),
        };
        let (name, outcome) = match read {
            Err(reason) => {
                answer.refused(422, "rejected", &reason, None);
                self.bury(moment, record, source.origin, stage, &reason, record.value());
                ("", "rejected")
            }
            Ok(order) => (order.name(), self.carry_out(moment, source, kind, &order, &mut answer)),
        };
        let counts = match kind {
            Kind::Command => &mut self.counts.inputs.commands,
            _ => &mut self.counts.inputs.events,
        };
        *counts.entry((name, outcome)).or_default() += 1;
        // Nearly always a person.
        self.urgent |= request.is_some();
        self.answer(settings, request, &answer);
    }

    fn carry_out(
        &mut self,
        moment: &Moment<'_>,
        source: &Source<'_>,
        kind: Kind,
        order: &Order,
        answer: &mut Answer,
    ) -> &'static str {
        let (record, stage) = (source.record, if kind == Kind::Command { "command" } else { "event" });
        let shards = moment.settings.layout.shards;
        let to = order.home(shards);
        if to >= shards {
            let reason =
                format!("{}: there is no such incident: it names the shard {to}, and there are {shards}", order.homing());
            answer.refused(404, "refused", &reason, order.incident());
            self.bury(moment, record, source.origin, stage, &reason, record.value());
            return "refused";
        }
        let Some(shard) = self.shard.as_mut().filter(|_| self.home == Some(to)) else {
            let bytes = record.value().unwrap_or_default();
            return match self.send_home(moment, source, kind, order.homing(), bytes, to) {
                Ok(()) => "forwarded",
                Err(reason) => {
                    answer.refused(422, "rejected", &reason, order.incident());
                    "rejected"
                }
            };
        };
        let input = match order {
            Order::Command(command) => Input::Command { command, at: source.time },
            Order::Event(event) => Input::Event(event),
        };
        let outcome = shard.process(moment.now, input, &mut self.said);
        answer.taken(&outcome, &self.said, |_| None);
        self.hear(moment, None);
        match outcome {
            Outcome::Done(_) | Outcome::Alert { .. } => {
                // What a person did is looked for at once; of receipts there may be many.
                self.urgent |= !matches!(order, Order::Event(_)) && order.name() != "delivery_receipt";
                "done"
            }
            Outcome::Ignored => "ignored",
            Outcome::Refused(refusal) => {
                answer.refused(refusal.status, "refused", &refusal.reason, order.incident());
                self.bury(moment, record, source.origin, stage, &refusal.reason, record.value());
                "refused"
            }
        }
    }

    /// Sends a part of a record to its home's inbox; where that cannot be, it is buried, and the error says why.
    pub fn send_home(
        &mut self,
        moment: &Moment<'_>,
        source: &Source<'_>,
        kind: Kind,
        homing: &str,
        bytes: &[u8],
        to: u32,
    ) -> Result<(), String> {
        let Source { record, origin, time, forwarded } = *source;
        let reason = if forwarded {
            // What was forwarded stands at its home: what does not was not written by us.
            format!("`{homing}`: its home is partition {to}, and a record is forwarded only once")
        } else {
            let forwarded = forward(record, origin, time, kind, bytes, to);
            match lane::size(&forwarded) {
                size if size > moment.settings.codec.record_max => {
                    format!("with its key and headers it has {size} bytes, too many to be forwarded to its home")
                }
                _ => {
                    self.urgent = true;
                    // What was told before it is heard before it.
                    self.buffer.extend(self.telling.take());
                    self.say(forwarded);
                    return Ok(());
                }
            }
        };
        self.bury(moment, record, origin, "inbox", &reason, Some(bytes));
        Err(reason)
    }
}
