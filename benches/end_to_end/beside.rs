//! What a crowd at the API does to the engine, beside what the same crowd does to it at a bare axum server.

use crate::bare::Bare;
use crate::crowd::{Answers, Crowd};
use crate::engine::Bench;
use crate::latency::{Live, Tail};
use crate::measure::resident;
use crate::support::app::{App, Settings};
use sha2::{Digest, Sha256};
use std::time::Duration;

const RATE: u32 = 10_000;
const TOKEN: &str = "one of the crowd";

pub fn run(bench: &Bench) {
    println!("\ncrowd at the API while {RATE} alerts/s come by Kafka, {} s and {} runs of each", bench.seconds, bench.runs);
    let hash = const_hex::encode(Sha256::digest(TOKEN));
    // All come from one address with one token, and none is to be turned away for that.
    let api = format!("rate_limit = 0\ntokens = [{{ name = \"crowd\", sha256 = \"{hash}\", scopes = [\"admin\"] }}]");
    let app = App::new("crowd", Settings { roles: r#"["engine", "api"]"#, api, ..bench.settings(10) });
    let mut process = app.start();
    let mut live = Live::start(&app, &mut process, RATE);
    let (bare, ours) = (Bare::start(), process.url().trim_start_matches("http://").to_owned());
    let before = resident(process.pid());
    let mut most = before;
    let mut tails = [Vec::new(), Vec::new(), Vec::new()];
    let mut answers = [Answers::new(), Answers::new(), Answers::new()];
    let names = ["nobody      ", "at bare axum", "at incidentd"];
    for run in 0..bench.runs {
        // Each comes first as often as last.
        for at in (0..3).map(|n| if run % 2 == 0 { n } else { 2 - n }) {
            let address = [None, Some(&bare.address), Some(&ours)][at];
            let crowd = address.map(|address| Crowd::gather(address, TOKEN));
            let pages = live.measure(RATE, Duration::from_secs(bench.seconds), None);
            let tail = Tail::of(&pages);
            most = most.max(resident(process.pid()));
            tell(names[at], &tail);
            tails[at].push(tail);
            for (who, count) in crowd.map(|crowd| crowd.answers()).unwrap_or_default() {
                *answers[at].entry(who).or_default() += count;
            }
        }
    }
    for (name, answers) in names.iter().zip(&answers).skip(1) {
        let told: Vec<String> = answers.iter().map(|((who, status), count)| format!("{who} {status}: {count}")).collect();
        println!("  answers {name}  {}", told.join(", "));
    }
    let [nobody, bare, ours] = tails.map(|tails| Tail::median(&tails));
    [nobody, bare, ours].iter().zip(names).for_each(|(tail, name)| tell(&format!("median {name}"), tail));
    println!(
        "  ratios     incidentd over bare axum: p50 {:.2}, p99 {:.2} (wanted: 1.10 or less)",
        ours.p50 as f64 / bare.p50 as f64,
        ours.p99 as f64 / bare.p99 as f64
    );
    println!("  memory     {} MiB before, at most {} MiB", before >> 20, most >> 20);
    assert!(process.is_running(), "incidentd ended:\n{}", process.log());
    process.stop();
}

fn tell(what: &str, tail: &Tail) {
    println!("  {what}  p50 {:>4} ms  p99 {:>4} ms  worst {:>4} ms", tail.p50, tail.p99, tail.worst);
}
