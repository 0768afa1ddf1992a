//! incidentd against a real Apache Kafka broker on this machine, beside what librdkafka could do at best.
//!
//! `cargo bench --bench end_to_end [-- SECTION...]` with sections `throughput`, `rules`, `loaded`, `latency`, `restore`, `reload`,
//! `api`, `crowd` (all without any). One run starts one broker and compares ratios only, since broker, engine and load share the machine:
//!
//! - *ceiling*: librdkafka's batch consume of the topic with decode and fingerprint, one consumer, nothing else.
//! - *incidentd*: `incidentd run` as a child process, engine role, exactly once, over the same topic, actions not held
//!   back (`catch_up.max = "0"`). Both are measured between the same offsets, after each live fingerprint was seen once
//!   and the first tenth of the load is through; runs alternate and the medians count.
//! - *load*: 1,000 services, 100,000 live fingerprints, 1 % new, alerts of 650 bytes, lz4; every second incident pages.
//! - *rules*: the same with 10 and with 1,000 notification rules.
//! - *loaded*: twice as many alerts with 20 dependencies a service, 50 policies and 100 silences, and without; the halves apart.
//! - *latency*: from an alert's timestamp, which is when it was produced, to when a read_committed reader has the action.
//!   Each new incident pages.
//! - *restore*: a start over that many live incidents: the worker's time for it, and memory by incident over an empty start.
//! - *reload*: the rules change on disk under load: until the first action by the new ones, and what actions wait, beside the
//!   same run without a change.
//! - *api*: lists by any filter over that many incidents, and acknowledgements, by HTTP.
//! - *crowd*: a thousand senders, a thousand open pages, slow, huge and wrong clients at the API: the latency of actions, beside
//!   the same clients at a bare axum server.
//!
//! Environment (defaults): `INCIDENTD_BENCH_ALERTS` (2000000) a run, `_RUNS` (3), `_PARTITIONS` (8), `_WORKERS` (0: one a core, as it comes),
//! `_COMMIT` (50ms), `_SECONDS` (20) of each latency run, `_INCIDENTS` (1000000) to restore and to list, `_RULES` (1000) to reload,
//! `_CROWD` (all of `senders,streams,slow,strangers,floods,huge`) who comes; `INCIDENTD_TEST_BOOTSTRAP`.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

/// The program's own, so that librdkafka has the same one under the ceiling.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

#[path = "end_to_end/api.rs"]
mod api;
#[path = "end_to_end/bare.rs"]
mod bare;
#[path = "end_to_end/beside.rs"]
mod beside;
#[path = "end_to_end/ceiling.rs"]
mod ceiling;
#[path = "end_to_end/crowd.rs"]
mod crowd;
#[path = "end_to_end/engine.rs"]
mod engine;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/http/client.rs"]
mod http;
#[path = "end_to_end/latency.rs"]
mod latency;
#[path = "end_to_end/load.rs"]
mod load;
#[path = "end_to_end/loaded.rs"]
mod loaded;
#[path = "end_to_end/measure.rs"]
mod measure;
#[path = "end_to_end/reload.rs"]
mod reload;
#[path = "end_to_end/restore.rs"]
mod restore;
#[path = "../tests/support/mod.rs"]
mod support;
#[path = "end_to_end/wire.rs"]
mod wire;

use engine::Bench;
use load::Load;
use measure::{Speed, median};

fn main() {
    // Cargo adds `--bench`.
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    if asked.iter().any(|name| name == bare::ARGUMENT) {
        return bare::serve();
    }
    let wants = |section: &str| asked.is_empty() || asked.iter().any(|name| name == section);
    let bench = Bench::from_environment();
    println!(
        "{} cores; {} partitions, {} worker(s) (0: one a core), commit interval {}",
        std::thread::available_parallelism().map_or(0, usize::from),
        bench.partitions,
        bench.workers,
        bench.commit_interval
    );
    if wants("throughput") || wants("rules") {
        let load = bench.write_load(bench.alerts);
        if wants("throughput") {
            throughput(&bench, &load);
        }
        if wants("rules") {
            rules(&bench, &load);
        }
    }
    if wants("loaded") {
        loaded::run(&bench);
    }
    if wants("latency") {
        latency::run(&bench);
    }
    if wants("restore") {
        restore::run(&bench);
    }
    if wants("reload") {
        reload::run(&bench);
    }
    if wants("api") {
        api::run(&bench);
    }
    if wants("crowd") {
        beside::run(&bench);
    }
}

fn throughput(bench: &Bench, load: &Load) {
    println!("\nthroughput, {} alerts a run, {} runs", load.alerts, bench.runs);
    let (mut ceiling, mut engine) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        ceiling.push(ceiling::run(load, &load.settings));
        println!("  ceiling    {}", ceiling[ceiling.len() - 1]);
        engine.push(bench.run(load, 10));
        println!("  incidentd  {}", engine[engine.len() - 1]);
    }
    let (ceiling, engine) = (median(&ceiling), median(&engine));
    println!("  median     ceiling    {ceiling}");
    println!("  median     incidentd  {engine}");
    println!(
        "  ratios     speed {:.2} (wanted: 0.70 or more), CPU {:.2} (wanted: 1.50 or less)",
        engine.alerts / ceiling.alerts,
        engine.cpu / ceiling.cpu
    );
}

fn rules(bench: &Bench, load: &Load) {
    println!("\nrules, {} alerts a run, {} runs", load.alerts, bench.runs);
    let (mut few, mut many) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        for (count, speeds) in [(10, &mut few), (1_000, &mut many)] {
            let speed: Speed = bench.run(load, count);
            println!("  {count:>5} rules  {speed}");
            speeds.push(speed);
        }
    }
    let (few, many) = (median(&few), median(&many));
    println!("  ratios     time {:.2}, CPU {:.2} (wanted: 1.30 or less)", few.alerts / many.alerts, many.cpu / few.cpu);
}
