//! The remedy for a text that cannot be read: what the engine says of it, and what people mean by what they have written.

use crate::rules::advice::STANDARD;
use crate::rules::constructors::OWN;
use crate::rules::diagnostic::{Place, suggest};
use crate::rules::sandbox::REFUSED_WORDS;
use rhai::{LexError, ParseErrorType};

/// What other languages call nothing.
const NOTHING: [&str; 5] = ["null", "nil", "None", "undefined", "none"];
const MISSING: &str = "what is missing is `()`: ask with `== ()`, or write `incident.labels.region ?? \"\"`";

/// What is wrong with the text of a script at that place, and the remedy.
pub(super) fn advice(error: &ParseErrorType, text: &str, place: Place) -> (String, String) {
    let line = text.lines().nth(place.line.saturating_sub(1)).unwrap_or_default();
    let rest = line.char_indices().nth(place.column.saturating_sub(1)).map_or("", |(at, _)| &line[at..]);
    if let ParseErrorType::BadInput(LexError::UnexpectedInput(found)) = error
        && let Some(told) = of_character(found)
    {
        return told;
    }
    if let ParseErrorType::BadInput(LexError::ImproperSymbol(word, _)) = error
        && REFUSED_WORDS.contains(&word.as_str())
    {
        let help = match word.as_str() {
            "this" => "hand the value over as a parameter, and return what is made of it",
            _ => "a rule computes from the incident and nothing else: it neither prints nor runs texts as code",
        };
        return (format!("rules have no `{word}`"), help.to_owned());
    }
    let help = match error {
        ParseErrorType::Reserved(word) if word == "match" => {
            "the matcher of a rule is called `where`: `match` is a reserved word in Rhai".to_owned()
        }
        ParseErrorType::Reserved(word) if ["import", "export"].contains(&word.as_str()) => {
            "functions of files in `lib/` stand in every file without it".to_owned()
        }
        ParseErrorType::Reserved(word) if word == "#" => "a comment begins with `//`, a map with `#{`".to_owned(),
        ParseErrorType::Reserved(word) if NOTHING.contains(&word.as_str()) => MISSING.to_owned(),
        ParseErrorType::Reserved(word) if !word.chars().all(|c| c.is_alphanumeric() || c == '_') => {
            format!("`{word}` means nothing here: take it out, or write what else you mean")
        }
        ParseErrorType::Reserved(word) => format!("`{word}` is a reserved word in Rhai: write it in quotes, \"{word}\""),
        ParseErrorType::VariableUndefined(name) if name == "incident" || name == "context" => {
            "a closure is written `|incident| …` or `|incident, context| …`".to_owned()
        }
        ParseErrorType::VariableUndefined(name) => {
            let defined = ["let", "const"].iter().any(|word| text.contains(&format!("{word} {name} ")));
            match of_name(name, rest.strip_prefix(name.as_str()).unwrap_or(rest).trim_start()) {
                _ if defined => {
                    format!("a function sees no variable of its file, nor what stands below: hand `{name}` over to it")
                }
                Some(help) => help,
                None => of_unknown(name),
            }
        }
        ParseErrorType::PropertyExpected => "a `}` is missing here or shortly before".to_owned(),
        ParseErrorType::MissingToken(..) if operator_of(rest).is_some() => {
            format!("write `{}` in its place", operator_of(rest).unwrap_or_default())
        }
        ParseErrorType::MissingToken(token, _) if token == ":" && rest.starts_with('.') => {
            "a key has no dot: write a map in the map, `labels: #{ region: \"eu-*\" }`".to_owned()
        }
        ParseErrorType::MissingToken(token, what) if token == "," => {
            let end = [("argument", ')'), ("array", ']'), ("map", '}')].into_iter().find(|(of, _)| what.contains(of));
            let or_end = end.map(|(_, end)| format!(" or a `{end}`")).unwrap_or_default();
            format!("a `,`{or_end} is missing here or shortly before")
        }
        ParseErrorType::MissingToken(token, _) => format!("a `{token}` is missing here or shortly before"),
        ParseErrorType::BadInput(LexError::Runtime(_)) => "split it into several files, and into shorter expressions".to_owned(),
        ParseErrorType::BadInput(LexError::UnterminatedString) => "a quote that ends the text is missing".to_owned(),
        ParseErrorType::BadInput(LexError::MalformedEscapeSequence(_)) => {
            "in quotes a backslash is written twice, `\\\\`; between backticks it stands for itself".to_owned()
        }
        ParseErrorType::BadInput(LexError::MalformedChar(_)) => "texts stand in double quotes, \"…\"".to_owned(),
        ParseErrorType::BadInput(LexError::MalformedNumber(_)) => "write numbers as `15`, `2.5` or `1_000`".to_owned(),
        ParseErrorType::BadInput(LexError::StringTooLong(_)) => "a text in a rule has at most 128 KiB".to_owned(),
        ParseErrorType::BadInput(LexError::ImproperSymbol(symbol, _)) if symbol == "===" || symbol == "!==" => {
            format!("write `{}`: it compares types too", &symbol[..2])
        }
        ParseErrorType::BadInput(LexError::ImproperSymbol(symbol, _)) => match symbol.as_str() {
            "->" | "<|" | "|>" => "a closure is written `|incident| …` or `|incident, context| …`".to_owned(),
            "<-" => "write `<=`, or a blank before the minus".to_owned(),
            ":=" => "write `=`".to_owned(),
            "# {" => "write `#{` without a blank".to_owned(),
            "(*" | "*)" => "a comment begins with `//`".to_owned(),
            _ => format!("`{symbol}` means nothing here: take it out, or write what else you mean"),
        },
        ParseErrorType::DuplicatedProperty(name) => format!("`{name}` stands twice in this map: take one out"),
        ParseErrorType::FnDuplicatedDefinition(name, _) => format!("give one of the two `{name}` another name"),
        ParseErrorType::FnDuplicatedParam(_, name) => format!("give each parameter a name of its own: `{name}` stands twice"),
        ParseErrorType::AssignmentToConstant(name) => format!("declare `{name}` with `let`, or write to another variable"),
        ParseErrorType::ExprTooDeep => "split it: give parts of it a name with `let`, or put them into functions".to_owned(),
        ParseErrorType::WrongFnDefinition => "functions are declared at the top of a file, not inside of others".to_owned(),
        ParseErrorType::UnexpectedEOF => "something is left open: look for a missing `}`, `)` or `]`".to_owned(),
        ParseErrorType::ExprExpected(_) | ParseErrorType::VariableExpected | ParseErrorType::UnknownOperator(_) => {
            "look at what stands right before it: is a comma, a quote or a value missing?".to_owned()
        }
        ParseErrorType::LiteralTooLarge(..) => "split it, or make it in a loop".to_owned(),
        _ => "docs/rules.md shows how rules are written; https://rhai.rs/book is the book of the language".to_owned(),
    };
    (error.to_string(), help)
}

