//! What we write: to which topic and partition, and within its schema and size.

use super::*;
use crate::codec::{OutRecord, read_incident, write_output, write_outputs};
use crate::model::{
    Action, ActionId, ActionKind, Channel, Correlation, Decision, Incident, IncidentId, Labels, Metadata, Output, Receipt,
    RuleEvent, Status, TimelineEvent, Verdict, Why,
};
use serde_json::json;
use std::sync::Arc;

pub fn object(value: Value) -> Metadata {
    match value {
        Value::Object(map) => Metadata(map),
        other => panic!("{other} is no object"),
    }
}

/// With nothing optional.
pub fn bare() -> Incident {
    Incident {
        id: IncidentId::derive(5, &ORIGIN),
        fingerprint: joined("x"),
        dedup_key: None,
        title: "t".to_owned(),
        description: String::new(),
        severity: Severity::High,
        category: "uncategorized".to_owned(),
        service_id: "llm".to_owned(),
        environment: Environment::Production,
        status: Status::Triggered,
        triggered_at: time(RECORD_TIME),
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        resolution: None,
        labels: Labels::default(),
        metadata: Metadata::default(),
        parent_incident_id: None,
        related_incident_ids: Vec::new(),
        related_more: 0,
        suppressed: false,
        correlation: None,
        silenced_by: Vec::new(),
        snoozed_until: None,
        notifications: Vec::new(),
        notifications_more: 0,
        escalation_level: 0,
        escalation_policy_id: None,
        assigned_to: None,
        timeline: Vec::new(),
        occurrence_count: 1,
        first_seen_at: time(RECORD_TIME),
        last_seen_at: time(RECORD_TIME),
        version: 1,
        last_alert: ORIGIN,
    }
}

/// With everything.
fn full() -> Incident {
    let (at, ann) = (time("2026-11-23T16:31:00.250Z"), || Some("ann".to_owned()));
    let mut incident = Incident {
        dedup_key: Some("k".to_owned()),
        description: "\"quoted\"\n\0 <b> 😀".to_owned(),
        status: Status::Resolved,
        acknowledged_at: Some(at),
        acknowledged_by: ann(),
        resolved_at: Some(at),
        resolved_by: ann(),
        resolution: Some("rolled back".to_owned()),
        labels: [("region", "eu-1"), ("a", "")].map(|(name, value)| (name.to_owned(), value.to_owned())).into_iter().collect(),
        metadata: object(json!({"threshold": 5, "recent_changes": [{"type": "deployment"}], "none": null})),
        parent_incident_id: Some(IncidentId::derive(1, &ORIGIN)),
        related_incident_ids: vec![IncidentId::derive(2, &ORIGIN)],
        related_more: 0,
        suppressed: true,
        correlation: Some(Correlation { kind: "cascade".to_owned(), confidence: 0.9, reason: "upstream".to_owned() }),
        silenced_by: vec!["sil_1".to_owned()],
        snoozed_until: Some(at),
        notifications: [None, Some("timed out".to_owned())]
            .map(|error| {
                let (channel, target) = ("slack".to_owned(), "#ops".to_owned());
                Receipt { channel, target, sent_at: at, delivered: error.is_none(), error }
            })
            .to_vec(),
        escalation_level: 2,
        escalation_policy_id: Some("llm".to_owned()),
        assigned_to: ann(),
        occurrence_count: u64::from(u32::MAX) + 1,
        version: 9,
        ..bare()
    };
    incident.note(at, TimelineEvent::Triggered, None, json!({}));
    incident.note(at, TimelineEvent::Acknowledged, Some("ann"), json!({"note": "mine"}));
    incident
}

fn action(incident: Incident) -> Action {
    let channel = Channel { kind: "slack".to_owned(), config: object(json!({"channel": "#ops", "token": {"$secret": "S"}})) };
    Action {
        id: ActionId::derive(incident.id, "notification", "r", "triggered:0", 0),
        rule: "r".to_owned(),
        event: RuleEvent::Triggered,
        created_at: time(RECORD_TIME),
        incident: Arc::new(incident),
        kind: ActionKind::Notification { channel },
    }
}

fn decision(verdicts: Vec<Verdict>) -> Decision {
    let (incident_id, at) = (IncidentId::derive(5, &ORIGIN), time(RECORD_TIME));
    Decision { incident_id, event: RuleEvent::Occurrence, at, rules_hash: "ab12".to_owned(), verdicts, more: 0 }
}

