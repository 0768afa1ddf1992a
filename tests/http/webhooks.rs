//! Alertmanager's webhook: taken once Kafka has it, told in time where Kafka has not.

use super::{app, ready};
use crate::kafka::turn;
use crate::support::app::Settings;
use crate::support::client::read_all;
use crate::support::wait_until;
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/v1/webhooks/alertmanager";

fn element(service: &str, status: &str) -> Value {
    json!({
        "status": status, "labels": {"alertname": "HighLatency", "service": service, "severity": "critical"},
        "annotations": {"summary": "slow"}, "startsAt": "2026-01-01T00:00:00Z", "endsAt": "0001-01-01T00:00:00Z",
        "generatorURL": "http://prometheus:9090", "fingerprint": format!("{:016x}", service.len()),
    })
}

#[test]
fn a_body_is_received_and_becomes_incidents() {
    let _turn = turn();
    let app = app("http-webhook", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let body = json!({"version": "4", "status": "firing", "alerts": [element("a", "firing"), {"labels": 5}, element("longer", "firing")]});
    assert_eq!(client.post(PATH, &body).expect(200), json!({"status": "received"}));
    wait_until("both incidents", Duration::from_secs(20), || {
        (client.get("/v1/incidents").expect(200)["pagination"]["total"] == json!(2)).then_some(())
    });
    wait_until("the bad one in dead-letters", Duration::from_secs(20), || {
        (read_all(&app.topic("dead-letters")).len() == 1).then_some(())
    });
    // Said again, as retries do: nothing changes. No content type, an empty body's list, a thousand alerts: all are taken.
    client.post(PATH, &body).expect(200);
    client.send("POST", PATH, Some(b"{\"alerts\":[]}"), &[]).expect(200);
    let many: Vec<Value> = (0..1_000)
        .map(|n| {
            let mut element = element("many", "firing");
            element["labels"]["instance"] = json!(n.to_string());
            element["annotations"]["description"] = json!("d".repeat(1_000));
            element["fingerprint"] = json!(format!("{n:016x}"));
            element
        })
        .collect();
    let many = json!({"alerts": many});
    assert!(many.to_string().len() > 1_200_000, "more than Kafka takes by default");
    client.post(PATH, &many).expect(200);
    let shown = wait_until("the thousand counted", Duration::from_secs(30), || {
        let list = client.get("/v1/incidents?service_id=many").expect(200);
        let counts = list["incidents"].as_array()?.iter().filter_map(|incident| incident["occurrence_count"].as_u64());
        (counts.sum::<u64>() == 1_000).then_some(list)
    });
    assert!(shown["pagination"]["total"].as_u64().is_some_and(|total| total >= 1));
    for (body, field) in [("{}", Some("alerts")), ("{\"alerts\":{}}", Some("alerts")), ("[]", None), ("", None), ("x", None)] {
        client.send("POST", PATH, Some(body.as_bytes()), &[]).problem(400, field);
    }
    client.send("POST", PATH, Some(&vec![b' '; (4 << 20) + 1]), &[]).problem(413, None);
    client.send("POST", PATH, Some(b"\x1f\x8b"), &[("content-encoding", "gzip")]).problem(415, Some("content-encoding"));
    // A redirect would lose the alerts: Alertmanager takes what lies behind it for delivery.
    let slash = format!("{PATH}/");
    assert_eq!(client.post(&slash, &body).expect(200), json!({"status": "received"}));
    client.send("POST", &slash, Some(b"{}"), &[("content-encoding", "identity")]).problem(400, Some("alerts"));
    assert_eq!(client.get("/v1/incidents?service_id=a,longer").expect(200)["pagination"]["total"], json!(2));
    process.stop();
}
