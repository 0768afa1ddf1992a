//! Exactly once although the process is killed: at each step of the transaction cycle, and at random moments.

use super::audit::Audit;
use super::traffic::{Traffic, Written};
use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::Progress;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

/// The failpoints of the transaction cycle, each with how often it passes before it kills.
const STEPS: [(&str, u32); 7] = [
    ("txn_before_produce", 20),
    ("txn_after_produce", 20),
    ("txn_before_offsets", 20),
    ("txn_after_offsets", 20),
    ("txn_during_commit", 20),
    ("txn_after_commit", 20),
    ("restore", 0),
];

#[test]
fn exactly_once_when_killed_at_each_step_of_a_transaction() {
    let _turn = turn();
    let app = App::new("steps", Settings::default());
    let mut audit = Audit::new(&app);
    let mut written = Written::default();
    for (step, passes) in STEPS {
        let traffic = Traffic::start(&app, written, 2_000, 1);
        let action = if passes == 0 { format!("{step}=return") } else { format!("{step}={passes}*off->return") };
        let mut process = app.start_with(&[("FAILPOINTS", &action)]);
        let status = process.wait(Duration::from_secs(30));
        assert_eq!(status.signal(), Some(libc::SIGKILL), "{step} was not what ended it:\n{}", process.log());
        written = traffic.stop();

        let successor = app.start();
        audit.settle(&written, Duration::from_secs(60));
        successor.stop();
        audit.look();
        audit.check(&written);
    }
    audit.check_against_replay(&app);
}

/// `INCIDENTD_TEST_KILLS`: how many times, 50 by default.
#[test]
fn exactly_once_when_killed_at_random_moments_under_load() {
    let kills: u32 = match std::env::var("INCIDENTD_TEST_KILLS") {
        Ok(number) => number.parse().expect("INCIDENTD_TEST_KILLS is a number"),
        Err(_) => 50,
    };
    let seed: u64 = rand::rng().random();
    println!("seed {seed}");
    let mut random = StdRng::seed_from_u64(seed);

    let _turn = turn();
    let app = App::new("kills", Settings { publish_interval: "2s", ..Settings::default() });
    let progress = Progress::new(&app.group(), &app.topic("alerts"));
    let traffic = Traffic::start(&app, Written::default(), 20_000, seed);
    let mut struck_at_work = 0;
    for _ in 0..kills {
        let before: i64 = progress.committed().iter().sum();
        let process = app.start();
        thread::sleep(Duration::from_millis(random.random_range(200..4_500)));
        process.kill();
        let after: i64 = progress.committed().iter().sum();
        struck_at_work += u32::from(after > before);
    }
    let written = traffic.stop();
    assert!(struck_at_work * 4 >= kills, "only {struck_at_work} of {kills} kills struck a process that had begun to work");

    let start = Instant::now();
    let last = app.start();
    let mut audit = Audit::new(&app);
    audit.settle(&written, Duration::from_secs(180));
    last.stop();
    audit.look();
    audit.check(&written);
    audit.check_against_replay(&app);
    println!(
        "{} alerts, {} pages, {kills} kills ({struck_at_work} at work), settled in {:?}",
        written.alerts,
        audit.actions(),
        start.elapsed()
    );
}
