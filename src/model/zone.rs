//! A time zone of the IANA database that is part of the program: wall clocks, and when they jump.
//!
//! Invariant: never the system's database, so that the same log gives the same pages on every machine.

use crate::model::Time;
use jiff::civil::DateTime;
use jiff::tz::{AmbiguousOffset, TimeZone, TimeZoneDatabase};
use jiff::{SignedDuration, Timestamp};

#[derive(Clone, Debug, PartialEq)]
pub struct Zone(TimeZone);

impl Default for Zone {
    fn default() -> Zone {
        Zone(TimeZone::UTC)
    }
}

impl Zone {
    /// By its IANA name, such as `Europe/Berlin`, in any letter case.
    pub fn named(name: &str) -> Option<Zone> {
        TimeZoneDatabase::bundled().get(name).ok().map(Zone)
    }

    /// The names of all zones, for a suggestion.
    pub fn names() -> Vec<String> {
        TimeZoneDatabase::bundled().available().map(|name| name.as_str().to_owned()).collect()
    }

    /// What the clock on the wall shows; none beyond the years −9999 to 9999.
    pub fn local(&self, at: Time) -> Option<DateTime> {
        let at = timestamp(at)?;
        Some(self.0.to_offset(at).to_datetime(at))
    }

    /// The first moment at which the clock on the wall shows this time, or has jumped over it.
    pub fn first(&self, local: DateTime) -> Option<Time> {
        let at = match self.0.to_ambiguous_timestamp(local).offset() {
            // Both clocks show it: the one before the change shows it first.
            AmbiguousOffset::Unambiguous { offset } | AmbiguousOffset::Fold { before: offset, .. } => {
                offset.to_timestamp(local).ok()?
            }
            // By the clock before the change it would come after the change: that is when it is jumped over.
            AmbiguousOffset::Gap { before, .. } => {
                let never = before.to_timestamp(local).ok()?;
                let beyond = never.checked_add(SignedDuration::from_nanos(1)).ok()?;
                self.0.preceding(beyond).next().map_or(never, |change| change.timestamp())
            }
        };
        Some(Time(at.as_millisecond()))
    }

    /// The next moment after `at` at which the clock on the wall may jump.
    pub fn next_change(&self, at: Time) -> Option<Time> {
        let next = self.0.following(timestamp(at)?).next()?;
        Some(Time(next.timestamp().as_millisecond()))
    }
}

fn timestamp(at: Time) -> Option<Timestamp> {
    Timestamp::from_millisecond(at.0).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::civil::date;

    fn at(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    #[test]
    fn a_time_that_is_jumped_over_is_the_jump_and_one_that_comes_twice_is_its_first() {
        let berlin = Zone::named("europe/berlin").unwrap();
        for (local, moment) in [
            (date(2026, 3, 29).at(1, 59, 0, 0), "2026-03-29T00:59:00Z"),
            (date(2026, 3, 29).at(2, 0, 0, 0), "2026-03-29T01:00:00Z"),
            (date(2026, 3, 29).at(2, 59, 0, 0), "2026-03-29T01:00:00Z"),
            (date(2026, 3, 29).at(3, 0, 0, 0), "2026-03-29T01:00:00Z"),
            (date(2026, 10, 25).at(2, 30, 0, 0), "2026-10-25T00:30:00Z"),
            (date(2026, 10, 25).at(3, 0, 0, 0), "2026-10-25T02:00:00Z"),
        ] {
            assert_eq!(berlin.first(local), Some(at(moment)), "{local}");
        }
        assert_eq!(berlin.next_change(at("2026-01-01T00:00:00Z")), Some(at("2026-03-29T01:00:00Z")));
    }

    #[test]
    fn what_is_no_zone_or_no_time_is_none() {
        assert_eq!(Zone::named("Europe/Atlantis"), None);
        assert_eq!(Zone::named("UTC").unwrap().local(Time::NEVER), None);
        assert_eq!(Zone::named("UTC").unwrap().next_change(at("2026-01-01T00:00:00Z")), None);
        assert!(Zone::names().len() > 400);
    }
}
