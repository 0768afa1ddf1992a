//! What a shard knows beside its incidents is laid open whole: a check of a restore goes by it.

use super::world::*;
use super::*;
use crate::model::{Change, EventBody, Fact, Matcher, ServiceEvent, Silence};
use std::collections::BTreeSet;

const RULES: &str = r##"
remediation(#{ name: "fix", where: #{ service_id: "fixed" }, budget: #{ max_per_hour: 1 }, actions: [restart()] });
notification(#{ name: "limited", where: #{ service_id: "told" }, rate_limit: #{ max_per_hour: 9 }, channels: [slack("#a")] });
notification(#{ name: "gathered", where: #{ service_id: "told" }, digest: #{ interval_minutes: 5 }, channels: [slack("#a")] });
"##;

/// A world in which something of each kind is known: see `engine::sides`.
fn knowing() -> World {
    let mut world = world(RULES);
    let silence = Silence {
        id: "s".to_owned(),
        matchers: vec![Matcher { name: "service_id".to_owned(), value: "x".to_owned(), is_regex: false, is_equal: true }],
        starts_at: START,
        ends_at: START + 30 * MINUTE,
        created_by: None,
        comment: None,
        updated_at: START,
    };
    (0..PARTITIONS).for_each(|partition| world.give(partition, Input::Fact(&Fact::Silence(Box::new(silence.clone())))));
    let change = Change { kind: "deployment".to_owned(), description: String::new(), timestamp: START, id: None };
    let event = ServiceEvent { service_id: "told".to_owned(), body: EventBody::Change(change) };
    world.give(crate::model::home::home(b"told", PARTITIONS), Input::Event(&event));
    world.fire("fixed", "1", Severity::Low);
    world.fire("told", "2", Severity::Low);
    // What comes to the desks while all is held back waits there.
    world.alert("told", "3", Severity::Low, AlertStatus::Firing);
    world.shards.iter_mut().for_each(|shard| shard.hold(true));
    world.deliver();
    world
}

/// Were something left out, a restore that loses it would pass for one that does not.
#[test]
fn all_that_the_changelog_keeps_of_it_is_laid_open() {
    let world = knowing();
    let is_side = |record: &StateRecord| b"svdgwab".contains(&record.key[0]);
    let mut kinds = BTreeSet::new();
    for (shard, log) in world.shards.iter().zip(&world.logs) {
        let mut kept = compact(log, log.len());
        kept.retain(|record| is_side(record) && record.value.is_some());
        kept.sort_by(|a, b| a.key.cmp(&b.key));
        let open: Vec<StateRecord> = shard.state().into_iter().filter(is_side).collect();
        assert_eq!(open, kept);
        kinds.extend(kept.iter().map(|record| char::from(record.key[0])));
    }
    assert_eq!(kinds, BTreeSet::from(['s', 'v', 'd', 'g', 'w', 'a', 'b']));
}
