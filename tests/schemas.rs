//! `schemas/`: every file is listed, is a schema, and is what `asyncapi.yaml` refers to (SPEC 3).

use incidentd::codec::{COMMANDS, SCHEMAS, Settings, read_command, read_event, schema};
use incidentd::model::{Time, Topic};
use serde_json::Value;
use std::collections::BTreeSet;
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

/// The schema of that name, with those that it refers to.
pub fn validator(name: &str) -> jsonschema::Validator {
    let parse = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
    let mut options = jsonschema::options();
    for (_, text) in SCHEMAS.iter().filter(|(name, _)| *name != "asyncapi") {
        let schema = parse(text);
        let id = schema["$id"].as_str().expect("an id").to_owned();
        options = options.with_resource(id, jsonschema::Resource::from_contents(schema).expect("a schema"));
    }
    options.build(&parse(schema(name).expect(name))).expect("a schema")
}

/// What people copy from the schemas of the inputs is understood by the readers.
#[test]
fn the_examples_of_the_inputs_are_what_they_say() {
    let settings = Settings::default();
    for (name, fewest) in [("alert", 1), ("command", 8), ("event", 2)] {
        let validator = validator(name);
        let schema: Value = serde_json::from_str(schema(name).expect("there is one")).expect("it is JSON");
        let examples = schema["examples"].as_array().expect("examples");
        assert!(examples.len() >= fewest, "{name}");
        for example in examples {
            assert!(validator.is_valid(example), "{example}");
            let bytes = example.to_string().into_bytes();
            let read = match name {
                "command" => read_command(Some(&bytes), Time(0), &settings).map(drop),
                "event" => read_event(Some(&bytes), Time(0), &settings).map(drop),
                _ => Ok(()),
            };
            assert_eq!(read, Ok(()), "{example}");
        }
    }
    let commands: Value = serde_json::from_str(schema("command").expect("there is one")).expect("it is JSON");
    assert_eq!(commands["properties"]["command"]["enum"], serde_json::json!(COMMANDS));
}

/// The description of the topics names each, and refers to no schema that is not there.
#[test]
fn asyncapi_describes_every_topic_that_is_written_or_read() {
    let text = schema("asyncapi").expect("there is one");
    let ours_alone = [Topic::State, Topic::Inbox, Topic::Delivery];
    for topic in Topic::ALL.into_iter().filter(|topic| !ours_alone.contains(topic)) {
        assert!(text.contains(&format!("    address: {}\n", topic.name())), "{} has no channel", topic.name());
    }
    let references: BTreeSet<&str> = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("$ref: ./"))
        .filter_map(|reference| reference.split('#').next())
        .collect();
    for reference in &references {
        assert!(SCHEMAS.iter().any(|(name, _)| format!("{name}.json") == *reference), "{reference}");
    }
    assert_eq!(references.len(), SCHEMAS.len() - 1, "each schema is referred to");
    for header in ["topic", "partition", "offset", "index", "stage", "reason", "truncated"] {
        assert!(text.contains(&format!("__incidentd.error.{header}:")), "{header}");
    }
}
