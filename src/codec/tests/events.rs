//! Records of `events`: what is understood, and what is refused with which words.

use super::*;
use crate::codec::read_event;
use crate::model::{Change, EventBody, Measurement, ServiceEvent};

fn event(json: &str) -> Result<ServiceEvent, String> {
    read_event(Some(json.as_bytes()), time(RECORD_TIME), &Settings::default())
}

fn body(json: &str) -> EventBody {
    let read = event(json).expect(json);
    assert_eq!(read.service_id, "s");
    read.body
}

#[test]
fn a_measurement_is_a_reading_and_all_else_a_change() {
    let read = body(
        r#"{"type":"measurement","service_id":"s","metric":"gpu","value":97.5,"unit":"percent","timestamp":"2026-11-23T16:00:00Z","x":1}"#,
    );
    let reading = Measurement { value: 97.5, unit: Some("percent".to_owned()), timestamp: time("2026-11-23T16:00:00Z") };
    assert_eq!(read, EventBody::Measurement { metric: "gpu".to_owned(), reading });
    let text = body(r#"{"type":"Measurement","service_id":"s","metric":"gpu","value":"-2e3"}"#);
    let reading = Measurement { value: -2_000.0, unit: None, timestamp: time(RECORD_TIME) };
    assert_eq!(text, EventBody::Measurement { metric: "gpu".to_owned(), reading });
    for (word, kind) in [("deployment", "deployment"), ("Config_Change", "config_change"), ("feature-flag", "feature-flag")] {
        let read = body(&format!(
            r#"{{"type":"{word}","service_id":"s","description":"d","id":"v1","timestamp":"2026-11-23T16:00:00Z"}}"#
        ));
        let (kind, description, id) = (kind.to_owned(), "d".to_owned(), Some("v1".to_owned()));
        assert_eq!(read, EventBody::Change(Change { kind, description, timestamp: time("2026-11-23T16:00:00Z"), id }));
    }
    let bare = body(r#"{"type":"deployment","service_id":"s"}"#);
    let (kind, description) = ("deployment".to_owned(), String::new());
    assert_eq!(bare, EventBody::Change(Change { kind, description, timestamp: time(RECORD_TIME), id: None }));
}

#[test]
fn a_clock_that_runs_ahead_is_held_to_five_minutes() {
    let at = |timestamp: &str| match body(&format!(r#"{{"type":"deployment","service_id":"s","timestamp":"{timestamp}"}}"#)) {
        EventBody::Change(change) => change.timestamp,
        other => panic!("{other:?}"),
    };
    assert_eq!(at("2026-11-23T16:34:59Z"), time("2026-11-23T16:34:59Z"));
    assert_eq!(at("2027-01-01T00:00:00Z"), time("2026-11-23T16:35:00Z"));
    assert_eq!(at("1999-01-01T00:00:00Z"), time("1999-01-01T00:00:00Z"));
}

#[test]
fn what_is_wrong_is_named() {
    for (json, reason) in [
        (r#"{"type":"deployment"}"#, "service_id: missing or empty; a non-empty string is required"),
        (r#"{"service_id":"s"}"#, "type: missing or empty; `deployment`, `config_change`, `measurement` or"),
        (r#"{"service_id":"s","type":5}"#, "type: expected a string, found a number (5)"),
        (r#"{"service_id":"s","type":"measurement","value":5}"#, "metric: missing or empty; name the metric"),
        (r#"{"service_id":"s","type":"measurement","metric":"m"}"#, "value: missing; the reading, a number, is required"),
        (
            r#"{"service_id":"s","type":"measurement","metric":"m","value":"many"}"#,
            "value: expected a number, found a string (\"many\")",
        ),
        (r#"{"service_id":"s","type":"measurement","metric":"m","value":[1]}"#, "value: expected a number, found an array"),
        (r#"{"service_id":"s","type":"measurement","metric":"m","value":1,"unit":5}"#, "unit: expected a string"),
        (r#"{"service_id":"s","type":"deployment","timestamp":"today"}"#, "timestamp: expected an RFC 3339 timestamp"),
        (r#"{"service_id":"s","type":"deployment","description":{}}"#, "description: expected a string, found an object"),
        ("[]", "the record: expected an object, found an array"),
    ] {
        let found = event(json).expect_err(json);
        assert!(found.starts_with(reason), "{found}\nis not\n{reason}");
    }
    assert_eq!(read_event(None, Time(0), &Settings::default()), Err("the record has no value (a tombstone)".to_owned()));
    let long = format!(r#"{{"service_id":"{}","type":"deployment"}}"#, "s".repeat(70_000));
    assert!(event(&long).is_err_and(|error| error.ends_with("an event may have at most 65536 (limits.alert)")));
}
