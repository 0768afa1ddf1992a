//! Alerts as people write them (SPEC 3.1, 4.1, 4.2).

use super::*;
use serde_json::json;

#[test]
fn two_fields_are_enough() {
    let seen = alert(r#"{"service_id":"llm","title":"slow"}"#);
    assert_eq!(seen.service_id, "llm");
    assert_eq!(seen.fingerprint, joined("llm|uncategorized|production"));
    assert_eq!((seen.severity, seen.status), (Severity::Medium, AlertStatus::Firing));
    assert_eq!((seen.timestamp, seen.source, seen.starts_at), (time(RECORD_TIME), None, None));
    assert_eq!(seen.current_value, CurrentValue::Absent);
    let body = AlertBody { title: "slow".to_owned(), category: "uncategorized".to_owned(), ..AlertBody::default() };
    assert_eq!(seen.body, body);
}

#[test]
fn every_field_arrives() {
    let json = r#"{"service_id":"llm-inference-prod","title":"p95 \"high\"","description":"d","category":"model_performance",
        "environment":"PROD","severity":"Error","status":"RESOLVED","timestamp":"2026-11-23T18:04:10.510061+02:00","source":"probe-1",
        "labels":{"metric_type":"latency","model_id":"gpt-4","region":"eu-1","none":null},"team":"ml",
        "metadata":{"threshold":"5","current_value":"7.25","error_rate":"15","unit":"s"}}"#;
    let seen = alert(json);
    assert_eq!(seen.fingerprint.to_string(), "8029c0404be4670ee4aee078d3b812b39dd4857367a39395bf8ace3b7f7844ef");
    assert_eq!((seen.severity, seen.status), (Severity::High, AlertStatus::Resolved));
    assert_eq!(seen.timestamp, time("2026-11-23T16:04:10.510Z"));
    assert_eq!(seen.source.as_deref(), Some("probe-1"));
    assert_eq!(seen.current_value, CurrentValue::Number(7.25));
    assert_eq!((seen.form, seen.bytes.as_slice()), (Form::Native, json.as_bytes()));
    assert_eq!(seen.body.title, "p95 \"high\"");
    assert_eq!((seen.body.description.as_str(), seen.body.category.as_str()), ("d", "model_performance"));
    let labels: Vec<_> = seen.body.labels.iter().collect();
    assert_eq!(labels, [("metric_type", "latency"), ("model_id", "gpt-4"), ("region", "eu-1")]);
    let expected = json!({"threshold": 5, "current_value": 7.25, "error_rate": 15, "unit": "s", "team": "ml"});
    assert_eq!(metadata(&seen), expected, "numeric strings are numbers; an unknown field is kept");
}

