//! An action as JSON: the envelope that all kinds share, and what each adds (SPEC 3.5).

use crate::codec::incident::{Shown, fitting, json, room};
use crate::model::{
    Action, ActionId, ActionKind, Channel, DigestEntry, IncidentId, LimitNotice, Person, Remedy, RuleEvent, TargetKind, Time,
};
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
    /// The last field: [`action`] may write it by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<Shown<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum More<'a> {
    Notification {
        channel: &'a Channel,
    },
    Notice {
        channel: &'a Channel,
        notice: &'a LimitNotice,
    },
    Digest {
        channel: &'a Channel,
        incidents: &'a [DigestEntry],
        incident_ids: Vec<IncidentId>,
        #[serde(skip_serializing_if = "is_zero")]
        more: u64,
    },
    Escalation {
        policy: &'a str,
        level: u32,
        repeat: u32,
        targets: Vec<WirePerson<'a>>,
    },
    Remediation {
        actions: &'a [Remedy],
        attempt: u32,
        verify_until: Time,
        #[serde(skip_serializing_if = "Option::is_none")]
        approval: Option<&'a str>,
    },
}

/// What is not known of a person is left out.
#[derive(Serialize)]
struct WirePerson<'a> {
    #[serde(rename = "type")]
    kind: TargetKind,
    id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    phone: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    slack: Option<&'a str>,
}

impl<'a> From<&'a Person> for WirePerson<'a> {
    fn from(it: &'a Person) -> Self {
        let (email, phone, slack) = (it.email.as_deref(), it.phone.as_deref(), it.slack.as_deref());
        WirePerson { kind: it.kind, id: &it.id, email, phone, slack }
    }
}

fn is_zero(more: &u64) -> bool {
    *more == 0
}

fn more(kind: &ActionKind) -> More<'_> {
    match kind {
        ActionKind::Notification { channel } => More::Notification { channel },
        ActionKind::Notice { channel, notice } => More::Notice { channel, notice },
        ActionKind::Digest { channel, incidents, more } => {
            let incident_ids = incidents.iter().map(|incident| incident.id).collect();
            More::Digest { channel, incidents, incident_ids, more: *more }
        }
        ActionKind::Escalation { policy, level, repeat, targets } => {
            let targets = targets.iter().map(WirePerson::from).collect();
            More::Escalation { policy, level: *level, repeat: *repeat, targets }
        }
        ActionKind::Remediation { actions, attempt, verify_until, approval } => {
            More::Remediation { actions, attempt: *attempt, verify_until: *verify_until, approval: approval.as_deref() }
        }
    }
}

/// The value of an action's record, at most `most` bytes long. `shown`: its incident's JSON, where that was just written.
pub fn action(action: &Action, shown: Option<&[u8]>, most: usize) -> Vec<u8> {
    let wire = |incident| Wire {
        id: &action.id,
        kind: action.kind.name(),
        incident_id: action.incident.id,
        rule: &action.rule,
        event: action.event,
        created_at: action.created_at,
        more: more(&action.kind),
        incident,
    };
    if let Some(shown) = shown {
        const NAME: &[u8] = b",\"incident\":";
        let mut text = json(&wire(None), 512 + shown.len());
        if text.pop() == Some(b'}') && text.len() + NAME.len() + shown.len() < most {
            text.extend_from_slice(NAME);
            text.extend_from_slice(shown);
            text.push(b'}');
            return text;
        }
    }
    let room = 512 + room(&action.incident);
    fitting(most, |extent| json(&wire(Some(Shown(&action.incident, extent))), room))
}
