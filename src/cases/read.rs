//! A file of cases: its tree as cases, or everything that is wrong with it.

use crate::cases::expectation::{self, WORDS};
use crate::cases::files::CaseFile;
use crate::cases::node::{Findings, Holds, Node, Place};
use crate::cases::{Act, Case, Group, START, toml, yaml};
use crate::model::time::{DAY, Millis};
use crate::model::{Time, Topic};
use crate::replay::{parse_duration, parse_moment};
use crate::rules::{Diagnostic, RuleSet};
use serde_json::{Map, Value, json};

/// The steps that are records or time.
const ACTS: [&str; 5] = ["alert", "event", "command", "wait", "until"];
const MOST_STEPS: usize = 10_000;
const MOST_TIMES: i64 = 100_000;
const MOST_TIME: Millis = 366 * DAY;

pub fn read(file: &CaseFile, rules: &RuleSet) -> Result<Vec<Case>, Vec<Diagnostic>> {
    let mut findings = Findings::new(&file.name);
    let root = match file.name.ends_with(".toml") {
        true => toml::parse(&file.text, &mut findings),
        false => yaml::parse(&file.text, &mut findings),
    };
    let mut reader = Reader { file, rules, findings };
    let cases = root.map(|root| reader.cases(&root)).unwrap_or_default();
    let mut found = reader.findings.found;
    if found.is_empty() {
        return Ok(cases);
    }
    found.sort_by_key(|diagnostic| (diagnostic.line, diagnostic.column));
    Err(found)
}

struct Reader<'r> {
    file: &'r CaseFile,
    rules: &'r RuleSet,
    findings: Findings,
}

const CASES: &str = "a file holds `cases`, a list of cases, each with a `name` and `steps`";

