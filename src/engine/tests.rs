//! Shards against the plainest model: whatever is committed in whatever batches, dropped and restored, nothing is lost.

mod contexts;
mod desk;
mod gauges;
mod held;
mod late;
mod links;
mod people;
mod reload;
mod remedies;
mod ring;
mod sides;
mod silences;
mod store;
mod world;

use crate::engine::{Input, Settings, Shard, StateRecord};
use crate::model::time::MINUTE;
use crate::model::{Alert, AlertBody, AlertStatus, CurrentValue, Fingerprint, IncidentId, Origin, Output, Severity, Time, Topic};
use crate::rules::{Limits, RuleSet, RuleSource};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

fn settings() -> Settings {
    Settings {
        window: 60 * MINUTE,
        anchor_last_seen: true,
        reopen_within: 5 * MINUTE,
        stale_after: 0,
        close_after: MINUTE,
        keep_closed: MINUTE,
        max_sources: 10,
        max_open: 1_000,
        max_closed: 1_000,
        ..Settings::default()
    }
}

fn shard() -> Shard {
    let (rules, _) = RuleSet::load(&RuleSource::default(), &Limits::default()).expect("no rules are right");
    Shard::new(0, Arc::new(settings()), Rc::new(rules))
}

/// One alert of the script: which identity, which source, what it says.
#[derive(Clone, Copy, Debug)]
struct Said {
    identity: u64,
    source: Option<u64>,
    resolved: bool,
    severity: Severity,
}

fn take(shard: &mut Shard, said: Said, offset: i64, now: Time, out: &mut Vec<Output>) {
    let body = || AlertBody { title: format!("incident {}", said.identity), ..AlertBody::default() };
    let alert = Alert {
        origin: Origin { topic: Topic::Alerts, partition: 0, offset, index: 0 },
        service_id: format!("service-{}", said.identity % 3).into(),
        fingerprint: Fingerprint::of_dedup_key(&said.identity.to_string()),
        severity: said.severity,
        status: if said.resolved { AlertStatus::Resolved } else { AlertStatus::Firing },
        timestamp: now,
        source: said.source.map(|source| format!("pod-{source}").into()),
        starts_at: None,
        current_value: CurrentValue::Number(offset as f64),
        body: &body,
    };
    shard.process(now, Input::Alert(&alert), out);
}

/// What readers of `incidents` know: the last of each, by id.
fn publish(out: &mut Vec<Output>, public: &mut BTreeMap<IncidentId, (u64, u64, String)>) {
    for output in out.drain(..) {
        match output {
            Output::Incident(incident) => {
                let version = (incident.version, incident.occurrence_count, incident.status.name().to_owned());
                if let Some(before) = public.insert(incident.id, version.clone()) {
                    assert!(before.0 < version.0, "the version rises with every published change: {before:?}, {version:?}");
                }
            }
            Output::IncidentGone(id) => assert!(public.remove(&id).is_some(), "only what was published goes"),
            _ => {}
        }
    }
}

fn restored(log: &[StateRecord]) -> Shard {
    let mut shard = shard();
    for record in log {
        shard.restore(&record.key, record.value.as_deref()).expect("it reads what it wrote");
    }
    shard.restored();
    shard
}

/// As Kafka compacts: of each key the last record stays, at its own place; now and then a stretch at the end is not
/// compacted yet.
fn compacted(log: &[StateRecord], random: &mut StdRng) -> Vec<StateRecord> {
    compact(log, random.random_range(0..=log.len()))
}

fn compact(log: &[StateRecord], dirty_from: usize) -> Vec<StateRecord> {
    let last: BTreeMap<&[u8], usize> = log.iter().enumerate().map(|(at, record)| (record.key.as_slice(), at)).collect();
    let keeps = |at: usize, record: &StateRecord| at >= dirty_from || last[record.key.as_slice()] == at;
    log.iter().enumerate().filter(|(at, record)| keeps(*at, record)).map(|(_, record)| record.clone()).collect()
}

fn run(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let (mut faulty, mut straight) = (shard(), shard());
    let (mut public, mut public_straight) = (BTreeMap::new(), BTreeMap::new());
    let mut log: Vec<StateRecord> = Vec::new();
    let mut now = Time(1_800_000_000_000);
    let mut offset = 0;
    for _ in 0..random.random_range(50..300) {
        now = now + random.random_range(0..4_000);
        let batch: Vec<Said> = (0..random.random_range(0..12))
            .map(|_| Said {
                identity: random.random_range(0..20),
                source: random.random_bool(0.3).then(|| random.random_range(0..14)),
                resolved: random.random_bool(0.1),
                severity: if random.random_bool(0.05) { Severity::Critical } else { Severity::Low },
            })
            .collect();
        let work = |shard: &mut Shard, out: &mut Vec<Output>| {
            batch.iter().zip(offset..).for_each(|(said, offset)| take(shard, *said, offset, now, out));
            shard.tick(now, out);
        };
        let mut out = Vec::new();
        work(&mut straight, &mut out);
        publish(&mut out, &mut public_straight);
        straight.changelog(&mut |_| {});
        work(&mut faulty, &mut out);
        if random.random_bool(0.2) {
            // An abort: all that was said is void, and it is done again on what was committed.
            out.clear();
            faulty = restored(&compacted(&log, &mut random));
            work(&mut faulty, &mut out);
        }
        publish(&mut out, &mut public);
        faulty.changelog(&mut |record| log.push(record));
        offset += batch.len() as i64;
        if random.random_bool(0.2) {
            faulty = restored(&compacted(&log, &mut random));
        }
        assert_eq!(public, public_straight, "seed {seed}, after alert {offset}");
    }
    // The last count of all is published, too.
    now = now + 11_000;
    let mut out = Vec::new();
    faulty = restored(&compacted(&log, &mut random));
    faulty.tick(now, &mut out);
    publish(&mut out, &mut public);
    straight.tick(now, &mut out);
    publish(&mut out, &mut public_straight);
    assert_eq!(public, public_straight, "seed {seed}, at the end");
}

#[test]
fn a_shard_restored_at_any_commit_goes_on_as_if_nothing_had_been() {
    for seed in 0..60 {
        run(seed);
    }
}

#[test]
fn a_damaged_record_is_refused_and_says_so() {
    for key in [&b"s1"[..], b"d1", b"i\0\0\0\0\0\0\0\0\0\x01", b"n\0\x01", b"u\0\x01", b"l"] {
        let error = shard().restore(key, Some(&[super::changelog::VERSION, 0xff])).expect_err("it is cut off");
        assert!(error.contains("damaged record"), "{key:?}: {error}");
    }
}

#[test]
fn another_versions_state_is_refused_by_its_number() {
    let restore = |version: u8| shard().restore(b"r", Some(&[version, b'x']));
    assert_eq!([2, 3].map(restore), [Ok(()), Ok(())]);
    for version in [1, 4] {
        let error = restore(version).expect_err("it is not read");
        assert!(error.starts_with(&format!("format version {version} is not known")), "{error}");
    }
}
