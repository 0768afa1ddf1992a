//! One target's deliveries: in order for each incident, a few at a time, each tried three times.
//!
//! Pure: a function of what it is told, with the time. Whoever holds it sends, and tells what became of it.

use crate::config;
use crate::delivery::breaker::{Breaker, State};
use crate::delivery::{Millis, Ticket};
use crate::model::IncidentId;
use crate::model::time::MINUTE;
use std::collections::VecDeque;

/// Of one delivery.
pub const ATTEMPTS: u32 = 3;
/// Before the second attempt and before the third, with up to a quarter more.
const WAITS: [Millis; 2] = [1_000, 2_000];
/// As long as a receiver may ask us to wait. A page that waits longer had better take another way.
pub const LONGEST_WAIT: Millis = 60_000;
/// Deliveries to one target at the same time, of different incidents. While it asks us to slow down: one.
pub const ABREAST: usize = 8;

/// Past so many in its queue those that have waited longer than this take another way: what one target cannot take must not hold up
/// the partition, and with it all others.
const CROWD: usize = 1_000;
const LONGEST_STAY: Millis = 5 * MINUTE;

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
    /// It takes less than comes.
    Crowded,
}

impl Outcome {
    /// The label of `incidentd_deliveries_total`.
    pub fn name(self) -> &'static str {
        match self {
            Outcome::Delivered => "delivered",
            Outcome::Exhausted => "exhausted",
            Outcome::Refused => "refused",
            Outcome::BreakerOpen => "breaker_open",
            Outcome::Crowded => "crowded",
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

struct Queued {
    ticket: Ticket,
    incident: IncidentId,
    since: Millis,
}

#[derive(Default)]
pub struct Lane {
    queue: VecDeque<Queued>,
    active: Vec<Active>,
    breaker: Breaker,
    /// The receiver asked for silence until then.
    quiet_until: Millis,
    /// It did, and nothing has arrived since.
    slowed: bool,
}

impl Lane {
    pub fn new(terms: config::Breaker) -> Lane {
        Lane { breaker: Breaker::new(terms), ..Lane::default() }
    }

    pub fn submit(&mut self, ticket: Ticket, incident: IncidentId, now: Millis) {
        self.queue.push_back(Queued { ticket, incident, since: now });
    }

    /// The next thing to do at `now`; with `may_send` false, of what needs no sending.
    pub fn step(&mut self, now: Millis, may_send: bool) -> Option<Step> {
        let state = self.breaker.state(now);
        if state == State::Open {
            return self.turn_away();
        }
        if self.overstays_at().is_some_and(|at| at <= now) {
            let Queued { ticket, .. } = self.queue.pop_front()?;
            let why = format!("it waited {} minutes behind others: the target takes less than comes", LONGEST_STAY / MINUTE);
            return Some(Step::End(ticket, End { outcome: Outcome::Crowded, attempts: 0, why }));
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
        let free = |queued: &Queued| self.active.iter().all(|active| active.incident != queued.incident);
        let at = self.queue.iter().position(free)?;
        let Queued { ticket, incident, .. } = self.queue.remove(at)?;
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
        let Queued { ticket, .. } = self.queue.pop_front()?;
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
        [waiting, quiet, self.breaker.rests_until(), self.overstays_at()].into_iter().flatten().filter(|at| *at > now).min()
    }

    /// When the first of a crowd has waited too long.
    fn overstays_at(&self) -> Option<Millis> {
        self.queue.front().filter(|_| self.queue.len() > CROWD).map(|first| first.since + LONGEST_STAY)
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
mod tests;
