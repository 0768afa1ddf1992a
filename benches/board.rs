//! The board with a million incidents: how long it takes to read them, what they take in memory, and what a list costs with any
//! filter, at any depth, while others change. `cargo bench --bench board -- [INCIDENTS]`.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use incidentd::board::{Board, Filter};
use incidentd::model::{Environment, Severity, Status, Time};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

const SERVICES: u64 = 2_000;
const QUERIES: usize = 20_000;
/// Changes a second while lists are asked for.
const CHANGES: u64 = 2_000;

fn pick<T: Copy>(all: &[T], rng: &mut StdRng) -> T {
    all[rng.random_range(0..all.len())]
}

/// As a shard writes one, with a few entries in its timeline.
fn json(n: u64, version: u64, rng: &mut StdRng) -> Vec<u8> {
    // Few services have many, as it is.
    let service = (SERVICES as f64 * rng.random::<f64>().powi(4)) as u64;
    let at = Time(1_790_000_000_000 + n as i64 * 997 - rng.random_range(0..60_000));
    let (status, severity) = (pick(&Status::ALL, rng).name(), pick(&Severity::ALL, rng).name());
    let environment = pick(&Environment::ALL, rng).name();
    let fingerprint: String = (0..4).map(|_| format!("{:016x}", rng.random::<u64>())).collect();
    format!(
        r##"{{"id":"inc_{:04x}{:016x}","fingerprint":"{fingerprint}","title":"p99 latency above threshold on model {}","description":"p99 of the last 5 minutes is {} ms","severity":"{severity}","category":"model_performance","service_id":"llm-service-{service}","environment":"{environment}","status":"{status}","triggered_at":"{at}","labels":{{"metric_type":"latency","model_id":"gpt-{}","region":"eu-{}","tenant_id":"tenant-{}"}},"metadata":{{"threshold":5.0,"current_value":{:.3},"unit":"s","dashboard_url":"https://grafana.example.com/d/{}","runbook_url":"https://runbooks.example.com/latency"}},"related_incident_ids":[],"suppressed":false,"silenced_by":[],"notifications":[{{"channel":"slack","target":"#llm-{service}","sent_at":"{at}","delivered":true}}],"escalation_level":0,"escalation_policy_id":"llm-production","timeline":[{{"timestamp":"{at}","event":"triggered","user":"system"}},{{"timestamp":"{at}","event":"escalated","user":"system","details":{{"level":0,"targets":["alice"]}}}},{{"timestamp":"{at}","event":"occurrence","user":"system","details":{{"count":{}}}}}],"occurrence_count":{},"first_seen_at":"{at}","last_seen_at":"{at}","version":{version},"last_alert":{{"topic":"alerts","partition":{},"offset":{n}}}}}"##,
        n % 12,
        n.wrapping_mul(0x9e37_79b9_7f4a_7c15),
        rng.random_range(0..40),
        rng.random_range(100..9_000),
        rng.random_range(3..6),
        rng.random_range(1..5),
        rng.random_range(0..500),
        rng.random::<f64>() * 20.0,
        rng.random_range(0..5_000),
        rng.random_range(2..50),
        rng.random_range(2..50),
        n % 12,
    )
    .into_bytes()
}

fn memory() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap_or_default();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap_or(0.0) / 1_024.0
}

fn some<T: Copy>(all: &[T], rng: &mut StdRng) -> Vec<T> {
    let wanted = rng.random_range(0..=all.len());
    if rng.random_bool(0.4) {
        Vec::new()
    } else {
        all.iter().copied().filter(|_| rng.random_range(0..all.len()) < wanted).collect()
    }
}

fn filter(rng: &mut StdRng) -> Filter {
    let services = if rng.random_bool(0.5) { 0 } else { rng.random_range(1..=10) };
    Filter {
        statuses: some(&Status::ALL, rng),
        severities: some(&Severity::ALL, rng),
        environments: some(&Environment::ALL, rng),
        services: (0..services).map(|_| format!("llm-service-{}", rng.random_range(0..SERVICES / 10))).collect(),
    }
}

fn report(what: &str, mut times: Vec<Duration>) {
    times.sort_unstable();
    let at = |part: f64| times[((times.len() - 1) as f64 * part) as usize];
    println!("{what}: p50 {:?}, p99 {:?}, p99.9 {:?}, max {:?}", at(0.5), at(0.99), at(0.999), at(1.0));
}

fn main() {
    let count = std::env::args().skip(1).find_map(|arg| arg.parse::<u64>().ok()).unwrap_or(1_000_000);
    let board = Arc::new(Board::default());
    let mut rng = StdRng::seed_from_u64(7);
    let (empty, mut bytes, mut reading) = (memory(), 0, Duration::ZERO);
    for n in 0..count {
        // Compacted topics come in the order of the last change, not of the opening.
        let text = json((n * 7_919) % count, 1, &mut rng);
        bytes += text.len();
        let began = Instant::now();
        board.put_incident(&text).expect("an incident");
        reading += began.elapsed();
    }
    let (incidents, _) = board.len();
    println!(
        "{incidents} incidents of {} bytes: read in {reading:.1?} ({:.1} µs each), {:.0} MiB ({:.0} bytes each)",
        bytes as u64 / count,
        reading.as_secs_f64() * 1e6 / count as f64,
        memory() - empty,
        (memory() - empty) * (1 << 20) as f64 / count as f64,
    );
    let (stop, changed) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = {
        let (board, stop, changed) = (Arc::clone(&board), Arc::clone(&stop), Arc::clone(&changed));
        std::thread::spawn(move || {
            let mut rng = StdRng::seed_from_u64(8);
            let began = Instant::now();
            while !stop.load(Ordering::Relaxed) {
                let done = changed.load(Ordering::Relaxed);
                if (began.elapsed().as_secs_f64() * CHANGES as f64) < done as f64 {
                    std::thread::sleep(Duration::from_millis(1));
                    continue;
                }
                let n = rng.random_range(0..count);
                board.put_incident(&json(n, done + 2, &mut rng)).expect("an incident");
                changed.fetch_add(1, Ordering::Relaxed);
            }
        })
    };
    for (what, deepest, limit) in
        [("first page of 50", 0, 50), ("any page of 50", count as usize, 50), ("any page of 500", count as usize, 500)]
    {
        let (mut times, mut shown) = (Vec::with_capacity(QUERIES), 0);
        for _ in 0..QUERIES {
            let filter = filter(&mut rng);
            let offset = if deepest == 0 { 0 } else { (deepest as f64 * rng.random::<f64>().powi(3)) as usize };
            let began = Instant::now();
            let page = board.list(&filter, offset, limit);
            // What an answer needs: the texts.
            shown += page.incidents.iter().map(|incident| incident.text().len()).sum::<usize>();
            times.push(began.elapsed());
        }
        report(&format!("{what}, any filter ({} KiB each)", shown / QUERIES / 1_024), times);
    }
    stop.store(true, Ordering::Relaxed);
    let _ = writer.join();
    println!("{} changes meanwhile", changed.load(Ordering::Relaxed));
}
