//! Looks through scripts without running them, for what a dry run may pass by: a branch that no sample takes.
//!
//! By convention the incident is called `incident` and the context `context`; what has other names is left to the dry run.

use crate::model::{Environment, RuleEvent, Severity, Status};
use crate::rules::diagnostic::{Diagnostic, Place, suggest};
use crate::rules::view::{CONTEXT_FIELDS, CONTEXT_FUNCTIONS, FIELDS};
use crate::rules::{advice, library};
use rhai::{AST, ASTNode, BinaryExpr, Expr, FnCallExpr, Position, Stmt};
use std::collections::BTreeSet;

/// Of one file.
const MOST_FINDINGS: usize = 200;
pub(super) const STRING_AND_NUMBER: &str = "a string is compared with a number: they are never equal, smaller or larger";
pub(super) const MAKE_A_NUMBER: &str = "make a number of the string with `num(…)`, or write the number in quotes";

/// Metadata that the engine keeps as numbers, whatever came.
const NUMBERS: [&str; 7] =
    ["threshold", "current_value", "user_impact", "degradation", "error_rate", "cost_increase", "sla_risk_minutes"];
/// Fields of an incident that are texts, and those that are numbers.
const TEXT_FIELDS: [&str; 9] =
    ["id", "fingerprint", "title", "description", "severity", "category", "service_id", "environment", "status"];
const NUMBER_FIELDS: [&str; 3] = ["occurrence_count", "escalation_level", "version"];

/// Functions of the language that people may take for free names, and how many values each takes.
const STANDARD_ARITIES: [(&str, &[usize]); 36] = [
    ("abs", &[1]),
    ("all", &[2]),
    ("ceiling", &[1]),
    ("chars", &[1]),
    ("contains", &[2]),
    ("ends_with", &[2]),
    ("filter", &[2]),
    ("find", &[2, 3]),
    ("floor", &[1]),
    ("get", &[2]),
    ("index_of", &[2, 3]),
    ("is_empty", &[1]),
    ("keys", &[1]),
    ("len", &[1]),
    ("map", &[2]),
    ("max", &[2]),
    ("min", &[2]),
    ("parse_float", &[1]),
    ("parse_int", &[1, 2]),
    ("pop", &[1]),
    ("push", &[2]),
    ("range", &[2, 3]),
    ("reduce", &[2, 3]),
    ("replace", &[3]),
    ("round", &[1]),
    ("some", &[2]),
    ("sort", &[1, 2]),
    ("split", &[1, 2]),
    ("starts_with", &[2]),
    ("sub_string", &[2, 3]),
    ("to_lower", &[1]),
    ("to_string", &[1]),
    ("to_upper", &[1]),
    ("trim", &[1]),
    ("type_of", &[1]),
    ("values", &[1]),
];

pub(super) fn check(file: &str, text: &str, ast: &AST, found: &mut Vec<Diagnostic>) {
    let mut findings: Vec<Diagnostic> = hidden_functions(file, text, ast).chain(unreached(file, ast)).collect();
    let own: BTreeSet<&str> = ast.iter_functions().map(|function| function.name).collect();
    ast.walk(&mut |path: &[ASTNode]| {
        let finding = match path.last() {
            Some(ASTNode::Expr(Expr::Dot(chain, ..))) => field(chain).or_else(|| contained(chain)),
            Some(ASTNode::Expr(Expr::FnCall(call, position)) | ASTNode::Stmt(Stmt::FnCall(call, position))) => {
                comparison(call, *position).or_else(|| function(call, *position, &own))
            }
            Some(ASTNode::Expr(Expr::MethodCall(call, position))) => function(call, *position, &own),
            _ => None,
        };
        if let Some((position, message, help)) = finding {
            findings.push(Diagnostic::warning(file, Place::from(position), message, Some(help)));
        }
        findings.len() < MOST_FINDINGS
    });
    found.extend(findings);
}

