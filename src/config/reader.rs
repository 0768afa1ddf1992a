//! Typed values out of one table; whatever is wrong is noted and the default stands in, so that all problems show at once.

use crate::config::problem::{Place, Problem, nearest};
use crate::config::tree::{Node, Tree, join};
use crate::config::units::{Secret, duration_text, parse_duration, parse_size};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;

/// One table while it is read. Every key asked for is known; [`Section::finish`] refuses the rest.
pub struct Section<'a> {
    table: &'static str,
    values: BTreeMap<String, Node>,
    known: Vec<&'static str>,
    places: BTreeMap<&'static str, Place>,
    problems: &'a mut Vec<Problem>,
}

impl<'a> Section<'a> {
    pub fn open(tree: &mut Tree, table: &'static str, problems: &'a mut Vec<Problem>) -> Section<'a> {
        Section {
            table,
            values: tree.tables.remove(table).unwrap_or_default(),
            known: Vec::new(),
            places: BTreeMap::new(),
            problems,
        }
    }

    /// The raw value, and that the key is known.
    pub fn take(&mut self, key: &'static str) -> Option<Node> {
        self.known.push(key);
        let node = self.values.remove(key)?;
        self.places.insert(key, node.place.clone());
        Some(node)
    }

    /// All that is left, for tables whose keys are free.
    pub fn rest(&mut self) -> BTreeMap<String, Node> {
        std::mem::take(&mut self.values)
    }

    /// Notes a problem at `place`, else where `key` was taken from.
    pub fn wrong(&mut self, key: &str, place: Option<Place>, message: String, help: String) {
        let place = place.or_else(|| self.places.get(key).cloned());
        self.problems.push(Problem { key: join(self.table, key), place, message, help });
    }

    fn not_a(&mut self, key: &str, node: Node, what: &str, help: String) {
        self.wrong(key, Some(node.place), format!("{} is {what}", node.value), help);
    }

    pub fn duration(&mut self, key: &'static str, default: i64, bounds: RangeInclusive<i64>) -> i64 {
        let Some(node) = self.take(key) else { return default };
        let read = match &node.value {
            Value::String(text) => parse_duration(text),
            Value::Number(number) if number.as_i64() == Some(0) => Some(0),
            _ => None,
        };
        match read {
            Some(millis) if bounds.contains(&millis) => millis,
            Some(_) => {
                let help = match *bounds.end() {
                    i64::MAX => format!("at least \"{}\"", duration_text(*bounds.start())),
                    most => format!("between \"{}\" and \"{}\"", duration_text(*bounds.start()), duration_text(most)),
                };
                self.not_a(key, node, "out of bounds", help);
                default
            }
            None => {
                let help =
                    format!("write a number and a unit in quotes, such as \"50ms\", \"{}\" or \"7d\"", duration_text(default));
                self.not_a(key, node, "not a duration", help);
                default
            }
        }
    }

    pub fn count(&mut self, key: &'static str, default: u64, bounds: RangeInclusive<u64>) -> u64 {
        self.number(key, default, bounds, "a whole number", |text| text.trim().parse().ok())
    }

    /// Bytes: a whole number, or a text such as `"64KiB"`.
    pub fn size(&mut self, key: &'static str, default: usize, bounds: RangeInclusive<usize>) -> usize {
        let bounds = *bounds.start() as u64..=*bounds.end() as u64;
        let size = |text: &str| parse_size(text).map(|bytes| bytes as u64);
        // Came from a usize, or from bounds that did.
        self.number(key, default as u64, bounds, "a size such as 65536 or \"64KiB\"", size) as usize
    }

    fn number(
        &mut self,
        key: &'static str,
        default: u64,
        bounds: RangeInclusive<u64>,
        what: &str,
        parse: impl Fn(&str) -> Option<u64>,
    ) -> u64 {
        let Some(node) = self.take(key) else { return default };
        let read = match &node.value {
            Value::Number(number) => number.as_u64(),
            Value::String(text) => parse(text),
            _ => None,
        };
        match read.filter(|number| bounds.contains(number)) {
            Some(number) => number,
            None => {
                let what = format!("not {what} between {} and {}", bounds.start(), bounds.end());
                self.not_a(key, node, &what, format!("the default is {default}"));
                default
            }
        }
    }

    pub fn flag(&mut self, key: &'static str, default: bool) -> bool {
        let Some(node) = self.take(key) else { return default };
        match &node.value {
            Value::Bool(flag) => *flag,
            Value::String(text) if text == "true" || text == "false" => text == "true",
            _ => {
                self.not_a(key, node, "neither true nor false", format!("the default is {default}"));
                default
            }
        }
    }

    pub fn text(&mut self, key: &'static str, default: &str) -> String {
        self.optional_text(key).unwrap_or_else(|| default.to_owned())
    }

    /// An empty text counts as missing.
    pub fn optional_text(&mut self, key: &'static str) -> Option<String> {
        let node = self.take(key)?;
        match node.value {
            Value::String(text) => Some(text).filter(|text| !text.is_empty()),
            _ => {
                self.not_a(key, node, "not a string", "write it in quotes".to_owned());
                None
            }
        }
    }

    pub fn secret(&mut self, key: &'static str) -> Option<Secret> {
        let node = self.take(key)?;
        match node.value {
            Value::String(text) => Some(Secret::read(&text)).filter(|_| !text.is_empty()),
            _ => {
                self.wrong(key, Some(node.place), "is not a string".to_owned(), "write it in quotes".to_owned());
                None
            }
        }
    }

    pub fn choice<T: Copy>(&mut self, key: &'static str, default: T, choices: &[(&'static str, T)]) -> T {
        let Some(node) = self.take(key) else { return default };
        let chosen = node.value.as_str().and_then(|text| choices.iter().find(|(name, _)| *name == text));
        match chosen {
            Some((_, choice)) => *choice,
            None => {
                let help = among(node.value.as_str().unwrap_or_default(), choices.iter().map(|(name, _)| *name));
                self.not_a(key, node, "not one of its values", help);
                default
            }
        }
    }

    /// An array; from the environment a comma list, or an array in TOML's or JSON's notation.
    pub fn list(&mut self, key: &'static str) -> Option<(Vec<Value>, Place)> {
        let Node { value, place } = self.take(key)?;
        match (value, &place) {
            (Value::Array(items), _) => Some((items, place)),
            (Value::String(text), Place::Variable(_)) => match array(&text) {
                Some(items) => Some((items, place)),
                None => {
                    let help = "write a comma list, or an array as in TOML or JSON".to_owned();
                    self.wrong(key, Some(place), format!("{text:?} is no array"), help);
                    None
                }
            },
            (value, _) => {
                self.not_a(key, Node { value, place }, "not an array", "write it in square brackets".to_owned());
                None
            }
        }
    }

    /// An array of strings.
    pub fn texts(&mut self, key: &'static str) -> Option<(Vec<String>, Place)> {
        let (items, place) = self.list(key)?;
        let mut texts = Vec::new();
        for item in items {
            match item {
                Value::String(text) => texts.push(text),
                other => {
                    let help = "each entry is a string in quotes".to_owned();
                    self.wrong(key, Some(place.clone()), format!("{other} is not a string"), help)
                }
            }
        }
        Some((texts, place))
    }

    /// Refuses every key that nothing asked for.
    pub fn finish(mut self) {
        for (key, node) in self.rest() {
            let help = among(&key, self.known.iter().copied());
            self.wrong(&key, Some(node.place), "unknown key".to_owned(), help);
        }
    }
}

/// `did you mean …?` where one is near, all of them otherwise.
pub fn among<'n>(word: &str, names: impl Iterator<Item = &'n str> + Clone) -> String {
    match nearest(word, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("one of: {}", names.collect::<Vec<_>>().join(", ")),
    }
}

fn array(text: &str) -> Option<Vec<Value>> {
    let text = text.trim();
    if !text.starts_with('[') {
        return Some(text.split(',').map(str::trim).filter(|item| !item.is_empty()).map(Value::from).collect());
    }
    if let Ok(Value::Array(items)) = serde_json::from_str(text) {
        return Some(items);
    }
    let document: toml::Table = toml::from_str(&format!("list = {text}")).ok()?;
    match serde_json::to_value(document.get("list")?).ok()? {
        Value::Array(items) => Some(items),
        _ => None,
    }
}
