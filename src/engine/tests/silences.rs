//! SPEC 4.7: whoever a silence does not match any more, or not yet, is heard, however often it was changed meanwhile.

use super::world::*;
use super::*;
use crate::model::time::SECOND;
use crate::model::{Fact, Matcher, Silence};

/// Of everything of `a`, from `starts_at` on, as a command at `updated_at` has it.
fn silence(starts_at: Time, updated_at: Time) -> Silence {
    let (name, value) = ("service_id".to_owned(), "a".to_owned());
    Silence {
        id: "s".to_owned(),
        matchers: vec![Matcher { name, value, is_regex: false, is_equal: true }],
        starts_at,
        ends_at: START + 300 * MINUTE,
        created_by: None,
        comment: None,
        updated_at,
    }
}

fn tell(world: &mut World, silence: &Silence) {
    (0..PARTITIONS).for_each(|partition| world.give(partition, Input::Fact(&Fact::Silence(Box::new(silence.clone())))));
}

#[test]
fn one_that_is_changed_twice_before_anybody_looks_lets_go_of_whom_it_had_silenced() {
    for restarts in [true, false] {
        let mut world = world(r##"notification(#{ name: "r", on: ["triggered", "unsuppressed"], channels: [slack("#a")] });"##);
        world.restarts = restarts;
        tell(&mut world, &silence(START, START));
        world.pass(SECOND);
        world.fire("a", "1", Severity::Low);
        assert_eq!(world.sent(), [""; 0]);
        let (first, second) = (world.now, world.now + 1);
        tell(&mut world, &silence(first, first));
        tell(&mut world, &silence(START + 60 * MINUTE, second));
        world.pass(SECOND);
        assert_eq!(world.sent(), ["r unsuppressed 1"], "it begins in an hour");
        world.fire("a", "2", Severity::Low);
        assert_eq!(world.sent(), ["r triggered 2"]);
    }
}

#[test]
fn one_that_is_changed_to_match_another_lets_go_of_the_first() {
    let mut world = world(r##"notification(#{ name: "r", on: ["triggered", "unsuppressed"], channels: [slack("#a")] });"##);
    tell(&mut world, &silence(START, START));
    world.pass(SECOND);
    world.fire("a", "1", Severity::Low);
    world.fire("b", "2", Severity::Low);
    assert_eq!(world.sent(), ["r triggered 2"]);
    let mut other = silence(START, world.now);
    other.matchers[0].value = "b".to_owned();
    tell(&mut world, &other);
    world.pass(SECOND);
    assert_eq!(world.sent(), ["r unsuppressed 1"]);
    other.ends_at = world.now;
    other.updated_at = world.now;
    tell(&mut world, &other);
    world.pass(SECOND);
    assert_eq!(world.sent(), ["r unsuppressed 2"]);
}

#[test]
fn it_holds_from_its_beginning_on_and_at_its_end_no_more() {
    for (after, silenced) in [(-1, false), (0, true), (60_000 - 1, true), (60_000, false)] {
        let mut world = world(r##"notification(#{ name: "r", channels: [slack("#a")] });"##);
        let mut silence = silence(START + SECOND, START);
        silence.ends_at = silence.starts_at + MINUTE;
        tell(&mut world, &silence);
        // Before the timers were looked at.
        world.now = silence.starts_at + after;
        world.fire("a", "1", Severity::Low);
        assert_eq!(world.sent().is_empty(), silenced, "{after} ms after it begins");
    }
}

#[test]
fn one_that_is_put_off_in_the_moment_in_which_it_begins_lets_go_of_whom_it_had_silenced() {
    for restarts in [true, false] {
        let mut world = world(r##"notification(#{ name: "r", on: ["triggered", "unsuppressed"], channels: [slack("#a")] });"##);
        world.restarts = restarts;
        let begins = START + SECOND;
        tell(&mut world, &silence(begins, START));
        // Before the timers were looked at.
        world.now = begins;
        world.fire("a", "1", Severity::Low);
        assert_eq!(world.sent(), [""; 0]);
        tell(&mut world, &silence(START + 60 * MINUTE, begins));
        world.pass(SECOND);
        assert_eq!(world.sent(), ["r unsuppressed 1"], "it begins in an hour");
    }
}
