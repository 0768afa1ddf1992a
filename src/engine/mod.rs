//! The state machine: alerts in, incidents and actions out (SPEC 4).
//!
//! [`Shard::step`] decides and changes nothing, [`Shard::apply`] is the only mutator (ARCHITECTURE 2). A shard knows only
//! what came to it as a record of its own partitions, and time.
//!
//! Invariant: no clock, thread, randomness, I/O or logging here; wall time is handed in.

mod book;
mod changelog;
mod closed;
mod dedup;
mod entry;
mod lifecycle;
mod notify;
mod services;
mod shard;
mod sources;
mod step;
mod store;
#[cfg(test)]
mod tests;
mod timers;

pub use changelog::StateRecord;
pub use shard::Shard;
pub use timers::Timers;

use crate::model::{Alert, Channel, time::Millis};

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
    pub default_channels: Vec<Channel>,
}

/// One thing that a shard is told. All but time comes from a record of its partitions.
pub enum Input<'a> {
    Alert(&'a Alert<'a>),
}
