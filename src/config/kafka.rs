//! `[kafka]`: every librdkafka property passes through, save those that would break what incidentd promises.

use crate::config::problem::nearest;
use crate::config::reader::Section;
use serde::Serializer;
use serde::ser::SerializeMap;
use serde_json::Value;
use std::collections::BTreeMap;

/// Properties that may be written down but not changed: name, allowed values, reason. Exactly-once and the homes of SPEC 2
/// rest on them.
pub const FIXED_PROPERTIES: [(&str, &[&str], &str); 11] = [
    ("enable.auto.commit", &["false"], "offsets are committed in the transaction of what came of their records"),
    ("enable.auto.offset.store", &["false"], "offsets are committed in the transaction of what came of their records"),
    ("isolation.level", &["read_committed"], "an aborted transaction must never be read"),
    ("partition.assignment.strategy", &["range"], "only `range` gives one member the same partition of every topic"),
    ("group.protocol", &["classic"], "only the classic protocol lets a member choose the `range` assignor"),
    (
        "auto.offset.reset",
        &["earliest", "smallest", "beginning", "error"],
        "a group without offsets begins at the oldest record, and a committed offset that is gone is an error: anything else \
         loses alerts silently",
    ),
    ("enable.idempotence", &["true"], "transactions need it"),
    ("acks", &["all", "-1"], "transactions need it"),
    ("request.required.acks", &["all", "-1"], "transactions need it"),
    ("partitioner", &["murmur2_random"], "keys live where the Java clients put them"),
    ("enable.partition.eof", &["true"], "a shard is ready when it has read its partitions to their ends"),
];

/// Names that people misspell. librdkafka itself checks the rest when a client is made.
const COMMON: [&str; 30] = [
    "bootstrap.servers",
    "broker.address.family",
    "client.id",
    "compression.codec",
    "compression.type",
    "debug",
    "fetch.max.bytes",
    "fetch.min.bytes",
    "fetch.wait.max.ms",
    "group.id",
    "group.instance.id",
    "linger.ms",
    "max.poll.interval.ms",
    "message.max.bytes",
    "metadata.max.age.ms",
    "queued.max.messages.kbytes",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "session.timeout.ms",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.certificate.location",
    "ssl.key.location",
    "ssl.key.password",
    "statistics.interval.ms",
    "heartbeat.interval.ms",
];

pub fn read(mut section: Section<'_>) -> BTreeMap<String, String> {
    let mut properties =
        BTreeMap::from([("bootstrap.servers", "localhost:9092"), ("group.id", "incidentd")].map(|(k, v)| (k.into(), v.into())));
    for (name, node) in section.rest() {
        let value = match node.value {
            Value::String(text) => text,
            Value::Bool(_) | Value::Number(_) => node.value.to_string(),
            other => {
                let help = "write a string, a number, true or false".to_owned();
                section.wrong(&name, Some(node.place), format!("{other} is no property's value"), help);
                continue;
            }
        };
        if let Err((message, help)) = check(&name, &value) {
            section.wrong(&name, Some(node.place), message, help);
        }
        properties.insert(name, value);
    }
    for required in ["bootstrap.servers", "group.id"] {
        if properties.get(required).is_none_or(|value| value.trim().is_empty()) {
            section.wrong(required, None, "is empty".to_owned(), "leave it out for the default, or name one".to_owned());
        }
    }
    properties
}

fn check(name: &str, value: &str) -> Result<(), (String, String)> {
    if let Some((_, allowed, reason)) = FIXED_PROPERTIES.into_iter().find(|(fixed, ..)| *fixed == name)
        && !allowed.contains(&value)
    {
        return Err((format!("\"{value}\" is refused: {reason}"), format!("leave it out, or write \"{}\"", allowed[0])));
    }
    if name == "transactional.id" {
        let help = "set \"group.instance.id\": it names the member and its transactional.id".to_owned();
        return Err(("is set by incidentd itself".to_owned(), help));
    }
    // One property in a configuration of its own: librdkafka looks at its name and its value, and at nothing else.
    let mut alone = rdkafka::ClientConfig::new();
    alone.set(name, value);
    match alone.create_native_config() {
        Ok(_) => Ok(()),
        Err(rdkafka::error::KafkaError::ClientConfig(_, reason, ..)) if reason.contains("No such configuration property") => {
            let near = nearest(name, COMMON).map(|near| format!("did you mean \"{near}\"?"));
            let help = near.unwrap_or_else(|| "see librdkafka's CONFIGURATION.md for the names".to_owned());
            Err(("librdkafka has no such property".to_owned(), help))
        }
        Err(rdkafka::error::KafkaError::ClientConfig(_, reason, ..)) => {
            Err((format!("\"{value}\" is refused by librdkafka: {reason}"), "see librdkafka's CONFIGURATION.md".to_owned()))
        }
        Err(error) => Err((format!("is refused by librdkafka: {error}"), "see librdkafka's CONFIGURATION.md".to_owned())),
    }
}

/// The properties as a map, with what is secret among them hidden.
pub fn hide_secrets<S: Serializer>(properties: &BTreeMap<String, String>, serializer: S) -> Result<S::Ok, S::Error> {
    let secret = |name: &str| ["password", "secret", ".key.pem", "jaas"].iter().any(|word| name.contains(word));
    let mut map = serializer.serialize_map(Some(properties.len()))?;
    for (name, value) in properties {
        map.serialize_entry(name, if secret(name) { "(hidden)" } else { value })?;
    }
    map.end()
}

/// The largest message that the producer takes; librdkafka's default where it is not set.
pub fn message_max(properties: &BTreeMap<String, String>) -> usize {
    properties.get("message.max.bytes").and_then(|bytes| bytes.parse().ok()).unwrap_or(1_000_000)
}
