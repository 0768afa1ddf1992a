//! Reads the TOML files that stand beside the rules, table by table: all that is wrong is found, with its place and remedy.

use crate::rules::RuleSource;
use crate::rules::diagnostic::{Diagnostic, Place, suggest};
use std::cell::RefCell;
use std::ops::Range;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

/// The files that are read, at the top of the rules folder.
pub(super) const FILES: [&str; 4] = ["dependencies.toml", "schedules.toml", "teams.toml", "users.toml"];
/// Of one file; the rest would only repeat them.
const MOST_FINDINGS: usize = 200;
const MOST_BYTES: usize = 8 * 1024 * 1024;

pub(super) type Span = Range<usize>;

/// A file, and what is wrong with it so far.
pub(super) struct File<'a> {
    path: &'a str,
    text: &'a str,
    found: RefCell<Vec<Diagnostic>>,
}

/// A table of it.
#[derive(Clone)]
pub(super) struct Part<'a> {
    file: &'a File<'a>,
    /// For messages: `[users.alice]`.
    pub name: String,
    table: &'a DeTable<'a>,
    span: Span,
}

/// Reads one file by `read`, if it is there; false where something is wrong with it.
pub(super) fn read_file(source: &RuleSource, path: &str, found: &mut Vec<Diagnostic>, read: impl FnOnce(&Part<'_>)) -> bool {
    let Some(text) = source.files.get(path) else { return true };
    if text.len() > MOST_BYTES {
        let help = Some("take out what nobody names".to_owned());
        found.push(Diagnostic::error(path, Place { line: 1, column: 1 }, "the file is larger than 8 MiB", help));
        return false;
    }
    let file = File { path, text, found: RefCell::default() };
    let (table, wrong) = DeTable::parse_recoverable(text);
    if wrong.is_empty() {
        read(&Part { file: &file, name: path.to_owned(), table: table.get_ref(), span: 0..0 });
    }
    for error in wrong {
        let span = error.span().unwrap_or_default();
        let help = match error.message() {
            "duplicate key" => "it stands twice in this file: take one out, or give it another name",
            _ => "look at what stands right before it: TOML wants `key = value`, texts in quotes, lists in brackets",
        };
        file.note(true, span, error.message().to_owned(), Some(help.to_owned()));
    }
    let mut findings = file.found.into_inner();
    let sound = !findings.iter().any(|finding| finding.error);
    found.append(&mut findings);
    sound
}

/// TOML files that nobody reads, where their names come near to one that is read.
pub(super) fn warn_of_strangers(source: &RuleSource, found: &mut Vec<Diagnostic>) {
    for path in source.files.keys().filter(|path| path.ends_with(".toml") && !FILES.contains(&path.as_str())) {
        let name = path.rsplit('/').next().unwrap_or(path);
        let help = match suggest(name, FILES) {
            near if near.starts_with("did") => format!("{near} It stands at the top of the rules folder"),
            _ => continue,
        };
        found.push(Diagnostic::warning(path, Place { line: 1, column: 1 }, "this file is not read".to_owned(), Some(help)));
    }
}

impl File<'_> {
    fn note(&self, error: bool, span: Span, message: String, help: Option<String>) {
        let mut found = self.found.borrow_mut();
        if found.len() < MOST_FINDINGS {
            let (place, length) = place_of(self.text, span);
            found.push(Diagnostic { error, length, ..Diagnostic::error(self.path, place, message, help) });
        }
    }
}

/// Where it begins, and how many characters of that line are of it.
pub(super) fn place_of(text: &str, span: Span) -> (Place, usize) {
    let before = text.get(..span.start).unwrap_or(text);
    let line = before.rsplit('\n').next().unwrap_or_default();
    let place = Place { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 };
    let marked = text.get(span).unwrap_or_default();
    (place, marked.lines().next().unwrap_or_default().chars().count().max(1))
}

impl<'a> Part<'a> {
    pub fn error(&self, span: Span, message: String, help: &str) {
        self.file.note(true, span, message, Some(help.to_owned()));
    }

    pub fn warning(&self, span: Span, message: String, help: &str) {
        self.file.note(false, span, message, Some(help.to_owned()));
    }

    /// Where the table itself stands.
    pub fn span(&self) -> Span {
        self.span.clone()
    }

    pub fn know(&self, known: &[&str]) {
        for (key, span, _) in self.entries().filter(|(key, ..)| !known.contains(key)) {
            let help = suggest(key, known.iter().copied());
            self.error(span, format!("{} has no key `{key}`", self.name), &help);
        }
    }

    pub fn entries(&self) -> impl Iterator<Item = (&'a str, Span, &'a Spanned<DeValue<'a>>)> {
        self.table.iter().map(|(key, value)| (key.get_ref().as_ref(), key.span(), value))
    }

    fn get(&self, key: &str) -> Option<&'a Spanned<DeValue<'a>>> {
        self.table.get(key)
    }

    /// Of the value.
    pub fn span_of(&self, key: &str) -> Span {
        self.get(key).map_or(self.span(), Spanned::span)
    }

