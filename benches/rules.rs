//! What the rules cost where an incident opens: `matches` over 10 to 10,000 rules of mixed matchers; all that rules do for it
//! (`created`); a `when`; `channels`; and the load. At the end the ratios that are wanted, in the whole engine.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use divan::Bencher;
use incidentd::config::Config;
use incidentd::model::{
    Environment, EventSet, Fingerprint, Incident, IncidentId, Labels, Metadata, Origin, RuleEvent, Severity, Status, Time, Topic,
};
use incidentd::replay::{Ahead, Fault, Replay};
use incidentd::rules::{Context, Limits, RuleSet, RuleSource};
use incidentd::settings;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Instant;

fn main() {
    divan::main();
    if std::env::args().any(|argument| argument == "--list" || argument == "--test") {
        return;
    }
    load_time();
    ratios();
}

fn load_time() {
    let seconds = |in_a_file| {
        let source = source(10_000, in_a_file);
        let mut rounds: Vec<f64> = (0..3)
            .map(|_| {
                let start = Instant::now();
                assert!(RuleSet::load(&source, &Limits::default()).is_ok());
                start.elapsed().as_secs_f64()
            })
            .collect();
        rounds.sort_by(f64::total_cmp);
        rounds[1]
    };
    println!("load of 10,000 rules: {:.2} s in files of 100, {:.2} s in one file (wanted: 2)", seconds(100), seconds(10_000));
}

/// Microseconds of an alert in the whole engine, under 100 rules and under 10,000: one that opens an incident, one that merges.
fn ratios() {
    const ROUNDS: usize = 9;
    // Few: what many open incidents of one service cost is no matter of the rules.
    const ALERTS: usize = 200;
    let mut engines = [100, 10_000].map(|rules| {
        let config = Config::default();
        Replay::new(settings::codec(&config), settings::engine(&config), set(rules), Fault::None)
    });
    let [mut created, mut merged] = [(); 2].map(|()| [Vec::new(), Vec::new()]);
    for round in 0..ROUNDS {
        let lines: Vec<String> = (0..ALERTS).map(|number| alert(round * ALERTS + number)).collect();
        for (engine, replay) in engines.iter_mut().enumerate() {
            created[engine].push(micros(replay, &lines));
            merged[engine].push(micros(replay, &lines));
        }
    }
    for (what, wanted, mut costs) in [("a created incident", "1.5", created), ("a merged alert", "1", merged)] {
        let [few, many] = costs.each_mut().map(|costs| {
            costs.sort_by(f64::total_cmp);
            costs[ROUNDS / 2]
        });
        println!("{what}: {few:.2} µs under 100 rules, {many:.2} µs under 10,000: {:.2} times (wanted: {wanted})", many / few);
    }
}

/// Each of them opens an incident that six rules match.
fn alert(number: usize) -> String {
    format!(
        "{{\"service_id\":\"svc-12\",\"title\":\"Latency above 5 s\",\"severity\":\"critical\",\"category\":\"model_performance\",\
         \"dedup_key\":\"k{number}\",\"labels\":{{\"region\":\"eu-west-1\",\"model_id\":\"gpt-4\"}},\
         \"timestamp\":\"2026-01-05T12:00:00Z\"}}"
    )
}

fn micros(replay: &mut Replay, lines: &[String]) -> f64 {
    let (codec, partitions) = (Arc::clone(replay.codec()), replay.partitions());
    let mut ahead: Vec<Ahead<'_>> = lines.iter().map(|line| Ahead::of(line.as_bytes(), &codec, partitions)).collect();
    let count = ahead.len() as f64;
    let start = Instant::now();
    for line in &mut ahead {
        replay.take(line, &mut |told| drop(divan::black_box(told))).expect("an alert");
    }
    start.elapsed().as_secs_f64() * 1e6 / count
}

