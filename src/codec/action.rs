//! An action as JSON: the envelope that all kinds share, and what each adds (SPEC 3.5).

use crate::codec::incident::{Shown, fitting, json, room};
use crate::model::{Action, ActionId, ActionKind, Channel, IncidentId, RuleEvent, Time};
use serde::Serialize;

#[derive(Serialize)]
struct Wire<'a> {
    id: &'a ActionId,
    kind: &'static str,
    incident_id: IncidentId,
    rule: &'a str,
    event: RuleEvent,
    created_at: Time,
    #[serde(flatten)]
    more: More<'a>,
    incident: Shown<'a>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum More<'a> {
    Notification { channel: &'a Channel },
}

/// The value of an action's record, at most `most` bytes long.
pub fn action(action: &Action, most: usize) -> Vec<u8> {
    let room = 512 + room(&action.incident);
    fitting(most, |extent| {
        let wire = Wire {
            id: &action.id,
            kind: action.kind.name(),
            incident_id: action.incident.id,
            rule: &action.rule,
            event: action.event,
            created_at: action.created_at,
            more: match &action.kind {
                ActionKind::Notification { channel } => More::Notification { channel },
            },
            incident: Shown(&action.incident, extent),
        };
        json(&wire, room)
    })
}
