//! Raw values and where each was written: the TOML file, and the environment laid over it.

use crate::config::problem::{Place, Problem, nearest};
use serde_json::Value;
use std::collections::BTreeMap;
use toml::de::{DeTable, DeValue};

/// Every table there is, dotted; in the environment `_` stands for the dot. The first, unnamed one holds `roles`.
const TABLES: [&str; 25] = [
    "",
    "kafka",
    "topics",
    "engine",
    "dedup",
    "severity",
    "aliases",
    "aliases.environment",
    "aliases.severity",
    "correlation",
    "catch_up",
    "flapping",
    "rules",
    "api",
    "delivery",
    "delivery.slack",
    "delivery.pagerduty",
    "delivery.sms",
    "delivery.email",
    "delivery.fallback",
    "delivery.remediation",
    "delivery.heartbeat",
    "delivery.breaker",
    "telemetry",
    "limits",
];

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub value: Value,
    pub place: Place,
}

/// Table → key → value.
#[derive(Clone, Debug, Default)]
pub struct Tree {
    pub tables: BTreeMap<&'static str, BTreeMap<String, Node>>,
}

impl Tree {
    pub fn gather(text: &str, environment: impl Iterator<Item = (String, String)>, problems: &mut Vec<Problem>) -> Tree {
        let mut tree = Tree::default();
        let lines = Lines { text };
        match DeTable::parse(text) {
            Ok(root) => tree.take_table("", root.get_ref(), &lines, problems),
            Err(error) => problems.push(Problem {
                key: String::new(),
                place: Some(Place::Line(error.span().map_or(1, |span| lines.of(span.start)))),
                message: format!("not TOML: {}", error.message()),
                help: "see https://toml.io for the notation; strings stand in quotes".to_owned(),
            }),
        }
        tree.take_environment(environment, problems);
        tree
    }

    fn take_table(&mut self, table: &'static str, values: &DeTable<'_>, lines: &Lines<'_>, problems: &mut Vec<Problem>) {
        for (key, value) in values.iter() {
            let path = join(table, key.get_ref());
            let place = Place::Line(lines.of(key.span().start));
            match (TABLES.into_iter().find(|known| *known == path), value.get_ref()) {
                (Some(known), DeValue::Table(inner)) => self.take_table(known, inner, lines, problems),
                (Some(known), _) => problems.push(Problem {
                    key: path.clone(),
                    place: Some(place),
                    message: "is a table, not a value".to_owned(),
                    help: format!("write [{known}] on a line of its own, and its keys below it"),
                }),
                (None, DeValue::Table(inner)) if table == "kafka" => self.take_properties(key.get_ref(), inner, lines),
                (None, DeValue::Table(_)) => problems.push(unknown_table(&path, place)),
                (None, other) => {
                    self.insert(table, key.get_ref().to_string(), Node { value: json(other), place });
                }
            }
        }
    }

    /// `bootstrap.servers = …` without quotes is a table `bootstrap` to TOML and a property to everyone else.
    fn take_properties(&mut self, prefix: &str, values: &DeTable<'_>, lines: &Lines<'_>) {
        for (key, value) in values.iter() {
            let name = format!("{prefix}.{}", key.get_ref());
            match value.get_ref() {
                DeValue::Table(inner) => self.take_properties(&name, inner, lines),
                other => self.insert("kafka", name, Node { value: json(other), place: Place::Line(lines.of(key.span().start)) }),
            }
        }
    }

    /// `INCIDENTD_<TABLE>__<KEY>`, and `INCIDENTD_ROLES`. A name without `__` is not ours: Kubernetes sets
    /// `INCIDENTD_SERVICE_HOST` and its like for a service of that name.
    fn take_environment(&mut self, environment: impl Iterator<Item = (String, String)>, problems: &mut Vec<Problem>) {
        for (variable, text) in environment {
            let Some(name) = variable.strip_prefix("INCIDENTD_") else { continue };
            let place = Place::Variable(variable.clone());
            let (table, key) = match name.split_once("__") {
                Some((table, key)) => (table, key),
                None if name == "ROLES" => ("", name),
                None => continue,
            };
            let key = key.to_ascii_lowercase();
            match TABLES.into_iter().find(|known| known.replace('.', "_").eq_ignore_ascii_case(table)) {
                Some("kafka") => self.insert("kafka", key.replace('_', "."), Node { value: Value::String(text), place }),
                Some(known) => self.insert(known, key, Node { value: Value::String(text), place }),
                None => {
                    let names: Vec<String> = TABLES.into_iter().map(|known| known.replace('.', "_")).collect();
                    let table = table.to_ascii_lowercase();
                    let near = nearest(&table, names.iter().map(String::as_str))
                        .map(|near| format!("did you mean INCIDENTD_{}__{}?", near.to_uppercase(), key.to_uppercase()));
                    problems.push(Problem {
                        key: table.clone(),
                        place: Some(place),
                        message: "unknown table".to_owned(),
                        help: near.unwrap_or_else(|| format!("the tables are {}", listed())),
                    });
                }
            }
        }
    }

    fn insert(&mut self, table: &'static str, key: String, node: Node) {
        self.tables.entry(table).or_default().insert(key, node);
    }
}

fn unknown_table(path: &str, place: Place) -> Problem {
    let help = match nearest(path, TABLES.into_iter().filter(|known| !known.is_empty())) {
        Some(near) => format!("did you mean [{near}]?"),
        None => format!("the tables are {}", listed()),
    };
    Problem { key: path.to_owned(), place: Some(place), message: "unknown table".to_owned(), help }
}

fn listed() -> String {
    TABLES.into_iter().filter(|known| !known.is_empty()).collect::<Vec<_>>().join(", ")
}

pub fn join(table: &str, key: &str) -> String {
    if table.is_empty() { key.to_owned() } else { format!("{table}.{key}") }
}

fn json(value: &DeValue<'_>) -> Value {
    match value {
        DeValue::String(text) => Value::String(text.to_string()),
        DeValue::Boolean(flag) => Value::Bool(*flag),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or_else(|_| Value::String(number.to_string()), Value::from)
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().map_or_else(|_| Value::String(number.to_string()), Value::from),
        DeValue::Datetime(moment) => Value::String(moment.to_string()),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => {
            Value::Object(table.iter().map(|(key, value)| (key.get_ref().to_string(), json(value.get_ref()))).collect())
        }
    }
}

struct Lines<'a> {
    text: &'a str,
}

impl Lines<'_> {
    /// The line, from 1, of a byte.
    fn of(&self, at: usize) -> usize {
        self.text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
    }
}