/// Functions of the file that stand in the place of the language's own: `x.contains(y)` would ask them too.
fn hidden_functions<'a>(file: &'a str, text: &'a str, ast: &'a AST) -> impl Iterator<Item = Diagnostic> + 'a {
    let hides =
        |name: &str, parameters: usize| STANDARD_ARITIES.iter().any(|(own, counts)| *own == name && counts.contains(&parameters));
    ast.iter_functions().filter(move |function| hides(function.name, function.params.len())).map(move |function| {
        let message = format!("`{0}` takes the place of the language's own `{0}` wherever the function stands", function.name);
        Diagnostic::warning(file, library::place_of(text, function.name), message, Some("give yours another name".to_owned()))
    })
}

/// What stands in the file behind a `return` of its own: rules there are never declared.
fn unreached(file: &str, ast: &AST) -> Option<Diagnostic> {
    let (_, before) = ast.statements().split_last()?;
    let at = before.iter().find(|statement| matches!(statement, Stmt::Return(..)))?.position();
    let message = "the file ends here: what stands below is never run, and its rules are not declared".to_owned();
    Some(Diagnostic::warning(file, at.into(), message, Some("take it out; `enabled: false` turns a rule off".to_owned())))
}

type Finding = (Position, String, String);

/// `incident.severty`.
fn field(chain: &BinaryExpr) -> Option<Finding> {
    let (name, position) = property(&chain.rhs)?;
    match root(&chain.lhs)? {
        "incident" if !FIELDS.contains(&name) => {
            Some((position, format!("there is no field `{name}` in Incident"), suggest(name, FIELDS)))
        }
        "context" if !CONTEXT_FIELDS.contains(&name) => {
            Some((position, format!("there is no field `{name}` in Context"), advice::of_context(name)))
        }
        _ => None,
    }
}

/// A function that nobody knows, and whose name comes near to a known one.
fn function(call: &FnCallExpr, position: Position, own: &BTreeSet<&str>) -> Option<Finding> {
    let name = call.name.as_str();
    if call.op_token.is_some() || own.contains(name) || CONTEXT_FUNCTIONS.contains(&name) {
        return None;
    }
    let near = advice::near(name)?;
    Some((position, format!("there is no function `{name}`"), format!("did you mean `{near}`?")))
}

fn comparison(call: &FnCallExpr, position: Position) -> Option<Finding> {
    let [left, right] = &*call.args else { return None };
    // `a in b` asks whether b contains a.
    if call.name == "contains" {
        return never_in(right, left);
    }
    if !["==", "!=", "<", "<=", ">", ">="].contains(&call.name.as_str()) {
        return None;
    }
    if matches!((kind(left), kind(right)), (Some(Holds::Text), Some(Holds::Number)) | (Some(Holds::Number), Some(Holds::Text))) {
        return Some((position, STRING_AND_NUMBER.to_owned(), MAKE_A_NUMBER.to_owned()));
    }
    if !["==", "!="].contains(&call.name.as_str())
        && let Some(["incident", name @ ("severity" | "environment" | "status")]) =
            known_field(left).or_else(|| known_field(right))
    {
        let message = format!("a {name} is compared letter by letter: `critical` comes before `high`, and `medium` after both");
        let help = format!("name those that are meant: `incident.{name} in [\"…\", \"…\"]`");
        return Some((position, message, help));
    }
    never_equal(left, right).or_else(|| never_equal(right, left))
}

/// `["critical"].contains(incident.severity)`.
fn contained(chain: &BinaryExpr) -> Option<Finding> {
    match &chain.rhs {
        Expr::MethodCall(call, _) if call.name == "contains" => never_in(call.args.first()?, &chain.lhs),
        _ => None,
    }
}

/// One of several values that a field never has.
fn never_in(field: &Expr, values: &Expr) -> Option<Finding> {
    let Expr::Array(values, _) = values else { return None };
    values.iter().find_map(|value| never_equal(field, value))
}

