//! From the action topics to people: what the engine has decided is carried out here, at least once (SPEC 7).
//!
//! Pure, given the time: `desk` (an action becomes deliveries, each followed to its end) over `expand` (who is told, who stands in),
//! `dispatch`, `lane` and `breaker` (order, retries, breakers), `thread` and `story` (what threads are told), `book` (what is
//! remembered), `settlement` (what is written at the end), `tracker` (offsets).
//! Around it: `intake` (the group's member, on a thread of its own), `hands` (the loop that sends), `pen` (what is written to Kafka),
//! `follow` (incidents and dead letters as they come), `report` (metrics), `health` (start, readiness, drain), `heartbeat`.
//!
//! - [`channel`]: one attempt to bring one message to one target; what becomes of it is the caller's
//! - [`drill`]: a test page
//!
//! Invariant: an action's offset is committed only when each of its targets has its receipt, and `incidentd-delivery` says so. A kill
//! between sending and writing repeats the sending under the same id; nothing is lost.

mod book;
mod breaker;
pub mod channel;
mod desk;
mod dispatch;
pub mod drill;
mod expand;
mod follow;
mod hands;
mod health;
mod heartbeat;
mod intake;
mod lane;
mod pen;
mod report;
mod settlement;
mod story;
mod thread;
mod tracker;

use crate::codec;
use crate::config;
use crate::kafka::{Clients, Error, Names, Slot};
use crate::model::Time;
use channel::Channels;
use std::sync::Arc;
use tokio::runtime::Handle;

pub use health::Delivery;

pub use crate::model::time::Millis;

/// Names a delivery while it is on its way; no two of a process are alike.
type Ticket = u64;

/// A moment by two clocks.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// Since the process began; never goes back.
    pub at: Millis,
    pub wall: Time,
}

/// A record of an action topic, as it came.
#[derive(Debug, Default)]
pub struct Record {
    pub slot: Slot,
    pub offset: i64,
    /// Kafka's.
    pub time: Option<Time>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What delivery goes by.
pub struct Settings {
    pub clients: Arc<Clients>,
    pub names: Names,
    pub codec: codec::Settings,
    pub fallback: config::Fallback,
    pub executor: config::Executor,
    pub heartbeat: config::Heartbeat,
    pub breaker: config::Breaker,
    /// Partitions of `incidents`; and whether those of `commands` are the same.
    pub shards: u32,
    pub commands_at_home: bool,
    /// Partitions of `incidentd-delivery`, and of `dead-letters`.
    pub partitions: u32,
    pub dead_letters: u32,
}

impl Settings {
    /// Remediations are left to whoever else reads them, unless an executor is configured.
    fn subscription(&self) -> Vec<String> {
        let mut topics = vec![self.names.notifications.clone(), self.names.escalations.clone()];
        topics.extend(self.executor.webhook_url.as_ref().map(|_| self.names.remediations.clone()));
        topics
    }

    /// The name of the subscription's `place`.
    fn topic(&self, place: usize) -> &str {
        [&self.names.notifications, &self.names.escalations, &self.names.remediations]
            .get(place)
            .map_or("?", |name| name.as_str())
    }
}

/// Joins the group and delivers, until [`Delivery::join`]. `runtime`: where attempts are made.
pub fn start(settings: Settings, channels: Arc<Channels>, runtime: &Handle) -> Result<Delivery, Error> {
    health::start(settings, channels, runtime)
}
