//! SPEC 4, catch-up: what happens while a shard is far behind is told when it has caught up, where it is still true.

use super::world::*;
use super::*;
use crate::model::home::home;
use crate::model::time::SECOND;
use crate::model::{Command, Fact, IncidentCommand, Matcher, Silence};

fn hold(world: &mut World, id: IncidentId, holding: bool) {
    world.shards[usize::from(id.partition)].hold(holding);
}

fn acknowledge(world: &mut World, id: IncidentId) {
    let command = Command::Incident { id, user: None, note: None, act: IncidentCommand::Acknowledge };
    world.give(u32::from(id.partition), Input::Command { command: &command, at: world.now });
}

#[test]
fn what_people_have_said_in_the_backlog_is_told_when_it_ends() {
    let mut world = world(r##"notification(#{ name: "r", on: ["triggered", "acknowledged"], channels: [slack("#a")] });"##);
    let id = world.fire("a", "1", Severity::Low);
    assert_eq!(world.sent(), ["r triggered 1"]);
    hold(&mut world, id, true);
    acknowledge(&mut world, id);
    world.pass(SECOND);
    assert_eq!(world.sent(), [""; 0]);
    hold(&mut world, id, false);
    world.pass(SECOND);
    assert_eq!(world.sent(), ["r acknowledged 1"], "once");
}

#[test]
fn of_what_was_resolved_in_the_backlog_only_the_resolution_is_told() {
    let mut world =
        world(r##"notification(#{ name: "r", on: ["triggered", "severity_changed", "resolved"], channels: [slack("#a")] });"##);
    let id = world.fire("a", "1", Severity::Low);
    hold(&mut world, id, true);
    world.fire("a", "1", Severity::High);
    world.resolve("a", "1");
    hold(&mut world, id, false);
    world.sent();
    world.pass(SECOND);
    assert_eq!((world.sent(), world.unrouted), (vec!["r resolved 1".to_owned()], 0));
}

#[test]
fn a_severity_that_rises_again_when_the_backlog_has_ended_is_told_once() {
    let mut world = world(r##"notification(#{ name: "r", on: ["severity_changed"], channels: [slack("#a")] });"##);
    let id = world.fire("a", "1", Severity::Info);
    hold(&mut world, id, true);
    world.fire("a", "1", Severity::Low);
    hold(&mut world, id, false);
    // Before the timers were looked at: what is owed is said with this.
    world.fire("a", "1", Severity::Medium);
    world.pass(SECOND);
    assert_eq!(world.sent(), ["r severity_changed 1"]);
}

#[test]
fn default_channels_stand_in_when_the_backlog_ends_where_a_desk_said_no_in_it() {
    let mut world = world(r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 1 }, channels: [slack("#a")] });"##);
    let desk = home(b"r", PARTITIONS);
    let services = ["a", "b", "c", "d", "e", "f", "g"];
    let elsewhere = services.iter().find(|service| home(service.as_bytes(), PARTITIONS) != desk);
    let service = elsewhere.expect("not all are at home with the desk");
    world.fire(service, "1", Severity::High);
    // The question travels before, the answer comes after.
    let id = world.alert(service, "2", Severity::High, AlertStatus::Firing);
    hold(&mut world, id, true);
    world.pass(SECOND);
    assert_eq!(world.sent(), ["r triggered 1", "r limited 1"]);
    hold(&mut world, id, false);
    world.pass(SECOND);
    assert_eq!((world.sent(), world.unrouted), (vec![" triggered 2".to_owned()], 1));
}

/// It was refused where it came in; what another version has let through must not keep anybody quiet.
#[test]
fn a_silence_whose_expression_cannot_be_read_silences_nobody() {
    for is_equal in [true, false] {
        let mut world = world(r##"notification(#{ name: "r", channels: [slack("#a")] });"##);
        let silence = Silence {
            id: "s".to_owned(),
            matchers: vec![Matcher { name: "title".to_owned(), value: "(".to_owned(), is_regex: true, is_equal }],
            starts_at: START,
            ends_at: START + 30 * MINUTE,
            created_by: None,
            comment: None,
            updated_at: START,
        };
        for partition in 0..PARTITIONS {
            world.give(partition, Input::Fact(&Fact::Silence(Box::new(silence.clone()))));
        }
        world.fire("a", "1", Severity::Low);
        world.pass(SECOND);
        assert_eq!(world.sent(), ["r triggered 1"], "is_equal: {is_equal}");
    }
}
