//! Bodies that a real Alertmanager 0.34.2 sent, and records of its event recorder (SPEC 3.1).

use super::*;
use serde_json::json;

/// A recorded body, by its name.
macro_rules! fixture {
    ($name:literal) => {
        include_bytes!(concat!("../../../tests/fixtures/alertmanager/", $name)).as_slice()
    };
}

/// `service_id title severity status timestamp source startsAt` of each alert of a body.
fn lines(body: &[u8]) -> Vec<String> {
    let line = |read| match read {
        Read::Alert(seen) => {
            let Seen { service_id, severity, status, timestamp, source, starts_at, .. } = &*seen;
            let (status, title) = (if *status == AlertStatus::Firing { "firing" } else { "resolved" }, &seen.body.title);
            let starts_at = starts_at.map(|time| time.to_string()).unwrap_or_default();
            format!(
                "{service_id} | {title} | {severity} {status} {timestamp} {} {starts_at}",
                source.as_deref().unwrap_or_default()
            )
        }
        Read::Rejected { index, reason, .. } => format!("{index}: {reason}"),
        Read::Ignored => "ignored".to_owned(),
    };
    read(body).into_iter().map(line).collect()
}

/// An element of `alerts`, alone in a body.
fn element(json: Value) -> Seen {
    let body = json!({"alerts": [json]}).to_string();
    alert(&body)
}

#[test]
fn every_recorded_body_gives_its_alerts() {
    let now = RECORD_TIME;
    let one = |line: String| vec![line];
    let group = "2026-11-23T16:03:38.552Z";
    let none = "2026-11-23T16:03:49.645Z";
    for ((name, body), expected) in [
        (
            ("by_none.json", fixture!("by_none.json")),
            vec![
                format!("unknown | unnamed alert | medium firing {now} 1b9fba7f28927206 {none}"),
                format!("unknown | NoService | medium firing {now} 62c4c09176c95ffe {none}"),
                format!("search | DiskFull | low firing {now} 8db7a0c1ba3d2f0f {none}"),
                format!("payments | HighErrorRate | high firing {now} 617043d5ec239d1c {none}"),
                format!("payments | HighLatency | medium firing {now} 13f87a0c44b3ee24 {none}"),
            ],
        ),
        (
            ("firing_group.json", fixture!("firing_group.json")),
            vec![
                format!("llm-inference-prod | HighLatency | critical firing {now} f23c738d60911846 {group}"),
                format!("llm-inference-prod | HighLatency | high firing {now} 1a24bde42fff176a {group}"),
                format!("llm-inference-prod | HighLatency | medium firing {now} aaba3ec71ada522b {group}"),
            ],
        ),
        (
            ("flap_1_firing.json", fixture!("flap_1_firing.json")),
            one(format!("f | HighLatency | high firing {now} d9b54a27605788a4 2026-11-23T16:04:05.458Z")),
        ),
        (
            ("flap_2_resolved.json", fixture!("flap_2_resolved.json")),
            one("f | HighLatency | high resolved 2026-11-23T16:04:06.474Z d9b54a27605788a4 2026-11-23T16:04:05.458Z".to_owned()),
        ),
        (
            ("flap_3_firing.json", fixture!("flap_3_firing.json")),
            one(format!("f | HighLatency | high firing {now} d9b54a27605788a4 2026-11-23T16:04:08.490Z")),
        ),
        (
            ("from_prometheus_watchdog_firing.json", fixture!("from_prometheus_watchdog_firing.json")),
            one(format!("unknown | Watchdog | medium firing {now} 448881ef475b9b26 2026-11-23T15:55:42.737Z")),
        ),
        (
            ("mixed.json", fixture!("mixed.json")),
            vec![
                format!("llm-inference-prod | HighLatency | critical resolved 2026-11-23T16:03:39.562Z f23c738d60911846 {group}"),
                format!("llm-inference-prod | HighLatency | high firing {now} 1a24bde42fff176a {group}"),
                format!("llm-inference-prod | HighLatency | medium firing {now} aaba3ec71ada522b {group}"),
            ],
        ),
        (
            ("repeat_first.json", fixture!("repeat_first.json")),
            one(format!("r | HighLatency | high firing {now} 0995b18bfe4a51c4 2026-11-23T16:03:59.401Z")),
        ),
        (
            ("repeat_second.json", fixture!("repeat_second.json")),
            one(format!("r | HighLatency | high firing {now} 0995b18bfe4a51c4 2026-11-23T16:03:59.401Z")),
        ),
        (
            ("resolved.json", fixture!("resolved.json")),
            vec![
                format!("llm-inference-prod | HighLatency | high resolved 2026-11-23T16:03:41.586Z 1a24bde42fff176a {group}"),
                format!("llm-inference-prod | HighLatency | medium resolved 2026-11-23T16:03:41.586Z aaba3ec71ada522b {group}"),
            ],
        ),
        (
            ("truncated_mixed.json", fixture!("truncated_mixed.json")),
            vec![
                format!("llm-inference-prod | HighLatency | high firing {now} 8deeeb2fc3d5d944 2026-11-23T16:03:46.616Z"),
                format!("llm-inference-prod | HighLatency | high firing {now} e69ea895190aaf91 2026-11-23T16:03:46.616Z"),
            ],
        ),
        (
            ("unusual_labels_200.json", fixture!("unusual_labels_200.json")),
            one("0: labels: 203 of them; at most 64 are taken (limits.labels)".to_owned()),
        ),
        (
            ("unusual_unicode_values.json", fixture!("unusual_unicode_values.json")),
            one(format!(
                "платежи-服务-😀 | Unusual unicode_values | medium firing {now} b19ae4377a229123 2026-11-23T16:03:52.238Z"
            )),
        ),
    ] {
        assert_eq!(lines(body), expected, "{name}");
    }
}

