//! What is written of the language is what the program takes: docs/rules.md, and the definitions for editors.

use crate::rules::channel;
use crate::rules::constructors::OWN;
use crate::rules::kind::Kind;
use crate::rules::view::{CONTEXT_FIELDS, CONTEXT_FUNCTIONS, FIELDS};
use crate::rules::{EscalationRule, Limits, NotificationRule, RemediationRule, RuleSet, RuleSource};
use crate::rules::{declaration, escalation, level, notification, remediation, where_clause};
use std::collections::BTreeSet;

fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands between backticks.
fn words(text: &str) -> BTreeSet<String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned).collect()
}

fn set<'a>(words: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    words.into_iter().map(str::to_owned).collect()
}

fn within<'a>(key: &'a str, keys: &'a [&'a str]) -> impl Iterator<Item = String> + 'a {
    keys.iter().map(move |inner| format!("{key}.{inner}"))
}

/// Functions that a rule can call on purpose.
fn functions() -> BTreeSet<String> {
    let refused = ["sleep", "timestamp"];
    set(OWN.into_iter().filter(|name| !refused.contains(name) && !CONTEXT_FUNCTIONS.contains(name)))
}

/// The cells of each table whose head begins so: the words of the first column, and the text of the second.
fn rows(docs: &str, section: &str, head: &str) -> Vec<(BTreeSet<String>, String)> {
    let section = docs.split("\n## ").find(|part| part.starts_with(section)).unwrap_or_else(|| panic!("no section {section}"));
    let mut rows = Vec::new();
    let mut inside = false;
    for line in section.lines() {
        match line.strip_prefix('|').map(str::trim_start) {
            None => inside = false,
            Some(row) if row.starts_with(head) => inside = true,
            Some(row) if inside && !row.starts_with("---") => {
                let (first, second) = row.split_once(" | ").unwrap_or((row, ""));
                rows.push((words(first), second.to_owned()));
            }
            Some(_) => {}
        }
    }
    rows
}

fn first_column(docs: &str, section: &str, head: &str) -> BTreeSet<String> {
    rows(docs, section, head).into_iter().flat_map(|(words, _)| words).collect()
}

#[test]
fn the_reference_lists_every_key_and_no_other() {
    let docs = read("docs/rules.md");
    let mut all = set(declaration::KEYS.into_iter().chain(declaration::IDLE));
    all.extend(within("where", &where_clause::KEYS));
    assert_eq!(first_column(&docs, "What all rules have", "key"), all);
    let mut keys = set(NotificationRule::KEYS.iter().copied());
    keys.extend(within("rate_limit", &notification::RATE_LIMIT).chain(within("digest", &notification::DIGEST)));
    assert_eq!(first_column(&docs, "`notification(", "key"), keys);
    let mut keys = set(EscalationRule::KEYS.iter().copied());
    keys.extend(within("repeat", &escalation::REPEAT).chain(within("business_hours", &escalation::BUSINESS_HOURS)));
    keys.extend(within("levels[]", &level::LEVEL).chain(within("levels[].targets[]", &level::TARGET)));
    assert_eq!(first_column(&docs, "`escalation(", "key"), keys);
    let mut keys = set(RemediationRule::KEYS.iter().copied());
    keys.extend(within("conditions[]", &remediation::CONDITION).chain(within("budget", &remediation::BUDGET)));
    keys.extend(within("trigger", &remediation::TRIGGER));
    assert_eq!(first_column(&docs, "`remediation(", "key"), keys);
}

#[test]
fn the_reference_lists_every_event() {
    let docs = read("docs/rules.md");
    let on = rows(&docs, "`notification(", "key").into_iter().find(|(words, _)| words.contains("on")).expect("a row").1;
    let events: BTreeSet<String> = words(&on).into_iter().map(|word| word.trim_matches(['[', ']', '"']).to_owned()).collect();
    assert_eq!(events, set(crate::model::RuleEvent::LISTENABLE.map(|event| event.name())));
}

#[test]
fn the_reference_lists_every_function_with_its_options() {
    let docs = read("docs/rules.md");
    let rows = rows(&docs, "What rules name by functions", "function");
    let name = |call: &String| call.split('(').next().unwrap_or_default().to_owned();
    let listed: BTreeSet<String> = rows.iter().flat_map(|(calls, _)| calls.iter().map(name)).collect();
    assert_eq!(listed, functions());
    for kind in channel::kinds() {
        let (calls, options) = rows.iter().find(|(calls, _)| calls.iter().any(|call| name(call) == kind)).expect("a row");
        let first = channel::first_key(kind).expect("a first argument");
        assert_eq!(words(options), set(channel::options(kind).filter(|option| *option != first)), "{kind}");
        assert!(calls.contains(&format!("{kind}({first})")), "{calls:?}");
    }
}

