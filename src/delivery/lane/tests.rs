//! One target's lane through retries, asked-for silence and its breaker's states.

use super::*;

fn incident(hash: u64) -> IncidentId {
    IncidentId { partition: 0, hash }
}

fn again(after: Option<Millis>) -> Answer {
    Answer::Again { after, why: "503".to_owned() }
}

fn lane(incidents: &[u64]) -> Lane {
    let mut lane = Lane::default();
    (1..).zip(incidents).for_each(|(ticket, hash)| lane.submit(ticket, incident(*hash), 0));
    lane
}

#[test]
fn three_attempts_with_growing_waits_and_then_the_end() {
    let mut lane = lane(&[7]);
    assert_eq!(lane.step(0, true), Some(Step::Send(1, 1)));
    assert_eq!(lane.answered(1, again(None), 0), None);
    let second = lane.wakes_at(0).unwrap();
    assert!((1_000..=1_250).contains(&second), "{second}");
    assert_eq!(lane.step(second - 1, true), None);
    assert_eq!(lane.step(second, true), Some(Step::Send(1, 2)));
    assert_eq!(lane.answered(1, again(None), second), None);
    let third = lane.wakes_at(second).unwrap();
    assert!((2_000..=2_500).contains(&(third - second)), "{third}");
    assert_eq!(lane.step(third, true), Some(Step::Send(1, 3)));
    let end = lane.answered(1, again(None), third).expect("the third is the last");
    assert_eq!(end, End { outcome: Outcome::Exhausted, attempts: 3, why: "503".to_owned() });
    assert!(lane.is_idle());
}

#[test]
fn jitter_spreads_those_that_failed_together() {
    let waits: std::collections::BTreeSet<Millis> = (0..100).map(|ticket| jitter(ticket, 1, 250)).collect();
    assert!(waits.len() > 50 && waits.iter().all(|wait| (0..=250).contains(wait)), "{waits:?}");
}

#[test]
fn what_is_refused_is_not_tried_again_and_opens_no_breaker() {
    let mut lane = lane(&[1, 2, 3, 4, 5, 6, 7, 8, 9]);
    for ticket in 1..=9 {
        assert_eq!(lane.step(0, true), Some(Step::Send(ticket, 1)));
        let end = lane.answered(ticket, Answer::Refused { why: "404".to_owned() }, 0).unwrap();
        assert_eq!((end.outcome, end.attempts), (Outcome::Refused, 1));
    }
    assert_eq!(lane.state(0), State::Closed);
}

#[test]
fn one_incident_stays_in_order_also_while_it_waits_and_others_pass() {
    let mut lane = lane(&[7, 7, 8]);
    assert_eq!(lane.step(0, true), Some(Step::Send(1, 1)));
    assert_eq!(lane.step(0, true), Some(Step::Send(3, 1)));
    assert_eq!(lane.step(0, true), None);
    lane.answered(1, again(None), 0);
    assert_eq!(lane.answered(3, Answer::Arrived, 0).unwrap().outcome, Outcome::Delivered);
    assert_eq!(lane.step(0, true), None, "the second of incident 7 waits for the first");
    let due = lane.wakes_at(0).unwrap();
    assert_eq!(lane.step(due, true), Some(Step::Send(1, 2)));
    lane.answered(1, Answer::Arrived, due);
    assert_eq!(lane.step(due, true), Some(Step::Send(2, 1)));
}

#[test]
fn a_few_abreast_and_none_without_leave() {
    let mut lane = lane(&(0..20).collect::<Vec<_>>());
    assert_eq!(lane.step(0, false), None);
    let sent = std::iter::from_fn(|| lane.step(0, true)).count();
    assert_eq!(sent, ABREAST);
}

#[test]
fn retry_after_silences_the_whole_target_and_is_bounded() {
    let mut lane = lane(&[1, 2, 3]);
    assert_eq!(lane.step(0, true), Some(Step::Send(1, 1)));
    lane.answered(1, again(Some(30_000)), 0);
    assert_eq!((lane.step(29_999, true), lane.wakes_at(29_999)), (None, Some(30_000)));
    assert_eq!(lane.step(30_000, true), Some(Step::Send(1, 2)));
    assert_eq!(lane.step(30_000, true), None, "one at a time until something arrives");
    lane.answered(1, again(Some(3_600_000)), 30_000);
    assert_eq!(lane.wakes_at(30_000), Some(30_000 + LONGEST_WAIT));
    assert_eq!(lane.step(90_000, true), Some(Step::Send(1, 3)));
    lane.answered(1, Answer::Arrived, 90_000);
    assert_eq!(lane.step(90_000, true), Some(Step::Send(2, 1)));
    assert_eq!(lane.step(90_000, true), Some(Step::Send(3, 1)));
}

/// Fails everything until the breaker opens; returns the time.
fn open(lane: &mut Lane) -> Millis {
    let mut now = 0;
    while lane.state(now) != State::Open {
        match lane.step(now, true) {
            Some(Step::Send(ticket, _)) => drop(lane.answered(ticket, again(None), now)),
            Some(Step::End(..)) => panic!("nothing ends before it opens"),
            None => now = lane.wakes_at(now).expect("something is left to try"),
        }
    }
    now
}

