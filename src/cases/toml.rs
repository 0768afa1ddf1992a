//! A TOML file as a tree with places.

use crate::cases::node::{Findings, Holds, Node, Place};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// `None`: it is not TOML, and that is noted.
pub fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    let lines = Lines(text);
    match DeTable::parse(text) {
        Ok(root) => Some(Node { at: Place { line: 1, column: 1 }, holds: table(root.get_ref(), &lines) }),
        Err(error) => {
            let at = lines.place(error.span().map_or(0, |span| span.start));
            findings.error(at, format!("not TOML: {}", error.message()), "see https://toml.io for the notation");
            None
        }
    }
}

fn table(table: &DeTable<'_>, lines: &Lines<'_>) -> Holds {
    let mut entries: Vec<(Place, String, Node)> =
        table.iter().map(|(key, value)| (lines.place(key.span().start), key.get_ref().to_string(), node(value, lines))).collect();
    entries.sort_by_key(|(at, ..)| *at);
    Holds::Map(entries)
}

fn node(value: &Spanned<DeValue<'_>>, lines: &Lines<'_>) -> Node {
    let holds = match value.get_ref() {
        DeValue::String(text) => Holds::Text(text.to_string()),
        DeValue::Boolean(flag) => Holds::Flag(*flag),
        DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
            Ok(whole) => Holds::Whole(whole),
            Err(_) => Holds::Text(number.to_string()),
        },
        DeValue::Float(number) => number.as_str().parse().map_or_else(|_| Holds::Text(number.to_string()), Holds::Number),
        DeValue::Datetime(moment) => Holds::Text(moment.to_string()),
        DeValue::Array(items) => Holds::List(items.iter().map(|item| node(item, lines)).collect()),
        DeValue::Table(inner) => table(inner, lines),
    };
    Node { at: lines.place(value.span().start), holds }
}

struct Lines<'a>(&'a str);

impl Lines<'_> {
    fn place(&self, byte: usize) -> Place {
        let before = self.0.get(..byte).unwrap_or(self.0);
        let line = before.bytes().filter(|byte| *byte == b'\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        Place { line, column }
    }
}
