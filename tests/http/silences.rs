//! Silences by the API: made, seen, in force, changed, ended.

use super::client::alert;
use super::{app, ready};
use crate::kafka::turn;
use crate::support::app::Settings;
use crate::support::wait_until;
use serde_json::json;
use std::time::Duration;

#[test]
fn a_silence_is_made_holds_and_ends() {
    let _turn = turn();
    let app = app("http-silences", Settings::default());
    let process = app.start();
    let client = ready(&process);
    assert_eq!(client.get("/v1/silences").expect(200), json!({"silences": []}));
    let matcher = json!({"name": "service_id", "value": "chat", "isRegex": false, "isEqual": true});
    let body = json!({"matchers": [matcher], "ends_at": "2099-01-01T00:00:00Z", "comment": "maintenance", "user": "alice"});
    let made = client.post("/v1/silences", &body).expect(201);
    assert_eq!(made["status"], "created");
    let silence = made["silence"].clone();
    assert_eq!((&silence["created_by"], &silence["matchers"][0]), (&json!("alice"), &matcher));
    // Read at once.
    assert_eq!(client.get("/v1/silences").expect(200), json!({"silences": [silence]}));

    wait_until("the silence is in force everywhere", Duration::from_secs(20), || {
        let mut alert = alert("chat", "t");
        alert["dedup_key"] = json!(rand::random::<u64>().to_string());
        let incident = client.post("/v1/incidents", &alert).expect(201)["incident"].clone();
        (incident["silenced_by"] == json!([silence["id"]])).then_some(())
    });
    let mut longer = body.clone();
    longer["silence_id"] = silence["id"].clone();
    longer["comment"] = json!("longer");
    let changed = client.post("/v1/silences", &longer).expect(200);
    assert_eq!((&changed["status"], &changed["silence"]["comment"]), (&json!("updated"), &json!("longer")));
    let id = silence["id"].as_str().expect("an id");
    assert_eq!(client.delete(&format!("/v1/silences/{id}")).expect(200), json!({"status": "expired", "silence_id": id}));
    assert_eq!(client.get("/v1/silences").expect(200), json!({"silences": []}));
    wait_until("it is over at its home", Duration::from_secs(20), || {
        (client.delete(&format!("/v1/silences/{id}")).status == 404).then_some(())
    });

    // Made and ended in one breath.
    let id = client.post("/v1/silences", &body).expect(201)["silence"]["id"].clone();
    client.delete(&format!("/v1/silences/{}", id.as_str().expect("an id"))).expect(200);

    let everything =
        json!({"matchers": [{"name": "service_id", "value": ".*", "isRegex": true}], "ends_at": "2099-01-01T00:00:00Z"});
    client.post("/v1/silences", &everything).problem(422, Some("matchers"));
    client.post("/v1/silences", &json!({"matchers": [matcher]})).problem(422, Some("ends_at"));
    let over = json!({"matchers": [matcher], "starts_at": "2001-01-01T00:00:00Z", "ends_at": "2001-01-02T00:00:00Z"});
    client.post("/v1/silences", &over).problem(422, Some("ends_at"));
    client.delete(&format!("/v1/silences/{}", "x".repeat(300))).problem(422, Some("silence_id"));
    process.stop();
}
