//! Finds rules that never act: because one before them takes all that they match, or because nothing raises their events.

use crate::model::{Environment, EventSet, RuleEvent, Severity};
use crate::rules::closure::{Made, Ready};
use crate::rules::diagnostic::{Diagnostic, listed};
use crate::rules::kind::Kind;
use crate::rules::load::Rules;
use crate::rules::matcher::{Field, Pattern, Where};

/// Pairs of rules that are looked at; a set with more is not searched to the end.
const MOST_PAIRS: usize = 1_000_000;

/// `rules` in their order.
pub(super) fn check<R: Kind>(rules: &[Ready<R>], found: &mut Vec<Diagnostic>) {
    let mut takers: Vec<&Ready<R>> = Vec::new();
    let mut pairs = 0;
    for ready in rules.iter().filter(|ready| ready.rule.enabled()) {
        pairs += takers.len();
        if pairs > MOST_PAIRS {
            return;
        }
        if let Some(before) = taken_by(&ready.matcher, &takers) {
            let names: Vec<String> = before.iter().map(|taker| format!("`{}`", taker.rule.name())).collect();
            let names = listed(&names.iter().map(String::as_str).collect::<Vec<_>>(), "and");
            let places = before.iter().map(|taker| format!("{}:{}:{}", taker.file, taker.place.line, taker.place.column));
            let places = places.collect::<Vec<_>>().join(", ");
            let (name, one) = (ready.rule.name(), before.len() == 1);
            let (go, other) =
                if one { ("goes before it and takes", "the other is") } else { ("go before it and take", "the others are") };
            let message = format!("rule `{name}` never acts: {names} {go} all that it matches");
            let help = format!("{other} at {places}; give this one a higher `priority`, or narrow what goes before it");
            found.push(Diagnostic::warning(&ready.file, ready.place, message, Some(help)));
        }
        if ready.rule.takes_all() && ready.body.when.is_none() && matches!(ready.body.made, Made::Fixed(_)) {
            takers.push(ready);
        }
    }
}

/// Those of the rules before it that leave it nothing: one alone, or several with a severity or environment each.
fn taken_by<'a, R: Kind>(matcher: &Where, takers: &[&'a Ready<R>]) -> Option<Vec<&'a Ready<R>>> {
    let mut left = cells(matcher);
    let mut by = Vec::new();
    for taker in takers.iter().filter(|taker| covers_the_rest(&taker.matcher, matcher)) {
        let takes = cells(&taker.matcher);
        if takes & cells(matcher) == cells(matcher) {
            return Some(vec![taker]);
        }
        if takes & left != 0 {
            by.push(*taker);
            left &= !takes;
        }
    }
    (left == 0 && !by.is_empty()).then_some(by)
}

/// A bit for each severity in each environment that it admits.
fn cells(matcher: &Where) -> u32 {
    let mut cells = 0;
    for (row, severity) in Severity::ALL.iter().enumerate() {
        for (column, environment) in Environment::ALL.iter().enumerate() {
            let admits =
                matcher.admits(&Field::Severity, severity.name()) && matcher.admits(&Field::Environment, environment.name());
            cells |= u32::from(admits) << (row * Environment::ALL.len() + column);
        }
    }
    cells
}

/// Notification rules that listen only to what no rule of the set can bring about.
pub(super) fn check_events(rules: &Rules, found: &mut Vec<Diagnostic>) {
    let policies = || rules.escalations.iter().map(|ready| &ready.rule).filter(|rule| rule.enabled);
    let remediations = || rules.remediations.iter().map(|ready| &ready.rule).filter(|rule| rule.enabled);
    let never: EventSet = [
        (RuleEvent::Escalated, policies().next().is_none()),
        (RuleEvent::Unacknowledged, !policies().any(|rule| rule.ack_timeout_minutes.is_some())),
        (RuleEvent::RemediationFailed, remediations().next().is_none()),
        (RuleEvent::ApprovalRequired, !remediations().any(|rule| rule.approval_required)),
    ]
    .into_iter()
    .filter_map(|(event, never)| never.then_some(event))
    .collect();
    for ready in rules.notifications.iter().filter(|ready| ready.rule.enabled) {
        let on = ready.rule.on;
        let heard: Vec<&str> = RuleEvent::LISTENABLE.into_iter().filter(|event| on.has(*event)).map(RuleEvent::name).collect();
        if !on.is_empty() && never.union(on) == never {
            let message = format!("rule `{}` never acts: nothing here raises {}", ready.rule.name, listed(&heard, "or"));
            let help = "policies raise `escalated` and, with `ack_timeout_minutes`, `unacknowledged`; remediations \
                        `remediation_failed` and, with `approval`, `approval_required`";
            found.push(Diagnostic::warning(&ready.file, ready.place, message, Some(help.to_owned())));
        }
    }
}

/// Severity and environment apart: does the one match whatever the other matches? False where it cannot be told.
fn covers_the_rest(wide: &Where, narrow: &Where) -> bool {
    wide.fields.iter().all(|(field, patterns)| match (field, narrow.patterns(field)) {
        (Field::Severity | Field::Environment, _) => true,
        (_, Some(narrow)) => narrow.iter().all(|narrow| patterns.iter().any(|wide| includes(wide, narrow))),
        // A label may be missing.
        (Field::Label(_), None) => false,
        (_, None) => patterns.iter().any(|wide| wide.0 == "*"),
    })
}

fn includes(wide: &Pattern, narrow: &Pattern) -> bool {
    if narrow.is_exact() || wide == narrow {
        return wide.fits(&narrow.0);
    }
    // `llm-*` includes `llm-chat-*`.
    wide.0.strip_suffix('*').is_some_and(|prefix| !prefix.contains('*') && narrow.prefix().starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(fields: &[(Field, &[&str])]) -> Where {
        let patterns = |words: &[&str]| words.iter().map(|word| Pattern((*word).to_owned())).collect();
        Where { fields: fields.iter().map(|(field, words)| (field.clone(), patterns(words))).collect() }
    }

    #[test]
    fn what_covers_what() {
        let region = || Field::Label("region".to_owned());
        let all = Severity::ALL.map(|severity| severity.name());
        for (wide, narrow, covered) in [
            (matcher(&[]), matcher(&[]), true),
            (matcher(&[]), matcher(&[(Field::Severity, &["critical"])]), true),
            (matcher(&[(Field::Severity, &["critical"])]), matcher(&[]), false),
            (matcher(&[(Field::Severity, &all)]), matcher(&[]), true),
            (matcher(&[(Field::Severity, &["critical", "high"])]), matcher(&[(Field::Severity, &["h*"])]), true),
            (matcher(&[(Field::ServiceId, &["llm-*"])]), matcher(&[(Field::ServiceId, &["llm-chat", "llm-x-*"])]), true),
            (matcher(&[(Field::ServiceId, &["llm-*"])]), matcher(&[(Field::ServiceId, &["llm*"])]), false),
            (matcher(&[(Field::ServiceId, &["*-llm"])]), matcher(&[(Field::ServiceId, &["*-llm"])]), true),
            (matcher(&[(Field::ServiceId, &["*"])]), matcher(&[]), true),
            (matcher(&[(region(), &["*"])]), matcher(&[]), false),
            (matcher(&[(region(), &["*"])]), matcher(&[(region(), &["eu"])]), true),
        ] {
            let covers = covers_the_rest(&wide, &narrow) && cells(&narrow) & !cells(&wide) == 0;
            assert_eq!(covers, covered, "{wide:?} {narrow:?}");
        }
    }
}