/// Rules as teams write them, so many in a file: exact services and lists of them, globs before, behind and within, titles,
/// categories, labels. Six of the first hundred match the incident below, and of all the others none.
fn source(rules: usize, in_a_file: usize) -> RuleSource {
    let mut source = RuleSource::default();
    for n in 0..rules {
        let text = source.files.entry(format!("{}.rhai", n / in_a_file)).or_default();
        let severity = ["\"critical\"", "[\"critical\", \"high\"]", "[\"high\", \"medium\"]"][n % 3];
        let more = match n {
            7 => "service_id: \"svc-*\"".to_owned(),
            13 => "title: \"*above*\"".to_owned(),
            25 => "labels: #{ region: [\"eu-*\", \"us-east-1\"] }".to_owned(),
            37 => "service_id: [\"svc-1\", \"svc-12\"], category: \"model_*\"".to_owned(),
            49 => "category: \"model_performance\"".to_owned(),
            61 => "service_id: \"*-12\"".to_owned(),
            _ => match n % 8 {
                0 => format!("service_id: \"team{n}-svc\""),
                1 => format!("service_id: \"team{n}-*\""),
                2 => format!("title: \"*error {n} *\""),
                3 => format!("service_id: [\"a{n}\", \"b{n}\", \"c{n}-*\"]"),
                4 => format!("service_id: \"*-gateway-{n}\""),
                5 => format!("labels: #{{ tenant_id: \"tenant-{n}\", region: [\"eu-*\", \"us-east-1\"] }}"),
                6 => format!("category: \"cost-{n}\", title: \"Budget*\""),
                _ => format!("labels: #{{ model_id: [\"model-{n}\", \"model-{n}-*\"], component: \"*{n}*cache\" }}"),
            },
        };
        // Writing into a string cannot fail.
        let _ = writeln!(
            text,
            "notification(#{{ name: \"rule-{n}\", priority: {}, where: #{{ severity: {severity}, environment: \"production\", {more} }}, \
             when: |incident| incident.labels.tenant_id != \"sandbox\", \
             channels: |incident| [slack(`#${{incident.service_id}}`, #{{ mention: \"@oncall\" }}), pagerduty(secret(\"PD\"))] }});",
            n % 100,
        );
    }
    source
}

fn set(rules: usize) -> RuleSet {
    match RuleSet::load(&source(rules, 100), &Limits::default()) {
        Ok((set, _)) => set,
        Err(found) => panic!("{found:?}"),
    }
}

fn incident() -> Incident {
    let origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };
    let labels: Labels = [("region", "eu-west-1"), ("model_id", "gpt-4")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    Incident {
        id: IncidentId::derive(0, &origin),
        fingerprint: Fingerprint::of_dedup_key("k"),
        dedup_key: None,
        title: "Latency above 5 s".to_owned(),
        description: String::new(),
        severity: Severity::Critical,
        category: "model_performance".to_owned(),
        service_id: "svc-12".to_owned(),
        environment: Environment::Production,
        status: Status::Triggered,
        triggered_at: Time(0),
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        resolution: None,
        labels,
        metadata: Metadata::default(),
        parent_incident_id: None,
        related_incident_ids: Vec::new(),
        related_more: 0,
        suppressed: false,
        correlation: None,
        silenced_by: Vec::new(),
        snoozed_until: None,
        notifications: Vec::new(),
        notifications_more: 0,
        escalation_level: 0,
        escalation_policy_id: None,
        assigned_to: None,
        timeline: Vec::new(),
        occurrence_count: 1,
        first_seen_at: Time(0),
        last_seen_at: Time(0),
        version: 1,
        last_alert: origin,
    }
}

#[divan::bench(args = [10, 100, 1_000, 10_000])]
fn matches(bencher: Bencher, rules: usize) {
    let (set, incident) = (set(rules), incident());
    let triggered = EventSet::EMPTY.with(RuleEvent::Triggered);
    bencher.bench_local(|| set.matches(divan::black_box(&incident), triggered));
}

/// All that rules do for an incident that opens: find those that match and the near misses, run their closures.
#[divan::bench(args = [100, 10_000])]
fn created(bencher: Bencher, rules: usize) {
    let (set, incident) = (set(rules), Arc::new(incident()));
    let context = Context::new(Time(0), RuleEvent::Triggered);
    let triggered = EventSet::EMPTY.with(RuleEvent::Triggered);
    bencher.bench_local(|| {
        let matches = set.matches(divan::black_box(&incident), triggered);
        assert_eq!(matches.matched.len(), 6);
        let told = matches.matched.iter().filter(|rule| set.when(**rule, &incident, &context) == Ok(true));
        told.filter_map(|rule| set.channels(*rule, &incident, &context).ok()).map(|channels| channels.len()).sum::<usize>()
    });
}

#[divan::bench]
fn when(bencher: Bencher) {
    let (set, incident) = (set(1), Arc::new(incident()));
    let context = Context::new(Time(0), RuleEvent::Triggered);
    bencher.bench_local(|| set.when(0, divan::black_box(&incident), &context));
}

#[divan::bench]
fn channels(bencher: Bencher) {
    let (set, incident) = (set(1), Arc::new(incident()));
    let context = Context::new(Time(0), RuleEvent::Triggered);
    bencher.bench_local(|| set.channels(0, divan::black_box(&incident), &context));
}

#[divan::bench(args = [10, 1_000, 10_000], sample_count = 3, sample_size = 1)]
fn load_files_of_100(bencher: Bencher, rules: usize) {
    let source = source(rules, 100);
    bencher.bench_local(|| RuleSet::load(&source, &Limits::default()).is_ok());
}

/// Piece by piece, for Rhai's parser looks through all closures of what it reads at each variable.
#[divan::bench(args = [1_000, 10_000], sample_count = 3, sample_size = 1)]
fn load_one_file(bencher: Bencher, rules: usize) {
    let source = source(rules, rules);
    bencher.bench_local(|| RuleSet::load(&source, &Limits::default()).is_ok());
}
