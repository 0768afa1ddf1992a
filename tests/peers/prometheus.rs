//! A real Prometheus watches a service with all roles that has worked: it is scraped by deploy/prometheus.yml, watched by
//! deploy/alerts.yml and drawn by the dashboard.

use super::programs::{Server, program, said};
use crate::http::client::{Client, alert};
use crate::http::{PARTITIONS, ready};
use crate::kafka::turn;
use crate::support::app::{App, Settings};
use crate::support::client::Writer;
use crate::support::receiver::{Answer, Receiver};
use crate::support::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;
use tempfile::TempDir;

const LIMIT: Duration = Duration::from_secs(60);

fn here(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn promtool(arguments: &[&str], input: Option<&str>) -> (bool, String) {
    let mut command = Command::new(program("promtool"));
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("promtool starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input.unwrap_or_default().as_bytes()).expect("promtool reads");
    drop(stdin);
    let output = child.wait_with_output().expect("promtool ends");
    (output.status.success(), said(&output))
}

#[test]
fn what_is_deployed_is_right_by_promtool() {
    for arguments in [
        ["check", "rules", "deploy/alerts.yml"],
        ["check", "config", "deploy/prometheus.yml"],
        ["test", "rules", "deploy/alerts-test.yml"],
        ["test", "rules", "tests/peers/alerts_test.yml"],
    ] {
        let [first, second, file] = arguments;
        let (good, text) = promtool(&[first, second, here(file).to_str().expect("UTF-8")], None);
        assert!(good, "{arguments:?}:\n{text}");
    }
}

/// Every role, and a page that somebody takes.
fn service(receiver: &Receiver) -> App {
    let rules = r##"notification(#{ name: "critical", where: #{ severity: "critical" }, channels: [ webhook("HOOK/page") ] });
notification(#{ name: "broken", where: #{ severity: "low" }, when: |incident| incident.nothing.of_it > 1, channels: [ webhook("HOOK/broken") ] });"##;
    let tables = format!("[delivery.heartbeat]\nurl = \"{}/heartbeat\"\ninterval = \"1s\"", receiver.url());
    App::new(
        "prometheus",
        Settings {
            roles: r#"["engine", "delivery", "api"]"#,
            partitions: PARTITIONS,
            rules: rules.replace("HOOK", receiver.url()),
            tables,
            ..Settings::default()
        },
    )
}

/// As `deploy/prometheus.yml` has it, but for the address and a shorter wait.
fn prometheus(incidentd: &str) -> (Server, TempDir) {
    let folder = tempfile::Builder::new().prefix("incidentd-prometheus-").tempdir().expect("a temporary folder");
    let text = fs::read_to_string(here("deploy/prometheus.yml")).expect("the file");
    let address = incidentd.strip_prefix("http://").expect("a URL");
    let mine =
        text.replace("incidentd:8080", address).replace("scrape_interval: 5s", "scrape_interval: 1s\n  evaluation_interval: 1s");
    assert!(mine.contains(address) && mine.contains("evaluation_interval"), "{mine}");
    fs::write(folder.path().join("prometheus.yml"), mine).expect("a file");
    fs::copy(here("deploy/alerts.yml"), folder.path().join("alerts.yml")).expect("a copy");
    let mut command = Command::new(program("prometheus"));
    command.arg(format!("--config.file={}", folder.path().join("prometheus.yml").display()));
    command.arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()));
    command.arg("--web.listen-address=127.0.0.1:0");
    let server = Server::start(command, folder.path());
    let client = Client::new(&server.url);
    wait_until("Prometheus is ready", LIMIT, || (client.get("/-/ready").status == 200).then_some(()));
    (server, folder)
}

/// The values of an instant query, by their labels.
fn query(prometheus: &Client, expression: &str) -> Vec<(Value, f64)> {
    let text = percent_encoding::utf8_percent_encode(expression, percent_encoding::NON_ALPHANUMERIC);
    let answer = prometheus.get(&format!("/api/v1/query?query={text}"));
    assert_eq!(answer.status, 200, "{expression}: {}", answer.text);
    let answer = answer.json();
    let results = answer["data"]["result"].as_array().expect("a vector").iter();
    results
        .map(|one| (one["metric"].clone(), one["value"][1].as_str().and_then(|text| text.parse().ok()).expect("a number")))
        .collect()
}

fn firing(prometheus: &Client) -> BTreeSet<String> {
    let found = query(prometheus, "ALERTS{alertstate=\"firing\"}");
    found.iter().filter_map(|(labels, _)| labels["alertname"].as_str().map(str::to_owned)).collect()
}

#[test]
fn prometheus_scrapes_queries_and_watches_a_service_that_has_worked() {
    let _turn = turn();
    let receiver = Receiver::start(|_, _| Answer::of(200));
    let app = service(&receiver);
    let process = app.start();
    let client = ready(&process);
    let (server, _folder) = prometheus(&client.url);
    let prometheus = Client::new(&server.url);
    wait_until("the target is up", LIMIT, || query(&prometheus, "up{job=\"incidentd\"} == 1").pop());
    assert!(firing(&prometheus).is_empty(), "{:?}", firing(&prometheus));

    // Something of everything: pages, commands, events, silences, what is refused, what is asked wrongly.
    let mut ids = Vec::new();
    for n in 0..5 {
        let opened = client.post("/v1/incidents", &alert(&format!("service-{n}"), "t")).expect(201);
        ids.push(opened["incident"]["id"].as_str().expect("an id").to_owned());
    }
    client.post("/v1/incidents", &alert("service-0", "t")).expect(200);
    client.patch(&format!("/v1/incidents/{}/acknowledge", ids[0]), &json!({"user": "eve"})).expect(200);
    client.patch(&format!("/v1/incidents/{}/resolve", ids[1]), &json!({"user": "eve"})).expect(200);
    client.get("/v1/incidents?nothing=1").expect(400);
    let matchers = json!([{"name": "service_id", "value": "nobody"}]);
    client.post("/v1/silences", &json!({"matchers": matchers, "ends_at": "2099-01-01T00:00:00Z"})).expect(201);
    let mut low = alert("low", "t");
    low["severity"] = json!("low");
    client.post("/v1/incidents", &low).expect(201);
    let writer = Writer::new();
    writer.send(&app.topic("alerts"), "x", b"{\"title\": 5}");
    let change = json!({"type": "deployment", "service_id": "low", "description": "v2", "timestamp": "2026-01-01T00:00:00Z"});
    writer.send(&app.topic("events"), "low", change.to_string().as_bytes());
    writer.flush();

    // What Prometheus knows is what was done.
    let known = |expression: &str, wanted: f64| {
        wait_until(&format!("{expression} is {wanted}"), LIMIT, || {
            (query(&prometheus, expression).first().map(|(_, value)| *value) == Some(wanted)).then_some(())
        });
    };
    known("sum(incidentd_alerts_total{outcome=\"created\"})", 6.0);
    known("sum(incidentd_alerts_total{outcome=\"merged\"})", 1.0);
    known("sum(incidentd_incidents_open{severity=\"critical\",status=\"triggered\"})", 3.0);
    known("sum(incidentd_deliveries_total{channel=\"webhook\",outcome=\"delivered\"})", 6.0);
    known("sum(incidentd_dead_letters_total{stage=\"decode\"})", 1.0);
    known("sum(incidentd_events_total{outcome=\"done\"})", 1.0);
    known("sum(incidentd_shards)", f64::from(PARTITIONS));
    known("histogram_quantile(1, sum by (le) (incidentd_alert_to_action_seconds_bucket)) > bool 0", 1.0);

    // The alerts see the first of a kind, and nothing else; each of their expressions can be evaluated.
    let wanted = BTreeSet::from(["IncidentdDeadLetters".to_owned(), "IncidentdRuleFails".to_owned()]);
    wait_until("both fire", LIMIT, || (firing(&prometheus) == wanted).then_some(()));
    let rules = prometheus.get("/api/v1/rules").expect(200);
    let rules = rules["data"]["groups"][0]["rules"].as_array().expect("rules").clone();
    assert!(rules.len() >= 11, "{rules:#?}");
    for rule in &rules {
        assert_eq!((&rule["health"], &rule["lastError"]), (&json!("ok"), &Value::Null), "{rule:#?}");
    }
    drawn(&prometheus);

    // All roles have worked: promtool has nothing to say.
    let metrics = client.get("/metrics");
    assert_eq!(metrics.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    let (good, text) = promtool(&["check", "metrics"], Some(&metrics.text));
    assert!(good && text.is_empty(), "promtool check metrics says:\n{text}");
    for name in incidentd::metrics::TABLE.iter().map(|metric| metric.name) {
        let here = metrics.text.contains(&format!("# TYPE {name} "));
        // Shown once there is something to show: no breaker has opened, there is no collector of traces.
        let later = ["incidentd_circuit_breaker_state", "incidentd_trace_exports_total"].contains(&name);
        assert!(here || later, "{name} is not shown by a process that has worked");
    }
    process.stop();
}

/// Every expression of the dashboard is one, and those that have something to show show it.
fn drawn(prometheus: &Client) {
    let text = fs::read_to_string(here("deploy/grafana-dashboard.json")).expect("the file");
    let dashboard: Value = serde_json::from_str(&text).expect("JSON");
    let mut expressions = Vec::new();
    collect(&dashboard, &mut expressions);
    assert!(expressions.len() >= 10, "{expressions:?}");
    for expression in expressions {
        let found = query(prometheus, &expression.replace("$__rate_interval", "1m"));
        let idle = expression.contains("circuit_breaker");
        assert!(!found.is_empty() || idle, "{expression} shows nothing");
    }
}

fn collect(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            found.extend(map.get("expr").and_then(Value::as_str).map(str::to_owned));
            map.values().for_each(|value| collect(value, found));
        }
        Value::Array(items) => items.iter().for_each(|item| collect(item, found)),
        _ => {}
    }
}
