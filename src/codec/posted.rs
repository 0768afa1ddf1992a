//! An action read back from its topic, as far as delivery goes by it (SPEC 3.5), and the story of an incident, as far as a thread is
//! told it. What stands there beside is passed on as it came.

use crate::codec::incident::WireEntry;
use crate::model::{ActionId, Channel, IncidentId, Person, RuleEvent, Severity, Status, Time, TimelineEntry};
use serde::Deserialize;
use serde::de::IgnoredAny;
use serde_json::value::RawValue;

/// A record of `notifications`, `escalations` or `remediations`.
#[derive(Clone, PartialEq, Debug)]
pub struct Posted {
    pub id: ActionId,
    pub incident_id: IncidentId,
    pub rule: String,
    pub event: RuleEvent,
    pub created_at: Time,
    /// Of the snapshot.
    pub service_id: String,
    pub severity: Severity,
    pub what: PostedKind,
}

#[derive(Clone, PartialEq, Debug)]
pub enum PostedKind {
    /// `incident_ids`: a digest's, empty otherwise. `alone`: about its incident, neither a digest nor a limit's notice.
    Notification {
        channel: Channel,
        incident_ids: Vec<IncidentId>,
        alone: bool,
    },
    Escalation {
        targets: Vec<Person>,
    },
    Remediation {
        verify_until: Time,
    },
}

#[derive(Deserialize)]
struct Wire {
    id: ActionId,
    kind: String,
    incident_id: IncidentId,
    #[serde(default)]
    rule: String,
    event: RuleEvent,
    created_at: Time,
    incident: Snapshot,
    channel: Option<Channel>,
    #[serde(default)]
    incident_ids: Vec<IncidentId>,
    notice: Option<IgnoredAny>,
    targets: Option<Vec<Person>>,
    verify_until: Option<Time>,
}

#[derive(Deserialize)]
struct Snapshot {
    service_id: String,
    severity: Severity,
}

/// Reads the value of an action's record, or says what is wrong with it.
pub fn read_posted(value: Option<&[u8]>) -> Result<Posted, String> {
    let value = value.ok_or("an action is expected, found a tombstone")?;
    let wire: Wire = serde_json::from_slice(value).map_err(|error| format!("not an action: {error}"))?;
    let missing = |field: &str| format!("not an action: {field}: missing in a {}", wire.kind);
    let what = match wire.kind.as_str() {
        "notification" => {
            let alone = wire.incident_ids.is_empty() && wire.notice.is_none();
            let channel = wire.channel.ok_or_else(|| missing("channel"))?;
            PostedKind::Notification { channel, incident_ids: wire.incident_ids, alone }
        }
        "escalation" => PostedKind::Escalation { targets: wire.targets.ok_or_else(|| missing("targets"))? },
        "remediation" => PostedKind::Remediation { verify_until: wire.verify_until.ok_or_else(|| missing("verify_until"))? },
        other => {
            return Err(format!("not an action: kind: expected notification, escalation or remediation, found {other:?}"));
        }
    };
    Ok(Posted {
        id: wire.id,
        incident_id: wire.incident_id,
        rule: wire.rule,
        event: wire.event,
        created_at: wire.created_at,
        service_id: wire.incident.service_id,
        severity: wire.incident.severity,
        what,
    })
}

/// What has happened to an incident.
#[derive(Clone, PartialEq, Debug)]
pub struct Story {
    pub id: IncidentId,
    pub service_id: String,
    pub status: Status,
    /// The timeline did not fit into the record.
    pub truncated: bool,
    pub timeline: Vec<TimelineEntry>,
}

#[derive(Deserialize)]
struct WireStory<'a> {
    id: IncidentId,
    service_id: String,
    status: Status,
    #[serde(default)]
    truncated: bool,
    #[serde(borrow, default)]
    timeline: Vec<WireEntry<'a>>,
}

