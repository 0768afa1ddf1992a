//! The state machine: alerts in, incidents and actions out (SPEC 4).
//!
//! [`Shard::step`] decides and changes nothing, [`Shard::apply`] is the only mutator (ARCHITECTURE 2). A shard knows only
//! what came to it as a record of its own partitions, and time.
//!
//! - `shard`, `step`: the two moves; `follow`: what a change means for others; `due`, `timers`: time
//! - `store`, `entry`, `services`, `sources`, `book`: how incidents lie in memory; `closed`: the ids of those that left
//! - `changelog`, `ring`, `sides`: what is written down, and read back
//! - `lifecycle`, `dedup`: alerts; `command`: people; `facts`: other shards; `context`: changes and readings
//! - `flow`: from the opening to whoever is told; `links`, `parents`, `children`, `candidates` (`sorted`), `upstreams`, `stale`: what hangs on
//!   what;
//!   `silences`: what is muted
//! - `notify`, `reminders`: rules against events; `desk`, `desks`, `limit`, `digest`, `answer`: limits over a whole rule
//! - `escalate`, `policy`, `course`: levels; `remediate`, `attempts`, `outcome`, `budget`: repairs
//!
//! Invariant: no clock, thread, randomness, I/O or logging here; wall time is handed in.

mod announce;
mod answer;
mod attempts;
mod body;
mod book;
mod budget;
mod candidates;
mod changelog;
mod children;
mod closed;
mod command;
mod context;
mod count;
mod counted;
mod course;
mod dedup;
mod desk;
mod desks;
mod digest;
mod due;
mod entry;
mod escalate;
mod facts;
mod flow;
mod follow;
mod head;
mod inspect;
mod level;
mod lifecycle;
mod limit;
mod links;
mod notify;
mod outcome;
mod parents;
mod policy;
mod remediate;
mod reminders;
mod ring;
mod services;
mod shard;
mod sides;
mod silence_index;
mod silences;
mod sorted;
mod sources;
mod stale;
mod step;
mod store;
#[cfg(test)]
mod tests;
mod timers;
mod upstreams;

pub use changelog::StateRecord;
pub use shard::Shard;
pub use timers::Timers;

use crate::model::time::{DAY, HOUR, MINUTE, Millis, SECOND};
use crate::model::{Alert, AlertOutcome, Channel, Command, Fact, Incident, IncidentId, ServiceEvent, Time};
use std::sync::Arc;

/// What of the configuration the engine goes by.
#[derive(Clone, Debug)]
pub struct Settings {
    pub partitions: u32,
    pub publish_interval: Millis,
    pub window: Millis,
    /// `dedup.anchor = "last_seen"`.
    pub anchor_last_seen: bool,
    pub reopen_within: Millis,
    /// 0: off.
    pub stale_after: Millis,
    /// 0: off.
    pub close_after: Millis,
    pub keep_closed: Millis,
    pub max_sources: usize,
    pub max_open: usize,
    pub max_closed: usize,
    /// Wall time before anything is said of a new incident whose service has dependencies; 0: off.
    pub hold: Millis,
    pub orphan_grace: Millis,
    /// Reopenings an hour past which an incident is flapping; 0: off.
    pub flapping_reopens: u64,
    pub flapping_stable: Millis,
    pub max_silences: usize,
    pub max_related: usize,
    pub max_receipts: usize,
    pub max_digest: usize,
    pub default_channels: Vec<Channel>,
}

impl Settings {
    /// For so long the parent's fact is kept after it fires no more: whoever hangs on it was released by then.
    pub fn keep_upstream(&self) -> Millis {
        self.close_after + self.orphan_grace + HOUR
    }
}

impl Default for Settings {
    /// The SPEC's (6), for a cluster of one partition.
    fn default() -> Settings {
        Settings {
            partitions: 1,
            publish_interval: 10 * SECOND,
            window: 15 * MINUTE,
            anchor_last_seen: false,
            reopen_within: 5 * MINUTE,
            stale_after: 24 * HOUR,
            close_after: 24 * HOUR,
            keep_closed: 7 * DAY,
            max_sources: 1_000,
            max_open: 500_000,
            max_closed: 1_000_000,
            hold: 2 * SECOND,
            orphan_grace: 6 * MINUTE,
            flapping_reopens: 5,
            flapping_stable: 15 * MINUTE,
            max_silences: 1_000,
            max_related: 20,
            max_receipts: 100,
            max_digest: 500,
            default_channels: Vec::new(),
        }
    }
}

/// One thing that a shard is told. All but time comes from a record of its partitions.
#[derive(Clone, Copy)]
pub enum Input<'a> {
    Alert(&'a Alert<'a>),
    /// `at`: the record's Kafka timestamp.
    Command {
        command: &'a Command,
        at: Time,
    },
    Event(&'a ServiceEvent),
    Fact(&'a Fact),
}

/// What became of an input.
#[derive(Clone, PartialEq, Debug)]
pub enum Outcome {
    /// `incident`: the one that it went into.
    Alert { outcome: AlertOutcome, incident: Option<IncidentId> },
    /// Carried out, or true already; the incident that it was about.
    Done(Option<Arc<Incident>>),
    /// A receipt or result for an incident that is closed or unknown, an event too old to matter: counted.
    Ignored,
    /// To `dead-letters`.
    Refused(Refusal),
}

/// Why a command cannot be carried out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// As HTTP has it: 404 unknown, 409 not from here, 422 wrong in itself.
    pub status: u16,
    pub reason: String,
}
