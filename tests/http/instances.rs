//! Two instances behind one address: every route, body for body; what one has written the other shows within a second, the
//! same one at once.

use super::client::{Client, alert};
use super::pair::{Pair, fixed, whole};
use super::{app, ready};
use crate::kafka::turn;
use crate::support::app::Settings;
use crate::support::client::read_all;
use crate::support::wait_until;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(20);
const INCIDENT: &str = "/v1/incidents/{id}";

/// A level to go on to by hand, and a remediation that waits for a person.
const RULES: &str = r##"
notification(#{ name: "page", where: #{ severity: "critical" }, channels: [ slack("#critical") ] });
escalation(#{ name: "hands", where: #{ service_id: "by-hand" },
    levels: [ level(0, [slack_channel("#first")]), level(600, [slack_channel("#second")]) ] });
remediation(#{ name: "careful", where: #{ service_id: ["approved", "rejected"] }, actions: [ restart() ], approval: "required" });
"##;

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}

/// Opens an incident of that service; its id.
fn open(pair: &mut Pair, service: &str) -> String {
    text(&pair.write("POST", "/v1/incidents", "", &alert(service, "t"), 201)["incident"]["id"])
}

/// A command at one, its outcome on both.
fn command(pair: &mut Pair, id: &str, command: &str, body: &Value, done: &str, status: &str) -> Value {
    let answer = pair.write("PATCH", &format!("{INCIDENT}/{command}"), id, body, 200);
    assert_eq!((&answer["status"], &answer["incident"]["status"]), (&json!(done), &json!(status)), "{command}");
    assert_eq!(pair.read(INCIDENT, id, whole), answer["incident"], "{command}: what is answered is what is read");
    answer["incident"].clone()
}

#[test]
fn every_route_is_the_same_on_both_sides() {
    let _turn = turn();
    let mut pair = Pair::start("http-pair", Settings { rules: RULES.to_owned(), ..Settings::default() });
    seed_routes(&mut pair);
    commands(&mut pair);
    reports(&mut pair);
    silences(&mut pair);
    rules(&mut pair);
    assert_eq!(pair.unused(), [], "no route is left out");
    pair.stop();
}

