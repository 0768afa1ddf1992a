//! Threads: what is told in them, from wherever it comes, once and in order.

use super::*;

fn threaded() -> Value {
    channel("slack", json!({ "channel": "#ops", "thread_updates": true }))
}

fn entry(event: &str, second: u32) -> Value {
    json!({ "timestamp": format!("1970-01-01T00:00:{second:02}.000Z"), "event": event, "user": "ann", "details": {} })
}

fn story(status: &str, timeline: Value) -> Value {
    json!({ "id": incident(7), "service_id": "chat", "status": status, "severity": "critical", "timeline": timeline })
}

fn told(world: &World) -> Vec<(Kind, &str, Option<&str>)> {
    world
        .sent
        .iter()
        .map(|sent| (sent.kind, sent.event.as_str(), sent.thread.as_ref().map(|thread| thread.ts.as_str())))
        .collect()
}

const OPENED: (Kind, &str, Option<&str>) = (Kind::Notification, "triggered", None);

fn update(event: &str) -> (Kind, &str, Option<&str>) {
    (Kind::Update, event, Some("1.5"))
}

#[test]
fn what_happens_to_the_incident_is_told_in_the_thread_that_its_page_opened() {
    let mut world = World::new(|_, _| delivered());
    world.take(notification(1, 7, threaded()));
    world.hear(&story("triggered", json!([entry("triggered", 0), entry("occurrence", 1)])));
    let mut timeline = vec![entry("triggered", 0), entry("acknowledged", 2), entry("silenced", 3)];
    world.hear(&story("acknowledged", json!(timeline)));
    world.hear(&story("acknowledged", json!(timeline)));
    timeline.extend([entry("note", 4), entry("resolved", 5)]);
    world.hear(&story("resolved", json!(timeline)));
    assert_eq!(told(&world), [OPENED, update("acknowledged"), update("note"), update("resolved")]);
    assert_eq!(world.sent[1].target.config["channel"], "C1");
    let keys: std::collections::BTreeSet<_> = world.sent.iter().map(|sent| &sent.action_id).collect();
    assert_eq!(keys.len(), 4, "each has an idempotency key of its own");
}

#[test]
fn a_rules_action_and_the_incidents_record_say_it_once_whichever_comes_first() {
    let timeline = json!([entry("triggered", 0), entry("acknowledged", 2)]);
    let action = |number| {
        let mut action = notification(number, 7, threaded());
        action["event"] = json!("acknowledged");
        action["incident"]["timeline"] = timeline.clone();
        action
    };
    for action_first in [true, false] {
        let mut world = World::new(|_, _| delivered());
        world.take(notification(1, 7, threaded()));
        if action_first {
            world.take(action(2));
        }
        world.hear(&story("acknowledged", timeline.clone()));
        if !action_first {
            world.take(action(2));
        }
        assert_eq!(told(&world), [OPENED, update("acknowledged")], "{action_first}");
        assert_eq!(world.done(), [1, 2], "the action has its receipt either way");
    }
}

#[test]
fn a_page_that_was_held_up_tells_what_followed_it_as_soon_as_it_arrives() {
    let mut world = World::new(|_, at| if at < 500 { again("503") } else { delivered() });
    world.take(notification(1, 7, threaded()));
    world.hear(&story("resolved", json!([entry("triggered", 0), entry("resolved", 1)])));
    assert_eq!(world.sent.len(), 1);
    world.advance(10_000);
    assert_eq!(told(&world)[1..], [OPENED, update("resolved")]);
}

#[test]
fn a_thread_is_known_after_a_restart_with_all_that_it_was_told() {
    let mut before = World::new(|_, _| delivered());
    before.take(notification(1, 7, threaded()));
    let timeline = json!([entry("triggered", 0), entry("acknowledged", 2)]);
    before.hear(&story("acknowledged", timeline.clone()));
    let mut after = World::new(|_, _| delivered());
    let writes = before.settled.iter().flat_map(|s| s.thread.iter().chain([&s.sent])).chain(&before.remembered);
    for write in writes {
        assert_eq!(write.partition, 1, "3 modulo 2: where the next owner of the partition looks");
        assert!(after.desk.book.restore(write.partition, &write.key, write.value.as_deref()));
    }
    assert!(after.desk.wants_stories());
    after.hear(&story("acknowledged", timeline));
    assert_eq!(after.sent.len(), 0);
    after.hear(&story("resolved", json!([entry("acknowledged", 2), entry("resolved", 9)])));
    assert_eq!(told(&after), [update("resolved")]);
}

#[test]
fn an_update_that_does_not_arrive_comes_with_the_next_change() {
    let mut world =
        World::new(|attempt, at| if attempt.kind == Kind::Update && at < 60_000 { refused("x") } else { delivered() });
    world.take(notification(1, 7, threaded()));
    world.hear(&story("acknowledged", json!([entry("acknowledged", 2)])));
    world.advance(100_000);
    assert_eq!(world.counts["slack update_failed"], 1);
    world.hear(&story("resolved", json!([entry("acknowledged", 2), entry("resolved", 3)])));
    assert_eq!(told(&world)[2..], [update("acknowledged"), update("resolved")]);
}

/// The last word of an incident must not wait for a next one.
#[test]
fn an_update_that_meets_a_target_that_is_down_comes_when_it_is_up_again() {
    let mut world =
        World::new(|attempt, at| if attempt.kind == Kind::Update && at < 60_000 { again("503") } else { delivered() });
    world.take(notification(1, 7, threaded()));
    world.hear(&story("resolved", json!([entry("resolved", 2)])));
    let mut before = 0;
    for _ in 0..4 {
        before = world.sent.len();
        world.advance(30_000);
        world.desk.sweep(world.now());
        world.run();
    }
    assert_eq!(told(&world).last(), Some(&update("resolved")));
    assert_eq!(world.sent.len(), before, "once it is told it is told no more");
    assert_eq!(world.counts["slack update_failed"], 2);
}

#[test]
fn without_thread_updates_there_is_no_thread() {
    let mut world = World::new(|_, _| delivered());
    world.take(notification(1, 7, slack("#ops")));
    world.hear(&story("resolved", json!([entry("resolved", 1)])));
    assert_eq!((world.sent.len(), world.desk.wants_stories()), (1, false));
}

/// A page hidden in a line of a thread might be seen by nobody.
#[test]
fn what_calls_somebody_stands_in_the_thread_whole() {
    for event in ["reopened", "severity_changed", "escalated"] {
        let mut world = World::new(|_, _| delivered());
        world.take(notification(1, 7, threaded()));
        let timeline = json!([entry("triggered", 0), entry(event, 2)]);
        world.hear(&story("triggered", timeline.clone()));
        let mut action = notification(2, 7, threaded());
        action["event"] = json!(event);
        action["incident"]["timeline"] = timeline;
        world.take(action);
        assert_eq!(told(&world), [OPENED, update(event), (Kind::Notification, event, Some("1.5"))]);
    }
}

#[test]
fn digests_and_notices_have_no_thread() {
    for (name, value) in [("incident_ids", json!([incident(7), incident(8)])), ("notice", json!({ "held_back": 1 }))] {
        let mut world = World::new(|_, _| delivered());
        let mut action = notification(1, 7, threaded());
        action[name] = value;
        world.take(action);
        world.hear(&story("resolved", json!([entry("resolved", 1)])));
        assert_eq!(told(&world), [OPENED], "{name}");
    }
}
