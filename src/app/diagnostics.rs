//! What the check of the rules found, for a person: place, source line, remedy.

use crate::rules::{Diagnostic, RuleSource};
use std::fmt::Write;
use std::path::Path;

/// Columns of a source line that are shown.
const WIDTH: usize = 160;

/// `dir/file:line:column: error: message`, the source line with a caret below it, and the remedy.
pub fn describe(diagnostic: &Diagnostic, dir: &Path, source: &RuleSource) -> String {
    let name = if source.files.contains_key(&diagnostic.file) {
        dir.join(&diagnostic.file).display().to_string()
    } else {
        diagnostic.file.clone()
    };
    let kind = if diagnostic.error { "error" } else { "warning" };
    let mut text = match diagnostic.line {
        0 => format!("{name}: {kind}: {}", diagnostic.message),
        line => format!("{name}:{line}:{}: {kind}: {}", diagnostic.column, diagnostic.message),
    };
    let line = diagnostic.line.checked_sub(1).and_then(|at| source.files.get(&diagnostic.file)?.lines().nth(at));
    // Writing to a string does not fail.
    if let Some(line) = line {
        let shown: String = line.chars().take(WIDTH).map(|c| if c == '\t' { ' ' } else { c }).collect();
        let number = diagnostic.line.to_string();
        let _ = write!(text, "\n {number} | {shown}");
        if (1..=WIDTH).contains(&diagnostic.column) {
            let _ = write!(text, "\n {} | {}^", " ".repeat(number.len()), " ".repeat(diagnostic.column - 1));
        }
    }
    if let Some(help) = &diagnostic.help {
        let _ = write!(text, "\n   help: {help}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_the_place_the_line_and_the_remedy() {
        let mut source = RuleSource::default();
        source.files.insert("a.rhai".to_owned(), "// one\nnotification(#{ nam: 1 });\n".to_owned());
        let diagnostic = Diagnostic {
            file: "a.rhai".to_owned(),
            line: 2,
            column: 17,
            error: true,
            message: "unknown key `nam`".to_owned(),
            help: Some("did you mean `name`?".to_owned()),
        };
        let expected = "rules/a.rhai:2:17: error: unknown key `nam`\n 2 | notification(#{ nam: 1 });\n   |                 ^\n   \
                        help: did you mean `name`?";
        assert_eq!(describe(&diagnostic, Path::new("rules"), &source), expected);
    }
}
