//! A restart forgets nothing, and SIGTERM leaves nothing half done.

use super::audit::Audit;
use super::traffic::{Traffic, Written};
use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::{Reader, Writer, read_all};
use crate::support::wait_until;
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(30);
/// Less than the default session of a member.
const SESSION: Duration = Duration::from_secs(9);

#[test]
fn an_alert_after_a_restart_merges_into_the_incident_from_before_it() {
    let _turn = turn();
    let app = App::new("restart", Settings::default());
    let alert = br#"{"service_id":"llm-gateway","title":"latency","severity":"critical","category":"model_performance"}"#;
    let writer = Writer::new();
    let mut incidents = Reader::new(&app.topic("incidents"));
    let mut seen_counts = Vec::new();
    for round in 1..=3 {
        let process = app.start();
        writer.send(&app.topic("alerts"), "llm-gateway", alert);
        writer.flush();
        wait_until(&format!("{round} occurrences"), LIMIT, || {
            incidents.read(|record| seen_counts.push((record.key.clone(), record.json()["occurrence_count"].as_u64())));
            (seen_counts.last()?.1? >= round).then_some(())
        });
        // Once by a drain, once without one: the next start must know it either way.
        if round == 1 { process.stop() } else { process.kill() }
    }
    let (key, count) = seen_counts.last().cloned().expect("there was a last one");
    assert_eq!(count, Some(3));
    assert!(seen_counts.iter().all(|(other, _)| *other == key), "one incident throughout");
    assert_eq!(read_all(&app.topic("notifications")).len(), 1, "it pages once");
}

#[test]
fn sigterm_drains_under_load_and_the_next_start_goes_on_at_once() {
    let _turn = turn();
    let app = App::new("drain", Settings::default());
    // Dynamic members: one that left its group properly makes nobody wait for its session.
    let process = app.start_dynamic("before");
    let traffic = Traffic::start(&app, Written::default(), 5_000, 3);
    let mut audit = Audit::new(&app);
    wait_until("work under way", LIMIT, || {
        audit.look();
        (audit.actions() > 50).then_some(())
    });
    let start = Instant::now();
    process.stop();
    assert!(start.elapsed() < Duration::from_secs(10), "draining took {:?}", start.elapsed());
    let at_the_end = audit.actions();

    let successor = app.start_dynamic("after");
    wait_until("new pages of the successor, before a session of the old member could have ended", SESSION, || {
        audit.look();
        (audit.actions() > at_the_end + 50).then_some(())
    });
    let written = traffic.stop();
    audit.settle(&written, LIMIT);
    successor.stop();
    audit.look();
    audit.check(&written);
}
