//! A start over many live incidents: how fast they are restored, and what they weigh.

use crate::engine::{Bench, reach};
use crate::load::Generator;
use crate::measure::resident;
use crate::support::app::{App, Process, Settings};
use crate::support::client::{Progress, Writer};
use crate::support::wait_until;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(120);

pub fn run(bench: &Bench) {
    println!("\nrestore of {} live incidents", bench.incidents);
    let listen = free_address();
    let app = App::new("restore", Settings { listen: listen.clone(), ..bench.settings(10) });
    let empty = start(&app, &listen);

    let (writer, mut generator) = (Writer::new(), Generator::new());
    for _ in 0..bench.incidents {
        let identity = generator.fresh();
        // It pages nobody.
        generator.send_as(&writer, &app.topic("alerts"), identity, "medium");
    }
    writer.flush();
    let progress = Progress::new(&app.group(), &app.topic("alerts"));
    let mut process = app.start();
    let began = Instant::now();
    reach(&mut process, &progress, bench.incidents as i64);
    println!("  opened at  {:.0} incidents/s", bench.incidents as f64 / began.elapsed().as_secs_f64());
    println!("  memory     {:.0} bytes an incident, live", per(resident(process.pid()), empty.memory, bench.incidents));
    process.stop();

    let full = start(&app, &listen);
    println!("  ready      after {:.2} s, an empty one after {:.2} s", full.ready.as_secs_f64(), empty.ready.as_secs_f64());
    println!(
        "  restored   {:.0} incidents/s in {:.2} s (wanted: 200000 or more)",
        bench.incidents as f64 / full.restore,
        full.restore
    );
    println!(
        "  memory     {:.0} bytes an incident, restored (wanted: 1024 or less)",
        per(full.memory, empty.memory, bench.incidents)
    );
}

/// One start.
struct Start {
    ready: Duration,
    /// Seconds that its worker spent on restoring.
    restore: f64,
    memory: u64,
}

fn per(full: u64, empty: u64, incidents: u64) -> f64 {
    full.saturating_sub(empty) as f64 / incidents as f64
}

/// Starts it, and stops it again once it is ready.
fn start(app: &App, listen: &str) -> Start {
    let began = Instant::now();
    let mut process: Process = app.start();
    wait_until("ready", LIMIT, || {
        assert!(process.is_running(), "incidentd ended:\n{}", process.log());
        get(listen, "/readyz").filter(|answer| answer.starts_with("HTTP/1.1 200"))
    });
    let ready = began.elapsed();
    let metrics = get(listen, "/metrics").expect("metrics");
    let sum = metrics.lines().find_map(|line| line.strip_prefix("incidentd_state_restore_seconds_sum "));
    let restore = sum.and_then(|sum| sum.trim().parse().ok()).expect("the metric of restores");
    let memory = resident(process.pid());
    process.stop();
    Start { ready, restore, memory }
}

fn get(listen: &str, path: &str) -> Option<String> {
    let mut stream = TcpStream::connect(listen).ok()?;
    write!(stream, "GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").ok()?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).ok()?;
    Some(answer)
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    listener.local_addr().expect("a bound listener has an address").to_string()
}
