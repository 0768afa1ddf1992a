//! What a record of `alerts` is, told by its top level alone (SPEC 2).
//!
//! With a `service_id` it is an alert. Else an `alerts` array makes it a webhook body of Alertmanager (or of what speaks like
//! it: Grafana adds a `title`), and a `data` object, without a `title`, a record of Alertmanager's event recorder.

use crate::codec::{Settings, depth};
use serde::Deserializer;
use serde::de::{Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

pub enum Shape<'a> {
    Native,
    /// The elements of `alerts`, each the very bytes that stand in the record.
    Webhook(Vec<&'a RawValue>),
    Recorder,
}

/// Finds out, or says why the whole record is refused.
pub fn shape<'a>(text: &'a str, settings: &Settings) -> Result<Shape<'a>, String> {
    let not_json = |error: serde_json::Error| format!("not JSON: {error}");
    if !text.trim_ascii_start().starts_with('{') {
        serde_json::from_str::<IgnoredAny>(text).map_err(not_json)?;
        return Err("the record: expected a JSON object".to_owned());
    }
    let mut parser = serde_json::Deserializer::from_str(text);
    let top = parser.deserialize_map(TopVisitor { inner: settings.nesting().saturating_sub(1) }).map_err(not_json)?;
    parser.end().map_err(not_json)?;
    match top {
        Top { service_id: false, alerts: Some(alerts), too_deep, .. } => {
            if let Some(error) = too_deep {
                return Err(error);
            }
            let mut parser = serde_json::Deserializer::from_str(alerts.get());
            let elements = parser.deserialize_seq(Elements { most: settings.max_body_alerts }).map_err(not_json)?;
            match elements {
                (elements, 0) => Ok(Shape::Webhook(elements)),
                (elements, more) => Err(format!(
                    "alerts: {} of them; a body may hold at most {} (limits.body_alerts)",
                    elements.len() + more,
                    settings.max_body_alerts
                )),
            }
        }
        Top { service_id: false, title: false, data: true, .. } => Ok(Shape::Recorder),
        _ => Ok(Shape::Native),
    }
}

#[derive(Default)]
struct Top<'a> {
    service_id: bool,
    title: bool,
    /// Where it is an array.
    alerts: Option<&'a RawValue>,
    /// Is it an object?
    data: bool,
    /// The first value besides `alerts` that nests too deep.
    too_deep: Option<String>,
}

struct TopVisitor {
    /// Levels that a value may open.
    inner: usize,
}

impl<'a> Visitor<'a> for TopVisitor {
    type Value = Top<'a>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'a>>(self, mut map: A) -> Result<Top<'a>, A::Error> {
        let mut top = Top::default();
        while let Some(name) = map.next_key::<Cow<'a, str>>()? {
            let value: &RawValue = map.next_value()?;
            match &*name {
                "service_id" => top.service_id = true,
                "title" => top.title = true,
                "data" => top.data = value.get().starts_with('{'),
                _ => {}
            }
            if name == "alerts" {
                top.alerts = value.get().starts_with('[').then_some(value);
            } else if top.too_deep.is_none() {
                top.too_deep = depth::too_deep(value.get(), self.inner).map(|error| format!("{name}.{error}"));
            }
        }
        Ok(top)
    }
}

/// Collects at most `most` elements, and counts the rest.
struct Elements {
    most: usize,
}

impl<'a> Visitor<'a> for Elements {
    type Value = (Vec<&'a RawValue>, usize);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'a>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut elements = Vec::new();
        while elements.len() < self.most {
            match seq.next_element()? {
                Some(element) => elements.push(element),
                None => return Ok((elements, 0)),
            }
        }
        let mut more = 0_usize;
        while seq.next_element::<IgnoredAny>()?.is_some() {
            more = more.checked_add(1).ok_or_else(|| A::Error::custom("too many elements"))?;
        }
        Ok((elements, more))
    }
}
