//! What the engine remembers about an incident besides what people see: where its opening stands, which rules spoke, and
//! what is still owed.

use crate::engine::escalate::Escalation;
use crate::engine::remediate::Remediation;
use crate::model::{Environment, IncidentId, RuleEvent, Severity, Status, Time};
use serde::{Deserialize, Serialize};

/// A rule by the hash of its name: a reload that keeps the name keeps the memory.
pub type RuleKey = u64;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Book {
    /// Rises on every reopening and unsuppression (SPEC 4.5); stands in action ids.
    pub epoch: u32,
    pub stage: Stage,
    /// Rules that the incident has entered in this epoch (SPEC 4.7): they do not act on `triggered` again.
    pub entered: Vec<RuleKey>,
    /// Of these, those whose action wants a word on resolution (`send_on_resolve`).
    pub tell_on_resolve: Vec<RuleKey>,
    pub reminders: Vec<Reminder>,
    /// What was to be said while it was snoozed, or while all was held back: said when that ends.
    pub owed: Vec<RuleEvent>,
    /// Some action was written for it in this epoch.
    pub told: bool,
    /// Rules at whose desks it lies in this epoch, with what their answers decide.
    pub asked: Vec<Asked>,
    /// All desks said no while it was snoozed or all was held back: `default_channels` stand in when that ends.
    pub unrouted: Option<Unrouted>,
    pub escalation: Option<Box<Escalation>>,
    pub remediation: Option<Box<Remediation>>,
    /// Wall time at which an acknowledgement lapses (`ack_timeout_minutes`).
    pub unacknowledge_at: Option<Time>,
    pub flapping: Flapping,
    pub link: Link,
    /// What the shards of dependent services were told of it last.
    pub announced: Option<Announced>,
    /// By event time: from when on it was (or was not) triggered, acknowledged or investigating.
    pub active: Vec<(Time, bool)>,
}

/// How far SPEC 4.5 has come in this epoch.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub enum Stage {
    /// Nothing is said before `until` (wall time).
    Held { until: Time },
    /// A remediation is under way: escalation and notification wait for its outcome.
    Remedying,
    /// Whoever is to be told was told.
    #[default]
    Open,
}

/// A rule with `repeat_minutes` that has acted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Reminder {
    pub rule: RuleKey,
    pub due: Time,
    /// How many were sent in this epoch.
    pub sent: u32,
}

/// A question to a rule's desk that is not answered yet.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Asked {
    pub rule: String,
    /// As the item's: with the rule, what the answer is known by.
    pub cause: String,
    /// If it acts, its reminders follow.
    pub repeat_minutes: Option<u64>,
    /// If it acts, so it does on resolution.
    pub tells_on_resolve: bool,
    /// Nobody else was reached, so `default_channels` stand in if the desk says no.
    pub only_hope: bool,
}

/// An event for which nobody was reached.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Unrouted {
    pub event: RuleEvent,
    pub cause: String,
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Flapping {
    /// Wall times of the reopenings of the last hour.
    pub reopened: Vec<Time>,
    /// It is flapping: quiet until then, unless it changes again.
    pub quiet_until: Option<Time>,
}

/// On what it hangs (SPEC 4.4).
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Link {
    /// Of its identity, those that fired when it opened, oldest first: one of them is its root, by what is known of their past.
    pub elders: Vec<IncidentId>,
    /// The incident whose duplicate it is.
    pub root: Option<IncidentId>,
    /// Its first root is over, and the grace too: what it hangs on is worked out from its elders no more.
    pub released: bool,
    /// Wall time at which it is released, for its parent has resolved.
    pub release_at: Option<Time>,
}

/// As [`crate::model::Upstream`], what changes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Announced {
    pub revision: u64,
    pub severity: Severity,
    pub environment: Environment,
    pub status: Status,
    pub muted: bool,
    pub untold: bool,
    pub duplicate: bool,
}

impl Book {
    pub fn next_reminder(&self) -> Option<Time> {
        self.reminders.iter().map(|reminder| reminder.due).min()
    }

    /// When time alone next changes what the book says; whatever stands in the incident (a snooze) not counted.
    pub fn wake_at(&self) -> Time {
        let held = match self.stage {
            Stage::Held { until } => Some(until),
            Stage::Remedying | Stage::Open => None,
        };
        let times = [
            held,
            self.next_reminder(),
            self.unacknowledge_at,
            self.flapping.quiet_until,
            self.link.release_at,
            self.escalation.as_ref().and_then(|escalation| escalation.due()),
            self.remediation.as_ref().and_then(|remediation| remediation.due()),
        ];
        times.into_iter().flatten().min().unwrap_or(Time::NEVER)
    }

    pub fn open_epoch(&mut self) {
        self.epoch += 1;
        self.stage = Stage::Open;
        self.entered.clear();
        self.tell_on_resolve.clear();
        self.reminders.clear();
        self.owed.clear();
        self.asked.clear();
        self.unrouted = None;
        self.told = false;
    }

    /// Is something to be said as soon as it is neither snoozed nor held back?
    pub fn owes(&self) -> bool {
        !self.owed.is_empty() || self.unrouted.is_some()
    }

    /// It was (or was not) triggered, acknowledged or investigating from `at` on.
    pub fn note_active(&mut self, at: Time, active: bool) {
        let floor = self.active.iter().rev().nth(1).map_or(at, |(before, _)| *before);
        if let Some((since, _)) = self.active.last_mut().filter(|(_, before)| *before == active) {
            // It ended earlier than what was read first has told.
            if !active && at < *since {
                *since = at.max(floor);
            }
            return;
        }
        // Event times may come out of order; what is noted is when it took effect at the earliest.
        let at = self.active.last().map_or(at, |(last, _)| at.max(*last));
        if self.active.len() >= MOST_ACTIVE {
            self.active.drain(..2);
        }
        self.active.push((at, active));
    }
}

/// Changes of status that are kept: past that the oldest are forgotten.
const MOST_ACTIVE: usize = 32;

/// FNV-1a of the rule's name.
pub fn rule_key(name: &str) -> RuleKey {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
