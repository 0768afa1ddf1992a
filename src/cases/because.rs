//! The decision that made the difference, and the line of the rule that made the decision.

use crate::cases::expectation::Kind;
use crate::cases::judge::Judge;
use crate::cases::report::{Because, Code};
use crate::explain;
use crate::model::{RuleEvent, Verdict, Why};
use crate::rules::{RuleSet, RuleSource};

/// Verdicts that are shown.
const SHOWN: usize = 5;

/// Why the rule (`None`: any of the kind) did what it did. `acted`: those that acted are of interest too.
pub fn because(judge: &Judge<'_>, kind: Kind, rule: Option<&str>, acted: bool) -> Vec<Because> {
    let of_interest = |verdict: &Verdict| acted || verdict.why != Why::Acted;
    let mut found: Vec<(RuleEvent, &Verdict)> = match rule {
        Some(rule) => judge.verdicts(kind, rule).filter(|(_, verdict)| of_interest(verdict)).collect(),
        None => judge.decided().filter(|(_, verdict)| verdict.kind == kind.rule_kind() && of_interest(verdict)).collect(),
    };
    let more = found.len().saturating_sub(SHOWN);
    found.truncate(SHOWN);
    let (rules, texts) = (&**judge.running.rules, judge.running.texts);
    let mut said: Vec<Because> = found
        .into_iter()
        .map(|(event, verdict)| {
            let why = match verdict.why {
                Why::Acted => "acted".to_owned(),
                why => explain::why(why.name(), verdict.detail.as_deref()),
            };
            let subject = if verdict.rule.is_empty() { String::new() } else { format!(" `{}`", verdict.rule) };
            let text = format!("on {event}: {}{subject} {why}", verdict.kind);
            Because { text, code: point(rules, texts, kind, &verdict.rule, word(verdict)) }
        })
        .collect();
    if more > 0 {
        said.push(Because { text: format!("… and {more} more"), code: None });
    }
    if said.is_empty() {
        said.extend(silent(judge, kind, rule));
    }
    said
}

/// No decision names the rule: why it was no candidate.
fn silent(judge: &Judge<'_>, kind: Kind, rule: Option<&str>) -> Option<Because> {
    let rules = &**judge.running.rules;
    let misses = rule.map(|rule| judge.misses(kind, rule)).unwrap_or_default();
    if let (Some(rule), Some(first)) = (rule, misses.first()) {
        let text = format!("{} `{rule}` is not for it: {}", kind.rule_kind(), misses.join("; "));
        let field = first.split(' ').next().unwrap_or_default().to_owned();
        return Some(Because { text, code: point(rules, judge.running.texts, kind, rule, Some(field)) });
    }
    if judge.decided().next().is_none() {
        let outcomes: Vec<String> =
            judge.came.outcomes.iter().map(|(outcome, count)| format!("{count} {}", outcome.name())).collect();
        let alerts = if outcomes.is_empty() { String::new() } else { format!(" (alerts: {})", outcomes.join(", ")) };
        return Some(Because { text: format!("these steps led to no event that rules are asked about{alerts}"), code: None });
    }
    let rule = rule?;
    let listens = rules.notifications().iter().find(|other| kind == Kind::Notified && other.name == rule)?;
    let names = |events: &mut dyn Iterator<Item = RuleEvent>| {
        let mut names: Vec<&str> = events.map(RuleEvent::name).collect();
        names.dedup();
        explain::listed(&names)
    };
    let on = names(&mut RuleEvent::LISTENABLE.into_iter().filter(|event| listens.on.has(*event)));
    let mut happened: Vec<RuleEvent> = judge.decided().map(|(event, _)| event).collect();
    happened.sort();
    let happened = names(&mut happened.into_iter());
    let text = format!("notification `{rule}` listens to {on}, and what happened was {happened}");
    Some(Because { text, code: point(rules, judge.running.texts, kind, rule, Some("on".to_owned())) })
}

/// The key of the rule that decided.
fn word(verdict: &Verdict) -> Option<String> {
    let key = match verdict.why {
        // «severity is medium, the rule wants critical»
        Why::Where => return verdict.detail.as_ref().and_then(|detail| detail.split(' ').next()).map(str::to_owned),
        Why::When => "when",
        Why::Disabled => "enabled",
        Why::RateLimited => "rate_limit",
        Why::Digested => "digest",
        Why::AfterOccurrences => "after_occurrences",
        Why::NoChannels => "channels",
        Why::Conditions => "conditions",
        Why::Cooldown => "cooldown_minutes",
        Why::AttemptsExhausted => "max_auto_attempts",
        Why::Budget => "budget",
        Why::NotApproved => "approval",
        Why::Nobody => "levels",
        _ => return None,
    };
    Some(key.to_owned())
}

/// `file:line:column` and the text of the rule's line that says so; its declaration where there is no such key.
fn point(rules: &RuleSet, texts: &RuleSource, kind: Kind, rule: &str, word: Option<String>) -> Option<Code> {
    let at = kind.names(rules).iter().position(|name| *name == rule)?;
    let place = match kind {
        Kind::Notified => rules.place(at),
        Kind::Escalated => rules.escalation_place(at),
        Kind::Remediated => rules.remediation_place(at),
    };
    let mut parts = place.rsplitn(3, ':');
    let (_, line, file) = (parts.next()?, parts.next()?.parse::<usize>().ok()?, parts.next()?);
    let text = texts.files.get(file)?;
    let code =
        |number: usize, line: &str, column: usize| Code { file: file.to_owned(), line: number, column, text: line.to_owned() };
    let lines: Vec<(usize, &str)> = (1..).zip(text.lines()).skip(line.saturating_sub(1)).collect();
    let declares =
        |line: &str| ["notification(", "escalation(", "remediation("].iter().any(|word| line.trim_start().starts_with(word));
    let body: Vec<(usize, &str)> =
        lines.iter().enumerate().take_while(|(n, (_, line))| *n == 0 || !declares(line)).map(|(_, line)| *line).collect();
    let word = word.map(|word| word.rsplit('.').next().unwrap_or_default().to_owned());
    let found = word.and_then(|word| body.iter().find_map(|(number, line)| Some(code(*number, line, key_in(line, &word)?))));
    found.or_else(|| lines.first().map(|(number, line)| code(*number, line, 1)))
}

/// The column, from 1 and in characters, of a map's key in a line that is no comment.
fn key_in(line: &str, word: &str) -> Option<usize> {
    let code = line.split("//").next().unwrap_or_default();
    code.match_indices(word).find_map(|(at, _)| {
        let before = code[..at].trim_end_matches('"').chars().next_back();
        let after = code[at + word.len()..].trim_start_matches('"').trim_start();
        let whole = before.is_none_or(|c| !c.is_alphanumeric() && c != '_') && after.starts_with(':');
        whole.then(|| code[..at].chars().count() + 1)
    })
}
