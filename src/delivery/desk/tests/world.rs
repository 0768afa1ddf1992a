//! A desk with scripted targets, and a clock that jumps to whatever comes next.

use super::super::*;
use crate::codec::{Story, read_story};
use crate::delivery::channel::Outcome as Verdict;
use crate::delivery::story::Told;
use serde_json::json;

pub type Script = Box<dyn FnMut(&Attempt, Millis) -> Sent>;

pub struct World {
    pub desk: Desk,
    pub at: Millis,
    pub script: Script,
    pub verdict: fn() -> Executed,
    /// How long an attempt takes.
    pub lag: fn(&Attempt) -> Millis,
    /// That are under way: until when, and how they end.
    under_way: Vec<(Millis, Ticket, Sent)>,
    offset: i64,
    pub sent: Vec<Attempt>,
    pub executed: usize,
    pub settled: Vec<Settlement>,
    pub remembered: Vec<Write>,
    pub refused: Vec<String>,
    pub alerts: Vec<Value>,
    /// Offsets that may be committed, each with the time.
    pub done: Vec<(i64, Millis)>,
    pub counts: BTreeMap<String, usize>,
    pub breakers: Vec<(String, State)>,
}

pub fn delivered() -> Sent {
    let thread = Thread { channel: "C1".to_owned(), ts: "1.5".to_owned() };
    Sent::Delivered { thread: Some(thread), detail: "200".to_owned() }
}

pub fn again(why: &str) -> Sent {
    Sent::Again { after: None, why: why.to_owned() }
}

pub fn refused(why: &str) -> Sent {
    Sent::Refused { why: why.to_owned() }
}

pub fn incident(hash: u64) -> IncidentId {
    IncidentId { partition: 0, hash }
}

pub fn action_id(number: u64) -> String {
    format!("act_{number:032x}")
}

pub fn channel(kind: &str, config: Value) -> Value {
    json!({ "type": kind, "config": config })
}

pub fn slack(name: &str) -> Value {
    channel("slack", json!({ "channel": name }))
}

fn action(number: u64, hash: u64, kind: &str, more: Value) -> Value {
    let mut action = json!({
        "id": action_id(number), "kind": kind, "incident_id": incident(hash), "rule": "r", "event": "triggered",
        "created_at": "1970-01-01T00:00:00.000Z",
        "incident": { "id": incident(hash), "service_id": "chat", "severity": "critical", "status": "triggered", "timeline": [] },
    });
    for (name, value) in more.as_object().unwrap() {
        action[name] = value.clone();
    }
    action
}

pub fn notification(number: u64, hash: u64, channel: Value) -> Value {
    action(number, hash, "notification", json!({ "channel": channel }))
}

pub fn escalation(number: u64, hash: u64, targets: Value) -> Value {
    action(number, hash, "escalation", json!({ "policy": "p", "level": 0, "repeat": 0, "targets": targets }))
}

pub fn remediation(number: u64, hash: u64) -> Value {
    let more = json!({ "actions": [], "attempt": 1, "verify_until": "1970-01-01T00:05:00.000Z" });
    action(number, hash, "remediation", more)
}

impl World {
    pub fn new(script: impl FnMut(&Attempt, Millis) -> Sent + 'static) -> World {
        let fallback =
            Fallback { recipients: vec!["oncall@x.org".to_owned()], webhook_url: Some("https://hook.example.com/in".to_owned()) };
        let executor = Executor { webhook_url: Some("https://fix.example.com/".to_owned()), secret: None };
        World {
            desk: Desk::new(Terms { fallback, executor, breaker: config::Breaker::default(), partitions: 2 }),
            at: 0,
            script: Box::new(script),
            verdict: || Executed::Answered { outcome: Verdict::Started, error: None },
            lag: |_| 0,
            under_way: Vec::new(),
            offset: 0,
            sent: Vec::new(),
            executed: 0,
            settled: Vec::new(),
            remembered: Vec::new(),
            refused: Vec::new(),
            alerts: Vec::new(),
            done: Vec::new(),
            counts: BTreeMap::new(),
            breakers: Vec::new(),
        }
    }

    pub fn now(&self) -> Now {
        Now { at: self.at, wall: Time(self.at) }
    }

    pub fn done(&self) -> Vec<i64> {
        self.done.iter().map(|(offset, _)| *offset).collect()
    }

    /// Offsets count from 1.
    pub fn take(&mut self, action: Value) {
        self.take_bytes(Some(action.to_string().as_bytes()));
    }

    pub fn take_bytes(&mut self, value: Option<&[u8]>) {
        self.offset += 1;
        let slot = Slot { topic: 0, partition: 3 };
        let value = value.map(<[u8]>::to_vec);
        let record = Record { slot, offset: self.offset, time: Some(Time(self.at)), key: None, value, headers: Vec::new() };
        self.desk.take(Arc::new(record), self.now());
        self.run();
    }

    /// The record of an incident, as the topic has it.
    pub fn hear(&mut self, story: &Value) {
        let Story { id, .. } = read_story(story.to_string().as_bytes()).unwrap();
        let value = Some(story.to_string().into_bytes().into());
        self.desk.stories.take(Told { incident: id, at: Time(self.at), value });
        self.run();
    }

    /// Until nothing is to be done at this moment.
    pub fn run(&mut self) {
        loop {
            let todo = self.desk.todo(self.now());
            let idle = todo.is_empty();
            todo.into_iter().for_each(|todo| self.perform(todo));
            let now = self.now();
            let (due, rest) = std::mem::take(&mut self.under_way).into_iter().partition::<Vec<_>, _>(|(at, ..)| *at <= now.at);
            self.under_way = rest;
            if idle && due.is_empty() {
                return;
            }
            due.into_iter().for_each(|(_, ticket, sent)| self.desk.sent(ticket, sent, now));
        }
    }

    /// Through everything that happens in the time `by`.
    pub fn advance(&mut self, by: Millis) {
        let until = self.at + by;
        loop {
            self.run();
            let answers = self.under_way.iter().map(|(at, ..)| *at);
            let Some(next) = answers.chain(self.desk.wakes_at()).min().filter(|at| *at <= until) else { break };
            assert!(next > self.at, "the clock stands still at {next}");
            self.at = next;
        }
        self.at = until;
        self.run();
    }

    fn perform(&mut self, todo: Do) {
        let now = self.now();
        match todo {
            Do::Send(attempt) => {
                let sent = (self.script)(&attempt, self.at);
                self.under_way.push((self.at + (self.lag)(&attempt), attempt.ticket, sent));
                self.sent.push(attempt);
            }
            Do::Execute(attempt) => {
                self.executed += 1;
                self.desk.executed(attempt.ticket, (self.verdict)(), now);
            }
            Do::Settle(ticket, settlement) => {
                self.settled.push(settlement);
                self.desk.settled(ticket, now);
            }
            Do::Refuse(ticket, _, reason) => {
                self.refused.push(reason);
                self.desk.settled(ticket, now);
            }
            Do::Remember(write) => self.remembered.push(write),
            Do::Alert(alert) => self.alerts.push(alert),
            Do::Done(_, offset) => self.done.push((offset, self.at)),
            Do::Count { channel, outcome, .. } => *self.counts.entry(format!("{channel} {outcome}")).or_default() += 1,
            Do::Breaker { channel, label, state } => self.breakers.push((format!("{channel} {label}"), state)),
        }
    }
}
