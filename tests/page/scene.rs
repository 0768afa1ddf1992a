//! A night on an LLM platform: a slow model and what hangs on it, costs, attacks, a staging mishap, and people at work.

use crate::http::client::Client;
use crate::http::{app, ready};
use crate::support::app::{App, Process, Settings};
use crate::support::wait_until;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// The repository's own rules and people.
const RULES: [&str; 7] = [
    "escalation.rhai",
    "remediation.rhai",
    "dependencies.toml",
    "schedules.toml",
    "teams.toml",
    "users.toml",
    "lib/channels.rhai",
];

/// A running service, and what goes on in it.
pub struct Scene {
    pub client: Client,
    pub process: Process,
    app: App,
}

impl Scene {
    /// With the repository's rules and nothing to see yet. `api`: more keys of `[api]`.
    pub fn quiet(name: &str, api: &str) -> Scene {
        let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("rules");
        let read = |name: &str| std::fs::read_to_string(rules.join(name)).expect("one of the repository's rules");
        let settings = Settings {
            rules: read("notifications.rhai"),
            files: RULES.iter().map(|name| (*name, read(name))).collect(),
            api: api.to_owned(),
            tables: "[dedup]\nanchor = \"last_seen\"".to_owned(),
            publish_interval: "100ms",
            ..Settings::default()
        };
        let app = app(name, settings);
        let process = app.start();
        Scene { client: ready(&process), process, app }
    }

    /// The whole night.
    pub fn busy(name: &str) -> Scene {
        let scene = Scene::quiet(name, "");
        let alerts = night();
        let open = alerts.len();
        scene.send("events", &deployments());
        scene.client.post("/v1/silences", &maintenance()).expect(201);
        // One part after another: a record tells its course by what was published of it.
        for (part, note) in NOTES.iter().enumerate() {
            scene.send("alerts", &alerts.iter().flat_map(|story| story.part(part)).collect::<Vec<_>>());
            let sent: u64 = alerts.iter().map(|story| story.until(part)).sum();
            wait_until("all alerts are counted", LIMIT, || {
                let incidents = scene.incidents();
                let counted = incidents.iter().map(|it| it["occurrence_count"].as_u64().expect("a count")).sum::<u64>();
                (incidents.len() == open && counted == sent).then_some(())
            });
            scene.say("llm-inference-prod", "note", json!({ "user": "canary", "note": note }));
        }
        scene.people();
        scene
    }

    /// By `incidentd send`.
    pub fn send(&self, topic: &str, records: &[Value]) {
        let lines: Vec<String> = records.iter().map(Value::to_string).collect();
        let mut command = Command::new(env!("CARGO_BIN_EXE_incidentd"));
        command.args(["send", "-", "--topic", topic, "--config"]).arg(self.app.config_file());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().expect("incidentd starts");
        let mut input = child.stdin.take().expect("piped");
        std::io::Write::write_all(&mut input, lines.join("\n").as_bytes()).expect("it reads");
        drop(input);
        assert!(child.wait().expect("a child can be waited for").success(), "send to {topic}");
    }

    pub fn incidents(&self) -> Vec<Value> {
        let list = self.client.get("/v1/incidents?limit=500").expect(200);
        list["incidents"].as_array().expect("a list").clone()
    }

    /// The id of the service's newest incident.
    pub fn id(&self, service: &str) -> String {
        let list = self.client.get(&format!("/v1/incidents?service_id={service}")).expect(200);
        list["incidents"][0]["id"].as_str().expect("an incident").to_owned()
    }

    pub fn say(&self, service: &str, command: &str, body: Value) {
        self.client.patch(&format!("/v1/incidents/{}/{command}", self.id(service)), &body).expect(200);
    }

    fn people(&self) {
        let slow = "llm-inference-prod";
        self.say(slow, "acknowledge", json!({ "user": "alice", "note": "on it" }));
        self.say(slow, "investigate", json!({ "user": "alice" }));
        self.say(slow, "assign", json!({ "user": "alice", "assignee": "carol" }));
        self.say(
            slow,
            "note",
            json!({ "user": "carol", "note": "KV cache evictions since the deployment; replicas 3 and 7 are the worst" }),
        );
        self.say("moderation-api", "acknowledge", json!({ "user": "dave" }));
        self.say("batch-summarizer", "assign", json!({ "user": "bob", "assignee": "bob" }));
        self.say("prompt-cache", "snooze", json!({ "user": "bob", "minutes": 120, "note": "cold after the deployment" }));
        self.say("fine-tuning", "resolve", json!({ "user": "erin", "resolution": "the job was started again" }));
        let at = |ago: i64| Timestamp::now() - SignedDuration::from_mins(ago);
        for (at, action, channel, target, error) in [
            (at(38), "act_1", "slack", "#llm-models", None),
            (at(36), "act_2", "pagerduty", "sre", None),
            (at(35), "act_3", "email", "llm-leads@example.com", Some("450 4.2.1 mailbox busy")),
        ] {
            let receipt = json!({ "action_id": action, "channel": channel, "target": target, "delivered": error.is_none(),
                "attempts": if error.is_none() { 1 } else { 3 }, "error": error, "sent_at": at });
            self.say(slow, "delivery_receipt", receipt);
        }
    }
}

const PARTS: usize = 4;
const NOTES: [&str; PARTS] =
    ["p99 5.2 s, 2 of 12 replicas", "p99 6.1 s, 4 of 12 replicas", "p99 9.4 s, 7 of 12 replicas", "p99 9.0 s"];

