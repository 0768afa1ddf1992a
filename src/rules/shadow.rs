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
        if let Some(taker) = takers.iter().find(|taker| covers(&taker.matcher, &ready.matcher)) {
            let (name, other) = (ready.rule.name(), taker.rule.name());
            let message = format!("rule `{name}` never acts: `{other}` goes before it and takes all that it matches");
            let help = format!(
                "the other is at {}:{}:{}; give this one a higher `priority`, or narrow the other's `where`",
                taker.file, taker.place.line, taker.place.column
            );
            found.push(Diagnostic::warning(&ready.file, ready.place, message, Some(help)));
        }
        if ready.rule.takes_all() && ready.body.when.is_none() && matches!(ready.body.made, Made::Fixed(_)) {
            takers.push(ready);
        }
    }
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

/// Does the one match whatever the other matches? False where it cannot be told.
fn covers(wide: &Where, narrow: &Where) -> bool {
    wide.fields.iter().all(|(field, patterns)| {
        let narrow = narrow.patterns(field);
        let of_words = |words: &[&str]| {
            let admitted = words.iter().filter(|word| narrow.is_none_or(|narrow| narrow.iter().any(|one| one.fits(word))));
            admitted.clone().all(|word| patterns.iter().any(|one| one.fits(word)))
        };
        match (field, narrow) {
            (Field::Severity, _) => of_words(&Severity::ALL.map(|severity| severity.name())),
            (Field::Environment, _) => of_words(&Environment::ALL.map(|environment| environment.name())),
            (_, Some(narrow)) => narrow.iter().all(|narrow| patterns.iter().any(|wide| includes(wide, narrow))),
            // A label may be missing.
            (Field::Label(_), None) => false,
            (_, None) => patterns.iter().any(|wide| wide.0 == "*"),
        }
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
            assert_eq!(covers(&wide, &narrow), covered, "{wide:?} {narrow:?}");
        }
    }
}
