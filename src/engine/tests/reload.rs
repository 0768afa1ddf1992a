//! Whom a change of the rules asks anew (SPEC 5): those whom a rule that occurrences concern may now take, and nobody else.

use super::world::*;
use super::*;

/// A rule about `a` that waits for the nth, and one that tells of every opening at `channel`.
fn rules(nth: u64, channel: &str) -> String {
    format!(
        r##"notification(#{{ name: "nth", where: #{{ service_id: "a" }}, after_occurrences: {nth}, channels: [slack("#a")] }});
            notification(#{{ name: "all", channels: [slack("{channel}")] }});"##
    )
}

/// Live, and over a restart.
fn change(world: &mut World, rules: &str, restarts: bool) {
    let files = [("a.rhai", rules)];
    if restarts { world.restart_with(&files) } else { world.reload(&files) }
}

fn opened(restarts: bool) -> World {
    let mut world = world_with(&[("a.rhai", &rules(5, "#ops"))]);
    world.restarts = restarts;
    for service in ["a", "a", "b", "b"] {
        world.fire(service, service, Severity::High);
    }
    assert_eq!(world.sent(), ["all triggered a", "all triggered b"]);
    world.published = 0;
    world
}

#[test]
fn a_rule_that_now_waits_for_fewer_is_heard_at_the_next_occurrence() {
    for restarts in [true, false] {
        let mut world = opened(restarts);
        change(&mut world, &rules(2, "#ops"), restarts);
        world.fire("a", "a", Severity::High);
        assert_eq!(world.sent(), ["nth occurrence a"]);
        let published = world.published;
        world.fire("b", "b", Severity::High);
        assert_eq!((world.sent().len(), world.published), (0, published), "no such rule concerns `b`");
        world.fire("a", "a", Severity::High);
        assert_eq!(world.sent(), [""; 0], "once");
    }
}

#[test]
fn where_no_rule_about_occurrences_has_changed_the_next_one_only_counts() {
    for restarts in [true, false] {
        let mut world = opened(restarts);
        change(&mut world, &rules(5, "#elsewhere"), restarts);
        for _ in 0..2 {
            world.fire("a", "a", Severity::High);
            world.fire("b", "b", Severity::High);
        }
        assert_eq!((world.sent().len(), world.published), (0, 0));
        world.fire("a", "a", Severity::High);
        assert_eq!(world.sent(), ["nth occurrence a"], "and it still waits for the fifth");
    }
}
