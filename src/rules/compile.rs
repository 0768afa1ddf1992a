//! Compiles a file; a large one piece by piece, for the engine's parser looks through all functions and closures that it has
//! read at each variable, so that the time for a file grows with the square of its length.
//!
//! A piece ends where a statement of the file itself does. It is compiled with blank lines in place of what stands before
//! it, so that all places are those of the file, and with what a whole file would let it see: the functions above it, and
//! the names of the file's own variables.

use crate::rules::diagnostic::Place;
use rhai::{AST, Engine, ParseError, Position, Scope, Stmt, Token};
use std::ops::Range;

/// Bytes of a file that is compiled in one go, and of a piece of a larger one.
const WHOLE: usize = 48 * 1024;
const PIECE: usize = 16 * 1024;
/// Functions are compiled again with each piece after them; a file with more than this is compiled in one go.
const MOST_FUNCTIONS: usize = 16 * 1024;

pub(super) fn compile(engine: &Engine, text: &str) -> Result<AST, ParseError> {
    let pieces = if text.len() > WHOLE { pieces(engine, text) } else { Vec::new() };
    let (functions, statements): (Vec<_>, Vec<_>) = pieces.iter().partition(|piece| piece.function);
    if statements.len() < 2 || functions.iter().map(|piece| piece.bytes.len()).sum::<usize>() > MOST_FUNCTIONS {
        return engine.compile(text);
    }
    let blank = "\n".repeat(text.bytes().filter(|byte| *byte == b'\n').count());
    // A function sees no variable of the file.
    let mut whole = engine.compile_scripts_with_scope(&Scope::new(), padded(text, &blank, &functions))?;
    let mut seen = Scope::new();
    for piece in statements {
        let above = functions.iter().copied().filter(|function| function.bytes.start < piece.bytes.start);
        let parts: Vec<&Piece> = above.chain([piece]).collect();
        let ast = engine.compile_scripts_with_scope(&seen, padded(text, &blank, &parts))?;
        for statement in ast.statements() {
            if let Stmt::Var(variable, ..) = statement {
                seen.push(variable.0.name.clone(), ());
            }
        }
        whole.combine(ast);
    }
    Ok(whole)
}

/// Where a comment begins that nothing ends: the engine takes the rest of the file for it without a word.
pub(super) fn open_comment(engine: &Engine, text: &str) -> Option<Place> {
    /// Begins behind the last token that are looked at: others stand in texts, or behind `//`.
    const MOST: usize = 8;
    text.find("/*")?;
    let last = in_comment(engine, text)?;
    let mut begins = text.match_indices("/*").map(|(at, _)| at).filter(|at| *at >= last).take(MOST);
    let opens = |at: &usize| in_comment(engine, &text[..*at]).is_none() && in_comment(engine, &text[..*at + 2]).is_some();
    let before = &text[..begins.find(opens).unwrap_or(last)];
    let line = before.rsplit('\n').next().unwrap_or_default();
    Some(Place { line: before.matches('\n').count() + 1, column: line.chars().count() + 1 })
}

/// Does the text end in a comment? Then the begin of the last token before it.
fn in_comment(engine: &Engine, text: &str) -> Option<usize> {
    // What is put behind it is read as something only where no comment is open.
    let behind = text.matches('\n').count() + 2;
    let (mut last, mut is_read) = ((0, 0), false);
    each_token(engine, &format!("{text}\n*/"), |token, position, _| {
        // A text without an end is another fault.
        is_read |= position.line() == Some(behind) || matches!(token, Token::LexError(_));
        last = (position.line().unwrap_or(1) - 1, position.position().unwrap_or(1) - 1);
    });
    (!is_read).then(|| Lines::new(text).offset(last))
}

/// All tokens of a text, each with how many brackets are open behind it; the engine's parser alone knows where text goes on
/// behind `${ … }`.
fn each_token(engine: &Engine, text: &str, mut see: impl FnMut(&Token, Position, usize)) {
    let (tokens, control) = engine.lex(std::iter::once(&text));
    let (mut depth, mut inside) = (0_usize, Vec::new());
    for (token, position) in tokens {
        match token {
            Token::EOF => return,
            Token::InterpolatedString(_) => inside.push(depth),
            Token::LeftBrace | Token::MapStart | Token::LeftBracket | Token::LeftParen => depth += 1,
            Token::RightBrace | Token::RightBracket | Token::RightParen => {
                depth = depth.saturating_sub(1);
                if token == Token::RightBrace && inside.last() == Some(&depth) {
                    inside.pop();
                    control.borrow_mut().is_within_text = true;
                    // It is no bracket of the script.
                    continue;
                }
            }
            _ => {}
        }
        see(&token, position, depth);
    }
}

/// A part of a file: one of its functions, or statements.
struct Piece {
    bytes: Range<usize>,
    /// Of its begin, both from 0, in characters.
    line: usize,
    column: usize,
    /// Of its end.
    end: (usize, usize),
    function: bool,
}

/// Their texts, each where it stands in the file.
fn padded<'a>(text: &'a str, blank: &'a str, parts: &[&Piece]) -> Vec<std::borrow::Cow<'a, str>> {
    let mut padded = Vec::new();
    let (mut line, mut column) = (0, 0);
    for part in parts {
        if part.line > line {
            padded.push(blank[..part.line - line].into());
            column = 0;
        }
        padded.push(" ".repeat(part.column.saturating_sub(column)).into());
        padded.push(text[part.bytes.clone()].into());
        (line, column) = part.end;
    }
    padded
}

