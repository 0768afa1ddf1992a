//! The loop around the engine: one thread, one consumer, one transactional producer and the shards of its partitions.
//!
//! Here alone the engine's clock is read. [`start`] runs as many workers as asked for; [`Workers`] stops and watches them.
//!
//! - `session`: the loop, from joining the group to leaving it
//! - `lane`: a shard with what it has said and not yet committed
//! - `intake`: records into lanes (`orders`: commands and events), to `forward` to their home, or to `dead-letters`
//! - `answer`: replies to records that ask for one
//! - `catch_up`: what comes from behind, in the order of its time, and nobody told before its end
//! - `commit`: which lanes are due; `transactions`: the thread that ends what it begins
//! - `restoring`: offsets and state of lanes that are new or were dropped
//! - `health`: readiness and the watchdog
//!
//! Invariant: what a lane buffers is produced in the transaction that carries the offsets of the records that it came from.

mod answer;
mod catch_up;
mod commit;
mod failpoint;
mod forward;
mod health;
mod intake;
mod lane;
mod orders;
mod report;
mod restoring;
mod rules;
mod session;
mod transactions;

pub use health::Workers;
pub use report::{Committed, Gauges, Inputs, Observe, Seen};
pub use rules::SharedRules;

use crate::kafka::{Clients, Error, Layout, Names};
use crate::model::Topic;
use crate::{codec, engine, rules::Limits};
use std::sync::Arc;
use std::time::Duration;

/// What the workers of a process have in common.
#[derive(Clone)]
pub struct Settings {
    pub clients: Arc<Clients>,
    pub names: Names,
    /// As [`crate::kafka::Observer::layout`] found and checked it.
    pub layout: Layout,
    /// At least 1.
    pub workers: usize,
    pub commit_interval: Duration,
    pub idle_commit_interval: Duration,
    /// How long shards that are behind hold their actions; zero: not at all.
    pub catch_up: Duration,
    pub codec: Arc<codec::Settings>,
    /// `partitions` is the layout's `shards`.
    pub engine: Arc<engine::Settings>,
    pub rules: Arc<SharedRules>,
    pub rule_limits: Limits,
    pub observe: Observe,
}

/// Starts the workers, each on its own thread. They go on through every error that may mend; one that does not ends all
/// of them through [`Workers::failure`].
pub fn start(settings: Settings) -> Result<Workers, Error> {
    failpoint::arm();
    health::start(Arc::new(settings))
}

/// What `topic` is called on this cluster.
pub fn topic_name(names: &Names, topic: Topic) -> &str {
    match topic {
        Topic::Alerts => &names.alerts,
        Topic::Commands => &names.commands,
        Topic::Events => &names.events,
        Topic::Incidents => &names.incidents,
        Topic::Silences => &names.silences,
        Topic::Notifications => &names.notifications,
        Topic::Escalations => &names.escalations,
        Topic::Remediations => &names.remediations,
        Topic::Decisions => &names.decisions,
        Topic::DeadLetters => &names.dead_letters,
        Topic::State => &names.state,
        Topic::Inbox => &names.inbox,
        Topic::Replies => &names.replies,
        Topic::Delivery => &names.delivery,
    }
}

/// The topics that workers read, in the order of the subscription: a record's topic is its place here.
const INPUTS: [Topic; 4] = [Topic::Alerts, Topic::Commands, Topic::Events, Topic::Inbox];
