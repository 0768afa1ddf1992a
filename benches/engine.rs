//! The engine from memory, one thread: what an alert costs from bytes to applied changes, and what an incident weighs.
//!
//! `cargo bench --bench engine [-- SECTION…]`, sections `throughput`, `rules`, `loaded`, `memory`, `restore`, `flat`
//! (all without any).
//! The load is that of `end_to_end`: 1,000 services, 100,000 live fingerprints, 1 % new, alerts of 650 bytes.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use incidentd::codec::{self, AlertRecord, FactBatch, Item, OutRecord};
use incidentd::config::Config;
use incidentd::engine::{Input, Shard, StateRecord};
use incidentd::model::time::{DAY, MINUTE};
use incidentd::model::{Fact, Matcher, Origin, Output, Silence, Time, Topic};
use incidentd::rules::{Limits, RuleSet, RuleSource};
use incidentd::settings;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use smallvec::SmallVec;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const SERVICES: u64 = 1_000;
const LIVE: u64 = 100_000;
const START: i64 = 1_800_000_000_000;

fn alert(identity: u64, at: Time, status: &str) -> Vec<u8> {
    let mut text = format!(
        r#"{{"service_id":"svc-{:04}","title":"p99 latency above threshold","severity":"{}","category":"model_performance","environment":"production","status":"{status}","timestamp":"{at}","labels":{{"metric_type":"latency","model_id":"model-{:07}","region":"eu-west-{}","tenant_id":"tenant-{}","cluster":"gpu-pool-a"}},"metadata":{{"threshold":5,"current_value":{}.25,"dashboard_url":"https://grafana.example.com/d/llm-latency"}},"description":""#,
        identity % SERVICES,
        if identity.is_multiple_of(2) { "critical" } else { "medium" },
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
    text.into_bytes()
}

/// `count` rules that listen to `triggered`, of which one matches the critical half of the load.
fn rules(count: usize) -> Rc<RuleSet> {
    rules_of(count, &[])
}

/// As [`rules`], with further files.
fn rules_of(count: usize, files: &[(&str, &str)]) -> Rc<RuleSet> {
    let mut text = String::from(
        "notification(#{ name: \"critical\", where: #{ severity: \"critical\" }, channels: [slack(\"#pages\")] });\n",
    );
    for n in 1..count {
        text.push_str(&format!(
            "notification(#{{ name: \"rule-{n}\", where: #{{ severity: [\"critical\", \"high\"], service_id: \"other-{n}-*\" }}, channels: [slack(\"#team-{n}\")] }});\n"
        ));
    }
    let files = files.iter().copied().chain([("bench.rhai", text.as_str())]);
    let source = RuleSource { files: files.map(|(path, text)| (path.to_owned(), text.to_owned())).collect() };
    Rc::new(RuleSet::load(&source, &Limits::default()).map(|(rules, _)| rules).unwrap_or_else(|found| panic!("{found:?}")))
}

struct Bench {
    shard: Shard,
    codec: codec::Settings,
    offset: i64,
    now: Time,
    said: usize,
    out: Vec<Output>,
    log: Vec<StateRecord>,
    inbox: Vec<OutRecord>,
}

impl Bench {
    fn new(rules: Rc<RuleSet>, config: &str) -> Bench {
        let config = Config::parse(config, std::iter::empty()).unwrap_or_else(|problems| panic!("{problems:?}"));
        Bench {
            shard: Shard::new(0, Arc::new(settings::engine(&config)), rules),
            codec: settings::codec(&config),
            offset: 0,
            now: Time(START),
            said: 0,
            out: Vec::new(),
            log: Vec::new(),
            inbox: Vec::new(),
        }
    }

    fn take(&mut self, value: &[u8]) {
        self.take_group(&[value]);
    }

    /// As a worker takes a batch: some are begun to be read before the first is dealt with.
    fn take_group(&mut self, values: &[impl AsRef<[u8]>]) {
        let facts = std::mem::take(&mut self.inbox).into_iter().flat_map(|record| {
            let version = record.headers.first().map_or(&[][..], |(_, version)| version);
            codec::read_facts(version, record.value.as_deref()).unwrap_or_else(|error| panic!("{error}"))
        });
        let facts: Vec<Fact> = facts.collect();
        self.shard.process_facts(self.now, &facts, &mut self.out);
        for values in values.chunks(16) {
            let Bench { shard, codec, now, out, offset, .. } = self;
            let opened: SmallVec<[codec::Opened<'_>; 16]> = values
                .iter()
                .map(|value| {
                    let origin = Origin { topic: Topic::Alerts, partition: 0, offset: *offset, index: 0 };
                    *offset += 1;
                    codec::open(AlertRecord { origin, time: *now, value: Some(value.as_ref()), form: None }, codec)
                })
                .collect();
            opened.iter().filter_map(codec::Opened::fingerprint).for_each(|fingerprint| shard.expect(fingerprint));
            for opened in opened {
                opened.read(codec, &mut |item| match item {
                    Item::Alert { alert, .. } => {
                        shard.process(*now, Input::Alert(alert), out);
                    }
                    Item::Rejected { reason, .. } => panic!("{reason}"),
                    Item::Ignored => {}
                });
            }
        }
    }

    /// What a worker does at a commit, but for Kafka: timers, records of outputs, changelog.
    fn commit(&mut self, keep: bool) {
        self.shard.tick(self.now, &mut self.out);
        for record in codec::write_outputs(&self.out, &self.codec) {
            self.said += record.value.as_ref().map_or(0, Vec::len);
        }
        let mut telling = FactBatch::default();
        for output in self.out.drain(..) {
            if let Output::Fact { to, fact } = output {
                self.said += telling.add(&to, &fact, &self.codec);
            }
        }
        self.inbox.extend(telling.take());
        let (log, said) = (&mut self.log, &mut self.said);
        self.shard.changelog(&mut |record| {
            *said += record.value.as_ref().map_or(0, Vec::len);
            if keep {
                log.push(record);
            }
        });
    }
}

/// A load under way: its incidents, and the seconds that its alerts have taken.
struct Load {
    bench: Bench,
    random: StdRng,
    seen: u64,
    /// Of 1,000 alerts, those that open an incident.
    fresh: u32,
    busy: f64,
}

impl Load {
    fn new(bench: Bench, fresh: u32) -> Load {
        let mut load = Load { bench, random: StdRng::seed_from_u64(7), seen: LIVE, fresh, busy: 0.0 };
        for identity in 0..LIVE {
            load.bench.take(&alert(identity, load.bench.now, "firing"));
            if identity % 100 == 99 {
                load.bench.now = load.bench.now + 1;
                load.bench.commit(false);
            }
        }
        load.bench.take_group(&[[0u8; 0]; 0]);
        load.bench.commit(false);
        load
    }

    /// 25,000 alerts and a commit: 50 ms at 500,000 a second.
    fn batch(&mut self) {
        let batch: Vec<Vec<u8>> = (0..25_000)
            .map(|_| {
                let fresh = self.random.random_ratio(self.fresh, 1_000);
                self.seen += u64::from(fresh);
                let identity = if fresh { self.seen - 1 } else { self.random.random_range(self.seen - LIVE..self.seen) };
                alert(identity, self.bench.now, "firing")
            })
            .collect();
        let start = Instant::now();
        self.bench.take_group(&batch);
        self.bench.now = self.bench.now + 50;
        self.bench.commit(false);
        self.busy += start.elapsed().as_secs_f64();
    }
}

/// Alerts per second, one in a hundred of which opens an incident.
fn throughput(rules: Rc<RuleSet>, alerts: u64) -> f64 {
    let mut load = Load::new(Bench::new(rules, "[topics]\npartitions = 1\n"), 10);
    for _ in 0..alerts / 25_000 {
        load.batch();
    }
    alerts as f64 / load.busy
}

/// 20 dependencies a service, 50 policies and 100 silences, as a large organisation has them, against none: batch by batch in
/// turns, so that both meet the same machine.
fn loaded(name: &str, fresh: u32, batches: u64) {
    let config = "[topics]\npartitions = 1\n[correlation]\nhold = \"0\"\n";
    let mut dependencies = String::from("[dependencies]\n");
    for service in 0..SERVICES {
        let of: Vec<u64> = (1..=20).filter_map(|n| service.checked_sub(n * 3)).collect();
        let of = of.into_iter().map(|other| format!("\"svc-{other:04}\"")).collect::<Vec<_>>().join(", ");
        dependencies.push_str(&format!("\"svc-{service:04}\" = [{of}]\n"));
    }
    let mut policies = String::new();
    for n in 0..50 {
        policies.push_str(&format!(
            "escalation(#{{ name: \"policy-{n}\", where: #{{ service_id: \"other-{n}-*\", severity: [\"critical\", \"high\"] }}, levels: [level(0, [user(\"ann\")]), level(15, [user(\"ann\")])] }});\n"
        ));
    }
    let people = "[users.ann]\nemail = \"ann@example.com\"\n";
    let full = rules_of(10, &[("policies.rhai", &policies), ("dependencies.toml", &dependencies), ("users.toml", people)]);
    let mut with = Bench::new(full, config);
    for n in 0..100 {
        let matcher = |name: &str, value: String| Matcher { name: name.to_owned(), value, is_regex: n % 4 == 0, is_equal: true };
        let silence = Silence {
            id: format!("silence-{n}"),
            matchers: vec![matcher("service_id", format!("other-{n}")), matcher("region", format!("eu-west-{}", n % 3))],
            starts_at: with.now,
            ends_at: with.now + DAY,
            created_by: None,
            comment: None,
            updated_at: with.now,
        };
        let input = Input::Fact(&Fact::Silence(Box::new(silence)));
        with.shard.process(with.now, input, &mut with.out);
    }
    with.commit(false);
    let mut loads = [Load::new(Bench::new(rules(10), config), fresh), Load::new(with, fresh)];
    for _ in 0..batches {
        loads.iter_mut().for_each(Load::batch);
    }
    let [without, with] = loads.map(|load| (batches * 25_000) as f64 / load.busy);
    println!(
        "loaded: {name}: without {without:.0} alerts/s, with 20 dependencies a service, 50 policies, 100 silences {with:.0}: \
         {:.3} times the cost",
        without / with
    );
}

fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
    line.split_whitespace().nth(1).and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) * 1024
}

