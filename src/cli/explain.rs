//! `explain`: why an incident paged, or did not, in sentences (SPEC 3.6).

use crate::app::{self, Failure};
use crate::cli::remote::{Server, Through, read as read_answer};
use crate::cli::{ConfigFile, print};
use crate::explain::{Evidence, Story};
use crate::model::{IncidentId, Topic};
use clap::Args;
use reqwest::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Incidents of a replay's output that are listed.
const LISTED: usize = 1_000;

#[derive(Args)]
#[command(
    after_help = "On a cluster it reads the partitions of `incidents` and `decisions` that the id names, and the incident's\n\
                        actions; of a running incidentd (--url) it asks the incident and its decisions; on a file it reads what\n\
                        `incidentd replay` wrote.\n\nExamples:\n  \
                        incidentd explain inc_0003a1b2c3d4e5f60718 --config incidentd.toml\n  \
                        incidentd explain inc_0003a1b2c3d4e5f60718 --url http://127.0.0.1:8080\n  \
                        incidentd explain --input out.jsonl            # which incidents are in it\n  \
                        incidentd explain inc_0003a1b2c3d4e5f60718 --input out.jsonl"
)]
pub struct Explain {
    /// The incident's id; with --input it may be left out, and the incidents are listed
    #[arg(required_unless_present = "input")]
    incident: Option<String>,
    /// The output of a replay, in place of a cluster
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFile,
    #[command(flatten)]
    through: Through,
    /// Seconds that the search may take
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    timeout: u64,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Explain {
    pub fn run(self) -> Result<(), Failure> {
        let id = self.incident.as_deref().map(|id| {
            id.parse::<IncidentId>()
                .map_err(|_| Failure::Wrong(format!("`{id}` is not an incident's id: it looks like inc_0003a1b2c3d4e5f60718")))
        });
        match (id.transpose()?, &self.input) {
            (Some(id), Some(path)) => match of_file(path, id)? {
                Some(story) => self.print(&story),
                None => Err(Failure::Wrong(format!(
                    "{id}: not in {}\n  help: `incidentd explain --input {}` lists the incidents in it",
                    path.display(),
                    path.display()
                ))),
            },
            (None, Some(path)) => self.list(path),
            (Some(id), None) => match self.through.server(&self.file, self.json)? {
                Some(server) => self.of_api(&server, id),
                None => self.of_cluster(id),
            },
            (None, None) => Err(Failure::Usage("which incident? give its id, or a file with --input".to_owned())),
        }
    }

    fn of_api(&self, server: &Server, id: IncidentId) -> Result<(), Failure> {
        #[derive(Deserialize)]
        struct Page<'a> {
            #[serde(borrow)]
            decisions: Vec<&'a RawValue>,
            complete: bool,
            next: Option<u64>,
        }
        let remote = server.open()?;
        let deadline = Instant::now() + Duration::from_secs(self.timeout);
        let (name, mut evidence) = (id.to_string(), Evidence::default());
        let incident = remote.ask(Method::GET, &["v1", "incidents", &name], &[], None)?;
        evidence.take(id, Topic::Incidents, name.as_bytes(), Some(incident.as_bytes()));
        let mut from = Vec::new();
        loop {
            let answer = remote.ask(Method::GET, &["v1", "incidents", &name, "decisions"], &from, None)?;
            let page: Page<'_> = read_answer(&answer)?;
            for decision in page.decisions {
                evidence.take(id, Topic::Decisions, name.as_bytes(), Some(decision.get().as_bytes()));
            }
            match page.next.filter(|_| !page.complete) {
                Some(_) if Instant::now() >= deadline => {
                    eprintln!("not all decisions were read: the time was over before their end (--timeout)");
                    break;
                }
                Some(next) => from = vec![("from", next.to_string())],
                None => break,
            }
        }
        match evidence.explain(id) {
            Some(story) => self.print(&story),
            None => Err(Failure::Wrong(format!("{id}: nothing is known of it"))),
        }
    }

