//! How often an incident occurred in each minute of the last hour, as a small picture.
//!
//! An incident's record has its count, not its course. The newest open incidents are looked at every few seconds, and what
//! their counts rose by is written down; before that, and for the others, the course is what the timeline tells.

use crate::board::{Board, Filter};
use crate::codec;
use crate::model::time::MINUTE;
use crate::model::{Incident, IncidentId, Status, Time, TimelineEvent};
use hashbrown::HashMap;
use maud::{Markup, html};
use serde_json::Value;
use std::fmt::Write;
use std::sync::{PoisonError, RwLock};

/// One a minute.
const BARS: usize = 60;
/// Incidents whose counts are followed: as many as a list shows.
const FOLLOWED: usize = 500;
/// Of the picture, in its own units.
const HEIGHT: f64 = 16.0;

#[derive(Default)]
pub struct Sparks(RwLock<HashMap<IncidentId, Course>>);

/// Occurrences by the minute.
#[derive(Clone, Debug)]
pub struct Course {
    /// Of the last bar, in minutes since 1970.
    minute: i64,
    /// Oldest first. Not whole where a rise was spread over minutes.
    bars: [f64; BARS],
    /// Up to this count they are in the bars.
    count: u64,
    /// When that was seen.
    at: Time,
}

impl Course {
    /// What the record itself tells: between two moments whose counts it has, occurrences are taken to be even.
    fn of(incident: &Incident, now: Time) -> Course {
        let first = incident.first_seen_at;
        let mut course = Course { minute: now.0.div_euclid(MINUTE), bars: [0.0; BARS], count: 0, at: first };
        course.reach(1, first);
        for entry in incident.timeline.iter().filter(|entry| entry.event == TimelineEvent::Occurrence) {
            if let Some(count) = entry.details.0.get("count").and_then(Value::as_u64) {
                course.reach(count.min(incident.occurrence_count), entry.timestamp);
            }
        }
        course.reach(incident.occurrence_count, incident.last_seen_at);
        course
    }

    /// The count has become `count` by the moment `to`.
    fn reach(&mut self, count: u64, to: Time) {
        let (from, to) = (self.at.min(to), to);
        let rise = count.saturating_sub(self.count) as f64;
        if rise > 0.0 {
            let (first, last) = (from.0.div_euclid(MINUTE), to.0.div_euclid(MINUTE));
            let share = rise / (last - first + 1) as f64;
            for minute in first.max(self.minute - BARS as i64 + 1)..=last.min(self.minute) {
                // Within the bars by the bounds above.
                self.bars[BARS - 1 - (self.minute - minute) as usize] += share;
            }
            self.count = count;
        }
        self.at = self.at.max(to);
    }

    /// Moves the bars so that the last one is `now`'s.
    fn turn(&mut self, now: Time) {
        let minute = now.0.div_euclid(MINUTE);
        let by = usize::try_from(minute - self.minute).unwrap_or(0).min(BARS);
        if by > 0 {
            self.bars.rotate_left(by);
            self.bars[BARS - by..].fill(0.0);
            self.minute = minute;
        }
    }

