//! How long a page takes: from the alert's timestamp to the committed action in a reader's hands.

use crate::engine::Bench;
use crate::load::{Generator, LIVE};
use crate::support::app::App;
use crate::support::client::{Progress, Reader, Writer};
use incidentd::model::Time;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is measured from the start of a rate is not the rate's.
const WARM_UP: Duration = Duration::from_secs(3);

/// Before the first rate, unmeasured.
const SETTLE: Duration = Duration::from_secs(12);

pub fn run(bench: &Bench) {
    println!("\nlatency from alert to committed action, {} s at each rate", bench.seconds);
    let app = App::new("latency", bench.settings(10));
    let mut process = app.start();
    let (writer, mut generator) = (Writer::new(), Generator::new());
    for _ in 0..LIVE {
        let identity = generator.fresh();
        generator.send_as(&writer, &app.topic("alerts"), identity, "critical");
    }
    writer.flush();
    crate::engine::reach(&mut process, &Progress::new(&app.group(), &app.topic("alerts")), LIVE as i64);

    let mut reader = Reader::new(&app.topic("notifications"));
    reader.read(|_| {});
    // After the first rate alone the broker's machine code is what it stays: measured first, a rate has a tail that it loses
    // when it is measured second.
    measure(&app, &writer, &mut generator, &mut reader, 10_000, SETTLE);
    for rate in [1_000, 10_000] {
        let mut millis = measure(&app, &writer, &mut generator, &mut reader, rate, Duration::from_secs(bench.seconds));
        millis.sort_unstable();
        let at = |share: f64| millis.get((millis.len() as f64 * share) as usize).copied().unwrap_or(-1);
        println!(
            "  {rate:>6} alerts/s  p50 {:>4} ms  p99 {:>4} ms  worst {:>4} ms  of {} actions",
            at(0.5),
            at(0.99),
            millis.last().copied().unwrap_or(-1),
            millis.len()
        );
    }
    println!("  wanted: p99 of 150 ms or less at 10,000 alerts/s on a quiet machine");
    assert!(process.is_running(), "incidentd ended:\n{}", process.log());
    process.stop();
}

/// Milliseconds of each action whose alert was sent at that rate after the warm-up.
fn measure(app: &App, writer: &Writer, generator: &mut Generator, reader: &mut Reader, rate: u32, length: Duration) -> Vec<i64> {
    let (topic, done) = (app.topic("alerts"), AtomicBool::new(false));
    let first = now() + WARM_UP.as_millis() as i64;
    thread::scope(|scope| {
        scope.spawn(|| {
            let (start, mut sent) = (Instant::now(), 0);
            while start.elapsed() < WARM_UP + length {
                let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64;
                while sent < due {
                    let identity = generator.next();
                    generator.send_as(writer, &topic, identity, "critical");
                    sent += 1;
                }
                thread::sleep(Duration::from_millis(1));
            }
            writer.flush();
            done.store(true, Ordering::Relaxed);
        });
        let mut millis = Vec::new();
        let mut last_round = false;
        while !last_round {
            last_round = done.load(Ordering::Relaxed);
            if last_round {
                // What is on its way has this long to come, far beyond what is wanted.
                thread::sleep(Duration::from_secs(2));
            }
            reader.read(|record| {
                let (seen, action) = (now(), record.json());
                let sent = action["incident"]["first_seen_at"].as_str().and_then(Time::parse).expect("a timestamp").0;
                if sent >= first {
                    millis.push(seen - sent);
                }
            });
        }
        millis
    })
}

fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}
