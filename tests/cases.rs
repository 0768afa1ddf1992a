//! Each folder of `tests/cases` is a story: what comes in, and what must come out, whatever goes wrong in between.
//!
//! `input.jsonl` is what `incidentd replay` takes; a line that begins with `#` is a comment, and the first names the sentence
//! that the case is about. `rules/` and `config.toml` may be missing. `expected.jsonl`: a line for each record of the topics
//! that it names (or that its first line lists as `{"topics": […]}`), in order; each is a part of the record: objects may have
//! more keys, all else must be equal; `null` stands for a key that is not there. A line `{"outcomes": {…}}` says what became
//! of all alerts. In all of them an action has an id of its own, and an incident's version rises. Every case runs three ways
//! (straight; every shard dropped and restored after each line; every transaction aborted once), whose whole output must be
//! the same, and as `schemas/` says.

use crate::schemas;
use incidentd::config::Config;
use incidentd::model::Topic;
use incidentd::replay::{Fault, Replay, load_rules};
use incidentd::rules::RuleSource;
use incidentd::{rules_dir, settings};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Every record that came out, and how many alerts had which outcome.
fn run(case: &Path, fault: Fault) -> (Vec<Value>, Value) {
    let config = match std::fs::read_to_string(case.join("config.toml")) {
        Ok(text) => Config::parse(&text, std::iter::empty()).unwrap_or_else(|problems| panic!("{problems:?}")),
        Err(_) => Config::default(),
    };
    let folder = case.join("rules");
    let source = if folder.is_dir() { rules_dir::read(&folder).unwrap() } else { RuleSource::default() };
    let rules = load_rules(&source).unwrap_or_else(|found| panic!("{found:#?}"));
    let mut replay = Replay::new(settings::codec(&config), settings::engine(&config), rules, fault);
    let mut produced = Vec::new();
    let input = std::fs::read(case.join("input.jsonl")).unwrap();
    for line in input.split(|byte| *byte == b'\n').filter(|line| !line.is_empty() && line[0] != b'#') {
        replay.line(line, &mut |record| produced.push(record.to_json())).unwrap();
    }
    let outcomes = replay.outcomes().map(|(outcome, count)| (outcome.name().to_owned(), count.into())).collect::<Map<_, _>>();
    let parse = |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    (produced.iter().map(parse).collect(), outcomes.into())
}

/// Where `actual` lacks something of `expected`.
fn missing(expected: &Value, actual: Option<&Value>, path: &str) -> Option<String> {
    match (expected, actual) {
        (Value::Null, None | Some(Value::Null)) => None,
        (Value::Object(expected), Some(Value::Object(actual))) => {
            expected.iter().find_map(|(key, value)| missing(value, actual.get(key), &format!("{path}.{key}")))
        }
        (Value::Array(expected), Some(Value::Array(actual))) if expected.len() == actual.len() => expected
            .iter()
            .zip(actual)
            .enumerate()
            .find_map(|(at, (expected, actual))| missing(expected, Some(actual), &format!("{path}[{at}]"))),
        (expected, Some(actual)) if expected == actual => None,
        (expected, None) => Some(format!("{path}: expected {expected}, there is none")),
        (expected, Some(actual)) => Some(format!("{path}: expected {expected}, found {actual}")),
    }
}

/// What holds in every story: each action has an id of its own, and an incident's version rises.
fn unlawful(records: &[Value]) -> Option<String> {
    let mut ids = BTreeSet::new();
    let mut versions: BTreeMap<&str, u64> = BTreeMap::new();
    for record in records {
        let (topic, value) = (record["topic"].as_str().unwrap_or_default(), &record["value"]);
        if let ("notifications" | "escalations" | "remediations", Some(id)) = (topic, value["id"].as_str())
            && !ids.insert(id)
        {
            return Some(format!("two actions have the id {id}, this one among them: {value}"));
        }
        if let ("incidents", Some(id), Some(version)) = (topic, value["id"].as_str(), value["version"].as_u64())
            && versions.insert(id, version).is_some_and(|before| before >= version)
        {
            return Some(format!("its version does not rise: {value}"));
        }
    }
    None
}

/// The schema of a record of each topic that people and programs read.
fn validators() -> BTreeMap<&'static str, jsonschema::Validator> {
    let topics = ["incidents", "silences", "notifications", "escalations", "remediations", "decisions"];
    topics.into_iter().map(|topic| (topic, schemas::validator(&topic[..topic.len() - 1]))).collect()
}

