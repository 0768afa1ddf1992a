//! The demo's story: what goes wrong on an LLM platform, told in alerts. The same seed tells the same story.

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::{Value, json};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// One record to append, `at` so long after the start.
pub struct Event {
    pub at: Duration,
    pub key: Option<String>,
    pub value: String,
    /// How many alerts it holds.
    pub alerts: u64,
}

/// Something that goes wrong: which alerts say so, and what is told beside.
struct Kind {
    service: &'static str,
    title: &'static str,
    category: &'static str,
    environment: &'static str,
    /// `None`: scored from the factors in `metadata`.
    severity: Option<&'static str>,
    metadata: fn(f64) -> Value,
}

/// `metadata` takes how far it has got, 0–1.
const KINDS: [Kind; 9] = [
    Kind {
        service: "chat-api",
        title: "Error rate above 20 %",
        category: "availability",
        environment: "production",
        severity: Some("critical"),
        metadata: |far| json!({ "error_rate": 20.0 + 60.0 * far, "threshold": 5 }),
    },
    Kind {
        service: "llm-inference-prod",
        title: "p99 latency over its threshold",
        category: "model_performance",
        environment: "prod",
        severity: None,
        metadata: |far| json!({ "threshold": 5, "current_value": 7.0 + 9.0 * far, "user_impact": 40, "degradation": 1.5 + 8.0 * far }),
    },
    Kind {
        service: "llm-gateway",
        title: "Provider answers 429: rate limited",
        category: "availability",
        environment: "production",
        severity: Some("P2"),
        metadata: |far| json!({ "rejected_per_second": 10.0 + 200.0 * far }),
    },
    Kind {
        service: "moderation-api",
        title: "Prompt injection attempts",
        category: "prompt_injection",
        environment: "production",
        severity: Some("high"),
        metadata: |far| json!({ "attempts": 3.0 + 40.0 * far }),
    },
    Kind {
        service: "batch-summarizer",
        title: "Token spend over budget",
        category: "budget_exceeded",
        environment: "production",
        severity: Some("low"),
        metadata: |far| json!({ "cost_increase": 1.4 + far, "budget_usd": 500 }),
    },
    Kind {
        service: "rag-retriever",
        title: "Answer relevance below 0.8",
        category: "model_performance",
        environment: "production",
        severity: Some("warning"),
        metadata: |far| json!({ "threshold": 0.8, "current_value": 0.75 - 0.2 * far }),
    },
    Kind {
        service: "embedding-service",
        title: "GPU memory above 95 %",
        category: "infrastructure",
        environment: "staging",
        severity: Some("critical"),
        metadata: |far| json!({ "current_value": 95.0 + 4.0 * far }),
    },
    Kind {
        service: "vector-store",
        title: "Replication lag",
        category: "infrastructure",
        environment: "production",
        severity: Some("high"),
        metadata: |far| json!({ "lag_seconds": 30.0 + 300.0 * far }),
    },
    Kind {
        service: "prompt-cache",
        title: "Hit rate fell",
        category: "performance",
        environment: "dev",
        severity: Some("info"),
        metadata: |far| json!({ "current_value": 0.6 - 0.3 * far }),
    },
];

const MODELS: [&str; 4] = ["gpt-4", "claude-3-opus", "llama-3-70b", "mistral-large"];
const REGIONS: [&str; 3] = ["eu-west-1", "us-east-1", "ap-south-1"];
/// What the first seconds show, in this order; later it is drawn by lot.
const OPENING: [usize; 9] = [0, 1, 4, 6, 2, 5, 3, 7, 8];
/// Two things go wrong at most this far apart, whatever the rate.
const PAUSE: u64 = 1_500;

/// One thing that goes wrong, from its first alert to its resolution.
struct Problem {
    kind: &'static Kind,
    model: &'static str,
    region: &'static str,
    /// Who fires: each alert comes from one of them, and each resolves.
    sources: u32,
    alerts: u32,
    sent: u32,
}

enum Step {
    Begin,
    Alert(Problem),
    /// A record that no decoder takes: it shows what becomes of it.
    Broken,
    /// What an Alertmanager posts, with two alerts, for two services.
    Webhook,
}

pub struct Scenario {
    lot: StdRng,
    /// Milliseconds between the alerts of one problem.
    pace: u64,
    begun: usize,
    /// Kind and model of what goes wrong now: nothing goes wrong twice at a time.
    live: std::collections::BTreeSet<(&'static str, &'static str)>,
    /// What is due when: milliseconds, a number that keeps the order, and its place in `steps`.
    due: BinaryHeap<Reverse<(u64, u64)>>,
    steps: std::collections::BTreeMap<u64, Step>,
    next: u64,
}

