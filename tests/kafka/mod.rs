//! On a real Apache Kafka broker: exactly once whatever dies, and no record that stops a shard.

mod aborts;
mod acknowledged;
mod audit;
mod backlog;
mod breaker;
mod cascade;
mod catch_up;
mod commands;
mod delivered;
mod deliveries_killed;
mod explain;
mod forwarder;
mod group;
mod kills;
mod levels;
mod members;
mod misbehaved;
mod poison;
mod replayed;
mod restart;
mod told;
mod traffic;

use std::sync::{Mutex, MutexGuard};

/// These tests fill a small machine: one of them at a time.
pub fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(|failed_before| failed_before.into_inner())
}
