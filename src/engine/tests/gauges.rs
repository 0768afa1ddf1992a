//! What a shard tells of itself to the gauges, over restarts too.

use super::world::*;
use super::*;
use crate::model::Status;
use crate::model::time::{DAY, SECOND};

/// Severity, status, and how many, where there are any; then the timers that wait.
fn gauges(world: &World) -> (Vec<(Severity, Status, u64)>, bool) {
    let mut open: BTreeMap<(Severity, Status), u64> = BTreeMap::new();
    for shard in &world.shards {
        shard.open(&mut |severity, status, count| *open.entry((severity, status)).or_default() += count);
    }
    let open = open.into_iter().filter(|(_, count)| *count > 0).map(|((severity, status), count)| (severity, status, count));
    (open.collect(), world.shards.iter().any(|shard| shard.timers_pending() > 0))
}

#[test]
fn open_incidents_are_counted_by_severity_and_status_until_they_close() {
    use Severity::{Critical, High};
    use Status::{Resolved, Triggered};
    for restarts in [true, false] {
        let mut world = world("");
        world.restarts = restarts;
        assert_eq!(gauges(&world), (vec![], false));
        world.fire("a", "1", High);
        world.fire("a", "2", High);
        world.fire("a", "2", High);
        assert_eq!(gauges(&world).0, [(High, Triggered, 2)]);
        world.fire("a", "1", Critical);
        assert_eq!(gauges(&world).0, [(High, Triggered, 1), (Critical, Triggered, 1)]);
        world.resolve("a", "1");
        assert_eq!(gauges(&world), (vec![(High, Triggered, 1), (Critical, Resolved, 1)], true));
        world.resolve("a", "2");
        world.pass(DAY);
        assert_eq!(gauges(&world), (vec![], true), "what has closed waits to be forgotten");
        world.pass(7 * DAY);
        assert_eq!(gauges(&world), (vec![], false));
    }
}

/// Its publications, which come and go, leave the long wait behind them where it is.
#[test]
fn an_incident_that_goes_on_firing_waits_for_two_things_and_no_more() {
    let mut world = world("");
    world.restarts = false;
    for round in 0..120 {
        world.fire("a", "1", Severity::Low);
        world.pass(7 * SECOND);
        let pending: usize = world.shards.iter().map(Shard::timers_pending).sum();
        assert!((1..=2).contains(&pending), "{pending} timers, round {round}");
    }
}
