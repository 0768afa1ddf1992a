//! What reading alerts and writing incidents cost on one core: `cargo bench --bench codec`.

use divan::{Bencher, black_box, counter::BytesCount, counter::ItemsCount};
use incidentd::codec::{AlertRecord, Item, Settings, read_alerts, read_incident, write_output};
use incidentd::model::{Incident, IncidentId, Origin, Output, Time, Topic};
use std::sync::Arc;

const ORIGIN: Origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };

/// An alert of about 650 bytes, as in the end-to-end run.
const ALERT: &str = concat!(
    r#"{"service_id":"llm-inference-prod-0417","title":"p95 latency above 5 s","description":"p95 latency of completions has "#,
    r#"been above its threshold for five minutes","category":"model_performance","environment":"production","severity":"high","#,
    r#""timestamp":"2026-11-23T16:04:10.510Z","source":"probe-eu-central-1a","labels":{"metric_type":"latency","#,
    r#""model_id":"gpt-4","model_version":"v1.2.3","tenant_id":"tenant-00042","region":"eu-central-1","component":"inference"},"#,
    r#""metadata":{"current_value":7.25,"threshold":5.0,"unit":"s","dashboard_url":"https://grafana.example/d/llm-latency","#,
    r#""runbook_url":"https://runbooks.example/llm/latency","deployment_id":"deploy-2026-11-23-17"}}"#
);

fn main() {
    assert!((600..700).contains(&ALERT.len()), "{} bytes", ALERT.len());
    divan::main();
}

fn record(value: &str) -> AlertRecord<'_> {
    AlertRecord { origin: ORIGIN, time: Time(1_800_000_000_000), value: Some(value.as_bytes()), form: None }
}

/// What a merge costs: the head and its fingerprint.
fn heads(bencher: Bencher<'_, '_>, text: &str, alerts: usize) {
    let settings = Settings::default();
    let read = || {
        let mut read = 0;
        read_alerts(&record(black_box(text)), &settings, &mut |item| {
            let Item::Alert { alert, .. } = item else { panic!("refused") };
            black_box(alert.fingerprint);
            read += 1;
        });
        assert_eq!(read, alerts);
    };
    bencher.counter(ItemsCount::new(alerts)).counter(BytesCount::new(text.len())).bench_local(read);
}

#[divan::bench]
fn alert(bencher: Bencher<'_, '_>) {
    heads(bencher, ALERT, 1);
}

/// With an escape in a field that is kept.
#[divan::bench]
fn alert_with_escapes(bencher: Bencher<'_, '_>) {
    heads(bencher, &ALERT.replace("model_performance", "model\\u002dperformance").replace("above 5", "above \\\"5\\\""), 1);
}

/// Above 8 KiB, where serde_json parses.
#[divan::bench]
fn alert_of_16_kib(bencher: Bencher<'_, '_>) {
    heads(bencher, &ALERT.replace("five minutes", &"five minutes ".repeat(1_250)), 1);
}

/// A duplicate key makes the full reader decide.
#[divan::bench]
fn alert_by_the_full_reader(bencher: Bencher<'_, '_>) {
    heads(bencher, &ALERT.replace("\"title\"", "\"title\":5,\"title\""), 1);
}

#[divan::bench(args = [1, 100, 1_000])]
fn webhook_body(bencher: Bencher<'_, '_>, alerts: usize) {
    let element = |n: usize| {
        format!(
            r#"{{"status":"firing","labels":{{"alertname":"HighLatency","service":"llm-{n}","severity":"warning","pod":"pod-{n}"}},"annotations":{{"summary":"p95 latency above 5 s","runbook":"https://runbooks.example/latency"}},"startsAt":"2026-11-23T16:03:38.552151914Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"http://prom.example:9090/graph?g0.expr=up","fingerprint":"f23c738d60911846"}}"#
        )
    };
    let body =
        format!(r#"{{"receiver":"r","alerts":[{}],"version":"4"}}"#, (0..alerts).map(element).collect::<Vec<_>>().join(","));
    heads(bencher, &body, alerts);
}

/// What a creation costs besides.
#[divan::bench]
fn alert_with_body(bencher: Bencher<'_, '_>) {
    let settings = Settings::default();
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| {
        read_alerts(&record(black_box(ALERT)), &settings, &mut |item| {
            let Item::Alert { alert, .. } = item else { panic!("refused") };
            black_box((alert.body)());
        });
    });
}

fn incident() -> Incident {
    let settings = Settings::default();
    let mut made = None;
    read_alerts(&record(ALERT), &settings, &mut |item| {
        let Item::Alert { alert, .. } = item else { panic!("refused") };
        let body = (alert.body)();
        made = Some(Incident {
            id: IncidentId::derive(0, &ORIGIN),
            fingerprint: alert.fingerprint,
            dedup_key: body.dedup_key,
            title: body.title,
            description: body.description,
            severity: alert.severity,
            category: body.category,
            service_id: alert.service_id.to_string(),
            environment: body.environment,
            status: incidentd::model::Status::Triggered,
            triggered_at: alert.timestamp,
            acknowledged_at: None,
            acknowledged_by: None,
            resolved_at: None,
            resolved_by: None,
            resolution: None,
            labels: body.labels,
            metadata: body.metadata,
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
            first_seen_at: alert.timestamp,
            last_seen_at: alert.timestamp,
            version: 1,
            last_alert: ORIGIN,
        });
    });
    made.expect("the alert is good")
}

#[divan::bench]
fn write_incident(bencher: Bencher<'_, '_>) {
    let (output, settings) = (Output::Incident(Arc::new(incident())), Settings::default());
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| write_output(black_box(&output), &settings));
}

#[divan::bench]
fn read_incident_back(bencher: Bencher<'_, '_>) {
    let settings = Settings::default();
    let record = write_output(&Output::Incident(Arc::new(incident())), &settings).and_then(|record| record.value);
    let value = record.expect("a value");
    bencher.counter(ItemsCount::new(1_usize)).bench_local(|| read_incident(black_box(&value)));
}
