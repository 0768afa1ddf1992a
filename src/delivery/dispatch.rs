//! All targets' lanes together: who sends next, within a bound on what is under way, in turns.
//!
//! A target that hangs holds its own few attempts and nothing else. Pure, as the lanes are.

use crate::config;
use crate::delivery::breaker::State;
use crate::delivery::lane::{Answer, End, Lane, Step};
use crate::delivery::{Millis, Ticket};
use crate::model::IncidentId;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

/// Past so many targets those that only remember a failure are forgotten.
const LANES: usize = 10_000;

struct Held {
    lane: Lane,
    /// It stands in `eager`.
    eager: bool,
    /// Where it stands in `wakes`.
    wake: Option<Millis>,
    /// As last told by [`Dispatch::breakers`].
    shown: State,
}

pub struct Dispatch {
    /// By the targets' keys.
    lanes: BTreeMap<Arc<str>, Held>,
    tickets: BTreeMap<Ticket, Arc<str>>,
    /// To be looked at, in turns.
    eager: VecDeque<Arc<str>>,
    wakes: BTreeSet<(Millis, Arc<str>)>,
    under_way: usize,
    most: usize,
    terms: config::Breaker,
    breakers: Vec<(Arc<str>, State)>,
}

impl Dispatch {
    /// `most`: attempts under way at the same time; `terms`: of every target's breaker.
    pub fn new(most: usize, terms: config::Breaker) -> Dispatch {
        Dispatch {
            lanes: BTreeMap::new(),
            tickets: BTreeMap::new(),
            eager: VecDeque::new(),
            wakes: BTreeSet::new(),
            under_way: 0,
            most,
            terms,
            breakers: Vec::new(),
        }
    }

    /// From now on nothing is begun; what is under way goes on.
    pub fn hold(&mut self) {
        self.most = 0;
    }

    /// Queues a delivery to the target `key`, behind those of the same incident.
    pub fn submit(&mut self, key: &Arc<str>, ticket: Ticket, incident: IncidentId, now: Millis) {
        if self.lanes.len() >= LANES && !self.lanes.contains_key(key) {
            self.lanes.retain(|_, held| !held.lane.is_idle() || held.lane.state(now) != State::Closed);
        }
        let new = || Held { lane: Lane::new(self.terms), eager: false, wake: None, shown: State::Closed };
        self.lanes.entry(Arc::clone(key)).or_insert_with(new).lane.submit(ticket, incident, now);
        self.tickets.insert(ticket, Arc::clone(key));
        self.look_at(key);
    }

    /// The next thing to do. `None`: nothing until [`Dispatch::wakes_at`], a submission or an answer.
    pub fn next(&mut self, now: Millis) -> Option<Step> {
        while let Some((at, _)) = self.wakes.first()
            && *at <= now
            && let Some((_, key)) = self.wakes.pop_first()
        {
            if let Some(held) = self.lanes.get_mut(&key) {
                held.wake = None;
            }
            self.look_at(&key);
        }
        for _ in 0..self.eager.len() {
            let key = self.eager.pop_front()?;
            let may_send = self.under_way < self.most;
            let Some(held) = self.lanes.get_mut(&key) else { continue };
            let step = held.lane.step(now, may_send);
            self.note_breaker(&key, now);
            let Some(held) = self.lanes.get_mut(&key) else { continue };
            match step {
                Some(step) => {
                    self.eager.push_back(key);
                    match &step {
                        Step::Send(..) => self.under_way += 1,
                        Step::End(ticket, _) => drop(self.tickets.remove(ticket)),
                    }
                    return Some(step);
                }
                // It is asked again when an attempt of another has ended.
                None if !may_send && !held.lane.is_idle() => self.eager.push_back(key),
                None => {
                    held.eager = false;
                    self.settle(&key, now);
                }
            }
        }
        None
    }

    /// What became of an attempt; the delivery's end, where it is one.
    pub fn answered(&mut self, ticket: Ticket, answer: Answer, now: Millis) -> Option<End> {
        let key = Arc::clone(self.tickets.get(&ticket)?);
        self.under_way = self.under_way.saturating_sub(1);
        let end = self.lanes.get_mut(&key)?.lane.answered(ticket, answer, now);
        if end.is_some() {
            self.tickets.remove(&ticket);
        }
        self.note_breaker(&key, now);
        self.look_at(&key);
        end
    }

    /// When [`Dispatch::next`] may have something to do by itself.
    pub fn wakes_at(&self) -> Option<Millis> {
        self.wakes.first().map(|(at, _)| *at)
    }

    /// Attempts under way.
    pub fn under_way(&self) -> usize {
        self.under_way
    }

    /// Deliveries that are waiting or under way.
    pub fn len(&self) -> usize {
        self.tickets.len()
    }

    /// Which breakers have changed since the last call, and to what.
    pub fn breakers(&mut self) -> Vec<(Arc<str>, State)> {
        std::mem::take(&mut self.breakers)
    }

    fn look_at(&mut self, key: &Arc<str>) {
        if let Some(held) = self.lanes.get_mut(key)
            && !held.eager
        {
            held.eager = true;
            self.eager.push_back(Arc::clone(key));
        }
    }