#[test]
fn an_open_breaker_turns_away_at_once_what_waits_and_what_comes() {
    let mut lane = lane(&(0..30).collect::<Vec<_>>());
    let now = open(&mut lane);
    let ended = std::iter::from_fn(|| lane.step(now, true)).collect::<Vec<_>>();
    assert_eq!(ended.len(), 25, "five were exhausted");
    assert!(ended.iter().all(|step| matches!(step, Step::End(_, end) if end.outcome == Outcome::BreakerOpen)));
    lane.submit(99, incident(99), now);
    assert!(matches!(lane.step(now, false), Some(Step::End(99, End { attempts: 0, .. }))));
    assert_eq!(lane.wakes_at(now), Some(now + 60_000));
}

#[test]
fn half_open_lets_one_through_whose_failure_turns_the_rest_away() {
    let mut lane = lane(&(0..30).collect::<Vec<_>>());
    let mut now = open(&mut lane);
    while lane.step(now, true).is_some() {}
    now = lane.wakes_at(now).unwrap();
    assert_eq!(lane.state(now), State::HalfOpen);
    (100..103).for_each(|ticket| lane.submit(ticket, incident(ticket), now));
    assert_eq!(lane.step(now, true), Some(Step::Send(100, 1)));
    assert_eq!(lane.step(now, true), None, "the others wait for it");
    assert_eq!(lane.answered(100, again(None), now).unwrap().outcome, Outcome::Exhausted);
    assert!(matches!(lane.step(now, true), Some(Step::End(101, _))));
    assert!(matches!(lane.step(now, true), Some(Step::End(102, _))));

    now = lane.wakes_at(now).unwrap();
    (200..210).for_each(|ticket| lane.submit(ticket, incident(ticket), now));
    for ticket in 200..202 {
        assert_eq!(lane.step(now, true), Some(Step::Send(ticket, 1)));
        lane.answered(ticket, Answer::Arrived, now);
    }
    assert_eq!(lane.state(now), State::Closed);
    assert_eq!(std::iter::from_fn(|| lane.step(now, true)).count(), 8, "all at once again");
}

#[test]
fn what_has_more_to_say_goes_on_before_the_next_of_its_incident() {
    let mut lane = lane(&[7, 7]);
    assert_eq!(lane.step(0, true), Some(Step::Send(1, 1)));
    assert_eq!(lane.answered(1, Answer::ArrivedInPart, 0), None);
    assert_eq!(lane.step(0, true), Some(Step::Send(1, 1)), "attempts count anew");
    assert!(lane.answered(1, Answer::Arrived, 0).is_some());
    assert_eq!(lane.step(0, true), Some(Step::Send(2, 1)));
}

#[test]
fn what_was_not_sent_closes_no_breaker() {
    let mut lane = lane(&(0..8).collect::<Vec<_>>());
    let mut now = open(&mut lane);
    while lane.step(now, true).is_some() {}
    now = lane.wakes_at(now).unwrap();
    (100..104).for_each(|ticket| lane.submit(ticket, incident(ticket), now));
    for ticket in 100..104 {
        assert_eq!(lane.step(now, true), Some(Step::Send(ticket, 1)));
        assert!(lane.answered(ticket, Answer::Unneeded, now).is_some());
    }
    assert_eq!(lane.state(now), State::HalfOpen);
}

#[test]
fn a_late_answer_to_what_has_ended_is_nothing() {
    let mut lane = lane(&[1]);
    assert_eq!(lane.answered(1, Answer::Arrived, 0), None);
    assert_eq!(lane.answered(77, Answer::Arrived, 0), None);
    assert_eq!(lane.len(), 1);
}

/// It answers, but with 429 each time, so no breaker opens: what comes faster than it takes must not fill the partition.
#[test]
fn a_crowd_that_waits_too_long_takes_another_way_and_a_few_that_wait_do_not() {
    for (number, turned_away) in [(CROWD as u64, 0), (CROWD as u64 + 10, 10)] {
        let mut lane = lane(&(0..number).collect::<Vec<_>>());
        // The first is under way, and takes its time.
        lane.submit(number + 1, incident(number), 0);
        assert_eq!(lane.step(0, true), Some(Step::Send(1, 1)));
        lane.answered(1, again(Some(LONGEST_WAIT)), 0);
        assert_eq!(lane.step(LONGEST_STAY - 1, false), None);
        let ended: Vec<_> = std::iter::from_fn(|| lane.step(LONGEST_STAY, false)).collect();
        assert_eq!(ended.len(), turned_away);
        for (ticket, step) in (2..).zip(ended) {
            assert!(
                matches!(step, Step::End(at, End { outcome: Outcome::Crowded, attempts: 0, .. }) if at == ticket),
                "{step:?}"
            );
        }
        assert_eq!(lane.queue.len(), CROWD);
    }
}