    pub fn picture(&self) -> Markup {
        let most = self.bars.iter().copied().fold(0.0, f64::max);
        let sum: f64 = self.bars.iter().sum();
        let mut path = String::new();
        for (at, bar) in self.bars.iter().enumerate().filter(|(_, bar)| **bar > 0.0) {
            // What occurred at all is seen.
            let height = (bar / most * HEIGHT).max(1.0);
            // A String takes all.
            let _ = write!(path, "M{at} {HEIGHT}v-{height:.1}h1v{height:.1}z");
        }
        let label = match sum.round() as u64 {
            0 => "none in the last hour".to_owned(),
            sum => format!("{sum} in the last hour, at most {} a minute", most.ceil()),
        };
        html! {
            svg.spark viewBox=(format!("0 0 {BARS} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(label) {
                title { (label) }
                path d=(path) {}
            }
        }
    }
}

/// Whom it is worth to look at.
fn open() -> Filter {
    Filter { statuses: Status::ALL.into_iter().filter(|status| status.fires()).collect(), ..Filter::default() }
}

impl Sparks {
    /// Takes what the counts of the newest open incidents rose by; forgets the others.
    pub fn look(&self, board: &Board, now: Time) {
        let incidents = board.list(&open(), 0, FOLLOWED).incidents;
        let mut courses = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let mut fresh = HashMap::with_capacity(incidents.len());
        for packed in incidents {
            let Ok(incident) = codec::read_incident(&packed.text()) else { continue };
            let course = match courses.remove(&incident.id) {
                Some(mut course) => {
                    course.turn(now);
                    course.reach(incident.occurrence_count, incident.last_seen_at.max(course.at).min(now));
                    course
                }
                None => Course::of(&incident, now),
            };
            fresh.insert(incident.id, course);
        }
        *courses = fresh;
    }

    pub fn of(&self, incident: &Incident, now: Time) -> Course {
        let courses = self.0.read().unwrap_or_else(PoisonError::into_inner);
        match courses.get(&incident.id) {
            Some(course) => {
                let mut course = course.clone();
                course.turn(now);
                // What came since the last look.
                course.reach(incident.occurrence_count, incident.last_seen_at.max(course.at).min(now));
                course
            }
            None => Course::of(incident, now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::incident::tests::incident;
    use serde_json::json;

    fn at(minute: i64) -> Time {
        Time(minute * MINUTE)
    }

    #[test]
    fn a_record_alone_tells_its_course() {
        let mut incident = incident();
        (incident.first_seen_at, incident.last_seen_at, incident.occurrence_count) = (at(100), at(120), 13);
        incident.timeline.clear();
        incident.note(at(101), TimelineEvent::Occurrence, None, json!({ "count": 3 }));
        let course = Course::of(&incident, at(130));
        assert_eq!((course.bars[29], course.bars[30]), (2.0, 1.0 + 10.0 / 20.0));
        assert_eq!((course.bars[48], course.bars[49], course.bars[50]), (0.5, 0.5, 0.0));
        assert_eq!(course.bars.iter().sum::<f64>().round(), 13.0);
        let long_ago = Course::of(&incident, at(10_000));
        assert_eq!(long_ago.bars, [0.0; BARS]);
        assert!(long_ago.picture().into_string().contains("none in the last hour"));
    }

    #[test]
    fn what_is_followed_is_exact_and_what_is_over_is_forgotten() {
        let (board, sparks) = (Board::default(), Sparks::default());
        let mut incident = incident();
        let mut put = |count, last, version, status| {
            (incident.occurrence_count, incident.last_seen_at, incident.version, incident.status) =
                (count, last, version, status);
            let record =
                codec::write_output(&crate::model::Output::Incident(incident.clone().into()), &codec::Settings::default());
            board.put_incident(&record.and_then(|record| record.value).expect("a value")).expect("our own JSON");
            incident.clone()
        };
        put(1, at(0), 1, Status::Triggered);
        sparks.look(&board, at(0));
        put(5, at(1), 2, Status::Triggered);
        sparks.look(&board, at(1));
        let last = put(105, at(2), 3, Status::Triggered);
        sparks.look(&board, at(2));
        let course = sparks.of(&last, at(3));
        assert_eq!(course.bars.iter().sum::<f64>(), 105.0);
        assert_eq!(course.bars[BARS - 1], 0.0);
        assert!(course.bars[BARS - 2] >= 50.0, "{:?}", course.bars);
        assert!(course.picture().into_string().contains("105 in the last hour"));
        put(105, at(2), 4, Status::Resolved);
        sparks.look(&board, at(3));
        assert!(sparks.0.read().expect("no panic").is_empty());
    }
}
