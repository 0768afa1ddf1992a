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

/// Many commits, each with a count of every incident.
fn commits(incidents: u64, restarts: bool) -> Vec<StateRecord> {
    let mut shard = shard();
    let mut log = Vec::new();
    let now = Time(1_800_000_000_000);
    for commit in 0..60 {
        for identity in 0..incidents {
            let said = Said { identity, source: None, resolved: false, severity: Severity::Low };
            take(&mut shard, said, (commit * incidents + identity) as i64, now, &mut Vec::new());
        }
        shard.changelog(&mut |record| log.push(record));
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
