//! Bytes to the model and back: the JSON of the topics, with every limit (SPEC 3).

use crate::model::{Alert, Origin, Output, Severity, Time, Topic};
use std::collections::BTreeMap;

/// How records are read: aliases, defaults, limits.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Spellings, lower-case, to canonical names.
    pub environment_aliases: BTreeMap<String, String>,
    pub severity_aliases: BTreeMap<String, String>,
    pub severity_default: Severity,
    pub alertmanager_alertname: bool,
    pub max_alert: usize,
    pub max_nesting: usize,
    pub max_labels: usize,
    pub max_body_alerts: usize,
    pub max_body_bytes: usize,
    pub record_max: usize,
}

/// A record of `alerts` (or one forwarded from it).
pub struct AlertRecord<'a> {
    pub origin: Origin,
    /// Its Kafka timestamp.
    pub time: Time,
    /// `None`: a tombstone.
    pub value: Option<&'a [u8]>,
    /// What a forwarder found it to be; `None`: told by its shape.
    pub form: Option<Form>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Native,
    /// One element of an Alertmanager webhook body's `alerts`.
    Element,
    /// A record of Alertmanager's own Kafka event recorder.
    Recorder,
}

/// One thing found in a record of `alerts`.
pub enum Item<'a> {
    /// `bytes`: the alert alone, as it came (the element of a webhook body).
    Alert { alert: &'a Alert<'a>, form: Form, bytes: &'a [u8] },
    /// To `dead-letters`, with `reason` naming the field. `index`: its place in a webhook body.
    Rejected { index: u32, reason: String, bytes: &'a [u8] },
    /// An event of Alertmanager's recorder that is no alert.
    Ignored,
}

/// Reads a record of `alerts`, in the order of a body's alerts.
pub fn read_alerts(record: &AlertRecord<'_>, settings: &Settings, sink: &mut dyn FnMut(Item<'_>)) {
    let _ = (record, settings, sink);
}

/// A record to be produced.
#[derive(Clone, Debug, PartialEq)]
pub struct OutRecord {
    pub topic: Topic,
    /// `None`: by the key, as the Java clients do.
    pub partition: Option<u32>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What a shard said, as a record; `None` for what only counts.
pub fn write_output(output: &Output, settings: &Settings) -> Option<OutRecord> {
    let _ = (output, settings);
    None
}

/// A record to `dead-letters`: the bytes untouched, and in the headers where they stood and what is wrong.
pub fn dead_letter(
    origin: &Origin,
    key: Option<&[u8]>,
    value: Option<&[u8]>,
    stage: &str,
    reason: &str,
    settings: &Settings,
) -> OutRecord {
    let _ = (origin, key, value, stage, reason, settings);
    OutRecord { topic: Topic::DeadLetters, partition: None, key: None, value: None, headers: Vec::new() }
}
