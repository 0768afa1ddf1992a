//! What one of twenty targets that hangs costs the others: how long their pages take, beside the same without it.
//!
//! `cargo bench --bench delivery`. One run starts one real Apache Kafka broker; `incidentd run` with the role `delivery` alone is a
//! child process, the twenty targets are webhooks on loopback. Both cases alternate, the medians count, and only their ratio means
//! anything, since broker, targets and load share the machine. From when the action is handed to the producer to when its target has
//! the request; pages of the hanging target itself do not count.
//!
//! Environment (defaults): `INCIDENTD_BENCH_RUNS` (3), `_SECONDS` (30) of each run, `_RATE` (200) pages a second over all targets;
//! `INCIDENTD_TEST_BOOTSTRAP`.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

/// The program's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "../tests/support/mod.rs"]
mod support;

use serde_json::json;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};
use support::app::{App, Settings};
use support::client::{Progress, Writer};
use support::receiver::{Answer, Receiver};
use support::wait_until;

const TARGETS: u64 = 20;
/// What is measured from the start of a run is the start's.
const WARM_UP: Duration = Duration::from_secs(5);
const WANTED: f64 = 1.2;

fn setting(name: &str, default: u64) -> u64 {
    std::env::var(format!("INCIDENTD_BENCH_{name}")).ok().and_then(|text| text.parse().ok()).unwrap_or(default)
}

fn main() {
    let (runs, rate) = (setting("RUNS", 3), setting("RATE", 200));
    let length = Duration::from_secs(setting("SECONDS", 30));
    println!("{rate} pages/s to {TARGETS} targets, {runs} runs of {} s each way", length.as_secs());
    let (mut undisturbed, mut beside) = (Vec::new(), Vec::new());
    for _ in 0..runs {
        for (hangs, percentiles) in [(false, &mut undisturbed), (true, &mut beside)] {
            let millis = run(hangs, rate, length);
            let at = |share: f64| millis[(millis.len() as f64 * share) as usize];
            println!(
                "  {:<20}  p50 {:>7.2} ms  p99 {:>7.2} ms  worst {:>7.2} ms  of {} pages",
                if hangs { "beside one that hangs" } else { "undisturbed" },
                at(0.5),
                at(0.99),
                millis[millis.len() - 1],
                millis.len()
            );
            percentiles.push((at(0.5), at(0.99)));
        }
    }
    let median = |percentiles: &[(f64, f64)], of: fn(&(f64, f64)) -> f64| {
        let mut values: Vec<f64> = percentiles.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2.0
    };
    let ratio = |of: fn(&(f64, f64)) -> f64| median(&beside, of) / median(&undisturbed, of);
    println!("  ratios of the medians  p50 {:.2}, p99 {:.2} (wanted: {WANTED:.2} or less)", ratio(|it| it.0), ratio(|it| it.1));
}

/// Milliseconds, sorted, of each page that was sent after the warm-up, without those of the first target.
fn run(hangs: bool, rate: u64, length: Duration) -> Vec<f64> {
    let began = Instant::now();
    let took: Arc<Mutex<Vec<f64>>> = Arc::default();
    let kept = Arc::clone(&took);
    let receiver = Receiver::start(move |request, _| {
        if request.path == "/0" {
            return Answer { after: if hangs { Duration::from_secs(3_600) } else { Duration::ZERO }, ..Answer::of(204) };
        }
        let sent = request.json()["incident"]["metadata"]["sent"].as_u64().expect("when it was sent");
        // 0: not measured.
        if sent > 0 {
            let micros = began.elapsed().as_micros() as u64 - sent;
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(micros as f64 / 1_000.0);
        }
        Answer::of(204)
    });
    let roles = r#"["delivery"]"#;
    let app = App::new("bench-delivery", Settings { roles, ..Settings::default() });
    let writer = Writer::new();
    let topic = app.topic("notifications");
    let process = app.start();
    // Its partitions are its own once the first page has arrived.
    let send = |number: u64, target: u64, sent: u64| {
        let (service, action) = action(number, &format!("{}/{target}", receiver.url()), sent);
        writer.send(&topic, &service, action.as_bytes());
    };
    (0..TARGETS).for_each(|number| send(number, number, 0));
    writer.flush();
    wait_until("the first pages", Duration::from_secs(60), || (receiver.count() >= TARGETS as usize).then_some(()));

    let offset = began.elapsed();
    let start = Instant::now();
    let (mut number, mut counted) = (TARGETS, 0);
    while start.elapsed() < WARM_UP + length {
        let due = (start.elapsed().as_secs_f64() * rate as f64) as u64 + TARGETS;
        while number < due {
            // Relative to the start of the load, so that the warm-up is the load's.
            let sent = began.elapsed();
            let measured = sent.saturating_sub(offset) >= WARM_UP;
            counted += u64::from(measured && number % TARGETS != 0);
            send(number, number % TARGETS, if measured { sent.as_micros() as u64 } else { 0 });
            number += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    writer.flush();
    wait_until("all others have their pages", Duration::from_secs(60), || {
        (took.lock().unwrap_or_else(PoisonError::into_inner).len() as u64 >= counted).then_some(())
    });
    if !hangs {
        let progress = Progress::new(&format!("{}-delivery", app.group()), &topic);
        let ends = progress.ends();
        wait_until("all offsets are committed", Duration::from_secs(60), || (progress.committed() == ends).then_some(()));
    }
    // What hangs would make a drain wait for it.
    process.kill();
    let mut millis = took.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(millis.len() as u64, counted, "each page once");
    millis.sort_by(f64::total_cmp);
    millis
}

fn action(number: u64, url: &str, sent: u64) -> (String, String) {
    let incident = format!("inc_{:04x}{number:016x}", number % 4);
    let service = format!("service-{}", number % 97);
    let action = json!({
        "id": format!("act_{number:032x}"), "kind": "notification", "incident_id": incident, "rule": "r", "event": "triggered",
        "created_at": "2026-03-01T09:00:00.000Z",
        "channel": { "type": "webhook", "config": { "url": url } },
        "incident": {
            "id": incident, "title": "Down", "service_id": service, "severity": "high", "status": "triggered",
            "environment": "production", "category": "x", "labels": {}, "metadata": { "sent": sent }, "timeline": [],
            "triggered_at": "2026-03-01T09:00:00.000Z",
        },
    });
    (service, action.to_string())
}
