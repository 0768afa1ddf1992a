//! One target's deliveries: in order for each incident, a few at a time, each tried three times.
//!
//! Pure: a function of what it is told, with the time. Whoever holds it sends, and tells what became of it.

use crate::delivery::breaker::{Breaker, State};
use crate::delivery::{Millis, Ticket};
use crate::model::IncidentId;
use std::collections::VecDeque;

/// Of one delivery.
pub const ATTEMPTS: u32 = 3;
/// Before the second attempt and before the third, with up to a quarter more.
const WAITS: [Millis; 2] = [1_000, 2_000];
/// As long as a receiver may ask us to wait. A page that waits longer had better take another way.
pub const LONGEST_WAIT: Millis = 60_000;
/// Deliveries to one target at the same time, of different incidents. While it asks us to slow down: one.
pub const ABREAST: usize = 8;

/// What became of one attempt.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Answer {
    Arrived,
    /// It arrived, and the same delivery has more to say.
    ArrivedInPart,
    /// It had nothing to say, and nothing was sent: of the target nothing is known by that.
    Unneeded,
    /// It may go better later; not sooner than after so long, where the receiver says so.
    Again {
        after: Option<Millis>,
        why: String,
    },
    /// It will not go better.
    Refused {
        why: String,
    },
}

/// What became of a delivery.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct End {
    pub outcome: Outcome,
    /// How often it was tried; 0 where the breaker let none through.
    pub attempts: u32,
    /// Empty where it arrived.
    pub why: String,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Outcome {
    Delivered,
    /// Every attempt failed.
    Exhausted,
    Refused,
    /// The target's breaker is open.
    BreakerOpen,
}

impl Outcome {
    /// The label of `incidentd_deliveries_total`.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Exhausted => "exhausted",
            Outcome::Refused => "refused",
            Outcome::BreakerOpen => "breaker_open",
        }
    }
}

/// What is to be done next.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// Attempt number so and so, from 1.
    Send(Ticket, u32),
    End(Ticket, End),
}

struct Active {
    ticket: Ticket,
    incident: IncidentId,
    /// Begun so far.
    attempts: u32,
    /// `None` while an attempt is under way.
    waits_until: Option<Millis>,
    why: String,
}

#[derive(Default)]
pub struct Lane {
    queue: VecDeque<(Ticket, IncidentId)>,
    active: Vec<Active>,
    breaker: Breaker,
    /// The receiver asked for silence until then.
    quiet_until: Millis,
    /// It did, and nothing has arrived since.
    slowed: bool,
}

impl Lane {
    pub fn submit(&mut self, ticket: Ticket, incident: IncidentId) {
        self.queue.push_back((ticket, incident));
    }

    /// The next thing to do at `now`; with `may_send` false, of what needs no sending.
    pub fn step(&mut self, now: Millis, may_send: bool) -> Option<Step> {
        let state = self.breaker.state(now);
        if state == State::Open {
            return self.turn_away();
        }
        if !may_send || now < self.quiet_until {
            return None;
        }
        if let Some(due) = self.active.iter_mut().find(|active| active.waits_until.is_some_and(|until| until <= now)) {
            due.waits_until = None;
            due.attempts += 1;
            return Some(Step::Send(due.ticket, due.attempts));
        }
        let abreast = if state == State::HalfOpen || self.slowed { 1 } else { ABREAST };
        if self.active.len() >= abreast {
            return None;
        }
        let free = |(_, incident): &(Ticket, IncidentId)| self.active.iter().all(|active| active.incident != *incident);
        let at = self.queue.iter().position(free)?;
        let (ticket, incident) = self.queue.remove(at)?;
        self.active.push(Active { ticket, incident, attempts: 1, waits_until: None, why: String::new() });
        Some(Step::Send(ticket, 1))
    }

    /// While the breaker is open nobody waits for it.
    fn turn_away(&mut self) -> Option<Step> {
        if let Some(at) = self.active.iter().position(|active| active.waits_until.is_some()) {
            let Active { ticket, attempts, why, .. } = self.active.remove(at);
            let why = format!("the circuit breaker opened after: {why}");
            return Some(Step::End(ticket, End { outcome: Outcome::BreakerOpen, attempts, why }));
        }
        let (ticket, _) = self.queue.pop_front()?;
        let why = "the circuit breaker is open: the last deliveries to this target failed".to_owned();
        Some(Step::End(ticket, End { outcome: Outcome::BreakerOpen, attempts: 0, why }))
    }

