//! SPEC 4.4: what hangs on what is the same, in whatever order an incident's own partition is read: commands and alerts stand
//! in two topics, and which of them comes first is chance.

use super::world::*;
use super::*;
use crate::model::time::{HOUR, SECOND};
use crate::model::{Command, IncidentCommand};

pub(super) const HIGH: Severity = Severity::High;

/// An incident as people see it now.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Seen {
    pub(super) parent: Option<IncidentId>,
    kind: Option<String>,
    pub(super) suppressed: bool,
}

pub(super) fn seen(world: &World, id: IncidentId) -> Seen {
    let incident = whole(world, id).incident;
    Seen {
        parent: incident.parent_incident_id,
        kind: incident.correlation.map(|found| found.kind),
        suppressed: incident.suppressed,
    }
}

pub(super) fn say(world: &mut World, id: IncidentId, act: IncidentCommand, at: Time) {
    let command = Command::Incident { id, user: Some("ann".to_owned()), note: None, act };
    world.give(u32::from(id.partition), Input::Command { command: &command, at });
    world.deliver();
}

pub(super) const RULES: &str = r##"notification(#{ name: "r", channels: [slack("#a")] });"##;

/// What is said of the root at minute 18, two minutes before the duplicate opens, read before it or after.
#[test]
fn whether_it_is_a_duplicate_hangs_on_its_roots_past_not_on_what_is_read_first() {
    for (act, duplicate) in [
        (IncidentCommand::Acknowledge, true),
        (IncidentCommand::Investigate, true),
        (IncidentCommand::Identify, false),
        (IncidentCommand::Note, true),
    ] {
        let run = |command_first: bool| {
            let mut world = world(RULES);
            let root = world.fire("a", "1", HIGH);
            world.pass(20 * MINUTE);
            let at = world.now + -2 * MINUTE;
            if command_first {
                say(&mut world, root, act.clone(), at);
            }
            let second = world.fire("a", "1", HIGH);
            if !command_first {
                say(&mut world, root, act.clone(), at);
            }
            world.pass(SECOND);
            let sent = world.sent();
            (seen(&world, second), root, sent.iter().filter(|said| !said.contains("acknowledged")).count())
        };
        let (first, then) = (run(true), run(false));
        assert_eq!(first, then, "{act:?}");
        let (link, root, told) = first;
        assert_eq!((link.parent == Some(root), link.suppressed), (duplicate, duplicate), "{act:?}");
        assert_eq!(told, if duplicate { 1 } else { 2 }, "{act:?}: who is no duplicate is told of");
    }
}

/// The third hangs on the first; when that one turns out to have been identified before, on the second.
#[test]
fn the_oldest_that_is_left_is_the_root() {
    let mut world = world(RULES);
    let first = world.fire("a", "1", HIGH);
    world.pass(10 * MINUTE);
    let at = world.now + -MINUTE;
    world.pass(6 * MINUTE);
    let second = world.fire("a", "1", HIGH);
    world.pass(12 * MINUTE);
    // Past the second one's window for being 16 minutes later than it by its own time.
    let timestamp = world.now + 4 * MINUTE + SECOND;
    let third = world.alert_of("a", "1", HIGH, AlertStatus::Firing, timestamp);
    world.deliver();
    // More than 30 minutes from the first, and not from its duplicate.
    assert_eq!([second, third].map(|id| seen(&world, id).parent), [Some(first), Some(first)]);
    say(&mut world, first, IncidentCommand::Identify, at);
    assert_eq!([second, third].map(|id| seen(&world, id).parent), [None, Some(second)]);
    assert_eq!([second, third].map(|id| seen(&world, id).suppressed), [false, true]);
}

/// SPEC 4.4: a command that ends a root ends its duplicates: those that there were.
#[test]
fn what_opened_after_the_command_is_not_ended_by_it() {
    for act in [IncidentCommand::Resolve { resolution: None }, IncidentCommand::Close] {
        let mut world = world(RULES);
        let root = world.fire("a", "1", HIGH);
        world.pass(16 * MINUTE);
        let second = world.fire("a", "1", HIGH);
        assert!(seen(&world, second).suppressed);
        let at = world.now + -MINUTE;
        world.sent();
        say(&mut world, root, act.clone(), at);
        world.pass(SECOND);
        assert!(!seen(&world, second).suppressed || act == IncidentCommand::Close, "{act:?}");
        world.pass(7 * MINUTE);
        assert!(!seen(&world, second).suppressed, "{act:?}");
        assert_eq!(world.sent(), ["r unsuppressed 1"], "{act:?}");
    }
}

