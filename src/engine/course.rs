//! When the levels of a policy fire: a pure function of its start, its levels and its repeats (SPEC 4.6).
//!
//! All levels of the first run, and those of each repeat that fall before the next one would begin, lie on one line by how
//! long after the start they are due. What is held up (a snooze, hours, nobody there before) holds up what follows no more
//! than it must: two never come closer together than they lie on that line.

use crate::model::time::{MINUTE, Millis};
use crate::model::{BusinessHours, Level, Repeat, Time};
use serde::{Deserialize, Serialize};

/// One level of one run.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Rung {
    /// 0: the first run.
    pub repeat: u32,
    pub level: u32,
}

/// Where a policy stands in its levels.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Course {
    pub levels: Vec<Level>,
    repeat: Option<Repeat>,
    hours: Option<BusinessHours>,
    /// Wall time of its start, moved on by snoozes.
    started_at: Time,
    /// The next level of the first run; past the last one where that is over.
    first: u32,
    /// The next level of the repeats; `None` where they are over.
    again: Option<Rung>,
    /// The last one that was due: how long after the start it lies, and when it was.
    last: Option<(Millis, Time)>,
}

impl Course {
    /// The delay of the first level counts for nothing.
    pub fn new(levels: Vec<Level>, repeat: Option<Repeat>, hours: Option<BusinessHours>, started_at: Time) -> Course {
        let repeat = repeat.filter(|repeat| repeat.count > 0 && !levels.is_empty() && repeat.interval(&levels) > 0);
        let again = repeat.map(|_| Rung { repeat: 1, level: 0 });
        Course { levels, repeat, hours, started_at, first: 0, again, last: None }
    }

    fn delay(&self, level: u32) -> Millis {
        let minutes = if level == 0 { 0 } else { self.levels.get(level as usize).map_or(0, |level| level.delay_minutes) };
        millis(minutes)
    }

    fn interval(&self) -> Millis {
        self.repeat.map_or(Millis::MAX, |repeat| millis(repeat.interval(&self.levels)))
    }

    /// How long after the start it is due.
    fn offset(&self, rung: Rung) -> Millis {
        let runs = match rung.repeat {
            0 => 0,
            repeat => (self.levels.len() as Millis - 1 + Millis::from(repeat)).saturating_mul(self.interval()),
        };
        runs.saturating_add(self.delay(rung.level))
    }

    /// The next one on the line; `None`: all have fired.
    pub fn next(&self) -> Option<Rung> {
        let first = ((self.first as usize) < self.levels.len()).then_some(Rung { repeat: 0, level: self.first });
        [first, self.again].into_iter().flatten().min_by_key(|rung| (self.offset(*rung), *rung))
    }

    /// The one after `rung` in the same run.
    pub fn after(&self, rung: Rung) -> Option<Rung> {
        let next = Rung { level: rung.level + 1, ..rung };
        let there = (next.level as usize) < self.levels.len();
        (there && (rung.repeat == 0 || self.delay(next.level) < self.interval())).then_some(next)
    }

    /// When the next one is due, at an opening where there are hours.
    pub fn next_at(&self) -> Option<Time> {
        let offset = self.offset(self.next()?);
        let due = self.started_at.after(offset);
        let due = self.last.map_or(due, |(before, at)| due.max(at.after(offset.saturating_sub(before))));
        Some(self.hours.as_ref().map_or(due, |hours| hours.next_open(due)))
    }

    /// `rung` is done with, at `at`.
    pub fn pass(&mut self, rung: Rung, at: Time) {
        self.last = Some((self.offset(rung), at));
        match rung.repeat {
            0 => self.first = rung.level + 1,
            repeat => {
                let count = self.repeat.map_or(0, |repeat| repeat.count);
                let next_run = (u64::from(repeat) < count).then(|| Rung { repeat: repeat.saturating_add(1), level: 0 });
                self.again = self.after(rung).or(next_run);
            }
        }
    }

    /// A snooze: all that is still to come comes so much later (or earlier, where a shorter one replaces it).
    pub fn shift(&mut self, by: Millis) {
        self.started_at = self.started_at.after(by);
        self.last = self.last.map(|(offset, at)| (offset, at.after(by)));
    }
}