#[test]
fn the_mapping_is_the_seeds() {
    let items = read(fixture!("firing_group.json"));
    let Read::Alert(seen) = &items[0] else { panic!("{items:?}") };
    assert_eq!(seen.fingerprint, joined("llm-inference-prod|model_performance|gpt-4|production|HighLatency"));
    assert_eq!((seen.body.description.as_str(), seen.body.category.as_str()), ("p95 latency is 7.2 s", "model_performance"));
    assert_eq!(seen.body.labels.get("pod"), Some("pod-0"));
    assert_eq!(
        metadata(seen),
        json!({
            "dashboard": "https://grafana.example/d/llm",
            "dashboard_url": "https://grafana.example/d/llm",
            "description": "p95 latency is 7.2 s",
            "runbook": "https://runbooks.example/latency",
            "runbook_url": "https://runbooks.example/latency",
            "summary": "p95 latency above 5 s on pod 0",
            "alert_manager_url": "http://prom.example:9090/graph?g0.expr=up",
        })
    );
    let text = String::from_utf8(seen.bytes.clone()).expect("UTF-8");
    assert!(text.starts_with("{\n   \"status\": \"firing\"") && text.ends_with('}'), "the element's own bytes: {text}");
}

#[test]
fn an_element_alone_reads_as_it_does_in_its_body() {
    let settings = Settings::default();
    for item in read(fixture!("mixed.json")) {
        let Read::Alert(seen) = item else { panic!("{item:?}") };
        let alone = read_as(Some(Form::Element), Some(&seen.bytes), &settings);
        assert_eq!(alone, [Read::Alert(Box::new(Seen { index: ORIGIN.index, ..*seen }))]);
    }
}

#[test]
fn severities_are_the_seeds_table_first() {
    for (word, severity, original) in [
        (json!("critical"), Severity::Critical, false),
        (json!("ERROR"), Severity::High, false),
        (json!("Warning"), Severity::Medium, false),
        (json!("info"), Severity::Low, false),
        (json!("high"), Severity::High, false),
        (json!("p1"), Severity::Critical, false),
        (json!("none"), Severity::Medium, true),
        (json!(""), Severity::Medium, false),
        (json!(null), Severity::Medium, false),
    ] {
        let seen = element(json!({"labels": {"severity": word}, "annotations": {"error_rate": "100", "user_impact": "100"}}));
        assert_eq!(seen.severity, severity, "{word}");
        assert_eq!(metadata(&seen).get("original_severity"), original.then_some(&word), "{word}");
    }
}