    fn note_breaker(&mut self, key: &Arc<str>, now: Millis) {
        if let Some(held) = self.lanes.get_mut(key) {
            let state = held.lane.state(now);
            if state != held.shown {
                held.shown = state;
                self.breakers.push((Arc::clone(key), state));
            }
        }
    }

    /// Nothing to do now: when will there be, and is the lane worth keeping?
    fn settle(&mut self, key: &Arc<str>, now: Millis) {
        let Some(held) = self.lanes.get_mut(key) else { return };
        if held.lane.is_fresh(now) {
            if let Some(at) = held.wake {
                self.wakes.remove(&(at, Arc::clone(key)));
            }
            self.lanes.remove(key);
            return;
        }
        let wake = held.lane.wakes_at(now);
        if wake != held.wake {
            if let Some(before) = std::mem::replace(&mut held.wake, wake) {
                self.wakes.remove(&(before, Arc::clone(key)));
            }
            self.wakes.extend(wake.map(|at| (at, Arc::clone(key))));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::lane::{ABREAST, Outcome};

    fn key(number: u64) -> Arc<str> {
        format!("target-{number}").into()
    }

    fn incident(hash: u64) -> IncidentId {
        IncidentId { partition: 0, hash }
    }

    fn sends(dispatch: &mut Dispatch, now: Millis) -> Vec<Ticket> {
        std::iter::from_fn(|| dispatch.next(now))
            .map(|step| match step {
                Step::Send(ticket, _) => ticket,
                Step::End(..) => panic!("nothing ends here"),
            })
            .collect()
    }

    #[test]
    fn what_is_under_way_is_bounded_and_targets_take_turns() {
        let mut dispatch = Dispatch::new(4, config::Breaker::default());
        for ticket in 0..8 {
            dispatch.submit(&key(ticket / 4), ticket, incident(ticket), 0);
        }
        assert_eq!(sends(&mut dispatch, 0), [0, 4, 1, 5]);
        assert_eq!(dispatch.next(0), None);
        dispatch.answered(0, Answer::Arrived, 0);
        assert_eq!(sends(&mut dispatch, 0).len(), 1);
        assert_eq!((dispatch.under_way(), dispatch.len()), (4, 7));
    }

    #[test]
    fn a_target_that_hangs_holds_up_no_other() {
        let mut dispatch = Dispatch::new(64, config::Breaker::default());
        (0..1_000).for_each(|ticket| dispatch.submit(&key(0), ticket, incident(ticket), 0));
        (1_000..1_100).for_each(|ticket| dispatch.submit(&key(1), ticket, incident(ticket), 0));
        let mut arrived = 0;
        loop {
            let under_way = sends(&mut dispatch, 0);
            let healthy: Vec<_> = under_way.into_iter().filter(|ticket| *ticket >= 1_000).collect();
            if healthy.is_empty() {
                break;
            }
            for ticket in healthy {
                let end = dispatch.answered(ticket, Answer::Arrived, 0).expect("one attempt is enough");
                assert_eq!(end.outcome, Outcome::Delivered);
                arrived += 1;
            }
        }
        assert_eq!(arrived, 100);
        assert_eq!(dispatch.under_way(), ABREAST, "all that the hanging one may hold");
    }

    #[test]
    fn breakers_are_told_when_they_change_and_also_without_traffic() {
        let mut dispatch = Dispatch::new(64, config::Breaker::default());
        (0..5).for_each(|ticket| dispatch.submit(&key(0), ticket, incident(ticket), 0));
        let mut now = 0;
        while dispatch.len() > 0 {
            while let Some(step) = dispatch.next(now) {
                if let Step::Send(ticket, _) = step {
                    dispatch.answered(ticket, Answer::Again { after: None, why: "500".to_owned() }, now);
                }
            }
            if dispatch.len() > 0 {
                now = dispatch.wakes_at().expect("something is left to try");
            }
        }
        assert_eq!(dispatch.breakers(), [(key(0), State::Open)]);
        assert_eq!(dispatch.next(now), None);
        let rested = dispatch.wakes_at().expect("its rest has an end");
        assert_eq!(dispatch.next(rested), None);
        assert_eq!(dispatch.breakers(), [(key(0), State::HalfOpen)]);
    }

    #[test]
    fn nothing_is_kept_of_targets_that_work() {
        let mut dispatch = Dispatch::new(8, config::Breaker::default());
        for ticket in 0..1_000 {
            dispatch.submit(&key(ticket), ticket, incident(ticket), 0);
            assert_eq!(sends(&mut dispatch, 0), [ticket]);
            dispatch.answered(ticket, Answer::Arrived, 0);
            assert_eq!(dispatch.next(0), None);
        }
        assert_eq!((dispatch.lanes.len(), dispatch.tickets.len(), dispatch.wakes.len()), (0, 0, 0));
    }

    #[test]
    fn on_hold_what_is_under_way_ends_and_nothing_begins() {
        let mut dispatch = Dispatch::new(1, config::Breaker::default());
        (0..2).for_each(|ticket| dispatch.submit(&key(0), ticket, incident(ticket), 0));
        assert_eq!(sends(&mut dispatch, 0), [0]);
        dispatch.hold();
        assert!(dispatch.answered(0, Answer::Arrived, 0).is_some());
        assert_eq!((dispatch.next(0), dispatch.under_way(), dispatch.len()), (None, 0, 1));
    }
}
