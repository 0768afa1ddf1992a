//! `escalation(#{…})`: a policy, its repeats and its hours (SPEC 4.6); the seed's own names are understood beside ours.

use crate::model::{BusinessHours, Level, Repeat, Zone};
use crate::rules::EscalationRule;
use crate::rules::collector::Declarations;
use crate::rules::declaration::{Common, Declared, Listed, Makes, array_or_closure};
use crate::rules::diagnostic::suggest;
use crate::rules::hours::{self, minute_of_day};
use crate::rules::kind::Kind;
use crate::rules::level;
use crate::rules::matcher::Field;
use crate::rules::reader::Reader;
use crate::rules::where_clause;
use rhai::Array;
use std::cell::RefCell;

const REMEDY: &str = "write `levels: [level(0, [schedule(\"llm-primary\")]), level(15, [team(\"llm\")])]`";
const NO_INTERVAL: &str = "`repeat` needs `interval_minutes` above 0: without it the last level's delay counts, and that is 0";

/// Keys within keys.
pub(super) const REPEAT: [&str; 3] = ["enabled", "count", "interval_minutes"];
pub(super) const BUSINESS_HOURS: [&str; 5] = ["zone", "timezone", "days", "start", "end"];

impl Kind for EscalationRule {
    type Made = Level;
    const WORD: &'static str = "escalation";
    const KEYS: &'static [&'static str] = &[
        "levels",
        "repeat",
        "business_hours",
        "ack_timeout_minutes",
        "escalate_after_ack",
        // The seed's.
        "services",
        "severity",
        "environment",
        "business_hours_only",
        "timezone",
    ];
    const MAKES: &'static str = "levels";
    const EXAMPLE: &'static str = "for example `[level(0, [team(\"llm\")])]`";

    fn declared(declarations: &Declarations) -> &RefCell<Vec<Declared<EscalationRule>>> {
        &declarations.escalations
    }

    fn read(reader: &mut Reader, mut common: Common) -> (EscalationRule, Common, Option<Makes<Level>>) {
        for (key, field) in [("services", Field::ServiceId), ("severity", Field::Severity), ("environment", Field::Environment)] {
            where_clause::read_beside(reader, key, field, &mut common.matcher);
        }
        let levels = read_levels(reader);
        let fixed = match &levels {
            Some(Makes::Fixed(fixed)) => Some(fixed.as_slice()),
            _ => None,
        };
        let rule = EscalationRule {
            name: common.name.clone(),
            priority: common.priority,
            enabled: common.enabled,
            description: common.description.clone(),
            repeat: read_repeat(reader, fixed),
            business_hours: read_business_hours(reader),
            ack_timeout_minutes: reader.positive("ack_timeout_minutes"),
            escalate_after_ack: reader.flag("escalate_after_ack", false),
        };
        (rule, common, levels)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn priority(&self) -> i64 {
        self.priority
    }

    fn enabled(&self) -> bool {
        self.enabled
    }

    fn takes_all(&self) -> bool {
        true
    }

    fn levels(made: &[Level]) -> &[Level] {
        made
    }

    fn made(&self, items: &Array) -> Result<Vec<Level>, String> {
        let levels = level::made(items)?;
        match self.repeat.is_some_and(|repeat| !levels.is_empty() && repeat.interval(&levels) == 0) {
            true => Err(NO_INTERVAL.to_owned()),
            false => Ok(levels),
        }
    }
}

fn read_levels(reader: &mut Reader) -> Option<Makes<Level>> {
    let items = match array_or_closure(reader, "levels", REMEDY)? {
        Listed::Closure(function) => return Some(Makes::Closure(function)),
        Listed::Items(items) => items,
    };
    if items.is_empty() {
        reader.error("levels", "`levels` is empty: the policy would tell nobody".to_owned(), REMEDY);
    }
    let (levels, findings) = level::read_all(&items, reader.place());
    let sound = !findings.iter().any(|finding| finding.error);
    reader.findings.extend(findings);
    sound.then_some(Makes::Fixed(levels))
}

