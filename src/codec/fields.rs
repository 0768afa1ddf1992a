//! The fields of a command or an event: what a text, a moment or a number is there, and how long it may be.
//!
//! As in alerts null and the empty string are a missing value, and of a name that comes twice the last value counts.

use crate::codec::found::expected;
use crate::codec::{Settings, depth, native};
use crate::model::Time;
use serde_json::{Map, Value};

/// Characters of a name: a user, a target, an id.
pub const NAME: usize = 256;
/// Characters of what people write: a note, a resolution, a comment.
pub const PROSE: usize = 16_384;
/// Characters that are kept of an error that a program reports.
pub const REPORT: usize = 1_000;

/// The object that a record holds. `what`: `a command`.
pub fn record(what: &str, value: Option<&[u8]>, settings: &Settings) -> Result<Map<String, Value>, String> {
    let bytes = value.ok_or("the record has no value (a tombstone)")?;
    if bytes.len() > settings.max_alert {
        return Err(format!("{} bytes; {what} may have at most {} (limits.alert)", bytes.len(), settings.max_alert));
    }
    let text = std::str::from_utf8(bytes).map_err(|error| format!("not UTF-8: byte {} is wrong", error.valid_up_to()))?;
    if let Some(error) = depth::too_deep(text, settings.nesting()) {
        return Err(error);
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => Err(format!("the record: {}", expected("an object", &other))),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

/// The text `name`, at most `most` characters long.
pub fn optional(map: &Map<String, Value>, name: &str, most: usize) -> Result<Option<String>, String> {
    let text = native::text(map, name)?;
    match text.chars().nth(most) {
        Some(_) => Err(format!("{name}: {} characters; at most {most} are taken", text.chars().count())),
        None => Ok((!text.is_empty()).then(|| text.to_owned())),
    }
}

/// The same where it has to be there; `wanted` says what for.
pub fn required(map: &Map<String, Value>, name: &str, most: usize, wanted: &str) -> Result<String, String> {
    optional(map, name, most)?.ok_or_else(|| format!("{name}: missing or empty; {wanted}"))
}

/// A program's own words, cut off where they are long: the report itself must not be lost over them.
pub fn report(map: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    let text = native::text(map, name)?;
    let kept = match text.char_indices().nth(REPORT) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    };
    Ok((!kept.is_empty()).then_some(kept))
}

/// The moment `name`.
pub fn moment(map: &Map<String, Value>, name: &str) -> Result<Option<Time>, String> {
    native::time(name, native::text(map, name)?)
}

/// The boolean `name`, or what it is where it is missing.
pub fn boolean(map: &Map<String, Value>, name: &str, default: bool) -> Result<bool, String> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(default),
        Some(Value::Bool(value)) => Ok(*value),
        Some(other) => Err(format!("{name}: {}", expected("true or false", other))),
    }
}

/// The whole number `name` between `least` and `most`; `None` where it is missing.
pub fn whole(map: &Map<String, Value>, name: &str, least: u64, most: u64) -> Result<Option<u64>, String> {
    let value = match map.get(name) {
        None | Some(Value::Null) => return Ok(None),
        Some(value) => value,
    };
    // 30.0 is a whole number too, as JSON Schema has it.
    let integral = |number: f64| (number.fract() == 0.0 && (0.0..=9e15).contains(&number)).then_some(number as u64);
    let number = value.as_u64().or_else(|| value.as_f64().and_then(integral));
    match number.filter(|number| (least..=most).contains(number)) {
        Some(number) => Ok(Some(number)),
        None => Err(format!("{name}: {}", expected(&format!("a whole number from {least} to {most}"), value))),
    }
}
