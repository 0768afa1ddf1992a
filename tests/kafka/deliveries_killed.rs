//! Killed in the middle of many deliveries, again and again: each arrives, and what arrives twice has the same key.

use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::{Progress, Writer, read_all};
use crate::support::receiver::{Answer, Receiver};
use crate::support::wait_until;
use serde_json::json;
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const TARGETS: u64 = 20;
/// Attempts to one target at the same time (`lane::ABREAST`), each of which a kill may repeat.
const ABREAST: u64 = 8;

fn action(number: u64, url: &str) -> (String, String) {
    // An incident each, at home in one of the four shards.
    let incident = format!("inc_{:04x}{number:016x}", number % 4);
    let service = format!("service-{}", number % 97);
    let action = json!({
        "id": format!("act_{number:032x}"), "kind": "notification", "incident_id": incident, "rule": "r", "event": "triggered",
        "created_at": "2026-03-01T09:00:00.000Z",
        "channel": { "type": "webhook", "config": { "url": format!("{url}/{}", number % TARGETS) } },
        "incident": {
            "id": incident, "title": "Down", "service_id": service, "severity": "high", "status": "triggered",
            "environment": "production", "category": "x", "labels": {}, "metadata": {}, "timeline": [],
            "triggered_at": "2026-03-01T09:00:00.000Z",
        },
    });
    (service, action.to_string())
}

/// `INCIDENTD_TEST_DELIVERIES`: how many, 12,000 by default: more than may be under way of two partitions, so that they pause and resume.
#[test]
fn each_action_arrives_whatever_is_killed_and_twice_only_around_a_kill() {
    const KILLS: u64 = 5;
    let number: u64 = match std::env::var("INCIDENTD_TEST_DELIVERIES") {
        Ok(number) => number.parse().expect("INCIDENTD_TEST_DELIVERIES is a number"),
        Err(_) => 12_000,
    };
    let _turn = turn();
    let receiver = Receiver::start(|_, _| Answer { after: Duration::from_millis(5), ..Answer::of(204) });
    let app = App::new("delivery-kills", Settings { roles: r#"["delivery"]"#, ..Settings::default() });
    let writer = Writer::new();
    for action in (0..number).map(|number| action(number, receiver.url())) {
        writer.send(&app.topic("notifications"), &action.0, action.1.as_bytes());
    }
    writer.flush();

    let mut struck = 0;
    for kill in 1..=KILLS {
        let process = app.start();
        let before = receiver.count();
        let enough = (number * kill / (KILLS + 1)) as usize;
        wait_until("it delivers", Duration::from_secs(60), || (receiver.count() >= enough.max(before + 50)).then_some(()));
        process.kill();
        struck += u64::from((receiver.count() as u64) < number);
    }
    assert!(struck >= KILLS - 1, "only {struck} of {KILLS} kills struck a process at work");

    let began = Instant::now();
    let last = app.start();
    let group = format!("{}-delivery", app.group());
    let progress = Progress::new(&group, &app.topic("notifications"));
    let ends = progress.ends();
    wait_until("all offsets are committed", Duration::from_secs(120), || (progress.committed() == ends).then_some(()));
    last.stop();

    let mut arrived: BTreeMap<String, Vec<Vec<u8>>> = BTreeMap::new();
    for request in receiver.requests() {
        arrived.entry(request.header("webhook-id")).or_default().push(request.body);
    }
    assert_eq!(arrived.len() as u64, number, "each arrived, and nothing else did");
    let twice: Vec<_> = arrived.values().filter(|bodies| bodies.len() > 1).collect();
    assert!(twice.iter().all(|bodies| bodies.windows(2).all(|pair| pair[0] == pair[1])), "the same bytes under the same key");
    let again: u64 = arrived.values().map(|bodies| bodies.len() as u64 - 1).sum();
    println!(
        "{number} deliveries, {KILLS} kills ({struck} at work): {again} arrived twice; the last run took {:?}",
        began.elapsed()
    );
    // Under way, or arrived and not yet written, when it was killed.
    assert!(again <= KILLS * TARGETS * ABREAST * 4, "{again} arrived twice");

    let mut receipts: BTreeMap<String, u64> = BTreeMap::new();
    for record in read_all(&app.topic("commands")) {
        let receipt = record.json();
        assert_eq!((&receipt["command"], &receipt["delivered"]), (&json!("delivery_receipt"), &json!(true)), "{receipt}");
        let home = u64::from_str_radix(&receipt["incident_id"].as_str().expect("an id")[4..8], 16).expect("hex");
        assert_eq!(record.partition as u64, home, "at home with its incident");
        *receipts.entry(receipt["action_id"].as_str().expect("an id").to_owned()).or_default() += 1;
    }
    assert_eq!(receipts.len() as u64, number, "each has its receipt");
}