/// A duplicate has no children. One that turns out to be one lets go of them, and one that turns out to be none takes them; and
/// so it is in the duplicate's own shard, where all of that is known at once, and in another, which hears of it bit by bit.
#[test]
fn a_duplicate_is_nobodys_parent_whenever_it_is_found_out() {
    let services = ["web", "shop", "mail", "chat", "search", "pay"];
    let home = |service: &str| crate::model::home::home(service.as_bytes(), PARTITIONS);
    let at_home = services.iter().filter(|service| home(service) == home("a")).count();
    assert!((1..services.len()).contains(&at_home), "some, and not all");
    for service in services {
        let depends = format!("[dependencies]\n{service} = [\"a\"]\n");
        let mut world = world_with(&[("rules/a.rhai", RULES), ("dependencies.toml", &depends)]);
        let root = world.fire("a", "1", HIGH);
        world.pass(20 * MINUTE);
        let at = world.now + -MINUTE;
        let second = world.fire("a", "1", HIGH);
        let child = world.fire(service, "2", HIGH);
        assert_eq!(seen(&world, child).parent, Some(root), "{service}");
        say(&mut world, root, IncidentCommand::Identify, at);
        let found = seen(&world, child);
        assert_eq!(found.parent, Some(second), "{service}: the root was not active any more when the child opened");
        assert!(found.suppressed, "{service}");
        // It was taken up again before the second one opened.
        say(&mut world, root, IncidentCommand::Investigate, at + SECOND);
        assert_eq!([second, child].map(|id| seen(&world, id).parent), [Some(root); 2], "{service}");
        assert!(seen(&world, child).suppressed, "{service}");
        // And left once more.
        say(&mut world, root, IncidentCommand::Identify, at + 2 * SECOND);
        assert_eq!([second, child].map(|id| seen(&world, id).parent), [None, Some(second)], "{service}");
        assert!(seen(&world, child).suppressed, "{service}");
    }
}

/// Released when its root is over, a duplicate is an incident like any other.
#[test]
fn what_is_left_of_duplicates_hangs_on_a_cascade_where_there_is_one() {
    let files = [("rules/a.rhai", RULES), ("dependencies.toml", "[dependencies]\nweb = [\"a\"]\n")];
    let mut world = world_with(&files);
    let root = world.fire("web", "1", HIGH);
    world.pass(20 * MINUTE);
    let second = world.fire("web", "1", HIGH);
    let parent = world.fire("a", "2", HIGH);
    assert_eq!(seen(&world, second).parent, Some(root));
    world.pass(MINUTE);
    // It ends both; one is not over.
    let at = world.now;
    say(&mut world, root, IncidentCommand::Resolve { resolution: None }, at);
    say(&mut world, second, IncidentCommand::Reopen, at);
    assert_eq!(seen(&world, second).kind.as_deref(), Some("duplicate"), "until the grace is over");
    world.pass(7 * MINUTE);
    let link = seen(&world, second);
    assert_eq!((link.parent, link.kind.as_deref(), link.suppressed), (Some(parent), Some("cascade"), true));
}

pub(super) const DEPENDS: &str = "[dependencies]\nb = [\"a\"]\n";

pub(super) fn depending() -> World {
    world_with(&[("a.rhai", RULES), ("dependencies.toml", DEPENDS)])
}

