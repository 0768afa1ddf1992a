//! What cannot be taken: refused whole and untouched, with a reason that names the field; everything else goes on.

use super::*;

#[test]
fn the_reason_names_the_field() {
    for (json, reason) in [
        (r#"{"title":"t"}"#, "service_id: missing or empty; a non-empty string is required"),
        (r#"{"service_id":"s","title":""}"#, "title: missing or empty; a non-empty string is required"),
        (r#"{"service_id":5,"title":"t"}"#, "service_id: expected a string, found a number (5)"),
        (&with(r#""labels":{"region":5}"#), "labels.region: expected a string, found a number (5)"),
        (&with(r#""labels":{"a":["x"]}"#), "labels.a: expected a string, found an array"),
        (&with(r#""labels":"eu""#), r#"labels: expected an object, found a string ("eu")"#),
        (&with(r#""metadata":[]"#), "metadata: expected an object, found an array"),
        (&with(r#""severity":true"#), "severity: expected a string, found a boolean (true)"),
        (&with(r#""description":{}"#), "description: expected a string, found an object"),
        (&with(r#""status":"on fire""#), r#"status: expected `firing` or `resolved`, found "on fire""#),
        (
            &with(r#""timestamp":"yesterday""#),
            r#"timestamp: expected an RFC 3339 timestamp such as 2026-11-23T16:04:10.510Z, found "yesterday""#,
        ),
        (&with(r#""timestamp":1700000000"#), "timestamp: expected a string, found a number (1700000000)"),
        ("[]", "the record: expected a JSON object"),
        ("\"x\"", "the record: expected a JSON object"),
        (r#"{"alerts":5,"title":"t"}"#, "service_id: missing or empty; a non-empty string is required"),
    ] {
        assert_eq!(refused(json.as_bytes()), reason, "{json}");
    }
}

#[test]
fn what_is_not_json_says_where() {
    let near = "{\"service_id\":\"s\",\n\"title\":\"t\",}";
    assert_eq!(refused(near.as_bytes()), "not JSON: trailing comma at line 2 column 13");
    for bytes in [
        &b""[..],
        b" ",
        b"{",
        b"nonsense",
        b"{\"service_id\":\"s\",\"title\":\"t\"} {}",
        b"{\"service_id\":\"s\",\"title\":\"t\",\"metadata\":{\"x\":1e999}}",
        b"{\"service_id\":\"s\",\"title\":\"t\",\"x\":01}",
        b"{\"service_id\":\"s\",\"title\":\"t\",\"x\":\"\\ud800\"}",
        b"{\"service_id\":\"s\",\"title\":\"a\0b\"}",
        b"\0\0\0\0",
        b"{'service_id':'s'}",
        b"{\"service_id\":\"s\",\"title\":\"t\",\"x\":NaN}",
        b"\xef\xbb\xbf{\"service_id\":\"s\",\"title\":\"t\"}",
    ] {
        let reason = refused(bytes);
        assert!(reason.starts_with("not JSON: "), "{:?}: {reason}", String::from_utf8_lossy(bytes));
    }
    assert_eq!(refused(b"{\"service_id\":\"\xff\",\"title\":\"t\"}"), "not UTF-8: byte 15 is wrong");
}

#[test]
fn limits_are_held_to_the_byte_the_label_and_the_level() {
    let long = |bytes: usize| with(&format!(r#""description":"{}""#, "x".repeat(bytes - with(r#""description":"""#).len())));
    assert_eq!(alert(&long(65_536)).body.description.len(), 65_536 - with(r#""description":"""#).len());
    assert_eq!(refused(long(65_537).as_bytes()), "65537 bytes; an alert may have at most 65536 (limits.alert)");
    assert_eq!(refused(long(1 << 20).as_bytes()), "1048576 bytes; an alert may have at most 65536 (limits.alert)");
    assert_eq!(refused(long(5 << 20).as_bytes()), "5242880 bytes; a record may have at most 4194304 (limits.body_bytes)");

    let labels = |count: usize| {
        let pairs: Vec<_> = (0..count).map(|n| format!(r#""l{n}":"v""#)).collect();
        with(&format!(r#""labels":{{{}}}"#, pairs.join(",")))
    };
    assert_eq!(alert(&labels(64)).body.labels.len(), 64);
    assert_eq!(refused(labels(65).as_bytes()), "labels: 65 of them; at most 64 are taken (limits.labels)");
    let twice = labels(64).replace("\"l1\":", "\"l1\":\"\",\"l1\":");
    assert_eq!(alert(&twice).body.labels.len(), 64, "a name that comes twice is one label");

    for (open, close, name) in [("{\"a\":", "}", "metadata.a.a."), ("[", "]", "metadata.x[0][0]")] {
        let tower = |levels: usize| format!("{}1{}", open.repeat(levels), close.repeat(levels));
        let deep = |levels: usize| match close {
            "}" => with(&format!(r#""metadata":{}"#, tower(levels - 1))),
            _ => with(&format!(r#""metadata":{{"x":{}}}"#, tower(levels - 2))),
        };
        alert(&deep(32));
        for levels in [33, 200, 10_000] {
            let reason = refused(deep(levels).as_bytes());
            assert!(reason.starts_with(name) && reason.ends_with("nested deeper than 32 levels (limits.nesting)"), "{reason}");
        }
        refused(tower(10_000).as_bytes());
        refused(open.repeat(1_000_000).as_bytes());
        let unknown = with(&format!(r#""x":{}"#, tower(10_000)));
        assert!(refused(unknown.as_bytes()).contains("nested deeper than 32 levels"));
    }
}

#[test]
fn a_tombstone_is_refused() {
    let items = read_as(None, None, &Settings::default());
    let reason = "the record has no value (a tombstone)".to_owned();
    assert_eq!(items, [Read::Rejected { index: 0, reason, bytes: Vec::new() }]);
}

#[test]
fn numbers_past_64_bits_are_taken_as_javascript_takes_them() {
    let seen = alert(&with(r#""metadata":{"big":18446744073709551616,"small":-9223372036854775809,"current_value":1e300}"#));
    assert_eq!(metadata(&seen)["big"], 18_446_744_073_709_551_616.0_f64);
    assert_eq!(metadata(&seen)["small"], -9_223_372_036_854_775_809.0_f64);
    assert_eq!(seen.current_value, CurrentValue::Number(1e300));
}

#[test]
fn a_form_that_is_told_is_not_guessed_again() {
    let settings = Settings::default();
    let native = with("");
    assert!(matches!(read_as(Some(Form::Native), Some(native.as_bytes()), &settings)[..], [Read::Alert(_)]));
    let body = r#"{"alerts":[{"labels":{}}]}"#;
    for form in [Form::Native, Form::Element, Form::Recorder] {
        assert!(matches!(read_as(Some(form), Some(body.as_bytes()), &settings)[..], [Read::Rejected { .. }]), "{form:?}");
    }
}
