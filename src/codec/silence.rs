//! A silence: as the command `silence` has it, and as the topic `silences` shows it (SPEC 2, 3.3).

use crate::codec::fields::{self, NAME, PROSE};
use crate::codec::found::expected;
use crate::codec::incident::json;
use crate::model::{Matcher, Silence, Time};
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Matchers of one silence.
const MATCHERS_MOST: usize = 100;
/// Characters of a matcher's value.
const VALUE_MOST: usize = 4_096;

/// The id that a silence goes by: its maker's choice.
pub fn id(map: &Map<String, Value>) -> Result<String, String> {
    fields::required(map, "silence_id", NAME, "give the silence an id; a later command with the same one changes or ends it")
}

/// Reads the command `silence`. `time`: its Kafka timestamp.
pub fn read(map: &Map<String, Value>, time: Time) -> Result<Silence, String> {
    let id = id(map)?;
    let matchers = match map.get("matchers") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(elements)) if elements.len() > MATCHERS_MOST => {
            return Err(format!("matchers: {} of them; at most {MATCHERS_MOST} are taken", elements.len()));
        }
        Some(Value::Array(elements)) => elements.iter().enumerate().map(|(at, it)| matcher(at, it)).collect::<Result<_, _>>()?,
        Some(other) => return Err(format!("matchers: {}", expected("an array", other))),
    };
    check(&matchers)?;
    let starts_at = fields::moment(map, "starts_at")?.unwrap_or(time);
    let ends_at = fields::moment(map, "ends_at")?.ok_or("ends_at: missing; say when the silence is over")?;
    if ends_at <= starts_at {
        return Err(format!("ends_at: {ends_at} is not after starts_at ({starts_at})"));
    }
    Ok(Silence {
        id,
        matchers,
        starts_at,
        ends_at,
        created_by: fields::optional(map, "user", NAME)?,
        comment: fields::optional(map, "comment", PROSE)?,
        updated_at: time,
    })
}

fn matcher(at: usize, value: &Value) -> Result<Matcher, String> {
    let within = |error: String| format!("matchers[{at}].{error}");
    let map = value.as_object().ok_or_else(|| format!("matchers[{at}]: {}", expected("an object", value)))?;
    let name = fields::required(map, "name", NAME, "name a label or one of the five fields").map_err(within)?;
    Ok(Matcher {
        name,
        // An empty one asks for a label that is not there.
        value: fields::optional(map, "value", VALUE_MOST).map_err(within)?.unwrap_or_default(),
        is_regex: fields::boolean(map, "isRegex", false).map_err(within)?,
        is_equal: fields::boolean(map, "isEqual", true).map_err(within)?,
    })
}

/// Every expression compiles, and at least one matcher leaves something out.
fn check(matchers: &[Matcher]) -> Result<(), String> {
    let mut restricts = false;
    for (at, matcher) in matchers.iter().enumerate() {
        let test = matcher.test().map_err(|error| format!("matchers[{at}].value: not a regular expression: {error}"))?;
        restricts |= matcher.restricts(&test);
    }
    if restricts {
        return Ok(());
    }
    Err("matchers: the silence could match everything; at least one matcher must leave something out (and not match the empty \
         string, which a missing label is)"
        .to_owned())
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct WireMatcher<'a> {
    #[serde(borrow)]
    name: Cow<'a, str>,
    #[serde(borrow)]
    value: Cow<'a, str>,
    is_regex: bool,
    is_equal: bool,
}

#[derive(Serialize, Deserialize)]
struct Wire<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    #[serde(borrow)]
    matchers: Vec<WireMatcher<'a>>,
    starts_at: Time,
    ends_at: Time,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    created_by: Option<Cow<'a, str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    comment: Option<Cow<'a, str>>,
    updated_at: Time,
}

impl<'a> From<&'a Silence> for Wire<'a> {
    fn from(silence: &'a Silence) -> Wire<'a> {
        let matchers = silence.matchers.iter().map(|matcher| WireMatcher {
            name: Cow::Borrowed(&matcher.name),
            value: Cow::Borrowed(&matcher.value),
            is_regex: matcher.is_regex,
            is_equal: matcher.is_equal,
        });
        Wire {
            id: Cow::Borrowed(&silence.id),
            matchers: matchers.collect(),
            starts_at: silence.starts_at,
            ends_at: silence.ends_at,
            created_by: silence.created_by.as_deref().map(Cow::Borrowed),
            comment: silence.comment.as_deref().map(Cow::Borrowed),
            updated_at: silence.updated_at,
        }
    }
}

/// A silence in its JSON form.
pub struct Shown<'a>(pub &'a Silence);

impl Serialize for Shown<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Wire::from(self.0).serialize(serializer)
    }
}

/// The value of a record of `silences`. The limits of the command keep it far below `record_max`.
pub fn silence(silence: &Silence) -> Vec<u8> {
    json(&Shown(silence), 512)
}

/// Reads the value of a record of `silences`.
pub fn read_silence(json: &[u8]) -> Result<Silence, String> {
    let wire: Wire<'_> = serde_json::from_slice(json).map_err(|error| format!("not a silence: {error}"))?;
    let matchers = wire.matchers.into_iter().map(|matcher| Matcher {
        name: matcher.name.into_owned(),
        value: matcher.value.into_owned(),
        is_regex: matcher.is_regex,
        is_equal: matcher.is_equal,
    });
    Ok(Silence {
        id: wire.id.into_owned(),
        matchers: matchers.collect(),
        starts_at: wire.starts_at,
        ends_at: wire.ends_at,
        created_by: wire.created_by.map(Cow::into_owned),
        comment: wire.comment.map(Cow::into_owned),
        updated_at: wire.updated_at,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let matcher = Matcher { name: "region".to_owned(), value: "eu-\"1\"".to_owned(), is_regex: false, is_equal: true };
        let whole = Silence {
            id: "s".to_owned(),
            matchers: vec![matcher],
            starts_at: Time(1),
            ends_at: Time(2_000),
            created_by: Some("alice".to_owned()),
            comment: None,
            updated_at: Time(3),
        };
        assert_eq!(read_silence(&silence(&whole)), Ok(whole));
        assert!(read_silence(b"{}").is_err_and(|error| error.starts_with("not a silence: ")));
    }
}
