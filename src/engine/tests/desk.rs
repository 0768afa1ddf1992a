//! SPEC 4.7 over several shards: what the desks let through, hold back and put together. Facts travel as the inbox carries
//! them; every shard is dropped and restored whenever something was committed.

use super::world::*;
use super::*;
use crate::model::time::{HOUR, SECOND};
use crate::model::{ActionKind, Command, IncidentCommand, Matcher, RuleEvent, Silence};

const LOW: Severity = Severity::Low;
const HIGH: Severity = Severity::High;

#[test]
fn a_limit_slides_over_the_whole_rule_and_says_once_an_hour_that_it_holds_back() {
    let mut world =
        world(r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 2 }, channels: [slack("#a"), email(["a@b.c"])] });"##);
    for (service, name) in [("a", "1"), ("b", "2")] {
        world.fire(service, name, LOW);
    }
    // One event counts once, however many channels.
    assert_eq!(world.sent(), ["r triggered 1", "r triggered 1", "r triggered 2", "r triggered 2"]);
    world.pass(30 * MINUTE);
    world.fire("c", "3", LOW);
    assert_eq!(world.last_why(), ["rate_limited"]);
    world.fire("d", "4", LOW);
    assert_eq!(world.sent(), ["r limited 1"; 2], "the first one held back says so, over the rule's channels");
    world.pass(29 * MINUTE);
    world.fire("e", "5", LOW);
    assert_eq!(world.sent(), [""; 0]);
    world.pass(2 * MINUTE);
    world.fire("f", "6", LOW);
    assert_eq!(world.sent(), ["r triggered 6"; 2], "the hour slides");
    world.pass(HOUR);
    assert_eq!(world.sent(), ["r limited 3 in all"; 2], "what was rate-limited does not act later");
}

#[test]
fn a_limit_for_the_day_counts_beside_that_for_the_hour() {
    let mut world =
        world(r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 2, max_per_day: 3 }, channels: [slack("#a")] });"##);
    for hour in 0..4 {
        world.fire("a", &hour.to_string(), LOW);
        world.pass(2 * HOUR);
    }
    assert_eq!(world.sent(), ["r triggered 0", "r triggered 1", "r triggered 2", "r limited 1", "r limited 1 in all"]);
    world.pass(16 * HOUR);
    world.fire("a", "4", LOW);
    assert_eq!(world.sent(), ["r triggered 4"]);
}

#[test]
fn reminders_and_resolutions_count_and_come_only_where_it_acted_on_the_trigger() {
    let mut world = world(
        r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 2 }, repeat_minutes: 20, send_on_resolve: true, channels: [slack("#a")] });"##,
    );
    world.fire("a", "1", LOW);
    world.pass(25 * MINUTE);
    assert_eq!(world.sent(), ["r triggered 1", "r reminder 1"]);
    world.fire("b", "2", LOW);
    assert_eq!(world.sent(), ["r limited 1"]);
    world.pass(36 * MINUTE);
    // The reminder at 40 was held back; that at 60 comes, for the trigger has left the hour.
    assert_eq!(world.sent(), ["r reminder 1"]);
    world.pass(30 * MINUTE);
    world.sent();
    world.pass(HOUR);
    world.sent();
    world.resolve("b", "2");
    assert_eq!(world.sent(), [""; 0], "it did not act on the trigger of this one");
    world.pass(0);
    let before = world.decisions.len();
    world.resolve("a", "1");
    assert_eq!(world.decisions[before..].iter().filter(|decision| decision.event == RuleEvent::Resolved).count(), 1);
}

#[test]
fn a_resolution_that_overtakes_the_answer_is_told() {
    let mut world = world(
        r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 9 }, send_on_resolve: true, channels: [slack("#a")] });"##,
    );
    world.alert("a", "1", LOW, AlertStatus::Firing);
    world.alert("a", "1", LOW, AlertStatus::Resolved);
    world.deliver();
    assert_eq!(world.sent(), ["r triggered 1", "r resolved 1"]);
}

