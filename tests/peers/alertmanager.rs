//! A real Alertmanager that tells an incidentd, and the alerts that are handed to it as Prometheus does.

use super::programs::{Server, program, said};
use crate::http::client::Client;
use serde_json::{Value, json};
use std::fs;
use std::process::Command;
use tempfile::TempDir;

/// Its `group_wait`, `group_interval` and `repeat_interval` are so short that a test need not wait for them.
pub struct Alertmanager {
    client: Client,
    _server: Server,
    _folder: TempDir,
}

impl Alertmanager {
    /// `incidentd`: its URL. Groups by `team`; those whose alerts carry `repeats` are said again each second, those with
    /// `truncated` as two alerts at most.
    pub fn start(incidentd: &str) -> Alertmanager {
        let config = format!(
            r#"route:
  receiver: incidentd
  group_by: [team]
  group_wait: 200ms
  group_interval: 1s
  repeat_interval: 1h
  routes:
    - receiver: incidentd
      matchers: [repeats="yes"]
      repeat_interval: 1s
    - receiver: truncated
      matchers: [truncated="yes"]
receivers:
  - name: incidentd
    webhook_configs:
      - url: {incidentd}/v1/webhooks/alertmanager
        send_resolved: true
  - name: truncated
    webhook_configs:
      - url: {incidentd}/v1/webhooks/alertmanager
        send_resolved: true
        max_alerts: 2
"#
        );
        Alertmanager::run(&config, &[])
    }

    /// Tells nobody, and writes what happens to a Kafka topic.
    pub fn recording(bootstrap: &str, topic: &str) -> Alertmanager {
        let config = format!(
            r#"route:
  receiver: nobody
  group_wait: 200ms
  group_interval: 1s
receivers:
  - name: nobody
event_recorder:
  kafka_outputs:
    - brokers: ["{bootstrap}"]
      topic: {topic}
"#
        );
        Alertmanager::run(&config, &["--enable-feature=event-recorder"])
    }

    /// It has an event recorder: 0.33 and later.
    pub fn can_record() -> bool {
        let output = Command::new(program("prometheus-alertmanager")).arg("--version").output().expect("it starts");
        let text = said(&output);
        // Built from source it knows none.
        let Some((_, version)) = text.split_once("version 0.") else { return true };
        let minor: String = version.chars().take_while(char::is_ascii_digit).collect();
        minor.parse::<u32>().expect("a number") >= 33
    }

    fn run(config: &str, arguments: &[&str]) -> Alertmanager {
        let folder = tempfile::Builder::new().prefix("incidentd-alertmanager-").tempdir().expect("a temporary folder");
        let file = folder.path().join("alertmanager.yml");
        fs::write(&file, config).expect("a file");
        let program = program("prometheus-alertmanager");
        let mut command = Command::new(&program);
        // Where Debian's has its templates; see resolve-debs.
        let templates = program.with_file_name("../share/prometheus/alertmanager");
        command.current_dir(if templates.is_dir() { &templates } else { folder.path() });
        command.arg(format!("--config.file={}", file.display()));
        command.arg(format!("--storage.path={}", folder.path().join("data").display()));
        // No cluster: a pair would wait for its other half.
        command.args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]).args(arguments);
        let server = Server::start(command, folder.path());
        Alertmanager { client: Client::new(&server.url), _server: server, _folder: folder }
    }

    /// Takes alerts that fire from now on, or have ended.
    pub fn take(&self, alerts: &[Value]) {
        let answer = self.client.post("/api/v2/alerts", &json!(alerts));
        assert_eq!(answer.status, 200, "{}", answer.text);
    }

    /// The sum over all series of a metric of its own whose labels contain `labels`.
    pub fn metric(&self, name: &str, labels: &str) -> f64 {
        sum(&self.client.get("/metrics").text, name, labels)
    }
}

/// The sum over all series of a metric in an exposition whose labels contain `labels`.
pub fn sum(exposition: &str, name: &str, labels: &str) -> f64 {
    let series = exposition.lines().filter_map(|line| line.strip_prefix(name)).filter_map(|rest| rest.rsplit_once(' '));
    let series = series.filter(|(found, _)| (found.is_empty() || found.starts_with('{')) && found.contains(labels));
    series.map(|(_, value)| value.parse::<f64>().expect("a number")).sum()
}

/// An alert of one instance, as Prometheus sends it; `team` names its group.
pub fn alert(team: &str, service: &str, instance: &str, more: Value) -> Value {
    let mut alert = json!({
        "labels": {
            "alertname": "HighLatency", "team": team, "service": service, "instance": instance, "severity": "critical",
            "environment": "prod",
        },
        "annotations": {"summary": format!("{service} is slow"), "runbook": "https://wiki.example.com/latency"},
        "startsAt": jiff::Timestamp::now().to_string(),
        "generatorURL": "http://prometheus.example.com/graph?g0.expr=up",
    });
    for (name, value) in more.as_object().expect("labels") {
        alert["labels"][name] = value.clone();
    }
    alert
}

/// The same alert, ended now.
pub fn ended(alert: &Value) -> Value {
    let mut ended = alert.clone();
    ended["endsAt"] = json!(jiff::Timestamp::now().to_string());
    ended
}
