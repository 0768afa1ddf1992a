//! What each rule made of an event: acted and told whom, or why it did not.

use crate::explain::recipient::listed;
use crate::explain::timeline::stop;
use crate::explain::{Action, Verdict};
use std::collections::BTreeMap;

/// Marks the actions that it names.
pub fn tell(verdict: &Verdict, event: &str, actions: &mut BTreeMap<String, Action>) -> String {
    let mut who = Vec::new();
    let mut unknown = 0;
    for id in &verdict.action_ids {
        match actions.get_mut(id) {
            Some(action) => {
                action.told = true;
                who.push(action.who.clone());
            }
            None => unknown += 1,
        }
    }
    let known = !who.is_empty();
    if unknown > 0 {
        let more = if who.is_empty() { "" } else { " more" };
        let word = match verdict.kind.as_str() {
            "escalation" => "page",
            "remediation" => "repair",
            _ => "message",
        };
        who.push(format!("{unknown}{more} {word}{}", if unknown == 1 { "" } else { "s" }));
    }
    let said = match verdict.result.as_str() {
        // Where no action was found nobody can be named.
        "acted" if unknown > 0 && !known => {
            let detail = verdict.detail.as_deref().map(|detail| format!(" ({detail})")).unwrap_or_default();
            format!("acted, by {}{detail}", listed(&who))
        }
        "acted" => acted(verdict, &who),
        result => {
            let why = why(result, verdict.detail.as_deref());
            match who.as_slice() {
                [] => why,
                // A stand-in acted, or a notice was sent.
                who => format!("{why}; sent: {}", listed(who)),
            }
        }
    };
    stop(format!("On {event}: {} {said}", subject(&verdict.kind, &verdict.rule)))
}

/// An action that no decision found names.
pub fn untold(action: &Action) -> String {
    let subject = subject(&action.kind, &action.rule);
    match action.kind.as_str() {
        "remediation" => format!("On {}: {subject} started {}.", action.event, action.who),
        _ => format!("On {}: {subject} told {}.", action.event, action.who),
    }
}

fn subject(kind: &str, rule: &str) -> String {
    match (kind, rule) {
        ("default_channels", _) | ("notification", "") => "`rules.default_channels`".to_owned(),
        ("escalation", rule) => format!("policy `{rule}`"),
        (kind, rule) => format!("{kind} `{rule}`"),
    }
}

fn acted(verdict: &Verdict, who: &[String]) -> String {
    let detail = verdict.detail.as_deref();
    let aside = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
    match (verdict.kind.as_str(), who) {
        ("default_channels", []) => format!("stood in, and told nobody{aside}"),
        ("default_channels", who) => format!("stood in and told {}{aside}", listed(who)),
        (_, []) => format!("was chosen{}", detail.map(|detail| format!(": {detail}")).unwrap_or_default()),
        ("remediation", who) => format!("started {}{aside}", listed(who)),
        ("escalation", who) => format!("paged {}{aside}", listed(who)),
        (_, who) => format!("told {}{aside}", listed(who)),
    }
}

/// Why it did not act. `detail`: the field that did not match, the script's error.
pub fn why(result: &str, detail: Option<&str>) -> String {
    let words = match result {
        "where" => "is not for it",
        "when" => "did not act: its `when` said no",
        "disabled" => "is disabled",
        "rate_limited" => "was held back by its rate limit",
        "digested" => "put it into its digest",
        "silenced" => "kept quiet: a silence mutes the incident",
        "suppressed" => "kept quiet: another incident speaks for this one",
        "snoozed" => "kept quiet: the incident is snoozed",
        "held" if detail.is_none() => "waits: the incident's hold, or a repair, comes first",
        "held" => "waits",
        "flapping" => "kept quiet: the incident opens and resolves all the time",
        "attempts_exhausted" => "was not started: all its attempts are used up",
        "cooldown" => "was not started: its last attempt is too fresh (`cooldown_minutes`)",
        "conditions" => "was not started: its conditions do not hold",
        "budget" => "was not started: its budget does not allow it",
        "script_error" => "failed in its script",
        "after_occurrences" => "waits",
        "no_channels" => "told nobody: its `channels` gave none",
        "already_acted" => "had acted already",
        "outranked" => "gave way to another that goes before it",
        "nobody" => "found nobody behind its targets",
        "not_approved" => "was not approved",
        other => return format!("did not act: {other}{}", detail.map(|detail| format!(": {detail}")).unwrap_or_default()),
    };
    match detail {
        Some(detail) if words.contains(": ") => format!("{words} ({detail})"),
        Some(detail) => format!("{words}: {detail}"),
        None => words.to_owned(),
    }
}