#[test]
fn the_reference_lists_all_that_closures_see() {
    let docs = read("docs/rules.md");
    assert_eq!(first_column(&docs, "What closures see", "of the incident"), set(FIELDS));
    let context = first_column(&docs, "What closures see", "of the context");
    let context: BTreeSet<String> = context.iter().map(|call| call.split('(').next().unwrap_or_default().to_owned()).collect();
    assert_eq!(context, set(CONTEXT_FIELDS.into_iter().chain(CONTEXT_FUNCTIONS)));
}

/// A function of the definitions: its name, the type that its first parameter has, what it returns, and its comment.
struct Defined {
    name: String,
    getter: bool,
    of: String,
    returns: String,
    comment: String,
}

fn definitions() -> Vec<Defined> {
    let (mut defined, mut comment) = (Vec::new(), String::new());
    for line in read("rules/incidentd.d.rhai").lines() {
        if let Some(text) = line.strip_prefix("///") {
            comment += text;
            continue;
        }
        if let Some(function) = line.strip_prefix("fn ") {
            let (head, rest) = function.split_once('(').unwrap_or_else(|| panic!("{line}"));
            let (parameters, returns) = rest.split_once(')').unwrap_or_else(|| panic!("{line}"));
            let getter = head.starts_with("get ");
            let of = parameters.split(',').next().and_then(|first| first.split(": ").nth(1)).unwrap_or_default();
            let returns = returns.trim_start_matches(" -> ").trim_end_matches(';').to_owned();
            let name = head.trim_start_matches("get ").to_owned();
            defined.push(Defined { name, getter, of: of.to_owned(), returns, comment: comment.clone() });
        }
        comment.clear();
    }
    defined
}

#[test]
fn the_definitions_for_editors_are_what_there_is() {
    const TYPES: [&str; 5] = ["Incident", "Context", "Labels", "Metadata", "Moment"];
    let defined = definitions();
    let named = |getter: bool, of: &str| {
        set(defined.iter().filter(|one| one.getter == getter && one.of == of).map(|one| one.name.as_str()))
    };
    let global = defined.iter().filter(|one| !one.getter && !TYPES.contains(&one.of.as_str())).map(|one| one.name.as_str());
    assert_eq!(set(global), functions());
    assert_eq!(named(true, "Incident"), set(FIELDS));
    assert_eq!(named(true, "Context"), set(CONTEXT_FIELDS));
    assert_eq!(named(false, "Context"), set(CONTEXT_FUNCTIONS));
    let common = set(declaration::KEYS);
    for (kind, keys) in
        [("notification", NotificationRule::KEYS), ("escalation", EscalationRule::KEYS), ("remediation", RemediationRule::KEYS)]
    {
        let comment = &defined.iter().find(|one| one.name == kind).expect("it is defined").comment;
        let keys: BTreeSet<String> = set(keys.iter().copied()).union(&common).cloned().collect();
        assert_eq!(words(comment), keys, "{kind}");
    }
    for kind in channel::kinds() {
        let options = defined.iter().filter(|one| one.name == kind).nth(1).expect("it has options");
        let first = channel::first_key(kind).expect("a first argument");
        assert_eq!(words(&options.comment), set(channel::options(kind).filter(|option| *option != first)), "{kind}");
    }
}

/// Every closure of the check runs on all samples: one that finds another type than the definitions say fails there.
#[test]
fn the_definitions_name_the_types_that_closures_find() {
    let types = [("String", "string"), ("int", "i64"), ("bool", "bool"), ("Array", "array"), ("Map", "map")];
    let mut body = String::new();
    for one in definitions().iter().filter(|one| one.getter && one.returns != "?") {
        let found = types.iter().find(|(written, _)| *written == one.returns).map_or(one.returns.as_str(), |(_, found)| found);
        let value = match one.of.as_str() {
            "Moment" => format!("context.now.{}", one.name),
            of => format!("{}.{}", of.to_lowercase(), one.name),
        };
        body += &format!("if type_of({value}) != \"{found}\" {{ throw \"{value} is \" + type_of({value}); }}\n");
    }
    let text =
        format!("notification(#{{ name: \"a\", when: |incident, context| {{ {body} true }}, channels: [slack(\"#a\")] }});");
    let source = RuleSource { files: [("a.rhai".to_owned(), text)].into() };
    match RuleSet::load(&source, &Limits::default()) {
        Ok((_, warnings)) => assert_eq!(warnings, []),
        Err(found) => panic!("{found:?}"),
    }
}