#[test]
fn what_is_missing_has_a_stand_in() {
    let bare = element(json!({"labels": {}}));
    assert_eq!((bare.service_id.as_str(), bare.body.title.as_str()), ("unknown", "unnamed alert"));
    assert_eq!(bare.fingerprint, joined("unknown|infrastructure|production"));
    assert_eq!((bare.source, bare.starts_at, bare.status), (None, None, AlertStatus::Firing));
    assert_eq!(bare.body.metadata.0.len(), 0);

    let labels = json!({"job": "scraper", "service": "", "environment": "stg", "category": ""});
    let annotations =
        json!({"summary": "It smokes", "runbook_url": "https://r", "threshold": "2.5", "current_value": "9", "n": null});
    let some = element(json!({"labels": labels, "annotations": annotations, "generatorURL": ""}));
    assert_eq!((some.service_id.as_str(), some.body.title.as_str()), ("scraper", "It smokes"));
    assert_eq!((some.body.description.as_str(), some.body.environment), ("It smokes", Environment::Staging));
    assert_eq!(some.fingerprint, joined("scraper|infrastructure|staging|3"));
    assert_eq!(some.current_value, CurrentValue::Number(9.0));
    assert_eq!(
        metadata(&some),
        json!({"summary": "It smokes", "runbook_url": "https://r", "threshold": 2.5, "current_value": 9})
    );

    let odd = element(json!({"labels": {"environment": "qa"}}));
    assert_eq!((odd.body.environment, metadata(&odd)), (Environment::Production, json!({"original_environment": "qa"})));
}

#[test]
fn the_alertname_counts_where_no_metric_type_does_and_the_setting_is_on() {
    let named = json!({"alertname": "Slow", "service": "s"});
    let typed = json!({"alertname": "Slow", "service": "s", "metric_type": "latency"});
    assert_eq!(element(json!({"labels": named})).fingerprint, joined("s|infrastructure|production|Slow"));
    assert_eq!(element(json!({"labels": typed})).fingerprint, joined("s|infrastructure|latency|production"));
    let off = Settings { alertmanager_alertname: false, ..Settings::default() };
    let body = json!({"alerts": [{"labels": named}]}).to_string();
    let items = read_as(None, Some(body.as_bytes()), &off);
    assert!(matches!(&items[0], Read::Alert(seen) if seen.fingerprint == joined("s|infrastructure|production")));
}

#[test]
fn a_resolution_has_its_own_time_if_it_says_one() {
    for (ends_at, is) in [
        ("2026-11-23T18:04:10.510061+02:00", "2026-11-23T16:04:10.510Z"),
        ("0001-01-01T00:00:00Z", RECORD_TIME),
        ("", RECORD_TIME),
        ("2027-01-01T00:00:00Z", "2026-11-23T16:35:00.000Z"),
    ] {
        let seen = element(json!({"status": "resolved", "labels": {}, "endsAt": ends_at, "startsAt": "0001-01-01T00:00:00Z"}));
        assert_eq!((seen.timestamp, seen.starts_at), (time(is), None), "{ends_at}");
    }
}

