//! ARCHITECTURE 3: counts have a short form in the changelog, of which a restart never has to read more than so many.

use super::*;
use crate::engine::ring::{CountEntry, RING_SLACK};

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
