//! Where tests kill the process: `FAILPOINTS="txn_after_produce=20*off->return"` in the environment of a build with the
//! feature `fail/failpoints`. Without the feature nothing of this is compiled in.
//!
//! Names: `txn_before_produce`, `txn_after_produce`, `txn_before_offsets`, `txn_after_offsets`, `txn_during_commit`,
//! `txn_after_commit`, `restore`; and `txn_fails`, which kills nothing and has the transaction aborted.

use crate::kafka::Error;

/// Reads `FAILPOINTS`, once.
pub fn arm() {
    static SCENARIO: std::sync::OnceLock<()> = std::sync::OnceLock::new();
    // For the life of the process: dropping a scenario disarms it.
    SCENARIO.get_or_init(|| std::mem::forget(fail::FailScenario::setup()));
}

/// Ends the process as `kill -9` does, where the failpoint says so.
#[inline]
pub fn at(name: &str) {
    fail::fail_point!(name, |_| kill());
    let _ = name;
}

/// As [`at`], but a moment later, from another thread: in the middle of what the caller does next.
#[inline]
pub fn during(name: &str) {
    fail::fail_point!(name, |_| {
        std::thread::spawn(|| {
            std::thread::sleep(std::time::Duration::from_micros(500));
            kill();
        });
    });
    let _ = name;
}

/// An error as a broker's refusal gives, where the failpoint says so: the transaction is aborted.
#[inline]
pub fn fails(name: &str) -> Result<(), Error> {
    fail::fail_point!(name, |_| Err(Error::new(crate::kafka::Reaction::Abort, format!("failpoint {name}"))));
    let _ = name;
    Ok(())
}

#[allow(dead_code, reason = "called where failpoints are compiled in")]
fn kill() {
    // SAFETY: two calls without pointers; the second does not return.
    unsafe { libc::kill(libc::getpid(), libc::SIGKILL) };
}
