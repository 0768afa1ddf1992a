//! A sliding rate limit: when somebody was told, as exactly as its bound on memory allows (SPEC 4.7).

use crate::model::Time;
use crate::model::time::{DAY, HOUR, Millis};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

/// What a rule allows; one of the two is set.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Limits {
    pub per_hour: Option<u64>,
    pub per_day: Option<u64>,
}

/// Times that are kept one by one. A limit beyond it goes by the next full part of its window, so that it holds back a
/// little longer, never shorter.
const MOST: u64 = 4_096;

impl Limits {
    fn windows(self) -> impl Iterator<Item = (u64, Millis)> {
        [(self.per_hour, HOUR), (self.per_day, DAY)].into_iter().filter_map(|(most, length)| Some((most?, length)))
    }

    /// How long a time counts for something.
    pub fn keeps(self) -> Millis {
        if self.per_day.is_some() { DAY } else { HOUR }
    }

    fn grain(self) -> Millis {
        let most = self.windows().map(|(most, _)| most).max().unwrap_or(0);
        if most > MOST { self.keeps() / MOST as Millis } else { 1 }
    }
}

/// When somebody was told, oldest first, with how often.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Window(VecDeque<(Time, u64)>);

impl Window {
    /// `None`: one more may go now. Else the time from which on one may, and the limit that is reached, in words.
    pub fn full_until(&self, now: Time, limits: Limits) -> Option<(Time, String)> {
        let full = limits.windows().filter_map(|(most, length)| {
            let mut count = 0;
            let mut in_window = self.0.iter().rev().take_while(|(at, _)| now - *at < length);
            // It is free again once the one has left with which the limit was reached.
            let (reached, _) = in_window.find(|(_, times)| {
                count += times;
                count >= most
            })?;
            let name = if length == HOUR { "an hour" } else { "a day" };
            Some((*reached + length, format!("the limit of {most} {name} is reached")))
        });
        full.max_by_key(|(until, _)| *until)
    }

    /// One more has gone.
    pub fn note(&mut self, now: Time, limits: Limits) {
        while self.0.front().is_some_and(|(at, _)| now - *at >= limits.keeps()) {
            self.0.pop_front();
        }
        let grain = limits.grain();
        let at = Time(now.0.div_euclid(grain) * grain + (grain - 1));
        // A clock that was set back comes after one that was ahead.
        let place = self.0.partition_point(|(before, _)| *before < at);
        match self.0.get_mut(place) {
            Some((before, times)) if *before == at => *times += 1,
            _ => self.0.insert(place, (at, 1)),
        }
    }

    pub fn newest(&self) -> Option<Time> {
        self.0.back().map(|(at, _)| *at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::MINUTE;

    const NOON: Time = Time(1_768_471_200_000);

    fn limits(per_hour: Option<u64>, per_day: Option<u64>) -> Limits {
        Limits { per_hour, per_day }
    }

    fn until(window: &Window, now: Time, limits: Limits) -> Option<Time> {
        window.full_until(now, limits).map(|(until, _)| until)
    }

    #[test]
    fn the_hour_slides() {
        let two = limits(Some(2), None);
        let mut window = Window::default();
        window.note(NOON, two);
        assert_eq!(until(&window, NOON, two), None);
        window.note(NOON + 30 * MINUTE, two);
        let full = Some(NOON + HOUR);
        assert_eq!(until(&window, NOON + 30 * MINUTE, two), full);
        assert_eq!(until(&window, NOON + (HOUR - 1), two), full);
        assert_eq!(until(&window, NOON + HOUR, two), None, "the first has left");
        window.note(NOON + HOUR, two);
        assert_eq!(until(&window, NOON + HOUR, two), Some(NOON + 90 * MINUTE));
    }

    #[test]
    fn the_day_holds_where_the_hour_would_not() {
        let both = limits(Some(2), Some(3));
        let mut window = Window::default();
        for hours in 0..3 {
            assert_eq!(until(&window, NOON + hours * HOUR, both), None);
            window.note(NOON + hours * HOUR, both);
        }
        assert_eq!(until(&window, NOON + 3 * HOUR, both), Some(NOON + DAY));
        assert_eq!(until(&window, NOON + DAY, both), None);
    }

    #[test]
    fn a_huge_limit_is_kept_and_takes_bounded_memory() {
        let most = 20_000;
        let huge = limits(None, Some(most));
        let mut window = Window::default();
        for n in 0..most {
            let now = NOON + n as Millis * 4_000;
            assert_eq!(until(&window, now, huge), None, "{n}");
            window.note(now, huge);
        }
        let now = NOON + most as Millis * 4_000;
        let free = until(&window, now, huge).unwrap();
        assert!((NOON + DAY..=NOON + DAY + DAY / 4_000).contains(&free), "{free}");
        assert!(window.0.len() as u64 <= MOST + 2, "{}", window.0.len());
    }

    #[test]
    fn the_largest_limit_whose_times_are_kept_one_by_one_is_exact() {
        let (most, parts) = (limits(Some(MOST), None), HOUR / MOST as Millis);
        let first = Time(NOON.0.div_euclid(parts) * parts);
        let mut window = Window::default();
        (1..MOST).for_each(|n| window.note(first + (n as Millis - 1), most));
        assert_eq!(until(&window, first + MOST as Millis, most), None);
        window.note(first + MOST as Millis, most);
        assert_eq!(until(&window, first + MOST as Millis, most), Some(first + HOUR));
    }

    #[test]
    fn a_clock_that_is_set_back_lets_no_more_through() {
        let one = limits(Some(1), None);
        let mut window = Window::default();
        window.note(NOON + HOUR, one);
        assert_eq!(until(&window, NOON, one), Some(NOON + 2 * HOUR));
    }
}