#[test]
fn default_channels_stand_in_only_where_every_desk_says_no() {
    let mut world = world(
        r##"
        notification(#{ name: "r", rate_limit: #{ max_per_hour: 1 }, channels: [slack("#a")] });
        notification(#{ name: "s", where: #{ title: "s*" }, rate_limit: #{ max_per_hour: 1 }, channels: [slack("#s")] });
        "##,
    );
    world.fire("a", "1", HIGH);
    assert_eq!((world.sent(), world.unrouted), (vec!["r triggered 1".to_owned()], 0));
    world.fire("b", "s2", HIGH);
    assert_eq!((world.sent(), world.unrouted), (vec!["r limited 1".to_owned(), "s triggered s2".to_owned()], 0));
    world.fire("c", "s3", HIGH);
    assert_eq!((world.sent(), world.unrouted), (vec!["s limited 1".to_owned(), " triggered s3".to_owned()], 1));
    assert_eq!(world.last_why(), ["rate_limited", "acted"]);
    world.fire("d", "4", LOW);
    assert_eq!((world.sent(), world.unrouted), (vec![], 1), "only what is critical or high");
}

/// One that still waits for its desk's answer is no hope for another.
#[test]
fn default_channels_stand_in_for_each_event_that_a_desk_refuses() {
    let mut world = world(
        r##"notification(#{ name: "r", on: ["triggered", "severity_changed"], rate_limit: #{ max_per_hour: 1 }, channels: [slack("#a")] });"##,
    );
    world.fire("a", "1", HIGH);
    assert_eq!(world.sent(), ["r triggered 1"]);
    world.alert("b", "2", HIGH, AlertStatus::Firing);
    world.alert("b", "2", Severity::Critical, AlertStatus::Firing);
    world.deliver();
    let told = ["r limited 1", " triggered 2", " severity_changed 2"].map(str::to_owned);
    assert_eq!((world.sent(), world.unrouted), (told.to_vec(), 2));
}

#[test]
fn what_was_snoozed_meanwhile_goes_to_default_channels_when_that_ends() {
    let mut world = world(r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 1 }, channels: [slack("#a")] });"##);
    world.fire("a", "1", HIGH);
    let id = world.alert("b", "2", HIGH, AlertStatus::Firing);
    let snooze = Command::Incident { id, user: None, note: None, act: IncidentCommand::Snooze { minutes: 10 } };
    let at = world.now;
    world.give(u32::from(id.partition), Input::Command { command: &snooze, at });
    world.deliver();
    assert_eq!(world.sent(), ["r triggered 1", "r limited 1"]);
    world.pass(11 * MINUTE);
    assert_eq!((world.sent(), world.unrouted), (vec![" triggered 2".to_owned()], 1));
    let verdicts = world.decisions.last().map(|decision| &decision.verdicts[..]).unwrap_or_default();
    assert!(matches!(verdicts, [only] if only.kind == "default_channels" && only.actions.len() == 1), "{verdicts:?}");
}

#[test]
fn a_digest_has_each_incident_once_as_it_was_last() {
    let mut world = world(
        r##"notification(#{ name: "r", on: ["triggered", "severity_changed"], digest: #{ interval_minutes: 5 }, channels: [slack("#a"), email(["a@b.c"])] });"##,
    );
    world.fire("a", "1", LOW);
    assert_eq!(world.last_why(), ["digested"]);
    world.pass(MINUTE);
    world.fire("b", "2", LOW);
    world.fire("a", "1", HIGH);
    assert_eq!((world.sent(), world.unrouted), (vec![], 0), "it is told of in the digest");
    let opened = START;
    world.pass(5 * MINUTE);
    let actions = world.actions.clone();
    assert_eq!(world.sent(), ["r digest 1,2+0"; 2], "one for each channel");
    let ActionKind::Digest { incidents, .. } = &actions[0].kind else { panic!("{actions:?}") };
    assert_eq!(incidents[0].severity, HIGH);
    assert_eq!(actions[0].created_at, opened + 5 * MINUTE);
    assert_eq!((actions[0].incident.title.as_str(), actions[0].event), ("1", RuleEvent::SeverityChanged), "the newest");
    for name in ["3", "4", "5", "6", "7"] {
        world.fire("a", name, LOW);
    }
    world.pass(5 * MINUTE);
    assert_eq!(world.sent(), ["r digest 3,4,5+2"; 2]);
    world.pass(HOUR);
    assert_eq!(world.sent(), [""; 0], "an empty interval says nothing");
}

#[test]
fn lead_sends_the_first_at_once_and_by_makes_one_digest_a_group() {
    let mut world = world(
        r##"notification(#{ name: "r", digest: #{ interval_minutes: 5, by: ["service_id"], lead: true }, channels: [slack("#a")] });"##,
    );
    for (service, name) in [("a", "1"), ("b", "2"), ("a", "3"), ("a", "4")] {
        world.fire(service, name, LOW);
    }
    assert_eq!(world.sent(), ["r triggered 1", "r triggered 2"]);
    world.pass(5 * MINUTE);
    assert_eq!(world.sent(), ["r digest 3,4+0"], "the group with nothing more sends none");
    world.fire("b", "5", LOW);
    assert_eq!(world.sent(), ["r triggered 5"], "the interval is over");
}

#[test]
fn a_digest_that_the_limit_holds_back_gathers_on() {
    let mut world = world(
        r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 1 }, digest: #{ interval_minutes: 5, lead: true }, channels: [slack("#a")] });"##,
    );
    world.fire("a", "1", HIGH);
    world.fire("a", "2", HIGH);
    world.pass(10 * MINUTE);
    assert_eq!(world.sent(), ["r triggered 1", "r limited 1"]);
    world.fire("a", "3", HIGH);
    world.pass(51 * MINUTE);
    assert_eq!((world.sent(), world.unrouted), (vec!["r digest 2,3+0".to_owned()], 0));
}