/// One thing that goes wrong: how often in each quarter of the time between its beginning and its end.
struct Story {
    /// Minutes ago.
    from: i64,
    to: i64,
    counts: [u64; PARTS],
    alert: Value,
    /// From that part on.
    severities: [&'static str; PARTS],
}

impl Story {
    /// The first part opens it, whatever it counts.
    fn count(&self, part: usize) -> u64 {
        if part == 0 { self.counts[0].max(1) } else { self.counts[part] }
    }

    fn until(&self, part: usize) -> u64 {
        (0..=part).map(|part| self.count(part)).sum()
    }

    fn part(&self, part: usize) -> Vec<Value> {
        let count = self.count(part) as i64;
        let length = (self.from - self.to) * 60 / PARTS as i64;
        let one = |at: i64| {
            let mut alert = self.alert.clone();
            let seconds = self.from * 60 - part as i64 * length - length * at / count;
            alert["timestamp"] = json!(Timestamp::now() - SignedDuration::from_secs(seconds));
            alert["severity"] = json!(self.severities[part]);
            alert
        };
        (0..count).map(one).collect()
    }
}

fn story(from: i64, to: i64, counts: [u64; PARTS], severities: [&'static str; PARTS], alert: Value) -> Story {
    Story { from, to, counts, alert, severities }
}

fn night() -> Vec<Story> {
    let all = |severity| [severity; PARTS];
    vec![
        story(
            52,
            1,
            [18, 60, 148, 121],
            ["medium", "high", "critical", "critical"],
            json!({ "service_id": "llm-inference-prod", "title": "p99 latency over 5 s on gpt-4", "category": "model_performance",
                "description": "Time to the last token, 99th percentile over 5 minutes, all tenants.",
                "labels": { "metric_type": "latency", "model_id": "gpt-4", "region": "eu-west-1", "tenant_id": "all" },
                "metadata": { "threshold": 5, "current_value": 9.4, "dashboard_url": "https://grafana.example.com/d/llm-latency?var-model=gpt-4",
                    "runbook_url": "https://runbooks.example.com/llm/latency", "user_impact": 40 } }),
        ),
        story(
            31,
            1,
            [4, 9, 30, 22],
            all("critical"),
            json!({ "service_id": "llm-gateway", "title": "Provider answers 429: rate limited", "category": "availability",
                "labels": { "region": "eu-west-1", "provider": "azure" } }),
        ),
        story(
            24,
            1,
            [12, 24, 41, 33],
            all("high"),
            json!({ "service_id": "chat-api", "title": "Error rate above 20 %", "category": "availability", "labels": { "region": "eu-west-1" } }),
        ),
        story(
            21,
            9,
            [3, 0, 0, 2],
            all("high"),
            json!({ "service_id": "moderation-api", "title": "Prompt injection attempts from one tenant: 43 in five minutes, all blocked",
                "category": "prompt_injection", "labels": { "tenant_id": "acme-corp" } }),
        ),
        story(
            16,
            2,
            [1, 2, 2, 4],
            all("medium"),
            json!({ "service_id": "rag-retriever", "title": "Answer relevance below 0.8", "category": "model_performance",
                "labels": { "model_id": "text-embedding-3", "metric_type": "relevance" }, "metadata": { "threshold": 0.8 } }),
        ),
        story(
            47,
            40,
            [1, 0, 0, 0],
            all("low"),
            json!({ "service_id": "batch-summarizer", "title": "Token spend 140 % of the daily budget", "category": "budget_exceeded",
                "metadata": { "cost_increase": 1.4 } }),
        ),
        story(
            12,
            3,
            [2, 1, 1, 1],
            all("critical"),
            json!({ "service_id": "embedding-service", "title": "GPU memory above 95 %", "category": "infrastructure", "environment": "staging",
                "labels": { "node": "gpu-a100-17" } }),
        ),
        story(
            8,
            1,
            [1, 0, 1, 1],
            all("info"),
            json!({ "service_id": "prompt-cache", "title": "Hit rate fell below 60 %", "category": "performance", "environment": "development" }),
        ),
        story(
            6,
            4,
            [1, 0, 0, 0],
            all("high"),
            json!({ "service_id": "vector-store", "title": "Replication lag over 30 s on shard eu-west-1/docs-embeddings-v4-rebuild-2",
                "category": "infrastructure", "labels": { "shard": "eu-west-1/docs-embeddings-v4-rebuild-2" } }),
        ),
        story(
            44,
            41,
            [1, 0, 0, 0],
            all("medium"),
            json!({ "service_id": "fine-tuning", "title": "Training loss is NaN", "category": "model_quality", "environment": "staging" }),
        ),
    ]
}

fn deployments() -> Vec<Value> {
    let at = Timestamp::now() - SignedDuration::from_mins(55);
    vec![
        json!({ "type": "deployment", "service_id": "llm-inference-prod", "description": "vllm 0.11.2, by ci", "timestamp": at }),
    ]
}

fn maintenance() -> Value {
    let ends = Timestamp::now() + SignedDuration::from_hours(3);
    let matcher =
        |name: &str, value: &str, is_regex: bool| json!({ "name": name, "value": value, "isRegex": is_regex, "isEqual": true });
    json!({ "matchers": [matcher("environment", "staging", false), matcher("service_id", "embedding-.*", true)], "ends_at": ends,
        "comment": "driver update on the A100 nodes", "user": "erin" })
}
