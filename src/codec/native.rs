//! An alert as people and programs write it (SPEC 3.1): its rules, and the reader that says what is wrong.
//!
//! `quick` reads the same in place and gives up on anything unusual; then this reader decides. What counts as a string, a
//! missing value or a conflict is said here, once:
//! - null and the empty string are a missing value; an empty `service_id` or `title` is an error;
//! - of a name that comes twice the last value counts, as in JavaScript;
//! - an unknown top-level field is metadata from then on, for the fingerprint and the score as well; where `metadata` itself
//!   holds the name, that one stays. `original_environment` and `original_severity` are always ours;
//! - a label that is null is no label.

use crate::codec::found::{expected, quoted};
use crate::codec::head::Head;
use crate::codec::numbers::{self, Known, Numbers};
use crate::codec::{Settings, depth};
use crate::model::{AlertBody, AlertStatus, Environment, Labels, Metadata, Severity, Time};
use serde_json::{Map, Value};

/// The fields that are not metadata.
const FIELDS: [&str; 12] = [
    "service_id",
    "title",
    "description",
    "category",
    "environment",
    "severity",
    "status",
    "timestamp",
    "dedup_key",
    "source",
    "labels",
    "metadata",
];

/// What of an alert's words decides a merge, as it stands there; an empty string is a missing one.
#[derive(Default)]
pub struct Words<'a> {
    pub service_id: &'a str,
    pub has_title: bool,
    pub category: &'a str,
    pub environment: &'a str,
    pub severity: &'a str,
    pub status: &'a str,
    pub timestamp: &'a str,
    pub dedup_key: &'a str,
    pub source: &'a str,
    pub metric_type: &'a str,
    pub model_id: &'a str,
    /// Known numeric names among the unknown top-level fields.
    pub top: Numbers,
    pub metadata: Numbers,
}

impl<'a> Words<'a> {
    /// Defaults, aliases and the score.
    pub fn head(&self, settings: &Settings) -> Result<Head<'a>, String> {
        if self.service_id.is_empty() {
            return Err(missing("service_id"));
        }
        if !self.has_title {
            return Err(missing("title"));
        }
        let numbers = self.metadata.or(&self.top);
        let said = if self.severity.is_empty() { None } else { settings.severity(self.severity) };
        Ok(Head {
            service_id: self.service_id,
            category: if self.category.is_empty() { UNCATEGORIZED } else { self.category },
            metric_type: self.metric_type,
            model_id: self.model_id,
            alertname: "",
            dedup_key: self.dedup_key,
            source: self.source,
            environment: settings.environment(self.environment).unwrap_or_default(),
            severity: said.or_else(|| numbers.factors().severity()).unwrap_or(settings.severity_default),
            status: status("status", self.status)?,
            timestamp: time("timestamp", self.timestamp)?,
            starts_at: None,
            threshold: numbers.number(Known::Threshold),
            current_value: numbers.current_value(),
        })
    }
}

const UNCATEGORIZED: &str = "uncategorized";

fn missing(field: &str) -> String {
    format!("{field}: missing or empty; a non-empty string is required")
}

/// The status that a word means, in any letter case.
pub fn status(field: &str, word: &str) -> Result<AlertStatus, String> {
    if word.is_empty() || word.eq_ignore_ascii_case("firing") {
        Ok(AlertStatus::Firing)
    } else if word.eq_ignore_ascii_case("resolved") {
        Ok(AlertStatus::Resolved)
    } else {
        Err(format!("{field}: expected `firing` or `resolved`, found {}", quoted(word)))
    }
}

/// The moment that a text names; `None` where it is empty.
pub fn time(field: &str, text: &str) -> Result<Option<Time>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let error = || format!("{field}: expected an RFC 3339 timestamp such as 2026-11-23T16:04:10.510Z, found {}", quoted(text));
    Time::parse(text).map(Some).ok_or_else(error)
}

/// Parses an alert's object, within the limits.
pub fn parse(text: &str, settings: &Settings) -> Result<Map<String, Value>, String> {
    if text.len() > settings.max_alert {
        return Err(format!("{} bytes; an alert may have at most {} (limits.alert)", text.len(), settings.max_alert));
    }
    if let Some(error) = depth::too_deep(text, settings.nesting()) {
        return Err(error);
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(map)) => Ok(map),
        Ok(other) => Err(format!("the alert: {}", expected("an object", &other))),
        Err(error) => Err(format!("not JSON: {error}")),
    }
}