    pub fn has(&self, key: &str) -> bool {
        self.get(key).is_some()
    }

    pub fn missing(&self, key: &str, help: &str) {
        self.error(self.span(), format!("{} needs `{key}`", self.name), help);
    }

    pub fn table(&self, key: &str, help: &str) -> Option<Part<'a>> {
        let value = self.get(key)?;
        match value.get_ref() {
            DeValue::Table(table) => Some(Part { file: self.file, name: format!("[{key}]"), table, span: value.span() }),
            _ => {
                self.wrong(key, "a table", help);
                None
            }
        }
    }

    /// The tables in the table under a key, such as `[users.alice]` in `[users]`; more than `most` are refused.
    pub fn named(&self, key: &str, most: usize) -> Vec<(&'a str, Part<'a>)> {
        let Some(outer) = self.table(key, &format!("write `[{key}.name]`")) else { return Vec::new() };
        if outer.table.len() > most {
            let message = format!("{} {key}; {most} is the most", outer.table.len());
            self.error(outer.span(), message, "take out what nobody names");
            return Vec::new();
        }
        let mut parts = Vec::new();
        for (name, span, inner) in outer.entries() {
            match inner.get_ref() {
                DeValue::Table(table) => {
                    let part = Part { file: self.file, name: format!("[{key}.{name}]"), table, span };
                    parts.push((name, part));
                }
                _ => {
                    let message = format!("`{name}` must be a table, not {}", described(inner));
                    self.error(inner.span(), message, &format!("write `[{key}.{name}]`"));
                }
            }
        }
        parts
    }

    /// The tables of `[[…key]]`.
    pub fn list(&self, key: &str, most: usize) -> Vec<Part<'a>> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let path = format!("[[{}.{key}]]", self.name.trim_matches(['[', ']']));
        let tables: Option<Vec<Part<'a>>> = value.get_ref().as_array().and_then(|items| {
            let part = |item: &'a Spanned<DeValue<'a>>| {
                let table = item.get_ref().as_table()?;
                Some(Part { file: self.file, name: path.clone(), table, span: item.span() })
            };
            items.iter().map(part).collect()
        });
        match tables {
            Some(tables) if tables.len() <= most => tables,
            Some(tables) => {
                self.error(value.span(), format!("{} {key}; {most} is the most", tables.len()), "take out what is over");
                Vec::new()
            }
            None => {
                self.error(value.span(), format!("`{key}` must be tables, not {}", described(value)), &format!("write `{path}`"));
                Vec::new()
            }
        }
    }

    /// Is it an array with nothing in it?
    pub fn lists_nothing(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| matches!(value.get_ref(), DeValue::Array(items) if items.is_empty()))
    }

    /// A text that is not empty.
    pub fn text(&self, key: &str, help: &str) -> Option<&'a str> {
        let value = self.get(key)?;
        let text = value.get_ref().as_str().filter(|text| !text.trim().is_empty());
        if text.is_none() {
            self.wrong(key, "a text", help);
        }
        text
    }

    /// A date, a time of a date, or a text of one.
    pub fn moment(&self, key: &str, help: &str) -> Option<String> {
        let value = self.get(key)?;
        let text = match value.get_ref() {
            DeValue::Datetime(moment) => Some(moment.to_string()),
            DeValue::String(text) => Some(text.to_string()),
            _ => None,
        };
        if text.is_none() {
            self.wrong(key, "a date or a moment", help);
        }
        text
    }

    /// An array of texts; one text alone counts as one. Not one of them is empty.
    pub fn texts(&self, key: &str, most: usize, help: &str) -> Vec<(&'a str, Span)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let items: &[Spanned<DeValue<'a>>] = match value.get_ref() {
            DeValue::Array(items) => items,
            _ => std::slice::from_ref(value),
        };
        if items.len() > most {
            self.error(value.span(), format!("{} {key}; {most} is the most", items.len()), "take out what is over");
            return Vec::new();
        }
        let mut texts = Vec::new();
        for item in items {
            match item.get_ref().as_str().filter(|text| !text.trim().is_empty()) {
                Some(text) => texts.push((text, item.span())),
                None => self.error(item.span(), format!("`{key}` takes texts, not {}", described(item)), help),
            }
        }
        texts
    }

    pub fn wrong(&self, key: &str, wanted: &str, help: &str) {
        let Some(value) = self.get(key) else { return };
        self.error(value.span(), format!("`{key}` must be {wanted}, not {}", described(value)), help);
    }
}

/// What stands there instead.
fn described(value: &Spanned<DeValue<'_>>) -> String {
    match value.get_ref() {
        DeValue::String(text) => format!("{:?}", text.chars().take(40).collect::<String>()),
        DeValue::Integer(number) => number.as_str().to_owned(),
        DeValue::Float(number) => number.as_str().to_owned(),
        DeValue::Boolean(flag) => flag.to_string(),
        DeValue::Datetime(moment) => moment.to_string(),
        DeValue::Array(items) if items.is_empty() => "an empty array".to_owned(),
        DeValue::Array(_) => "an array".to_owned(),
        DeValue::Table(_) => "a table".to_owned(),
    }
}
