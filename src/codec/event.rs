//! A record of `events`: a change of a service, or a reading of one of its metrics (SPEC 3.4).

use crate::codec::Settings;
use crate::codec::fields::{self, NAME, PROSE};
use crate::codec::found::expected;
use crate::codec::head::AHEAD;
use crate::model::{Change, EventBody, Measurement, ServiceEvent, Time, number};
use serde_json::{Map, Value};

/// Reads a record of `events` with the Kafka timestamp `time`, or says which field is wrong. Its own time counts as an alert's
/// does: at most 5 minutes after the record's, or a wrong clock's reading would stand as the latest for ever.
pub fn read_event(value: Option<&[u8]>, time: Time, settings: &Settings) -> Result<ServiceEvent, String> {
    let map = fields::record("an event", value, settings)?;
    let service_id = fields::required(&map, "service_id", NAME * 4, "a non-empty string is required")?;
    let wanted = "`deployment`, `config_change`, `measurement` or another word for what happened is required";
    let kind = fields::required(&map, "type", NAME, wanted)?.to_ascii_lowercase();
    let timestamp = fields::moment(&map, "timestamp")?.map_or(time, |said| said.min(time.after(AHEAD)));
    let body = if kind == "measurement" {
        let metric = fields::required(&map, "metric", NAME, "name the metric that was read")?;
        let unit = fields::optional(&map, "unit", NAME)?;
        EventBody::Measurement { metric, reading: Measurement { value: reading(&map)?, unit, timestamp } }
    } else {
        EventBody::Change(Change {
            kind,
            description: fields::optional(&map, "description", PROSE)?.unwrap_or_default(),
            timestamp,
            id: fields::optional(&map, "id", NAME)?,
        })
    };
    Ok(ServiceEvent { service_id, body })
}

/// `value`: a number, or a text that is one.
fn reading(map: &Map<String, Value>) -> Result<f64, String> {
    match map.get("value") {
        None | Some(Value::Null) => Err("value: missing; the reading, a number, is required".to_owned()),
        Some(value) => number::numeric(value).ok_or_else(|| format!("value: {}", expected("a number", value))),
    }
}
