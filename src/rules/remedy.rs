//! The actions of a remediation: which types there are, and what each needs (the seed's, SPEC 4.8).

use crate::model::{Metadata, Remedy};
use crate::rules::collector::Finding;
use crate::rules::diagnostic::{Place, suggest};
use crate::rules::reader::Reader;
use rhai::{Array, Dynamic, FLOAT};
use serde_json::{Value, json};

/// Of one rule.
const MOST_ACTIONS: usize = 20;
const REMEDY: &str = "write `rollback()`, `scale_up(\"+2\")` or `#{ type: \"restart\", target: \"chat\" }`";

/// Each type with what it needs beside `target`, which all may have.
pub(super) const TYPES: [(&str, &[&str]); 6] = [
    ("rollback", &[]),
    ("scale_up", &["replicas"]),
    ("restart", &[]),
    ("increase_rate_limit", &["multiplier", "duration_minutes"]),
    ("switch_model_variant", &["variant"]),
    ("notify", &["message"]),
];

/// What a closure gave, or the first thing wrong with it. A target that is not named is empty.
pub(super) fn made(items: &Array) -> Result<Vec<Remedy>, String> {
    let (remedies, findings) = read_all(items, Place::default());
    match findings.iter().find(|finding| finding.error) {
        Some(finding) => Err(format!("{}: {}", finding.path, finding.told())),
        None => Ok(remedies),
    }
}

/// The array under `actions`, and what is wrong with it.
pub(super) fn read_all(items: &Array, place: Place) -> (Vec<Remedy>, Vec<Finding>) {
    let (mut remedies, mut findings) = (Vec::new(), Vec::new());
    for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.is_unit()) {
        match read(format!("actions[{index}]"), item, place) {
            Ok((remedy, found)) => {
                remedies.extend(remedy);
                findings.extend(found);
            }
            Err(finding) => findings.push(finding),
        }
    }
    if remedies.len() > MOST_ACTIONS {
        let message = format!("{} actions; {MOST_ACTIONS} is the most", remedies.len());
        let help = Some("split them over several rules".to_owned());
        findings.push(Finding { place, path: "actions".to_owned(), at_key: false, error: true, message, help });
    }
    (remedies, findings)
}

fn read(path: String, item: &Dynamic, place: Place) -> Result<(Option<Remedy>, Vec<Finding>), Finding> {
    let known: Vec<&str> = ["type", "target"].into_iter().chain(TYPES.iter().flat_map(|(_, keys)| *keys).copied()).collect();
    let mut reader = Reader::of_item("an action", path, item, place, &known, REMEDY)?;
    if !reader.has("type") {
        reader.missing("type", REMEDY);
    }
    let Some(kind) = reader.text("type", REMEDY) else { return Ok((None, reader.findings)) };
    let Some((_, keys)) = TYPES.iter().find(|(name, _)| *name == kind) else {
        let help = suggest(&kind, TYPES.map(|(name, _)| name));
        reader.error("type", format!("there is no action of type `{kind}`"), &help);
        return Ok((None, reader.findings));
    };
    let target = reader.text("target", "write the service in quotes, or leave it out for the incident's own").unwrap_or_default();
    let mut parameters = serde_json::Map::new();
    for key in *keys {
        match reader.take(key) {
            None => reader.missing(key, &format!("{kind} needs {}", wanted(key))),
            Some(value) => match parameter(key, &value) {
                Some(read) => drop(parameters.insert((*key).to_owned(), read)),
                None => reader.wrong(key, wanted(key), &value, REMEDY),
            },
        }
    }
    for key in reader.keys().iter().filter(|key| TYPES.iter().any(|(_, keys)| keys.contains(&key.as_str()))) {
        reader.error(key, format!("{kind} has no `{key}`"), "take it out");
    }
    Ok((Some(Remedy { kind, target, parameters: Metadata(parameters) }), reader.findings))
}

fn wanted(key: &str) -> &'static str {
    match key {
        "replicas" => "replicas such as \"+2\" or \"50%\"",
        "multiplier" => "a number above 0",
        "duration_minutes" => "a whole number of minutes, 1 or more",
        _ => "a text",
    }
}

fn parameter(key: &str, value: &Dynamic) -> Option<Value> {
    match key {
        "replicas" => replicas(value).map(Value::String),
        "multiplier" => multiplier(value),
        "duration_minutes" => value.as_int().ok().filter(|minutes| (1..=1_000_000).contains(minutes)).map(Value::from),
        _ => value.clone().into_string().ok().filter(|text| !text.trim().is_empty()).map(Value::String),
    }
}

/// The seed's is a text such as "+2"; a number of replicas to add means the same.
pub(super) fn replicas(value: &Dynamic) -> Option<String> {
    if let Ok(more) = value.as_int() {
        return (1..=999_999).contains(&more).then(|| format!("+{more}"));
    }
    value.clone().into_string().ok().filter(|text| {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let digits = digits.strip_suffix('%').unwrap_or(digits);
        (1..=6).contains(&digits.len()) && digits.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// A whole number stays one.
pub(super) fn multiplier(value: &Dynamic) -> Option<Value> {
    let times = value.as_float().or_else(|_| value.as_int().map(|whole| whole as FLOAT)).ok()?;
    let fits = times.is_finite() && times > 0.0;
    fits.then(|| value.as_int().map_or_else(|_| json!(times), |whole| json!(whole)))
}
