//! Every route of the seed, body for body, and what each says of a wrong request.

use super::client::alert;
use super::{app, ready};
use crate::kafka::turn;
use crate::support::app::Settings;
use crate::support::wait_until;
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

#[test]
fn an_incident_is_opened_shown_listed_and_resolved_as_in_the_seed() {
    let _turn = turn();
    let app = app("http-seed", Settings::default());
    let process = app.start();
    let client = ready(&process);

    let created = client.post("/v1/incidents", &alert("llm-gateway", "slow")).expect(201);
    assert_eq!(keys(&created), ["incident", "status"]);
    assert_eq!(created["status"], "created");
    let incident = &created["incident"];
    for (field, value) in [
        ("title", json!("slow")),
        ("severity", json!("critical")),
        ("status", json!("triggered")),
        ("environment", json!("production")),
        ("occurrence_count", json!(1)),
        ("escalation_level", json!(0)),
        ("suppressed", json!(false)),
    ] {
        assert_eq!(incident[field], value, "{field}");
    }
    assert_eq!((&incident["timeline"][0]["event"], &incident["timeline"][0]["user"]), (&json!("triggered"), &json!("system")));
    let id = incident["id"].as_str().expect("an id").to_owned();
    let merged = client.post("/v1/incidents", &alert("llm-gateway", "slow again")).expect(200);
    let message = "Merged into existing incident (occurrence #2)";
    assert_eq!(merged, json!({"status": "merged", "incident_id": id, "message": message}));

    // Read at once from where it was written.
    let path = format!("/v1/incidents/{id}");
    assert_eq!(client.get(&path).expect(200)["id"], json!(id));
    let acknowledged = client.patch(&format!("{path}/acknowledge"), &json!({"user": "alice", "note": "on it"})).expect(200);
    assert_eq!(keys(&acknowledged), ["incident", "status"]);
    assert_eq!(acknowledged["status"], "acknowledged");
    assert_eq!(acknowledged["incident"]["acknowledged_by"], "alice");
    let shown = client.get(&path).expect(200);
    assert_eq!(shown, acknowledged["incident"], "what was answered is what is read");
    let timeline = client.get(&format!("{path}/timeline")).expect(200);
    assert_eq!(keys(&timeline), ["timeline"]);
    assert_eq!(timeline["timeline"], shown["timeline"]);
    let last = timeline["timeline"].as_array().and_then(|entries| entries.last()).expect("an entry");
    assert_eq!((&last["event"], &last["user"]), (&json!("acknowledged"), &json!("alice")));
    assert_eq!(last["details"], json!({"note": "on it"}));

    let resolved = client.patch(&format!("{path}/resolve"), &json!({"user": "bob", "resolution": "restarted"})).expect(200);
    assert_eq!(resolved["status"], "resolved");
    assert_eq!((&resolved["incident"]["resolved_by"], &resolved["incident"]["resolution"]), (&json!("bob"), &json!("restarted")));

    // Why the page was sent.
    let decisions = wait_until("the decisions", LIMIT, || {
        let told = client.get(&format!("{path}/decisions")).expect(200);
        (told["decisions"].as_array().is_some_and(|all| !all.is_empty()) && told["complete"] == json!(true)).then_some(told)
    });
    let first = &decisions["decisions"][0];
    assert_eq!((&first["incident_id"], &first["event"]), (&json!(id), &json!("triggered")));
    assert!(first["results"].as_array().expect("results").iter().any(|it| it["rule"] == "critical" && it["result"] == "acted"));
    let page = client.get(&format!("{path}/decisions?from=1000000")).expect(200);
    assert_eq!(page, json!({"decisions": [], "complete": true}));
    process.stop();
}

