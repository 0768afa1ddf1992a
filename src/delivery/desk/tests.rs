//! The desk under a clock of its own: what becomes of actions, whatever the targets do.

mod outage;
mod threads;
mod world;

use super::*;
use crate::delivery::channel::Outcome as Verdict;
use crate::delivery::lane::ATTEMPTS;
use crate::delivery::settlement::OWN_SERVICE;
use serde_json::json;
use world::*;

#[test]
fn what_arrives_has_its_receipt_is_remembered_and_done() {
    let mut world = World::new(|_, _| delivered());
    world.take(notification(1, 7, slack("#ops")));
    assert_eq!(world.done(), [1]);
    let [settlement] = &world.settled[..] else { panic!("{:?}", world.settled) };
    let receipt = &settlement.commands[0].value;
    assert_eq!((&receipt["channel"], &receipt["target"], &receipt["delivered"]), (&json!("slack"), &json!("#ops"), &json!(true)));
    assert_eq!((&receipt["attempts"], receipt.get("error"), &settlement.dead_letter), (&json!(1), None, &None));
    assert_eq!(world.counts["slack delivered"], 1);
    // The same again, as after a kill before its offset was committed: nothing is sent.
    world.take(notification(1, 7, slack("#ops")));
    assert_eq!((world.sent.len(), world.done.len(), world.settled.len()), (1, 2, 1));
}

#[test]
fn what_was_sent_in_another_life_is_not_sent_again() {
    let mut before = World::new(|_, _| delivered());
    before.take(notification(1, 7, slack("#ops")));
    let mut after = World::new(|_, _| panic!("it was sent"));
    let sent = &before.settled[0].sent;
    after.desk.book.restore(sent.partition, &sent.key, sent.value.as_deref());
    after.take(notification(1, 7, slack("#ops")));
    assert_eq!(after.done(), [1]);
}

#[test]
fn the_chain_goes_on_until_somebody_is_reached_and_says_why() {
    for (first, expected) in [
        (slack("#ops"), ["slack", "email", "webhook"].as_slice()),
        (channel("sms", json!({ "phone_numbers": ["+49"] })), &["sms", "email", "webhook"]),
        (channel("email", json!({ "recipients": ["a@x.org"] })), &["email", "webhook"]),
        (channel("pagerduty", json!({ "service_key": { "$secret": "PD" } })), &["pagerduty"]),
    ] {
        let mut world = World::new(|attempt, _| match attempt.target.channel.as_str() {
            "webhook" => delivered(),
            channel => again(&format!("{channel} is down")),
        });
        world.take(notification(1, 7, first));
        world.advance(600_000);
        let mut channels: Vec<_> = world.sent.iter().map(|sent| sent.target.channel.as_str()).collect();
        assert_eq!(channels.len(), expected.iter().map(|c| if *c == "webhook" { 1 } else { ATTEMPTS as usize }).sum::<usize>());
        channels.dedup();
        assert_eq!(channels, expected);
        assert!(world.sent.iter().all(|sent| sent.action_id == action_id(1)), "one key whatever the way");
        let settlement = &world.settled[0];
        let receipts: Vec<_> = settlement.commands.iter().map(|command| command.value["delivered"].as_bool().unwrap()).collect();
        assert_eq!(receipts.len(), expected.len());
        assert!(receipts[..receipts.len() - 1].iter().all(|delivered| !delivered));
        if expected.len() == 1 {
            assert!(settlement.dead_letter.as_ref().unwrap().contains("pagerduty is down"));
        } else {
            assert_eq!((receipts.last(), &settlement.dead_letter), (Some(&true), &None));
            let note = world.sent.last().unwrap().note.clone().unwrap();
            let before = expected[expected.len() - 2];
            assert_eq!(note, format!("Primary channel ({before}) failed: {before} is down"));
        }
        assert_eq!(world.done(), [1]);
    }
}

#[test]
fn what_reaches_nobody_is_a_dead_letter_and_an_alert_but_not_about_that_alert() {
    let mut world = World::new(|_, _| refused("404"));
    world.take(notification(1, 7, slack("#gone")));
    world.take(notification(2, 7, slack("#gone")));
    assert_eq!((world.settled.len(), world.alerts.len()), (2, 1), "at most one alert a minute");
    assert_eq!((&world.alerts[0]["service_id"], &world.alerts[0]["severity"]), (&json!(OWN_SERVICE), &json!("high")));
    assert!(world.settled.iter().all(|settlement| settlement.dead_letter.is_some()));
    world.advance(120_000);
    let mut own = notification(3, 8, slack("#gone"));
    own["incident"]["service_id"] = json!(OWN_SERVICE);
    world.take(own);
    assert_eq!((world.settled.len(), world.alerts.len()), (3, 1), "no page about a page about itself");
}

