//! Whatever bytes come: no panic, exactly one item a record or one an element, and the quick reader agrees with the full one.

use super::*;
use crate::codec::schema;
use crate::codec::{native, quick};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use serde_json::{Map, json};

const FORMS: [Option<Form>; 4] = [None, Some(Form::Native), Some(Form::Element), Some(Form::Recorder)];

/// Any JSON value, not deep.
fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        select(vec!["", "5", "0", "-0.5", "2.5", "1e21", "prod", "QA", "critical", "Warning", "p1", "firing", "RESOLVED"])
            .prop_map(Value::from),
        select(vec!["2026-11-23T16:04:10.51Z", "2026-11-23t18:04:10+02:00", "2026-02-30T00:00:00Z", "0001-01-01T00:00:00Z"])
            .prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    leaf.prop_recursive(3, 24, 4, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name(), inner), 0..4).prop_map(|pairs| Value::Object(pairs.into_iter().collect())),
        ]
    })
}

/// Names that mean something, and others.
fn name() -> impl Strategy<Value = String> {
    let known = vec![
        "service_id",
        "title",
        "description",
        "category",
        "environment",
        "severity",
        "status",
        "timestamp",
        "dedup_key",
        "source",
        "labels",
        "metadata",
        "threshold",
        "current_value",
        "error_rate",
        "user_impact",
        "metric_type",
        "model_id",
        "alerts",
        "data",
        "alertCreated",
        "alertResolved",
        "alert",
        "details",
        "annotations",
        "startsAt",
        "endsAt",
        "fingerprint",
        "key",
        "value",
        "alertname",
        "service",
        "job",
    ];
    prop_oneof![9 => select(known).prop_map(str::to_owned), 1 => any::<String>()]
}

fn text() -> impl Strategy<Value = Value> {
    prop_oneof![
        6 => select(vec!["s", "model_performance", "gpt-4", "staging", "prod", "high", "warn", "firing", "Resolved", "",
            "2026-11-23T16:04:10.51Z", "дом"]).prop_map(Value::from),
        1 => value(),
    ]
}

/// Mostly an alert: the fields that every alert has, and some with the right kind of value, or not.
fn nearly_alert() -> impl Strategy<Value = Map<String, Value>> {
    let labels = vec((name(), text()), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect()));
    let metadata = vec((name(), value()), 0..5).prop_map(|pairs| Value::Object(pairs.into_iter().collect()));
    let texts = vec![
        "service_id",
        "title",
        "description",
        "category",
        "environment",
        "severity",
        "status",
        "timestamp",
        "dedup_key",
        "source",
    ];
    let field = prop_oneof![
        6 => (select(texts).prop_map(str::to_owned), text()),
        2 => labels.prop_map(|labels| ("labels".to_owned(), labels)),
        2 => metadata.prop_map(|metadata| ("metadata".to_owned(), metadata)),
        1 => (name(), value()),
    ];
    vec(field, 0..8).prop_map(|fields| {
        let base = [("service_id", json!("s")), ("title", json!("t"))].map(|(name, value)| (name.to_owned(), value));
        base.into_iter().chain(fields).collect()
    })
}

/// The number of items that a record must yield.
fn due(form: Option<Form>, bytes: &[u8]) -> usize {
    match serde_json::from_slice::<Map<String, Value>>(bytes) {
        Ok(map) if form.is_none() && !map.contains_key("service_id") => match map.get("alerts") {
            Some(Value::Array(alerts)) => alerts.len().max(1),
            _ => 1,
        },
        _ => 1,
    }
}

fn holds(bytes: &[u8]) -> Result<(), TestCaseError> {
    let settings = Settings::default();
    for form in FORMS {
        let items = read_as(form, Some(bytes), &settings);
        // An element that cannot be parsed alone makes the body unreadable for `due`, and nothing else.
        if items.iter().all(|item| !matches!(item, Read::Rejected { reason, .. } if reason.starts_with("not JSON"))) {
            prop_assert_eq!(items.len(), due(form, bytes), "{:?}", items);
        }
        prop_assert!(!items.is_empty());
        for item in items {
            if let Read::Alert(seen) = item {
                prop_assert!(!seen.service_id.is_empty() && !seen.body.title.is_empty());
                prop_assert_ne!(&seen.body.title, "unreadable alert");
            }
        }
    }
    agree(bytes, &settings)
}

