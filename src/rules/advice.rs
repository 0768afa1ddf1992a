//! The remedy for a script that fails: the engine knows what is wrong, and rule writers want to know what to do.

use crate::rules::constructors::OWN;
use crate::rules::diagnostic::suggest;
use crate::rules::view::{CONTEXT_FIELDS, CONTEXT_FUNCTIONS, FIELDS};

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
        ("cannot be written", "to compare write `==`; what the rule computes goes into a variable of its own, `let x = …`"),
        ("For loop expects", "go through the names: `for name in incident.labels.keys() { … incident.labels[name] … }`"),
        ("unavailable: ()", "what may be missing is asked with `?[`: `incident.metadata.recent_changes?[0]?.type`"),
        ("Indexer unavailable", "it is asked for by its name, in quotes: `incident.labels[\"module\"]`"),
        ("Modulo division", "ask first: `if x != 0 { y % x }`"),
        ("` in ()", "what may be missing is asked with `?.`: `incident.metadata.custom?.nested`"),
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
            ("For loop expects iterable type", "incident.labels.keys()"),
            ("Indexer unavailable: () [i64]", "?[0]"),
            ("Indexer unavailable: Labels [i64]", "in quotes"),
            ("there is no field `type` in ()", "`?.`"),
            ("Modulo division by zero or overflow: 1 % 0", "if x != 0"),
            ("no", "sample incidents"),
        ] {
            let told = of_script(message, ["helper"]);
            assert!(told.contains(remedy), "{message}: {told}");
        }
        assert_eq!((near("startswith"), near("len"), near("team_of")), (Some("starts_with"), None, None));
    }
}
