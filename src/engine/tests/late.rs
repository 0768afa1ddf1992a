//! SPEC 4.4: a better parent that is heard of later: when its child is given its name, and when that may not wait.

use super::links::{HIGH, RULES, depending, say, seen};
use super::world::*;
use super::*;
use crate::model::home::home;
use crate::model::time::{HOUR, SECOND};
use crate::model::{Command, IncidentCommand};

/// An incident that hangs on one that came after it, and an older one of those, which was heard of later.
fn named_anew(world: &mut World) -> (IncidentId, IncidentId) {
    let child = world.fire("b", "2", Severity::Low);
    world.pass(10 * MINUTE);
    let younger = world.fire("a", "1", HIGH);
    world.pass(SECOND);
    assert_eq!(seen(world, child).parent, Some(younger));
    (child, world.alert_of("a", "3", HIGH, AlertStatus::Firing, START + 5 * MINUTE))
}

/// Of those that came after it the oldest is the best: one that is heard of later takes it from one that is younger.
#[test]
fn an_older_one_of_those_that_came_later_takes_it_from_a_younger() {
    for restarts in [true, false] {
        let mut world = depending();
        world.restarts = restarts;
        let (child, older) = named_anew(&mut world);
        world.pass(10 * SECOND);
        let link = seen(&world, child);
        assert_eq!((link.parent, link.suppressed), (Some(older), true), "restarts: {restarts}");
    }
}

/// One that came in the very millisecond in which it did counts as one before it, and is nearer than any other.
#[test]
fn the_nearest_takes_it_from_an_older_one_though_it_came_at_the_same_moment() {
    for restarts in [true, false] {
        let mut world = depending();
        world.restarts = restarts;
        let older = world.fire("a", "1", HIGH);
        world.pass(5 * MINUTE);
        let (child, at) = (world.fire("b", "2", Severity::Low), world.now);
        assert_eq!(seen(&world, child).parent, Some(older));
        world.pass(SECOND);
        let nearest = world.alert_of("a", "3", HIGH, AlertStatus::Firing, at);
        world.pass(10 * SECOND);
        let link = seen(&world, child);
        assert_eq!((link.parent, link.suppressed), (Some(nearest), true), "restarts: {restarts}");
    }
}

/// `b` depends on a service whose home is not its own.
fn depending_on_another_shard() -> (World, &'static str) {
    let services = ["a", "c", "d", "e", "f", "g"];
    let is_elsewhere = |service: &&str| home(service.as_bytes(), PARTITIONS) != home(b"b", PARTITIONS);
    let elsewhere = services.into_iter().find(is_elsewhere).expect("not all are at home with `b`");
    let depends = format!("[dependencies]\nb = [\"{elsewhere}\"]\n");
    (world_with(&[("a.rhai", RULES), ("dependencies.toml", &depends)]), elsewhere)
}

/// What waits in the inbox is taken together: whoever could hang on several of them hangs on the best at once.
#[test]
fn whom_many_facts_of_one_batch_concern_is_linked_once() {
    let (mut world, elsewhere) = depending_on_another_shard();
    let home = home(b"b", PARTITIONS);
    let child = world.fire("b", "2", Severity::Low);
    world.pass(10 * MINUTE);
    world.alert(elsewhere, "1", HIGH, AlertStatus::Firing);
    let older = world.alert_of(elsewhere, "3", HIGH, AlertStatus::Firing, START + 5 * MINUTE);
    let (to, facts): (Vec<u32>, Vec<_>) = world.inbox.drain(..).unzip();
    assert!(to.len() >= 2 && to.iter().all(|to| *to == home), "{to:?}");
    let (before, mut out) = (world.published, Vec::new());
    world.shards[home as usize].process_facts(world.now, &facts, &mut out);
    world.take(home, out);
    assert_eq!((seen(&world, child).parent, world.published - before), (Some(older), 1));
}

/// It is never at rest; and where alerts come before the timers are looked at, it is these that publish it. A restart changes
/// nothing of when that is.
#[test]
fn one_that_goes_on_counting_is_given_a_better_parents_name() {
    let run = |early: bool, restarts: bool| {
        let mut world = depending();
        world.restarts = restarts;
        let (child, older) = named_anew(&mut world);
        let (begun, mut names) = (world.now, Vec::new());
        for _ in 0..25 {
            if early {
                world.now = world.now + SECOND;
            }
            world.fire("b", "2", Severity::Low);
            world.fire("b", "2", Severity::Low);
            world.pass(if early { 0 } else { SECOND });
            names.push((seen(&world, child).parent, world.published));
        }
        assert_eq!(seen(&world, child).parent, Some(older), "alerts before the timers: {early}, restarts: {restarts}");
        let counted = whole(&world, child);
        assert_eq!((counted.incident.occurrence_count, counted.read_at > begun + 20 * SECOND), (51, true));
        names
    };
    for early in [false, true] {
        assert_eq!(run(early, true), run(early, false), "alerts before the timers: {early}");
    }
}

