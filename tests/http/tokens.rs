//! Tokens: known by their hashes, each for what its scopes name; what a person does carries the token's name.

use super::client::alert;
use super::{app, ready};
use crate::kafka::turn;
use crate::support::app::Settings;
use serde_json::json;
use sha2::{Digest, Sha256};

fn token(name: &str, scopes: &str) -> String {
    let hash: String = Sha256::digest(format!("secret of {name}")).iter().map(|byte| format!("{byte:02x}")).collect();
    format!("{{ name = \"{name}\", sha256 = \"{hash}\", scopes = [{scopes}] }}")
}

#[test]
fn each_token_may_what_its_scopes_say() {
    let _turn = turn();
    let tokens = [
        token("reader", "\"read\""),
        token("sender", "\"alert\""),
        token("carol", "\"read\", \"operate\""),
        token("root", "\"admin\""),
    ];
    let api = format!("tokens = [{}]", tokens.join(", "));
    let app = app("http-tokens", Settings { api, ..Settings::default() });
    let process = app.start();
    // Probes, metrics and the description need none.
    let nobody = ready(&process);
    assert_eq!((nobody.get("/metrics").status, nobody.get("/openapi.json").status), (200, 200));
    let anonymous = nobody.get("/v1/incidents");
    anonymous.problem(401, Some("authorization"));
    assert!(anonymous.headers["www-authenticate"].to_str().is_ok_and(|challenge| challenge.starts_with("Bearer ")));
    let wrong = nobody.with_token("secret of nobody").get("/v1/incidents");
    assert!(wrong.problem(401, Some("authorization")).contains("not known"));
    nobody.post("/v1/webhooks/alertmanager", &json!({"alerts": []})).problem(401, Some("authorization"));
    let [reader, sender, carol, root] =
        ["reader", "sender", "carol", "root"].map(|name| nobody.with_token(&format!("secret of {name}")));

    let id = sender.post("/v1/incidents", &alert("a", "t")).expect(201)["incident"]["id"].clone();
    let path = format!("/v1/incidents/{}", id.as_str().expect("an id"));
    sender.post("/v1/webhooks/alertmanager", &json!({"alerts": []})).expect(200);
    for (client, needed) in [(&reader, "alert"), (&carol, "alert")] {
        let refused = client.post("/v1/incidents", &alert("a", "t"));
        assert!(refused.problem(403, Some("authorization")).contains(&format!("`{needed}`")));
    }
    sender.get(&path).problem(403, Some("authorization"));
    reader.get(&path).expect(200);
    reader.patch(&format!("{path}/acknowledge"), &json!({})).problem(403, Some("authorization"));
    carol.send("POST", "/v1/rules/reload", Some(b""), &[]).problem(403, Some("authorization"));

    let done = carol.patch(&format!("{path}/acknowledge"), &json!({})).expect(200);
    assert_eq!(done["incident"]["acknowledged_by"], "carol", "the token's name, where the body says none");
    let done = carol.patch(&format!("{path}/resolve"), &json!({"user": "dave"})).expect(200);
    assert_eq!(done["incident"]["resolved_by"], "dave");
    root.get(&path).expect(200);
    root.patch(&format!("{path}/close"), &json!({})).expect(200);
    root.send("POST", "/v1/rules/reload", Some(b""), &[]).expect(200);
    process.stop();
}
