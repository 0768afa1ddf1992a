//! The remedy for what the script engine says: it knows what is wrong, and rule writers want to know what to do.

use crate::rules::constructors::OWN;
use crate::rules::diagnostic::suggest;
use crate::rules::sandbox::REFUSED_WORDS;
use crate::rules::view::{CONTEXT_FIELDS, CONTEXT_FUNCTIONS, FIELDS};
use rhai::{LexError, ParseErrorType};

/// What scripts can call beside our own functions: names of the script engine, for suggestions.
pub(super) const STANDARD: &[&str] = &[
    "abs",
    "acos",
    "acosh",
    "all",
    "append",
    "asin",
    "asinh",
    "atan",
    "atanh",
    "bits",
    "bytes",
    "call",
    "ceiling",
    "chars",
    "chop",
    "clear",
    "contains",
    "cos",
    "cosh",
    "crop",
    "curry",
    "dedup",
    "drain",
    "end",
    "ends_with",
    "exp",
    "extract",
    "fill_with",
    "filter",
    "find",
    "find_map",
    "floor",
    "for_each",
    "fraction",
    "get",
    "hypot",
    "index_of",
    "insert",
    "int",
    "is_anonymous",
    "is_def_fn",
    "is_def_var",
    "is_empty",
    "is_even",
    "is_exclusive",
    "is_finite",
    "is_inclusive",
    "is_infinite",
    "is_nan",
    "is_odd",
    "is_shared",
    "is_zero",
    "keys",
    "len",
    "ln",
    "log",
    "make_lower",
    "make_upper",
    "map",
    "max",
    "min",
    "mixin",
    "name",
    "order",
    "order_by",
    "order_desc",
    "pad",
    "parse_float",
    "parse_int",
    "pop",
    "push",
    "range",
    "reduce",
    "reduce_rev",
    "remove",
    "replace",
    "retain",
    "reverse",
    "round",
    "set",
    "shift",
    "sign",
    "sin",
    "sinh",
    "some",
    "sort",
    "sort_by",
    "sort_desc",
    "splice",
    "split",
    "split_rev",
    "sqrt",
    "start",
    "starts_with",
    "sub_string",
    "tan",
    "tanh",
    "to_binary",
    "to_blob",
    "to_chars",
    "to_debug",
    "to_degrees",
    "to_float",
    "to_hex",
    "to_int",
    "to_json",
    "to_lower",
    "to_octal",
    "to_radians",
    "to_string",
    "to_upper",
    "trim",
    "truncate",
    "type_of",
    "values",
    "zip",
    "E",
    "Fn",
    "PI",
];

/// What is wrong with the text of a script, and the remedy.
pub(super) fn of_syntax(error: &ParseErrorType) -> (String, String) {
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
        ParseErrorType::Reserved(word) => format!("`{word}` is a reserved word in Rhai: write it in quotes, \"{word}\""),
        ParseErrorType::VariableUndefined(name) if name == "incident" || name == "context" => {
            "a closure is written `|incident| …` or `|incident, context| …`".to_owned()
        }
        ParseErrorType::VariableUndefined(name) => match suggest(name, ["incident", "context"]) {
            near if near.starts_with("did") => near,
            _ => "a closure sees its parameters and what its file defines above it".to_owned(),
        },
        ParseErrorType::PropertyExpected => "a `}` is missing here or shortly before".to_owned(),
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

/// The remedy for a script that failed; `known` are the functions of its file and of the library.
pub(super) fn of_script<'a>(message: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    if let Some(name) = between(message, "there is no field `", "` in Incident") {
        return suggest(name, FIELDS);
    }
    if message.ends_with(" in Context") {
        return of_context(message.split('`').nth(1).unwrap_or_default());
    }
    if let Some(signature) = between(message, "there is no function `", "`") {
        return of_function(signature, known);
    }
    let advice = [
        ("operations;", "a rule's script looks at one incident: leave out loops over much, or split the rule"),
        ("ran longer", "a rule's script looks at one incident: leave out loops over much, or split the rule"),
        ("deep", "a function must not call itself without end; write a loop, or nest less"),
        ("grew past", "keep of the incident only what the rule needs"),
        ("too large", "keep of the incident only what the rule needs"),
        ("would make a text", "keep of the incident only what the rule needs"),
        ("cannot be written", "a rule only reads: put what it computes into a variable of its own, `let x = …`"),
        ("array index", "ask for its length first: `if list.len() > 0 { list[0] }`"),
        ("out of bounds", "ask for its length first: `if list.len() > 0 { list[0] }`"),
        (
            "must return an array",
            "return an array; what stands in it as `()` is left out: `[if incident.suppressed { slack(\"#a\") }]`",
        ),
        ("takes whole minutes", "write for example `context.recent_deployment(30)`"),
        ("takes the name of a metric", "write for example `context.measurement(\"queue_depth\")`"),
        ("must return true or false", "let it end with a comparison, without a `;` behind it"),
        ("Division by zero", "ask first: `if x != 0 { y / x }`"),
        ("declares a rule", "declare it at the top of the file; in a closure only its `when` can say yes or no"),
        ("Variable not found", "a closure sees its parameters and what its file defines above it"),
        ("throw", "a rule answers, it does not throw: return `false`, `()` or an empty array"),
    ];
    match advice.iter().find(|(word, _)| message.contains(word)) {
        Some((_, advice)) => (*advice).to_owned(),
        // What we refuse says what to do itself.
        None if message.contains("; ") => message.rsplit("; ").next().unwrap_or_default().to_owned(),
        None => "mend the line that is marked; `incidentd rules check` runs every closure on sample incidents".to_owned(),
    }
}

