//! Whatever bytes come as a command, an event or a fact: no panic, and the schema takes what the decoder takes.

use super::*;
use crate::codec::{COMMANDS, FACT, read_command, read_event, read_facts, write_fact};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, json};

thread_local! {
    static COMMAND: jsonschema::Validator = validator("command");
    static EVENT: jsonschema::Validator = validator("event");
}

/// A value that may be right for some field, or for none.
fn value() -> impl Strategy<Value = Value> {
    let texts = vec![
        "",
        "a",
        ".*",
        "(",
        "llm-.+",
        "started",
        "succeeded",
        "deployment",
        "Measurement",
        "inc_00030123456789abcdef",
        "act_1",
        "2026-11-23T16:04:10.51Z",
        "2027-01-01T00:00:00Z",
        "yesterday",
        "5",
        "-1e3",
    ];
    let matcher =
        (select(vec!["service_id", "region", "severity"]), select(vec!["", "x", ".*", "a|b", "("]), any::<bool>(), any::<bool>())
            .prop_map(|(name, value, regex, equal)| json!({"name": name, "value": value, "isRegex": regex, "isEqual": equal}));
    prop_oneof![
        1 => Just(Value::Null),
        2 => any::<bool>().prop_map(Value::from),
        2 => any::<i64>().prop_map(Value::from),
        2 => (0..50_000_i64).prop_map(Value::from),
        // 0.0 is an integer to JSON Schema and to the decoder, but to this validator only where a field has a single type.
        1 => any::<f64>().prop_map(|number| Value::from(if number == 0.0 { 0.5 } else { number })),
        8 => select(texts).prop_map(Value::from),
        1 => any::<String>().prop_map(Value::from),
        3 => vec(matcher, 0..3).prop_map(Value::from),
        1 => Just(json!({"a": [{}]})),
    ]
}

fn fields(names: Vec<&'static str>) -> impl Strategy<Value = Map<String, Value>> {
    vec((select(names), value()), 0..8)
        .prop_map(|pairs| pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}

/// A good one of each kind, with some fields replaced.
fn command() -> impl Strategy<Value = Value> {
    let names = vec![
        "incident_id",
        "user",
        "note",
        "resolution",
        "assignee",
        "minutes",
        "silence_id",
        "matchers",
        "starts_at",
        "ends_at",
        "comment",
        "action_id",
        "outcome",
        "error",
        "channel",
        "target",
        "delivered",
        "attempts",
        "sent_at",
        "x",
    ];
    let base = json!({
        "incident_id": "inc_00030123456789abcdef", "assignee": "bob", "minutes": 5, "note": "n", "silence_id": "s",
        "matchers": [{"name": "a", "value": "b"}], "ends_at": "2026-12-01T00:00:00Z", "action_id": "act_1", "outcome": "failed",
        "channel": "slack", "target": "t", "delivered": true,
    });
    let name = prop_oneof![20 => select(COMMANDS.to_vec()).prop_map(Value::from), 1 => value()];
    (name, fields(names)).prop_map(move |(name, fields)| {
        let mut command = base.clone();
        command["command"] = name;
        for (field, value) in fields {
            command[field] = value;
        }
        command
    })
}

fn event() -> impl Strategy<Value = Value> {
    let names = vec!["type", "service_id", "metric", "value", "unit", "timestamp", "description", "id", "x"];
    (select(vec!["deployment", "measurement"]), fields(names)).prop_map(|(kind, fields)| {
        let mut event = json!({"type": kind, "service_id": "s", "metric": "m", "value": 1});
        for (field, value) in fields {
            event[field] = value;
        }
        event
    })
}

fn edits() -> impl Strategy<Value = Vec<(Index, u8, u8)>> {
    let byte = prop_oneof![any::<u8>(), select(b"{}[]\",:\\0u-.eE \n\0\x1f".to_vec())];
    vec((any::<Index>(), byte, 0..3_u8), 0..4)
}

/// Neither panics; an error is one line that somebody can read.
fn take(bytes: &[u8]) -> Result<(), TestCaseError> {
    let settings = Settings::default();
    let errors = [
        read_command(Some(bytes), Time(0), &settings).err(),
        read_event(Some(bytes), Time(0), &settings).err(),
        read_facts(b"2", Some(bytes)).err(),
    ];
    for error in errors.into_iter().flatten() {
        prop_assert!(!error.is_empty() && !error.contains('\n') && error.chars().count() < 1_000, "{}", error);
    }
    Ok(())
}

/// What no schema can say: whether an expression compiles or takes everything, and which of two moments is later.
fn beyond_a_schema(reason: &str) -> bool {
    ["not a regular expression", "could match everything", "is not after starts_at"].iter().any(|known| reason.contains(known))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn raw_bytes(bytes in vec(any::<u8>(), 0..300)) {
        take(&bytes)?;
    }

    #[test]
    fn mutated_commands(command in command(), edits in edits()) {
        take(&mutated(command.to_string().into_bytes(), edits))?;
    }

    #[test]
    fn mutated_events(event in event(), edits in edits()) {
        take(&mutated(event.to_string().into_bytes(), edits))?;
    }

    #[test]
    fn mutated_facts(which in any::<Index>(), edits in edits()) {
        let facts = super::facts::facts();
        let record = write_fact(0, &facts[which.index(facts.len())], &Settings::default());
        prop_assert_eq!(record.headers[0].0.as_str(), FACT);
        take(&mutated(record.value.expect("a value"), edits))?;
    }

    #[test]
    fn the_schema_of_commands_takes_what_the_decoder_takes(command in command()) {
        let problem = COMMAND.with(|schema| schema.iter_errors(&command).next().map(|error| error.to_string()));
        match read_command(Some(command.to_string().as_bytes()), Time(0), &Settings::default()) {
            Ok(_) => prop_assert_eq!(problem, None, "{}", command),
            Err(reason) => prop_assert!(problem.is_some() || beyond_a_schema(&reason), "{}: {}", reason, command),
        }
    }

    #[test]
    fn the_schema_of_events_takes_what_the_decoder_takes(event in event()) {
        let problem = EVENT.with(|schema| schema.iter_errors(&event).next().map(|error| error.to_string()));
        match read_event(Some(event.to_string().as_bytes()), Time(0), &Settings::default()) {
            Ok(_) => prop_assert_eq!(problem, None, "{}", event),
            // A text may be a number or not.
            Err(reason) => prop_assert!(problem.is_some() || reason.starts_with("value: expected a number, found a string"), "{}: {}", reason, event),
        }
    }
}