#[test]
fn every_command_is_carried_out_and_named() {
    let _turn = turn();
    let app = app("http-commands", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let id = client.post("/v1/incidents", &alert("chat", "t")).expect(201)["incident"]["id"].clone();
    let path = format!("/v1/incidents/{}", id.as_str().expect("an id"));
    for (command, body, done, status) in [
        ("note", json!({"note": "seen"}), "noted", "triggered"),
        ("assign", json!({"assignee": "carol"}), "assigned", "triggered"),
        ("snooze", json!({"minutes": 5}), "snoozed", "triggered"),
        ("acknowledge", json!({}), "acknowledged", "acknowledged"),
        ("acknowledge", json!({}), "acknowledged", "acknowledged"),
        ("investigate", json!({}), "investigating", "investigating"),
        ("identify", json!({}), "identified", "identified"),
        ("resolve", json!({}), "resolved", "resolved"),
        ("reopen", json!({}), "triggered", "triggered"),
        ("close", json!({}), "closed", "closed"),
    ] {
        let answer = client.patch(&format!("{path}/{command}"), &body).expect(200);
        assert_eq!((&answer["status"], &answer["incident"]["status"]), (&json!(done), &json!(status)), "{command}");
        assert_eq!(client.get(&path).expect(200), answer["incident"], "{command}");
    }
    // Closed is final; a body is not needed; a report that comes too late is no error.
    let detail = client.send("PATCH", &format!("{path}/reopen"), Some(b""), &[]).problem(409, Some("incident_id"));
    assert!(detail.contains("closed, which is final"), "{detail}");
    let result = json!({"action_id": "act_1", "outcome": "succeeded"});
    assert_eq!(client.patch(&format!("{path}/remediation_result"), &result).expect(200)["status"], "ignored");
    let receipt = json!({"action_id": "act_1", "channel": "slack", "target": "#a", "delivered": true});
    assert_eq!(client.patch(&format!("{path}/delivery_receipt"), &receipt).expect(200)["status"], "ignored");
    for command in ["escalate", "approve_remediation", "reject_remediation"] {
        client.patch(&format!("{path}/{command}"), &json!({})).problem(409, Some("incident_id"));
    }
    process.stop();
}

#[test]
fn lists_filter_page_and_count() {
    let _turn = turn();
    let app = app("http-lists", Settings::default());
    let process = app.start();
    let client = ready(&process);
    for n in 0..12 {
        let mut alert = alert(&format!("service-{}", n % 3), "t");
        alert["dedup_key"] = json!(format!("key-{n}"));
        alert["severity"] = json!(["critical", "low"][n % 2]);
        alert["environment"] = json!(["prod", "staging"][n / 6]);
        alert["timestamp"] = json!(format!("2026-01-01T00:00:{n:02}Z"));
        client.post("/v1/incidents", &alert).expect(201);
    }
    let list = |query: &str| {
        let page = client.get(&format!("/v1/incidents?{query}")).expect(200);
        assert_eq!(keys(&page), ["incidents", "pagination"]);
        let seconds = page["incidents"].as_array().expect("incidents").iter().map(|incident| {
            incident["triggered_at"].as_str().and_then(|at| at.get(17..19)?.parse::<u64>().ok()).expect("a time")
        });
        (page["pagination"].clone(), seconds.collect::<Vec<_>>())
    };
    let page = |total: u64, limit: u64, offset: u64| json!({"total": total, "limit": limit, "offset": offset});
    assert_eq!(list(""), (page(12, 50, 0), (0..12).rev().collect()));
    assert_eq!(list("limit=3&offset=2"), (page(12, 3, 2), vec![9, 8, 7]));
    assert_eq!(list("offset=12"), (page(12, 50, 12), vec![]));
    assert_eq!(list("severity=low&environment=staging"), (page(3, 50, 0), vec![11, 9, 7]));
    assert_eq!(list("service_id=service-0,service-2&severity=critical&limit=2"), (page(4, 2, 0), vec![8, 6]));
    assert_eq!(list("status=triggered,resolved&service_id=service-1").0, page(4, 50, 0));
    assert_eq!(list("status=closed"), (page(0, 50, 0), vec![]));
    for (query, field) in [
        ("limit=501", "limit"),
        ("limit=0", "limit"),
        ("offset=-1", "offset"),
        ("status=open", "status"),
        ("severity=critical,urgent", "severity"),
        ("environment=prod", "environment"),
        ("sevrity=low", "sevrity"),
    ] {
        client.get(&format!("/v1/incidents?{query}")).problem(400, Some(field));
    }
    process.stop();
}

#[test]
fn a_wrong_request_is_told_what_is_wrong() {
    let _turn = turn();
    let app = app("http-wrong", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let json_type = [("content-type", "application/json")];
    for (body, status, field) in [
        (json!({"service_id": "a"}), 422, Some("title")),
        (json!({"title": "t"}), 422, Some("service_id")),
        (json!({"service_id": "a", "title": "t", "labels": {"region": 5}}), 422, Some("labels.region")),
        (json!({"alerts": []}), 422, Some("service_id")),
        (json!(["a"]), 422, None),
    ] {
        client.post("/v1/incidents", &body).problem(status, field);
    }
    client.send("POST", "/v1/incidents", Some(b"{\"service_id\":"), &json_type).problem(400, None);
    client.send("POST", "/v1/incidents", Some(b"\xff"), &json_type).problem(400, None);
    client.send("POST", "/v1/incidents", Some(b"a=b"), &[("content-type", "text/plain")]).problem(415, Some("content-type"));
    client.send("POST", "/v1/incidents", Some(&[b' '; 70_000]), &json_type).problem(413, None);
    let page = [("sec-fetch-site", "cross-site")];
    client.send("POST", "/v1/webhooks/alertmanager", Some(b"{\"alerts\":[]}"), &page).problem(403, Some("sec-fetch-site"));
    client.send("GET", "/v1/incidents", None, &page).expect(200);
    client.get("/v1/nowhere").problem(404, None);
    let refused = client.send("DELETE", "/v1/incidents", None, &[]);
    refused.problem(405, None);
    assert!(refused.headers["allow"].to_str().is_ok_and(|methods| methods.contains("POST")));
    // No shard has it; a shard has it not; it is none.
    for id in ["inc_ffff0123456789abcdef", "inc_00000123456789abcdef"] {
        client.get(&format!("/v1/incidents/{id}")).problem(404, Some("id"));
        client.get(&format!("/v1/incidents/{id}/decisions")).problem(404, Some("id"));
        client.patch(&format!("/v1/incidents/{id}/resolve"), &json!({})).problem(404, Some("incident_id"));
    }
    client.get("/v1/incidents/42/timeline").problem(404, Some("id"));
    let id = client.post("/v1/incidents", &alert("a", "t")).expect(201)["incident"]["id"].clone();
    let path = format!("/v1/incidents/{}", id.as_str().expect("an id"));
    client.patch(&format!("{path}/snooze"), &json!({"minutes": 0})).problem(422, Some("minutes"));
    client.patch(&format!("{path}/note"), &json!({})).problem(422, Some("note"));
    client.patch(&format!("{path}/close"), &json!({"incident_id": "inc_00000123456789abcdef"})).problem(422, Some("incident_id"));
    client.patch(&format!("{path}/reopen"), &json!({})).expect(200);
    client.patch(&format!("{path}/explode"), &json!({})).problem(404, None);
    assert_eq!(client.get("/v1/incidents").expect(200)["pagination"]["total"], json!(1), "nothing else was made");

    let named = client.send("GET", "/v1/nowhere", None, &[("x-request-id", "my-own-1")]);
    assert_eq!(named.headers["x-request-id"], "my-own-1");
    let made = client.send("GET", "/healthz", None, &[("x-request-id", "not one word")]);
    assert_eq!(made.headers["x-request-id"].len(), 32);
    let document = client.get("/openapi.json").expect(200);
    assert!(document["openapi"].as_str().is_some_and(|version| version.starts_with("3.1")));
    process.stop();
}

fn keys(value: &Value) -> Vec<&str> {
    value.as_object().expect("an object").keys().map(String::as_str).collect()
}
