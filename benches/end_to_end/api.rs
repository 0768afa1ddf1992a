//! The API over a million incidents of a real engine: lists by any filter, and acknowledgements until their answer.

use crate::engine::{Bench, reach};
use crate::http::Client;
use crate::load::Generator;
use crate::measure::resident;
use crate::support::app::{App, Settings};
use crate::support::client::{Progress, Writer};
use crate::support::wait_until;
use incidentd::model::{Environment, Severity, Status};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

const SERVICES: u64 = 2_000;
/// Lists of each shape, and acknowledgements.
const ASKED: usize = 2_000;
/// At a time.
const READERS: usize = 4;
const PEOPLE: usize = 8;
/// Alerts a second meanwhile.
const RATE: f64 = 1_000.0;
/// Of each status that a command leads to.
const MOVED: usize = 1_000;
const LIMIT: Duration = Duration::from_secs(300);

pub fn run(bench: &Bench) {
    println!("\nAPI over {} incidents, {RATE} alerts/s meanwhile", bench.incidents);
    let api = "rate_limit = 0".to_owned();
    let app = App::new("api", Settings { roles: r#"["engine", "api"]"#, api, ..bench.settings(1) });
    let (writer, mut rng) = (Writer::new(), StdRng::seed_from_u64(7));
    for n in 0..bench.incidents {
        open(&writer, &app.topic("alerts"), n, &mut rng);
    }
    writer.flush();
    let progress = Progress::new(&app.group(), &app.topic("alerts"));
    let mut process = app.start();
    reach(&mut process, &progress, bench.incidents as i64);
    let client = Client::new(&process.url());
    client.wait_ready();
    wait_until("all incidents are on the board", LIMIT, || {
        let list = client.get("/v1/incidents?limit=1").expect(200);
        (list["pagination"]["total"] == json!(bench.incidents)).then_some(())
    });
    let ids = ids(&client, 4 * MOVED + ASKED);
    let (moved, acknowledged) = ids.split_at(4 * MOVED);
    for (ids, command) in moved.chunks(MOVED).zip(["acknowledge", "investigate", "identify", "resolve"]) {
        for id in ids {
            let text = json!({"command": command, "incident_id": id, "user": "bench"}).to_string();
            writer.send(&app.topic("commands"), id, text.as_bytes());
        }
    }
    writer.flush();
    wait_until("the commands are carried out", LIMIT, || {
        let list = client.get("/v1/incidents?limit=1&status=resolved").expect(200);
        (list["pagination"]["total"].as_u64() >= Some(MOVED as u64)).then_some(())
    });
    println!("  memory     {} MiB with engine and board", resident(process.pid()) >> 20);

    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| stream(&app.topic("alerts"), &stop));
        for (what, limit, deepest) in
            [("first page of 50", 50, 0), ("any page of 50", 50, bench.incidents), ("any page of 500", 500, bench.incidents)]
        {
            let times = together(READERS, |next, times| {
                let (client, mut rng) = (Client::new(&client.url), StdRng::seed_from_u64(next() as u64));
                while next() < ASKED {
                    let path = format!("/v1/incidents?{}limit={limit}&offset={}", filter(&mut rng), offset(&mut rng, deepest));
                    let began = Instant::now();
                    let answer = client.get(&path);
                    times.push(began.elapsed());
                    assert_eq!(answer.status, 200, "{path}: {}", answer.text);
                }
            });
            tell(&format!("{what}, any filter"), times, "wanted: p99 of 20 ms or less");
        }
        let times = together(PEOPLE, |next, times| {
            let client = Client::new(&client.url);
            while let Some(id) = acknowledged.get(next()) {
                let began = Instant::now();
                let answer = client.patch(&format!("/v1/incidents/{id}/acknowledge"), &json!({"user": "bench"}));
                times.push(began.elapsed());
                assert_eq!(answer.expect(200)["incident"]["status"], "acknowledged");
            }
        });
        tell("acknowledged, committed and answered", times, "wanted: p99 of 100 ms or less");
        stop.store(true, Ordering::Relaxed);
    });
    assert!(process.is_running(), "incidentd ended:\n{}", process.log());
    process.stop();
}

