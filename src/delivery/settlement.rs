//! What is written when a target of an action is done with: receipts, what could not be delivered, what is remembered.

use crate::codec::Posted;
use crate::delivery::Record;
use crate::delivery::book::Write;
use crate::delivery::channel::{self, Target};
use crate::delivery::lane::{End, Outcome};
use crate::model::{IncidentId, Time};
use serde_json::{Value, json};
use std::sync::Arc;

/// Characters of an error and of a target's name: receipts stand in the incident.
const ERROR_MOST: usize = 500;
const TARGET_MOST: usize = 200;

/// In this order: what people wait for, and at the end that it was done.
#[derive(Clone, Debug)]
pub struct Settlement {
    pub record: Arc<Record>,
    /// For `commands`.
    pub commands: Vec<Command>,
    /// Why the action's record goes to `dead-letters` too.
    pub dead_letter: Option<String>,
    /// For `incidentd-delivery`: the thread that it opened, first of all.
    pub thread: Option<Write>,
    /// And last, that it was sent.
    pub sent: Write,
}

/// A record of `commands`, at home with its incident.
#[derive(Clone, Debug, PartialEq)]
pub struct Command {
    pub incident: IncidentId,
    pub value: Value,
}

/// What became of one target; a digest's for each of its incidents.
pub fn receipts(posted: &Posted, incidents: &[IncidentId], target: &Target, label: &str, end: &End, now: Time) -> Vec<Command> {
    let one = |incident: &IncidentId| {
        let mut value = json!({
            "command": "delivery_receipt",
            "incident_id": incident,
            "action_id": posted.id,
            "channel": target.channel,
            "target": cut(label, TARGET_MOST),
            "delivered": end.outcome == Outcome::Delivered,
            "attempts": end.attempts,
            "sent_at": now,
        });
        if end.outcome != Outcome::Delivered {
            value["error"] = json!(cut(&end.why, ERROR_MOST));
        }
        Command { incident: *incident, value }
    };
    incidents.iter().map(one).collect()
}

/// What the executor said of a remediation, or that it could not be reached.
pub fn result(posted: &Posted, outcome: channel::Outcome, error: Option<&str>) -> Command {
    let mut value = json!({
        "command": "remediation_result",
        "incident_id": posted.incident_id,
        "action_id": posted.id,
        "outcome": outcome,
    });
    if let Some(error) = error {
        value["error"] = json!(cut(error, ERROR_MOST));
    }
    Command { incident: posted.incident_id, value }
}

/// The service under which incidentd tells of its own troubles.
pub const OWN_SERVICE: &str = "incidentd";

/// An alert of our own: something did not reach anybody, or is refused again and again. One incident for each `what`, in which more of
/// the same merges.
pub fn own_alert(what: &str, title: &str, severity: &str, description: &str, now: Time) -> Value {
    json!({
        "service_id": OWN_SERVICE,
        "title": title,
        "description": cut(description, ERROR_MOST),
        "severity": severity,
        "category": "delivery",
        "dedup_key": format!("{OWN_SERVICE}/{what}"),
        "timestamp": now,
    })
}

/// The first `most` characters.
pub fn cut(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{AlertRecord, Item, PostedKind, Settings, read_alerts, read_command};
    use crate::model::{ActionId, Origin, RuleEvent, Severity, Topic};

    fn posted() -> Posted {
        Posted {
            id: ActionId("act_1".to_owned()),
            incident_id: IncidentId { partition: 3, hash: 1 },
            rule: "r".to_owned(),
            event: RuleEvent::Triggered,
            created_at: Time(0),
            service_id: "chat".to_owned(),
            severity: Severity::High,
            what: PostedKind::Escalation { targets: vec![] },
        }
    }

    /// The engine reads what is written here.
    #[test]
    fn commands_and_alerts_are_understood() {
        let target = Target { channel: "slack".to_owned(), config: serde_json::Map::new() };
        let end = End { outcome: Outcome::Exhausted, attempts: 3, why: "é".repeat(2_000) };
        let digest = [IncidentId { partition: 3, hash: 1 }, IncidentId { partition: 4, hash: 2 }];
        let mut commands = receipts(&posted(), &digest, &target, &"#".repeat(9_000), &end, Time(1));
        commands.push(result(&posted(), channel::Outcome::Failed, Some("no\nroute")));
        commands.push(result(&posted(), channel::Outcome::Started, None));
        assert_eq!((commands.len(), commands[1].incident), (4, digest[1]));
        for command in commands {
            let read = read_command(Some(command.value.to_string().as_bytes()), Time(2), &Settings::default());
            assert!(read.is_ok(), "{read:?}");
        }
        let alert = own_alert("undeliverable", "Pages cannot be delivered", "high", "why", Time(1)).to_string();
        let origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };
        let record = AlertRecord { origin, time: Time(0), value: Some(alert.as_bytes()), form: None };
        read_alerts(&record, &Settings::default(), &mut |item| assert!(matches!(item, Item::Alert { .. })));
    }
}
