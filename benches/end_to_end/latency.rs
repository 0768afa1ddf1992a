//! How long a page takes: from the alert's timestamp to the committed action in a reader's hands.

use crate::engine::{Bench, reach};
use crate::load::{Generator, LIVE};
use crate::support::app::{App, Process};
use crate::support::client::{Progress, Reader, Writer};
use incidentd::model::Time;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// What is measured from the start of a rate is not the rate's.
const WARM_UP: Duration = Duration::from_secs(3);

/// Unmeasured. After the first rate alone the broker's machine code is what it stays: measured first, a rate has a tail that it
/// loses when it is measured second.
const SETTLE: Duration = Duration::from_secs(12);

pub fn run(bench: &Bench) {
    println!("\nlatency from alert to committed action, {} s at each rate", bench.seconds);
    let app = App::new("latency", bench.settings(10));
    let mut process = app.start();
    let mut live = Live::start(&app, &mut process, 10_000);
    for rate in [1_000, 10_000] {
        let pages = live.measure(rate, Duration::from_secs(bench.seconds), None);
        let Tail { p50, p99, worst, .. } = Tail::of(&pages);
        println!("  {rate:>6} alerts/s  p50 {p50:>4} ms  p99 {p99:>4} ms  worst {worst:>4} ms  of {} actions", pages.len());
    }
    println!("  wanted: p99 of 150 ms or less at 10,000 alerts/s on a quiet machine");
    assert!(process.is_running(), "incidentd ended:\n{}", process.log());
    process.stop();
}

/// A committed action in a reader's hands.
pub struct Page {
    /// When its alert was produced, and when it was read; milliseconds since 1970.
    pub sent: i64,
    pub seen: i64,
    /// Of its channel.
    pub target: String,
}

/// Milliseconds.
#[derive(Clone, Copy)]
pub struct Tail {
    pub p50: i64,
    pub p99: i64,
    pub worst: i64,
    /// The longest time in which no action came.
    pub gap: i64,
}

impl Tail {
    pub fn of(pages: &[Page]) -> Tail {
        let mut millis: Vec<i64> = pages.iter().map(|page| page.seen - page.sent).collect();
        millis.sort_unstable();
        let at = |share: f64| millis.get((millis.len() as f64 * share) as usize).copied().unwrap_or(-1);
        let gap = pages.windows(2).map(|pair| pair[1].seen - pair[0].seen).max().unwrap_or(-1);
        Tail { p50: at(0.5), p99: at(0.99), worst: millis.last().copied().unwrap_or(-1), gap }
    }

    /// Of each measure for itself.
    pub fn median(tails: &[Tail]) -> Tail {
        let middle = |of: fn(&Tail) -> i64| {
            let mut values: Vec<i64> = tails.iter().map(of).collect();
            values.sort_unstable();
            (values[(values.len() - 1) / 2] + values[values.len() / 2]) / 2
        };
        Tail { p50: middle(|t| t.p50), p99: middle(|t| t.p99), worst: middle(|t| t.worst), gap: middle(|t| t.gap) }
    }
}

/// Who writes the alerts to a process that holds [`LIVE`] incidents, and reads what it says.
pub struct Live {
    topic: String,
    writer: Writer,
    generator: Generator,
    reader: Reader,
}

impl Live {
    /// Once all incidents are open, and that rate has gone on for a while.
    pub fn start(app: &App, process: &mut Process, rate: u32) -> Live {
        let (topic, writer, mut generator) = (app.topic("alerts"), Writer::new(), Generator::new());
        for _ in 0..LIVE {
            let identity = generator.fresh();
            generator.send_as(&writer, &topic, identity, "critical");
        }
        writer.flush();
        reach(process, &Progress::new(&app.group(), &topic), LIVE as i64);
        let mut reader = Reader::new(&app.topic("notifications"));
        reader.read(|_| {});
        let mut live = Live { topic, writer, generator, reader };
        live.measure(rate, SETTLE, None);
        live
    }

    /// Each action whose alert was sent at that rate after the warm-up. `meanwhile`: what is done once, in the middle.
    pub fn measure(&mut self, rate: u32, length: Duration, meanwhile: Option<&(dyn Fn() + Sync)>) -> Vec<Page> {
        let Live { topic, writer, generator, reader } = self;
        let done = AtomicBool::new(false);
        let first = now() + WARM_UP.as_millis() as i64;
        thread::scope(|scope| {
            scope.spawn(|| {
                let (start, mut sent, mut left) = (Instant::now(), 0, meanwhile);
                while start.elapsed() < WARM_UP + length {
                    if start.elapsed() > WARM_UP + length / 2 {
                        left.take().into_iter().for_each(|act| act());
                    }
                    let due = (start.elapsed().as_secs_f64() * f64::from(rate)) as u64;
                    while sent < due {
                        let identity = generator.next();
                        generator.send_as(writer, topic, identity, "critical");
                        sent += 1;
                    }
                    thread::sleep(Duration::from_millis(1));
                }
                writer.flush();
                done.store(true, Ordering::Relaxed);
            });
            let mut pages = Vec::new();
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
                        let target = action["channel"]["config"]["channel"].as_str().unwrap_or_default().to_owned();
                        pages.push(Page { sent, seen, target });
                    }
                });
            }
            pages
        })
    }
}

pub fn now() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis() as i64
}