/// A field with few values, compared with none of them.
fn never_equal(field: &Expr, value: &Expr) -> Option<Finding> {
    let (name, words): (_, Vec<&str>) = match known_field(field)? {
        ["incident", "severity"] => ("severity", Severity::ALL.iter().map(|one| one.name()).collect()),
        ["incident", "environment"] => ("environment", Environment::ALL.iter().map(|one| one.name()).collect()),
        ["incident", "status"] => ("status", Status::ALL.iter().map(|one| one.name()).collect()),
        ["context", "event"] => {
            let events = RuleEvent::LISTENABLE.into_iter().chain([RuleEvent::Reminder]);
            ("event", events.map(RuleEvent::name).collect())
        }
        _ => return None,
    };
    let Expr::StringConstant(word, position) = value else { return None };
    if words.contains(&word.as_str()) {
        return None;
    }
    let message = format!("no incident's {name} is ever `{word}`: the comparison always says the same");
    Some((*position, message, suggest(word, words)))
}

#[derive(Clone, Copy, PartialEq)]
enum Holds {
    Text,
    Number,
}

/// What an expression is, whatever the incident; None where it cannot be told.
fn kind(value: &Expr) -> Option<Holds> {
    match value {
        Expr::StringConstant(..) | Expr::InterpolatedString(..) => Some(Holds::Text),
        Expr::IntegerConstant(..) | Expr::FloatConstant(..) => Some(Holds::Number),
        Expr::FnCall(call, _) if call.name == "num" => Some(Holds::Number),
        Expr::FnCall(call, _) if call.name == "-" && call.args.len() == 1 => kind(&call.args[0]),
        Expr::Dot(..) | Expr::Index(..) => {
            let path = steps(value)?;
            match path.as_slice() {
                ["incident", "labels", _] => Some(Holds::Text),
                ["incident", "metadata", name] if NUMBERS.contains(name) => Some(Holds::Number),
                ["incident", name] if TEXT_FIELDS.contains(name) => Some(Holds::Text),
                ["incident", name] if NUMBER_FIELDS.contains(name) => Some(Holds::Number),
                ["context", "event"] => Some(Holds::Text),
                _ => None,
            }
        }
        // `a ?? b` is what both are.
        Expr::Coalesce(values, _) => {
            let mut kinds = values.iter().map(kind);
            let first = kinds.next()??;
            kinds.all(|kind| kind == Some(first)).then_some(first)
        }
        // `(a)`.
        Expr::Stmt(block) => match block.statements() {
            [Stmt::Expr(inner)] => kind(inner),
            _ => None,
        },
        _ => None,
    }
}

fn known_field(value: &Expr) -> Option<[&str; 2]> {
    steps(value)?.try_into().ok()
}

/// `incident.labels.region` and `incident.labels["region"]`, from the variable on; None where something else is on the way.
fn steps(value: &Expr) -> Option<Vec<&str>> {
    let mut steps = Vec::new();
    collect(value, &mut steps).then_some(steps)
}

fn collect<'a>(value: &'a Expr, steps: &mut Vec<&'a str>) -> bool {
    match value {
        Expr::Variable(variable, ..) => steps.push(&variable.1),
        Expr::Property(property, _) => steps.push(&property.2),
        Expr::StringConstant(name, _) if !steps.is_empty() => steps.push(name),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => return collect(&chain.lhs, steps) && collect(&chain.rhs, steps),
        _ => return false,
    }
    true
}

fn root(value: &Expr) -> Option<&str> {
    match value {
        Expr::Variable(variable, ..) => Some(&variable.1),
        _ => None,
    }
}