fn verdict(why: Why, detail: Option<&str>) -> Verdict {
    let actions = if why == Why::Acted { vec![action(bare()).id] } else { Vec::new() };
    Verdict { kind: "notification", rule: "r".to_owned(), why, detail: detail.map(str::to_owned), actions }
}

pub fn written(output: &Output) -> OutRecord {
    write_output(output, &Settings::default()).expect("a record")
}

pub fn parsed(record: &OutRecord) -> Value {
    serde_json::from_slice(record.value.as_deref().expect("a value")).expect("JSON")
}

pub fn check(name: &str, value: &Value) {
    let validator = validator(name);
    let errors: Vec<_> = validator.iter_errors(value).map(|error| format!("{}: {error}", error.instance_path)).collect();
    assert!(errors.is_empty(), "{name}: {errors:?}\n{value:#}");
}

#[test]
fn an_incident_goes_home_within_its_schema_and_comes_back() {
    for incident in [bare(), full()] {
        let record = written(&Output::Incident(Arc::new(incident.clone())));
        assert_eq!((record.topic, record.partition), (Topic::Incidents, Some(5)));
        assert_eq!(record.key, Some(incident.id.to_string().into_bytes()));
        check("incident", &parsed(&record));
        assert_eq!(read_incident(record.value.as_deref().expect("a value")), Ok(incident));
    }
    let gone = written(&Output::IncidentGone(bare().id));
    assert_eq!((gone.topic, gone.partition, gone.value), (Topic::Incidents, Some(5), None));
}

#[test]
fn an_incident_says_what_it_has_and_leaves_out_what_it_has_not() {
    let json = parsed(&written(&Output::Incident(Arc::new(full()))));
    assert_eq!(json["last_alert"], json!({"topic": "alerts", "partition": 2, "offset": 77}));
    assert_eq!(json["correlation"], json!({"type": "cascade", "confidence": 0.9, "reason": "upstream"}));
    assert_eq!(json["labels"], json!({"a": "", "region": "eu-1"}));
    assert_eq!(json["timeline"][0], json!({"timestamp": "2026-11-23T16:31:00.250Z", "event": "triggered", "user": "system"}));
    assert_eq!(json["timeline"][1]["user"], "ann");
    assert_eq!(json["fingerprint"], joined("x").to_string());
    let bare = parsed(&written(&Output::Incident(Arc::new(bare()))));
    for absent in ["dedup_key", "acknowledged_at", "resolved_by", "correlation", "snoozed_until", "assigned_to", "truncated"] {
        assert_eq!(bare.get(absent), None, "{absent}");
    }
    for there in ["related_incident_ids", "silenced_by", "notifications", "timeline"] {
        assert_eq!(bare[there], json!([]), "{there}");
    }
}

#[test]
fn an_action_carries_its_snapshot_and_is_keyed_by_service() {
    let record = written(&Output::Action(action(full())));
    assert_eq!((record.topic, record.partition), (Topic::Notifications, None));
    assert_eq!(record.key.as_deref(), Some(&b"llm"[..]));
    let json = parsed(&record);
    check("notification", &json);
    assert_eq!(json["channel"], json!({"type": "slack", "config": {"channel": "#ops", "token": {"$secret": "S"}}}));
    assert_eq!((&json["kind"], &json["event"], &json["rule"]), (&json!("notification"), &json!("triggered"), &json!("r")));
    assert_eq!(json["incident_id"], json["incident"]["id"]);
}

/// An action takes the text of its incident that stands beside it; one of an older version, or too large with it, does not.
#[test]
fn records_written_together_are_those_written_one_by_one() {
    let published = Arc::new(full());
    let older = Arc::new(Incident { version: 0, ..full() });
    let act = |incident: &Arc<Incident>| Output::Action(Action { incident: Arc::clone(incident), ..action(bare()) });
    let one = Output::Decision(decision(vec![verdict(Why::Acted, None)]));
    let outputs = [act(&older), Output::Incident(Arc::clone(&published)), one, act(&published), act(&older)];
    let whole = written(&outputs[3]).value.expect("a value").len();
    for record_max in [Settings::default().record_max, whole, whole - 1] {
        let settings = Settings { record_max, ..Settings::default() };
        let one_by_one: Vec<OutRecord> = outputs.iter().filter_map(|output| write_output(output, &settings)).collect();
        assert_eq!(write_outputs(&outputs, &settings), one_by_one, "{record_max}");
    }
}

