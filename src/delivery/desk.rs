//! Where actions become deliveries: expands them, hands attempts out, follows each to its end, over the fallback chain.
//!
//! Pure: records, answers and the time come in, things to do come out ([`Do`]). Whoever does them says how it went. `story` keeps the
//! threads.

mod ending;
mod leg;

use crate::codec::{PostedKind, read_posted};
use crate::config::{self, Executor, Fallback};
use crate::delivery::book::{Book, Write};
use crate::delivery::breaker::State;
use crate::delivery::channel::{Executed, Kind, Sent, Target, Thread};
use crate::delivery::dispatch::Dispatch;
use crate::delivery::expand;
use crate::delivery::lane::{Answer, End, Outcome, Step};
use crate::delivery::settlement::{self, Settlement};
use crate::delivery::story::{Stories, Update};
use crate::delivery::thread::{calls_in_thread, is_said_by_timeline};
use crate::delivery::{Now, Record, Ticket};
use crate::kafka::Slot;
use crate::model::time::{Millis, SECOND};
use crate::model::{IncidentId, Time};
use leg::{Leg, channel_of, millis, of_update, partition};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Attempts under way at the same time.
const UNDER_WAY: usize = 256;
/// A remediation that was written longer ago is not started any more: the engine has given it up and told people (SPEC 4.5).
const REMEDIATION_WITHIN: Millis = 30 * SECOND;

/// Names of targets that are kept; past it all are forgotten and learnt anew.
const LABELS: usize = 10_000;

/// What the desk goes by.
#[derive(Clone, Debug, Default)]
pub struct Terms {
    pub fallback: Fallback,
    pub executor: Executor,
    pub breaker: config::Breaker,
    /// Partitions of `incidentd-delivery`.
    pub partitions: u32,
}

/// Something to do.
#[derive(Debug)]
pub enum Do {
    /// One attempt; answer with [`Desk::sent`].
    Send(Attempt),
    /// One call of the executor; answer with [`Desk::executed`].
    Execute(Attempt),
    /// Write all of it; answer with [`Desk::settled`].
    Settle(Ticket, Settlement),
    /// A record that is no action: to `dead-letters`; answer with [`Desk::settled`].
    Refuse(Ticket, Arc<Record>, String),
    /// Nobody waits for it.
    Remember(Write),
    /// An alert for `alerts`; nobody waits for it.
    Alert(Value),
    /// Every target of the record is done with: its offset may be committed.
    Done(Slot, i64),
    /// One target has ended so; `seconds` after the action was written, where it arrived.
    Count { channel: &'static str, outcome: &'static str, seconds: Option<f64> },
    /// Of the target so named.
    Breaker { channel: &'static str, label: String, state: State },
}

/// What is to be sent.
#[derive(Clone, Debug)]
pub struct Attempt {
    pub ticket: Ticket,
    pub action_id: String,
    pub kind: Kind,
    pub event: String,
    pub body: Body,
    pub target: Target,
    pub note: Option<String>,
    pub thread: Option<Thread>,
}

/// Parsed only where it is sent: what waits is kept as the bytes that came.
#[derive(Clone, Debug)]
pub enum Body {
    Action(Arc<Record>),
    Update(Update),
}

enum Job {
    Leg(Leg),
    /// A thread to be told what it does not know: incident and target.
    Tell(IncidentId, String, Option<Update>),
    Refused(Arc<Record>),
}

pub struct Desk {
    terms: Terms,
    dispatch: Dispatch,
    jobs: BTreeMap<Ticket, Job>,
    /// Targets of a record that are not done with.
    open: BTreeMap<(Slot, i64), usize>,
    pub stories: Stories,
    pub book: Book,
    /// Channel and label of targets with a breaker that is not closed, by key.
    labels: BTreeMap<Arc<str>, (&'static str, String)>,
    next: Ticket,
    alerted: Option<Time>,
    /// A target wanted a thread.
    threaded: bool,
    todo: Vec<Do>,
}

impl Desk {
    pub fn new(terms: Terms) -> Desk {
        Desk {
            dispatch: Dispatch::new(UNDER_WAY, terms.breaker),
            terms,
            jobs: BTreeMap::new(),
            open: BTreeMap::new(),
            stories: Stories::default(),
            book: Book::default(),
            labels: BTreeMap::new(),
            next: 0,
            alerted: None,
            threaded: false,
            todo: Vec::new(),
        }
    }

