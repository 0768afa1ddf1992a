//! Reads the map of a declaration key by key: what is missing, unknown or of a wrong type becomes a finding with its remedy.

use crate::rules::channel::described;
use crate::rules::collector::Finding;
use crate::rules::diagnostic::{Place, suggest};
use rhai::{Dynamic, Map};

pub(super) struct Reader {
    /// `notification(…)`, `where`: for messages.
    what: String,
    path: String,
    map: Map,
    place: Place,
    pub findings: Vec<Finding>,
    /// Something in its file was refused before: what is missing here may be that.
    pub refused: bool,
}

impl Reader {
    /// Keys that are not known are findings at once.
    pub fn new(what: &str, map: Map, place: Place, known: &[&str]) -> Reader {
        Reader::at(what, String::new(), map, place, known)
    }

    fn at(what: &str, path: String, map: Map, place: Place, known: &[&str]) -> Reader {
        let mut reader = Reader { what: what.to_owned(), path, map, place, findings: Vec::new(), refused: false };
        let unknown: Vec<String> =
            reader.map.keys().filter(|key| !known.contains(&key.as_str())).map(ToString::to_string).collect();
        for key in unknown {
            let help = match key.as_str() {
                "match" => "the matcher is called `where`: `match` is a reserved word in Rhai".to_owned(),
                _ => suggest(&key, known.iter().copied()),
            };
            let path = reader.path_of(&key);
            reader.note(true, true, path, format!("{} has no key `{key}`", reader.what), Some(help));
        }
        reader
    }

    /// One of the maps of an array; the finding is that it is none. `what` is for messages: `a level`.
    pub fn of_item(
        what: &str,
        path: String,
        item: &Dynamic,
        place: Place,
        known: &[&str],
        remedy: &str,
    ) -> Result<Reader, Finding> {
        match item.clone().try_cast_result::<Map>() {
            Ok(map) => Ok(Reader::at(what, path, map, place, known)),
            Err(other) => {
                let message = format!("{what} is a map, not {}", described(&other));
                Err(Finding { place, path, at_key: false, error: true, message, help: Some(remedy.to_owned()) })
            }
        }
    }

    /// Of the declaration.
    pub fn place(&self) -> Place {
        self.place
    }

    /// The map under a key, with keys of its own.
    pub fn inner(&mut self, key: &str, known: &[&str]) -> Option<Reader> {
        let value = self.take(key)?;
        match value.try_cast_result::<Map>() {
            Ok(map) => Some(Reader::at(&format!("`{key}`"), self.path_of(key), map, self.place, known)),
            Err(other) => {
                self.wrong(key, "a map", &other, &format!("write `{key}: #{{ … }}`"));
                None
            }
        }
    }

    /// The map under `labels`, which may have any key.
    pub fn labels(&mut self) -> Option<Reader> {
        let known = match self.map.get("labels")?.read_lock::<Map>() {
            Some(map) => map.keys().map(ToString::to_string).collect(),
            None => Vec::<String>::new(),
        };
        let known: Vec<&str> = known.iter().map(String::as_str).collect();
        self.inner("labels", &known)
    }

    /// Takes over what the reader of a part found.
    pub fn close(&mut self, inner: Reader) {
        self.findings.extend(inner.findings);
    }

    pub fn has(&self, key: &str) -> bool {
        self.map.contains_key(key)
    }

    pub fn keys(&self) -> Vec<String> {
        self.map.keys().map(ToString::to_string).collect()
    }

    /// The value of a key; `()` counts as missing.
    pub fn take(&mut self, key: &str) -> Option<Dynamic> {
        self.map.remove(key).filter(|value| !value.is_unit())
    }

    pub fn text(&mut self, key: &str, remedy: &str) -> Option<String> {
        let value = self.take(key)?;
        match value.clone().into_string() {
            Ok(text) if !text.trim().is_empty() => Some(text),
            _ => {
                self.wrong(key, "a text", &value, remedy);
                None
            }
        }
    }

    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        let Some(value) = self.take(key) else { return default };
        value.as_bool().unwrap_or_else(|_| {
            self.wrong(key, "true or false", &value, &format!("write `{key}: true` or `{key}: false`, without quotes"));
            default
        })
    }

    pub fn integer(&mut self, key: &str, default: i64) -> i64 {
        let Some(value) = self.take(key) else { return default };
        value.as_int().unwrap_or_else(|_| {
            self.wrong(key, "a whole number", &value, &format!("write for example `{key}: 100`"));
            default
        })
    }

    /// A whole number of 1 or more.
    pub fn positive(&mut self, key: &str) -> Option<u64> {
        self.number_from(1, key, &format!("write for example `{key}: 15`, or leave it out"))
    }

    /// A whole number of 0 or more.
    pub fn whole(&mut self, key: &str) -> Option<u64> {
        self.number_from(0, key, &format!("write for example `{key}: 15`"))
    }

    fn number_from(&mut self, least: u64, key: &str, help: &str) -> Option<u64> {
        let value = self.take(key)?;
        let number = value.as_int().ok().and_then(|number| u64::try_from(number).ok());
        let number = number.filter(|number| (least..=1_000_000).contains(number));
        if number.is_none() {
            self.wrong(key, &format!("a whole number from {least} to 1000000"), &value, help);
        }
        number
    }

    /// A text or an array of texts, with the path of each.
    pub fn texts(&mut self, key: &str) -> Option<Vec<(String, String)>> {
        let value = self.take(key)?;
        let path = self.path_of(key);
        let items = match value.clone().try_cast_result::<rhai::Array>() {
            Ok(items) => {
                items.into_iter().enumerate().map(|(index, item)| (format!("{path}[{index}]"), item)).collect::<Vec<_>>()
            }
            Err(one) => vec![(path, one)],
        };
        let (mut texts, given) = (Vec::new(), items.len());
        for (path, item) in items {
            match item.clone().into_string() {
                Ok(text) => texts.push((path, text)),
                Err(_) => {
                    let message = format!("`{key}` takes texts, not {}", described(&item));
                    let help = "write a text in quotes, or an array of texts; a number needs quotes too".to_owned();
                    self.note(true, false, path, message, Some(help));
                }
            }
        }
        // Only what is given empty is empty.
        (given == 0 || !texts.is_empty()).then_some(texts)
    }

    pub fn missing(&mut self, key: &str, remedy: &str) {
        let message = format!("{} needs `{key}`", self.what);
        self.note(true, false, self.path.clone(), message, Some(remedy.to_owned()));
    }

    pub fn wrong(&mut self, key: &str, wanted: &str, value: &Dynamic, remedy: &str) {
        let message = format!("`{key}` must be {wanted}, not {}", described(value));
        self.error(key, message, remedy);
    }

    pub fn error(&mut self, key: &str, message: String, remedy: &str) {
        self.note(true, false, self.path_of(key), message, Some(remedy.to_owned()));
    }

    pub fn warning(&mut self, key: &str, message: String, remedy: &str) {
        self.note(false, true, self.path_of(key), message, Some(remedy.to_owned()));
    }

    pub fn note(&mut self, error: bool, at_key: bool, path: String, message: String, help: Option<String>) {
        self.findings.push(Finding { place: self.place, path, at_key, error, message, help });
    }

    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }
}
