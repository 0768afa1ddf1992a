//! Reads `schedules.toml`: what a layer leaves out, and what it cannot mean.

use crate::model::{Time, Zone};
use crate::rules::beside::{Part, Span};
use crate::rules::escalation::no_zone;
use crate::rules::hours::{Hours, day_named, minute_of_day};
use crate::rules::schedule::{LEAST_MINUTES, Layer, Override, Rotation, Schedule};
use crate::rules::schedule_check;
use jiff::civil::{Date, DateTime, date};
use jiff::{Span as Length, Timestamp};
use std::collections::BTreeMap;

const MOST_SCHEDULES: usize = 10_000;
/// Looked at for gaps and overlaps.
const MOST_CHECKED: usize = 500;
const MOST_LAYERS: usize = 50;
const MOST_USERS: usize = 1_000;
const MOST_OVERRIDES: usize = 1_000;
const DAY: i64 = 24 * 60;
const START: &str = "write for example `start = 2026-01-05` or `start = \"2026-01-05T09:00\"`";
const HOURS: &str = "write for example `hours = \"09:00-17:00\"` or `hours = \"Mon-Fri 22:00-06:00\"`";
const HANDOFF: &str = "write for example `handoff = \"09:00\"`, or with its day `handoff = \"Mon 09:00\"` for whole weeks";

/// Handed each user that is named, to be looked up.
pub(super) fn read(root: &Part<'_>, check: impl Fn(&Part<'_>, &str, Span)) -> BTreeMap<String, Schedule> {
    root.know(&["schedules"]);
    let mut schedules = BTreeMap::new();
    for (number, (id, part)) in root.named("schedules", MOST_SCHEDULES).into_iter().enumerate() {
        part.know(&["zone", "layers", "overrides"]);
        let zone = read_zone(&part);
        if !part.has("layers") {
            part.missing("layers", &format!("add `[[schedules.{id}.layers]]` with `users`"));
        }
        let layers = part.list("layers", MOST_LAYERS);
        if part.lists_nothing("layers") {
            part.wrong("layers", "one layer at least", &format!("add `[[schedules.{id}.layers]]` with `users`"));
        }
        let (layers, at_layers): (Vec<Layer>, Vec<Span>) =
            layers.iter().filter_map(|layer| Some((read_layer(layer, &zone, &check)?, layer.span()))).unzip();
        let overrides = part.list("overrides", MOST_OVERRIDES);
        let (overrides, at_overrides): (Vec<Override>, Vec<Span>) =
            overrides.iter().filter_map(|over| Some((read_override(over, &zone, &check)?, over.span()))).unzip();
        let schedule = Schedule { zone, layers, overrides };
        if number < MOST_CHECKED {
            schedule_check::check(&part, &schedule, &at_layers, &at_overrides);
        }
        schedules.insert(id.to_owned(), schedule);
    }
    schedules
}

/// Default UTC.
fn read_zone(part: &Part<'_>) -> Zone {
    let utc = Zone::default;
    let Some(name) = part.text("zone", "write an IANA name such as \"Europe/Berlin\"") else { return utc() };
    Zone::named(name).unwrap_or_else(|| {
        part.error(part.span_of("zone"), format!("there is no time zone `{name}`"), &no_zone(name));
        utc()
    })
}

/// None where something is wrong, which is noted.
fn read_layer(part: &Part<'_>, zone: &Zone, check: &impl Fn(&Part<'_>, &str, Span)) -> Option<Layer> {
    const USERS: &str = "write for example `users = [\"alice\", \"bob\"]`";
    const ROTATION: &str = "write `rotation = \"daily\"`, `\"weekly\"`, or a length such as `\"12h\"`";
    part.know(&["users", "rotation", "handoff", "start", "hours"]);
    let users = part.texts("users", MOST_USERS, USERS);
    if !part.has("users") {
        part.missing("users", USERS);
    } else if users.is_empty() {
        part.wrong("users", "one user at least", USERS);
    }
    for (user, span) in &users {
        check(part, user, span.clone());
    }
    if users.len() > 1 {
        // Whose turn it is cannot be told without them.
        for (key, help) in [("rotation", ROTATION), ("start", START)] {
            if !part.has(key) {
                part.missing(key, help);
            }
        }
    }
    // All of them are looked at before one that is wrong ends it.
    let minutes = given(
        part,
        "rotation",
        || part.text("rotation", ROTATION),
        |text| {
            let minutes = read_rotation(text);
            if minutes.is_none() {
                part.wrong("rotation", &format!("daily, weekly, or a length of {LEAST_MINUTES} minutes or more"), ROTATION);
            }
            minutes
        },
    );
    let handoff = given(
        part,
        "handoff",
        || part.text("handoff", HANDOFF),
        |text| {
            let handoff = read_handoff(text);
            if handoff.is_none() {
                part.wrong("handoff", "a time of day, such as \"09:00\" or \"Mon 09:00\"", HANDOFF);
            }
            handoff
        },
    );
    let minute = handoff.flatten().map(|(_, minute)| minute);
    let start = given(
        part,
        "start",
        || part.moment("start", START),
        |text| {
            let start = read_start(&text, zone, minute);
            if start.is_none() {
                part.wrong("start", "a date or a moment", START);
            }
            start
        },
    );
    let hours = given(
        part,
        "hours",
        || part.text("hours", HOURS),
        |text| {
            let hours = Hours::parse(text);
            if hours.is_none() {
                part.wrong("hours", "two times of day that differ, with days before them or without", HOURS);
            }
            hours
        },
    );
    let (minutes, handoff, start, hours) = (minutes?.unwrap_or(DAY), handoff?, start?, hours?);
    if handoff.is_some_and(|(day, _)| day.is_some()) && minutes % (7 * DAY) != 0 {
        part.error(part.span_of("handoff"), "only shifts of whole weeks are handed over on a day".to_owned(), HANDOFF);
        return None;
    }
    let rotation = Rotation { anchor: anchor(start.map(|start| start.1), handoff, minutes)?, minutes };
    let users: Vec<String> = users.into_iter().map(|(user, _)| user.to_owned()).collect();
    (!users.is_empty()).then(|| Layer { users, rotation, start: start.map(|start| start.0), hours })
}

