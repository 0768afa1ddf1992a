//! How far what begins at a place reaches: the engine tells where a word, text or list begins, and a person wants all of it
//! marked.

use std::iter::Peekable;

/// Characters of what begins at `column` (from 1) of a line of a script, at least 1; what goes on in the next line ends with
/// this one.
pub(super) fn length(line: &str, column: usize) -> usize {
    let rest: Vec<char> = line.trim_end().chars().skip(column.saturating_sub(1)).collect();
    let Some(first) = rest.first().copied() else { return 1 };
    let run = |from: usize, fits: &dyn Fn(char) -> bool| from + rest[from..].iter().take_while(|c| fits(**c)).count();
    let length = match first {
        '"' | '`' | '\'' => quoted(&rest, first),
        '[' | '{' | '(' => bracketed(&rest),
        '#' if rest.get(1) == Some(&'{') => bracketed(&rest),
        '|' => rest.iter().skip(1).position(|c| *c == '|').map_or(1, |end| end + 2),
        '-' if rest.get(1).is_some_and(char::is_ascii_digit) => number(&rest, 1),
        _ if first.is_ascii_digit() => number(&rest, 0),
        _ if is_word(first) => run(0, &is_word),
        _ if "=!<>+-*/%&?.:^~$@".contains(first) => run(0, &|c| "=<>&?.".contains(c) || c == first),
        _ => 1,
    };
    length.clamp(1, rest.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Up to the quote that ends it.
fn quoted(text: &[char], quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.iter().enumerate().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if *c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// Up to the bracket that closes the first one.
fn bracketed(text: &[char]) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while let Some(c) = text.get(at) {
        match c {
            '"' | '`' => {
                at += quoted(&text[at..], *c);
                continue;
            }
            '[' | '{' | '(' => depth += 1,
            ']' | '}' | ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        at += 1;
        if depth == 0 && *c != '#' {
            return at;
        }
    }
    text.len()
}

/// `2`, `2.5`, `1e-3`, `0x1f`; `2..5` and `2.abs()` end after the 2.
fn number(text: &[char], from: usize) -> usize {
    let mut at = from;
    let mut rest: Peekable<_> = text[from..].iter().copied().peekable();
    while let Some(c) = rest.next() {
        let exponent = "eE".contains(c) && rest.peek().is_some_and(|next| "+-".contains(*next));
        let point = c == '.' && rest.peek().is_some_and(char::is_ascii_digit);
        if !is_word(c) && !point {
            break;
        }
        at += 1;
        if exponent {
            rest.next();
            at += 1;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::length;

    #[test]
    fn the_whole_of_it_is_marked() {
        for (line, column, marked) in [
            ("  severty: 1,", 3, "severty"),
            ("  name: \"a \\\"quoted\\\" one\", x", 9, "\"a \\\"quoted\\\" one\""),
            ("  name: \"no end", 9, "\"no end"),
            ("  x: `#${a}`, y", 6, "`#${a}`"),
            ("  x: [\"]\", (1)], y", 6, "[\"]\", (1)]"),
            ("  x: #{ a: 1 }, y", 6, "#{ a: 1 }"),
            ("  x: #{ a: 1,", 6, "#{ a: 1,"),
            ("  when: |incident, context| true", 9, "|incident, context|"),
            ("  a >= 5", 5, ">="),
            ("  a == -5", 5, "=="),
            ("  a: -2.5,", 6, "-2.5"),
            ("  a: 1e-3)", 6, "1e-3"),
            ("  0..5", 3, "0"),
            ("  über_x.y", 3, "über_x"),
            ("\tfn x()", 2, "fn"),
            ("end", 4, ""),
            ("", 1, ""),
        ] {
            let length = length(line, column);
            let got: String = line.chars().skip(column - 1).take(length).collect();
            assert_eq!(got, marked, "{line}");
            assert!(length >= 1);
        }
    }
}
