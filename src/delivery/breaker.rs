//! The circuit breaker of one target: after five deliveries that failed for good it lets nothing through for a minute, then one
//! at a time, and after two that arrive everything again (SPEC 7; the numbers are settings).

use crate::config;
use crate::delivery::Millis;

/// The values of `incidentd_circuit_breaker_state`.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum State {
    #[default]
    Closed = 0,
    Open = 1,
    HalfOpen = 2,
}

#[derive(Debug, Default)]
pub struct Breaker {
    terms: config::Breaker,
    state: State,
    /// In a row, while closed.
    failures: u32,
    /// In a row, while half-open.
    successes: u32,
    /// While open.
    until: Millis,
}

impl Breaker {
    pub fn new(terms: config::Breaker) -> Breaker {
        Breaker { terms, ..Breaker::default() }
    }

    /// As it stands at `now`: an open one whose rest is over is half-open from then on.
    pub fn state(&mut self, now: Millis) -> State {
        if self.state == State::Open && now >= self.until {
            (self.state, self.successes) = (State::HalfOpen, 0);
        }
        self.state
    }

    /// When an open one becomes half-open.
    pub fn rests_until(&self) -> Option<Millis> {
        (self.state == State::Open).then_some(self.until)
    }

    /// A delivery arrived. One that began before it opened changes nothing.
    pub fn arrived(&mut self) {
        self.failures = 0;
        if self.state == State::HalfOpen {
            self.successes += 1;
            if self.successes >= self.terms.successes {
                self.state = State::Closed;
            }
        }
    }

    /// A delivery failed for good.
    pub fn failed(&mut self, now: Millis) {
        self.failures += 1;
        let opens = match self.state {
            State::Closed => self.failures >= self.terms.failures,
            State::HalfOpen => true,
            State::Open => false,
        };
        if opens {
            (self.state, self.failures, self.until) = (State::Open, 0, now + self.terms.rest);
        }
    }

    /// It remembers nothing that a new one would not.
    pub fn is_fresh(&self) -> bool {
        self.state == State::Closed && self.failures == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FAILURES: u32 = 5;
    const REST: Millis = 60_000;

    fn opened(at: Millis) -> Breaker {
        let mut breaker = Breaker::default();
        (0..FAILURES).for_each(|_| breaker.failed(at));
        breaker
    }

    #[test]
    fn five_in_a_row_open_it_and_one_that_arrives_between_does_not() {
        let mut breaker = Breaker::default();
        for _ in 0..10 {
            (0..FAILURES - 1).for_each(|_| breaker.failed(0));
            breaker.arrived();
        }
        assert_eq!(breaker.state(0), State::Closed);
        assert_eq!(opened(7).state(7), State::Open);
    }

    #[test]
    fn it_is_half_open_after_its_rest_and_closes_after_two_that_arrive() {
        let mut breaker = opened(0);
        assert_eq!(breaker.state(REST - 1), State::Open);
        assert_eq!(breaker.state(REST), State::HalfOpen);
        breaker.arrived();
        assert_eq!(breaker.state(REST), State::HalfOpen);
        breaker.arrived();
        assert_eq!(breaker.state(REST), State::Closed);
        assert!(breaker.is_fresh());
    }

    #[test]
    fn one_that_fails_while_half_open_opens_it_for_another_rest() {
        let mut breaker = opened(0);
        assert_eq!(breaker.state(REST), State::HalfOpen);
        breaker.arrived();
        breaker.failed(REST + 5);
        assert_eq!(breaker.state(2 * REST + 4), State::Open);
        assert_eq!(breaker.state(2 * REST + 5), State::HalfOpen);
        breaker.arrived();
        assert_eq!(breaker.state(2 * REST + 5), State::HalfOpen, "the success before counts no more");
    }

    #[test]
    fn what_began_before_it_opened_prolongs_nothing() {
        let mut breaker = opened(0);
        breaker.failed(REST - 1);
        breaker.arrived();
        assert_eq!(breaker.state(REST), State::HalfOpen);
    }

    #[test]
    fn its_numbers_are_settings() {
        let mut breaker = Breaker::new(config::Breaker { failures: 1, rest: 10, successes: 1 });
        breaker.failed(0);
        assert_eq!((breaker.state(9), breaker.state(10)), (State::Open, State::HalfOpen));
        breaker.arrived();
        assert_eq!(breaker.state(10), State::Closed);
    }
}