/// What a key says: `Some(None)` where it is left out, `None` where it is wrong, which is noted.
fn given<T, U>(
    part: &Part<'_>,
    key: &str,
    take: impl FnOnce() -> Option<T>,
    read: impl FnOnce(T) -> Option<U>,
) -> Option<Option<U>> {
    match take() {
        Some(value) => read(value).map(Some),
        None => (!part.has(key)).then_some(None),
    }
}

/// In minutes of the wall clock.
fn read_rotation(text: &str) -> Option<i64> {
    let text = text.trim().to_lowercase();
    let (number, unit) = match text.as_str() {
        "daily" => ("1", "d"),
        "weekly" => ("1", "w"),
        _ => text.split_at(text.find(|c: char| !c.is_ascii_digit())?),
    };
    let unit = match unit {
        "m" => 1,
        "h" => 60,
        "d" => DAY,
        "w" => 7 * DAY,
        _ => return None,
    };
    let number: i64 = number.parse().ok().filter(|number| *number <= 1_000_000)?;
    Some(number * unit).filter(|minutes| (LEAST_MINUTES..=366 * DAY).contains(minutes))
}

/// The day, 0 = Sunday, where there is one, and the minute of the day.
fn read_handoff(text: &str) -> Option<(Option<usize>, u16)> {
    let (day, time) = match text.trim().split_once(' ') {
        Some((day, time)) => (Some(day_named(day)?), time.trim()),
        None => (None, text.trim()),
    };
    let minute = minute_of_day(time).filter(|minute| i64::from(*minute) < DAY)?;
    Some((day, minute))
}

/// The moment, and the wall clock's time then; a date alone means its hand-off.
fn read_start(text: &str, zone: &Zone, minute: Option<u16>) -> Option<(Time, DateTime)> {
    if let Ok(day) = only_date(text) {
        let local = day.to_datetime(time_of(minute.unwrap_or_default())?);
        return Some((zone.first(local)?, local));
    }
    let at = moment(text, zone)?;
    Some((at, zone.local(at)?))
}

/// The hand-off at or before the start.
fn anchor(start: Option<DateTime>, handoff: Option<(Option<usize>, u16)>, minutes: i64) -> Option<DateTime> {
    // A Monday, where nothing says when it began.
    let from = start.unwrap_or_else(|| date(1970, 1, 5).at(23, 59, 59, 0));
    let time = match handoff {
        Some((_, minute)) => time_of(minute)?,
        None if start.is_some() => from.time(),
        None => time_of(0)?,
    };
    let back = |anchor: DateTime, days: i64| anchor.checked_sub(Length::new().days(days)).ok();
    let mut anchor = from.date().to_datetime(time);
    if let Some((Some(day), _)) = handoff {
        let today = i64::from(anchor.weekday().to_sunday_zero_offset());
        anchor = back(anchor, (today - i64::try_from(day).ok()?).rem_euclid(7))?;
    }
    if anchor > from {
        // Shifts of whole weeks are handed over on one day of the week.
        anchor = back(anchor, if minutes % (7 * DAY) == 0 { 7 } else { 1 })?;
    }
    Some(anchor)
}

fn read_override(part: &Part<'_>, zone: &Zone, check: &impl Fn(&Part<'_>, &str, Span)) -> Option<Override> {
    part.know(&["user", "start", "end"]);
    for key in ["user", "start", "end"].into_iter().filter(|key| !part.has(key)) {
        part.missing(key, "write `user = \"alice\"`, `start` and `end` such as `2026-01-05T09:00:00`");
    }
    let user = part.text("user", "write the user's id in quotes");
    if let Some(user) = user {
        check(part, user, part.span_of("user"));
    }
    let [start, end] = ["start", "end"].map(|key| {
        let at = moment(&part.moment(key, START)?, zone);
        if at.is_none() {
            part.wrong(key, "a date or a moment", &START.replace("start", key));
        }
        at
    });
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        part.error(part.span_of("end"), "`end` must be later than `start`".to_owned(), "the end is not part of it any more");
    }
    Some(Override { user: user?.to_owned(), start: start?, end: end? })
}

/// With an offset, or by the schedule's own clock; a date is its midnight.
fn moment(text: &str, zone: &Zone) -> Option<Time> {
    let exact = Time::parse(text).or_else(|| text.parse::<Timestamp>().ok().map(|at| Time(at.as_millisecond())));
    exact.or_else(|| zone.first(text.parse::<DateTime>().ok()?))
}

fn only_date(text: &str) -> Result<Date, jiff::Error> {
    Date::strptime("%Y-%m-%d", text.trim())
}

fn time_of(minute: u16) -> Option<jiff::civil::Time> {
    jiff::civil::Time::new((minute / 60).try_into().ok()?, (minute % 60).try_into().ok()?, 0, 0).ok()
}
