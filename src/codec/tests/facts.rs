//! Facts between shards: written, read back, and bounded.

use super::spoken::{channel, incident, object};
use super::*;
use crate::codec::{FACT, FactBatch, OutRecord, read_facts, write_fact};
use crate::model::{
    ActionId, BudgetAnswer, BudgetAsk, DeskAnswer, DeskItem, DeskOutcome, DigestTerms, Fact, Incident, Matcher, RuleEvent,
    Silence, Status, TimelineEvent, Upstream,
};
use serde_json::json;
use std::collections::BTreeMap;
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
        Fact::Upstream(Arc::new(Upstream {
            id,
            service_id: service_id.clone(),
            revision: 3,
            at,
            first_seen_at: Time(1),
            severity: incident.severity,
            environment: incident.environment,
            status: Status::Investigating,
            active: [(Time(1), true), (Time(2), false)].into_iter().collect(),
            muted: true,
            untold: false,
            duplicate: false,
        })),
        Fact::Silence(Box::new(Silence {
            id: "s".to_owned(),
            matchers: vec![matcher],
            starts_at: Time(1),
            ends_at: Time(2),
            created_by: None,
            comment: Some("c".to_owned()),
            updated_at: at,
        })),
        Fact::Item(Box::new(item(incident))),
        Fact::Answer(Box::new(DeskAnswer {
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
        })),
        Fact::BudgetAsk(Box::new(BudgetAsk {
            rule: rule.clone(),
            action: action_id(),
            incident_id: id,
            service_id: service_id.clone(),
            at,
            max_per_hour: None,
            max_per_service_per_hour: Some(2),
        })),
        Fact::BudgetAnswer(Box::new(BudgetAnswer {
            rule: "r".to_owned(),
            incident_id: id,
            service_id: "s".to_owned(),
            action: action_id(),
            granted: true,
        })),
        Fact::BudgetReturn { rule, action: action_id(), service_id },
    ]
}

fn record(fact: &Fact) -> OutRecord {
    write_fact(3, fact, &Settings::default())
}

#[test]
fn every_fact_goes_to_its_inbox_and_is_read_back() {
    for fact in facts() {
        let record = record(&fact);
        assert_eq!((record.topic, record.partition), (Topic::Inbox, Some(3)));
        let [(name, version)] = record.headers.as_slice() else { panic!("{:?}", record.headers) };
        assert_eq!(name, FACT);
        assert_eq!(read_facts(version, record.value.as_deref()), Ok(vec![fact]));
    }
}

#[test]
fn those_of_one_partition_share_records_as_far_as_they_fit() {
    let all = facts();
    let large = (0..40).map(|n| {
        let mut large = incident();
        large.note(Time(n), TimelineEvent::Note, Some("ann"), json!({"note": "n".repeat(100_000)}));
        Fact::Item(Box::new(item(large)))
    });
    let mut batch = FactBatch::default();
    let mut told: BTreeMap<u32, Vec<Fact>> = BTreeMap::new();
    for (n, fact) in (0..).zip(all.iter().cloned().chain(large)) {
        let to = [n % 3, 7];
        let added = batch.add(&to, &fact, &Settings::default());
        assert_eq!(added, 2 * record(&fact).value.expect("a value").len());
        to.into_iter().for_each(|to| told.entry(to).or_default().push(fact.clone()));
    }
    let mut read: BTreeMap<u32, Vec<Fact>> = BTreeMap::new();
    let records: Vec<OutRecord> = batch.take().collect();
    assert!((11..=20).contains(&records.len()), "8 MB in {} records of 0.9 MB", records.len());
    for record in records {
        let value = record.value.expect("a value");
        assert!(value.len() <= 900 << 10, "{}", value.len());
        let facts = read_facts(&record.headers[0].1, Some(&value)).expect("facts");
        read.entry(record.partition.expect("a partition")).or_default().extend(facts);
    }
    assert_eq!(read, told, "all of them, in their order");
    assert_eq!(batch.take().count(), 0, "once");
}

#[test]
fn a_fact_that_is_none_is_refused() {
    let good = record(&facts()[0]).value.expect("a value");
    let longer: Vec<u8> = good.iter().copied().chain([0]).collect();
    for (version, value, reason) in [
        (&b"3"[..], Some(good.as_slice()), "header `__incidentd.fact`: a newer version wrote this"),
        (b"2", None, "facts have a value"),
        (b"2", Some(b""), "not a fact (number 1): "),
        (b"2", Some(b"\xff\xff\xff\xff"), "not a fact (number 1): "),
        (b"1", Some(&good[..good.len() - 1]), "not a fact (number 1): "),
        (b"2", Some(&longer), "not a fact (number 2): "),
    ] {
        let error = read_facts(version, value).expect_err(reason);
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
        let value = record(&Fact::Item(Box::new(item(incident.clone())))).value.expect("a value");
        assert!(value.len() <= 900 << 10, "{}", value.len());
        match read_facts(b"2", Some(&value)).as_deref() {
            Ok([Fact::Item(item)]) => Incident::clone(&item.incident),
            other => panic!("{other:?}"),
        }
    };
    let without_timeline = sent(&large);
    assert_eq!((without_timeline.timeline.len(), &without_timeline.metadata), (0, &large.metadata));
    large.metadata = object(json!({"blob": "x".repeat(1 << 20)}));
    assert_eq!(sent(&large).metadata, object(json!({})));
}
