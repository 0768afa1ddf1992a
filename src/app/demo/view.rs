//! What the demo shows: one line for each thing that happened, why below it, and the sums at the bottom.

use crate::app::demo::tail::Told;
use crate::model::Topic;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Incidents that are remembered for the next line about them.
const REMEMBERED: usize = 10_000;
/// Without a terminal the sums are a line now and then.
const SUMS: Duration = Duration::from_secs(10);

pub struct View {
    began: Instant,
    color: bool,
    /// With a terminal: the line at the bottom.
    bar: Option<ProgressBar>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sent: u64,
    pages: u64,
    opened: u64,
    rejected: u64,
    shown_sums: Duration,
    incidents: BTreeMap<String, Known>,
    /// The incident of the last line: a page right below it need not name it.
    last: String,
}

/// What was last said of an incident.
#[derive(Clone, Default)]
struct Known {
    status: String,
    severity: String,
    count: u64,
    label: String,
}

#[derive(Clone, Copy)]
enum Paint {
    Dim,
    Red,
    Green,
    Yellow,
    Blue,
    Bold,
}

impl View {
    pub fn new() -> Arc<View> {
        let terminal = std::io::stdout().is_terminal();
        let bar = terminal.then(|| {
            let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
            // A template without unknown keys is always right; the default is no harm.
            bar.set_style(
                ProgressStyle::with_template("{spinner:.cyan} {msg}").unwrap_or_else(|_| ProgressStyle::default_spinner()),
            );
            bar
        });
        let color = terminal && std::env::var_os("NO_COLOR").is_none();
        Arc::new(View { began: Instant::now(), color, bar, state: Mutex::default() })
    }