/// A million live incidents: bytes of resident memory each over the empty shard, and how fast they come back.
fn memory_and_restore(wants_restore: bool) {
    const INCIDENTS: u64 = 1_000_000;
    let before = resident();
    let mut bench = Bench::new(rules(10), "[topics]\npartitions = 1\n[limits]\nopen_incidents = 2000000\n");
    for identity in 0..INCIDENTS {
        bench.take(&alert(identity, bench.now, "firing"));
        if identity % 10_000 == 9_999 {
            bench.now = bench.now + 20;
            bench.commit(false);
        }
    }
    for identity in 0..INCIDENTS {
        bench.take(&alert(identity, bench.now, "firing"));
        if identity % 10_000 == 9_999 {
            bench.now = bench.now + 20;
            bench.commit(false);
        }
    }
    let each = (resident() - before) as f64 / INCIDENTS as f64;
    println!("memory: {INCIDENTS} live incidents, each counted twice: {each:.0} bytes of RSS each");
    drop(bench);
    if !wants_restore {
        return;
    }
    let mut bench = Bench::new(rules(10), "[topics]\npartitions = 1\n[limits]\nopen_incidents = 2000000\n");
    for identity in 0..INCIDENTS {
        bench.take(&alert(identity, bench.now, "firing"));
        if identity % 10_000 == 9_999 {
            bench.commit(true);
        }
    }
    let log = std::mem::take(&mut bench.log);
    drop(bench);
    let mut bench = Bench::new(rules(10), "[topics]\npartitions = 1\n[limits]\nopen_incidents = 2000000\n");
    let start = Instant::now();
    for record in &log {
        bench.shard.restore(&record.key, record.value.as_deref()).unwrap_or_else(|error| panic!("{error}"));
    }
    bench.shard.restored();
    let rate = INCIDENTS as f64 / start.elapsed().as_secs_f64();
    println!("restore: {INCIDENTS} incidents from their changelog in memory: {rate:.0}/s");
}

