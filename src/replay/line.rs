//! One line of a replay's input: an alert, a record of a named topic, or time that passes (SPEC 5).

use crate::model::{Time, Topic, time::Millis};
use serde::Deserialize;
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
    #[serde(borrow, default)]
    value: Option<&'a RawValue>,
    #[serde(borrow)]
    at: Option<&'a RawValue>,
    #[serde(borrow)]
    timestamp: Option<&'a RawValue>,
    #[serde(borrow)]
    service_id: Option<&'a RawValue>,
}

impl<'a> Line<'a> {
    /// Whatever is neither of the other two is an alert, also if it is no JSON: it ends in `dead-letters` as it would live.
    pub fn parse(line: &'a [u8]) -> Line<'a> {
        let alert = |at| Line::Record { topic: Topic::Alerts, key: None, value: Some(Cow::Borrowed(line)), at };
        let Ok(fields) = serde_json::from_slice::<Fields<'a>>(line) else { return alert(None) };
        if fields.service_id.is_none() {
            if let Some(by) = fields.advance.and_then(text).and_then(|by| parse_duration(&by)) {
                return Line::Advance(by);
            }
            if let (Some(topic), Some(value)) = (&fields.topic, fields.value)
                && let Some(topic) = Topic::ALL.into_iter().find(|t| t.name() == topic)
            {
                let value = bytes(value);
                let own = || value.as_deref().and_then(timestamp_of);
                let at = fields.at.and_then(text).and_then(|at| parse_moment(&at)).or_else(own);
                return Line::Record { topic, key: fields.key.and_then(bytes), value, at };
            }
        }
        let at = fields.at.or(fields.timestamp).and_then(text).and_then(|at| parse_moment(&at));
        alert(at)
    }
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

/// The `service_id` of an alert, if it is one.
pub fn service_of(value: &[u8]) -> Option<String> {
    let fields = serde_json::from_slice::<Fields<'_>>(value).ok()?;
    serde_json::from_str(fields.service_id?.get()).ok()
}

/// RFC 3339, or milliseconds since 1970.
pub fn parse_moment(text: &str) -> Option<Time> {
    Time::parse(text).or_else(|| text.parse().ok().map(Time))
}

/// `90s`, `15m`, `24h`, `7d`, `50ms`, also put together as `1h30m`; jiff's friendly form, days of 24 hours.
fn parse_duration(text: &str) -> Option<Millis> {
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
        assert_eq!(Line::parse(br#"{"advance":"15m"}"#), Line::Advance(15 * MINUTE));
        assert_eq!(Line::parse(br#"{"advance":"1h30m"}"#), Line::Advance(90 * MINUTE));
        assert_eq!(Line::parse(br#"{"advance":"7d"}"#), Line::Advance(7 * 24 * HOUR));
        let Line::Record { topic, key, value, at } =
            Line::parse(br#"{"topic":"alerts","key":"k","value":{"a":1},"at":"1970-01-01T00:00:01Z"}"#)
        else {
            panic!("a record")
        };
        assert_eq!(
            (topic, key.as_deref(), value.as_deref(), at),
            (Topic::Alerts, Some(&b"k"[..]), Some(&br#"{"a":1}"#[..]), Some(Time(1000)))
        );
        let alert = br#"{"service_id":"s","title":"t","topic":"alerts","value":1,"timestamp":"1970-01-01T00:00:02Z"}"#;
        assert_eq!(
            Line::parse(alert),
            Line::Record { topic: Topic::Alerts, key: None, value: Some(Cow::Borrowed(alert)), at: Some(Time(2000)) }
        );
        assert_eq!(
            Line::parse(b"not json"),
            Line::Record { topic: Topic::Alerts, key: None, value: Some(Cow::Borrowed(b"not json")), at: None }
        );
    }
}
