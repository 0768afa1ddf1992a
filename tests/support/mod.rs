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

/// Each connection is a file: as many as the system lets this process have, where it holds a crowd of them.
pub fn allow_many_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls take a pointer to a limit of ours that outlives them; where they fail the old limit stays.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}
