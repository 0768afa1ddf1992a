//! The rules by the API: what is in force, and what a reload found.

use super::client::{Client, alert};
use super::{app, ready};
use crate::kafka::turn;
use crate::support::app::{PAGE_CRITICAL, Settings};
use crate::support::client::read_all;
use crate::support::wait_until;
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);

#[test]
fn a_reload_is_answered_with_what_it_found() {
    let _turn = turn();
    let app = app("http-rules", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let before = client.get("/v1/rules").expect(200);
    let rule = json!({
        "kind": "notification", "name": "critical", "priority": 0, "enabled": true, "file": "test.rhai", "line": 1, "column": 1,
    });
    assert_eq!(before["rules"], json!([rule]));
    assert_eq!(before["refused"], json!(null));
    let post = || client.send("POST", "/v1/rules/reload", Some(b""), &[]);
    let hash = before["hash"].clone();
    assert_eq!(post().expect(200), json!({"status": "unchanged", "hash": hash}));

    app.write_rules("more.rhai", "notification(#{ name: \"more\", chanels: [] });");
    let refused = post();
    let detail = refused.problem(422, None);
    assert!(detail.contains("more.rhai:1:"), "{detail}");
    let findings = refused.json()["findings"].to_string();
    assert!(findings.contains("chanels") && findings.contains("did you mean `channels`?"), "{findings}");
    // Asked again it is still so, and the old set is in force.
    post().problem(422, None);
    let shown = client.get("/v1/rules").expect(200);
    assert_eq!((&shown["hash"], &shown["rules"]), (&hash, &before["rules"]));
    assert_eq!(shown["refused"]["findings"][0]["file"], "more.rhai");

    app.write_rules("more.rhai", "notification(#{ name: \"more\", channels: [slack(\"#x\")], description: \"all else\" });");
    let applied = post().expect(200);
    assert_eq!(applied["status"], "applied");
    let shown = client.get("/v1/rules").expect(200);
    assert_eq!((&shown["hash"], &shown["refused"]), (&applied["hash"], &json!(null)));
    assert_ne!(applied["hash"], hash);
    assert!(shown["rules"].as_array().expect("rules").iter().any(|rule| rule["description"] == "all else"));
    process.stop();
}

/// The value of the metric that counts what came of the folder's changes.
fn reloads(client: &Client, outcome: &str) -> Option<f64> {
    let line = format!("incidentd_rules_reload_total{{outcome=\"{outcome}\"}} ");
    client.get("/metrics").text.lines().find_map(|text| text.strip_prefix(&line)?.parse().ok())
}

#[test]
fn a_changed_file_is_in_force_by_itself_and_a_wrong_one_never() {
    let _turn = turn();
    let app = app("http-watch", Settings { watch: true, ..Settings::default() });
    let process = app.start();
    let client = ready(&process);
    // A new incident, by which rules it was told to whom.
    let mut count = 0;
    let mut told = || {
        count += 1;
        let service = format!("service-{count}");
        client.post("/v1/incidents", &alert(&service, "t")).expect(201);
        wait_until("its page", LIMIT, || {
            let pages = read_all(&app.topic("notifications")).into_iter().map(|record| record.json());
            let page = pages.into_iter().find(|page| page["incident"]["service_id"] == json!(service))?;
            Some(page["channel"]["config"]["channel"].as_str()?.to_owned())
        })
    };
    let shown = || client.get("/v1/rules").expect(200);
    let before = shown();
    assert_eq!(told(), "#critical");

    app.write_rules("test.rhai", &PAGE_CRITICAL.replace("#critical", "#changed"));
    wait_until("the change is in force", LIMIT, || (told() == "#changed").then_some(()));
    let changed = shown();
    assert_ne!(changed["hash"], before["hash"]);
    assert_eq!((&changed["refused"], reloads(&client, "applied")), (&Value::Null, Some(1.0)));

    app.write_rules("test.rhai", &PAGE_CRITICAL.replace("severity", "severty"));
    let refused = wait_until("the wrong one is refused", LIMIT, || Some(shown()).filter(|shown| !shown["refused"].is_null()));
    let reason = refused["refused"]["reason"].as_str().expect("a reason");
    assert!(reason.starts_with("test.rhai:1:") && reason.contains("severty"), "{reason}");
    assert_eq!((&refused["hash"], &refused["rules"]), (&changed["hash"], &changed["rules"]));
    assert_eq!(reloads(&client, "rejected"), Some(1.0));
    assert!(process.log().contains("the changed set does not check; the old one stays in force"), "{}", process.log());
    assert_eq!(told(), "#changed", "the old one goes on");

    app.write_rules("test.rhai", &PAGE_CRITICAL.replace("#critical", "#mended"));
    wait_until("the mended one is in force", LIMIT, || (told() == "#mended").then_some(()));
    assert_eq!(shown()["refused"], Value::Null);
    process.stop();
}
