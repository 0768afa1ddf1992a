//! What the engine remembers about an incident besides what people see: which rules spoke, and what they still owe.

use crate::model::Time;
use serde::{Deserialize, Serialize};

/// A rule by the hash of its name: a reload that keeps the name keeps the memory.
pub type RuleKey = u64;

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Book {
    /// Rises on every reopening and unsuppression (SPEC 4.5); stands in action ids.
    pub epoch: u32,
    /// Rules that the incident has entered in this epoch (SPEC 4.7): they do not act on `triggered` again.
    pub entered: Vec<RuleKey>,
    /// Of these, those whose action wants a word on resolution (`send_on_resolve`).
    pub tell_on_resolve: Vec<RuleKey>,
    pub reminders: Vec<Reminder>,
}

/// A rule with `repeat_minutes` that has acted.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Reminder {
    pub rule: RuleKey,
    pub due: Time,
    /// How many were sent in this epoch.
    pub sent: u32,
}

impl Book {
    pub fn next_reminder(&self) -> Time {
        self.reminders.iter().map(|reminder| reminder.due).min().unwrap_or(Time::NEVER)
    }

    pub fn open_epoch(&mut self) {
        self.epoch += 1;
        self.entered.clear();
        self.tell_on_resolve.clear();
        self.reminders.clear();
    }
}

/// FNV-1a of the rule's name.
pub fn rule_key(name: &str) -> RuleKey {
    name.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3))
}