/// What other languages write in words.
fn operator_of(text: &str) -> Option<&'static str> {
    let word = text.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default();
    match word.to_lowercase().as_str() {
        "and" => Some("&&"),
        "or" => Some("||"),
        "not" => Some("!"),
        "is" | "equals" | "eq" => Some("=="),
        _ => None,
    }
}

/// A name that means something in another place or language; `next`: what stands behind it.
fn of_name(name: &str, next: &str) -> Option<String> {
    if let Some(operator) = operator_of(name) {
        return Some(format!("write `{operator}` in its place"));
    }
    if NOTHING.contains(&name) {
        return Some(MISSING.to_owned());
    }
    if next.starts_with(':') {
        return Some("a map begins with `#{`: write `#{ name: … }`".to_owned());
    }
    if OWN.contains(&name) || STANDARD.contains(&name) {
        return Some(match next.starts_with("#{") {
            true => format!("`{name}` is a function: write `{name}(#{{ … }})`"),
            false => format!("`{name}` is a function: write `{name}(…)`"),
        });
    }
    None
}

fn of_unknown(name: &str) -> String {
    match suggest(name, ["incident", "context", "true", "false"]) {
        near if near.starts_with("did") => near,
        _ => "a closure sees its parameters and what its file defines above it; a text stands in quotes".to_owned(),
    }
}

