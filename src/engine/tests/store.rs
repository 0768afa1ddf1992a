//! Where incidents lie in a shard's memory: whichever of them leaves, all others are found, by id, identity and service.

use super::world::*;
use super::*;
use crate::engine::Outcome;
use crate::model::{Command, IncidentCommand};

fn act(world: &mut World, id: IncidentId, act: IncidentCommand) -> Outcome {
    let command = Command::Incident { id, user: None, note: None, act };
    let mut out = Vec::new();
    let partition = u32::from(id.partition);
    let outcome =
        world.shards[partition as usize].process(world.now, Input::Command { command: &command, at: world.now }, &mut out);
    world.take(partition, out);
    outcome
}

/// What an incident's readers know of those like it.
fn related(world: &World, id: IncidentId) -> Vec<IncidentId> {
    let store = &world.shards[usize::from(id.partition)].store;
    let entry = store.find_id(id).and_then(|slot| store.get(slot)).expect("it is open");
    entry.full().expect("it reads").incident.related_incident_ids
}

#[test]
fn whichever_close_the_others_hear_commands_and_count() {
    let mut world = world("");
    world.restarts = false;
    let names: Vec<String> = (0..600).map(|number| number.to_string()).collect();
    let ids: Vec<IncidentId> = names.iter().map(|name| world.alert("a", name, Severity::Low, AlertStatus::Firing)).collect();
    for id in ids.iter().step_by(2) {
        assert!(matches!(act(&mut world, *id, IncidentCommand::Close), Outcome::Done(Some(_))));
    }
    for (at, (id, name)) in ids.iter().zip(&names).enumerate() {
        let outcome = act(&mut world, *id, IncidentCommand::Acknowledge);
        let before = world.shards[usize::from(id.partition)].occurrences(*id);
        world.alert("a", name, Severity::Low, AlertStatus::Firing);
        let after = world.shards[usize::from(id.partition)].occurrences(*id);
        if at % 2 == 0 {
            assert!(matches!(&outcome, Outcome::Refused(refusal) if refusal.status == 409), "{at}: {outcome:?}");
            assert_eq!((before, after), (None, None), "{at}: what is closed counts no more");
        } else {
            assert!(matches!(outcome, Outcome::Done(Some(_))), "{at}: {outcome:?}");
            assert_eq!((before, after), (Some(1), Some(2)), "{at}");
        }
    }
}

#[test]
fn what_has_closed_makes_room_where_the_shard_was_full() {
    let mut world = world("");
    world.settings = Arc::new(Settings { max_open: 2, ..Settings::clone(&world.settings) });
    world.restart_with(&[("rules/a.rhai", "")]);
    for name in ["1", "2", "3", "4"] {
        let id = world.fire("a", name, Severity::Low);
        // An incident of its own, not one more of those that are only counted.
        assert_eq!(world.shards[usize::from(id.partition)].occurrences(id), Some(1), "{name}");
        act(&mut world, id, IncidentCommand::Close);
    }
}

/// What is kept of a changelog is in the order of the last changes, not of the incidents.
#[test]
fn restored_in_whatever_order_what_closes_takes_no_other_with_it() {
    let mut world = world("");
    world.restarts = false;
    let first = world.fire("a", "1", Severity::Low);
    world.now = world.now + 1;
    let second = world.fire("a", "2", Severity::Low);
    act(&mut world, first, IncidentCommand::Acknowledge);
    let log = &mut world.logs[usize::from(first.partition)];
    *log = compact(log, log.len());
    act(&mut world, first, IncidentCommand::Close);
    world.restart_with(&[("rules/a.rhai", "")]);
    let third = world.fire("a", "3", Severity::Low);
    assert_eq!(related(&world, third), [second]);
}

#[test]
fn services_whose_last_incident_closes_leave_all_others_their_own() {
    let mut world = world("");
    world.restarts = false;
    let services: Vec<String> = (0..600).map(|number| format!("service-{number}")).collect();
    let ids: Vec<IncidentId> =
        services.iter().map(|service| world.alert(service, "1", Severity::Low, AlertStatus::Firing)).collect();
    for id in ids.iter().step_by(2) {
        act(&mut world, *id, IncidentCommand::Close);
    }
    for (at, (service, id)) in services.iter().zip(&ids).enumerate() {
        let second = world.alert(service, "2", Severity::Low, AlertStatus::Firing);
        let like_it = if at % 2 == 0 { Vec::new() } else { vec![*id] };
        assert_eq!(related(&world, second), like_it, "{service}");
    }
}

/// A million live at once: what incidents of one service have in common is kept once, also after a restart.
#[test]
fn what_is_alike_is_small_once_it_is_committed() {
    for restarts in [false, true] {
        let mut world = world("");
        world.restarts = restarts;
        for name in 0..20 {
            world.fire("a", &name.to_string(), Severity::Low);
        }
        let entries = world.shards.iter().flat_map(|shard| shard.store.slots());
        let (sizes, plain): (Vec<usize>, Vec<usize>) =
            entries.map(|(_, entry)| (entry.body.len(), entry.body.read().expect("it reads").len())).unzip();
        let samples = sizes.iter().filter(|size| **size == 0).count();
        assert!(samples * 4 < sizes.len(), "{samples} of {} are samples, restarts: {restarts}", sizes.len());
        let (sizes, plain) = (sizes.iter().sum::<usize>(), plain.iter().sum::<usize>());
        assert!(sizes * 3 < plain * 2, "{sizes} of {plain} bytes, restarts: {restarts}");
    }
}
