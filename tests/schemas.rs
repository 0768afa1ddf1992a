//! `schemas/`: every file is listed, is a schema, and is what `asyncapi.yaml` refers to (SPEC 3).

use incidentd::codec::{SCHEMAS, schema};
use incidentd::model::Topic;
use serde_json::Value;
use std::fs;
use std::path::Path;

#[test]
fn every_file_is_listed_under_its_own_name() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas");
    let mut files: Vec<_> = fs::read_dir(folder).expect("the folder").map(|file| file.expect("a file").path()).collect();
    files.sort();
    let stems: Vec<_> = files.iter().filter_map(|file| file.file_stem()?.to_str()).collect();
    assert_eq!(stems, SCHEMAS.map(|(name, _)| name));
    for (name, text) in SCHEMAS.iter().filter(|(name, _)| *name != "asyncapi") {
        let schema: Value = serde_json::from_str(text).expect(name);
        assert!(schema["$id"].as_str().is_some_and(|id| id.ends_with(&format!("/{name}.json"))), "{name}");
        assert!(jsonschema::meta::is_valid(&schema), "{name}");
    }
    assert_eq!(schema("no such"), None);
}

#[test]
fn the_examples_of_the_alert_schema_are_alerts() {
    let schema: Value = serde_json::from_str(schema("alert").expect("there is one")).expect("it is JSON");
    for example in schema["examples"].as_array().expect("examples") {
        assert!(jsonschema::is_valid(&schema, example), "{example}");
    }
}

/// The description of the topics names each, and refers to no schema that is not there.
#[test]
fn asyncapi_describes_every_topic_that_is_written_or_read() {
    let text = schema("asyncapi").expect("there is one");
    for topic in [Topic::Alerts, Topic::Incidents, Topic::Notifications, Topic::Decisions, Topic::DeadLetters] {
        assert!(text.contains(&format!("    address: {}\n", topic.name())), "{} has no channel", topic.name());
    }
    let references: Vec<&str> = text.lines().filter_map(|line| line.trim().strip_prefix("$ref: ./")).collect();
    for reference in &references {
        assert!(SCHEMAS.iter().any(|(name, _)| format!("{name}.json") == *reference), "{reference}");
    }
    assert_eq!(references.len(), SCHEMAS.len() - 1, "each schema is referred to once");
    for header in ["topic", "partition", "offset", "index", "stage", "reason", "truncated"] {
        assert!(text.contains(&format!("__incidentd.error.{header}:")), "{header}");
    }
}
