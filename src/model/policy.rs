//! What an escalation policy is made of: levels, their targets, repeats, business hours; and a person to be reached (SPEC
//! 3.5, 4.6).

use crate::model::zone::Zone;
use crate::model::{Time, time};
use jiff::Span;
use jiff::civil::{DateTime, Weekday};
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

/// Whom a level tells, by an id of the people's files; who that is is worked out when the level fires.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Target {
    #[serde(rename = "type")]
    pub kind: TargetKind,
    pub id: String,
    /// Of a user only, as in the seed: it goes before the address of the people's files, and does for a user without one.
    #[serde(default)]
    pub email: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TargetKind {
    User,
    Schedule,
    SlackChannel,
    Team,
}

impl TargetKind {
    pub const ALL: [TargetKind; 4] = [TargetKind::User, TargetKind::Schedule, TargetKind::SlackChannel, TargetKind::Team];

    pub fn name(self) -> &'static str {
        match self {
            TargetKind::User => "user",
            TargetKind::Schedule => "schedule",
            TargetKind::SlackChannel => "slack_channel",
            TargetKind::Team => "team",
        }
    }

    pub fn named(name: &str) -> Option<TargetKind> {
        TargetKind::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// Somebody to be told: a user with the addresses known, or a channel.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Person {
    /// `User` or `SlackChannel`.
    #[serde(rename = "type")]
    pub kind: TargetKind,
    pub id: String,
    #[serde(default)]
    pub email: Option<String>,
    #[serde(default)]
    pub phone: Option<String>,
    #[serde(default)]
    pub slack: Option<String>,
}

/// In JSON what is not there is left out; the compact form has a place for each.
fn serialize<const N: usize, S: Serializer>(
    serializer: S,
    name: &'static str,
    (kind, id): (TargetKind, &str),
    optional: [(&'static str, &Option<String>); N],
) -> Result<S::Ok, S::Error> {
    let all = !serializer.is_human_readable();
    let written = optional.iter().filter(|(_, value)| all || value.is_some());
    let mut fields = serializer.serialize_struct(name, 2 + written.clone().count())?;
    fields.serialize_field("type", &kind)?;
    fields.serialize_field("id", id)?;
    for (name, value) in written {
        fields.serialize_field(name, value)?;
    }
    fields.end()
}

impl Serialize for Target {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serialize(serializer, "Target", (self.kind, &self.id), [("email", &self.email)])
    }
}

impl Serialize for Person {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let optional = [("email", &self.email), ("phone", &self.phone), ("slack", &self.slack)];
        serialize(serializer, "Person", (self.kind, &self.id), optional)
    }
}

/// One step of a policy. Its number is its place in the list.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Level {
    /// After the start; that of level 0 counts for nothing, it fires at once.
    pub delay_minutes: u64,
    pub targets: Vec<Target>,
}

/// Repeat r of `count` begins at (last level index + r) × the interval after the start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Repeat {
    pub count: u64,
    /// None only where levels come from a closure: then [`Repeat::interval`] of what it returned. Never 0.
    pub interval_minutes: Option<u64>,
}

impl Repeat {
    /// In minutes; never 0 for levels that the rules gave out.
    pub fn interval(&self, levels: &[Level]) -> u64 {
        self.interval_minutes.unwrap_or_else(|| levels.last().map_or(0, |level| level.delay_minutes))
    }
}

/// When a policy may tell people: on its days, from `start_minute` (included) to `end_minute` (excluded) of the wall clock.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct BusinessHours {
    /// An IANA name.
    pub zone: String,
    /// Sunday first.
    pub days: [bool; 7],
    /// Of the day; below `end_minute`, which is 1440 at most.
    pub start_minute: u16,
    pub end_minute: u16,
}

/// So many changes of the clock are looked past; no zone has more in the week that an opening is away at most.
const MOST_CHANGES: usize = 64;

impl BusinessHours {
    /// The first moment from `at` on within the hours: `at` itself when it is. A zone that this version does not know
    /// keeps nobody from being told.
    pub fn next_open(&self, at: Time) -> Time {
        let Some(zone) = Zone::named(&self.zone) else { return at };
        let mut from = at;
        for _ in 0..MOST_CHANGES {
            // Up to its next change the clock only runs on.
            let Some(opens) = zone.local(from).and_then(|local| self.until_open(local)) else { return at };
            let opening = from.after(opens);
            match zone.next_change(from) {
                Some(change) if change <= opening && opens > 0 => from = change,
                _ => return opening,
            }
        }
        at
    }

    /// Milliseconds from a wall clock's time to its next within the hours; none without any day.
    fn until_open(&self, local: DateTime) -> Option<time::Millis> {
        let of_day = local.time().duration_since(jiff::civil::Time::midnight()).as_millis() as time::Millis;
        let (start, end) = (i64::from(self.start_minute) * time::MINUTE, i64::from(self.end_minute) * time::MINUTE);
        // Today's hours may be over; then the same day of next week is the last one to ask.
        (0..=7).find_map(|days: i64| {
            let day = local.checked_add(Span::new().days(days)).ok()?.weekday();
            let open_at = start.max(if days == 0 { of_day } else { 0 });
            (self.days[index(day)] && open_at < end).then(|| days * time::DAY + open_at - of_day)
        })
    }
}