#[test]
fn a_desk_that_is_far_behind_sends_nothing_until_it_has_caught_up() {
    let mut world = world(r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 1 }, channels: [slack("#a")] });"##);
    let desk = crate::model::home::home(b"r", PARTITIONS) as usize;
    world.shards[desk].hold(true);
    let services = ["a", "b", "c", "d", "e", "f", "g"];
    let elsewhere = services.iter().filter(|service| crate::model::home::home(service.as_bytes(), PARTITIONS) as usize != desk);
    for (service, name) in elsewhere.zip(["1", "2"]) {
        world.fire(service, name, LOW);
    }
    world.pass(SECOND);
    assert_eq!(world.sent(), [""; 0]);
    world.shards[desk].hold(false);
    world.pass(SECOND);
    assert_eq!(world.sent(), ["r triggered 1", "r limited 1"]);
}

#[test]
fn what_waits_at_a_desk_that_is_far_behind_is_void_once_its_incident_is_over_or_muted() {
    let rules = r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 9 }, channels: [slack("#a")] });"##;
    let desk = crate::model::home::home(b"r", PARTITIONS) as usize;
    let services = ["a", "b", "c", "d", "e", "f", "g"];
    let at_home = |service: &&&str| crate::model::home::home(service.as_bytes(), PARTITIONS) as usize != desk;
    let service = *services.iter().find(at_home).expect("not all are at home with the desk");
    let silence = Silence {
        id: "s".to_owned(),
        matchers: vec![Matcher { name: "title".to_owned(), value: "1".to_owned(), is_regex: false, is_equal: true }],
        starts_at: START,
        ends_at: START + 30 * MINUTE,
        created_by: None,
        comment: None,
        updated_at: START,
    };
    for (ends, told) in [("resolve", 0), ("close", 0), ("silence", 0), ("acknowledge", 1), ("nothing", 1)] {
        let mut world = world(rules);
        world.shards[desk].hold(true);
        let id = world.fire(service, "1", HIGH);
        world.pass(SECOND);
        assert_eq!(world.sent(), [""; 0]);
        let act = |act| Command::Incident { id, user: None, note: None, act };
        let (command, to) = match ends {
            "resolve" => (act(IncidentCommand::Resolve { resolution: None }), u32::from(id.partition)),
            "close" => (act(IncidentCommand::Close), u32::from(id.partition)),
            "silence" => (Command::Silence(silence.clone()), crate::model::home::home(b"s", PARTITIONS)),
            "acknowledge" => (act(IncidentCommand::Acknowledge), u32::from(id.partition)),
            _ => (act(IncidentCommand::Note), u32::from(id.partition)),
        };
        let at = world.now;
        world.give(to, Input::Command { command: &command, at });
        world.pass(SECOND);
        world.shards[desk].hold(false);
        world.pass(SECOND);
        assert_eq!((world.sent().len(), world.unrouted), (told, 0), "{ends}");
        if told == 0 {
            assert!(
                world.decisions.iter().any(|decision| decision.verdicts.iter().any(|said| said.why.name() == "held")),
                "{ends}"
            );
        }
        if ends == "silence" {
            world.pass(HOUR);
            assert_eq!(world.sent(), ["r unsuppressed 1"], "its end is a new epoch, which asks again");
        }
    }
}

#[test]
fn what_waits_of_others_and_of_its_own_end_stays_when_an_incident_is_over() {
    let mut world = world(
        r##"notification(#{ name: "r", on: ["triggered", "resolved"], rate_limit: #{ max_per_hour: 9 }, channels: [slack("#a")] });"##,
    );
    let desk = crate::model::home::home(b"r", PARTITIONS) as usize;
    let services = ["a", "b", "c", "d", "e", "f", "g"];
    let elsewhere = services.iter().find(|service| crate::model::home::home(service.as_bytes(), PARTITIONS) as usize != desk);
    let service = elsewhere.expect("not all are at home with the desk");
    world.shards[desk].hold(true);
    let id = world.fire(service, "1", LOW);
    world.fire(service, "2", LOW);
    // It closes before the desk has heard that it is resolved.
    world.alert(service, "1", LOW, AlertStatus::Resolved);
    let close = Command::Incident { id, user: None, note: None, act: IncidentCommand::Close };
    let at = world.now;
    world.give(u32::from(id.partition), Input::Command { command: &close, at });
    world.pass(SECOND);
    world.shards[desk].hold(false);
    world.pass(SECOND);
    assert_eq!(world.sent(), ["r triggered 2", "r resolved 1"]);
}

