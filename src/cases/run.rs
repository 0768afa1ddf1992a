//! A case over a replay: its steps move the clock, and each group of steps is judged by what came of it.

use crate::cases::judge::Judge;
use crate::cases::node::Place;
use crate::cases::report::{CaseResult, Failing, RuleName};
use crate::cases::{Act, Case, Group, Terms};
use crate::explain;
use crate::model::{AlertOutcome, Incident, IncidentId, Output, Time, Topic, Why};
use crate::replay::{Ahead, Fault, Line, Replay, Told, What};
use crate::rules::{RuleSet, RuleSource};
use serde_json::{Value, json};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::sync::Arc;

/// Things said in one group of steps; a case in which there are more loops.
const MOST: usize = 1_000_000;

/// What came of one group of steps.
#[derive(Default)]
pub struct Came {
    pub told: Vec<Told>,
    /// The alerts of the group, by what became of them.
    pub outcomes: Vec<(AlertOutcome, u64)>,
    /// Where each record stands that went to `dead-letters`, and why it did.
    pub refused: Vec<(Place, String)>,
}

/// A case under way.
pub struct Running<'c> {
    pub rules: &'c Rc<RuleSet>,
    pub texts: &'c RuleSource,
    replay: Replay,
    settle: i64,
    /// The service of the last alert, which commands and expectations mean where they name none.
    pub service_id: Option<String>,
    /// Each as last published.
    pub incidents: BTreeMap<IncidentId, Arc<Incident>>,
    touched: BTreeSet<RuleName>,
}

/// What the case says, and the rules that it touches.
pub fn run(case: &Case, rules: &Rc<RuleSet>, texts: &RuleSource, terms: &Terms) -> (CaseResult, BTreeSet<RuleName>) {
    // What only counts shows at once: a case waits for no publication.
    let engine = crate::engine::Settings { publish_interval: 1, ..terms.engine.clone() };
    let settle = case.settle.unwrap_or(engine.hold);
    let mut running = Running {
        rules,
        texts,
        replay: Replay::new(terms.codec.clone(), engine, Rc::clone(rules), Fault::None),
        settle,
        service_id: None,
        incidents: BTreeMap::new(),
        touched: BTreeSet::new(),
    };
    let mut failing = running.replay.run_until(case.start, &mut |_| {}).err().map(|fault| vec![stopped(case.at, fault)]);
    let mut groups = case.acts.iter();
    // What comes after the first surprise says little.
    while failing.as_ref().is_none_or(Vec::is_empty)
        && let Some(group) = groups.next()
    {
        failing = Some(running.group(group));
    }
    for (_, expected) in case.acts.iter().flat_map(|group| &group.expects) {
        running.touched.extend(expected.named());
    }
    let (name, file, line) = (case.name.clone(), case.file.clone(), case.at.line);
    (CaseResult { name, file, line, failing: failing.unwrap_or_default() }, running.touched)
}

fn stopped(at: Place, fault: String) -> Failing {
    Failing { line: at.line, column: at.column, expected: "the step".to_owned(), actual: vec![fault], because: Vec::new() }
}