/// The first one of what stands behind the dot.
fn property(value: &Expr) -> Option<(&str, Position)> {
    match value {
        Expr::Property(property, position) => Some((&property.2, *position)),
        Expr::Dot(chain, ..) | Expr::Index(chain, ..) => property(&chain.lhs),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use crate::rules::{Limits, RuleSet, RuleSource};

    /// The warnings of a `when` whose branches no sample takes.
    fn warnings(expression: &str) -> Vec<String> {
        let text = format!(
            "notification(#{{ name: \"a\", when: |incident, context| {{ if incident.title == \"never\" {{ return {expression}; }} \
             true }}, channels: [slack(\"#a\")] }});"
        );
        match RuleSet::load(&RuleSource { files: [("a.rhai".to_owned(), text)].into() }, &Limits::default()) {
            Ok((_, warnings)) => warnings.into_iter().map(|warning| warning.message).collect(),
            Err(found) => panic!("{expression}: {found:?}"),
        }
    }

    #[test]
    fn branches_that_no_sample_takes_are_looked_through() {
        for (expression, warned) in [
            (
                "incident.severity >= \"high\"",
                "a severity is compared letter by letter: `critical` comes before `high`, and `medium` after both",
            ),
            ("incident.severty == \"high\"", "there is no field `severty` in Incident"),
            ("incident.labls.region == \"eu\"", "there is no field `labls` in Incident"),
            ("context.evnt == \"triggered\"", "there is no field `evnt` in Context"),
            ("incident.title.startswith(\"x\")", "there is no function `startswith`"),
            ("recent_deploymnt(incident, 30)", "there is no function `recent_deploymnt`"),
            ("incident.labels.replicas > 5", super::STRING_AND_NUMBER),
            ("5 <= incident.labels[\"replicas\"]", super::STRING_AND_NUMBER),
            ("(incident.labels.replicas ?? \"0\") > 5", super::STRING_AND_NUMBER),
            ("incident.metadata.threshold == \"5\"", super::STRING_AND_NUMBER),
            ("incident.occurrence_count == \"5\"", super::STRING_AND_NUMBER),
            ("incident.severity == \"hgih\"", "no incident's severity is ever `hgih`: the comparison always says the same"),
            ("incident.environment != \"prod\"", "no incident's environment is ever `prod`: the comparison always says the same"),
            ("\"open\" == incident.status", "no incident's status is ever `open`: the comparison always says the same"),
            (
                "incident.severity in [\"high\", \"hgih\"]",
                "no incident's severity is ever `hgih`: the comparison always says the same",
            ),
            (
                "!([\"prod\"].contains(incident.environment))",
                "no incident's environment is ever `prod`: the comparison always says the same",
            ),
            ("context.event == \"trigered\"", "no incident's event is ever `trigered`: the comparison always says the same"),
        ] {
            assert_eq!(warnings(expression), [warned], "{expression}");
        }
    }

    #[test]
    fn what_a_file_hides_or_never_reaches_is_told() {
        let load = |text: &str| match RuleSet::load(
            &RuleSource { files: [("a.rhai".to_owned(), text.to_owned())].into() },
            &Limits::default(),
        ) {
            Ok((_, found)) => found.into_iter().map(|one| (one.line, one.column, one.message)).collect::<Vec<_>>(),
            Err(found) => panic!("{found:?}"),
        };
        let found = load("fn twice(x) { x + x }\nfn contains(a, b) { true }\nfn min(x) { x }");
        assert!(matches!(&found[..], [(2, 1, message)] if message.contains("the language's own `contains`")), "{found:?}");
        let rule = "notification(#{ name: \"a\", channels: [slack(\"#a\")] });";
        let found = load(&format!("{rule}\nif false {{ return; }}\nreturn;\n{}", rule.replace("\"a\"", "\"b\"")));
        assert!(matches!(&found[..], [(3, 1, message)] if message.contains("never run")), "{found:?}");
        assert_eq!(load(&format!("{rule}\nreturn;")), [], "nothing stands below it");
    }

    #[test]
    fn what_is_right_is_left_alone() {
        for expression in [
            "incident.severity == \"high\" && context.event != \"reminder\"",
            "num(incident.labels.replicas ?? 0) > 5",
            "(incident.labels.replicas ?? 0) > 5",
            "incident.metadata.threshold > 5.5 && incident.metadata.tier == \"gold\"",
            "incident.metadata.anything > 3 && incident.labels.len() > 3",
            "#{ severity: \"x\" }.severity == \"y\" && [1].len > 0",
            "incident.severity in [\"high\", \"low\"] && [\"production\"].contains(incident.environment)",
            "incident.labels.region in [\"eu\"] && incident.title.contains(\"x\") && 5 in [1, 2]",
            "context.recent_deployment(30) || context.attempts() > 1",
            "incident.triggered_at.hour > 3 && incident.timeline[0].event == \"note\"",
            "incident.correlation?.kind == \"cascade\"",
        ] {
            assert_eq!(warnings(expression), [""; 0], "{expression}");
        }
    }
}