#[test]
fn unknown_fields_are_metadata_and_a_name_in_metadata_itself_stays() {
    let seen =
        alert(&with(r#""unit":"ms","threshold":7,"user_impact":100,"id":{"a":[1]},"metadata":{"unit":"s","threshold":null}"#));
    assert_eq!(metadata(&seen), json!({"unit": "s", "threshold": null, "user_impact": 100, "id": {"a": [1]}}));
    assert_eq!(seen.fingerprint, joined("s|uncategorized|production"), "metadata.threshold is there, and null");
    assert_eq!(alert(&with(r#""threshold":"7""#)).fingerprint, joined("s|uncategorized|production|7"));
    assert_eq!(alert(&with(r#""user_impact":100,"error_rate":100"#)).severity, Severity::High, "35 + 5 + 20 + 2 + 0.01");
}

#[test]
fn spellings_are_understood_and_unknown_words_kept() {
    for (word, is) in [
        ("prod", Environment::Production),
        ("STG", Environment::Staging),
        ("Dev", Environment::Development),
        ("", Environment::Production),
    ] {
        let json = with(&format!(r#""environment":"{word}""#));
        assert_eq!((environment(&json), metadata(&alert(&json))), (is, json!({})), "{word}");
        assert_eq!(alert(&json).fingerprint, joined(&format!("s|uncategorized|{is}")), "{word}");
    }
    let qa = alert(&with(r#""environment":"QA","metadata":{"original_environment":"theirs"}"#));
    assert_eq!(qa.fingerprint, joined("s|uncategorized|production"));
    assert_eq!(metadata(&qa), json!({"original_environment": "QA"}));

    for (word, is) in
        [("p1", Severity::Critical), ("WARN", Severity::Medium), ("error", Severity::High), ("INFO", Severity::Info)]
    {
        let seen = alert(&with(&format!(r#""severity":"{word}","metadata":{{"error_rate":100}}"#)));
        assert_eq!((seen.severity, metadata(&seen)), (is, json!({"error_rate": 100})), "{word}");
    }
    let odd = alert(&with(r#""severity":"Apocalyptic","metadata":{"user_impact":100,"error_rate":"100","sla_risk_minutes":0}"#));
    assert_eq!(odd.severity, Severity::High, "35 + 5 + 20 + 2 + 10 = 72");
    assert_eq!(metadata(&odd)["original_severity"], "Apocalyptic");
    let settings = Settings { severity_default: Severity::Low, ..Settings::default() };
    for json in [with(r#""severity":"odd""#), with("")] {
        assert!(
            matches!(&read_as(None, Some(json.as_bytes()), &settings)[0], Read::Alert(seen) if seen.severity == Severity::Low)
        );
    }
}

#[test]
fn a_time_ahead_of_the_record_is_cut_to_five_minutes() {
    for (said, is) in [
        ("2026-11-23T16:34:59Z", "2026-11-23T16:34:59Z"),
        ("2026-11-23T16:35:01Z", "2026-11-23T16:35:00Z"),
        ("9999-12-31T23:59:59Z", "2026-11-23T16:35:00Z"),
        ("2020-01-01T00:00:00.123456789-11:00", "2020-01-01T11:00:00.123Z"),
        ("", RECORD_TIME),
    ] {
        assert_eq!(alert(&with(&format!(r#""timestamp":"{said}""#))).timestamp, time(is), "{said}");
    }
}

#[test]
fn thresholds_count_as_javascript_counts_them() {
    for (threshold, part) in [
        ("5", "|5"),
        ("2.5", "|3"),
        ("-0.5", "|0"),
        ("0.4", "|0"),
        ("0", ""),
        ("-0", ""),
        ("\"0\"", ""),
        ("\"2.5\"", "|3"),
        ("\"\"", ""),
        ("null", ""),
        ("true", ""),
        ("\"high\"", ""),
        ("[5]", ""),
        ("{}", ""),
        ("1e21", "|1e+21"),
        ("18446744073709551617", "|18446744073709552000"),
    ] {
        let seen = alert(&with(&format!(r#""metadata":{{"threshold":{threshold}}}"#)));
        assert_eq!(seen.fingerprint, joined(&format!("s|uncategorized|production{part}")), "{threshold}");
    }
}

#[test]
fn a_dedup_key_stands_alone_and_missing_values_are_left_out() {
    let keyed = alert(&with(r#""dedup_key":"k","category":"c""#));
    assert_eq!((keyed.fingerprint, keyed.body.dedup_key.as_deref()), (joined("k"), Some("k")));
    let empty = with(
        r#""dedup_key":"","category":"","labels":{"metric_type":"","model_id":null},"source":"","severity":"","description":null"#,
    );
    let seen = alert(&empty);
    assert_eq!(seen.fingerprint, joined("s|uncategorized|production"));
    assert_eq!((seen.source, seen.body.dedup_key), (None, None));
    let nothing =
        alert(&with(r#""labels":null,"metadata":null,"environment":null,"severity":null,"status":null,"timestamp":null"#));
    assert_eq!(nothing.body, AlertBody { description: String::new(), ..alert(&with("")).body });
}

#[test]
fn of_a_name_that_comes_twice_the_last_value_counts() {
    for (json, fingerprint) in [
        (r#"{"service_id":"a","title":"t","service_id":"b"}"#, "b|uncategorized|production"),
        (r#"{"service_id":5,"title":"t","service_id":"b"}"#, "b|uncategorized|production"),
        (r#"{"service_id":"b","title":7,"title":"t","category":"c","category":""}"#, "b|uncategorized|production"),
        (
            r#"{"service_id":"b","title":"t","labels":{"model_id":"m","model_id":"n"},"labels":{"model_id":"o","metric_type":1,"metric_type":"p"}}"#,
            "b|uncategorized|p|o|production",
        ),
        (r#"{"service_id":"b","title":"t","labels":{"model_id":"m"},"labels":{}}"#, "b|uncategorized|production"),
        (r#"{"service_id":"b","title":"t","metadata":{"threshold":5},"metadata":{"x":1}}"#, "b|uncategorized|production"),
        (r#"{"service_id":"b","title":"t","metadata":{"threshold":5,"threshold":6}}"#, "b|uncategorized|production|6"),
        (r#"{"service_id":"b","title":"t","metadata":5,"metadata":{}}"#, "b|uncategorized|production"),
    ] {
        assert_eq!(alert(json).fingerprint, joined(fingerprint), "{json}");
    }
    assert_eq!(
        refused(br#"{"service_id":"a","title":"t","title":""}"#),
        "title: missing or empty; a non-empty string is required"
    );
}

#[test]
fn escapes_and_every_script_of_the_world_arrive() {
    let json = r#"{"service_id":"\u0441ервис-服务-\ud83d\ude00","title":"a\u0000b\n","labels":{"mod\u0065l_id":"g\u0070t"}}"#;
    let seen = alert(json);
    assert_eq!(seen.service_id, "сервис-服务-😀");
    assert_eq!(seen.body.title, "a\0b\n");
    assert_eq!(seen.fingerprint, joined("сервис-服务-😀|uncategorized|gpt|production"));
}

#[test]
fn a_current_value_is_a_number_or_something_else_or_nothing() {
    for (json, is) in [
        ("7.5", CurrentValue::Number(7.5)),
        ("\" 8 \"", CurrentValue::Number(8.0)),
        ("\"\"", CurrentValue::Absent),
        ("null", CurrentValue::Absent),
        ("\"hot\"", CurrentValue::Other),
        ("{\"a\":1}", CurrentValue::Other),
        ("false", CurrentValue::Other),
    ] {
        assert_eq!(alert(&with(&format!(r#""metadata":{{"current_value":{json}}}"#))).current_value, is, "{json}");
    }
}
