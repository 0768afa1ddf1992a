//! A start over many live incidents: how long it takes until it is ready, and what they weigh.

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
    let (empty_time, empty_memory) = start(&app, &listen);

    let (writer, mut generator) = (Writer::new(), Generator::new());
    for _ in 0..bench.incidents {
        let identity = generator.fresh();
        generator.send_quiet(&writer, &app.topic("alerts"), identity);
    }
    writer.flush();
    let progress = Progress::new(&app.group(), &app.topic("alerts"));
    let mut process = app.start();
    let began = Instant::now();
    reach(&mut process, &progress, bench.incidents as i64);
    println!("  opened at  {:.0} incidents/s", bench.incidents as f64 / began.elapsed().as_secs_f64());
    println!("  memory     {:.0} bytes an incident, live", per(resident(process.pid()), empty_memory, bench.incidents));
    process.stop();

    let (time, memory) = start(&app, &listen);
    let seconds = (time.saturating_sub(empty_time)).as_secs_f64();
    println!("  ready      {:.2} s over an empty start's {:.2} s", seconds, empty_time.as_secs_f64());
    println!("  restored   {:.0} incidents/s (wanted: 200000 or more)", bench.incidents as f64 / seconds);
    println!("  memory     {:.0} bytes an incident, restored (wanted: 1024 or less)", per(memory, empty_memory, bench.incidents));
}

fn per(full: u64, empty: u64, incidents: u64) -> f64 {
    full.saturating_sub(empty) as f64 / incidents as f64
}

/// Starts it, and stops it again once it is ready: how long that took, and the memory then.
fn start(app: &App, listen: &str) -> (Duration, u64) {
    let began = Instant::now();
    let mut process: Process = app.start();
    wait_until("ready", LIMIT, || {
        assert!(process.is_running(), "incidentd ended:\n{}", process.log());
        is_ready(listen).then_some(())
    });
    let took = began.elapsed();
    let memory = resident(process.pid());
    process.stop();
    (took, memory)
}

fn is_ready(listen: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(listen) else { return false };
    let mut answer = String::new();
    stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n").is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

fn free_address() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    listener.local_addr().expect("a bound listener has an address").to_string()
}