    /// A record of an action topic, in its partition's order.
    pub fn take(&mut self, record: Arc<Record>, now: Now) {
        let place = (record.slot, record.offset);
        let posted = match read_posted(record.value.as_deref()) {
            Ok(posted) => Arc::new(posted),
            Err(reason) => {
                let ticket = self.ticket();
                self.open.insert(place, 1);
                self.jobs.insert(ticket, Job::Refused(Arc::clone(&record)));
                self.todo.push(Do::Refuse(ticket, record, reason));
                return;
            }
        };
        let legs = expand::legs(&posted, &self.terms.executor);
        // Somebody who is a target twice, as a user and in a team, is told once.
        let mut seen = BTreeSet::new();
        for leg in legs {
            let id = format!("{}/{}", posted.id.0, leg.target.key());
            if self.book.was_sent(&id) || !seen.insert(id.clone()) {
                continue;
            }
            *self.open.entry(place).or_default() += 1;
            let ticket = self.ticket();
            let (record, posted) = (Arc::clone(&record), Arc::clone(&posted));
            let (target, label) = (leg.target, leg.label);
            let job = Leg { record, posted, id, target, label, note: None, commands: Vec::new(), opened: None, update: None };
            match leg.unreachable {
                None => self.submit(ticket, job, now),
                Some(why) => self.ended(ticket, job, End { outcome: Outcome::Refused, attempts: 0, why }, now),
            }
        }
        if !self.open.contains_key(&place) {
            self.todo.push(Do::Done(place.0, place.1));
        }
    }

    /// Everything that is to be done now.
    pub fn todo(&mut self, now: Now) -> Vec<Do> {
        self.tell_threads(now);
        while let Some(step) = self.dispatch.next(now.at) {
            match step {
                Step::Send(ticket, _) => self.begin(ticket, now),
                Step::End(ticket, end) => self.over(ticket, end, now),
            }
        }
        for (key, state) in self.dispatch.breakers() {
            if let Some((channel, label)) = self.labels.get(&key) {
                self.todo.push(Do::Breaker { channel, label: label.clone(), state });
            }
        }
        std::mem::take(&mut self.todo)
    }

    /// When there may be something to do by itself, in the terms of [`Now::at`].
    pub fn wakes_at(&self) -> Option<Millis> {
        self.dispatch.wakes_at()
    }

    /// Begins nothing any more; what is under way goes on.
    pub fn hold(&mut self) {
        self.dispatch.hold();
    }

    /// Neither an attempt nor a settlement is under way.
    pub fn is_quiet(&self) -> bool {
        // What is not waiting in a lane is being settled.
        self.dispatch.under_way() == 0 && self.jobs.len() == self.dispatch.len()
    }

    /// Forgets all but what numbers tickets: others own the partitions from now on.
    pub fn reset(&mut self) {
        *self = Desk { next: self.next, alerted: self.alerted, ..Desk::new(self.terms.clone()) };
    }

    /// Is or was there anything for which the incidents' own records are wanted?
    pub fn wants_stories(&self) -> bool {
        self.threaded || self.book.has_threads()
    }

    fn ticket(&mut self) -> Ticket {
        self.next += 1;
        self.next
    }

    fn submit(&mut self, ticket: Ticket, leg: Leg, now: Now) {
        let channel = channel_of(&leg);
        let key: Arc<str> = format!("{channel}/{}", leg.target.key()).into();
        self.threaded |= leg.wants_thread();
        if !self.labels.contains_key(&key) {
            self.labels.insert(Arc::clone(&key), (channel, leg.label.clone()));
        }
        self.dispatch.submit(&key, ticket, leg.posted.incident_id, now.at);
        self.jobs.insert(ticket, Job::Leg(leg));
    }

    /// Threads whose incident has gone on.
    fn tell_threads(&mut self, now: Now) {
        for (incident, target, label) in self.stories.due(&self.book) {
            let ticket = self.ticket();
            let key: Arc<str> = format!("slack/{target}").into();
            if !self.labels.contains_key(&key) {
                self.labels.insert(Arc::clone(&key), ("slack", label));
            }
            self.dispatch.submit(&key, ticket, incident, now.at);
            self.jobs.insert(ticket, Job::Tell(incident, target, None));
        }
    }

    fn begin(&mut self, ticket: Ticket, now: Now) {
        match self.jobs.remove(&ticket) {
            Some(Job::Leg(leg)) => self.begin_leg(ticket, leg, now),
            Some(Job::Tell(incident, target, _)) => match self.stories.next(incident, &target, &self.book) {
                Some((thread, update)) => {
                    self.todo.push(Do::Send(of_update(ticket, &target, thread, update.clone())));
                    self.jobs.insert(ticket, Job::Tell(incident, target, Some(update)));
                }
                None => {
                    self.jobs.insert(ticket, Job::Tell(incident, target, None));
                    self.answered(ticket, Answer::Unneeded, now);
                }
            },
            // It left while its lane still knew it: the lane is told, and forgets it.
            other => {
                self.jobs.extend(other.map(|job| (ticket, job)));
                self.dispatch.answered(ticket, Answer::Unneeded, now.at);
            }
        }
    }