impl Running<'_> {
    fn group(&mut self, group: &Group) -> Vec<Failing> {
        let before: BTreeMap<AlertOutcome, u64> = self.replay.outcomes().collect();
        let mut came = Came::default();
        let mut unsettled = false;
        for (at, act) in &group.acts {
            let record = matches!(act, Act::Record { .. });
            let taken = if unsettled && !record { self.wait(self.settle, &mut came) } else { Ok(()) };
            unsettled = record;
            let taken = taken.and_then(|()| self.act(act, *at, &mut came));
            if let Err(fault) = taken {
                return vec![stopped(*at, fault)];
            }
        }
        if unsettled && let Err(fault) = self.wait(self.settle, &mut came) {
            return vec![stopped(group.acts.last().map(|(at, _)| *at).unwrap_or_default(), fault)];
        }
        let since = |(outcome, count): (AlertOutcome, u64)| {
            let more = count - before.get(&outcome).copied().unwrap_or(0);
            (more > 0).then_some((outcome, more))
        };
        came.outcomes = self.replay.outcomes().filter_map(since).collect();
        self.look(&came.told);
        Judge::new(self, &came).judge(&group.expects)
    }

    fn wait(&mut self, by: i64, came: &mut Came) -> Result<(), String> {
        let until = self.replay.now() + by;
        self.until(until, came)
    }

    fn until(&mut self, until: Time, came: &mut Came) -> Result<(), String> {
        self.replay.run_until(until, &mut |told| came.told.push(told))?;
        bounded(came)
    }

    fn act(&mut self, act: &Act, at: Place, came: &mut Came) -> Result<(), String> {
        match act {
            Act::Wait(by) => self.wait(*by, came),
            Act::Until(moment) if *moment < self.replay.now() => {
                Err(format!("it is {} by now, after that moment: `until` goes forward only", self.replay.now()))
            }
            Act::Until(moment) => self.until(*moment, came),
            Act::Record { topic, value, times, every } => {
                let mut value = value.clone();
                if *topic == Topic::Alerts {
                    if let Some(service) = value.get("service_id").and_then(Value::as_str) {
                        self.service_id = Some(service.to_owned());
                    }
                } else {
                    self.name_what_it_is_about(*topic, &mut value);
                }
                let bytes = Value::Object(value).to_string().into_bytes();
                for time in 0..*times {
                    if time > 0 {
                        self.wait(*every, came)?;
                    }
                    let first = came.told.len();
                    let (value, moment) = (Some(Cow::Borrowed(bytes.as_slice())), Some(self.replay.now()));
                    let mut line = Ahead::Line(Ok(Line::Record { topic: *topic, key: None, value, at: moment }));
                    self.replay.take(&mut line, &mut |told| came.told.push(told))?;
                    let reasons = came.told[first..].iter().filter_map(|told| match &told.what {
                        What::Buried(record) => Some(reason(record)),
                        What::Said(_) => None,
                    });
                    came.refused.extend(reasons.map(|reason| (at, reason)));
                    bounded(came)?;
                }
                Ok(())
            }
        }
    }

    /// A command or an event that names nothing means the last alert's.
    fn name_what_it_is_about(&self, topic: Topic, value: &mut serde_json::Map<String, Value>) {
        let Some(service) = &self.service_id else { return };
        let silences = value.get("command").and_then(Value::as_str).is_some_and(|command| command.contains("silence"));
        if topic == Topic::Events {
            value.entry("service_id").or_insert_with(|| json!(service));
        } else if !silences && !value.contains_key("incident_id") {
            value.entry("incident").or_insert_with(|| json!({ "service_id": service }));
        }
    }

    /// Keeps the incidents as published, and the rules that had something to decide.
    fn look(&mut self, told: &[Told]) {
        for told in told {
            match &told.what {
                What::Said(Output::Incident(incident)) => {
                    self.incidents.insert(incident.id, Arc::clone(incident));
                }
                What::Said(Output::Decision(decision)) => {
                    let touched = decision.verdicts.iter().filter(|verdict| verdict.why != Why::Where);
                    self.touched.extend(touched.map(|verdict| (verdict.kind, verdict.rule.clone())));
                }
                What::Said(Output::Action(action)) if !action.rule.is_empty() => {
                    self.touched.insert((action.kind.name(), action.rule.clone()));
                }
                _ => {}
            }
        }
    }

    /// The newest incident of a service, perhaps with that title.
    pub fn newest(&self, service_id: &str, title: Option<&str>) -> Option<&Arc<Incident>> {
        let is =
            |incident: &&Arc<Incident>| incident.service_id == service_id && title.is_none_or(|title| incident.title == title);
        self.incidents.values().filter(is).max_by_key(|incident| (incident.triggered_at, incident.last_alert.offset))
    }

    pub fn codec(&self) -> &crate::codec::Settings {
        self.replay.codec()
    }
}

fn bounded(came: &Came) -> Result<(), String> {
    match came.told.len() {
        0..MOST => Ok(()),
        _ => Err(format!("more than {MOST} things were said in one group of steps: split the case")),
    }
}

fn reason(record: &crate::codec::OutRecord) -> String {
    let header = record.headers.iter().find(|(name, _)| name == "__incidentd.error.reason");
    header.map(|(_, reason)| String::from_utf8_lossy(reason).into_owned()).unwrap_or_default()
}

/// An action in words, for a person who compares.
pub fn described(told: &Told, action: &crate::model::Action) -> String {
    use crate::model::ActionKind;
    let rule = if action.rule.is_empty() { super::expectation::DEFAULT_CHANNELS } else { &action.rule };
    let did = match &action.kind {
        ActionKind::Notification { channel } => format!("told {}", explain::channel(&channel.kind, &channel.config.0)),
        ActionKind::Notice { channel, .. } => {
            format!("told {} that it is limited", explain::channel(&channel.kind, &channel.config.0))
        }
        ActionKind::Digest { channel, incidents, .. } => {
            format!("sent {} a digest of {}", explain::channel(&channel.kind, &channel.config.0), incidents.len())
        }
        ActionKind::Escalation { level, repeat, targets, .. } => {
            let people: Vec<String> = targets.iter().map(|person| explain::person(person.kind.name(), &person.id)).collect();
            let repeat = if *repeat > 0 { format!(" of repeat {repeat}") } else { String::new() };
            format!("paged {} (level {level}{repeat})", explain::listed(&people))
        }
        ActionKind::Remediation { actions, attempt, .. } => {
            let actions: Vec<String> = actions.iter().map(|action| explain::remedy(&action.kind, &action.target)).collect();
            format!("started {} (attempt {attempt})", explain::listed(&actions))
        }
    };
    let at = told.at.to_string();
    format!("`{rule}` {did} on {} of {} at {}", action.event, action.incident.service_id, &at[11..19])
}