impl Reader<'_> {
    fn cases(&mut self, root: &Node) -> Vec<Case> {
        let Holds::Map(entries) = &root.holds else {
            self.findings.error(root.at, format!("a file of cases is a map, not {}", root.described()), CASES);
            return Vec::new();
        };
        let mut cases = Vec::new();
        for (at, key, value) in entries {
            match (key.as_str(), &value.holds) {
                ("cases", Holds::List(items)) => cases.extend(items.iter().filter_map(|item| self.case(item))),
                ("cases", _) => self.findings.wrong(key, value, "a list", CASES),
                _ => self.findings.unknown(*at, key, &["cases"]),
            }
        }
        if entries.is_empty() {
            self.findings.error(root.at, "there is no `cases`", CASES);
        }
        for (number, case) in cases.iter().enumerate() {
            if let Some(twin) = cases[..number].iter().find(|other| other.name == case.name) {
                let message = format!("the name `{}` stands in line {} already", case.name, twin.at.line);
                self.findings.error(case.at, message, "give each case of a file a name of its own");
            }
        }
        cases
    }

    fn case(&mut self, node: &Node) -> Option<Case> {
        let Holds::Map(entries) = &node.holds else {
            self.findings.error(node.at, format!("a case is a map, not {}", node.described()), CASES);
            return None;
        };
        let mut case = Case {
            name: String::new(),
            file: self.file.name.clone(),
            at: node.at,
            start: Time::parse(START).unwrap_or_default(),
            settle: None,
            acts: Vec::new(),
        };
        let (mut steps, before) = (None, self.findings.found.len());
        for (at, key, value) in entries {
            match (key.as_str(), &value.holds) {
                ("name", Holds::Text(name)) if !name.trim().is_empty() => case.name.clone_from(name),
                ("name", _) => self.findings.wrong(key, value, "a text", "say in a sentence what must be true"),
                ("description", _) => {}
                ("start", _) => case.start = self.moment(key, value).unwrap_or(case.start),
                ("settle", _) => case.settle = self.duration(key, value),
                ("steps", Holds::List(items)) => steps = Some(items),
                ("steps", _) => self.findings.wrong(key, value, "a list", "a step is for example `alert: { service_id: llm }`"),
                _ => self.findings.unknown(*at, key, &["name", "description", "start", "settle", "steps"]),
            }
        }
        if case.name.is_empty() {
            self.findings.error(node.at, "a case without a `name`", "say in a sentence what must be true");
        }
        match steps {
            Some(steps) if steps.len() <= MOST_STEPS => steps.iter().for_each(|step| self.step(step, &mut case)),
            Some(_) => self.findings.error(node.at, format!("more than {MOST_STEPS} steps"), "make several cases of it"),
            None => self.findings.error(node.at, "a case without `steps`", "a step is for example `alert: { service_id: llm }`"),
        }
        // What is wrong otherwise would only be said twice.
        let sound = self.findings.found.len() == before;
        if sound && case.acts.iter().all(|group| group.expects.is_empty()) {
            let help = format!("end it with a step such as `notified: …` or `nothing: true`; there are {}", WORDS.join(", "));
            self.findings.error(node.at, "a case that expects nothing cannot fail", help);
        }
        Some(case)
    }

    fn step(&mut self, node: &Node, case: &mut Case) {
        const STEP: &str = "write for example `alert: { service_id: llm }`, `wait: 15m` or `notified: critical-production`";
        // `- nothing` alone is understood in YAML.
        if let Holds::Text(word) = &node.holds
            && (word == "nothing" || word == "nothing_else")
        {
            return self.push_expectation(word, node, node.at, case);
        }
        let Holds::Map(entries) = &node.holds else {
            return self.findings.error(node.at, format!("a step is a map, not {}", node.described()), STEP);
        };
        let is_step = |key: &str| ACTS.contains(&key) || WORDS.contains(&key);
        let known: Vec<&str> = ACTS.into_iter().chain(WORDS).chain(["times", "every"]).collect();
        let mut words = entries.iter().filter(|(_, key, _)| is_step(key));
        let first = words.next();
        if let Some((at, key, _)) = words.next() {
            let help = "give it a `-` (in TOML a [[cases.steps]]) of its own: steps go in their order";
            self.findings.error(*at, format!("`{key}` is a second step in one"), help);
        }
        let alert = first.is_some_and(|(_, key, _)| key == "alert");
        for (at, key, _) in entries.iter().filter(|(_, key, _)| !is_step(key)) {
            match key.as_str() {
                "times" | "every" if alert => {}
                "times" | "every" => {
                    self.findings.error(*at, format!("`{key}` goes with `alert` alone"), "count expectations inside of them");
                }
                key => self.findings.unknown(*at, key, &known),
            }
        }
        let Some((at, word, value)) = first else {
            if entries.is_empty() {
                self.findings.error(node.at, "an empty step", STEP);
            }
            return;
        };
        match word.as_str() {
            "alert" | "event" | "command" => {
                let of = |name: &str| entries.iter().find(|(_, key, _)| key == name).map(|(_, _, value)| value);
                let (times, every) = (of("times"), of("every"));
                let times = times.map_or(1, |node| match node.holds {
                    Holds::Whole(times @ 1..=MOST_TIMES) => times as u64,
                    _ => {
                        let wanted = format!("a whole number from 1 to {MOST_TIMES}");
                        self.findings.wrong("times", node, &wanted, "write for example `times: 10`");
                        1
                    }
                });
                let every = every.and_then(|node| self.duration("every", node)).unwrap_or(0);
                let record = self.record(word, value, times, every);
                push_act(case, *at, record.unwrap_or(Act::Wait(0)));
            }
            "wait" => push_act(case, *at, Act::Wait(self.duration(word, value).unwrap_or(0))),
            "until" => push_act(case, *at, Act::Until(self.moment(word, value).unwrap_or(case.start))),
            word => self.push_expectation(word, value, *at, case),
        }
    }

    fn push_expectation(&mut self, word: &str, value: &Node, at: Place, case: &mut Case) {
        let expects = expectation::read(word, value, self.rules, &mut self.findings);
        match case.acts.last_mut() {
            Some(group) => group.expects.extend(expects.into_iter().map(|expected| (at, expected))),
            None => self.findings.error(at, "nothing has happened yet", "begin with a step such as `alert: …`"),
        }
    }

    fn record(&mut self, word: &str, node: &Node, times: u64, every: Millis) -> Option<Act> {
        let Holds::Map(_) = &node.holds else {
            self.findings.wrong(
                word,
                node,
                "a map of its fields",
                "write for example `alert: { service_id: llm, severity: high }`",
            );
            return None;
        };
        let mut value = node.object();
        let topic = match word {
            "event" => Topic::Events,
            "command" => Topic::Commands,
            _ => Topic::Alerts,
        };
        fill(topic, &mut value);
        Some(Act::Record { topic, value, times, every })
    }

    fn duration(&mut self, key: &str, node: &Node) -> Option<Millis> {
        let read = match &node.holds {
            Holds::Text(text) => parse_duration(text),
            Holds::Whole(0) => Some(0),
            _ => None,
        };
        let bounded = read.filter(|by| (0..=MOST_TIME).contains(by));
        if bounded.is_none() {
            self.findings.wrong(key, node, "a length of time up to 366 days", "write it with a unit, as 90s, 15m or 1h30m");
        }
        bounded
    }

    fn moment(&mut self, key: &str, node: &Node) -> Option<Time> {
        // TOML and people write it with a blank, too.
        let read = match &node.holds {
            Holds::Text(text) => parse_moment(text).or_else(|| parse_moment(&text.replacen(' ', "T", 1))),
            _ => None,
        };
        if read.is_none() {
            self.findings.wrong(key, node, "a moment", "write it as 2026-01-05T12:00:00Z");
        }
        read
    }
}

fn push_act(case: &mut Case, at: Place, act: Act) {
    match case.acts.last_mut().filter(|group| group.expects.is_empty()) {
        Some(group) => group.acts.push((at, act)),
        None => case.acts.push(Group { acts: vec![(at, act)], expects: Vec::new() }),
    }
}

/// What every record needs and no case is about.
fn fill(topic: Topic, value: &mut Map<String, Value>) {
    let own = |value: &Map<String, Value>, name: &str| value.contains_key(name);
    match topic {
        Topic::Alerts if !own(value, "title") && !own(value, "alerts") && !own(value, "data") => {
            value.insert("title".to_owned(), json!("test alert"));
        }
        Topic::Commands if !own(value, "user") => {
            let report = value.get("command").and_then(Value::as_str);
            if !matches!(report, Some("remediation_result" | "delivery_receipt")) {
                value.insert("user".to_owned(), json!("test"));
            }
        }
        _ => {}
    }
}
