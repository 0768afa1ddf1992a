//! The rules by the API: what is in force, and what a reload found.

use super::{app, ready};
use crate::kafka::turn;
use crate::support::app::Settings;
use serde_json::json;

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