#[test]
fn a_reload_of_the_dependencies_links_anew_what_is_open() {
    for restarts in [true, false] {
        let mut world = world(RULES);
        world.restarts = restarts;
        let parent = world.fire("a", "1", HIGH);
        let children = [world.fire("b", "2", HIGH), world.fire("b", "3", HIGH)];
        world.reload(&[("a.rhai", RULES), ("dependencies.toml", DEPENDS)]);
        world.pass(SECOND);
        for child in children {
            let link = seen(&world, child);
            assert_eq!((link.parent, link.suppressed), (Some(parent), true), "restarts: {restarts}");
        }
        world.reload(&[("a.rhai", RULES)]);
        world.pass(SECOND);
        for child in children {
            let link = seen(&world, child);
            assert_eq!((link.parent, link.suppressed), (None, false), "restarts: {restarts}");
        }
    }
}

#[test]
fn what_is_open_is_linked_anew_where_the_dependencies_changed_in_a_downtime() {
    let mut world = world(RULES);
    let (parent, child) = (world.fire("a", "1", HIGH), world.fire("b", "2", HIGH));
    world.restart_with(&[("a.rhai", RULES), ("dependencies.toml", DEPENDS)]);
    world.pass(SECOND);
    let link = seen(&world, child);
    assert_eq!((link.parent, link.suppressed), (Some(parent), true));
}

/// Its parent's shard would tell it nothing any more, not even that it is over.
#[test]
fn who_is_kept_quiet_by_a_dependency_that_went_in_a_downtime_is_told_of() {
    let mut world = depending();
    world.fire("a", "1", HIGH);
    let child = world.fire("b", "2", HIGH);
    assert!(seen(&world, child).suppressed);
    world.sent();
    world.restart_with(&[("a.rhai", RULES)]);
    world.pass(SECOND);
    assert!(!seen(&world, child).suppressed);
    assert_eq!(world.sent(), ["r unsuppressed 2"]);
}

#[test]
fn a_closed_parents_fact_is_kept_for_whoever_hangs_on_it_and_then_forgotten() {
    let mut world = depending();
    let (parent, child) = (world.fire("a", "1", Severity::Critical), world.fire("b", "2", Severity::Low));
    // Not in the child's own moment: it would never have been its parent.
    world.pass(SECOND);
    let at = world.now;
    say(&mut world, parent, IncidentCommand::Close, at);
    world.pass(5 * MINUTE);
    // What else happens to the child in the grace does not release it.
    world.fire("b", "2", HIGH);
    assert!(seen(&world, child).suppressed);
    world.pass(MINUTE);
    assert!(!seen(&world, child).suppressed, "the grace is over");
    // It fires no more since it was closed: a day, the grace and an hour later nobody can hang on it any more.
    for (passes, known) in [(25 * HOUR - MINUTE, true), (2 * MINUTE, false)] {
        world.pass(passes);
        (0..PARTITIONS).for_each(|partition| world.take(partition, Vec::new()));
        let state = world.shards.iter().flat_map(Shard::state);
        assert_eq!(state.filter(|record| record.key[0] == b'u').count(), usize::from(known), "after a restart");
    }
}

#[test]
fn what_waits_is_named_until_it_is_over() {
    let mut world = depending();
    world.settings = Arc::new(Settings { hold: 2 * SECOND, ..Settings::clone(&world.settings) });
    world.restart_with(&[("a.rhai", RULES), ("dependencies.toml", DEPENDS)]);
    let child = world.fire("b", "2", HIGH);
    let waiting = |world: &World| world.shards.iter().flat_map(Shard::waiting).collect::<Vec<_>>();
    let held = waiting(&world);
    assert!(matches!(&held[..], [(id, what)] if *id == child && what.contains("Held")), "{held:?}");
    world.pass(2 * SECOND);
    assert!(waiting(&world).is_empty());
    let at = world.now;
    say(&mut world, child, IncidentCommand::Snooze { minutes: 5 }, at);
    world.fire("b", "2", Severity::Critical);
    let owed = waiting(&world);
    assert!(matches!(&owed[..], [(id, what)] if *id == child && what.contains("SeverityChanged")), "{owed:?}");
}

