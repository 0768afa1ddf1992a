//! What a newer Alertmanager (0.34.2) was recorded to send, byte for byte: bodies of its webhook to the route, records of its
//! Kafka event recorder to the topic.

use super::alertmanager::{Alertmanager, alert, ended, sum};
use super::webhooks::{incidents, the};
use crate::http::client::Client;
use crate::http::{app, ready};
use crate::kafka::turn;
use crate::support::app::Settings;
use crate::support::broker::bootstrap;
use crate::support::client::{Writer, read_all};
use crate::support::wait_until;
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/v1/webhooks/alertmanager";
const LIMIT: Duration = Duration::from_secs(30);

macro_rules! recorded {
    ($name:literal) => {
        include_str!(concat!("../fixtures/alertmanager/", $name))
    };
}

/// As Alertmanager posts it.
fn tell(client: &Client, body: &str) {
    let headers = [("content-type", "application/json"), ("user-agent", "Alertmanager/0.34.2")];
    assert_eq!(client.send("POST", PATH, Some(body.as_bytes()), &headers).expect(200), json!({"status": "received"}));
}

/// Until alerts of that outcome are as many as wanted.
fn counted(client: &Client, outcome: &str, wanted: f64) {
    let found = || sum(&client.get("/metrics").text, "incidentd_alerts_total", &format!("outcome=\"{outcome}\""));
    let mut last = -1.0;
    wait_until(&format!("{wanted} alerts are {outcome}"), LIMIT, || {
        last = found();
        assert!(last <= wanted, "{last} alerts are {outcome}");
        (last == wanted).then_some(())
    });
}

#[test]
fn bodies_of_a_newer_alertmanager_become_the_right_incidents() {
    let _turn = turn();
    let app = app("am-recorded", Settings::default());
    let process = app.start();
    let client = ready(&process);

    // One problem of three instances: one of them ends, then the others.
    let service = "llm-inference-prod";
    tell(&client, recorded!("firing_group.json"));
    let opened = the(&client, service, "three are counted", |it| it["occurrence_count"] == 3);
    assert_eq!((&opened["status"], &opened["severity"]), (&json!("triggered"), &json!("critical")));
    tell(&client, recorded!("mixed.json"));
    counted(&client, "refreshed", 2.0);
    let still = the(&client, service, "it is there", |_| true);
    assert_eq!((&still["status"], &still["occurrence_count"]), (&json!("triggered"), &json!(3)));
    tell(&client, recorded!("resolved.json"));
    let over = the(&client, service, "it is over", |it| it["status"] == "resolved");
    assert_eq!((&over["occurrence_count"], &over["id"]), (&json!(3), &opened["id"]));
    assert_eq!(over["resolved_at"], "2026-11-23T16:03:41.586Z", "when Alertmanager says that it ended");

    // Said again: the same firing.
    tell(&client, recorded!("repeat_first.json"));
    the(&client, "r", "it fires", |it| it["occurrence_count"] == 1);
    tell(&client, recorded!("repeat_second.json"));
    counted(&client, "refreshed", 3.0);
    the(&client, "r", "it counts one", |it| it["occurrence_count"] == 1 && it["status"] == "triggered");

    // No service and no job, no alertname, a severity that is none: each is an incident, and each is told.
    tell(&client, recorded!("by_none.json"));
    let titled = |service: &str, title: &str| {
        wait_until(&format!("{title} of {service}"), LIMIT, || {
            incidents(&client, service).into_iter().find(|incident| incident["title"] == title)
        })
    };
    titled("unknown", "unnamed alert");
    let strange = titled("unknown", "NoService");
    assert_eq!((&strange["severity"], &strange["metadata"]["original_severity"]), (&json!("medium"), &json!("strange")));
    for (service, title, severity) in
        [("search", "DiskFull", "low"), ("payments", "HighErrorRate", "high"), ("payments", "HighLatency", "medium")]
    {
        assert_eq!(titled(service, title)["severity"], severity, "{service} {title}");
    }
    tell(&client, recorded!("from_prometheus_watchdog_firing.json"));
    titled("unknown", "Watchdog");

    // Whatever text Prometheus lets through.
    tell(&client, recorded!("unusual_unicode_values.json"));
    titled("платежи-服务-😀", "Unusual unicode_values");
    // More labels than limits.labels: that alert alone is refused, with the reason.
    tell(&client, recorded!("unusual_labels_200.json"));
    let refused = wait_until("it is in dead-letters", LIMIT, || read_all(&app.topic("dead-letters")).into_iter().next());
    assert_eq!(refused.header("__incidentd.error.stage").as_deref(), Some("decode"));
    assert!(refused.header("__incidentd.error.reason").is_some_and(|reason| reason.contains("labels")), "{refused:?}");
    assert_eq!(read_all(&app.topic("dead-letters")).len(), 1);
    process.stop();
}

