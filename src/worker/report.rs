//! What a worker tells about itself: plain counts, handed over after the commit (SPEC 6, «Counters rise only after the commit»).

use crate::model::{AlertOutcome, Severity, Status};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Called on the worker's thread, a few times a second; must not block.
pub type Observe = Arc<dyn Fn(Seen<'_>) + Send + Sync>;

pub enum Seen<'a> {
    /// A transaction was committed; what it held.
    Committed(&'a Committed),
    /// A transaction was aborted, and why. Nothing that it held counts.
    Aborted(&'a str),
    /// Shards were restored: seconds, changelog records.
    Restored { seconds: f64, records: u64, shards: usize },
    /// About once a second.
    Gauges(&'a Gauges),
}

/// What one transaction held.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Committed {
    /// By `AlertOutcome as usize`.
    pub alerts: [u64; AlertOutcome::ALL.len()],
    /// By kind (`notification`) and rule; the rule is empty for `default_channels`.
    pub actions: BTreeMap<(&'static str, String), u64>,
    /// Incidents for which no rule acted.
    pub unrouted: u64,
    /// By rule and result.
    pub evaluations: BTreeMap<(String, &'static str), u64>,
    pub inputs: Inputs,
    /// By stage.
    pub dead_letters: BTreeMap<&'static str, u64>,
    /// From `begin` to the end of `commit`.
    pub transaction_seconds: f64,
    /// From the Kafka timestamp of the record that caused an action to the end of the commit; at most 1,000 of a
    /// transaction's.
    pub alert_to_action_seconds: Vec<f64>,
}

/// What became of records that are not alerts, and of requests.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Inputs {
    /// By command (empty where it is none) and outcome.
    pub commands: BTreeMap<(&'static str, &'static str), u64>,
    /// By `change` or `measurement` (empty where it is neither) and outcome.
    pub events: BTreeMap<(&'static str, &'static str), u64>,
    /// By `sent`, or `unanswerable`.
    pub replies: BTreeMap<&'static str, u64>,
}

impl Inputs {
    pub fn add(&mut self, more: Inputs) {
        for (key, count) in more.commands {
            *self.commands.entry(key).or_default() += count;
        }
        for (key, count) in more.events {
            *self.events.entry(key).or_default() += count;
        }
        for (key, count) in more.replies {
            *self.replies.entry(key).or_default() += count;
        }
    }
}

/// How things stand with one worker; the process's are the sums over its workers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gauges {
    pub worker: usize,
    pub shards: usize,
    pub timers_pending: usize,
    pub open: BTreeMap<(Severity, Status), u64>,
    /// Topic as the cluster knows it, partition, records behind.
    pub lag: Vec<(String, u32, u64)>,
    /// How long rules' closures took since the last report.
    pub evaluation_seconds: Vec<f64>,
}
