//! What the check of a rule set finds, and how a person reads it: file, line, column, the source line, the remedy.

use crate::rules::RuleSource;
use std::fmt::Write;

/// A finding of the check: an error keeps the set from loading.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    pub file: String,
    /// From 1; 0 where the whole file is meant.
    pub line: usize,
    pub column: usize,
    pub error: bool,
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
}

/// A script failed or was stopped; its text says where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ScriptError {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
}

/// Line and column from 1; 0 and 0 where a file is meant as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub line: usize,
    pub column: usize,
}

impl From<rhai::Position> for Place {
    fn from(position: rhai::Position) -> Place {
        match position.line() {
            Some(line) => Place { line, column: position.position().unwrap_or(1) },
            None => Place::default(),
        }
    }
}

impl Diagnostic {
    pub(super) fn error(file: &str, place: Place, message: impl Into<String>, help: Option<String>) -> Diagnostic {
        let Place { line, column } = place;
        Diagnostic { file: file.to_owned(), line, column, error: true, message: message.into(), help }
    }

    pub(super) fn warning(file: &str, place: Place, message: impl Into<String>, help: Option<String>) -> Diagnostic {
        Diagnostic { error: false, ..Diagnostic::error(file, place, message, help) }
    }
}

/// The finding as a compiler would print it, without colour; ends with a line feed.
pub fn render(diagnostic: &Diagnostic, source: &RuleSource) -> String {
    let Diagnostic { file, line, column, error, message, help } = diagnostic;
    let mut text = format!("{}: {message}\n", if *error { "error" } else { "warning" });
    let code = source.files.get(file).and_then(|code| code.lines().nth(line.checked_sub(1)?));
    // Writing into a string cannot fail.
    let _ = match code {
        None => writeln!(text, "  --> {file}"),
        Some(code) => {
            let gutter = " ".repeat(line.to_string().len());
            // Tabs stay tabs under the code, so that the mark stands where the eye looks.
            let indent: String =
                code.chars().take(column.saturating_sub(1)).map(|c| if c == '\t' { '\t' } else { ' ' }).collect();
            let mark = "^".repeat(word_length(code.chars().skip(column.saturating_sub(1))));
            writeln!(text, " {gutter}--> {file}:{line}:{column}\n {gutter} |\n {line} | {code}\n {gutter} | {indent}{mark}")
        }
    };
    if let Some(help) = help {
        let _ = writeln!(text, "  help: {help}");
    }
    text
}

/// Of the word or the quoted text that begins here; 1 for anything else.
fn word_length(mut code: impl Iterator<Item = char> + Clone) -> usize {
    let word = code.clone().take_while(|c| c.is_alphanumeric() || *c == '_').count();
    let text = code.next().filter(|c| *c == '"').and_then(|_| code.position(|c| c == '"'));
    text.map_or(word.max(1), |end| end + 2)
}

/// `did you mean …` for a word that nobody knows, or else all that are known.
pub(super) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let known: Vec<&str> = known.into_iter().collect();
    let nearest = known
        .iter()
        .map(|name| (strsim::damerau_levenshtein(&word.to_lowercase(), &name.to_lowercase()), *name))
        .filter(|(distance, name)| *distance <= 1 + name.len() / 4)
        .min();
    match nearest {
        Some((_, name)) => format!("did you mean `{name}`?"),
        None => format!("known are {}", listed(&known, "and")),
    }
}

/// `a, b and c`; past sixteen the rest is counted.
pub(super) fn listed(words: &[&str], last: &str) -> String {
    const MOST: usize = 16;
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [..] if words.len() > MOST => format!("{} {last} {} more", words[..MOST].join(", "), words.len() - MOST),
        [head @ .., tail] => format!("{} {last} {tail}", head.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_finding_points_at_its_word() {
        let text = "notification(#{\n\tseverty: 1,\n});\n".to_owned();
        let source = RuleSource { files: [("a.rhai".to_owned(), text)].into() };
        let place = Place { line: 2, column: 2 };
        let finding = Diagnostic::error("a.rhai", place, "unknown key `severty`", Some("did you mean `severity`?".to_owned()));
        assert_eq!(
            render(&finding, &source),
            "error: unknown key `severty`\n  --> a.rhai:2:2\n   |\n 2 | \tseverty: 1,\n   | \t^^^^^^^\n  help: did you mean `severity`?\n"
        );
        let whole = Diagnostic::warning("b.rhai", Place::default(), "m", None);
        assert_eq!(render(&whole, &source), "warning: m\n  --> b.rhai\n");
    }

    #[test]
    fn suggests_what_is_near_or_tells_all() {
        assert_eq!(suggest("chanels", ["channels", "when"]), "did you mean `channels`?");
        assert_eq!(suggest("zzz", ["channels", "when"]), "known are channels and when");
    }
}