/// An alert of its own identity, in one of few services mostly, as it is.
fn open(writer: &Writer, topic: &str, n: u64, rng: &mut StdRng) {
    let service = format!("llm-service-{}", (SERVICES as f64 * rng.random::<f64>().powi(4)) as u64);
    let severity = Severity::ALL[rng.random_range(0..Severity::ALL.len())].name();
    let environment = Environment::ALL[rng.random_range(0..Environment::ALL.len())].name();
    let alert = json!({
        "service_id": service, "title": format!("p99 latency above threshold on model {n}"), "severity": severity,
        "environment": environment, "category": "model_performance", "dedup_key": format!("key-{n}"),
        "description": "p99 of the last 5 minutes is far above what was agreed",
        "labels": {"metric_type": "latency", "model_id": format!("model-{n}"), "region": format!("eu-{}", n % 5)},
        "metadata": {"threshold": 5, "current_value": n % 90, "dashboard_url": "https://grafana.example.com/d/llm-latency"},
    });
    writer.send(topic, &service, alert.to_string().as_bytes());
}

/// Triggered ones, spread over all.
fn ids(client: &Client, count: usize) -> Vec<String> {
    let mut ids = Vec::new();
    while ids.len() < count {
        let list = client.get(&format!("/v1/incidents?limit=500&offset={}", ids.len() * 7)).expect(200);
        let page = list["incidents"].as_array().filter(|page| !page.is_empty()).expect("more incidents than are asked for");
        ids.extend(page.iter().filter_map(|incident| Some(incident["id"].as_str()?.to_owned())));
    }
    ids.truncate(count);
    ids
}

/// Merges and a few new ones, until told to stop.
fn stream(topic: &str, stop: &AtomicBool) {
    let (writer, mut generator) = (Writer::new(), Generator::new());
    let (began, mut sent) = (Instant::now(), 0);
    while !stop.load(Ordering::Relaxed) {
        while (sent as f64) < began.elapsed().as_secs_f64() * RATE {
            let identity = if sent % 100 == 0 { generator.fresh() } else { sent % 100 };
            generator.send_as(&writer, topic, identity, "low");
            sent += 1;
        }
        thread::sleep(Duration::from_millis(1));
    }
    writer.flush();
}

/// So many threads share what is to be done; the times of all.
fn together(count: usize, act: impl Fn(&dyn Fn() -> usize, &mut Vec<Duration>) + Sync) -> Vec<Duration> {
    let (done, all) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                let mut times = Vec::new();
                act(&|| done.fetch_add(1, Ordering::Relaxed), &mut times);
                all.lock().expect("nobody panicked").append(&mut times);
            });
        }
    });
    all.into_inner().expect("nobody panicked")
}

fn filter(rng: &mut StdRng) -> String {
    let mut text = String::new();
    let mut list = |name: &str, words: Vec<String>| {
        if !words.is_empty() {
            text.push_str(&format!("{name}={}&", words.join(",")));
        }
    };
    list("status", some(&Status::ALL.map(Status::name), rng));
    list("severity", some(&Severity::ALL.map(Severity::name), rng));
    list("environment", some(&Environment::ALL.map(Environment::name), rng));
    let services = if rng.random_bool(0.5) { 0 } else { rng.random_range(1..=10) };
    list("service_id", (0..services).map(|_| format!("llm-service-{}", rng.random_range(0..SERVICES / 10))).collect());
    text
}

fn some(all: &[&'static str], rng: &mut StdRng) -> Vec<String> {
    let wanted = if rng.random_bool(0.4) { 0 } else { rng.random_range(0..=all.len()) };
    all.iter().filter(|_| rng.random_range(0..all.len()) < wanted).map(|word| (*word).to_owned()).collect()
}

/// Mostly near the beginning.
fn offset(rng: &mut StdRng, deepest: u64) -> u64 {
    (deepest as f64 * rng.random::<f64>().powi(3)) as u64
}

fn tell(what: &str, mut times: Vec<Duration>, wanted: &str) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    println!("  {what}  p50 {:.1} ms  p99 {:.1} ms  worst {:.1} ms  of {} ({wanted})", at(0.5), at(0.99), at(1.0), times.len());
}