    fn of_cluster(&self, id: IncidentId) -> Result<(), Failure> {
        let config = self.file.load()?;
        let found = app::explain(&config, id, Duration::from_secs(self.timeout));
        let (story, looked) = found.map_err(|failure| match failure {
            Failure::Wrong(text) => Failure::Wrong(format!(
                "{text}\n  help: name the cluster with --config, or a running incidentd with --url http://HOST:PORT"
            )),
            other => other,
        })?;
        let places = looked.iter().map(|looked| {
            let app::Looked { topic, partition, records, cut } = looked;
            let cut = cut.as_ref().map(|cut| format!(": {cut}")).unwrap_or_default();
            format!("  `{topic}` partition {partition}: {records} records{cut}")
        });
        let places: Vec<String> = places.collect();
        let Some(story) = story else {
            let servers = config.kafka.get("bootstrap.servers").map_or("", String::as_str);
            return Err(Failure::Wrong(format!(
                "{id}: nothing is known of it at {servers}. Looked through\n{}\n  help: is it this cluster (--config, \
                 topics.prefix)? `decisions` are kept for 30 days, `incidents` until dedup.keep_closed is over",
                places.join("\n")
            )));
        };
        if looked.iter().any(|looked| looked.cut.is_some()) {
            eprintln!("not all was read:\n{}", places.join("\n"));
        }
        self.print(&story)
    }

    fn print(&self, story: &Story) -> Result<(), Failure> {
        if self.json {
            return print::json(story);
        }
        let summary = story.summary.as_deref().unwrap_or("no record of `incidents` was found; its decisions say:");
        print::line(format!("{}  {summary}\n", story.incident_id))?;
        for sentence in &story.sentences {
            let at = sentence.at.to_string();
            print::line(format!("{} {}  {}", &at[..10], &at[11..19], sentence.text))?;
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> Result<(), Failure> {
        let mut incidents: BTreeMap<String, (String, [String; 5])> = BTreeMap::new();
        let mut more = 0_usize;
        read(path, |topic, key, value| {
            let (Topic::Incidents, Some(value)) = (topic, value) else { return };
            let Ok(incident) = serde_json::from_slice::<serde_json::Value>(value) else { return };
            let text = |name: &str| match &incident[name] {
                serde_json::Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            let row = ["service_id", "severity", "status", "occurrence_count", "title"].map(text);
            let id = String::from_utf8_lossy(key).into_owned();
            if incidents.len() < LISTED || incidents.contains_key(&id) {
                incidents.insert(id, (text("triggered_at"), row));
            } else {
                more += 1;
            }
        })?;
        let mut rows: Vec<_> = incidents.into_iter().map(|(id, (at, row))| (at, id, row)).collect();
        rows.sort();
        if self.json {
            let rows = rows.iter().map(|(at, id, [service, severity, status, count, title])| {
                serde_json::json!({ "incident_id": id, "triggered_at": at, "service_id": service, "severity": severity,
                    "status": status, "occurrence_count": count.parse::<u64>().unwrap_or(0), "title": title })
            });
            return print::json(&rows.collect::<Vec<_>>());
        }
        let count = rows.len();
        print::table(
            ["INCIDENT", "TRIGGERED", "SERVICE", "SEVERITY", "STATUS", "TIMES", "TITLE"],
            rows.into_iter()
                .map(|(at, id, [service, severity, status, count, title])| [id, at, service, severity, status, count, title]),
        )?;
        if count == 0 {
            return Err(Failure::Wrong(format!(
                "{}: no incident is in it; is it what `incidentd replay` wrote?",
                path.display()
            )));
        }
        if more > 0 {
            print::line(format!("the first {LISTED} incidents; records of further ones: {more}"))?;
        }
        Ok(())
    }
}

fn of_file(path: &Path, id: IncidentId) -> Result<Option<Story>, Failure> {
    let mut evidence = Evidence::default();
    read(path, |topic, key, value| evidence.take(id, topic, key, value))?;
    Ok(evidence.explain(id))
}

/// A line of a replay's output.
#[derive(Deserialize)]
struct Line<'a> {
    topic: Topic,
    #[serde(borrow)]
    key: Option<Cow<'a, str>>,
    #[serde(borrow)]
    value: Option<&'a RawValue>,
}

fn read(path: &Path, mut each: impl FnMut(Topic, &[u8], Option<&[u8]>)) -> Result<(), Failure> {
    let about = |error: std::io::Error| Failure::Wrong(format!("{}: {error}", path.display()));
    let mut input = BufReader::new(File::open(path).map_err(about)?);
    let (mut line, mut number) = (Vec::new(), 0_u64);
    loop {
        line.clear();
        number += 1;
        if input.read_until(b'\n', &mut line).map_err(about)? == 0 {
            return Ok(());
        }
        if line.trim_ascii().is_empty() {
            continue;
        }
        let parsed: Line<'_> = serde_json::from_slice(&line).map_err(|error| {
            let what = format!("{}:{number}: not a line of a replay's output: {error}", path.display());
            Failure::Wrong(format!("{what}\n  help: make it with `incidentd replay --input HISTORY --rules rules --output FILE`"))
        })?;
        let key = parsed.key.unwrap_or_default();
        each(parsed.topic, key.as_bytes(), parsed.value.map(|value| value.get().as_bytes()));
    }
}