/// Fires, ends, fires again, told within minutes of each other: the recorded bodies with their times moved to now.
#[test]
fn a_recorded_flap_is_one_incident_that_reopens() {
    let _turn = turn();
    let app = app("am-flap", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let now = jiff::Timestamp::now();
    let recorded_at: jiff::Timestamp = "2026-11-23T16:04:05.458113028Z".parse().expect("a time");
    let moved = |body: &str| {
        let mut body: Value = serde_json::from_str(body).expect("JSON");
        for name in ["startsAt", "endsAt"] {
            let time: jiff::Timestamp = body["alerts"][0][name].as_str().expect("a time").parse().expect("a time");
            if time > jiff::Timestamp::UNIX_EPOCH {
                // The last of the three begins three seconds after the first, and nothing may begin later than now.
                body["alerts"][0][name] = json!((now + (time - recorded_at) - jiff::SignedDuration::from_secs(5)).to_string());
            }
        }
        body.to_string()
    };
    tell(&client, &moved(recorded!("flap_1_firing.json")));
    let opened = the(&client, "f", "it fires", |it| it["status"] == "triggered");
    tell(&client, &moved(recorded!("flap_2_resolved.json")));
    the(&client, "f", "it is over", |it| it["status"] == "resolved");
    tell(&client, &moved(recorded!("flap_3_firing.json")));
    let again = the(&client, "f", "it fires again", |it| it["status"] == "triggered");
    assert_eq!((&again["id"], &again["occurrence_count"]), (&opened["id"], &json!(2)));
    process.stop();
}

/// A body that `max_alerts` cut: those that it names count.
#[test]
fn a_recorded_body_that_was_cut_short_counts_what_it_holds() {
    let _turn = turn();
    let app = app("am-cut", Settings::default());
    let process = app.start();
    let client = ready(&process);
    tell(&client, recorded!("truncated_mixed.json"));
    the(&client, "llm-inference-prod", "two fire", |it| it["status"] == "triggered" && it["occurrence_count"] == 2);
    process.stop();
}

/// The same from a real one, where `INCIDENTD_TEST_ALERTMANAGER` names one that can (0.33 and later; Debian's cannot).
#[test]
fn a_real_event_recorder_writes_to_the_topic() {
    if !Alertmanager::can_record() {
        return;
    }
    let _turn = turn();
    let app = app("am-recording", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let alertmanager = Alertmanager::recording(bootstrap(), &app.topic("alerts"));
    let pods: Vec<Value> = (0..3).map(|pod| alert("recorded", "recorded", &format!("pod-{pod}"), json!({}))).collect();
    alertmanager.take(&pods);
    the(&client, "recorded", "three fire", |it| it["status"] == "triggered" && it["occurrence_count"] == 3);
    alertmanager.take(&pods.iter().map(ended).collect::<Vec<_>>());
    the(&client, "recorded", "it is over", |it| it["status"] == "resolved" && it["occurrence_count"] == 3);
    assert!(read_all(&app.topic("dead-letters")).is_empty());
    process.stop();
}

/// Alertmanager's own Kafka output, pointed at `alerts`: its alerts are understood, its other events are counted.
#[test]
fn records_of_its_event_recorder_are_understood() {
    let _turn = turn();
    let app = app("am-recorder", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let lines: Vec<&str> = recorded!("event_recorder.jsonl").lines().collect();
    let writer = Writer::new();
    let topic = app.topic("alerts");
    let write = |line: &str| {
        // Its key is the name of its host: the service is at home elsewhere.
        writer.send(&topic, "vm", line.as_bytes());
        writer.flush();
    };
    let (before, after) = lines.split_at(4);
    assert!(before[1].contains("alertCreated") && after[0].contains("alertResolved"));
    before.iter().for_each(|line| write(line));
    let fires = the(&client, "llm", "it fires", |it| it["status"] == "triggered");
    assert_eq!((&fires["title"], &fires["severity"]), (&json!("HighLatency"), &json!("critical")));
    after.iter().for_each(|line| write(line));
    let over = the(&client, "llm", "it is over", |it| it["status"] == "resolved");
    assert_eq!((&over["occurrence_count"], &over["id"]), (&json!(1), &fires["id"]));
    counted(&client, "ignored", 4.0);
    assert!(read_all(&app.topic("dead-letters")).is_empty());
    process.stop();
}