#[test]
fn one_bad_alert_of_ten_costs_only_itself() {
    let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
    let long = format!(r#"{{"labels":{{"service":"{}"}}}}"#, "x".repeat(1 << 20));
    for (bad, reason) in [
        (r#"{"labels":{"service":5}}"#, "labels.service: expected a string, found a number (5)"),
        (r#"{"status":"firing"}"#, "labels: missing; every alert of Alertmanager has them"),
        (r#"{"labels":null}"#, "labels: expected an object, found null"),
        (r#"{"labels":{},"annotations":"x"}"#, r#"annotations: expected an object, found a string ("x")"#),
        (r#"{"labels":{},"status":"maybe"}"#, r#"status: expected `firing` or `resolved`, found "maybe""#),
        (
            r#"{"labels":{},"startsAt":"soon"}"#,
            r#"startsAt: expected an RFC 3339 timestamp such as 2026-11-23T16:04:10.510Z, found "soon""#,
        ),
        (r#"{"labels":{},"fingerprint":7}"#, "fingerprint: expected a string, found a number (7)"),
        ("null", "the alert: expected an object, found null"),
        (r#"{"labels":{"a":"\ud800"}}"#, "not JSON: unexpected end of hex escape at line 1 column 23"),
        (&format!(r#"{{"labels":{{}},"x":{deep}}}"#), "nested deeper than 32 levels (limits.nesting)"),
        (&long, "1048601 bytes; an alert may have at most 65536 (limits.alert)"),
    ] {
        let good = |n: usize| format!(r#"{{"labels":{{"service":"s{n}"}}}}"#);
        let all: Vec<String> = (0..10).map(|n| if n == 4 { bad.to_owned() } else { good(n) }).collect();
        let body = format!(r#"{{"version":"4","alerts":[ {} ],"commonLabels":{{}}}}"#, all.join(" ,\n"));
        let items = read(body.as_bytes());
        assert_eq!(items.len(), 10);
        for (n, item) in items.iter().enumerate() {
            match item {
                Read::Alert(seen) => {
                    assert_eq!((seen.service_id.clone(), seen.index as usize), (format!("s{n}"), n));
                    assert_eq!((seen.form, seen.bytes.as_slice()), (Form::Element, good(n).as_bytes()));
                }
                Read::Rejected { index, reason: is, bytes } => {
                    assert_eq!((*index, n, bytes.as_slice()), (4, 4, bad.as_bytes()));
                    assert!(is.ends_with(reason), "{is}");
                }
                Read::Ignored => panic!("nothing here is to be ignored"),
            }
        }
    }
}

#[test]
fn a_body_past_its_limits_is_refused_whole() {
    let body = |count: usize| format!(r#"{{"alerts":[{}]}}"#, vec![r#"{"labels":{}}"#; count].join(","));
    assert_eq!(read(body(1_000).as_bytes()).len(), 1_000);
    assert_eq!(refused(body(1_001).as_bytes()), "alerts: 1001 of them; a body may hold at most 1000 (limits.body_alerts)");
    let deep = format!(r#"{{"alerts":[],"x":{{"y":{}{}}}}}"#, "[".repeat(10_000), "]".repeat(10_000));
    assert!(refused(deep.as_bytes()).starts_with("x.y[0]"), "the place is named");
    assert!(refused(br#"{"alerts":[{"labels":{}},]}"#).starts_with("not JSON: "));
}

#[test]
fn the_shape_tells_what_it_is() {
    assert_eq!(read(br#"{"alerts":[],"version":"4"}"#), [Read::Ignored]);
    assert_eq!(lines(br#"{"alerts":5,"alerts":[{"labels":{}}]}"#).len(), 1, "the last one counts");
    let grafana =
        r#"{"title":"[FIRING:1]","state":"alerting","alerts":[{"status":"firing","labels":{"service":"g"},"values":{"B":1}}]}"#;
    assert_eq!(alert(grafana).service_id, "g");
    let own = alert(&with(r#""alerts":[{"labels":{}}],"data":{"alertCreated":{}}"#));
    assert_eq!((own.form, own.body.metadata.0.len()), (Form::Native, 2));
    assert!(refused(br#"{"data":{}}"#).contains("`data` holds no event"));
    assert_eq!(refused(br#"{"data":{"x":{}},"title":"t"}"#), "service_id: missing or empty; a non-empty string is required");
}

#[test]
fn the_event_recorder_is_understood() {
    let records = fixture!("event_recorder.jsonl");
    let mut found = Vec::new();
    for record in records.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        found.extend(lines(record));
        if let [Read::Alert(seen)] = read(record).as_slice() {
            assert_eq!((seen.form, seen.bytes.as_slice()), (Form::Recorder, record));
            assert_eq!(seen.fingerprint, joined("llm|infrastructure|production|HighLatency"));
            assert_eq!((seen.body.description.as_str(), metadata(seen)), ("x", json!({"summary": "x"})));
            assert_eq!(read_as(Some(Form::Recorder), Some(record), &Settings::default()), [Read::Alert(seen.clone())]);
        }
    }
    let source = format!("{:016x}", 13_502_837_891_894_330_346_u64);
    assert_eq!(
        found,
        [
            "ignored".to_owned(),
            format!("llm | HighLatency | critical firing {RECORD_TIME} {source} 2026-11-23T16:05:58.593Z"),
            "ignored".to_owned(),
            "ignored".to_owned(),
            format!("llm | HighLatency | critical resolved 2026-11-23T16:06:01.000Z {source} 2026-11-23T16:05:58.593Z"),
            "ignored".to_owned(),
        ]
    );
}

#[test]
fn a_bad_event_of_the_recorder_names_its_field() {
    for (alert, reason) in [
        ("{}", "data.alertCreated.labels: missing; every alert of Alertmanager has them"),
        (r#"{"labels":{"labels":[5]}}"#, "data.alertCreated.labels.labels[0]: expected an object, found a number (5)"),
        (
            r#"{"labels":{"labels":[{"key":"a","value":5}]}}"#,
            "data.alertCreated.labels.labels[0].value: expected a string, found a number (5)",
        ),
        (
            r#"{"labels":{},"fingerprint":"xyz"}"#,
            r#"data.alertCreated.fingerprint: expected a decimal number of 64 bits, found a string ("xyz")"#,
        ),
        ("[]", "data.alertCreated.alert: expected an object, found an array"),
    ] {
        assert_eq!(refused(format!(r#"{{"data":{{"alertCreated":{{"alert":{alert}}}}}}}"#).as_bytes()), reason, "{alert}");
    }
}
