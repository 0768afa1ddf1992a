//! What the tests on a real broker, and the end-to-end benchmark, stand on.
// The test binary and the benchmark each use their part of it.
#![allow(dead_code)]

pub mod app;
pub mod broker;
pub mod client;
pub mod receiver;

use std::time::{Duration, Instant};

/// Looks until `condition` gives a value. Panics with `what` once `limit` is over.
pub fn wait_until<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "after {limit:?} still not so: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}