impl Scenario {
    /// `rate`: alerts a second, about.
    pub fn new(seed: u64, rate: u32) -> Scenario {
        let mut scenario = Scenario {
            lot: StdRng::seed_from_u64(seed),
            // About eight problems live at a time.
            pace: (8_000 / u64::from(rate.max(1))).max(8),
            begun: 0,
            live: std::collections::BTreeSet::new(),
            due: BinaryHeap::new(),
            steps: std::collections::BTreeMap::new(),
            next: 0,
        };
        scenario.plan(0, Step::Begin);
        scenario.plan(6_000, Step::Webhook);
        scenario.plan(9_000, Step::Broken);
        scenario
    }

    fn plan(&mut self, at: u64, step: Step) {
        self.due.push(Reverse((at, self.next)));
        self.steps.insert(self.next, step);
        self.next += 1;
    }

    fn begin(&mut self, now: u64) {
        let kind = match OPENING.get(self.begun) {
            Some(kind) => *kind,
            None => self.lot.random_range(0..KINDS.len()),
        };
        self.begun += 1;
        let (kind, model) = (&KINDS[kind], MODELS[self.lot.random_range(0..MODELS.len())]);
        let pause = PAUSE.min(self.pace * 4).max(50);
        let pause = self.lot.random_range(pause / 2..=pause);
        self.plan(now + pause, Step::Begin);
        if !self.live.insert((kind.title, model)) {
            return;
        }
        let problem = Problem {
            kind,
            model,
            region: REGIONS[self.lot.random_range(0..REGIONS.len())],
            sources: self.lot.random_range(1..=3),
            alerts: self.lot.random_range(6..=16),
            sent: 0,
        };
        self.plan(now, Step::Alert(problem));
    }

    fn alert(&mut self, now: u64, mut problem: Problem) -> Event {
        let kind = problem.kind;
        let resolved = problem.sent >= problem.alerts;
        let far = f64::from(problem.sent.min(problem.alerts)) / f64::from(problem.alerts);
        let mut alert = json!({
            "service_id": kind.service,
            "title": kind.title,
            "category": kind.category,
            "environment": kind.environment,
            "status": if resolved { "resolved" } else { "firing" },
            "source": format!("probe-{}", problem.sent % problem.sources),
            "labels": { "model_id": problem.model, "region": problem.region },
            "metadata": (kind.metadata)((far * 100.0).round() / 100.0),
        });
        if let Some(severity) = kind.severity {
            alert["severity"] = json!(severity);
        }
        problem.sent += 1;
        // The resolutions of all sources follow the last alert.
        if problem.sent < problem.alerts + problem.sources {
            let pace = if resolved { 200 } else { self.lot.random_range(self.pace / 2..=self.pace * 3 / 2) };
            self.plan(now + pace, Step::Alert(problem));
        } else {
            self.live.remove(&(kind.title, problem.model));
        }
        event(now, Some(kind.service), alert.to_string(), 1)
    }
}

fn event(at: u64, key: Option<&str>, value: String, alerts: u64) -> Event {
    Event { at: Duration::from_millis(at), key: key.map(str::to_owned), value, alerts }
}

impl Iterator for Scenario {
    type Item = Event;

    /// Never ends.
    fn next(&mut self) -> Option<Event> {
        loop {
            let Reverse((now, number)) = self.due.pop()?;
            match self.steps.remove(&number)? {
                Step::Begin => self.begin(now),
                Step::Alert(problem) => return Some(self.alert(now, problem)),
                Step::Broken => {
                    self.plan(now + 45_000, Step::Broken);
                    let broken = json!({ "service_id": "chat-api", "title": 42, "severity": "high" });
                    return Some(event(now, Some("chat-api"), broken.to_string(), 1));
                }
                Step::Webhook => {
                    self.plan(now + 60_000, Step::Webhook);
                    return Some(event(now, None, webhook().to_string(), 2));
                }
            }
        }
    }
}

fn webhook() -> Value {
    let alert = |service: &str, name: &str, severity: &str| {
        json!({
            "status": "firing",
            "labels": { "alertname": name, "service": service, "severity": severity, "cluster": "gpu-a" },
            "annotations": { "summary": format!("{name} on {service}"), "runbook_url": "https://runbooks.example.com/gpu" },
            "startsAt": "2026-01-01T00:00:00Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": "http://prometheus.example.com/graph",
            "fingerprint": format!("{name}-{service}"),
        })
    };
    json!({
        "version": "4",
        "groupKey": "{}:{}",
        "status": "firing",
        "receiver": "incidentd",
        "groupLabels": {},
        "commonLabels": {},
        "commonAnnotations": {},
        "externalURL": "http://alertmanager.example.com",
        "alerts": [alert("gpu-node-7", "GpuXidError", "critical"), alert("gpu-node-9", "GpuThrottled", "warning")],
    })
}