/// Body for body.
fn seed_routes(pair: &mut Pair) {
    let alert = json!({
        "service_id": "llm-gateway", "title": "slow", "description": "p99 is 9 s", "severity": "critical",
        "category": "model_performance", "environment": "staging",
        "labels": {"model_id": "gpt-4", "metric_type": "latency", "region": "eu-1"},
        "metadata": {"threshold": 5.0, "current_value": 9.5, "unit": "s", "runbook_url": "https://runbooks.example.com/slow"},
    });
    let created = pair.write("POST", "/v1/incidents", "", &alert, 201);
    assert_eq!((created.as_object().map(serde_json::Map::len), &created["status"]), (Some(2), &json!("created")));
    let mut expected = alert.clone();
    for (name, value) in [
        ("status", json!("triggered")),
        ("occurrence_count", json!(1)),
        ("escalation_level", json!(0)),
        ("suppressed", json!(false)),
        ("related_incident_ids", json!([])),
        ("silenced_by", json!([])),
        ("notifications", json!([])),
        ("timeline", json!([{"timestamp": null, "event": "triggered", "user": "system"}])),
    ] {
        expected[name] = value;
    }
    assert_eq!(fixed(&created["incident"]), expected);
    let id = text(&created["incident"]["id"]);
    assert_eq!(pair.read(INCIDENT, &id, whole), created["incident"]);

    let merged = pair.write("POST", "/v1/incidents", "", &alert, 200);
    let message = "Merged into existing incident (occurrence #2)";
    assert_eq!(merged, json!({"status": "merged", "incident_id": id, "message": message}));

    let acknowledged =
        command(pair, &id, "acknowledge", &json!({"user": "alice", "note": "on it"}), "acknowledged", "acknowledged");
    assert_eq!((&acknowledged["acknowledged_by"], &acknowledged["occurrence_count"]), (&json!("alice"), &json!(2)));
    assert!(acknowledged["acknowledged_at"].is_string());
    let timeline = pair.read(&format!("{INCIDENT}/timeline"), &id, whole);
    assert_eq!(timeline, json!({"timeline": acknowledged["timeline"]}));
    let last = timeline["timeline"].as_array().and_then(|all| all.last()).expect("an entry");
    assert_eq!(
        (&last["event"], &last["user"], &last["details"]),
        (&json!("acknowledged"), &json!("alice"), &json!({"note": "on it"}))
    );

    let resolved = command(pair, &id, "resolve", &json!({"user": "bob", "resolution": "restarted"}), "resolved", "resolved");
    assert_eq!((&resolved["resolved_by"], &resolved["resolution"]), (&json!("bob"), &json!("restarted")));
    assert!(resolved["resolved_at"].is_string());

    let other = open(pair, "chat");
    let page = json!({"total": 2, "limit": 50, "offset": 0});
    let all = pair.read("/v1/incidents", "", whole);
    assert_eq!(all["pagination"], page);
    assert_eq!(all["incidents"].as_array().map(Vec::len), Some(2));
    for (query, found) in [
        ("status=resolved,closed", &id),
        ("severity=critical&service_id=llm-gateway", &id),
        ("environment=production", &other),
        ("limit=1", &other),
        ("limit=1&offset=1", &id),
    ] {
        let list = pair.read(&format!("/v1/incidents?{query}"), "", whole);
        assert_eq!(list["incidents"].as_array().map(Vec::len), Some(1), "{query}");
        assert_eq!(list["incidents"][0]["id"], json!(found), "{query}");
    }

    let decisions = wait_until("the decisions of both events", LIMIT, || {
        let told = pair.read(&format!("{INCIDENT}/decisions"), &other, |_| json!(null));
        (told["decisions"].as_array().is_some_and(|all| !all.is_empty())).then_some(told)
    });
    assert_eq!(pair.read(&format!("{INCIDENT}/decisions"), &other, whole), decisions);

    let element = json!({
        "status": "firing", "labels": {"alertname": "Full", "service": "disk", "severity": "warning"},
        "annotations": {"summary": "92 %", "runbook": "https://runbooks.example.com/disk"}, "startsAt": "2026-01-01T00:00:00Z",
        "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "http://prometheus:9090/g", "fingerprint": "00000000000000aa",
    });
    let received = pair.write("POST", "/v1/webhooks/alertmanager", "", &json!({"version": "4", "alerts": [element]}), 200);
    assert_eq!(received, json!({"status": "received"}));
    // Kafka has it; the engine is not waited for.
    wait_until("its incident", LIMIT, || {
        let list = pair.read("/v1/incidents?service_id=disk", "", |_| json!(null));
        (list["pagination"]["total"] == json!(1)).then_some(())
    });
    let incident = pair.read("/v1/incidents?service_id=disk", "", whole)["incidents"][0].clone();
    for (field, value) in [
        ("title", json!("Full")),
        ("description", json!("92 %")),
        ("severity", json!("medium")),
        ("category", json!("infrastructure")),
        ("environment", json!("production")),
        ("labels", json!({"alertname": "Full", "service": "disk", "severity": "warning"})),
    ] {
        assert_eq!(incident[field], value, "{field}");
    }
    assert_eq!(incident["metadata"]["runbook_url"], "https://runbooks.example.com/disk");
    assert_eq!(incident["metadata"]["alert_manager_url"], "http://prometheus:9090/g");
}

fn commands(pair: &mut Pair) {
    let id = open(pair, "by-hand");
    let noted = command(pair, &id, "note", &json!({"note": "seen", "user": "eve"}), "noted", "triggered");
    let last = noted["timeline"].as_array().and_then(|all| all.last()).expect("an entry");
    assert_eq!((&last["event"], &last["details"]), (&json!("note"), &json!({"note": "seen"})));
    let assigned = command(pair, &id, "assign", &json!({"assignee": "carol"}), "assigned", "triggered");
    assert_eq!(assigned["assigned_to"], "carol");
    let escalated = command(pair, &id, "escalate", &json!({}), "escalated", "triggered");
    assert_eq!((&escalated["escalation_level"], &escalated["escalation_policy_id"]), (&json!(1), &json!("hands")));
    let snoozed = command(pair, &id, "snooze", &json!({"minutes": 5}), "snoozed", "triggered");
    assert!(snoozed["snoozed_until"].is_string());
    for (name, done) in
        [("acknowledge", "acknowledged"), ("investigate", "investigating"), ("identify", "identified"), ("resolve", "resolved")]
    {
        command(pair, &id, name, &json!({}), done, done);
    }
    command(pair, &id, "reopen", &json!({}), "triggered", "triggered");
    command(pair, &id, "close", &json!({}), "closed", "closed");

    for (service, name, done) in [("approved", "approve_remediation", "approved"), ("rejected", "reject_remediation", "rejected")]
    {
        let id = open(pair, service);
        command(pair, &id, name, &json!({"user": "dave"}), done, "triggered");
    }
}

