//! The state machine: alerts in, incidents and actions out (SPEC 4).

use crate::model::{Alert, AlertOutcome, Channel, Output, Severity, Status, Time, time::Millis};
use crate::rules::RuleSet;
use std::rc::Rc;
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
    pub close_after: Millis,
    pub keep_closed: Millis,
    pub max_sources: usize,
    pub max_open: usize,
    pub max_closed: usize,
    pub default_channels: Vec<Channel>,
}

/// One thing that a shard is told. All but time comes from a record of its partitions.
pub enum Input<'a> {
    Alert(&'a Alert<'a>),
}

/// A record of the changelog topic `incidentd-state`; `None` is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub struct StateRecord {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// All state of one partition.
pub struct Shard {
    _todo: (),
}

impl Shard {
    pub fn new(_partition: u32, _settings: Arc<Settings>, _rules: Rc<RuleSet>) -> Shard {
        Shard { _todo: () }
    }

    /// Puts one changelog record back; in offset order, before anything else. An error is fatal: the state is unreadable.
    pub fn restore(&mut self, _key: &[u8], _value: Option<&[u8]>) -> Result<(), String> {
        Ok(())
    }

    /// After the last changelog record: rebuilds what is derived.
    pub fn restored(&mut self) {}

    /// Takes one input at wall time `now`; what it says is appended to `out`.
    pub fn process(&mut self, _now: Time, _input: Input<'_>, _out: &mut Vec<Output>) -> AlertOutcome {
        AlertOutcome::Created
    }

    /// Runs every timer that is due at `now`, in order of their due times.
    pub fn tick(&mut self, _now: Time, _out: &mut Vec<Output>) {}

    /// When the next timer is due at the earliest; `Time::NEVER` without any. May be early, never late.
    pub fn next_due(&self) -> Time {
        Time::NEVER
    }

    /// One record per entity that changed since the last call. Called once per commit of this shard.
    pub fn changelog(&mut self, _sink: &mut dyn FnMut(StateRecord)) {}

    /// A reload: limits, timers and attempts are kept.
    pub fn set_rules(&mut self, _rules: Rc<RuleSet>) {}

    /// For the gauges: open incidents by severity and status, and pending timers.
    pub fn open(&self, _each: &mut dyn FnMut(Severity, Status, u64)) {}

    pub fn timers_pending(&self) -> usize {
        0
    }
}