/// Where `context` has no such field.
pub(super) fn of_context(name: &str) -> String {
    match CONTEXT_FUNCTIONS.contains(&name) {
        true => format!("it is a function: write `context.{name}(…)`"),
        false => suggest(name, CONTEXT_FIELDS.into_iter().chain(CONTEXT_FUNCTIONS)),
    }
}

fn of_function<'a>(signature: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    let (name, types) = signature.split_once(" (").unwrap_or((signature, ""));
    let mut names = known.into_iter().filter(|name| !name.starts_with("anon$")).chain(OWN).chain(STANDARD.iter().copied());
    let is_there = names.by_ref().any(|known| known == name);
    if types.contains("()") {
        return "a label or value that an incident does not carry is `()`: write `incident.labels.region ?? \"\"`, or ask with \
                `!= ()`"
            .to_owned();
    }
    if name.chars().all(|c| !c.is_alphanumeric()) {
        return format!(
            "`{name}` takes values of one kind: `num(x)` makes a number of a text, `x.to_string()` a text of a number"
        );
    }
    if is_there {
        return format!("there is a `{name}`, but not for values of these kinds: look at their number and order");
    }
    match near(name) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("define `fn {name}(…)` in this file or in `lib/`, or see docs/rules.md for what there is"),
    }
}

/// A known function whose name is nearly this one, for a name that nobody knows.
pub(super) fn near(name: &str) -> Option<&'static str> {
    let known = || OWN.into_iter().chain(STANDARD.iter().copied());
    if known().any(|known| known == name) {
        return None;
    }
    let plain = |name: &str| name.replace('_', "").to_lowercase();
    let nearest = known().map(|known| (strsim::damerau_levenshtein(&plain(known), &plain(name)), known)).min();
    nearest.filter(|(distance, known)| *distance <= known.len() / 4).map(|(_, known)| known)
}

fn between<'a>(text: &'a str, start: &str, end: &str) -> Option<&'a str> {
    let rest = text.split_once(start)?.1;
    rest.split_once(end).map(|(inner, _)| inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_has_its_remedy() {
        for (message, remedy) in [
            ("there is no field `severty` in Incident", "did you mean `severity`?"),
            ("there is no field `attempts` in Context", "it is a function: write `context.attempts(…)`"),
            ("there is no function `startswith (text, text)`", "did you mean `starts_with`?"),
            ("there is no function `to_uper (text)`", "did you mean `to_upper`?"),
            ("there is no function `+ ((), number)`", "?? \"\""),
            ("there is no function `- (text, number)`", "num(x)"),
            ("there is no function `slack ()`", "their number and order"),
            ("there is no function `frobnicate (text)`", "define `fn frobnicate(…)`"),
            ("stopped after 100000 operations; a rule's script must be short", "leave out loops"),
            ("no", "sample incidents"),
        ] {
            let told = of_script(message, ["helper"]);
            assert!(told.contains(remedy), "{message}: {told}");
        }
        assert_eq!((near("startswith"), near("len"), near("team_of")), (Some("starts_with"), None, None));
    }
}
