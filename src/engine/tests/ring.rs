//! ARCHITECTURE 3: counts have a short form in the changelog, of which a restart never has to read more than so many.

use super::*;
use crate::engine::counted::CountEntry;
use crate::engine::ring::RING_SLACK;
use crate::engine::upstreams::Upstreams;
use crate::model::{Environment, Fact, Status, Upstream};
use std::collections::BTreeSet;

/// Counts in what Kafka keeps of a changelog, out of date or not.
fn counts(log: &[StateRecord]) -> usize {
    let kept = compact(log, log.len());
    let values = kept.iter().filter(|record| record.key[0] == b'n').filter_map(|record| record.value.as_deref());
    values
        .map(|value| {
            let (mut rest, mut count) = (&value[1..], 0);
            while !rest.is_empty() {
                (_, rest) = postcard::take_from_bytes::<CountEntry>(rest).expect("it reads what it wrote");
                count += 1;
            }
            count
        })
        .sum()
}

fn count(shard: &mut Shard, identity: u64, offset: u64) {
    let said = Said { identity, source: None, resolved: false, severity: Severity::Low };
    take(shard, said, offset as i64, Time(1_800_000_000_000), &mut Vec::new());
}

fn commit(shard: &mut Shard) -> Vec<StateRecord> {
    let mut log = Vec::new();
    shard.changelog(&mut |record| log.push(record));
    log
}

/// Many commits, each with a count of every incident.
fn commits(incidents: u64, restarts: bool) -> Vec<StateRecord> {
    let mut shard = shard();
    let mut log = Vec::new();
    for round in 0..60 {
        for identity in 0..incidents {
            count(&mut shard, identity, round * incidents + identity);
        }
        log.extend(commit(&mut shard));
        if restarts {
            shard = restored(&log);
        }
    }
    log
}

#[test]
fn counts_that_are_out_of_date_leave_the_changelog_and_no_sooner_than_they_must() {
    for incidents in [3, 8] {
        let most = 2 * incidents as usize + RING_SLACK;
        // As many whole commits as fit.
        let fit = most - most % incidents as usize;
        assert_eq!(counts(&commits(incidents, false)), fit, "{incidents} incidents");
        let restarted = counts(&commits(incidents, true));
        assert!((most / 2..=most).contains(&restarted), "{restarted} of {incidents} incidents, restarted after each commit");
    }
}

/// Of a changelog that is not compacted yet the restart reads each key of the ring many times.
#[test]
fn after_a_restart_nothing_is_written_anew_that_would_not_have_been() {
    const INCIDENTS: u64 = 8;
    let (mut shard, mut log) = (shard(), Vec::new());
    for round in 0..100 {
        let mut again = restored(&log);
        for identity in 0..1 + round * 5 % INCIDENTS {
            count(&mut shard, identity, round * INCIDENTS + identity);
            count(&mut again, identity, round * INCIDENTS + identity);
        }
        let (straight, restarted) = (commit(&mut shard), commit(&mut again));
        assert_eq!(counts(&restarted), counts(&straight), "round {round}");
        log.extend(straight);
    }
}

fn upstream(number: u64, revision: u64, closed: bool) -> Upstream {
    Upstream {
        id: IncidentId { partition: 3, hash: number },
        service_id: format!("svc-{}", number % 4),
        revision,
        at: Time(revision as i64),
        first_seen_at: Time(number as i64),
        severity: Severity::High,
        environment: Environment::Production,
        status: if closed { Status::Closed } else { Status::Triggered },
        active: [(Time(1), true)].into(),
        muted: false,
        untold: false,
        duplicate: false,
    }
}

/// A replay keeps no changelog, and reads as many facts as a year has.
#[test]
fn what_is_left_unwritten_does_not_pile_up() {
    let mut shard = shard();
    for number in 0..10 {
        let fact = Fact::Upstream(Arc::new(upstream(number, 1, false)));
        shard.process(Time(0), Input::Fact(&fact), &mut Vec::new());
    }
    shard.leave_unwritten();
    assert_eq!(commit(&mut shard).iter().map(|record| record.key[0]).collect::<Vec<u8>>(), b"r");
}

/// As the log cleaner leaves it: up to somewhere each key only once.
fn cleaned(log: &[StateRecord], to: usize) -> Vec<StateRecord> {
    [compact(&log[..to], to), log[to..].to_vec()].concat()
}

#[test]
fn what_is_known_of_other_shards_incidents_and_what_is_forgotten_survives_restarts() {
    let facts = |upstreams: &Upstreams| {
        let facts = upstreams.all().map(|fact| (fact.id, fact.as_ref().clone()));
        (facts.collect::<BTreeMap<_, _>>(), upstreams.next_end())
    };
    for seed in 0..200 {
        let mut random = StdRng::seed_from_u64(seed);
        let (mut upstreams, mut log) = (Upstreams::new(60_000), Vec::new());
        let identities = random.random_range(1..40);
        for revision in 0..120 {
            for _ in 0..random.random_range(0..5) {
                let fact = upstream(random.random_range(0..identities), revision, random.random_bool(0.2));
                match random.random_bool(0.3) {
                    true => drop(upstreams.remove(fact.id)),
                    false => drop(upstreams.put(Arc::new(fact))),
                }
            }
            upstreams.changelog(&mut |record| log.push(record));
            let kept = cleaned(&log, random.random_range(0..=log.len()));
            let mut restored = Upstreams::new(60_000);
            for record in &kept {
                let value = record.value.as_ref().expect("a ring has no tombstones");
                restored.restore(&record.key, &value[1..]).expect("it reads what it wrote");
            }
            assert_eq!(facts(&restored), facts(&upstreams), "seed {seed}, commit {revision}");
            if random.random_bool(0.1) {
                (upstreams, log) = (restored, kept);
            }
        }
        let keys: BTreeSet<&[u8]> = log.iter().map(|record| record.key.as_slice()).collect();
        assert!(keys.len() <= 17, "seed {seed}: the ring turns, {} keys", keys.len());
    }
}