/// An hour in which 100 incidents a second come, fire again, resolve, close and are forgotten.
fn flat() {
    let config = "[topics]\npartitions = 1\n[dedup]\nclose_after = \"2m\"\nkeep_closed = \"5m\"\n";
    let mut bench = Bench::new(rules(10), config);
    let mut at_minute = Vec::new();
    for second in 0..3_600u64 {
        for n in 0..100 {
            let identity = second * 100 + n;
            bench.take(&alert(identity, bench.now, "firing"));
            if let Some(earlier) = identity.checked_sub(3_000) {
                bench.take(&alert(earlier, bench.now, "firing"));
            }
            if let Some(earlier) = identity.checked_sub(6_000) {
                bench.take(&alert(earlier, bench.now, "resolved"));
            }
        }
        bench.now = bench.now + 1_000;
        bench.commit(false);
        if second % 600 == 599 {
            at_minute.push((second / 60 + 1, resident() / 1024 / 1024));
        }
    }
    println!("flat: an hour of {} incidents, RSS in MiB by minute: {at_minute:?}", 3_600 * 100);
    let _ = MINUTE;
}

fn main() {
    let asked: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let wants = |section: &str| asked.is_empty() || asked.iter().any(|name| name == section);
    if wants("memory") {
        memory_and_restore(wants("restore"));
    }
    if wants("throughput") {
        println!("throughput: {:.0} alerts/s, bytes to applied changes and written records", throughput(rules(10), 2_000_000));
    }
    if wants("rules") {
        let (few, many) = (throughput(rules(100), 1_000_000), throughput(rules(10_000), 1_000_000));
        println!("rules: 100 rules {few:.0} alerts/s, 10,000 rules {many:.0} alerts/s: {:.2} times the cost", few / many);
    }
    if wants("loaded") {
        loaded("1 % new", 10, 60);
        loaded("only merges", 0, 40);
        loaded("half of them new", 500, 12);
    }
    if wants("flat") {
        flat();
    }
}
