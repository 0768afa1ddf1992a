//! A file as a tree whose every key and value knows its line, whether it was TOML or YAML; and the reader's errors.

use crate::rules::Diagnostic;
use serde_json::Value;

/// Line and column from 1, in characters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    pub at: Place,
    pub holds: Holds,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Holds {
    Null,
    Flag(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Place, String, Node)>),
}

impl Node {
    pub fn json(&self) -> Value {
        match &self.holds {
            Holds::Null => Value::Null,
            Holds::Flag(flag) => Value::Bool(*flag),
            Holds::Whole(number) => Value::from(*number),
            Holds::Number(number) => Value::from(*number),
            Holds::Text(text) => Value::String(text.clone()),
            Holds::List(items) => items.iter().map(Node::json).collect(),
            Holds::Map(_) => Value::Object(self.object()),
        }
    }

    /// Of a map; empty for anything else.
    pub fn object(&self) -> serde_json::Map<String, Value> {
        match &self.holds {
            Holds::Map(entries) => entries.iter().map(|(_, key, value)| (key.clone(), value.json())).collect(),
            _ => serde_json::Map::new(),
        }
    }

    /// What stands there, for a message.
    pub fn described(&self) -> String {
        match &self.holds {
            Holds::Null => "nothing (a text that begins with `#` stands in quotes)".to_owned(),
            Holds::Flag(flag) => flag.to_string(),
            Holds::Whole(number) => number.to_string(),
            Holds::Number(number) => number.to_string(),
            Holds::Text(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
            Holds::List(_) => "a list".to_owned(),
            Holds::Map(_) => "a map".to_owned(),
        }
    }
}

/// What is wrong with one file, in the order of its lines.
pub struct Findings {
    file: String,
    pub found: Vec<Diagnostic>,
}

impl Findings {
    pub fn new(file: &str) -> Findings {
        Findings { file: file.to_owned(), found: Vec::new() }
    }

    pub fn error(&mut self, at: Place, message: impl Into<String>, help: impl Into<String>) {
        self.found.push(Diagnostic::in_file(&self.file, at.line, at.column, message, help));
    }

    /// `key`, of `node`, is not what it should be.
    pub fn wrong(&mut self, key: &str, node: &Node, wanted: &str, help: &str) {
        self.error(node.at, format!("`{key}` is {wanted}, not {}", node.described()), help);
    }

    /// A key that nobody knows.
    pub fn unknown(&mut self, at: Place, key: &str, known: &[&str]) {
        self.error(at, format!("unknown key `{key}`"), suggest(key, known));
    }
}

/// `did you mean …`, or else all that are known.
pub fn suggest(word: &str, known: &[&str]) -> String {
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&word.to_lowercase(), &name.to_lowercase()), *name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min();
    match nearest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None if known.is_empty() => "there is none".to_owned(),
        None => format!("known are {}", known.iter().take(16).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")),
    }
}
