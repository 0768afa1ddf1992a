//! `send`: alerts, commands or events from a file or standard input, or an alert from flags: to Kafka, and where each came to
//! stand; or alerts to a running incidentd, and what each became.

use crate::app::{self, Failure};
use crate::cli::remote::{Server, Through, read as read_answer};
use crate::cli::{ConfigFile, print, show};
use clap::Args;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use std::io::Read;
use std::path::PathBuf;

/// Bytes read from a file or standard input.
const INPUT: u64 = 256 << 20;

#[derive(Args)]
#[command(after_help = "Examples:\n  \
    incidentd send --service-id llm-gateway --title \"High latency\" --severity critical --label region=eu-1\n  \
    incidentd send alerts.jsonl\n  cat alert.json | incidentd send --json -\n  \
    incidentd send --topic commands acknowledge.json\n  \
    incidentd send --url http://127.0.0.1:8080 alerts.jsonl\n\n\
    Alerts and events are keyed by their service_id, partitioned as the Java clients do; commands go to the partition that\n\
    their incident's id names. Each is acknowledged by all in-sync replicas.")]
pub struct Send {
    /// JSON: one record, several after one another, or an array; `-` is standard input
    #[arg(conflicts_with = "service_id")]
    file: Option<PathBuf>,
    /// What the records are
    #[arg(long, value_enum, default_value = "alerts", conflicts_with = "service_id")]
    topic: app::SendKind,
    /// The alert's service
    #[arg(long, requires = "title")]
    service_id: Option<String>,
    /// The alert's title
    #[arg(long, requires = "service_id")]
    title: Option<String>,
    /// critical, high, medium, low, info or an alias; scored if left out
    #[arg(long, requires = "service_id")]
    severity: Option<String>,
    #[arg(long, requires = "service_id")]
    category: Option<String>,
    #[arg(long, requires = "service_id")]
    environment: Option<String>,
    #[arg(long, requires = "service_id")]
    description: Option<String>,
    /// Alerts with the same key are the same
    #[arg(long, requires = "service_id")]
    dedup_key: Option<String>,
    /// firing or resolved
    #[arg(long, requires = "service_id")]
    status: Option<String>,
    /// A label; may be given again
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = pair, requires = "service_id")]
    labels: Vec<(String, String)>,
    /// Send also what incidentd would put into dead-letters
    #[arg(long)]
    unchecked: bool,
    #[command(flatten)]
    config: ConfigFile,
    #[command(flatten)]
    through: Through,
    /// Print JSON, a line for each record
    #[arg(long)]
    json: bool,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Send {
    pub fn run(self) -> Result<(), Failure> {
        let server = self.through.server(&self.config, self.json)?;
        let records = match (&self.file, &self.service_id) {
            (Some(path), _) => read(path)?,
            (None, Some(_)) => vec![self.alert().to_string()],
            (None, None) => {
                let help = "name a file of records (`-` is standard input), or say an alert with --service-id and --title";
                return Err(Failure::Usage(help.to_owned()));
            }
        };
        if let Some(server) = server {
            return self.post(&server, &records);
        }
        let config = self.config.load()?;
        if !self.unchecked {
            app::check(&config, self.topic, &records)?;
        }
        let sent = app::send(&config, self.topic, records, |sent| {
            if self.json {
                let record = json!({ "topic": sent.topic, "partition": sent.partition, "offset": sent.offset, "key": sent.key });
                print::line(record)
            } else {
                let key = sent.key.as_deref().unwrap_or("no key");
                print::line(format!("{}-{} offset {}  {key}", sent.topic, sent.partition, sent.offset))
            }
        })?;
        if !self.json && sent > 1 {
            print::line(format!("{sent} records"))?;
        }
        Ok(())
    }

    /// One after another, each answered by the engine. What one refuses does not keep it from the others.
    fn post(&self, server: &Server, records: &[String]) -> Result<(), Failure> {
        if self.topic != app::SendKind::Alerts {
            let help =
                "the API takes alerts; commands and events go to Kafka: leave out --url (and INCIDENTD_URL), and name --config";
            return Err(Failure::Usage(help.to_owned()));
        }
        let remote = server.open()?;
        let mut failures = Vec::new();
        for (at, record) in (1..).zip(records) {
            // As text: the API says what is wrong with it, not we.
            let is_webhook = serde_json::from_str::<Webhook>(record).is_ok();
            let path: &[&str] = if is_webhook { &["v1", "webhooks", "alertmanager"] } else { &["v1", "incidents"] };
            match remote.post(path, record.clone()).and_then(|answer| self.posted(&answer)) {
                Ok(()) => {}
                Err(failure) if records.len() == 1 => return Err(failure),
                Err(failure) => failures.push(format!("alert {at}: {failure}")),
            }
        }
        if failures.is_empty() { Ok(()) } else { Err(Failure::Wrong(failures.join("\n"))) }
    }

    fn posted(&self, answer: &str) -> Result<(), Failure> {
        if self.json {
            return print::line(answer);
        }
        let Posted { status, incident, incident_id, message } = read_answer(answer)?;
        let id = incident.map(|incident| incident.id).or(incident_id).map(|id| format!("{id}  ")).unwrap_or_default();
        let message = message.map(|message| format!(": {message}")).unwrap_or_default();
        print::line(show::plain(&format!("{id}{status}{message}")))
    }

    fn alert(&self) -> Value {
        let mut alert = Map::new();
        let fields = [
            ("service_id", &self.service_id),
            ("title", &self.title),
            ("severity", &self.severity),
            ("category", &self.category),
            ("environment", &self.environment),
            ("description", &self.description),
            ("dedup_key", &self.dedup_key),
            ("status", &self.status),
        ];
        for (name, value) in fields {
            if let Some(value) = value {
                alert.insert(name.to_owned(), json!(value));
            }
        }
        if !self.labels.is_empty() {
            let labels: Map<String, Value> = self.labels.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            alert.insert("labels".to_owned(), Value::Object(labels));
        }
        Value::Object(alert)
    }
}