/// The text field `name` of `map`; empty where it is missing.
pub fn text<'m>(map: &'m Map<String, Value>, name: &str) -> Result<&'m str, String> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(""),
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("{name}: {}", expected("a string", other))),
    }
}

/// The object `name` of `map`; `None` where it is missing.
pub fn object<'m>(map: &'m Map<String, Value>, name: &str) -> Result<Option<&'m Map<String, Value>>, String> {
    match map.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(other) => Err(format!("{name}: {}", expected("an object", other))),
    }
}

/// Are these labels: strings, and not too many?
pub fn check_labels(labels: &Map<String, Value>, settings: &Settings) -> Result<(), String> {
    if labels.len() > settings.max_labels {
        return Err(format!("labels: {} of them; at most {} are taken (limits.labels)", labels.len(), settings.max_labels));
    }
    match labels.iter().find(|(_, value)| !matches!(value, Value::String(_) | Value::Null)) {
        Some((name, value)) => Err(format!("labels.{name}: {}", expected("a string", value))),
        None => Ok(()),
    }
}

/// The labels that have a value.
pub fn labels(map: &Map<String, Value>) -> Labels {
    let texts = map.iter().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
    texts.collect()
}

/// Reads the words of a parsed alert, or says which field is wrong.
pub fn words<'m>(map: &'m Map<String, Value>, settings: &Settings) -> Result<Words<'m>, String> {
    let field = |name| text(map, name);
    field("description")?;
    let empty = Map::new();
    let labels = object(map, "labels")?;
    check_labels(labels.unwrap_or(&empty), settings)?;
    let label = |name| labels.and_then(|labels| labels.get(name)).and_then(Value::as_str).unwrap_or_default();
    Ok(Words {
        service_id: field("service_id")?,
        has_title: !field("title")?.is_empty(),
        category: field("category")?,
        environment: field("environment")?,
        severity: field("severity")?,
        status: field("status")?,
        timestamp: field("timestamp")?,
        dedup_key: field("dedup_key")?,
        source: field("source")?,
        metric_type: label("metric_type"),
        model_id: label("model_id"),
        top: Numbers::of(map),
        metadata: object(map, "metadata")?.map(Numbers::of).unwrap_or_default(),
    })
}

/// What the creation of an incident takes from a parsed alert. Fields of a wrong type count as missing.
pub fn body(mut map: Map<String, Value>, settings: &Settings) -> AlertBody {
    let mut take = |name: &str| match map.remove(name) {
        Some(Value::String(text)) => text,
        _ => String::new(),
    };
    let [title, description, mut category, dedup_key] = ["title", "description", "category", "dedup_key"].map(&mut take);
    let [environment_word, severity_word] = ["environment", "severity"].map(&mut take);
    if category.is_empty() {
        UNCATEGORIZED.clone_into(&mut category);
    }
    let labels = map.get("labels").and_then(Value::as_object).map(labels).unwrap_or_default();
    let mut metadata = match map.remove("metadata") {
        Some(Value::Object(metadata)) => metadata,
        _ => Map::new(),
    };
    for (name, value) in map {
        if !FIELDS.contains(&name.as_str()) && !metadata.contains_key(&name) {
            metadata.insert(name, value);
        }
    }
    numbers::convert(&mut metadata);
    let environment = settings.environment(&environment_word);
    keep_originals(&mut metadata, (&environment_word, environment), (&severity_word, settings.severity(&severity_word)));
    AlertBody {
        title,
        description,
        category,
        environment: environment.unwrap_or_default(),
        dedup_key: (!dedup_key.is_empty()).then_some(dedup_key),
        labels,
        metadata: Metadata(metadata),
    }
}

/// Stands in for an alert that `quick` has read and this reader cannot: never silent by mistake.
pub fn unreadable(error: &str) -> AlertBody {
    let (title, category) = ("unreadable alert".to_owned(), UNCATEGORIZED.to_owned());
    AlertBody { title, description: error.to_owned(), category, ..AlertBody::default() }
}

/// Keeps the words that no table knows.
pub fn keep_originals(
    metadata: &mut Map<String, Value>,
    environment: (&str, Option<Environment>),
    severity: (&str, Option<Severity>),
) {
    for (name, word, known) in [
        ("original_environment", environment.0, environment.1.is_some()),
        ("original_severity", severity.0, severity.1.is_some()),
    ] {
        if !known && !word.is_empty() {
            metadata.insert(name.to_owned(), Value::from(word));
        }
    }
}