#[test]
fn a_desk_with_nothing_to_remember_leaves_the_changelog() {
    let mut world = world(
        r##"
        notification(#{ name: "r", rate_limit: #{ max_per_hour: 1 }, channels: [slack("#a")] });
        notification(#{ name: "s", digest: #{ interval_minutes: 5 }, channels: [slack("#a")] });
        "##,
    );
    world.fire("a", "1", LOW);
    world.fire("a", "2", LOW);
    world.pass(3 * HOUR);
    assert!(world.sent().len() == 4);
    let all = world.logs.iter().flatten().filter(|record| matches!(record.key[0], b'd' | b'g' | b'w'));
    let last: BTreeMap<&[u8], bool> = all.map(|record| (record.key.as_slice(), record.value.is_some())).collect();
    assert_eq!(last.into_iter().filter(|(_, there)| *there).count(), 0);
}

#[test]
fn a_script_that_fails_is_told_through_the_desk_and_the_decision_says_so() {
    let mut world = world(
        r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 1 }, when: |i, c| i.metadata.x.y.z > 1, channels: [slack("#a")] });"##,
    );
    world.fire("a", "1", LOW);
    assert_eq!(world.sent(), ["r triggered 1"]);
    assert_eq!(world.last_why(), ["script_error"]);
}

#[test]
fn past_the_most_open_digests_a_rules_further_groups_are_put_together() {
    let mut world = world(
        r##"notification(#{ name: "r", digest: #{ interval_minutes: 5, by: ["service_id"] }, channels: [slack("#a")] });"##,
    );
    for number in 1..=10 {
        world.fire(&format!("service-{number}"), &number.to_string(), LOW);
    }
    // Of a group that has its own.
    world.fire("service-1", "11", LOW);
    world.pass(5 * MINUTE);
    let mut sent = world.sent();
    sent.sort();
    let alone = (2..=8).map(|number| format!("r digest {number}+0"));
    let mut expected: Vec<String> = alone.chain(["r digest 1,11+0".to_owned(), "r digest 9,10+0".to_owned()]).collect();
    expected.sort();
    assert_eq!(sent, expected);
}

#[test]
fn past_the_most_that_waits_at_a_desk_that_is_far_behind_it_deals_with_the_rest_at_once() {
    let mut world = world(r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 99 }, channels: [slack("#a")] });"##);
    let desk = crate::model::home::home(b"r", PARTITIONS) as usize;
    let services = ["a", "b", "c", "d", "e", "f", "g"];
    let elsewhere = services.iter().find(|service| crate::model::home::home(service.as_bytes(), PARTITIONS) as usize != desk);
    let service = elsewhere.expect("not all are at home with the desk");
    world.shards[desk].hold(true);
    for number in 1..=10 {
        world.fire(service, &number.to_string(), LOW);
    }
    assert_eq!(world.sent(), ["r triggered 9", "r triggered 10"]);
    world.shards[desk].hold(false);
    world.pass(SECOND);
    assert_eq!(world.sent(), (1..=8).map(|number| format!("r triggered {number}")).collect::<Vec<_>>());
}

/// Of several rules at once: their desks lie in different shards.
#[test]
fn each_rule_goes_by_the_answer_of_its_own_desk_in_whatever_order_they_come() {
    let mut world = world(
        r##"
        notification(#{ name: "once", rate_limit: #{ max_per_hour: 9 }, channels: [slack("#a")] });
        notification(#{ name: "again", rate_limit: #{ max_per_hour: 9 }, repeat_minutes: 10, channels: [slack("#b")] });
        "##,
    );
    world.alert("a", "1", LOW, AlertStatus::Firing);
    for (to, item) in std::mem::take(&mut world.inbox) {
        world.give(to, Input::Fact(&item));
    }
    assert_eq!(world.inbox.len(), 2, "{:?}", world.inbox);
    world.inbox.make_contiguous().reverse();
    world.deliver();
    assert_eq!(world.sent().len(), 2);
    world.pass(10 * MINUTE);
    assert_eq!(world.sent(), ["again reminder 1"]);
}

#[test]
fn an_incident_is_named_as_waiting_until_its_rules_desk_has_answered() {
    let mut world = world(r##"notification(#{ name: "r", rate_limit: #{ max_per_hour: 9 }, channels: [slack("#a")] });"##);
    let id = world.alert("a", "1", LOW, AlertStatus::Firing);
    let waiting = |world: &World| world.shards.iter().flat_map(Shard::waiting).collect::<Vec<_>>();
    let asked = waiting(&world);
    assert!(matches!(&asked[..], [(of, what)] if *of == id && what.starts_with("asked") && what.contains("\"r\"")), "{asked:?}");
    world.deliver();
    assert_eq!(waiting(&world), []);
}
