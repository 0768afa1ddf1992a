//! Targets that are down for long, hang, or come back.

use super::*;
use crate::delivery::tracker::{RECORDS, Tracker, Turn};

/// Every target down for an hour, a page each second: each is reported at once, nothing piles up, and afterwards pages arrive.
#[test]
fn all_down_for_an_hour_everything_is_reported_and_nothing_piles_up() {
    const HOUR: u64 = 3_600;
    let end = HOUR as Millis * 1_000;
    let mut world = World::new(move |_, at| if at < end { again("no route") } else { delivered() });
    let mut most = 0;
    for second in 0..HOUR {
        world.take(notification(second, second, slack("#ops")));
        world.advance(1_000);
        most = most.max(world.desk.jobs.len());
        // What is kept for the test alone.
        world.sent.clear();
    }
    // Three targets in a row, each until its breaker opens; then at once.
    assert!(most < 60, "{most} were waiting at a time");
    for second in HOUR..HOUR + 200 {
        world.take(notification(second, second, slack("#ops")));
        world.advance(1_000);
    }
    world.advance(120_000);
    assert_eq!(world.done.len() as u64, HOUR + 200, "each offset may be committed");
    let reported = world.settled.iter().filter(|settlement| settlement.dead_letter.is_some()).count();
    let delivered = world.settled.len() - reported;
    assert_eq!(world.settled.len() as u64, HOUR + 200, "each has its end");
    assert!(reported as u64 >= HOUR - 60 && delivered >= 100, "{reported} reported, {delivered} delivered");
    assert!(world.desk.jobs.is_empty() && world.desk.open.is_empty() && world.desk.dispatch.len() == 0);
    // Of what reached nobody somebody learns, once a minute.
    assert!((50..=61).contains(&world.alerts.len()), "{}", world.alerts.len());
}

/// Every target hangs for an hour, ten thousand pages wait already and ten more come each second: no more are read than may be under
/// way, none is passed over, and those after the hour arrive.
#[test]
fn an_hour_of_hanging_targets_fills_no_memory_and_loses_nothing() {
    const HOUR: Millis = 3_600_000;
    const LAST: Millis = HOUR + 180_000;
    let mut world = World::new(|_, at| if at < HOUR { again("no answer within 10s") } else { delivered() });
    world.lag = |_| 10_000;
    let written = |at: Millis| 10_000 + at.min(LAST) as u64 / 100;
    let (mut tracker, mut read, mut paused, mut pauses, mut most) = (Tracker::new(1, None), 0, false, 0, 0);
    while world.at < LAST + 120_000 {
        while !paused && read < written(world.at) {
            read += 1;
            world.take(notification(read, read, slack(&format!("#t{}", read % 20))));
            tracker.read(read as i64, 1);
            paused = tracker.turn() == Some(Turn::Pause);
            pauses += u32::from(paused);
        }
        most = most.max(world.desk.jobs.len());
        world.advance(1_000);
        // What is kept for the test alone.
        world.sent.clear();
        world.done.drain(..).for_each(|(offset, _)| tracker.done(offset));
        paused &= tracker.turn() != Some(Turn::Resume);
    }
    assert!(pauses > 0 && most <= RECORDS, "{pauses} pauses, {most} under way at a time");
    assert_eq!((read, tracker.position()), (written(LAST), written(LAST) as i64 + 1), "each was read and came to its end");
    assert_eq!(world.settled.len() as u64, read);
    let told = |settlement: &Settlement| settlement.commands.iter().any(|command| command.value["delivered"] == true);
    assert!(world.settled.iter().all(|settlement| told(settlement) != settlement.dead_letter.is_some()), "arrived, or reported");
    assert!(world.settled[read as usize - 1_000..].iter().all(told), "afterwards pages arrive");
    assert!(world.desk.jobs.is_empty() && world.desk.open.is_empty() && world.desk.dispatch.len() == 0);
}

#[test]
fn the_breaker_walks_through_its_states_and_back_when_a_probe_fails() {
    let mut world = World::new(|attempt, at| match attempt.target.channel.as_str() {
        "slack" if at < 150_000 => again("503"),
        _ => delivered(),
    });
    for number in 0..400 {
        world.take(notification(number, number, slack("#ops")));
        world.advance(1_000);
    }
    use State::{Closed, HalfOpen, Open};
    let walk: Vec<_> = world.breakers.iter().map(|(target, state)| (target.as_str(), *state)).collect();
    let expected = [Open, HalfOpen, Open, HalfOpen, Open, HalfOpen, Closed].map(|state| ("slack #ops", state));
    assert_eq!(walk, expected);
    assert_eq!(world.done.len(), 400);
    assert!(world.counts["slack breaker_open"] > 100 && world.counts["email delivered"] > 100, "{:?}", world.counts);
    assert!(world.settled.iter().all(|settlement| settlement.dead_letter.is_none()), "all were told one way or another");
}

/// One of twenty hangs: what the others wait is what they would wait without it.
#[test]
fn one_of_twenty_that_hangs_delays_no_other() {
    for hangs in [false, true] {
        let mut world = World::new(move |attempt, _| match attempt.target.label().as_str() {
            "#t0" if hangs => again("no answer within 10 s"),
            _ => delivered(),
        });
        // The hanging one holds its attempts for ten seconds, the others answer within ten milliseconds.
        world.lag = if hangs { |attempt| if attempt.target.label() == "#t0" { 10_000 } else { 10 } } else { |_| 10 };
        let mut took = Vec::new();
        for number in 0..4_000_u64 {
            took.push(world.at);
            world.take(notification(number, number, slack(&format!("#t{}", number % 20))));
            world.advance(1);
        }
        world.advance(300_000);
        let done: BTreeMap<i64, Millis> = world.done.iter().copied().collect();
        assert_eq!(done.len(), 4_000);
        let others = (0..4_000).filter(|number| number % 20 != 0);
        let slowest = others.map(|number| done[&(number as i64 + 1)] - took[number]).max().unwrap();
        assert_eq!(slowest, 10, "hangs: {hangs}");
    }
}

#[test]
fn order_holds_for_one_incident_and_target_through_retries() {
    let mut attempts = 0;
    let mut world = World::new(move |_, _| {
        attempts += 1;
        if attempts % 3 != 0 { again("500") } else { delivered() }
    });
    for number in 0..5 {
        world.take(notification(number, 7, slack("#ops")));
    }
    world.advance(600_000);
    let mut order: Vec<_> = world.sent.iter().map(|sent| sent.action_id.clone()).collect();
    assert_eq!(order.len(), 15);
    order.dedup();
    assert_eq!(order, (0..5).map(action_id).collect::<Vec<_>>());
}