/// Alertmanager's body, told by its `alerts`.
#[derive(Deserialize)]
struct Webhook {
    #[serde(rename = "alerts")]
    _alerts: Vec<serde::de::IgnoredAny>,
}

/// What became of an alert.
#[derive(Deserialize)]
struct Posted {
    status: String,
    incident: Option<Named>,
    incident_id: Option<String>,
    message: Option<String>,
}

#[derive(Deserialize)]
struct Named {
    id: String,
}

/// The texts of the JSON values in a file, as they stand there; an array's elements each for itself.
fn read(path: &PathBuf) -> Result<Vec<String>, Failure> {
    let fail = |what: &dyn std::fmt::Display| Failure::Wrong(format!("{}: {what}", path.display()));
    let mut text = String::new();
    let read = match path.to_str() {
        Some("-") => std::io::stdin().lock().take(INPUT + 1).read_to_string(&mut text),
        _ => std::fs::File::open(path).and_then(|file| file.take(INPUT + 1).read_to_string(&mut text)),
    };
    read.map_err(|error| fail(&error))?;
    if text.len() as u64 > INPUT {
        return Err(fail(&format!("is larger than {} MiB: send it in parts", INPUT >> 20)));
    }
    values(&text).map_err(|error| fail(&format!("not JSON: {error}")))
}

fn values(text: &str) -> Result<Vec<String>, serde_json::Error> {
    use serde_json::value::RawValue;
    let mut alerts = Vec::new();
    for value in serde_json::Deserializer::from_str(text).into_iter::<&RawValue>() {
        let value = value?.get();
        if value.starts_with('[') {
            alerts.extend(serde_json::from_str::<Vec<&RawValue>>(value)?.into_iter().map(|element| element.get().to_owned()));
        } else {
            alerts.push(value.to_owned());
        }
    }
    Ok(alerts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_lines_documents_and_arrays_and_leaves_their_bytes_alone() {
        let found = values("{\"a\": 1e400}\n{\"b\":\n 2}\n[{\"c\":3}, {\"d\":4}]").unwrap();
        assert_eq!(found, ["{\"a\": 1e400}", "{\"b\":\n 2}", "{\"c\":3}", "{\"d\":4}"]);
        assert!(values("{\"a\": 1}\n{oops").unwrap_err().to_string().contains("line 2"));
    }
}