/// The looks are the clock's, at each ten seconds, for what was heard before: a restart in that very moment moves no name, and what
/// fell due during a downtime is made up at once.
#[test]
fn a_restart_moves_no_name_whenever_it_comes() {
    for restarts in [true, false] {
        for (early, down, named_after) in [(0, 0, 10 * SECOND), (1, 0, 1), (1, 2, 2), (4 * SECOND, 5 * SECOND, 5 * SECOND)] {
            let mut world = depending();
            world.restarts = restarts;
            let child = world.fire("b", "2", Severity::Low);
            world.pass(10 * MINUTE);
            let younger = world.fire("a", "1", HIGH);
            world.pass(10 * SECOND + -early);
            let older = world.alert_of("a", "3", HIGH, AlertStatus::Firing, START + 5 * MINUTE);
            world.deliver();
            let heard = world.now;
            world.now = world.now + down;
            let mut named = None;
            while named.is_none() && world.now - heard < 30 * SECOND {
                world.pass(0);
                match seen(&world, child).parent {
                    Some(parent) if parent == older => named = Some(world.now - heard),
                    parent => assert_eq!(parent, Some(younger)),
                }
                world.now = world.now + 1;
            }
            assert_eq!(named, Some(named_after), "restarts: {restarts}, {early} ms before the look, down for {down} ms");
        }
    }
}

/// What was written under a clock that was ahead is not waited for.
#[test]
fn a_restart_under_an_earlier_clock_names_a_better_parent_as_soon() {
    let mut world = depending();
    let (child, older) = named_anew(&mut world);
    world.deliver();
    world.now = world.now + -HOUR;
    world.pass(10 * SECOND);
    assert_eq!(seen(&world, child).parent, Some(older));
}

/// An incident's readers would see it hang on each of them in turn. And what becomes meanwhile of the one that it hangs on brings no
/// name forward, where it is nothing to those that hang on it.
#[test]
fn of_better_parents_that_are_heard_of_one_after_the_other_only_the_last_is_published() {
    let shown = |world: &World, id: IncidentId| {
        let incident = whole(world, id).incident;
        (incident.parent_incident_id, incident.suppressed, incident.version)
    };
    for restarts in [true, false] {
        let mut world = depending();
        world.restarts = restarts;
        let child = world.fire("b", "2", Severity::Low);
        world.pass(20 * MINUTE);
        let parent = world.fire("a", "1", HIGH);
        let at = world.now;
        say(&mut world, parent, IncidentCommand::Acknowledge, at);
        world.pass(SECOND);
        let before = shown(&world, child);
        assert_eq!((before.0, before.1), (Some(parent), true));
        let hear = |world: &mut World, minute: i64| {
            let older = world.alert_of("a", &minute.to_string(), HIGH, AlertStatus::Firing, START + minute * MINUTE);
            world.deliver();
            assert_eq!(shown(world, child), before, "restarts: {restarts}, of minute {minute}");
            older
        };
        hear(&mut world, 10);
        let at = world.now;
        say(&mut world, parent, IncidentCommand::Investigate, at);
        assert_eq!(shown(&world, child), before, "restarts: {restarts}, it is investigated");
        let oldest = hear(&mut world, 5);
        world.pass(10 * SECOND);
        assert_eq!(shown(&world, child), (Some(oldest), true, before.2 + 1), "restarts: {restarts}");
    }
}

/// Else the child of a parent that is snoozed would be kept quiet by what was true before.
#[test]
fn what_is_known_of_a_parent_outweighs_what_was_said_of_it_before() {
    let (mut world, elsewhere) = depending_on_another_shard();
    let child = world.fire("b", "2", Severity::Low);
    let parent = world.alert(elsewhere, "1", HIGH, AlertStatus::Firing);
    let snooze = Command::Incident { id: parent, user: None, note: None, act: IncidentCommand::Snooze { minutes: 5 } };
    world.give(u32::from(parent.partition), Input::Command { command: &snooze, at: world.now });
    assert_eq!(world.inbox.len(), 2, "{:?}", world.inbox);
    world.inbox.make_contiguous().reverse();
    world.pass(10 * SECOND);
    let link = seen(&world, child);
    assert_eq!((link.parent, link.suppressed), (Some(parent), false));
}
