//! Reads `where: #{…}` and refuses what can never match.

use crate::model::{Environment, Severity};
use crate::rules::diagnostic::{listed, suggest};
use crate::rules::matcher::{Field, Pattern, Where};
use crate::rules::reader::Reader;

pub(super) const KEYS: [&str; 6] = ["severity", "category", "service_id", "environment", "title", "labels"];
/// Of one field. A list that long belongs into a label of its own.
const MOST_PATTERNS: usize = 5_000;

pub(super) fn read(reader: &mut Reader) -> Where {
    let mut matcher = Where::default();
    let Some(mut inner) = reader.inner("where", &KEYS) else { return matcher };
    for field in Field::FIXED {
        let name = field.name();
        if let Some(patterns) = read_patterns(&mut inner, &name, &field) {
            matcher.fields.push((field, patterns));
        }
    }
    let has_labels = inner.has("labels");
    if has_labels && let Some(mut labels) = inner.labels() {
        for name in labels.keys() {
            if name.trim().is_empty() {
                let message = "no label has an empty name: the rule can never match".to_owned();
                labels.error(&name, message, "write the label's name, such as `labels: #{ region: \"eu-*\" }`");
            }
            let field = Field::Label(name.clone());
            if let Some(patterns) = read_patterns(&mut labels, &name, &field) {
                matcher.fields.push((field, patterns));
            }
        }
        inner.close(labels);
    }
    reader.close(inner);
    matcher.fields.sort();
    matcher
}

/// A key beside `where` that says the same of one field, as the seed's rules have them.
pub(super) fn read_beside(reader: &mut Reader, key: &str, field: Field, matcher: &mut Where) {
    let Some(patterns) = read_patterns(reader, key, &field) else { return };
    if matcher.patterns(&field).is_some() {
        let message = format!("`{key}` says again what `where` says of {}", field.name());
        reader.error(key, message, "say it in `where` alone");
        return;
    }
    matcher.fields.push((field, patterns));
    matcher.fields.sort();
}

fn read_patterns(reader: &mut Reader, key: &str, field: &Field) -> Option<Vec<Pattern>> {
    let texts = reader.texts(key)?;
    if texts.is_empty() {
        let message = format!("`{key}` is empty: the rule can never match");
        reader.error(key, message, "name one value at least, or leave the key out to match all");
        return None;
    }
    if texts.len() > MOST_PATTERNS {
        reader.error(key, format!("`{key}` lists {} values; {MOST_PATTERNS} is the most", texts.len()), "use `*`, or a label");
        return None;
    }
    let mut patterns = Vec::new();
    for (path, text) in texts {
        let pattern = Pattern(text);
        if let Some((message, help)) = never(field, &pattern) {
            reader.note(true, false, path, message, Some(help));
        } else if let Some((message, help)) = doubt(&pattern.0) {
            reader.note(false, false, path, message, Some(help.to_owned()));
        }
        patterns.push(pattern);
    }
    patterns.sort();
    patterns.dedup();
    Some(patterns)
}

/// What is hardly meant as it stands.
fn doubt(text: &str) -> Option<(String, &'static str)> {
    if text != text.trim() {
        return Some((format!("`{text}` begins or ends with a blank: what has none does not fit it"), "take the blank out"));
    }
    // `api.*` alone may well be meant: names have dots.
    let regex =
        text.starts_with('^') || text.contains(".+") || text.contains(".*") && (text.ends_with('$') || text.contains('|'));
    let help = "`*` alone stands for any text, all else for itself: write `llm-*`, or several values, `[\"a-*\", \"b-*\"]`";
    regex.then(|| (format!("`{text}` looks like a regular expression, and is compared letter by letter"), help))
}

/// Why no incident can have such a value.
fn never(field: &Field, pattern: &Pattern) -> Option<(String, String)> {
    let known: Vec<&str> = match field {
        Field::Severity => Severity::ALL.iter().map(|severity| severity.name()).collect(),
        Field::Environment => Environment::ALL.iter().map(|environment| environment.name()).collect(),
        Field::Label(_) => return None,
        _ if pattern.0.is_empty() => {
            return Some((format!("no incident has an empty {}", field.name()), "leave it out, or write `*`".to_owned()));
        }
        _ => return None,
    };
    if known.iter().any(|name| pattern.fits(name)) {
        return None;
    }
    let help = match suggest(&pattern.0, known.iter().copied()) {
        near if near.starts_with("did") => near,
        _ => format!("an incident's is {}; other spellings are translated before rules see them", listed(&known, "or")),
    };
    Some((format!("there is no {} `{}`", field.name(), pattern.0), help))
}
