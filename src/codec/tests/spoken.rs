//! The other records that we write: escalations, remediations, digests, silences, replies.

use super::written::{bare, check, parsed, written};
use super::*;
use crate::codec::{OutRecord, Reply, reply};
use crate::model::{
    Action, ActionId, ActionKind, Channel, DigestEntry, Incident, Matcher, Metadata, Output, Person, Remedy, RuleEvent, Silence,
    TargetKind, TimelineEvent,
};
use serde_json::json;
use std::sync::Arc;

pub use super::written::object;

pub fn incident() -> Incident {
    Incident { metadata: object(json!({"threshold": 5})), ..bare() }
}

pub fn channel() -> Channel {
    Channel { kind: "slack".to_owned(), config: object(json!({"channel": "#ops"})) }
}

fn said(kind: ActionKind) -> OutRecord {
    written(&Output::Action(Action {
        id: ActionId::derive(bare().id, kind.name(), "r", "triggered:0", 0),
        rule: "r".to_owned(),
        event: RuleEvent::Triggered,
        created_at: time(RECORD_TIME),
        incident: Arc::new(incident()),
        kind,
    }))
}

/// Within its schema, keyed by service.
fn action(kind: ActionKind, topic: Topic, schema: &str) -> Value {
    let record = said(kind);
    assert_eq!((record.topic, record.partition, record.key.as_deref()), (topic, None, Some(&b"llm"[..])));
    let json = parsed(&record);
    check(schema, &json);
    assert_eq!((&json["incident_id"], &json["created_at"]), (&json["incident"]["id"], &json!(RECORD_TIME)));
    json
}

#[test]
fn an_escalation_names_its_people_and_leaves_out_what_it_does_not_know() {
    let person = |id: &str, email: Option<&str>| Person {
        kind: TargetKind::User,
        id: id.to_owned(),
        email: email.map(str::to_owned),
        phone: None,
        slack: None,
    };
    let channel = Person { kind: TargetKind::SlackChannel, slack: Some("#ops".to_owned()), ..person("#ops", None) };
    let kind = ActionKind::Escalation {
        policy: "llm".to_owned(),
        level: 1,
        repeat: 2,
        targets: vec![person("alice", Some("a@example.org")), channel],
    };
    let json = action(kind, Topic::Escalations, "escalation");
    assert_eq!(
        (&json["kind"], &json["policy"], &json["level"], &json["repeat"]),
        (&json!("escalation"), &json!("llm"), &json!(1), &json!(2))
    );
    let people = json!([{"type": "user", "id": "alice", "email": "a@example.org"}, {"type": "slack_channel", "id": "#ops", "slack": "#ops"}]);
    assert_eq!(json["targets"], people);
}

#[test]
fn a_remediation_lists_its_actions_with_their_parameters() {
    let remedy = |kind: &str, parameters: Value| Remedy {
        kind: kind.to_owned(),
        target: "llm".to_owned(),
        parameters: object(parameters),
    };
    let kind = |approval: Option<&str>| ActionKind::Remediation {
        actions: vec![remedy("scale_up", json!({"replicas": 3})), remedy("restart", json!({}))],
        attempt: 2,
        verify_until: time(RECORD_TIME),
        approval: approval.map(str::to_owned),
    };
    let json = action(kind(Some("alice")), Topic::Remediations, "remediation");
    assert_eq!(
        json["actions"],
        json!([{"type": "scale_up", "target": "llm", "replicas": 3}, {"type": "restart", "target": "llm"}])
    );
    assert_eq!((&json["attempt"], &json["verify_until"], &json["approval"]), (&json!(2), &json!(RECORD_TIME), &json!("alice")));
    assert_eq!(action(kind(None), Topic::Remediations, "remediation").get("approval"), None);
}

