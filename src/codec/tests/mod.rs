//! The codec from outside: what a record yields, and what we write.

mod alertmanager;
mod commands;
mod events;
mod facts;
mod fuzz;
mod fuzz_inputs;
mod native;
mod poison;
mod spoken;
mod written;

use crate::codec::{AlertRecord, Form, Item, SCHEMAS, Settings, read_alerts, schema};
use crate::model::{AlertBody, AlertStatus, CurrentValue, Environment, Fingerprint, Origin, Severity, Time, Topic};
use proptest::sample::Index;
use serde_json::Value;

/// 2026-11-23T16:30:00Z, the Kafka timestamp of every record here.
const RECORD_TIME: &str = "2026-11-23T16:30:00.000Z";
const ORIGIN: Origin = Origin { topic: Topic::Alerts, partition: 2, offset: 77, index: 0 };

/// Of a schema that is ours, with the others that it names.
fn validator(name: &str) -> jsonschema::Validator {
    let parse = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
    let mut options = jsonschema::options();
    for (_, text) in SCHEMAS.iter().filter(|(name, _)| *name != "asyncapi") {
        let schema = parse(text);
        let id = schema["$id"].as_str().expect("an id").to_owned();
        options = options.with_resource(id, jsonschema::Resource::from_contents(schema).expect("a schema"));
    }
    options.build(&parse(schema(name).expect(name))).expect("a schema")
}

/// `edits`: at which byte, with which byte, and whether it takes its place, goes before it, or it goes.
fn mutated(mut bytes: Vec<u8>, edits: Vec<(Index, u8, u8)>) -> Vec<u8> {
    for (at, byte, how) in edits {
        let at = at.index(bytes.len());
        match how {
            0 => bytes[at] = byte,
            1 => bytes.insert(at, byte),
            _ if bytes.len() > 1 => drop(bytes.remove(at)),
            _ => {}
        }
    }
    bytes
}

/// An item that outlives the record.
#[derive(Clone, PartialEq, Debug)]
enum Read {
    Alert(Box<Seen>),
    Rejected { index: u32, reason: String, bytes: Vec<u8> },
    Ignored,
}

/// A whole alert: head and body.
#[derive(Clone, PartialEq, Debug)]
struct Seen {
    index: u32,
    form: Form,
    bytes: Vec<u8>,
    service_id: String,
    fingerprint: Fingerprint,
    severity: Severity,
    status: AlertStatus,
    timestamp: Time,
    source: Option<String>,
    starts_at: Option<Time>,
    current_value: CurrentValue,
    body: AlertBody,
}

fn time(text: &str) -> Time {
    Time::parse(text).expect(text)
}

fn read_as(form: Option<Form>, value: Option<&[u8]>, settings: &Settings) -> Vec<Read> {
    let mut items = Vec::new();
    let record = AlertRecord { origin: ORIGIN, time: time(RECORD_TIME), value, form };
    read_alerts(&record, settings, &mut |item| {
        items.push(match item {
            Item::Ignored => Read::Ignored,
            Item::Rejected { index, reason, bytes } => Read::Rejected { index, reason, bytes: bytes.to_vec() },
            Item::Alert { alert, form, bytes } => Read::Alert(Box::new(Seen {
                index: alert.origin.index,
                form,
                bytes: bytes.to_vec(),
                service_id: alert.service_id.to_string(),
                fingerprint: alert.fingerprint,
                severity: alert.severity,
                status: alert.status,
                timestamp: alert.timestamp,
                source: alert.source.as_ref().map(ToString::to_string),
                starts_at: alert.starts_at,
                current_value: alert.current_value,
                body: (alert.body)(),
            })),
        });
    });
    items
}

fn read(value: &[u8]) -> Vec<Read> {
    read_as(None, Some(value), &Settings::default())
}

/// The one alert of a record.
fn alert(json: &str) -> Seen {
    match read(json.as_bytes()).as_slice() {
        [Read::Alert(seen)] => (**seen).clone(),
        other => panic!("{json} gives {other:?}"),
    }
}

/// Why the one thing in a record was refused.
fn refused(value: &[u8]) -> String {
    match read(value).as_slice() {
        [Read::Rejected { index: 0, reason, bytes }] => {
            assert_eq!(bytes, value, "the bytes go on untouched");
            reason.clone()
        }
        other => panic!("{:?} gives {other:?}", String::from_utf8_lossy(value)),
    }
}

/// `{"service_id":"s","title":"t"` and more.
fn with(more: &str) -> String {
    format!(r#"{{"service_id":"s","title":"t"{}{more}}}"#, if more.is_empty() { "" } else { "," })
}

fn metadata(seen: &Seen) -> Value {
    Value::Object(seen.body.metadata.0.clone())
}

/// The fingerprint of the seed's joined string.
fn joined(text: &str) -> Fingerprint {
    Fingerprint::of_dedup_key(text)
}

fn environment(json: &str) -> Environment {
    alert(json).body.environment
}
