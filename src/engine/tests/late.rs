//! SPEC 4.4: a better parent that is heard of later: when its child is given its name, and when that may not wait.

use super::links::{HIGH, RULES, depending, seen};
use super::world::*;
use super::*;
use crate::model::time::SECOND;

/// An incident that hangs on one that came after it, and an older one of those, which was heard of later.
fn named_anew(world: &mut World) -> (IncidentId, IncidentId) {
    let child = world.fire("b", "2", Severity::Low);
    world.pass(10 * MINUTE);
    let younger = world.fire("a", "1", HIGH);
    world.pass(SECOND);
    assert_eq!(seen(world, child).parent, Some(younger));
    (child, world.alert_of("a", "3", HIGH, AlertStatus::Firing, START + 5 * MINUTE))
}

fn whole(world: &World, id: IncidentId) -> crate::engine::entry::Full {
    let store = &world.shards[usize::from(id.partition)].store;
    store.find_id(id).and_then(|slot| store.get(slot)).expect("it is open").full().expect("it reads")
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

/// What waits in the inbox is taken together: whoever could hang on several of them hangs on the best at once.
#[test]
fn whom_many_facts_of_one_batch_concern_is_linked_once() {
    let home = |service: &str| crate::model::home::home(service.as_bytes(), PARTITIONS);
    let services = ["a", "c", "d", "e", "f", "g"];
    let elsewhere = services.into_iter().find(|service| home(service) != home("b")).expect("not all are at home with `b`");
    let mut world = world_with(&[("a.rhai", RULES), ("dependencies.toml", &format!("[dependencies]\nb = [\"{elsewhere}\"]\n"))]);
    let child = world.fire("b", "2", Severity::Low);
    world.pass(10 * MINUTE);
    world.alert(elsewhere, "1", HIGH, AlertStatus::Firing);
    let older = world.alert_of(elsewhere, "3", HIGH, AlertStatus::Firing, START + 5 * MINUTE);
    let (to, facts): (Vec<u32>, Vec<_>) = world.inbox.drain(..).unzip();
    assert!(to.len() >= 2 && to.iter().all(|to| *to == home("b")), "{to:?}");
    let (before, mut out) = (world.published, Vec::new());
    world.shards[home("b") as usize].process_facts(world.now, &facts, &mut out);
    world.take(home("b"), out);
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