    fn begin_leg(&mut self, ticket: Ticket, mut leg: Leg, now: Now) {
        let remediation = matches!(leg.posted.what, PostedKind::Remediation { .. });
        if remediation && now.wall - leg.posted.created_at > REMEDIATION_WITHIN {
            self.jobs.insert(ticket, Job::Leg(leg));
            let why = format!("not started: it was read more than {} s after it was decided", REMEDIATION_WITHIN / SECOND);
            return self.answered(ticket, Answer::Refused { why }, now);
        }
        let mut attempt = leg.attempt(ticket);
        if leg.wants_thread() {
            let (incident, key) = (leg.posted.incident_id, leg.target.key());
            if calls_in_thread(leg.posted.event) {
                attempt.thread = self.book.thread(incident, &key).map(|open| open.thread.clone());
            }
            leg.update = None;
            if is_said_by_timeline(leg.posted.event) {
                match self.stories.told_by(&leg.record, incident, &key, &self.book) {
                    // No thread is open: the action itself opens one.
                    None => {}
                    Some(Some((thread, update))) => {
                        attempt = of_update(ticket, &key, thread, update.clone());
                        leg.update = Some(update);
                    }
                    // The thread has been told already, from the incident's own record.
                    Some(None) => {
                        self.jobs.insert(ticket, Job::Leg(leg));
                        return self.answered(ticket, Answer::Unneeded, now);
                    }
                }
            }
        }
        self.todo.push(if remediation { Do::Execute(attempt) } else { Do::Send(attempt) });
        self.jobs.insert(ticket, Job::Leg(leg));
    }

    /// How an attempt went.
    pub fn sent(&mut self, ticket: Ticket, sent: Sent, now: Now) {
        let answer = match sent {
            Sent::Again { after, why } => Answer::Again { after: after.map(millis), why },
            Sent::Refused { why } => Answer::Refused { why },
            Sent::Delivered { thread, .. } => self.arrived(ticket, thread, now),
        };
        self.answered(ticket, answer, now);
    }

    /// What arriving changes of threads.
    fn arrived(&mut self, ticket: Ticket, thread: Option<Thread>, now: Now) -> Answer {
        let (incident, key, update) = match self.jobs.get_mut(&ticket) {
            Some(Job::Leg(leg)) if leg.update.is_some() => (leg.posted.incident_id, leg.target.key(), leg.update.take()),
            Some(Job::Tell(incident, target, update)) => (*incident, target.clone(), update.take()),
            Some(Job::Leg(leg)) => {
                let key = leg.target.key();
                let opens = thread.filter(|_| leg.wants_thread() && self.book.thread(leg.posted.incident_id, &key).is_none());
                if let Some(thread) = opens {
                    let open = self.stories.opened(&leg.record, thread, leg.posted.created_at, &leg.label, now.wall);
                    let partition = partition(leg.record.slot, &self.terms);
                    leg.opened = Some(self.book.open(leg.posted.incident_id, &key, partition, open));
                    self.stories.look_at(leg.posted.incident_id);
                }
                return Answer::Arrived;
            }
            _ => return Answer::Arrived,
        };
        let Some(update) = update else { return Answer::Arrived };
        let write = self.book.told(incident, &key, update.mark, update.timestamp, now.wall);
        self.todo.extend(write.map(Do::Remember));
        // The rest of what it does not know yet.
        Answer::ArrivedInPart
    }

    /// How a call of the executor went.
    pub fn executed(&mut self, ticket: Ticket, executed: Executed, now: Now) {
        let answer = match executed {
            Executed::Again { after, why } => Answer::Again { after: after.map(millis), why },
            Executed::Refused { why } => Answer::Refused { why },
            Executed::Answered { outcome, error } => {
                if let Some(Job::Leg(leg)) = self.jobs.get_mut(&ticket) {
                    leg.commands.push(settlement::result(&leg.posted, outcome, error.as_deref()));
                }
                Answer::Arrived
            }
        };
        self.answered(ticket, answer, now);
    }

    fn answered(&mut self, ticket: Ticket, answer: Answer, now: Now) {
        if let Some(end) = self.dispatch.answered(ticket, answer, now.at) {
            self.over(ticket, end, now);
        }
    }

    fn over(&mut self, ticket: Ticket, end: End, now: Now) {
        match self.jobs.remove(&ticket) {
            Some(Job::Leg(leg)) => self.ended(ticket, leg, end, now),
            Some(Job::Tell(incident, target, _)) => {
                self.stories.told(incident, target, end.outcome);
                if end.outcome != Outcome::Delivered {
                    self.todo.push(Do::Count { channel: "slack", outcome: "update_failed", seconds: None });
                }
            }
            other => self.jobs.extend(other.map(|job| (ticket, job))),
        }
    }

    /// Now and then: what is remembered for nothing is given up.
    pub fn sweep(&mut self, now: Now) {
        self.todo.extend(self.book.sweep(now.wall).into_iter().map(Do::Remember));
        self.stories.sweep(now.wall);
        if self.labels.len() > LABELS {
            self.labels.clear();
        }
    }
}

#[cfg(test)]
mod tests;
