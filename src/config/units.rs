//! Values with a unit: durations, sizes in bytes, and texts that must never be printed.

use serde::{Serialize, Serializer};
use serde_json::{Value, json};
use std::fmt;

/// Milliseconds of `"15m"`, `"50ms"`, `"1h30m"`, `"7d"`; `"0"` is 0. `None`: not a duration, or negative.
pub fn parse_duration(text: &str) -> Option<i64> {
    if text.trim() == "0" {
        return Some(0);
    }
    let span: jiff::Span = text.trim().parse().ok()?;
    let length = span.to_duration(jiff::SpanRelativeTo::days_are_24_hours()).ok()?;
    i64::try_from(length.as_millis()).ok().filter(|millis| *millis >= 0 && length.subsec_nanos() % 1_000_000 == 0)
}

/// The shortest text that reads back: `"15m"`, `"50ms"`, `"0"`.
pub fn duration_text(millis: i64) -> String {
    for (length, unit) in [(86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1_000, "s")] {
        if millis != 0 && millis % length == 0 {
            return format!("{}{unit}", millis / length);
        }
    }
    if millis == 0 { "0".to_owned() } else { format!("{millis}ms") }
}

pub fn write_duration<S: Serializer>(millis: &i64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&duration_text(*millis))
}

/// Bytes of `"64KiB"`, `"4 MiB"`, `"900000"`.
pub fn parse_size(text: &str) -> Option<usize> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let unit: usize = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        "kb" => 1_000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<usize>().ok()?.checked_mul(unit)
}

/// What is printed as `(hidden)` wherever it goes.
#[derive(Clone, PartialEq, Eq)]
pub enum Secret {
    Text(String),
    /// Written `secret:NAME`: looked up whenever it is used, as `secret("NAME")` of rules, so that a changed file counts.
    Named(String),
}

impl Secret {
    pub fn read(text: &str) -> Secret {
        match text.strip_prefix("secret:") {
            Some(name) => Secret::Named(name.trim().to_owned()),
            None => Secret::Text(text.to_owned()),
        }
    }

    /// As a channel's options have it: a text, or `{"$secret": "NAME"}`.
    pub fn to_value(&self) -> Value {
        match self {
            Secret::Text(text) => json!(text),
            Secret::Named(name) => json!({ "$secret": name }),
        }
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Secret::Text(_) => serializer.serialize_str("(hidden)"),
            Secret::Named(name) => serializer.serialize_str(&format!("secret:{name}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        for (text, millis) in [
            ("15m", Some(900_000)),
            ("50ms", Some(50)),
            ("24h", Some(86_400_000)),
            ("7d", Some(604_800_000)),
            ("1h30m", Some(5_400_000)),
            ("1h 30m", Some(5_400_000)),
            ("0", Some(0)),
            ("0s", Some(0)),
            ("-5m", None),
            ("5", None),
            ("", None),
            ("1 month", None),
            ("10us", None),
            ("99999999999999999999d", None),
        ] {
            assert_eq!(parse_duration(text), millis, "{text}");
        }
        for millis in [0, 1, 999, 1_000, 60_000, 90_000, 5_400_000, 86_400_000, 604_800_000] {
            assert_eq!(parse_duration(&duration_text(millis)), Some(millis));
        }
    }

    #[test]
    fn sizes() {
        for (text, bytes) in [
            ("64KiB", Some(65_536)),
            ("4 MiB", Some(4_194_304)),
            ("900000", Some(900_000)),
            ("1kb", Some(1_000)),
            ("KiB", None),
            ("-1", None),
            ("1 tib", None),
            ("99999999999999999999g", None),
        ] {
            assert_eq!(parse_size(text), bytes, "{text}");
        }
    }
}