/// Whatever the quick reader takes, the full one takes with the same meaning.
fn agree(bytes: &[u8], settings: &Settings) -> Result<(), TestCaseError> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Ok(()) };
    let Some(words) = quick::words(text, settings) else { return Ok(()) };
    let Ok(quick) = words.head(settings) else { return Ok(()) };
    let map = native::parse(text, settings).map_err(TestCaseError::fail)?;
    let words = native::words(&map, settings).map_err(TestCaseError::fail)?;
    let full = words.head(settings).map_err(TestCaseError::fail)?;
    let body = AlertBody::default;
    let [quick, full] = [&quick, &full].map(|head| {
        let alert = head.alert(ORIGIN, Time(0), head.fingerprint(settings), &body);
        let texts = (alert.service_id.to_string(), alert.source.map(|source| source.to_string()));
        (texts, alert.fingerprint, alert.severity, alert.status, alert.timestamp, alert.current_value)
    });
    prop_assert_eq!(quick, full);
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn raw_bytes(bytes in vec(any::<u8>(), 0..200)) {
        holds(&bytes)?;
    }

    #[test]
    fn any_json(value in value()) {
        holds(value.to_string().as_bytes())?;
    }

    #[test]
    fn bodies(alerts in vec(value(), 0..5), more in nearly_alert()) {
        let mut body = more;
        body.remove("service_id");
        body.insert("alerts".to_owned(), Value::from(alerts));
        holds(Value::Object(body).to_string().as_bytes())?;
    }

    #[test]
    fn mutated_alerts(
        alert in nearly_alert(),
        edits in vec((any::<prop::sample::Index>(), prop_oneof![any::<u8>(), select(b"{}[]\",:\\0u-.eE \n\0\x1f".to_vec())], 0..3_u8), 0..4),
    ) {
        holds(&mutated(Value::Object(alert).to_string().into_bytes(), edits))?;
    }

    #[test]
    fn long_alerts_are_read_by_the_other_parser_alike(alert in nearly_alert()) {
        let (mut short, mut long) = (alert.clone(), alert);
        short.insert("filler".to_owned(), Value::from("x"));
        long.insert("filler".to_owned(), Value::from("x".repeat(9_000)));
        let [short, long] = [short, long].map(|alert| {
            let text = Value::Object(alert).to_string();
            read(text.as_bytes()).into_iter().map(|item| match item {
                Read::Alert(seen) => Ok((seen.fingerprint, seen.severity, seen.status, seen.current_value, seen.body.labels)),
                Read::Rejected { reason, .. } => Err(reason),
                Read::Ignored => Err("ignored".to_owned()),
            }).collect::<Vec<_>>()
        });
        prop_assert_eq!(short, long);
    }

    #[test]
    fn the_schema_takes_what_the_decoder_takes(alert in nearly_alert()) {
        thread_local!(static SCHEMA: jsonschema::Validator = {
            let schema = serde_json::from_str(schema("alert").expect("there is one")).expect("it is JSON");
            jsonschema::validator_for(&schema).expect("it is a schema")
        });
        let alert = Value::Object(alert);
        let items = read_as(Some(Form::Native), Some(alert.to_string().as_bytes()), &Settings::default());
        let [item] = items.as_slice() else { panic!("{items:?}") };
        let problem = SCHEMA.with(|schema| schema.iter_errors(&alert).next().map(|error| error.to_string()));
        // A pattern cannot know how long a month is.
        let impossible_day = alert["timestamp"].as_str().is_some_and(|text| text.starts_with("2026-02-30"));
        match item {
            Read::Alert(_) => prop_assert_eq!(problem, None, "{}", alert),
            Read::Rejected { reason, .. } => prop_assert!(problem.is_some() || impossible_day, "{}: {}", reason, alert),
            Read::Ignored => panic!("a native alert is never ignored"),
        }
    }
}
