//! A decision as JSON: why each rule did or did not act (SPEC 3.6).

use crate::codec::incident::json;
use crate::model::{ActionId, Decision, IncidentId, RuleEvent, Time, Verdict};
use serde::Serialize;

#[derive(Serialize)]
struct Wire<'a> {
    incident_id: IncidentId,
    event: RuleEvent,
    at: Time,
    rules_hash: &'a str,
    results: Vec<WireVerdict<'a>>,
    /// Further rules that did not act, past those listed.
    #[serde(skip_serializing_if = "is_zero")]
    more: u32,
}

#[derive(Serialize)]
struct WireVerdict<'a> {
    rule: &'a str,
    kind: &'static str,
    result: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<&'a str>,
    action_ids: &'a [ActionId],
}

fn is_zero(more: &u32) -> bool {
    *more == 0
}

/// The value of a record of `decisions`, at most `most` bytes long: past that only the rules that acted are listed, then
/// without details, then the first of them.
pub fn decision(decision: &Decision, most: usize) -> Vec<u8> {
    let all: Vec<&Verdict> = decision.verdicts.iter().collect();
    let text = write(decision, &all, true);
    if text.len() <= most {
        return text;
    }
    let acted: Vec<&Verdict> = all.into_iter().filter(|verdict| !verdict.actions.is_empty()).collect();
    let mut listed = acted.as_slice();
    let mut text = write(decision, listed, true);
    while text.len() > most {
        text = write(decision, listed, false);
        if text.len() <= most || listed.is_empty() {
            break;
        }
        listed = &listed[..listed.len() / 2];
    }
    text
}

fn write(decision: &Decision, listed: &[&Verdict], details: bool) -> Vec<u8> {
    let unlisted = u32::try_from(decision.verdicts.len() - listed.len()).unwrap_or(u32::MAX);
    let wire = Wire {
        incident_id: decision.incident_id,
        event: decision.event,
        at: decision.at,
        rules_hash: &decision.rules_hash,
        results: listed
            .iter()
            .map(|verdict| WireVerdict {
                rule: &verdict.rule,
                kind: verdict.kind,
                result: verdict.why.name(),
                detail: verdict.detail.as_deref().filter(|_| details),
                action_ids: &verdict.actions,
            })
            .collect(),
        more: decision.more.saturating_add(unlisted),
    };
    json(&wire, 192 + 192 * listed.len())
}