#[test]
fn an_escalation_is_done_when_each_of_its_people_is() {
    let mut world = World::new(|attempt, _| match attempt.target.channel.as_str() {
        "sms" => refused("21211"),
        _ => delivered(),
    });
    let ann = json!({ "type": "user", "id": "ann", "email": "ann@x.org", "phone": "+49" });
    let bob = json!({ "type": "user", "id": "bob" });
    world.take(escalation(1, 7, json!([ann, bob, ann])));
    // To ann by e-mail; for her SMS and for bob, of whom nothing is known, the chain.
    let mut to: Vec<_> = world.sent.iter().map(|sent| sent.target.label()).collect();
    to.sort();
    assert_eq!(to, ["+49", "ann@x.org", "https://hook.example.com/…", "oncall@x.org"]);
    let errors: Vec<_> = world.settled.iter().flat_map(|s| &s.commands).filter_map(|c| c.value["error"].as_str()).collect();
    assert!(errors.iter().any(|error| error.contains("bob has no e-mail address")), "{errors:?}");
    assert_eq!((world.settled.len(), world.done.len()), (3, 1));
}

#[test]
fn a_digest_is_one_message_with_a_receipt_for_each_of_its_incidents() {
    let mut world = World::new(|_, _| delivered());
    let mut digest = notification(1, 7, slack("#ops"));
    digest["incident_ids"] = json!([incident(7), incident(8), incident(9)]);
    world.take(digest);
    assert_eq!((world.sent.len(), world.settled[0].commands.len()), (1, 3));
    assert_eq!(world.settled[0].commands[2].value["incident_id"], json!(incident(9)));
}

#[test]
fn what_is_no_action_is_refused_and_holds_nothing_up() {
    let mut world = World::new(|_, _| delivered());
    world.take_bytes(Some(b"{not json"));
    world.take_bytes(None);
    assert_eq!(world.refused.len(), 2);
    assert!(world.refused[0].starts_with("not an action"));
    assert_eq!(world.done.len(), 2);
}

#[test]
fn a_remediation_is_started_by_its_executor_in_time_or_not_at_all() {
    let mut world = World::new(|_, _| delivered());
    world.take(remediation(1, 7));
    let [command] = &world.settled[0].commands[..] else { panic!("{:?}", world.settled) };
    assert_eq!((&command.value["command"], &command.value["outcome"]), (&json!("remediation_result"), &json!("started")));
    world.advance(100_000);
    let late = remediation(2, 7);
    world.take(late);
    assert_eq!(world.executed, 1, "it was decided 100 s ago");
    let said = &world.settled[1];
    assert_eq!(said.commands[0].value["outcome"], json!("failed"));
    assert!(said.dead_letter.as_ref().unwrap().contains("not started"));
}

#[test]
fn an_executor_that_cannot_be_reached_failed() {
    let mut world = World::new(|_, _| delivered());
    world.verdict = || Executed::Again { after: None, why: "connection refused".to_owned() };
    world.take(remediation(1, 7));
    world.advance(60_000);
    assert_eq!(world.executed, ATTEMPTS as usize);
    let command = &world.settled[0].commands[0].value;
    assert_eq!((&command["outcome"], &command["error"]), (&json!(Verdict::Failed), &json!("connection refused")));
    assert!(world.sent.is_empty(), "no fallback repairs anything");
}

#[test]
fn on_hold_it_grows_quiet_and_answers_of_a_former_life_are_nothing() {
    let mut world = World::new(|_, _| delivered());
    world.lag = |_| 1_000;
    world.take(notification(1, 7, slack("#ops")));
    world.take(notification(2, 7, slack("#ops")));
    assert!(!world.desk.is_quiet());
    world.desk.hold();
    world.advance(1_000);
    assert!(world.desk.is_quiet(), "the second was not begun");
    assert_eq!(world.done(), [1]);
    let stale = world.sent[0].ticket;
    world.desk.reset();
    world.desk.sent(stale, delivered(), world.now());
    assert_eq!(world.desk.todo(world.now()).len(), 0);
}
