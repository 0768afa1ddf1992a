//! One line of a replay's input: an alert, a record of a named topic, or time that passes (SPEC 5).

use crate::codec;
use crate::model::{Time, Topic, home::home, time::Millis};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// What a line says. `at` is wall time; `None`: as late as it already is.
#[derive(Debug, PartialEq)]
pub enum Line<'a> {
    Advance(Millis),
    Record { topic: Topic, key: Option<Cow<'a, [u8]>>, value: Option<Cow<'a, [u8]>>, at: Option<Time> },
}

/// The fields that tell the three forms apart; everything else is the alert's own.
#[derive(Deserialize)]
struct Fields<'a> {
    #[serde(borrow)]
    advance: Option<&'a RawValue>,
    #[serde(borrow)]
    topic: Option<Cow<'a, str>>,
    #[serde(borrow)]
    key: Option<&'a RawValue>,
    /// Present also where it is null, which is a tombstone.
    #[serde(borrow, default, deserialize_with = "present")]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    at: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    service_id: Option<&'a RawValue>,
}

fn present<'de: 'a, 'a, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'a RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Line<'a> {
    /// Whatever is neither of the other two is an alert, also if it is no JSON: it ends in `dead-letters` as it would live.
    /// An error: it is meant for the replay itself, and a misspelt one would change the history without a word.
    pub fn parse(line: &'a [u8]) -> Result<Line<'a>, String> {
        let alert = |at| Line::Record { topic: Topic::Alerts, key: None, value: Some(Cow::Borrowed(line)), at };
        let Ok(fields) = serde_json::from_slice::<Fields<'a>>(line) else { return Ok(alert(None)) };
        let at = fields.at.map(moment).transpose()?;
        if fields.service_id.is_none() {
            if let Some(by) = fields.advance {
                let known = text(by).and_then(|by| parse_duration(&by));
                return known.map(Line::Advance).ok_or_else(|| {
                    format!("advance: {} is no length of time: write it with a unit, as \"15m\" or \"1h30m\"", by.get())
                });
            }
            if let (Some(name), Some(value)) = (&fields.topic, fields.value) {
                let inputs = [Topic::Alerts, Topic::Commands, Topic::Events];
                let topic = inputs
                    .into_iter()
                    .find(|topic| topic.name() == name)
                    .ok_or_else(|| format!("topic: `{name}` is no input: there are `alerts`, `commands` and `events`"))?;
                let value = bytes(value);
                // A command has no time of its own: it comes when it comes.
                let own = || value.as_deref().filter(|_| topic != Topic::Commands).and_then(timestamp_of);
                let at = at.or_else(own);
                return Ok(Line::Record { topic, key: fields.key.and_then(bytes), value, at });
            }
        }
        // A wrong timestamp is the alert's own fault, and refuses the alert.
        let own = || fields.timestamp.and_then(|own| moment(own).ok());
        Ok(alert(at.or_else(own)))
    }
}

fn moment(raw: &RawValue) -> Result<Time, String> {
    let known = text(raw).and_then(|at| parse_moment(&at));
    known.ok_or_else(|| format!("at: {} is no moment: write it as \"2026-01-31T12:00:00Z\"", raw.get()))
}

/// A JSON string's text, or a number's digits.
fn text(raw: &RawValue) -> Option<Cow<'_, str>> {
    match raw.get().as_bytes().first() {
        Some(b'"') => serde_json::from_str::<String>(raw.get()).ok().map(Cow::Owned),
        Some(b'0'..=b'9') => Some(Cow::Borrowed(raw.get())),
        _ => None,
    }
}

/// A record's key or value: a JSON string stands for its bytes, null for none, anything else for its own text.
fn bytes(raw: &RawValue) -> Option<Cow<'_, [u8]>> {
    match raw.get() {
        "null" => None,
        text if text.starts_with('"') => serde_json::from_str::<String>(text).ok().map(|text| Cow::Owned(text.into_bytes())),
        text => Some(Cow::Borrowed(text.as_bytes())),
    }
}