/// Empty where the text cannot be read.
fn pieces(engine: &Engine, text: &str) -> Vec<Piece> {
    let lines = Lines::new(text);
    let mut pieces = Vec::new();
    let (mut begin, mut fresh, mut function) = ((0, 0), true, false);
    let mut wrong = false;
    let mut end_piece = |begin: (usize, usize), end: (usize, usize), function: bool| {
        let bytes = lines.offset(begin)..lines.offset(end);
        if !bytes.is_empty() {
            pieces.push(Piece { bytes, line: begin.0, column: begin.1, end, function });
        }
    };
    each_token(engine, text, |token, position, depth| {
        let at = (position.line().unwrap_or(1) - 1, position.position().unwrap_or(1) - 1);
        if depth == 0 && fresh && matches!(token, Token::Fn | Token::Private) {
            end_piece(begin, at, false);
            (begin, function) = (at, true);
        }
        fresh = false;
        let end = (at.0, at.1 + 1);
        match token {
            Token::LexError(_) => wrong = true,
            Token::RightBrace if depth == 0 && function => {
                end_piece(begin, end, true);
                (begin, fresh, function) = (end, true, false);
            }
            Token::SemiColon if depth == 0 => {
                fresh = true;
                if lines.offset(end) - lines.offset(begin) >= PIECE {
                    end_piece(begin, end, false);
                    begin = end;
                }
            }
            _ => {}
        }
    });
    end_piece(begin, lines.end(), function);
    if wrong { Vec::new() } else { pieces }
}

/// Where each line begins.
struct Lines<'a> {
    text: &'a str,
    starts: Vec<usize>,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Lines<'a> {
        let after = text.match_indices('\n').map(|(at, _)| at + 1);
        Lines { text, starts: std::iter::once(0).chain(after).collect() }
    }

    /// In bytes, of a line and a column from 0.
    fn offset(&self, (line, column): (usize, usize)) -> usize {
        let start = self.starts.get(line).copied().unwrap_or(self.text.len());
        self.text[start..].char_indices().nth(column).map_or(self.text.len(), |(at, _)| start + at)
    }

    fn end(&self) -> (usize, usize) {
        (self.starts.len(), 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Limits, RuleSet, RuleSource};
    use std::fmt::Write;

    /// A file past what is compiled in one go, with all that a boundary could cut.
    fn large(rules: usize) -> String {
        let mut text = String::from("let team = \"llm\"; fn page(team) { [slack(`#${team}`)] }\nconst LIMIT = 3;\n");
        for n in 0..rules {
            let _ = writeln!(
                text,
                "/* a; b */ notification(#{{ name: \"r;{n}\", when: |incident| {{ let x = `a;${{ if true {{ `b;${{1}}` }} }}`; incident\
                 .occurrence_count > LIMIT && x != team }},\n  channels: page(team) }}); // ; ü\n"
            );
            if n == rules / 2 {
                text.push_str("fn later(x) { x + 1 } let more = [1].map(later);\nprivate fn own() { 1 }\n");
            }
        }
        text.push_str("notification(#{ name: \"last\", when: |i| later(1) == 2 && own() == more.len(), channels: page(team) })");
        text
    }

    fn load(text: String) -> Result<RuleSet, Vec<crate::rules::Diagnostic>> {
        RuleSet::load(&RuleSource { files: [("a.rhai".to_owned(), text)].into() }, &Limits::default()).map(|(set, _)| set)
    }

    #[test]
    fn a_large_file_is_what_its_pieces_are() {
        let text = large(1_000);
        let mut engine = Engine::new();
        engine.set_strict_variables(true);
        let pieces = pieces(&engine, &text);
        assert!(pieces.len() > 5 && pieces.iter().filter(|piece| piece.function).count() == 3, "{}", pieces.len());
        let joined: String = pieces.iter().map(|piece| &text[piece.bytes.clone()]).collect();
        assert_eq!(joined, text, "nothing is lost, nothing double");
        let set = load(text.clone()).unwrap_or_else(|found| panic!("{:?}", &found[..1]));
        assert_eq!(set.notifications().len(), 1_001);
        let at = |name: &str| set.notifications().iter().position(|rule| rule.name == name).unwrap();
        let line = |name: &str| text.lines().position(|line| line.contains(&format!("\"{name}\""))).unwrap() + 1;
        for name in ["r;0", "r;499", "r;501", "r;999"] {
            assert_eq!(set.place(at(name)), format!("a.rhai:{}:12", line(name)), "{name}");
        }
        assert_eq!(set.place(at("last")), format!("a.rhai:{}:1", line("last")));
    }

    #[test]
    fn what_is_wrong_in_a_large_file_is_found_where_it_is() {
        let text = large(1_000);
        let lines = text.lines().count();
        for (wrong, column, message) in [
            ("notification(#{ nme: 1 })", 1, "notification(…) needs `name`"),
            ("let = 1", 5, "Expecting name of a variable"),
            ("let x = nobody", 9, "Undefined variable"),
            ("fn f() { team }", 10, "Undefined variable"),
            ("let x = \"", 9, "string"),
        ] {
            let found = load(format!("{text};\n{wrong}")).err().unwrap_or_default();
            let finding = found.iter().find(|finding| finding.message.contains(message)).unwrap_or_else(|| panic!("{found:?}"));
            assert_eq!((finding.line, finding.column), (lines + 1, column), "{wrong}");
        }
    }
}
