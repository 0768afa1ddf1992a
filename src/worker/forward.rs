//! Records at the wrong shard: sent once through `incidentd-inbox` to their home, as they are (SPEC 2, «Home»).
//!
//! A forwarded record has its origin's key, value and headers, and behind them ours, which alone are read where a name
//! stands twice:
//!
//! | header | value |
//! |---|---|
//! | `__incidentd.origin.topic` | by what it is for: `alerts`, `commands` or `events` |
//! | `__incidentd.origin.partition`, `.offset`, `.index` | decimal; `index` is the alert's place in a webhook body |
//! | `__incidentd.origin.timestamp` | the Kafka timestamp, milliseconds, decimal |
//! | `__incidentd.origin.form` | of an alert `native`, `element` of a webhook body, or `recorder`; else `command` or `event` |

use crate::codec::{Form, OutRecord, REPLY_TO, REQUEST_ID};
use crate::kafka::{Headers, Record};
use crate::model::{Origin, Time, Topic};

/// All headers of ours begin so.
pub const OURS: &str = "__incidentd.";

const TOPIC: &str = "__incidentd.origin.topic";
const PARTITION: &str = "__incidentd.origin.partition";
const OFFSET: &str = "__incidentd.origin.offset";
const INDEX: &str = "__incidentd.origin.index";
const TIMESTAMP: &str = "__incidentd.origin.timestamp";
const FORM: &str = "__incidentd.origin.form";

/// The record's own headers, owned; those that pretend to be ours are left out.
pub fn own_headers(record: &Record<'_>) -> Vec<(String, Vec<u8>)> {
    record
        .headers()
        .filter(|(name, _)| !name.starts_with(OURS))
        .map(|(name, value)| (name.to_owned(), value.unwrap_or_default().to_vec()))
        .collect()
}

/// What a forwarded record holds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Kind {
    Alert(Form),
    Command,
    Event,
}

impl Kind {
    const ALL: [Kind; 5] =
        [Kind::Alert(Form::Native), Kind::Alert(Form::Element), Kind::Alert(Form::Recorder), Kind::Command, Kind::Event];

    fn name(self) -> &'static str {
        match self {
            Kind::Alert(Form::Native) => "native",
            Kind::Alert(Form::Element) => "element",
            Kind::Alert(Form::Recorder) => "recorder",
            Kind::Command => "command",
            Kind::Event => "event",
        }
    }

    fn topic(self) -> Topic {
        match self {
            Kind::Alert(_) => Topic::Alerts,
            Kind::Command => Topic::Commands,
            Kind::Event => Topic::Events,
        }
    }
}

/// What is told to the home partition `to` of a part of `record`; `bytes`: that part alone.
pub fn forward(record: &Record<'_>, origin: Origin, time: Time, kind: Kind, bytes: &[u8], to: u32) -> OutRecord {
    let mut headers = own_headers(record);
    if kind == Kind::Alert(Form::Element) {
        // A body is answered where it was read: its elements go many ways, and one answer is wanted.
        headers.retain(|(name, _)| name != REQUEST_ID && name != REPLY_TO);
    }
    let mut add = |name: &str, value: String| headers.push((name.to_owned(), value.into_bytes()));
    add(TOPIC, origin.topic.name().to_owned());
    add(PARTITION, origin.partition.to_string());
    add(OFFSET, origin.offset.to_string());
    add(INDEX, origin.index.to_string());
    add(TIMESTAMP, time.0.to_string());
    add(FORM, kind.name().to_owned());
    OutRecord {
        topic: Topic::Inbox,
        partition: Some(to),
        key: record.key().map(<[u8]>::to_vec),
        value: Some(bytes.to_vec()),
        headers,
    }
}

/// A forwarded record's coordinates, time and kind.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Forwarded {
    pub origin: Origin,
    pub time: Time,
    pub kind: Kind,
}

/// Reads the headers of a record of the inbox; an error names the header that is missing or wrong.
pub fn read(headers: Headers<'_>) -> Result<Forwarded, String> {
    let (mut topic, mut partition, mut offset, mut index, mut timestamp, mut form) = (None, None, None, None, None, None);
    for (name, value) in headers {
        let text = value.and_then(|value| std::str::from_utf8(value).ok());
        match name {
            TOPIC => topic = text,
            PARTITION => partition = text,
            OFFSET => offset = text,
            INDEX => index = text,
            TIMESTAMP => timestamp = text,
            FORM => form = text,
            _ => {}
        }
    }
    fn number<T: std::str::FromStr>(name: &str, text: Option<&str>) -> Result<T, String> {
        text.and_then(|text| text.parse().ok()).ok_or_else(|| format!("header `{name}`: a number is wanted"))
    }
    let wanted = || format!("header `{FORM}`: `native`, `element`, `recorder`, `command` or `event` is wanted");
    let kind = Kind::ALL.into_iter().find(|known| form == Some(known.name())).ok_or_else(wanted)?;
    if topic != Some(kind.topic().name()) {
        return Err(format!("header `{TOPIC}`: a record of the form `{}` comes from `{}`", kind.name(), kind.topic().name()));
    }
    Ok(Forwarded {
        origin: Origin {
            topic: kind.topic(),
            partition: number(PARTITION, partition)?,
            offset: number(OFFSET, offset)?,
            index: number(INDEX, index)?,
        },
        time: Time(number(TIMESTAMP, timestamp)?),
        kind,
    })
}