    /// Lines as they stand.
    pub fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.println(text),
            // Whoever read it may have gone; the demo ends by itself.
            None => drop(writeln!(std::io::stdout().lock(), "{text}")),
        }
    }

    pub fn sent(&self, alerts: u64) {
        self.state().sent += alerts;
    }

    pub fn show(&self, told: &Told) {
        match told.topic {
            // A tombstone: nothing that a person waits for.
            Topic::Incidents if told.value.is_null() => {}
            Topic::Incidents => self.incident(&told.value),
            Topic::Decisions => self.decision(&told.value),
            Topic::Notifications => self.notification(&told.value),
            Topic::DeadLetters => {
                {
                    let mut state = self.state();
                    state.rejected += 1;
                    state.last.clear();
                }
                let reason = told.reason.as_deref().unwrap_or("no reason is given");
                self.event(Paint::Yellow, "REJECTED", &format!("an alert went to dead-letters: {reason}"));
            }
            _ => {}
        }
    }

    fn incident(&self, incident: &Value) {
        let count = incident["occurrence_count"].as_u64().unwrap_or(0);
        let now = Known {
            status: text(&incident["status"]).to_owned(),
            severity: text(&incident["severity"]).to_owned(),
            count,
            label: label(incident),
        };
        let id = text(&incident["id"]).to_owned();
        let before = {
            let mut state = self.state();
            if state.incidents.len() >= REMEMBERED {
                state.incidents.pop_first();
            }
            state.last.clone_from(&id);
            let before = state.incidents.insert(id.clone(), now.clone());
            state.opened += u64::from(before.is_none());
            before
        };
        let severity = self.paint(severity_paint(&now.severity), &format!("{:<8}", now.severity));
        let line = format!("{severity}  {}", now.label);
        let short = self.paint(Paint::Dim, &id);
        match before {
            None => self.event(Paint::Bold, "OPENED", &format!("{line}  {short}")),
            Some(before) if before.status != now.status => match now.status.as_str() {
                "resolved" => self.event(Paint::Green, "RESOLVED", &format!("{line}  after {count} alerts  {short}")),
                "triggered" => self.event(Paint::Bold, "REOPENED", &format!("{line}  {short}")),
                other => self.event(Paint::Bold, &other.to_uppercase(), &format!("{line}  {short}")),
            },
            Some(before) if before.severity != now.severity => {
                self.event(Paint::Yellow, "RAISED", &format!("{line}  was {}  {short}", before.severity));
            }
            Some(before) if before.count != count => {
                self.event(Paint::Dim, "MERGED", &format!("{line}  {count} alerts are one incident"));
            }
            Some(_) => {}
        }
    }

    /// Each rule that acted or ran, and the first of those that missed by one field.
    fn decision(&self, decision: &Value) {
        let mut missed = Vec::new();
        for result in decision["results"].as_array().into_iter().flatten() {
            let rule = rule_name(result);
            let detail = text(&result["detail"]);
            match text(&result["result"]) {
                "acted" if detail.is_empty() => self.below(&format!("why   {rule}: `where` matches, `when` holds")),
                "acted" => self.below(&format!("why   {rule}: {detail}")),
                "when" => self.below(&format!("not   {rule}: its `when` is false")),
                "where" => missed.push(format!("{rule}: {detail}")),
                "already_acted" => {}
                "after_occurrences" => self.below(&format!("not   {rule}: it waits, {detail}")),
                other => self.below(&format!("not   {rule}: {} {detail}", other.replace('_', " "))),
            }
        }
        if let Some(first) = missed.first() {
            let more = match missed.len() {
                1 => String::new(),
                all => format!("; {} more missed by one field", all - 1),
            };
            self.below(&format!("not   {first}{more}"));
        }
    }

    fn notification(&self, action: &Value) {
        let about = {
            let mut state = self.state();
            state.pages += 1;
            let id = text(&action["incident_id"]);
            let same = state.last == id;
            state.last = id.to_owned();
            if same { String::new() } else { format!("{}  ", label(&action["incident"])) }
        };
        let channel = &action["channel"];
        let config = &channel["config"];
        let target = ["channel", "recipients", "to", "url"].into_iter().find_map(|key| match &config[key] {
            Value::String(text) => Some(text.clone()),
            Value::Array(all) => Some(all.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", ")),
            _ => None,
        });
        let kind = text(&channel["type"]);
        let target = target.unwrap_or_else(|| match kind {
            "pagerduty" => "the on-call rotation".to_owned(),
            _ => String::new(),
        });
        let mention = config["mention"].as_str().map(|mention| format!(" {mention}")).unwrap_or_default();
        let rule = rule_name(action);
        let head = self.paint(Paint::Blue, &format!("{kind} {target}{mention}"));
        let rule = self.paint(Paint::Dim, &format!("[{rule}, on {}]", text(&action["event"])));
        self.event(Paint::Red, "PAGE", &format!("→ {head}  {about}{rule}"));
    }

    /// The sums, at the bottom or as a line now and then.
    pub fn refresh(&self) {
        let sums = self.sums();
        match &self.bar {
            Some(bar) => {
                bar.set_message(sums);
                bar.tick();
            }
            None => {
                let now = self.began.elapsed();
                let due = {
                    let mut state = self.state();
                    let due = now.saturating_sub(state.shown_sums) >= SUMS;
                    if due {
                        state.shown_sums = now;
                    }
                    due
                };
                if due {
                    self.event(Paint::Dim, "SO FAR", &sums);
                }
            }
        }
    }

    fn sums(&self) -> String {
        let state = self.state();
        let open = state.incidents.values().filter(|known| known.status != "resolved" && known.status != "closed").count();
        format!(
            "{} alerts → {} incidents ({open} open) → {} pages, {} rejected",
            state.sent, state.opened, state.pages, state.rejected
        )
    }

    pub fn finish(&self, url: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let sums = self.sums();
        let text = format!(
            "\nIn {} s: {sums}.\n\nHow to look further\n  \
             {url}/metrics was open while it ran: `incidentd demo --port {port}` and curl it\n  \
             incidentd schema incident        what a record looks like\n  \
             incidentd demo --rules rules     change a rule in rules/*.rhai while it runs, and see what it does\n  \
             incidentd rules check rules      what is wrong with a rule, and where\n  \
             incidentd replay --help          your own alerts through the rules, without a broker\n  \
             docker compose up                the same on Apache Kafka, with Prometheus\n  \
             docs/operations.md               settings, topics, metrics, what to do when something fails",
            self.began.elapsed().as_secs(),
            port = url.rsplit(':').next().unwrap_or("8080"),
        );
        drop(writeln!(std::io::stdout().lock(), "{text}"));
    }

    fn event(&self, paint: Paint, word: &str, line: &str) {
        let at = self.began.elapsed().as_secs_f64();
        let word = self.paint(paint, &format!("{word:<9}"));
        self.say(&format!("{} {word} {line}", self.paint(Paint::Dim, &format!("{at:6.1}s"))));
    }

    fn below(&self, line: &str) {
        self.say(&self.paint(Paint::Dim, &format!("                  {line}")));
    }

    fn paint(&self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Dim => "2",
            Paint::Red => "1;31",
            Paint::Green => "32",
            Paint::Yellow => "33",
            Paint::Blue => "34",
            Paint::Bold => "1",
        };
        if self.color { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rule_name(of: &Value) -> &str {
    match text(&of["rule"]) {
        "" => "default_channels",
        rule => rule,
    }
}

fn severity_paint(severity: &str) -> Paint {
    match severity {
        "critical" => Paint::Red,
        "high" => Paint::Yellow,
        "medium" => Paint::Blue,
        _ => Paint::Dim,
    }
}

/// Service and title, with the model where one is named.
fn label(incident: &Value) -> String {
    let (service, title) = (text(&incident["service_id"]), text(&incident["title"]));
    match text(&incident["labels"]["model_id"]) {
        "" => format!("{service}: {title}"),
        model => format!("{service}: {title} ({model})"),
    }
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or("")
}