#[test]
fn a_digest_is_a_notification_about_several() {
    let entry = |n: u64| DigestEntry {
        id: crate::model::IncidentId { partition: 0, hash: n },
        title: format!("t{n}"),
        severity: Severity::High,
        status: crate::model::Status::Triggered,
        service_id: "llm".to_owned(),
        occurrence_count: n + 1,
    };
    let kind =
        |count: u64, more: u64| ActionKind::Digest { channel: channel(), incidents: (0..count).map(entry).collect(), more };
    let json = action(kind(2, 0), Topic::Notifications, "notification");
    assert_eq!(json["incident_ids"], json!(["inc_00000000000000000000", "inc_00000000000000000001"]));
    assert_eq!(json["incidents"][1]["title"], "t1");
    assert_eq!((&json["kind"], json.get("more")), (&json!("notification"), None));
    assert_eq!(action(kind(500, 7), Topic::Notifications, "notification")["more"], 7);
}

#[test]
fn a_silence_is_keyed_by_its_id_and_goes_as_a_tombstone() {
    let matcher = Matcher { name: "service_id".to_owned(), value: "llm-.*".to_owned(), is_regex: true, is_equal: false };
    let silence = Silence {
        id: "s/1".to_owned(),
        matchers: vec![matcher],
        starts_at: Time(0),
        ends_at: time(RECORD_TIME),
        created_by: None,
        comment: None,
        updated_at: Time(0),
    };
    let record = written(&Output::Silence(silence.clone()));
    assert_eq!((record.topic, record.partition, record.key.as_deref()), (Topic::Silences, None, Some(&b"s/1"[..])));
    let expected = json!({
        "id": "s/1",
        "matchers": [{"name": "service_id", "value": "llm-.*", "isRegex": true, "isEqual": false}],
        "starts_at": "1970-01-01T00:00:00.000Z",
        "ends_at": RECORD_TIME,
        "updated_at": "1970-01-01T00:00:00.000Z",
    });
    assert_eq!(parsed(&record), expected);
    check("silence", &expected);
    let whole = Silence { created_by: Some("alice".to_owned()), comment: Some("c".to_owned()), ..silence };
    check("silence", &parsed(&written(&Output::Silence(whole))));
    let gone = written(&Output::SilenceGone("s/1".to_owned()));
    assert_eq!((gone.topic, gone.key.as_deref(), gone.value), (Topic::Silences, Some(&b"s/1"[..]), None));
}

#[test]
fn a_reply_stands_under_its_request_at_the_partition_that_waits() {
    let settings = Settings::default();
    let incident = incident();
    let done = Reply { status: 201, outcome: "created", incident: Some(&incident), ..Reply::default() };
    let record = reply(&done, b"r\xff1", 2, &settings);
    assert_eq!((record.topic, record.partition, record.key.as_deref()), (Topic::Replies, Some(2), Some(&b"r\xff1"[..])));
    let json = parsed(&record);
    assert_eq!(
        (&json["status"], &json["outcome"], &json["incident_id"]),
        (&json!(201), &json!("created"), &json["incident"]["id"])
    );
    check("incident", &json["incident"]);
    assert_eq!(json.get("error"), None);
    let refused = Reply {
        status: 409,
        outcome: "refused",
        incident_id: Some(incident.id),
        reason: Some("closed is final"),
        ..Reply::default()
    };
    let expected = json!({
        "status": 409,
        "outcome": "refused",
        "incident_id": incident.id.to_string(),
        "error": {"reason": "closed is final"},
    });
    assert_eq!(parsed(&reply(&refused, b"r", 0, &settings)), expected);

    let mut large = incident.clone();
    large.metadata = Metadata(json!({"blob": "x".repeat(1 << 20)}).as_object().cloned().unwrap_or_default());
    large.note(Time(0), TimelineEvent::Note, None, json!({}));
    let record = reply(&Reply { incident: Some(&large), ..done }, b"r", 0, &settings);
    assert!(record.value.as_ref().is_some_and(|value| value.len() <= 900 << 10));
    assert_eq!(parsed(&record)["incident"]["truncated"], true);
}
