//! A record of Alertmanager's own Kafka event recorder (since 0.33): `alertCreated` and `alertResolved` are alerts, its other
//! events are none (SPEC 2).
//!
//! Labels come as `{"labels": [{"key": …, "value": …}]}`, the fingerprint as a decimal number, and a resolved alert one level
//! deeper, under `details`.

use crate::codec::alertmanager::Element;
use crate::codec::found::expected;
use crate::codec::native::{self, object, text};
use crate::codec::{Settings, depth};
use crate::model::AlertStatus;
use serde_json::{Map, Value};

/// The alert that the record tells of; `None` where it tells of something else.
pub fn parse(json: &str, settings: &Settings) -> Result<Option<Element>, String> {
    if let Some(error) = depth::too_deep(json, settings.nesting()) {
        return Err(error);
    }
    let record: Map<String, Value> = serde_json::from_str(json).map_err(|error| format!("not JSON: {error}"))?;
    let data = object(&record, "data")?.ok_or("data: missing")?;
    for (event, status) in [("alertCreated", AlertStatus::Firing), ("alertResolved", AlertStatus::Resolved)] {
        if let Some(event_body) = data.get(event) {
            if json.len() > settings.max_alert {
                return Err(format!("{} bytes; an alert may have at most {} (limits.alert)", json.len(), settings.max_alert));
            }
            let element = alert(event_body).and_then(|alert| element(alert, status, settings));
            return element.map(Some).map_err(|error| format!("data.{event}.{error}"));
        }
    }
    // Events that are not known yet are ignored too; a mistyped alert with `data` shall not be.
    if data.is_empty() || !data.values().all(Value::is_object) {
        return Err("neither an alert (service_id and title are required) nor an event of Alertmanager's recorder: \
                    `data` holds no event"
            .to_owned());
    }
    Ok(None)
}

fn alert(event: &Value) -> Result<&Map<String, Value>, String> {
    let event = event.as_object().ok_or_else(|| format!("alert: {}", expected("an object", event)))?;
    let alert = object(event, "alert")?.ok_or("alert: missing")?;
    Ok(object(alert, "details").map_err(|error| format!("alert.{error}"))?.unwrap_or(alert))
}

fn element(alert: &Map<String, Value>, status: AlertStatus, settings: &Settings) -> Result<Element, String> {
    let moment = |name| Ok::<_, String>(native::time(name, text(alert, name)?)?.filter(|time| !time.is_year_one()));
    let mut labels = pairs(alert, "labels")?.ok_or("labels: missing; every alert of Alertmanager has them")?;
    // The name stands in the labels too; where only it is there, it is the alertname.
    let name = text(alert, "name")?;
    if !name.is_empty() && !labels.contains_key("alertname") {
        labels.insert("alertname".to_owned(), Value::from(name));
    }
    native::check_labels(&labels, settings)?;
    Ok(Element {
        status,
        labels,
        annotations: pairs(alert, "annotations")?.unwrap_or_default(),
        starts_at: moment("startsAt")?,
        ends_at: moment("endsAt")?,
        generator_url: text(alert, "generatorURL")?.to_owned(),
        fingerprint: fingerprint(alert)?,
    })
}

/// The decimal number as the 16 hex digits that a webhook body has for the same alert.
fn fingerprint(alert: &Map<String, Value>) -> Result<String, String> {
    let (number, found) = match alert.get("fingerprint") {
        None | Some(Value::Null) => return Ok(String::new()),
        Some(found @ Value::String(text)) if !text.is_empty() => (text.parse().ok(), found),
        Some(Value::String(_)) => return Ok(String::new()),
        Some(found) => (found.as_u64(), found),
    };
    let wrong = || format!("fingerprint: {}", expected("a decimal number of 64 bits", found));
    number.map(|number: u64| format!("{number:016x}")).ok_or_else(wrong)
}

/// `{"labels": [{"key": …, "value": …}]}` as a map.
fn pairs(alert: &Map<String, Value>, name: &str) -> Result<Option<Map<String, Value>>, String> {
    let Some(list) = object(alert, name)? else { return Ok(None) };
    let pairs = match list.get("labels") {
        None | Some(Value::Null) => return Ok(Some(Map::new())),
        Some(Value::Array(pairs)) => pairs,
        Some(other) => return Err(format!("{name}.labels: {}", expected("an array", other))),
    };
    let mut map = Map::new();
    for (index, pair) in pairs.iter().enumerate() {
        let at = |error: String| format!("{name}.labels[{index}].{error}");
        let pair = pair.as_object().ok_or_else(|| format!("{name}.labels[{index}]: {}", expected("an object", pair)))?;
        let (key, value) = (text(pair, "key").map_err(at)?, text(pair, "value").map_err(at)?);
        map.insert(key.to_owned(), Value::from(value));
    }
    Ok(Some(map))
}
