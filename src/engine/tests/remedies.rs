//! SPEC 4.8 between two shards: a remediation's budget where answers come late, or while all is held back. Every shard is
//! restored after each commit.

use super::world::*;
use super::*;
use crate::model::home::home;
use crate::model::time::SECOND;
use crate::model::{ActionKind, Command, Fact, IncidentCommand};
use std::collections::BTreeSet;

const RULES: &str = r##"
remediation(#{ name: "fix", budget: #{ max_per_hour: 1 }, actions: [restart()] });
notification(#{ name: "n", channels: [slack("#n")] });
"##;

fn said(world: &mut World) -> Vec<String> {
    let told = |action: &crate::model::Action| match &action.kind {
        ActionKind::Remediation { .. } => format!("fix {}", action.incident.service_id),
        ActionKind::Notification { .. } => format!("told {}", action.incident.service_id),
        other => format!("{other:?}"),
    };
    std::mem::take(&mut world.actions).iter().map(told).collect()
}

/// Opens one, and lets only the question travel.
fn asks(world: &mut World, service: &str) -> IncidentId {
    let id = world.alert(service, "1", Severity::Low, AlertStatus::Firing);
    let (to, fact) = world.inbox.pop_front().expect("the budget's home is asked");
    assert!(matches!(fact, Fact::BudgetAsk(_)), "{fact:?}");
    world.give(to, Input::Fact(&fact));
    assert!(world.inbox.iter().any(|(_, fact)| matches!(fact, Fact::BudgetAnswer(answer) if answer.granted)));
    id
}

fn acknowledge(world: &mut World, id: IncidentId) {
    let command = Command::Incident { id, user: None, note: None, act: IncidentCommand::Acknowledge };
    world.give(u32::from(id.partition), Input::Command { command: &command, at: world.now });
}

/// One shard knows all grants of a rule, whichever shard asks; and not every rule's are one shard's to know.
#[test]
fn a_budget_is_asked_and_handed_back_at_the_home_of_its_rules_name() {
    let mut homes = BTreeSet::new();
    for rule in ["fix", "mend", "renew", "repair", "restore"] {
        let mut world = world(&RULES.replace("fix", rule));
        let home = home(rule.as_bytes(), PARTITIONS);
        homes.insert(home);
        world.alert("a", "1", Severity::Low, AlertStatus::Firing);
        let (to, ask) = world.inbox.pop_front().expect("the budget's home is asked");
        assert!(matches!(ask, Fact::BudgetAsk(_)) && to == home, "{rule}: {to}, {ask:?}");
        world.give(to, Input::Fact(&ask));
        world.alert("a", "1", Severity::Low, AlertStatus::Resolved);
        let (to, answer) = world.inbox.pop_front().expect("it answers");
        world.give(to, Input::Fact(&answer));
        let (to, back) = world.inbox.pop_front().expect("the grant comes too late");
        assert!(matches!(back, Fact::BudgetReturn { .. }) && to == home, "{rule}: {to}, {back:?}");
    }
    assert!(homes.len() > 1, "{homes:?}");
}

/// The grant was handed back: the next one gets it.
fn is_free(world: &mut World) {
    world.deliver();
    said(world);
    world.fire("next", "1", Severity::Low);
    assert_eq!(said(world), ["fix next"]);
    world.fire("one-more", "1", Severity::Low);
    assert_eq!(said(world), ["told one-more"]);
}

#[test]
fn without_an_answer_people_are_told_and_a_late_grant_is_void_and_handed_back() {
    let mut world = world(RULES);
    let id = asks(&mut world, "a");
    world.now = world.now + (5 * SECOND - 1);
    world.tick(u32::from(id.partition));
    assert_eq!(said(&mut world), [""; 0]);
    world.now = world.now + 1;
    world.tick(u32::from(id.partition));
    assert_eq!(said(&mut world), ["told a"]);
    assert_eq!(world.last_why(), ["budget", "acted"]);
    world.deliver();
    assert_eq!(said(&mut world), [""; 0]);
    is_free(&mut world);
}

#[test]
fn a_grant_that_comes_with_the_deadline_is_late() {
    let mut world = world(RULES);
    asks(&mut world, "a");
    world.now = world.now + 5 * SECOND;
    world.deliver();
    world.pass(0);
    assert_eq!(said(&mut world), ["told a"]);
    is_free(&mut world);
}

#[test]
fn a_grant_for_what_somebody_has_in_hand_is_handed_back() {
    let mut world = world(RULES);
    let id = asks(&mut world, "a");
    acknowledge(&mut world, id);
    world.deliver();
    assert_eq!(said(&mut world), ["told a"]);
    is_free(&mut world);
}

#[test]
fn a_grant_for_what_is_over_is_handed_back() {
    let mut world = world(RULES);
    asks(&mut world, "a");
    world.alert("a", "1", Severity::Low, AlertStatus::Resolved);
    world.deliver();
    assert_eq!(said(&mut world), [""; 0]);
    is_free(&mut world);
}

#[test]
fn a_grant_read_while_all_is_held_back_starts_when_that_ends() {
    for resolved in [false, true] {
        let mut world = world(RULES);
        let id = asks(&mut world, "a");
        let partition = u32::from(id.partition);
        world.shards[partition as usize].hold(true);
        world.deliver();
        assert_eq!(said(&mut world), [""; 0]);
        if resolved {
            world.alert("a", "1", Severity::Low, AlertStatus::Resolved);
            world.shards[partition as usize].hold(false);
            is_free(&mut world);
            continue;
        }
        world.shards[partition as usize].hold(false);
        world.pass(0);
        assert_eq!(said(&mut world), ["fix a"]);
    }
}

#[test]
fn what_is_said_twice_counts_once() {
    let mut world = world(RULES);
    world.alert("a", "1", Severity::Low, AlertStatus::Firing);
    let (to, ask) = world.inbox.pop_front().expect("the budget's home is asked");
    for _ in 0..2 {
        world.give(to, Input::Fact(&ask));
    }
    world.deliver();
    assert_eq!(said(&mut world), ["fix a"]);
    world.fire("b", "1", Severity::Low);
    assert_eq!(said(&mut world), ["told b"], "the second answer handed nothing back");
}

#[test]
fn budgets_and_attempts_leave_the_changelog_when_they_count_no_more() {
    let mut world = world(RULES);
    world.fire("a", "1", Severity::Low);
    world.resolve("a", "1");
    let kept = |world: &World, kind: u8| {
        let log = world.logs.iter().flatten();
        log.filter(|record| record.key[0] == kind).map(|record| record.value.is_some()).collect::<Vec<_>>()
    };
    assert_eq!((kept(&world, b'a'), kept(&world, b'b')), (vec![true], vec![true]));
    world.pass(25 * crate::model::time::HOUR);
    // Their shards commit.
    (0..PARTITIONS).for_each(|partition| world.take(partition, Vec::new()));
    assert_eq!((kept(&world, b'a'), kept(&world, b'b')), (vec![true, false], vec![true, false]));
}

#[test]
fn past_the_most_grants_an_hour_all_are_refused_whatever_the_rule_says() {
    let mut world = world(&RULES.replace("max_per_hour: 1 }", "max_per_hour: 5000 }"));
    let services: Vec<String> = (1..=10).map(|number| format!("service-{number}")).collect();
    for service in &services {
        world.fire(service, "1", Severity::Low);
    }
    let fixed = services[..8].iter().map(|service| format!("fix {service}"));
    let told = services[8..].iter().map(|service| format!("told {service}"));
    assert_eq!(said(&mut world), fixed.chain(told).collect::<Vec<_>>());
}
