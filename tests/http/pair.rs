//! Two instances of one service as their clients see them: what one has written it shows at once, the other within a second,
//! and every answer is what `/openapi.json` says of it.

use super::client::{Answer, Client};
use super::{app, ready};
use crate::support::app::{App, Process, Settings};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::{Duration, Instant};

/// From the reply of one to what the other shows; nine of ten, for other tests fill the machine.
const SECOND: Duration = Duration::from_secs(1);
/// The slowest of all.
const LIMIT: Duration = Duration::from_secs(10);

pub struct Pair {
    pub app: App,
    processes: [Process; 2],
    clients: [Client; 2],
    document: Value,
    used: BTreeSet<(String, String)>,
    writes: usize,
    delays: Vec<Duration>,
}

impl Pair {
    pub fn start(name: &str, settings: Settings) -> Pair {
        let app = app(name, Settings { workers: 1, ..settings });
        let processes = [app.start_dynamic("first"), app.start_dynamic("second")];
        let clients = processes.each_ref().map(ready);
        // Shards move when the second one joins: both are ready again once that is over.
        clients.iter().for_each(Client::wait_ready);
        let document = clients[0].get("/openapi.json").expect(200);
        Pair { app, processes, clients, document, used: BTreeSet::new(), writes: 0, delays: Vec::new() }
    }

    pub fn stop(mut self) {
        self.delays.sort_unstable();
        let late = self.delays[self.delays.len() * 9 / 10];
        assert!(late < SECOND, "the other shows it too late: {:?}", self.delays);
        self.processes.into_iter().for_each(Process::stop);
    }

    /// The routes under `/v1` that the document has and nobody used.
    pub fn unused(&self) -> Vec<(String, String)> {
        let paths = self.document["paths"].as_object().expect("paths").iter().filter(|(path, _)| path.starts_with("/v1/"));
        let all =
            paths.flat_map(|(path, item)| item.as_object().expect("methods").keys().map(move |it| (it.clone(), path.clone())));
        all.filter(|route| !self.used.contains(route)).collect()
    }

    /// Writes at each in turn. `route`: as the document has it, `id` in the place of `{id}`.
    pub fn write(&mut self, method: &str, route: &str, id: &str, body: &Value, status: u16) -> Value {
        self.writes += 1;
        let client = &self.clients[self.writes % 2];
        let text = body.to_string();
        let sent = Some(text.as_bytes()).filter(|_| !body.is_null());
        let answer = client.send(method, &route.replace("{id}", id), sent, &[("content-type", "application/json")]);
        self.check(method, route, &answer);
        answer.expect(status)
    }

    /// What the one that wrote last shows now; the other shows it soon, `same` as far as it is looked at.
    pub fn read(&mut self, route: &str, id: &str, same: impl Fn(&Value) -> Value) -> Value {
        let began = Instant::now();
        let [own, other] = [self.writes % 2, 1 - self.writes % 2];
        let path = route.replace("{id}", id);
        let route = route.split('?').next().unwrap_or_default();
        let mut shown = self.show(own, route, &path);
        loop {
            let answer = self.clients[other].get(&path);
            if answer.status == 200 && same(&answer.json()) == same(&shown) {
                self.check("GET", route, &answer);
                self.delays.push(began.elapsed());
                return shown;
            }
            assert!(began.elapsed() < LIMIT, "{path}: the other shows after {LIMIT:?}\n{}\nand not\n{shown}", answer.text);
            std::thread::sleep(Duration::from_millis(10));
            // It may have gone on since.
            shown = self.show(own, route, &path);
        }
    }

    fn show(&mut self, own: usize, route: &str, path: &str) -> Value {
        let answer = self.clients[own].get(path);
        self.check("GET", route, &answer);
        answer.expect(200)
    }

    /// The document has this answer, and its schema takes the body.
    fn check(&mut self, method: &str, route: &str, answer: &Answer) {
        let method = method.to_ascii_lowercase();
        let told = &self.document["paths"][route][&method]["responses"][answer.status.to_string()];
        assert!(
            told.is_object(),
            "{method} {route} answers {}, of which /openapi.json knows nothing: {}",
            answer.status,
            answer.text
        );
        let media = answer.headers["content-type"].to_str().expect("a media type");
        let mut schema = told["content"][media]["schema"].clone();
        assert!(schema.is_object(), "{method} {route}: {media} is not described");
        schema["components"] = self.document["components"].clone();
        let validator = jsonschema::validator_for(&schema).expect("a schema");
        if let Err(error) = validator.validate(&answer.json()) {
            panic!("{method} {route}: at {}: {error}\n{}", error.instance_path, answer.text);
        }
        if answer.status < 300 {
            self.used.insert((method, route.to_owned()));
        }
    }
}

/// Looks at all of it.
pub fn whole(value: &Value) -> Value {
    value.clone()
}

/// Without what differs from run to run: looks alike where the incident is the same but for ids, times and places.
pub fn fixed(incident: &Value) -> Value {
    let mut incident = incident.clone();
    let map = incident.as_object_mut().expect("an incident");
    for name in ["id", "fingerprint", "triggered_at", "first_seen_at", "last_seen_at", "last_alert", "version"] {
        assert!(map.remove(name).is_some(), "`{name}` is missing");
    }
    for entry in map["timeline"].as_array_mut().into_iter().flatten() {
        entry["timestamp"] = json!(null);
    }
    incident
}