fn millis(minutes: u64) -> Millis {
    Millis::try_from(minutes).unwrap_or(Millis::MAX).saturating_mul(MINUTE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Time = Time(1_800_000_000_000);

    fn course(delays: &[u64], repeat: Option<(u64, Option<u64>)>) -> Course {
        let levels = delays.iter().map(|&delay_minutes| Level { delay_minutes, targets: Vec::new() }).collect();
        Course::new(levels, repeat.map(|(count, interval_minutes)| Repeat { count, interval_minutes }), None, START)
    }

    /// `repeat.level@minutes` of all that is to come, each at its time.
    fn run(mut course: Course, most: usize) -> String {
        let mut told = Vec::new();
        while let Some(rung) = course.next().filter(|_| told.len() < most) {
            let at = course.next_at().expect("what is next has a time");
            told.push(format!("{}.{}@{}", rung.repeat, rung.level, (at - START) / MINUTE));
            course.pass(rung, at);
        }
        told.join(" ")
    }

    #[test]
    fn levels_and_repeats_lie_where_the_spec_puts_them() {
        for (delays, repeat, fires) in [
            (&[0, 15, 30][..], None, "0.0@0 0.1@15 0.2@30"),
            // The first level's delay counts for nothing.
            (&[10, 15], None, "0.0@0 0.1@15"),
            (&[0, 0, 5], None, "0.0@0 0.1@0 0.2@5"),
            (&[0], Some((2, Some(15))), "0.0@0 1.0@15 2.0@30"),
            // (last level index + r) × interval; a level at the next one's beginning is not run, of the last one neither.
            (&[0, 15], Some((2, Some(15))), "0.0@0 0.1@15 1.0@30 2.0@45"),
            (&[0, 15], Some((2, Some(20))), "0.0@0 0.1@15 1.0@40 1.1@55 2.0@60 2.1@75"),
            (&[0, 5, 30], Some((2, Some(20))), "0.0@0 0.1@5 0.2@30 1.0@60 1.1@65 2.0@80 2.1@85"),
            // Without an interval the last level's delay.
            (&[0, 10, 30], Some((1, None)), "0.0@0 0.1@10 0.2@30 1.0@90 1.1@100"),
            // The first run goes on beside the repeats.
            (&[0, 60], Some((3, Some(15))), "0.0@0 1.0@30 2.0@45 0.1@60 3.0@60"),
            (&[], Some((3, Some(15))), ""),
            (&[0], Some((3, None)), "0.0@0"),
        ] {
            assert_eq!(run(course(delays, repeat), 100), fires, "{delays:?} {repeat:?}");
        }
    }

    #[test]
    fn what_came_late_or_early_keeps_its_distance() {
        let mut late = course(&[0, 15, 30, 90], None);
        late.pass(Rung { repeat: 0, level: 0 }, START + 20 * MINUTE);
        assert_eq!(run(late, 9), "0.1@35 0.2@50 0.3@110");
        let mut early = course(&[0, 15, 30], None);
        early.pass(Rung { repeat: 0, level: 0 }, START);
        early.pass(Rung { repeat: 0, level: 1 }, START + MINUTE);
        assert_eq!(run(early.clone(), 9), "0.2@30");
        early.shift(7 * MINUTE);
        assert_eq!(run(early, 9), "0.2@37");
    }

    #[test]
    fn what_falls_due_outside_the_hours_waits_for_the_opening_in_order() {
        let hours = BusinessHours { zone: "UTC".to_owned(), days: [true; 7], start_minute: 9 * 60, end_minute: 17 * 60 };
        let at = |text: &str| Time::parse(text).expect("a time");
        let levels = [0, 15, 30].map(|delay_minutes| Level { delay_minutes, targets: Vec::new() }).to_vec();
        for (start, fires) in [
            ("2026-11-23T16:40:00Z", ["2026-11-23T16:40:00Z", "2026-11-23T16:55:00Z", "2026-11-24T09:00:00Z"]),
            ("2026-11-23T16:45:00Z", ["2026-11-23T16:45:00Z", "2026-11-24T09:00:00Z", "2026-11-24T09:15:00Z"]),
            ("2026-11-23T22:00:00Z", ["2026-11-24T09:00:00Z", "2026-11-24T09:15:00Z", "2026-11-24T09:30:00Z"]),
        ] {
            let mut course = Course::new(levels.clone(), None, Some(hours.clone()), at(start));
            for due in fires {
                let rung = course.next().expect("one is left");
                assert_eq!(course.next_at(), Some(at(due)), "{start}: {rung:?}");
                course.pass(rung, at(due));
            }
        }
    }

    #[test]
    fn numbers_beyond_all_measure_only_never_come() {
        let huge = course(&[0, u64::MAX], Some((u64::MAX, Some(u64::MAX))));
        assert!(run(huge, 4).starts_with("0.0@0 0.1@"));
    }
}
