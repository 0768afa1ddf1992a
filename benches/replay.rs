//! `incidentd replay` as a user runs it: a million alerts from a file, the shipped rules, the output into a file.
//!
//! `cargo bench --bench replay [-- IDENTITIES…]`: how many different alerts fire in the hour that the file covers; the fewer,
//! the more often each repeats, and the fewer incidents are published. 1,000 and 10,000 without any.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::process::Command;
use std::time::Instant;

const ALERTS: u64 = 1_000_000;
const SERVICES: u64 = 1_000;
const START: i64 = 1_800_000_000_000;
const HOUR: i64 = 3_600_000;
const RUNS: usize = 3;

/// An alert of 650 bytes, as an LLM platform sends them.
fn alert(identity: u64, at: i64) -> String {
    let severity = ["critical", "high", "high", "medium", "medium", "medium", "medium", "low", "low", "info"];
    let mut text = format!(
        r#"{{"service_id":"svc-{:04}","title":"p99 latency above threshold","severity":"{}","category":"model_performance","environment":"production","timestamp":"{}","labels":{{"metric_type":"latency","model_id":"model-{:05}","region":"eu-west-{}","tenant_id":"tenant-{}","cluster":"gpu-pool-a"}},"metadata":{{"threshold":5,"current_value":{}.25,"dashboard_url":"https://grafana.example.com/d/llm-latency"}},"description":""#,
        identity % SERVICES,
        severity[(identity % 10) as usize],
        incidentd::model::Time(at),
        identity / SERVICES,
        identity % 3,
        identity % 100,
        5 + identity % 90,
    );
    while text.len() < 648 {
        text.push_str("The 99th percentile of time to first token has been above its threshold. ");
    }
    text.truncate(648);
    text.push_str("\"}");
    text
}

fn history(path: &Path, identities: u64) {
    let mut file = BufWriter::new(File::create(path).unwrap());
    let mut random = StdRng::seed_from_u64(7);
    for n in 0..ALERTS {
        let at = START + n as i64 * HOUR / ALERTS as i64;
        writeln!(file, "{}", alert(random.random_range(0..identities), at)).unwrap();
    }
    file.flush().unwrap();
}

fn main() {
    let asked: Vec<u64> = std::env::args().skip(1).filter_map(|argument| argument.parse().ok()).collect();
    let dir = tempfile::tempdir().unwrap();
    let (input, output) = (dir.path().join("history.jsonl"), dir.path().join("out.jsonl"));
    for identities in if asked.is_empty() { vec![1_000, 10_000] } else { asked } {
        history(&input, identities);
        let mut seconds = Vec::new();
        for _ in 0..RUNS {
            let mut replay = Command::new(env!("CARGO_BIN_EXE_incidentd"));
            replay.current_dir(env!("CARGO_MANIFEST_DIR")).args(["replay", "--rules", "rules", "--input"]).arg(&input);
            replay.arg("--output").arg(&output);
            let start = Instant::now();
            assert!(replay.status().unwrap().success());
            seconds.push(start.elapsed().as_secs_f64());
        }
        seconds.sort_by(f64::total_cmp);
        let bytes = std::fs::metadata(&output).unwrap().len() >> 20;
        println!("replay: {ALERTS} alerts, {identities} different: {seconds:.2?} s, {bytes} MiB of output");
    }
}