/// What executors and senders say of actions that were written.
fn reports(pair: &mut Pair) {
    let action = |pair: &Pair, topic: &str, service: &str| {
        wait_until("the action", LIMIT, || {
            let mut records = read_all(&pair.app.topic(topic)).into_iter().map(|record| record.json());
            records.find(|action| action["incident"]["service_id"] == service)
        })
    };
    let remediation = action(pair, "remediations", "approved");
    let result = json!({"action_id": remediation["id"], "outcome": "succeeded"});
    command(pair, &text(&remediation["incident_id"]), "remediation_result", &result, "received", "triggered");

    let page = action(pair, "notifications", "chat");
    let receipt = json!({"action_id": page["id"], "channel": "slack", "target": "#critical", "delivered": true, "attempts": 1});
    let id = text(&page["incident_id"]);
    let answer = pair.write("PATCH", &format!("{INCIDENT}/delivery_receipt"), &id, &receipt, 200);
    assert_eq!(answer["status"], "received");
    // Receipts are published as counts are, not at once.
    wait_until("the receipt is shown", LIMIT, || {
        let shown = pair.read(INCIDENT, &id, |_| json!(null));
        (shown["notifications"][0]["target"] == "#critical").then_some(())
    });
    pair.read(INCIDENT, &id, whole);
}

fn silences(pair: &mut Pair) {
    let none = json!({"silences": []});
    assert_eq!(pair.read("/v1/silences", "", whole), none);
    let matchers = json!([{"name": "service_id", "value": "chat", "isRegex": false, "isEqual": true}]);
    let mut body = json!({"matchers": matchers, "ends_at": "2099-01-01T00:00:00Z", "comment": "maintenance", "user": "alice"});
    let made = pair.write("POST", "/v1/silences", "", &body, 201);
    assert_eq!(made["status"], "created");
    assert_eq!(pair.read("/v1/silences", "", whole), json!({"silences": [made["silence"]]}));
    body["silence_id"] = made["silence"]["id"].clone();
    body["comment"] = json!("longer");
    let changed = pair.write("POST", "/v1/silences", "", &body, 200);
    assert_eq!((&changed["status"], &changed["silence"]["comment"]), (&json!("updated"), &json!("longer")));
    assert_eq!(pair.read("/v1/silences", "", whole), json!({"silences": [changed["silence"]]}));
    let id = text(&made["silence"]["id"]);
    let expired = pair.write("DELETE", "/v1/silences/{id}", &id, &json!(null), 200);
    assert_eq!(expired, json!({"status": "expired", "silence_id": id}));
    assert_eq!(pair.read("/v1/silences", "", whole), none);
}

/// Each has its own folder's set in force, which is the same.
fn rules(pair: &mut Pair) {
    let same = |report: &Value| json!([report["hash"], report["rules"], report["refused"]]);
    let report = pair.read("/v1/rules", "", same);
    assert_eq!(report["rules"].as_array().map(Vec::len), Some(3));
    for _ in 0..2 {
        let reloaded = pair.write("POST", "/v1/rules/reload", "", &json!(null), 200);
        assert_eq!(reloaded, json!({"status": "unchanged", "hash": report["hash"]}));
    }
}

#[test]
fn who_comes_later_has_read_everything_before_it_is_ready() {
    let _turn = turn();
    let app = app("http-two", Settings { workers: 1, ..Settings::default() });
    let first = app.start_dynamic("first");
    let client = ready(&first);
    for n in 0..20 {
        client.post("/v1/incidents", &alert(&format!("service-{n}"), "t")).expect(201);
    }
    let total = |client: &Client| client.get("/v1/incidents?limit=1").expect(200)["pagination"]["total"].clone();
    assert_eq!(total(&client), json!(20));
    first.stop();
    let second = app.start_dynamic("second");
    assert_eq!(total(&ready(&second)), json!(20));
    second.stop();
}

#[test]
fn a_command_is_answered_within_a_commit() {
    let _turn = turn();
    let app = app("http-latency", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let mut times = Vec::new();
    for n in 0..60 {
        let id = client.post("/v1/incidents", &alert(&format!("service-{n}"), "t")).expect(201)["incident"]["id"].clone();
        let began = Instant::now();
        client.patch(&format!("/v1/incidents/{}/acknowledge", id.as_str().expect("an id")), &json!({})).expect(200);
        times.push(began.elapsed());
    }
    times.sort_unstable();
    eprintln!("acknowledge: p50 {:?}, p90 {:?}, max {:?}", times[30], times[54], times[59]);
    // Far from the aim (docs/performance.md), for other tests fill the machine.
    assert!(times[54] < Duration::from_secs(1), "{times:?}");
    process.stop();
}
