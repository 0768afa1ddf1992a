//! Facts between shards: written, read back, and bounded.

use super::spoken::{channel, incident, object};
use super::*;
use crate::codec::{FACT, OutRecord, read_fact, write_output};
use crate::model::{
    ActionId, BudgetAnswer, BudgetAsk, DeskAnswer, DeskItem, DeskOutcome, DigestTerms, Fact, Matcher, Output, RuleEvent, Silence,
    Status, TimelineEvent, Upstream,
};
use serde_json::json;
use std::sync::Arc;

fn action_id() -> ActionId {
    ActionId::derive(incident().id, "remediation", "r", "triggered:0", 0)
}

fn item(incident: crate::model::Incident) -> DeskItem {
    DeskItem {
        rule: "r".to_owned(),
        event: RuleEvent::Triggered,
        epoch: 2,
        cause: "triggered:0".to_owned(),
        at: Time(5),
        max_per_hour: Some(60),
        max_per_day: None,
        digest: Some(DigestTerms { interval_minutes: 5, group: vec!["llm".to_owned()], lead: true }),
        channels: vec![channel()],
        incident: Arc::new(incident),
        error: None,
    }
}

/// One of each kind.
pub fn facts() -> Vec<Fact> {
    let incident = incident();
    let matcher = Matcher { name: "a".to_owned(), value: "b".to_owned(), is_regex: true, is_equal: false };
    let (id, service_id, rule, at) = (incident.id, incident.service_id.clone(), "r".to_owned(), Time(7));
    vec![
        Fact::Upstream(Upstream {
            id,
            service_id: service_id.clone(),
            revision: 3,
            at,
            first_seen_at: Time(1),
            severity: incident.severity,
            environment: incident.environment,
            status: Status::Investigating,
            active: vec![(Time(1), true), (Time(2), false)],
            muted: true,
            untold: false,
            duplicate: false,
        }),
        Fact::Silence(Silence {
            id: "s".to_owned(),
            matchers: vec![matcher],
            starts_at: Time(1),
            ends_at: Time(2),
            created_by: None,
            comment: Some("c".to_owned()),
            updated_at: at,
        }),
        Fact::Item(Box::new(item(incident))),
        Fact::Answer(DeskAnswer {
            incident_id: id,
            rule: rule.clone(),
            event: RuleEvent::Occurrence,
            cause: "occurrence:3".to_owned(),
            at,
            outcome: DeskOutcome::Digested,
            actions: vec![action_id()],
            epoch: 1,
            error: Some("e".to_owned()),
            detail: None,
        }),
        Fact::BudgetAsk(BudgetAsk {
            rule: rule.clone(),
            action: action_id(),
            incident_id: id,
            service_id: service_id.clone(),
            at,
            max_per_hour: None,
            max_per_service_per_hour: Some(2),
        }),
        Fact::BudgetAnswer(BudgetAnswer {
            rule: "r".to_owned(),
            incident_id: id,
            service_id: "s".to_owned(),
            action: action_id(),
            granted: true,
        }),
        Fact::BudgetReturn { rule, action: action_id(), service_id },
    ]
}

fn record(fact: Fact) -> OutRecord {
    write_output(&Output::Fact { to: 3, fact }, &Settings::default()).expect("a record")
}

#[test]
fn every_fact_goes_to_its_inbox_and_is_read_back() {
    for fact in facts() {
        let record = record(fact.clone());
        assert_eq!((record.topic, record.partition), (Topic::Inbox, Some(3)));
        let [(name, version)] = record.headers.as_slice() else { panic!("{:?}", record.headers) };
        assert_eq!(name, FACT);
        assert_eq!(read_fact(version, record.value.as_deref()), Ok(fact));
    }
}

#[test]
fn a_fact_that_is_none_is_refused() {
    let good = record(facts().remove(0)).value.expect("a value");
    let longer: Vec<u8> = good.iter().copied().chain([0]).collect();
    for (version, value, reason) in [
        (&b"2"[..], Some(good.as_slice()), "header `__incidentd.fact`: a newer version wrote this"),
        (b"1", None, "a fact has a value"),
        (b"1", Some(b""), "not a fact: "),
        (b"1", Some(b"\xff\xff\xff\xff"), "not a fact: "),
        (b"1", Some(&good[..good.len() - 1]), "not a fact: "),
        (b"1", Some(&longer), "not a fact: bytes are left over"),
    ] {
        let error = read_fact(version, value).expect_err(reason);
        assert!(error.starts_with(reason), "{error}");
    }
}

#[test]
fn a_snapshot_that_is_too_large_travels_without_what_is_large() {
    let mut large = incident();
    for n in 0..30 {
        large.note(Time(n), TimelineEvent::Note, Some("ann"), json!({"note": "n".repeat(60_000)}));
    }
    let sent = |incident: &crate::model::Incident| {
        let value = record(Fact::Item(Box::new(item(incident.clone())))).value.expect("a value");
        assert!(value.len() <= 900 << 10, "{}", value.len());
        match read_fact(b"1", Some(&value)) {
            Ok(Fact::Item(item)) => Arc::unwrap_or_clone(item.incident),
            other => panic!("{other:?}"),
        }
    };
    let without_timeline = sent(&large);
    assert_eq!((without_timeline.timeline.len(), &without_timeline.metadata), (0, &large.metadata));
    large.metadata = object(json!({"blob": "x".repeat(1 << 20)}));
    assert_eq!(sent(&large).metadata, object(json!({})));
}