/// 0 = Sunday.
fn index(day: Weekday) -> usize {
    day.to_sunday_zero_offset().unsigned_abs().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    const WEEKDAYS: [bool; 7] = [false, true, true, true, true, true, false];

    fn at(text: &str) -> Time {
        Time::parse(text).unwrap()
    }

    fn hours(zone: &str, days: [bool; 7], start_minute: u16, end_minute: u16) -> BusinessHours {
        BusinessHours { zone: zone.to_owned(), days, start_minute, end_minute }
    }

    #[test]
    fn opens_at_the_next_opening_and_at_once_within_the_hours() {
        let berlin = hours("Europe/Berlin", WEEKDAYS, 9 * 60, 17 * 60);
        for (asked, opens) in [
            ("2026-01-14T10:00:00.001Z", "2026-01-14T10:00:00.001Z"),
            ("2026-01-14T08:00:00Z", "2026-01-14T08:00:00Z"),
            ("2026-01-14T07:59:59.999Z", "2026-01-14T08:00:00Z"),
            ("2026-01-14T15:59:59.999Z", "2026-01-14T15:59:59.999Z"),
            // The end is excluded; Friday's leads to Monday, over the change to summer time too.
            ("2026-01-14T16:00:00Z", "2026-01-15T08:00:00Z"),
            ("2026-01-16T16:00:00Z", "2026-01-19T08:00:00Z"),
            ("2026-03-27T16:00:00Z", "2026-03-30T07:00:00Z"),
            ("2026-10-23T15:00:00Z", "2026-10-26T08:00:00Z"),
        ] {
            assert_eq!(berlin.next_open(at(asked)), at(opens), "{asked}");
        }
    }

    #[test]
    fn a_change_of_the_clock_moves_no_opening() {
        let sunday = [true, false, false, false, false, false, false];
        for (start, end, asked, opens) in [
            // 02:30 is jumped over: open when the clock shows 03:00.
            (150, 240, "2026-03-29T00:00:00Z", "2026-03-29T01:00:00Z"),
            // All of it is jumped over: the week after.
            (120, 180, "2026-03-29T00:00:00Z", "2026-04-05T00:00:00Z"),
            // The clock shows 02:15 to 02:45 twice.
            (135, 165, "2026-10-25T00:20:00Z", "2026-10-25T00:20:00Z"),
            (135, 165, "2026-10-25T00:50:00Z", "2026-10-25T01:15:00Z"),
            (135, 165, "2026-10-25T01:45:00Z", "2026-11-01T01:15:00Z"),
            // The day ends at midnight.
            (0, 1440, "2026-10-24T12:00:00Z", "2026-10-24T22:00:00Z"),
        ] {
            let hours = hours("Europe/Berlin", sunday, start, end);
            assert_eq!(hours.next_open(at(asked)), at(opens), "{start}–{end} {asked}");
        }
    }

    #[test]
    fn what_cannot_be_told_keeps_nobody_waiting() {
        let asked = at("2026-01-14T20:00:00Z");
        assert_eq!(hours("Europe/Atlantis", WEEKDAYS, 0, 60).next_open(asked), asked);
        assert_eq!(hours("UTC", [false; 7], 0, 60).next_open(asked), asked);
        assert_eq!(hours("UTC", WEEKDAYS, 0, 60).next_open(Time::NEVER), Time::NEVER);
    }

    #[test]
    fn both_forms_come_back_and_json_leaves_out_what_is_not_there() {
        let level = Level {
            delay_minutes: 5,
            targets: vec![
                Target { kind: TargetKind::User, id: "alice".to_owned(), email: Some("a@example.com".to_owned()) },
                Target { kind: TargetKind::SlackChannel, id: "#llm".to_owned(), email: None },
            ],
        };
        let json = serde_json::to_string(&level).unwrap();
        assert_eq!(
            json,
            r##"{"delay_minutes":5,"targets":[{"type":"user","id":"alice","email":"a@example.com"},{"type":"slack_channel","id":"#llm"}]}"##
        );
        assert_eq!(serde_json::from_str::<Level>(&json).unwrap(), level);
        let bytes = postcard::to_stdvec(&level).unwrap();
        assert_eq!(postcard::from_bytes::<Level>(&bytes).unwrap(), level);
        let person =
            Person { kind: TargetKind::User, id: "alice".to_owned(), email: None, phone: Some("+49".to_owned()), slack: None };
        assert_eq!(serde_json::to_string(&person).unwrap(), r#"{"type":"user","id":"alice","phone":"+49"}"#);
        let bytes = postcard::to_stdvec(&person).unwrap();
        assert_eq!(postcard::from_bytes::<Person>(&bytes).unwrap(), person);
    }
}