fn read_repeat(reader: &mut Reader, levels: Option<&[Level]>) -> Option<Repeat> {
    let mut inner = reader.inner("repeat", &REPEAT)?;
    let enabled = inner.flag("enabled", true);
    if !inner.has("count") {
        inner.missing("count", "write `repeat: #{ count: 2, interval_minutes: 15 }`");
    }
    let count = inner.positive("count").unwrap_or(1);
    let given = inner.has("interval_minutes");
    let last = levels.and_then(|levels| levels.last()).map(|level| level.delay_minutes);
    let interval_minutes = inner.positive("interval_minutes").or(last);
    reader.close(inner);
    if enabled && !given && last == Some(0) {
        reader.error("repeat", NO_INTERVAL.to_owned(), "write `repeat: #{ count: 2, interval_minutes: 15 }`");
    }
    enabled.then_some(Repeat { count, interval_minutes })
}

fn read_business_hours(reader: &mut Reader) -> Option<BusinessHours> {
    let only = reader.has("business_hours_only").then(|| reader.flag("business_hours_only", true));
    let beside = reader.has("timezone").then(|| read_zone(reader, "timezone")).flatten();
    let given = reader.has("business_hours");
    let Some(mut inner) = reader.inner("business_hours", &BUSINESS_HOURS) else {
        if only == Some(true) && !given {
            let remedy =
                "add `business_hours: #{ zone: \"Europe/Berlin\", days: [1, 2, 3, 4, 5], start: \"09:00\", end: \"17:00\" }`";
            reader.error("business_hours_only", "`business_hours_only` needs `business_hours`".to_owned(), remedy);
        }
        return None;
    };
    let own = ["zone", "timezone"].map(|key| inner.has(key).then(|| read_zone(&mut inner, key)).flatten());
    let [zone, timezone] = own;
    let days = read_days(&mut inner);
    let [start, end] = ["start", "end"].map(|key| read_minute(&mut inner, key));
    if let (Some(start), Some(end)) = (start, end)
        && start >= end
    {
        let help = "the hours of a day lie between two midnights; for a night write two policies, or `24:00` for its end";
        inner.error("end", "`end` must be later than `start`".to_owned(), help);
    }
    reader.close(inner);
    let zone = zone.or(timezone).or(beside).unwrap_or_else(|| "UTC".to_owned());
    let hours = BusinessHours { zone, days, start_minute: start?, end_minute: end? };
    (only != Some(false)).then_some(hours)
}

fn read_zone(reader: &mut Reader, key: &str) -> Option<String> {
    let name = reader.text(key, "write an IANA name such as \"Europe/Berlin\"")?;
    if Zone::named(&name).is_none() {
        reader.error(key, format!("there is no time zone `{name}`"), &no_zone(&name));
    }
    Some(name)
}

/// What a zone that does not exist may have been meant to be.
pub(super) fn no_zone(name: &str) -> String {
    let names = Zone::names();
    match suggest(name, names.iter().map(String::as_str)) {
        near if near.starts_with("did") => near,
        _ => "zones have IANA names such as \"Europe/Berlin\", \"America/New_York\" or \"UTC\"".to_owned(),
    }
}

fn read_days(reader: &mut Reader) -> [bool; 7] {
    const REMEDY: &str = "write for example `days: [1, 2, 3, 4, 5]`: 0 is Sunday, 6 Saturday";
    let Some(value) = reader.take("days") else { return [true; 7] };
    let Ok(items) = value.clone().try_cast_result::<Array>() else {
        reader.wrong("days", "an array", &value, REMEDY);
        return [true; 7];
    };
    let mut days = [false; 7];
    for (index, item) in items.iter().enumerate() {
        let named = item.as_immutable_string_ref().ok().and_then(|name| hours::day_named(&name));
        let number = item.as_int().ok().and_then(|day| usize::try_from(day).ok()).filter(|day| *day < 7);
        match number.or(named) {
            Some(day) => days[day] = true,
            None => {
                let message = format!("a day is a number from 0 to 6, not {}", crate::rules::channel::described(item));
                reader.note(true, false, format!("{}[{index}]", reader.path_of("days")), message, Some(REMEDY.to_owned()));
            }
        }
    }
    if items.is_empty() {
        reader.error("days", "`days` is empty: the policy would never tell anybody".to_owned(), REMEDY);
    }
    days
}

fn read_minute(reader: &mut Reader, key: &str) -> Option<u16> {
    let remedy = format!("write for example `{key}: \"09:00\"`");
    if !reader.has(key) {
        reader.missing(key, &remedy);
    }
    let text = reader.text(key, &remedy)?;
    let minute = minute_of_day(&text);
    if minute.is_none() {
        reader.error(key, format!("`{key}` must be a time of day from 00:00 to 24:00, not \"{text}\""), &remedy);
    }
    minute
}
