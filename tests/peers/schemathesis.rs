//! schemathesis asks the real service everything that `/openapi.json` allows, and what it does not: no 5xx, and no status, media
//! type or body that is not written there.

use super::programs::{said, target};
use crate::http::client::alert;
use crate::http::{app, ready};
use crate::kafka::turn;
use crate::support::app::Settings;
use serde_json::{Value, json};
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

/// What it goes by beside the document: incidents and silences that exist, and the noes that no schema can say.
fn config(incidents: &[String], silences: &[String]) -> String {
    format!(
        r#"[dictionaries]
incidents = {{ values = {incidents:?} }}
silences = {{ values = {silences:?} }}

[parameters]
"path.id" = {{ dictionary = "incidents", probability = 0.8 }}

[checks]
# By default 408 and 413 count as no refusal.
negative_data_rejection = {{ expected-statuses = [400, 403, 404, 405, 406, 408, 409, 413, 415, 422] }}

[[operations]]
include-operation-id = "expire_silence"
parameters = {{ "path.id" = {{ dictionary = "silences", probability = 0.8 }} }}

# A silence that could match everything, or is over before it begins.
[[operations]]
include-operation-id = "create_silence"
checks = {{ positive_data_acceptance = {{ expected-statuses = ["2xx", 409, 422] }} }}

# A second 60 that was no leap second.
[[operations]]
include-operation-id = "create_incident"
checks = {{ positive_data_acceptance = {{ expected-statuses = ["2xx", 422] }} }}
"#
    )
}

fn schemathesis() -> Command {
    static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = target("peers-python");
        let tests = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let list = tests.join("peers/requirements.txt");
        let output = Command::new(tests.join("delivery/channels/resolve-python")).arg(&folder).arg(list).output();
        let output = output.expect("the script starts");
        assert!(output.status.success(), "{}", said(&output));
        folder
    });
    Command::new(folder.join("bin/schemathesis"))
}

/// `INCIDENTD_TEST_SCHEMATHESIS`: for how many seconds, 30 by default.
#[test]
fn every_answer_is_one_that_the_openapi_document_describes() {
    let seconds: u32 = match std::env::var("INCIDENTD_TEST_SCHEMATHESIS") {
        Ok(number) => number.parse().expect("INCIDENTD_TEST_SCHEMATHESIS is a number"),
        Err(_) => 30,
    };
    let seed: u32 = rand::random();
    println!("seed {seed}");
    let _turn = turn();
    // Its pace is not that of a person.
    let app = app("schemathesis", Settings { api: "rate_limit = 0".to_owned(), ..Settings::default() });
    let process = app.start();
    let client = ready(&process);
    let text = |value: &Value| value.as_str().expect("a text").to_owned();
    let opened = |n| client.post("/v1/incidents", &alert(&format!("service-{n}"), "t")).expect(201);
    let incidents: Vec<String> = (0..20).map(|n| text(&opened(n)["incident"]["id"])).collect();
    let matchers = json!([{"name": "service_id", "value": "nobody"}]);
    let silence = || client.post("/v1/silences", &json!({"matchers": matchers, "ends_at": "2099-01-01T00:00:00Z"})).expect(201);
    let silences: Vec<String> = (0..20).map(|_| text(&silence()["silence"]["id"])).collect();

    let folder = tempfile::Builder::new().prefix("incidentd-schemathesis-").tempdir().expect("a temporary folder");
    std::fs::write(folder.path().join("schemathesis.toml"), config(&incidents, &silences)).expect("a file");
    let mut command = schemathesis();
    command.current_dir(folder.path()).args(["--config-file", "schemathesis.toml", "run"]);
    command.arg(format!("{}/openapi.json", client.url));
    command.args(["--no-color", "--continue-on-failure", "--generation-database", "none"]);
    command.args(["--max-time", &seconds.to_string(), "--seed", &seed.to_string()]);
    let output = command.output().expect("schemathesis starts");
    let report = said(&output);
    println!("{}", report.lines().rev().take(30).collect::<Vec<_>>().into_iter().rev().collect::<Vec<_>>().join("\n"));
    assert!(output.status.success(), "seed {seed}:\n{report}");
    assert!(!report.contains("Errored"), "it could not ask everything:\n{report}");
    assert!(!process.log().contains("panicked"), "{}", process.log());
    process.stop();
}