/// What a record has that its schema does not allow.
fn against_schema(record: &Value, schemas: &BTreeMap<&str, jsonschema::Validator>) -> Result<(), String> {
    let Some(schema) = record["topic"].as_str().and_then(|topic| schemas.get(topic)) else { return Ok(()) };
    if record["value"].is_null() {
        return Ok(());
    }
    schema.validate(&record["value"]).map_err(|error| format!("{} at `{}`\n  in {record}", error, error.instance_path))
}

fn check(case: &Path, schemas: &BTreeMap<&str, jsonschema::Validator>) -> Result<(), String> {
    let input = std::fs::read_to_string(case.join("input.jsonl")).map_err(|error| format!("input.jsonl: {error}"))?;
    if !["# SPEC ", "# ARCHITECTURE "].iter().any(|source| input.starts_with(source)) {
        return Err("its first line does not say, as `# SPEC 4.3: …`, which sentence it is about".to_owned());
    }
    let (straight, outcomes) = run(case, Fault::None);
    if let Some(problem) = unlawful(&straight) {
        return Err(problem);
    }
    straight.iter().try_for_each(|record| against_schema(record, schemas))?;
    for fault in [Fault::RestartAfterEach, Fault::AbortEachOnce] {
        let (faulty, others) = run(case, fault);
        if others != outcomes {
            return Err(format!("{fault:?}: outcomes {others}, straight {outcomes}"));
        }
        if let Some(at) = (0..straight.len().max(faulty.len())).find(|at| straight.get(*at) != faulty.get(*at)) {
            let show = |records: &[Value]| records.get(at).map_or("nothing".to_owned(), Value::to_string);
            return Err(format!(
                "{fault:?}: record {at} differs\n  straight: {}\n  then:     {}",
                show(&straight),
                show(&faulty)
            ));
        }
    }
    let text = std::fs::read_to_string(case.join("expected.jsonl")).map_err(|error| error.to_string())?;
    let mut expected: Vec<Value> = Vec::new();
    for line in text.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        expected.push(serde_json::from_str(line).map_err(|error| format!("expected.jsonl: {error} in {line}"))?);
    }
    let expected_outcomes = expected.iter().position(|line| line.get("outcomes").is_some()).map(|at| expected.remove(at));
    if let Some(line) = expected_outcomes.filter(|line| line["outcomes"] != outcomes) {
        return Err(format!("expected {line}, found {outcomes}"));
    }
    let mut topics: Vec<Value> = expected.iter().filter_map(|line| line.get("topic").cloned()).collect();
    if let Some(listed) = expected.first().and_then(|line| line.get("topics")).and_then(Value::as_array).cloned() {
        topics.extend(listed);
        expected.remove(0);
    }
    assert!(!topics.is_empty(), "{}: a case that expects nothing cannot fail", case.display());
    let is_topic = |topic: &&Value| Topic::ALL.iter().any(|known| **topic == known.name());
    if let Some(topic) = topics.iter().find(|topic| !is_topic(topic)) {
        return Err(format!("expected.jsonl: there is no topic {topic}, so that nothing of it could come"));
    }
    let actual: Vec<&Value> = straight.iter().filter(|record| topics.contains(&record["topic"])).collect();
    for at in 0..expected.len().max(actual.len()) {
        let problem = match (expected.get(at), actual.get(at)) {
            (Some(expected), Some(actual)) => missing(expected, Some(actual), "").map(|what| format!("{what}\n  in {actual}")),
            (Some(expected), None) => Some(format!("expected {expected}, there is no more")),
            (None, Some(actual)) => Some(format!("not expected: {actual}")),
            (None, None) => None,
        };
        if let Some(problem) = problem {
            return Err(format!("record {at} of {topics:?}: {problem}"));
        }
    }
    Ok(())
}

#[test]
fn every_case_says_what_it_must_three_ways() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let mut cases: Vec<PathBuf> = std::fs::read_dir(root).unwrap().map(|entry| entry.unwrap().path()).collect();
    cases.sort();
    assert!(cases.len() >= 30, "only {} cases were found", cases.len());
    let schemas = validators();
    let failures: Vec<String> = cases
        .iter()
        .filter_map(|case| {
            check(case, &schemas).err().map(|problem| format!("{}: {problem}", case.file_name().unwrap().display()))
        })
        .collect();
    assert!(failures.is_empty(), "{} of {} cases failed\n\n{}", failures.len(), cases.len(), failures.join("\n\n"));
}