#[test]
fn a_decision_tells_each_rules_result() {
    let verdicts = vec![verdict(Why::Acted, None), verdict(Why::Where, Some("severity is low, not critical"))];
    let record = written(&Output::Decision(decision(verdicts)));
    assert_eq!((record.topic, record.partition), (Topic::Decisions, Some(5)));
    assert_eq!(record.key, Some(bare().id.to_string().into_bytes()));
    let json = parsed(&record);
    check("decision", &json);
    let acted = json!({"rule": "r", "kind": "notification", "result": "acted", "action_ids": [action(bare()).id.0]});
    assert_eq!(json["results"][0], acted);
    assert_eq!(json["results"][1]["detail"], "severity is low, not critical");
    assert_eq!(json.get("more"), None);
}

#[test]
fn every_name_of_the_model_is_in_the_schemas() {
    for why in [
        Why::Acted,
        Why::Where,
        Why::When,
        Why::Disabled,
        Why::RateLimited,
        Why::Digested,
        Why::Silenced,
        Why::Suppressed,
        Why::Snoozed,
        Why::Held,
        Why::AttemptsExhausted,
        Why::Cooldown,
        Why::Conditions,
        Why::Budget,
        Why::ScriptError,
        Why::AfterOccurrences,
        Why::AlreadyActed,
    ] {
        check("decision", &parsed(&written(&Output::Decision(decision(vec![verdict(why, None)])))));
    }
    for event in RuleEvent::LISTENABLE.into_iter().chain([RuleEvent::Reminder]) {
        check("notification", &parsed(&written(&Output::Action(Action { event, ..action(bare()) }))));
    }
    for status in Status::ALL {
        check("incident", &parsed(&written(&Output::Incident(Arc::new(Incident { status, ..bare() })))));
    }
}

#[test]
fn a_record_never_exceeds_its_size() {
    let long_note = json!({"note": "n".repeat(60_000)});
    let mut incident = full();
    for n in 0..30 {
        incident.note(Time(n), TimelineEvent::Note, Some("ann"), long_note.clone());
    }
    let json = |incident: &Incident| {
        let records =
            [Output::Incident(Arc::new(incident.clone())), Output::Action(action(incident.clone()))].map(|o| written(&o));
        assert!(records.iter().all(|record| record.value.as_ref().is_some_and(|value| value.len() <= 900 << 10)));
        let [incident, action] = records.map(|record| parsed(&record));
        check("incident", &incident);
        check("notification", &action);
        assert_eq!(incident, action["incident"]);
        incident
    };
    let without_timeline = json(&incident);
    assert_eq!((&without_timeline["timeline"], &without_timeline["truncated"]), (&json!([]), &json!(true)));
    assert_eq!(without_timeline["metadata"]["threshold"], 5);
    incident.metadata = object(json!({"blob": "x".repeat(1 << 20)}));
    let without_metadata = json(&incident);
    assert_eq!((&without_metadata["metadata"], &without_metadata["truncated"]), (&json!({}), &json!(true)));

    let mut verdicts = vec![verdict(Why::Where, Some(&"d".repeat(1_000))); 2_000];
    verdicts.push(verdict(Why::Acted, None));
    let record = written(&Output::Decision(decision(verdicts)));
    assert!(record.value.as_ref().is_some_and(|value| value.len() <= 900 << 10));
    check("decision", &parsed(&record));
    assert_eq!((parsed(&record)["results"].as_array().map(Vec::len), &parsed(&record)["more"]), (Some(1), &json!(2_000)));
}

#[test]
fn what_only_counts_is_no_record() {
    let evaluated = Output::Evaluated { rule: "r".to_owned(), result: "acted" };
    for output in [Output::Unrouted(bare().id), evaluated] {
        assert_eq!(write_output(&output, &Settings::default()), None);
    }
}

#[test]
fn the_reader_of_incidents_refuses_what_is_none() {
    for wrong in [&b""[..], b"{}", b"[]", b"\xff"] {
        assert!(read_incident(wrong).is_err_and(|error| error.starts_with("not an incident: ")));
    }
}