/// Reads the value of a record of `incidents`.
pub fn read_story(value: &[u8]) -> Result<Story, String> {
    let wire: WireStory<'_> = serde_json::from_slice(value).map_err(|error| format!("not an incident: {error}"))?;
    let timeline = wire.timeline.into_iter().map(WireEntry::read).collect();
    Ok(Story { id: wire.id, service_id: wire.service_id, status: wire.status, truncated: wire.truncated, timeline })
}

/// The snapshot in an action's record, as it stands there.
pub fn snapshot(value: &[u8]) -> Option<&[u8]> {
    #[derive(Deserialize)]
    struct Holder<'a> {
        #[serde(borrow)]
        incident: &'a RawValue,
    }
    serde_json::from_slice::<Holder<'_>>(value).ok().map(|holder| holder.incident.get().as_bytes())
}

/// A timeline's entry as an incident's record has it.
pub fn timeline_entry(entry: &TimelineEntry) -> serde_json::Value {
    serde_json::to_value(WireEntry::from(entry)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{Settings, write_output};
    use crate::model::{Action, ActionKind, Metadata, Output, TargetKind, TimelineEvent};
    use serde_json::json;
    use std::sync::Arc;

    fn written(kind: ActionKind) -> (Action, Vec<u8>) {
        let mut incident = crate::model::incident::tests::incident();
        incident.note(Time(5), TimelineEvent::Acknowledged, Some("ann"), json!({ "note": "on it" }));
        let action = Action {
            id: ActionId::derive(incident.id, kind.name(), "r", "triggered:0", 0),
            rule: "r".to_owned(),
            event: RuleEvent::Reminder,
            created_at: Time(7),
            incident: Arc::new(incident),
            kind,
        };
        let value = write_output(&Output::Action(action.clone()), &Settings::default()).unwrap().value.unwrap();
        (action, value)
    }

    #[test]
    fn what_is_written_is_read_back() {
        let channel = Channel { kind: "slack".to_owned(), config: Metadata::default() };
        let person =
            Person { kind: TargetKind::User, id: "ann".to_owned(), email: Some("a@x.org".to_owned()), phone: None, slack: None };
        for (kind, what) in [
            (
                ActionKind::Notification { channel: channel.clone() },
                PostedKind::Notification { channel: channel.clone(), incident_ids: vec![], alone: true },
            ),
            (
                ActionKind::Escalation { policy: "p".to_owned(), level: 1, repeat: 0, targets: vec![person.clone()] },
                PostedKind::Escalation { targets: vec![person] },
            ),
            (
                ActionKind::Remediation { actions: vec![], attempt: 1, verify_until: Time(9), approval: None },
                PostedKind::Remediation { verify_until: Time(9) },
            ),
        ] {
            let (action, value) = written(kind);
            let read = read_posted(Some(&value)).unwrap();
            assert_eq!((&read.id, read.incident_id, read.event), (&action.id, action.incident.id, RuleEvent::Reminder));
            assert_eq!((read.service_id.as_str(), read.created_at), ("s", Time(7)));
            assert_eq!(read.what, what);
            let story = read_story(snapshot(&value).unwrap()).unwrap();
            assert_eq!(story.timeline, action.incident.timeline);
            assert_eq!(timeline_entry(&story.timeline[0])["user"], "ann");
        }
    }

    #[test]
    fn what_is_no_action_is_refused_by_field() {
        let (_, value) = written(ActionKind::Remediation { actions: vec![], attempt: 1, verify_until: Time(9), approval: None });
        let mut action: serde_json::Value = serde_json::from_slice(&value).unwrap();
        assert!(read_posted(None).unwrap_err().contains("tombstone"));
        assert!(read_posted(Some(b"{")).unwrap_err().starts_with("not an action"));
        action["kind"] = json!("escalation");
        assert_eq!(
            read_posted(Some(action.to_string().as_bytes())).unwrap_err(),
            "not an action: targets: missing in a escalation"
        );
        action["kind"] = json!("poem");
        assert!(read_posted(Some(action.to_string().as_bytes())).unwrap_err().contains("\"poem\""));
        action["incident_id"] = json!("inc_1");
        assert!(read_posted(Some(action.to_string().as_bytes())).unwrap_err().contains("incident id"));
    }
}
