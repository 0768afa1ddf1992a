//! Who is on call when: rotations that hand over by the wall clock, layers, overrides (SPEC 4.6, 5).
//!
//! The shifts of a layer lie end to end from an anchor on, all of one length of the wall clock: on the night of a change of
//! the clock one is an hour shorter or longer, and the hand-off stays at its time. A hand-off that the clock jumps over is at
//! the jump; one that it shows twice is at the first.

use crate::model::{Time, Zone};
use crate::rules::hours::Hours;
use jiff::SignedDuration;
use jiff::civil::DateTime;

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Schedule {
    pub zone: Zone,
    /// Later ones lie over earlier ones.
    pub layers: Vec<Layer>,
    /// Of those that overlap the last one counts.
    pub overrides: Vec<Override>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Override {
    pub user: String,
    pub start: Time,
    /// Excluded.
    pub end: Time,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Layer {
    /// One at least; they take shifts in this order.
    pub users: Vec<String>,
    pub rotation: Rotation,
    /// Nobody before it. The first user's shift is the one that it falls in.
    pub start: Option<Time>,
    /// Outside of them nobody of this layer.
    pub hours: Option<Hours>,
}

/// When one shift ends and the next begins.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Rotation {
    /// A hand-off.
    pub anchor: DateTime,
    /// Of a shift, by the wall clock; at least [`LEAST_MINUTES`].
    pub minutes: i64,
}

/// A shift shorter than this is surely a mistake.
pub(super) const LEAST_MINUTES: i64 = 60;
/// No change of a clock is longer than a day, so no more shifts of the least length lie within one.
const MOST_REPEATED: usize = 25;

impl Schedule {
    pub fn on_call(&self, at: Time) -> Option<String> {
        let covers = |over: &&Override| over.start <= at && at < over.end;
        if let Some(over) = self.overrides.iter().rev().find(covers) {
            return Some(over.user.clone());
        }
        self.layers.iter().rev().find_map(|layer| layer.on_call(&self.zone, at)).map(str::to_owned)
    }
}

impl Layer {
    fn on_call(&self, zone: &Zone, at: Time) -> Option<&str> {
        if self.start.is_some_and(|start| at < start) {
            return None;
        }
        let local = zone.local(at)?;
        if self.hours.as_ref().is_some_and(|hours| !hours.hold(local)) {
            return None;
        }
        if let [only] = self.users.as_slice() {
            return Some(only);
        }
        let first = self.start.map_or(Some(0), |start| self.rotation.shift(zone, start))?;
        let turn = self.rotation.shift(zone, at)? - first;
        let turn = usize::try_from(turn.rem_euclid(i64::try_from(self.users.len()).ok()?)).ok()?;
        self.users.get(turn).map(String::as_str)
    }
}

impl Rotation {
    /// The number of the shift that a moment falls in; 0 begins at the anchor.
    fn shift(&self, zone: &Zone, at: Time) -> Option<i64> {
        let since = self.anchor.duration_until(zone.local(at)?);
        let mut shift = since.as_secs().div_euclid(self.minutes * 60);
        // A clock that was turned back shows an hour again whose hand-offs are over.
        for _ in 0..MOST_REPEATED {
            match self.begins(zone, shift + 1) {
                Some(next) if next <= at => shift += 1,
                _ => break,
            }
        }
        Some(shift)
    }

    fn begins(&self, zone: &Zone, shift: i64) -> Option<Time> {
        let after = SignedDuration::from_secs(shift.checked_mul(self.minutes * 60)?);
        zone.first(self.anchor.checked_add(after).ok()?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::{DAY, HOUR, MINUTE};
    use crate::rules::{People, RuleSource};
    use proptest::prelude::*;

    fn at(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    /// `schedules.toml` with one schedule `s`, of users a, b and c.
    fn people(layers: &str) -> People {
        let users = ["a", "b", "c"].map(|user| format!("[users.{user}]\nslack = \"U{user}\"\n")).concat();
        let files = [("users.toml", users), ("schedules.toml", layers.to_owned())];
        let files = files.map(|(path, text)| (path.to_owned(), text)).into();
        let mut found = Vec::new();
        let (people, sound) = People::load(&RuleSource { files }, &mut found);
        assert!(sound, "{found:?}");
        people
    }

    fn check(schedule: &str, asked: &[(&str, &str)]) {
        let people = people(schedule);
        for (moment, user) in asked {
            assert_eq!(people.on_call("s", at(moment)).concat(), *user, "{moment} of {schedule}");
        }
    }

    #[test]
    fn weeks_are_handed_over_on_their_day_by_the_wall_clock() {
        check(
            "[schedules.s]\nzone = \"Europe/Berlin\"\n[[schedules.s.layers]]\nusers = [\"a\", \"b\"]\nrotation = \"weekly\"\n\
             handoff = \"Mon 09:00\"\nstart = 2026-01-05",
            &[
                ("2026-01-05T07:59:59.999Z", ""),
                ("2026-01-05T08:00:00Z", "a"),
                ("2026-01-12T07:59:59.999Z", "a"),
                ("2026-01-12T08:00:00Z", "b"),
                ("2026-01-19T08:00:00Z", "a"),
                // 2026-03-29 is the change to summer time: 09:00 is 07:00 UTC from then on.
                ("2026-03-30T06:59:59.999Z", "b"),
                ("2026-03-30T07:00:00Z", "a"),
                ("2026-10-26T07:59:59.999Z", "b"),
                ("2026-10-26T08:00:00Z", "a"),
            ],
        );
    }

    #[test]
    fn days_and_lengths_keep_their_hour_over_a_change_of_the_clock() {
        check(
            "[schedules.s]\nzone = \"America/New_York\"\n[[schedules.s.layers]]\nusers = [\"a\", \"b\", \"c\"]\n\
             rotation = \"daily\"\nhandoff = \"02:30\"\nstart = 2026-03-06",
            &[
                ("2026-03-06T07:30:00Z", "a"),
                ("2026-03-07T07:30:00Z", "b"),
                // On the 8th 02:30 is jumped over: the hand-off is at the jump, 07:00 UTC.
                ("2026-03-08T06:59:59Z", "b"),
                ("2026-03-08T07:00:00Z", "c"),
                ("2026-03-09T06:29:59Z", "c"),
                ("2026-03-09T06:30:00Z", "a"),
            ],
        );
        check(
            "[schedules.s]\nzone = \"Europe/Berlin\"\n[[schedules.s.layers]]\nusers = [\"a\", \"b\"]\n\
             rotation = \"12h\"\nhandoff = \"02:30\"\nstart = 2026-10-24T14:30:00",
            &[
                ("2026-10-24T12:29:59Z", ""),
                ("2026-10-24T12:30:00Z", "a"),
                // 02:30 comes twice on the 25th: handed over at the first.
                ("2026-10-25T00:29:59Z", "a"),
                ("2026-10-25T00:30:00Z", "b"),
                ("2026-10-25T01:15:00Z", "b"),
                ("2026-10-25T13:29:59Z", "b"),
                ("2026-10-25T13:30:00Z", "a"),
            ],
        );
    }

    #[test]
    fn the_shift_that_the_start_falls_in_is_the_first_users() {
        let layer = |start: &str| {
            format!(
                "[[schedules.s.layers]]\nusers = [\"a\", \"b\"]\nrotation = \"weekly\"\nhandoff = \"Mon 09:00\"\nstart = {start}"
            )
        };
        for start in ["2026-01-08T12:00:00Z", "\"2026-01-08T13:00+01:00\"", "\"2026-01-08 12:00\""] {
            let asked = [("2026-01-08T11:59:59Z", ""), ("2026-01-08T12:00:00Z", "a"), ("2026-01-12T09:00:00Z", "b")];
            check(&layer(start), &asked);
        }
        // Without a hand-off it is that of the start; without a day its day.
        let daily = "[[schedules.s.layers]]\nusers = [\"a\", \"b\"]\nrotation = \"daily\"\nstart = 2026-01-08T12:00:00Z";
        check(daily, &[("2026-01-09T11:59:59Z", "a"), ("2026-01-09T12:00:00Z", "b")]);
        let weekly =
            "[[schedules.s.layers]]\nusers = [\"a\", \"b\"]\nrotation = \"weekly\"\nhandoff = \"09:00\"\nstart = 2026-01-08";
        check(weekly, &[("2026-01-15T08:59:59Z", "a"), ("2026-01-15T09:00:00Z", "b")]);
        check("[[schedules.s.layers]]\nusers = [\"a\"]", &[("1960-01-01T00:00:00Z", "a"), ("2026-01-01T00:00:00Z", "a")]);
    }

    #[test]
    fn later_layers_lie_over_earlier_ones_where_they_have_somebody_and_overrides_over_all() {
        check(
            "[schedules.s]\nzone = \"Europe/Berlin\"\n\
             [[schedules.s.layers]]\nusers = [\"a\"]\n\
             [[schedules.s.layers]]\nusers = [\"b\"]\nstart = 2026-01-06\nhours = \"Mon-Fri 22:00-06:00\"\n\
             [[schedules.s.overrides]]\nuser = \"c\"\nstart = 2026-01-07T12:00:00\nend = 2026-01-08T00:00:00+01:00\n\
             [[schedules.s.overrides]]\nuser = \"a\"\nstart = \"2026-01-07T22:00\"\nend = \"2026-01-07T22:30\"",
            &[
                ("2026-01-05T22:00:00Z", "a"),
                ("2026-01-06T20:59:59Z", "a"),
                ("2026-01-06T21:00:00Z", "b"),
                ("2026-01-07T04:59:59Z", "b"),
                ("2026-01-07T05:00:00Z", "a"),
                ("2026-01-07T11:00:00Z", "c"),
                ("2026-01-07T21:15:00Z", "a"),
                ("2026-01-07T21:30:00Z", "c"),
                ("2026-01-07T23:00:00Z", "b"),
                ("2026-01-10T22:00:00Z", "a"),
            ],
        );
        assert_eq!(people("").on_call("s", Time(0)), [""; 0]);
        check("[[schedules.s.layers]]\nusers = [\"a\"]", &[("9999-12-31T23:59:59Z", "")]);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

        /// From its start on a layer always has one of its users, each hand-off passes to the next in order and is at its
        /// time of the wall clock, and an override wins while it lasts.
        #[test]
        fn somebody_is_always_on_call_and_hands_over_at_the_right_hour(
            zone in proptest::sample::select(vec!["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "UTC"]),
            (rotation, every) in proptest::sample::select(vec![("daily", DAY), ("weekly", 7 * DAY), ("12h", 12 * HOUR), ("8h", 8 * HOUR)]),
            hour in 4..24_i64,
            days in 0..700_i64,
            minutes in 0..(24 * 60_i64),
        ) {
            let handoff = format!("{:02}:00", hour);
            let layer = format!(
                "[schedules.s]\nzone = \"{zone}\"\n[[schedules.s.layers]]\nusers = [\"a\", \"b\", \"c\"]\n\
                 rotation = \"{rotation}\"\nhandoff = \"{handoff}\"\nstart = 2026-01-05\n"
            );
            let asked = at("2026-01-06T12:00:00Z").after(days * DAY + minutes * MINUTE);
            let without = people(&layer);
            let now = without.on_call("s", asked).concat();
            prop_assert!(["a", "b", "c"].contains(&now.as_str()), "{} at {}", now, asked);
            // The next hand-off, to the minute; a night of changed clocks moves it by an hour at most.
            let moment = |minutes: i64| asked.after(minutes * MINUTE);
            let most = (every + 2 * HOUR) / MINUTE;
            let same: Vec<i64> = (1..=most).collect();
            let next = same.partition_point(|minutes| without.on_call("s", moment(*minutes)).concat() == now);
            let handed = moment(same[next]);
            let after = without.on_call("s", handed).concat();
            prop_assert_eq!(after.as_bytes()[0] - b'a', (now.as_bytes()[0] - b'a' + 1) % 3, "from {} to {}", now, after);
            let local = Zone::named(zone).unwrap().local(Time(handed.0 - handed.0.rem_euclid(MINUTE))).unwrap();
            let of_day = i64::from(local.hour()) * 60 + i64::from(local.minute());
            let period = (every / MINUTE).min(24 * 60);
            // Hand-offs at 1 to 3 o'clock may fall on a jump.
            if !(60..=180).contains(&of_day) {
                prop_assert_eq!(of_day.rem_euclid(period), (hour * 60).rem_euclid(period), "{}", local);
            }
            let over = format!("{layer}[[schedules.s.overrides]]\nuser = \"c\"\nstart = {asked}\nend = {}\n", moment(60));
            let with = people(&over);
            prop_assert_eq!(with.on_call("s", asked), ["c"]);
            prop_assert_eq!(with.on_call("s", moment(60)), without.on_call("s", moment(60)));
        }
    }
}
