//! What the check of a rule set finds, and how a person reads it: file, line, column, the source line, the remedy.

use crate::rules::{RuleSource, span};
use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};

/// A finding of the check: an error keeps the set from loading.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    pub file: String,
    /// From 1; 0 where the whole file is meant.
    pub line: usize,
    /// In characters, from 1.
    pub column: usize,
    /// Characters of that line that are meant; 0 where the whole file is.
    pub length: usize,
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

impl Diagnostic {
    /// An error in a file that is not the rules' own, such as one of cases; line and column from 1.
    pub fn in_file(file: &str, line: usize, column: usize, message: impl Into<String>, help: impl Into<String>) -> Diagnostic {
        Diagnostic::error(file, Place { line, column }, message, Some(help.into()))
    }
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
    /// How far it reaches is found out with [`Diagnostic::measure`].
    pub(super) fn error(file: &str, place: Place, message: impl Into<String>, help: Option<String>) -> Diagnostic {
        let Place { line, column } = place;
        Diagnostic { file: file.to_owned(), line, column, length: 0, error: true, message: message.into(), help }
    }

    pub(super) fn warning(file: &str, place: Place, message: impl Into<String>, help: Option<String>) -> Diagnostic {
        Diagnostic { error: false, ..Diagnostic::error(file, place, message, help) }
    }

    /// Fills in how far it reaches, where nobody knew. `lines`: those of its file.
    pub(super) fn measure(&mut self, lines: &[&str]) {
        if self.line > 0 && self.length == 0 {
            let line = lines.get(self.line - 1).copied().unwrap_or_default();
            self.length = span::length(line, self.column);
        }
    }
}

/// By file and place, each once; how far each reaches is filled in.
pub(super) fn put_in_order(found: &mut Vec<Diagnostic>, source: &RuleSource) {
    found.sort_by(|a, b| (&a.file, a.line, a.column, !a.error).cmp(&(&b.file, b.line, b.column, !b.error)));
    // What is seen without running a script may be found by running it too.
    found.dedup_by(|later, earlier| {
        let one_place = (&later.file, later.line, later.column) == (&earlier.file, earlier.line, earlier.column);
        later == earlier || one_place && !later.error && earlier.message.contains(&later.message)
    });
    let mut lines: (&str, Vec<&str>) = ("", Vec::new());
    for finding in found.iter_mut() {
        if finding.file != lines.0
            && let Some((file, text)) = source.files.get_key_value(&finding.file)
        {
            lines = (file, text.lines().collect());
        }
        finding.measure(&lines.1);
    }
}

/// The finding as a compiler would print it, without colour; ends with a line feed.
pub fn render(diagnostic: &Diagnostic, source: &RuleSource) -> String {
    rendered(diagnostic, source, &Renderer::plain())
}

/// The same for a terminal that knows ANSI colours.
pub fn render_coloured(diagnostic: &Diagnostic, source: &RuleSource) -> String {
    rendered(diagnostic, source, &Renderer::styled())
}

fn rendered(diagnostic: &Diagnostic, source: &RuleSource, renderer: &Renderer) -> String {
    let Diagnostic { file, line, column, length, error, message, help } = diagnostic;
    let level = if *error { Level::ERROR } else { Level::WARNING };
    let head = Group::with_title(level.primary_title(message));
    let code = source.files.get(file).and_then(|code| code.lines().nth(line.checked_sub(1)?));
    let head = match code {
        None => head.element(Origin::path(file)),
        Some(code) => {
            // The renderer counts bytes.
            let at = |column: usize| code.char_indices().nth(column).map_or(code.len(), |(at, _)| at);
            let (from, to) = (at(column.saturating_sub(1)), at(column.saturating_sub(1) + (*length).max(1)));
            let mark = AnnotationKind::Primary.span(from..to);
            head.element(Snippet::source(code).line_start(*line).path(file).annotation(mark))
        }
    };
    let help = help.as_ref().map(|help| Group::with_title(Level::HELP.secondary_title(help)));
    let groups: Vec<Group<'_>> = std::iter::once(head).chain(help).collect();
    renderer.render(&groups) + "\n"
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
        let mut finding =
            Diagnostic::error("a.rhai", place, "unknown key `severty`", Some("did you mean `severity`?".to_owned()));
        finding.measure(&source.files["a.rhai"].lines().collect::<Vec<_>>());
        assert_eq!(
            render(&finding, &source),
            "error: unknown key `severty`\n --> a.rhai:2:2\n  |\n2 |     severty: 1,\n  |     ^^^^^^^\n  |\nhelp: did you mean `severity`?\n"
        );
        let whole = Diagnostic::warning("b.rhai", Place::default(), "m", None);
        assert_eq!(render(&whole, &source), "warning: m\n--> b.rhai\n");
    }

    #[test]
    fn the_mark_stands_under_wide_characters_and_behind_tabs() {
        let text = "\tlet s = \"警报 🚨\"; \tx\n".to_owned();
        let source = RuleSource { files: [("a.rhai".to_owned(), text)].into() };
        let marked = |column, length| {
            let finding = Diagnostic { length, ..Diagnostic::error("a.rhai", Place { line: 1, column }, "m", None) };
            let text = render(&finding, &source);
            let lines: Vec<&str> = text.lines().collect();
            (lines[3].to_owned(), lines[4].to_owned())
        };
        let code = "1 |     let s = \"警报 🚨\";     x".to_owned();
        assert_eq!(marked(10, 6), (code.clone(), "  |             ^^^^^^^^^".to_owned()), "each of them is two wide");
        assert_eq!(marked(19, 1), (code, format!("  | {}^", " ".repeat(27))));
        assert!(render_coloured(&Diagnostic::error("a.rhai", Place::default(), "m", None), &source).contains('\u{1b}'));
    }

    #[test]
    fn suggests_what_is_near_or_tells_all() {
        assert_eq!(suggest("chanels", ["channels", "when"]), "did you mean `channels`?");
        assert_eq!(suggest("zzz", ["channels", "when"]), "known are channels and when");
    }
}
