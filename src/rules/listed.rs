//! Every rule of a set with its place, for people; and those that no test case touches: nobody has ever seen them act.

use crate::rules::diagnostic::{Diagnostic, Place, put_in_order};
use crate::rules::{RuleSet, RuleSource};

/// A rule as `GET /v1/rules` shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Listed {
    /// `notification`, `escalation` or `remediation`.
    pub kind: &'static str,
    pub name: String,
    pub priority: i64,
    pub enabled: bool,
    pub description: Option<String>,
    pub file: String,
    /// From 1, as the column in characters.
    pub line: usize,
    pub column: usize,
}

impl RuleSet {
    /// Each kind by descending priority, then name.
    pub fn listed(&self) -> Vec<Listed> {
        let mut listed = Vec::new();
        let mut add = |kind, name: &str, priority, enabled, description: &Option<String>, place: &str| {
            let mut parts = place.rsplitn(3, ':');
            let mut number = || parts.next().and_then(|number| number.parse().ok()).unwrap_or_default();
            let (column, line) = (number(), number());
            let file = parts.next().unwrap_or_default().to_owned();
            let (name, description) = (name.to_owned(), description.clone());
            listed.push(Listed { kind, name, priority, enabled, description, file, line, column });
        };
        for (at, rule) in self.notifications().iter().enumerate() {
            add("notification", &rule.name, rule.priority, rule.enabled, &rule.description, self.place(at));
        }
        for (at, rule) in self.escalations().iter().enumerate() {
            add("escalation", &rule.name, rule.priority, rule.enabled, &rule.description, self.escalation_place(at));
        }
        for (at, rule) in self.remediations().iter().enumerate() {
            add("remediation", &rule.name, rule.priority, rule.enabled, &rule.description, self.remediation_place(at));
        }
        listed
    }
}

/// A warning for each enabled rule that `touched` does not know by its kind (`notification`, `escalation`, `remediation`) and
/// name. `source` is what the set was loaded from.
pub fn untouched(rules: &RuleSet, source: &RuleSource, touched: impl Fn(&str, &str) -> bool) -> Vec<Diagnostic> {
    let missed = rules.listed().into_iter().filter(|rule| rule.enabled && !touched(rule.kind, &rule.name));
    let mut found: Vec<Diagnostic> = missed
        .map(|Listed { kind, name, file, line, column, .. }| {
            let message = format!("no test case touches the {kind} rule `{name}`");
            let help =
                "add a case to `tests/` in the rules folder in which it acts, and one in which it just does not".to_owned();
            Diagnostic::warning(&file, Place { line, column }, message, Some(help))
        })
        .collect();
    put_in_order(&mut found, source);
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Limits;

    #[test]
    fn a_rule_that_no_case_touches_is_named_where_it_stands() {
        let rule = |name: &str, more: &str| format!("notification(#{{ name: \"{name}\", {more} channels: [slack(\"#a\")] }});\n");
        let text = [rule("seen", ""), rule("unseen", ""), rule("off", "enabled: false,")].concat()
            + "remediation(#{ name: \"seen\", actions: [restart()] });";
        let source = RuleSource { files: [("a:b.rhai".to_owned(), text)].into() };
        let Ok((rules, _)) = RuleSet::load(&source, &Limits::default()) else { panic!("it does not load") };
        let found = untouched(&rules, &source, |kind, name| (kind, name) == ("notification", "seen"));
        let told: Vec<_> = found.iter().map(|one| (one.file.as_str(), one.line, one.length, one.message.as_str())).collect();
        assert_eq!(
            told,
            [
                ("a:b.rhai", 2, 12, "no test case touches the notification rule `unseen`"),
                ("a:b.rhai", 4, 11, "no test case touches the remediation rule `seen`"),
            ]
        );
        assert!(found.iter().all(|one| !one.error));
    }
}