/// Characters that come with texts copied from elsewhere, and cannot be told from others by looking.
fn of_character(found: &str) -> Option<(String, String)> {
    let character = found.chars().next()?;
    let code = u32::from(character);
    let (name, help) = match character {
        '\u{a0}' | '\u{2000}'..='\u{200a}' | '\u{202f}' | '\u{205f}' | '\u{3000}' => {
            ("a blank of another kind", "write a plain blank in its place")
        }
        '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2064}' | '\u{ad}' | '\u{feff}' => {
            ("a character that is not seen", "take it out: write the line anew")
        }
        '“' | '”' | '„' | '«' | '»' | '‘' | '’' | '‚' | '´' => {
            ("a quote of another kind", "texts stand in straight double quotes, \"…\"")
        }
        '–' | '—' | '−' => ("a dash of another kind", "write `-` in its place"),
        _ if code > 127 => {
            ("a letter that names cannot have", "outside of texts in quotes there are only a to z, digits and `_`")
        }
        _ => return None,
    };
    let shown = if character.is_alphanumeric() { format!("`{character}`, ") } else { String::new() };
    Some((format!("{shown}U+{code:04X} is {name}"), help.to_owned()))
}

#[cfg(test)]
mod tests {
    use crate::rules::{Limits, RuleSet, RuleSource};

    #[test]
    fn what_other_languages_write_is_understood() {
        for (text, column, help) in [
            ("let x = 1 or 2;", 11, "write `||`"),
            ("let x = [1 and 2];", 12, "write `&&`"),
            ("let x = not true;", 9, "write `!`"),
            ("let x = null;", 9, "what is missing is `()`"),
            ("let x = None;", 9, "what is missing is `()`"),
            ("let x = True;", 9, "did you mean `true`?"),
            ("let x = { name: 1 };", 11, "a map begins with `#{`"),
            ("notification #{ name: \"a\" };", 1, "write `notification(#{ … })`"),
            ("let x = [rollback];", 10, "write `rollback(…)`"),
            ("let x = #{ labels.region: 1 };", 18, "a key has no dot"),
            ("# a comment", 1, "a comment begins with `//`"),
            ("let f = incident -> 1;", 9, "`|incident| …`"),
            ("let x := 1;", 7, "write `=`"),
            ("let x = # {};", 9, "without a blank"),
            ("restart(1};", 10, "a `,` or a `)` is missing"),
            ("let x = [1};", 11, "a `,` or a `]` is missing"),
            ("let x = “a”;", 9, "straight double quotes"),
            ("let x =\u{a0}1;", 8, "write a plain blank"),
            ("let x\u{200b} = 1;", 6, "take it out"),
            ("let größe = 1;", 7, "only a to z"),
            ("let x = 1; /* \"a\" // b\nlet y = 2; /* c */", 12, "end it with `*/`"),
        ] {
            let source = RuleSource { files: [("a.rhai".to_owned(), text.to_owned())].into() };
            let found = RuleSet::load(&source, &Limits::default()).err().unwrap_or_default();
            let told: Vec<_> = found.iter().map(|one| (one.line, one.column, one.help.as_deref().unwrap_or_default())).collect();
            assert!(matches!(told[..], [(1, at, told)] if at == column && told.contains(help)), "{text}: {found:#?}");
        }
    }

    #[test]
    fn comments_that_end_are_left_alone() {
        for text in
            ["/* a /* b */ c */ let x = \"/*\";", "// /*\nlet x = 1;", "let x = `/* ${1 + 1} /*`;", "let x = `${ `/*` }`;"]
        {
            let source = RuleSource { files: [("a.rhai".to_owned(), text.to_owned())].into() };
            assert!(RuleSet::load(&source, &Limits::default()).is_ok(), "{text}");
        }
    }
}