    /// What an attempt came to; the end, where it is one. `None` also for a ticket that is not under way.
    pub fn answered(&mut self, ticket: Ticket, answer: Answer, now: Millis) -> Option<End> {
        let at = self.active.iter().position(|active| active.ticket == ticket && active.waits_until.is_none())?;
        let attempts = self.active[at].attempts;
        let (outcome, why) = match answer {
            Answer::Arrived => {
                self.breaker.arrived();
                self.slowed = false;
                (Outcome::Delivered, String::new())
            }
            Answer::Unneeded => (Outcome::Delivered, String::new()),
            Answer::ArrivedInPart => {
                self.breaker.arrived();
                self.slowed = false;
                let active = &mut self.active[at];
                (active.attempts, active.waits_until) = (0, Some(now));
                return None;
            }
            Answer::Refused { why } => (Outcome::Refused, why),
            Answer::Again { after, why } => {
                let after = after.map(|after| after.clamp(0, LONGEST_WAIT));
                if let Some(after) = after {
                    self.quiet_until = self.quiet_until.max(now + after);
                    self.slowed = true;
                }
                // While half-open one attempt decides.
                if attempts < ATTEMPTS && self.breaker.state(now) != State::HalfOpen {
                    let wait = WAITS[(attempts as usize).clamp(1, WAITS.len()) - 1];
                    let until = now + (wait + jitter(ticket, attempts, wait / 4)).max(after.unwrap_or(0));
                    let active = &mut self.active[at];
                    (active.waits_until, active.why) = (Some(until), why);
                    return None;
                }
                self.breaker.failed(now);
                (Outcome::Exhausted, why)
            }
        };
        self.active.swap_remove(at);
        Some(End { outcome, attempts, why })
    }

    /// When, after `now`, `step` may have something to do that it has not now, if nothing is submitted or answered before.
    pub fn wakes_at(&self, now: Millis) -> Option<Millis> {
        let waiting = self.active.iter().filter_map(|active| active.waits_until).min().map(|until| until.max(self.quiet_until));
        let quiet = (!self.queue.is_empty()).then_some(self.quiet_until);
        [waiting, quiet, self.breaker.rests_until()].into_iter().flatten().filter(|at| *at > now).min()
    }

    pub fn state(&mut self, now: Millis) -> State {
        self.breaker.state(now)
    }

    /// Deliveries that are waiting or under way.
    pub fn len(&self) -> usize {
        self.queue.len() + self.active.len()
    }

    pub fn is_idle(&self) -> bool {
        self.len() == 0
    }

    /// Nothing is lost where a new one takes its place.
    pub fn is_fresh(&self, now: Millis) -> bool {
        self.is_idle() && self.breaker.is_fresh() && self.quiet_until <= now
    }
}

/// 0 to `most`, the same for the same attempt: those that failed together do not come again together.
fn jitter(ticket: Ticket, attempt: u32, most: Millis) -> Millis {
    // The finaliser of splitmix64.
    let mut mixed = ticket.wrapping_mul(4).wrapping_add(u64::from(attempt)).wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (mixed ^ (mixed >> 31)).checked_rem(most as u64 + 1).unwrap_or(0) as Millis
}

#[cfg(test)]
mod tests {
    use super::*;

    fn incident(hash: u64) -> IncidentId {
        IncidentId { partition: 0, hash }
    }

    fn again(after: Option<Millis>) -> Answer {
        Answer::Again { after, why: "503".to_owned() }
    }

    fn lane(incidents: &[u64]) -> Lane {
        let mut lane = Lane::default();
        (1..).zip(incidents).for_each(|(ticket, hash)| lane.submit(ticket, incident(*hash)));
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
        lane.submit(99, incident(99));
        assert!(matches!(lane.step(now, false), Some(Step::End(99, End { attempts: 0, .. }))));
        assert_eq!(lane.wakes_at(now), Some(now + crate::delivery::breaker::REST));
    }

    #[test]
    fn half_open_lets_one_through_whose_failure_turns_the_rest_away() {
        let mut lane = lane(&(0..30).collect::<Vec<_>>());
        let mut now = open(&mut lane);
        while lane.step(now, true).is_some() {}
        now = lane.wakes_at(now).unwrap();
        assert_eq!(lane.state(now), State::HalfOpen);
        (100..103).for_each(|ticket| lane.submit(ticket, incident(ticket)));
        assert_eq!(lane.step(now, true), Some(Step::Send(100, 1)));
        assert_eq!(lane.step(now, true), None, "the others wait for it");
        assert_eq!(lane.answered(100, again(None), now).unwrap().outcome, Outcome::Exhausted);
        assert!(matches!(lane.step(now, true), Some(Step::End(101, _))));
        assert!(matches!(lane.step(now, true), Some(Step::End(102, _))));

        now = lane.wakes_at(now).unwrap();
        (200..210).for_each(|ticket| lane.submit(ticket, incident(ticket)));
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
        (100..104).for_each(|ticket| lane.submit(ticket, incident(ticket)));
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
}