/// What was known of it before is rewritten: it was in somebody's hands when the child opened, and is the better parent.
#[test]
fn one_that_turns_out_to_have_been_active_takes_a_child_that_hangs_on_another() {
    let files = [("a.rhai", RULES), ("dependencies.toml", "[dependencies]\nweb = [\"a\", \"b\"]\n")];
    let mut world = world_with(&files);
    let better = world.fire("a", "1", HIGH);
    world.pass(MINUTE);
    let at = world.now;
    say(&mut world, better, IncidentCommand::Identify, at);
    world.pass(MINUTE);
    let other = world.fire("b", "2", Severity::Low);
    world.pass(MINUTE);
    let child = world.fire("web", "3", HIGH);
    let link = seen(&world, child);
    assert_eq!((link.parent, link.suppressed), (Some(other), false), "the other is below it");
    say(&mut world, better, IncidentCommand::Investigate, at + SECOND);
    let link = seen(&world, child);
    assert_eq!((link.parent, link.suppressed), (Some(better), true));
}

/// Ties are decided by id, not by which fact comes first.
#[test]
fn of_several_late_ones_of_one_moment_the_first_by_id_is_the_parent() {
    let mut world = depending();
    let child = world.fire("b", "child", HIGH);
    // Ids follow from offsets: the next two's would be the first of all.
    world.fire("c", "1", HIGH);
    world.fire("c", "2", HIGH);
    world.pass(MINUTE);
    let late: Vec<IncidentId> = ["1", "2", "3", "4", "5", "6"].iter().map(|name| world.fire("a", name, HIGH)).collect();
    world.pass(10 * SECOND);
    let first = late.iter().copied().min();
    assert_ne!(first, late.first().copied(), "it must come after another to tell anything");
    assert_eq!(seen(&world, child).parent, first);
}

const ALONE: &str = "[dependencies]\nb = []\n";

/// While nothing depended on it nobody was told that it is over.
#[test]
fn a_parent_that_closed_while_a_reload_had_taken_its_dependents_suppresses_nobody_afterwards() {
    let mut world = depending();
    world.restarts = false;
    let parent = world.fire("a", "1", Severity::Critical);
    world.reload(&[("a.rhai", RULES), ("dependencies.toml", ALONE)]);
    world.pass(SECOND);
    let at = world.now;
    say(&mut world, parent, IncidentCommand::Close, at);
    world.reload(&[("a.rhai", RULES), ("dependencies.toml", DEPENDS)]);
    world.pass(SECOND);
    let child = world.fire("b", "2", Severity::Low);
    world.pass(MINUTE);
    let link = seen(&world, child);
    assert_eq!((link.parent, link.suppressed), (None, false), "nobody would ever release it");
}

#[test]
fn what_a_reload_makes_depend_on_it_is_told_of_an_incident_that_others_know_already() {
    let services = ["c", "d", "e", "f", "g"];
    let home = |service: &str| crate::model::home::home(service.as_bytes(), PARTITIONS);
    let elsewhere = services.into_iter().find(|service| home(service) != home("b")).expect("not all are at home with `b`");
    let mut world = depending();
    world.restarts = false;
    let parent = world.fire("a", "1", Severity::Critical);
    world.pass(SECOND);
    let more = format!("[dependencies]\nb = [\"a\"]\n{elsewhere} = [\"a\"]\n");
    world.reload(&[("a.rhai", RULES), ("dependencies.toml", &more)]);
    world.pass(SECOND);
    let child = world.fire(elsewhere, "2", Severity::Low);
    world.pass(SECOND);
    let link = seen(&world, child);
    assert_eq!((link.parent, link.suppressed), (Some(parent), true));
}

/// A reply carries the incident that it is about, whatever else came of the command.
#[test]
fn who_resolves_a_root_is_answered_with_it_not_with_its_duplicate() {
    let mut world = world(RULES);
    let root = world.fire("a", "1", HIGH);
    world.pass(20 * MINUTE);
    let duplicate = world.fire("a", "1", HIGH);
    assert_eq!(seen(&world, duplicate).parent, Some(root));
    let act = IncidentCommand::Resolve { resolution: None };
    let command = Command::Incident { id: root, user: Some("ann".to_owned()), note: None, act };
    let input = Input::Command { command: &command, at: world.now };
    let crate::engine::Outcome::Done(Some(shown)) =
        world.shards[usize::from(root.partition)].process(world.now, input, &mut Vec::new())
    else {
        panic!("it was resolved")
    };
    assert_eq!((shown.id, shown.status), (root, crate::model::Status::Resolved));
}