fn timestamp_of(value: &[u8]) -> Option<Time> {
    let fields = serde_json::from_slice::<Fields<'_>>(value).ok()?;
    fields.timestamp.and_then(text).and_then(|at| parse_moment(&at))
}

/// Where a record that has no key belongs; the first partition where it does not say.
pub fn home_of(topic: Topic, value: Option<&[u8]>, partitions: u32, settings: &codec::Settings) -> u32 {
    if topic == Topic::Commands {
        let command = codec::read_command(value, Time(0), settings).ok();
        return command.map(|command| command.home(partitions)).filter(|home| *home < partitions).unwrap_or(0);
    }
    value.and_then(service_of).map_or(0, |service| home(service.as_bytes(), partitions))
}

/// The `service_id` of an alert or an event, if it is one.
fn service_of(value: &[u8]) -> Option<String> {
    let fields = serde_json::from_slice::<Fields<'_>>(value).ok()?;
    serde_json::from_str(fields.service_id?.get()).ok()
}

/// RFC 3339, or milliseconds since 1970.
pub fn parse_moment(text: &str) -> Option<Time> {
    Time::parse(text).or_else(|| text.parse().ok().map(Time))
}

/// `90s`, `15m`, `24h`, `7d`, `50ms`, also put together as `1h30m`; jiff's friendly form, days of 24 hours.
pub fn parse_duration(text: &str) -> Option<Millis> {
    let span: jiff::Span = text.parse().ok()?;
    let total = span.total((jiff::Unit::Millisecond, jiff::SpanRelativeTo::days_are_24_hours())).ok()?;
    (total.is_finite() && total >= 0.0).then_some(total as Millis)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::{HOUR, MINUTE};

    #[test]
    fn tells_the_three_forms_apart() {
        let parse = |line| Line::parse(line).expect("it is understood");
        assert_eq!(parse(br#"{"advance":"15m"}"#), Line::Advance(15 * MINUTE));
        assert_eq!(parse(br#"{"advance":"1h30m"}"#), Line::Advance(90 * MINUTE));
        assert_eq!(parse(br#"{"advance":"7d"}"#), Line::Advance(7 * 24 * HOUR));
        let Line::Record { topic, key, value, at } =
            parse(br#"{"topic":"alerts","key":"k","value":{"a":1},"at":"1970-01-01T00:00:01Z"}"#)
        else {
            panic!("a record")
        };
        assert_eq!(
            (topic, key.as_deref(), value.as_deref(), at),
            (Topic::Alerts, Some(&b"k"[..]), Some(&br#"{"a":1}"#[..]), Some(Time(1000)))
        );
        let alert = br#"{"service_id":"s","title":"t","topic":"alerts","value":1,"timestamp":"1970-01-01T00:00:02Z"}"#;
        assert_eq!(
            parse(alert),
            Line::Record { topic: Topic::Alerts, key: None, value: Some(Cow::Borrowed(alert)), at: Some(Time(2000)) }
        );
        assert_eq!(
            parse(b"not json"),
            Line::Record { topic: Topic::Alerts, key: None, value: Some(Cow::Borrowed(b"not json")), at: None }
        );
    }

    #[test]
    fn a_tombstone_is_a_record_and_a_misspelt_line_is_an_error() {
        let tombstone = Line::parse(br#"{"topic":"alerts","key":"k","value":null}"#);
        let key = Some(Cow::Borrowed(&b"k"[..]));
        assert_eq!(tombstone, Ok(Line::Record { topic: Topic::Alerts, key, value: None, at: None }));
        for (line, says) in [
            (r#"{"advance":"15"}"#, "unit"),
            (r#"{"advance":5}"#, "unit"),
            (r#"{"topic":"alrts","value":{}}"#, "`alerts`"),
            (r#"{"topic":"alerts","value":{},"at":"2027-13-01"}"#, "2026-01-31T12:00:00Z"),
        ] {
            assert!(Line::parse(line.as_bytes()).is_err_and(|error| error.contains(says)), "{line}");
        }
    }
}
