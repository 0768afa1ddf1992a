//! `explain` against a real cluster: the records of one incident among others, while the engine goes on writing.

use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::{Reader, Writer};
use crate::support::wait_until;
use serde_json::json;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const RULES: &str = r##"
notification(#{ name: "pages", where: #{ severity: "critical" }, channels: [slack("#pages")] });
notification(#{ name: "high", where: #{ severity: "high" }, channels: [slack("#high")] });
"##;
const OTHERS: usize = 40;

fn explain(app: &App, id: &str) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incidentd"));
    let output = command.args(["explain", id, "--config"]).arg(app.config_file()).output().expect("incidentd starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn an_incident_of_a_live_cluster_is_explained() {
    let _turn = turn();
    let app = App::new("explain", Settings { rules: RULES.to_owned(), ..Settings::default() });
    let _process = app.start();
    let writer = Writer::new();
    let send = |service: &str, severity: &str| {
        let alert = json!({ "service_id": service, "title": "down", "severity": severity }).to_string();
        writer.send(&app.topic("alerts"), service, alert.as_bytes());
    };
    for n in 0..OTHERS {
        send(&format!("other-{n}"), "critical");
    }
    send("llm", "critical");
    writer.flush();
    let mut incidents = Reader::new(&app.topic("incidents"));
    let mut found = None;
    let id = wait_until("the incident", LIMIT, || {
        incidents.read(|record| {
            let incident = record.json();
            if incident["service_id"] == "llm" {
                found = incident["id"].as_str().map(str::to_owned);
            }
        });
        found.clone()
    });
    let command = json!({ "command": "acknowledge", "incident_id": id, "user": "alice", "note": "on it" }).to_string();
    writer.send(&app.topic("commands"), &id, command.as_bytes());
    writer.flush();
    let said = wait_until("the acknowledgement, explained", LIMIT, || {
        let (code, said, _) = explain(&app, &id);
        (code == Some(0) && said.contains("alice acknowledged it: on it.")).then_some(said)
    });
    for sentence in [
        "\"down\" of llm: critical, production, acknowledged, 1 occurrence.",
        "An alert of llm opened it: \"down\" (critical, uncategorized, production).",
        "On triggered: notification `pages` told slack #pages.",
        "On triggered: notification `high` is not for it: severity is critical, the rule wants high.",
    ] {
        assert!(said.contains(sentence), "lacks {sentence:?}:\n{said}");
    }
    assert!(!said.contains("other-"), "only one incident is told of:\n{said}");

    let (code, _, error) = explain(&app, "inc_0000ffffffffffffffff");
    assert_eq!(code, Some(1));
    for part in ["nothing is known of it", &app.topic("incidents"), &app.topic("decisions"), "partition 0: "] {
        assert!(error.contains(part), "lacks {part:?}:\n{error}");
    }
    let (code, _, error) = explain(&app, "inc_00ff0000000000000001");
    assert!(code == Some(1) && error.contains("topics.partitions is 4"), "{error}");
}
