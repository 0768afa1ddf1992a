//! SPEC 4.6, 4.7 where time stands still for the program: a downtime, a reload. Every shard is restored after each commit.

use super::world::*;
use super::*;
use crate::model::{Action, ActionKind, Command, IncidentCommand};

const USERS: &str = "[users.ann]\nemail = \"ann@example.com\"\n\n[users.bob]\nemail = \"bob@example.com\"\n";

fn paging(rules: &str, users: &str) -> World {
    let mut world = world("");
    reload(&mut world, rules, users);
    world
}

fn reload(world: &mut World, rules: &str, users: &str) {
    world.reload(&[("a.rhai", rules), ("users.toml", users)]);
}

/// Minutes after the start at which each was created, its level, and whom it is for.
fn paged(world: &mut World) -> Vec<String> {
    let actions = std::mem::take(&mut world.actions);
    let mut ids: Vec<_> = actions.iter().map(|action| action.id.clone()).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), actions.len(), "every action has an id of its own");
    let say = |action: &Action| match &action.kind {
        ActionKind::Escalation { policy, level, repeat, targets } => {
            let to: Vec<&str> = targets.iter().map(|person| person.email.as_deref().unwrap_or(&person.id)).collect();
            format!("{policy} {repeat}.{level}@{} {}", (action.created_at - START) / MINUTE, to.join(","))
        }
        other => format!("{other:?}"),
    };
    actions.iter().map(say).collect()
}

const POLICY: &str = r#"escalation(#{ name: "p", levels: [level(0, [user("ann")]), level(15, [user("bob")]), level(30, [user("ann")])], repeat: #{ count: 1, interval_minutes: 20 } });"#;

#[test]
fn what_was_due_in_a_downtime_fires_once_in_order_as_if_it_had_been_in_time() {
    let mut world = paging(POLICY, USERS);
    let id = world.fire("a", "1", Severity::High);
    assert_eq!(paged(&mut world), ["p 0.0@0 ann@example.com"]);
    world.now = START + 31 * MINUTE;
    world.tick(u32::from(id.partition));
    assert_eq!(paged(&mut world), ["p 0.1@15 bob@example.com", "p 0.2@30 ann@example.com"]);
    world.pass(60 * MINUTE);
    assert_eq!(paged(&mut world), ["p 1.0@60 ann@example.com", "p 1.1@75 bob@example.com"]);
}

#[test]
fn an_acknowledgement_in_the_backlog_is_seen_before_the_level_that_it_stops() {
    let mut world = paging(POLICY, USERS);
    let id = world.fire("a", "1", Severity::High);
    paged(&mut world);
    let partition = u32::from(id.partition);
    world.now = START + 20 * MINUTE;
    world.shards[partition as usize].hold(true);
    world.tick(partition);
    let command = Command::Incident { id, user: None, note: None, act: IncidentCommand::Acknowledge };
    world.give(partition, Input::Command { command: &command, at: START + 14 * MINUTE });
    world.shards[partition as usize].hold(false);
    world.pass(200 * MINUTE);
    assert_eq!(paged(&mut world), [""; 0]);
}

#[test]
fn escalate_in_the_backlog_is_carried_out_when_all_is_caught_up() {
    let mut world = paging(POLICY, USERS);
    let id = world.fire("a", "1", Severity::High);
    paged(&mut world);
    let partition = u32::from(id.partition);
    world.shards[partition as usize].hold(true);
    let command = Command::Incident { id, user: None, note: None, act: IncidentCommand::Escalate };
    world.now = START + 4 * MINUTE;
    world.give(partition, Input::Command { command: &command, at: START + MINUTE });
    assert_eq!(paged(&mut world), [""; 0]);
    world.shards[partition as usize].hold(false);
    world.pass(MINUTE);
    assert_eq!(paged(&mut world), ["p 0.1@4 bob@example.com"]);
}

#[test]
fn a_reload_never_touches_a_running_policy_but_the_people_behind_its_ids() {
    let mut world = paging(POLICY, USERS);
    world.fire("a", "1", Severity::High);
    paged(&mut world);
    let other = r#"escalation(#{ name: "p", enabled: false, levels: [level(0, [user("bob")])] });"#;
    reload(&mut world, other, "[users.bob]\nemail = \"new@example.com\"\n");
    world.pass(200 * MINUTE);
    // Ann is gone: nobody there, so the next level comes at once.
    assert_eq!(paged(&mut world), ["p 0.1@15 new@example.com", "p 1.1@60 new@example.com"]);
    world.fire("a", "2", Severity::High);
    assert!(paged(&mut world).iter().all(|paged| !paged.starts_with("p 0.0")), "it is disabled for others");
}

#[test]
fn a_snooze_read_late_shifts_by_its_length_and_nothing_fires_under_it() {
    let mut world = paging(POLICY, USERS);
    let id = world.fire("a", "1", Severity::High);
    paged(&mut world);
    let partition = u32::from(id.partition);
    let command = Command::Incident { id, user: None, note: None, act: IncidentCommand::Snooze { minutes: 30 } };
    world.now = START + 14 * MINUTE;
    world.give(partition, Input::Command { command: &command, at: START + 5 * MINUTE });
    world.pass(60 * MINUTE);
    assert_eq!(paged(&mut world), ["p 0.1@45 bob@example.com", "p 0.2@60 ann@example.com"]);
    // One that was over before it was read shifts, too, and mutes nothing.
    let command = Command::Incident { id, user: None, note: None, act: IncidentCommand::Snooze { minutes: 5 } };
    world.give(partition, Input::Command { command: &command, at: world.now + -10 * MINUTE });
    world.pass(200 * MINUTE);
    assert_eq!(paged(&mut world), ["p 1.0@95 ann@example.com", "p 1.1@110 bob@example.com"]);
}

#[test]
fn a_rule_that_a_downtime_has_brought_hears_of_the_next_occurrence() {
    let mut world = world("");
    world.fire("a", "1", Severity::Low);
    let rules = r##"notification(#{ name: "r", on: ["occurrence"], channels: [slack("#a")] });"##;
    world.restart_with(&[("a.rhai", rules)]);
    world.fire("a", "1", Severity::Low);
    assert_eq!(world.sent(), ["r occurrence 1"]);
}

#[test]
fn reminders_missed_in_a_downtime_come_as_one_and_the_next_keeps_to_the_rhythm() {
    let mut world = world(r##"notification(#{ name: "r", repeat_minutes: 10, channels: [slack("#a")] });"##);
    let id = world.fire("a", "1", Severity::Low);
    assert_eq!(world.sent(), ["r triggered 1"]);
    world.now = START + 35 * MINUTE;
    world.tick(u32::from(id.partition));
    assert_eq!(world.sent(), ["r reminder 1"], "of 10, 20 and 30");
    world.pass(5 * MINUTE - 1);
    assert_eq!(world.sent(), [""; 0]);
    world.pass(1);
    assert_eq!(world.sent(), ["r reminder 1"], "of 40");
}
