//! A YAML file as a tree with places: events of the parser, put together. Plain words are read by YAML 1.2's core schema, so
//! that `no` is a text.

use crate::cases::node::{Findings, Holds, Node, Place};
use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use std::collections::BTreeMap;

/// Values of a file, those that aliases repeat counted each time; and how deep they may nest.
const MOST: usize = 100_000;
const DEPTH: usize = 64;

/// `None`: it is not YAML, or past a limit, and that is noted.
pub fn parse(text: &str, findings: &mut Findings) -> Option<Node> {
    let mut tree = Tree::default();
    for event in Parser::new_from_str(text) {
        let put = match event {
            Ok((event, span)) => tree.take(event, span),
            Err(error) => {
                let mark = error.marker();
                let at = within(text, Place { line: mark.line(), column: mark.col() + 1 });
                let help = "look at the indentation of this line and the one above, and put texts with `: ` or `#` into quotes";
                findings.error(at, format!("not YAML: {}", error.info()), help);
                return None;
            }
        };
        if let Err((at, message, help)) = put {
            findings.error(at, message, help);
            return None;
        }
    }
    Some(tree.root.unwrap_or(Node { at: Place { line: 1, column: 1 }, holds: Holds::Null }))
}

/// What ends too early is wrong behind its last line, which nobody could be shown.
fn within(text: &str, at: Place) -> Place {
    let lines = text.lines().count().max(1);
    let last = text.lines().next_back().unwrap_or_default();
    if at.line > lines { Place { line: lines, column: last.chars().count().max(1) } } else { at }
}

type Wrong = (Place, String, &'static str);

#[derive(Default)]
struct Tree {
    root: Option<Node>,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    values: usize,
}

/// A list or map that has not ended.
struct Open {
    at: Place,
    anchor: usize,
    holds: Holds,
    /// Of a map: the key whose value comes next.
    key: Option<(Place, String)>,
}

impl Tree {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), Wrong> {
        let at = Place { line: span.start.line(), column: span.start.col() + 1 };
        match event {
            Event::DocumentStart(_) if self.root.is_some() => {
                Err((at, "a second document".to_owned(), "put its cases under the first `cases`, and take away `---`"))
            }
            Event::Scalar(text, style, anchor, _) => {
                let holds = if style == ScalarStyle::Plain { plain(&text) } else { Holds::Text(text.into_owned()) };
                self.put(Node { at, holds }, anchor)
            }
            Event::SequenceStart(anchor, _) => self.begin(at, anchor, Holds::List(Vec::new())),
            Event::MappingStart(anchor, _) => self.begin(at, anchor, Holds::Map(Vec::new())),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(Open { at, anchor, holds, .. }) => self.put(Node { at, holds }, anchor),
                None => Ok(()),
            },
            Event::Alias(anchor) => match self.anchors.get(&anchor).cloned() {
                Some(node) => {
                    self.values += count(&node);
                    self.put(Node { at, ..node }, 0)
                }
                None => Err((at, "an alias of a value that has not ended".to_owned(), "write the value here")),
            },
            _ => Ok(()),
        }
    }

    fn begin(&mut self, at: Place, anchor: usize, holds: Holds) -> Result<(), Wrong> {
        if self.open.len() == DEPTH {
            return Err((at, format!("nests more than {DEPTH} deep"), "no case needs that"));
        }
        self.open.push(Open { at, anchor, holds, key: None });
        Ok(())
    }

    fn put(&mut self, node: Node, anchor: usize) -> Result<(), Wrong> {
        self.values += 1;
        if self.values > MOST {
            return Err((node.at, format!("more than {MOST} values, with those that aliases repeat"), "split the file"));
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        let Some(open) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match &mut open.holds {
            Holds::List(items) => items.push(node),
            Holds::Map(entries) => match open.key.take() {
                Some((at, key)) => entries.push((at, key, node)),
                None => {
                    let key = match node.holds {
                        Holds::Text(text) => text,
                        Holds::Whole(number) => number.to_string(),
                        Holds::Flag(flag) => flag.to_string(),
                        _ => return Err((node.at, format!("{} is no key", node.described()), "a key is a word")),
                    };
                    if entries.iter().any(|(_, known, _)| *known == key) {
                        return Err((node.at, format!("the key `{key}` stands twice in one map"), "keep one of them"));
                    }
                    open.key = Some((node.at, key));
                }
            },
            _ => {}
        }
        Ok(())
    }
}

fn count(node: &Node) -> usize {
    match &node.holds {
        Holds::List(items) => 1 + items.iter().map(count).sum::<usize>(),
        Holds::Map(entries) => 1 + entries.iter().map(|(_, _, node)| count(node)).sum::<usize>(),
        _ => 1,
    }
}

/// YAML 1.2's core schema.
fn plain(text: &str) -> Holds {
    let digits = text.bytes().any(|byte| byte.is_ascii_digit());
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Holds::Null,
        "true" | "True" | "TRUE" => Holds::Flag(true),
        "false" | "False" | "FALSE" => Holds::Flag(false),
        text if digits => match (text.parse(), text.parse()) {
            (Ok(whole), _) => Holds::Whole(whole),
            (_, Ok(number)) => Holds::Number(number),
            _ => Holds::Text(text.to_owned()),
        },
        text => Holds::Text(text.to_owned()),
    }
}
