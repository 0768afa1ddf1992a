//! What must have come of the steps before: who was told, paged or repaired, who was not and why, and how an incident stands.

use crate::cases::node::{Findings, Holds, Node, Place, suggest};
use crate::model::{RuleEvent, Severity};
use crate::rules::RuleSet;
use serde_json::{Map, Value};

/// The three kinds of rules, and the words for what they do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Kind {
    Notified,
    Escalated,
    Remediated,
}

impl Kind {
    pub const ALL: [Kind; 3] = [Kind::Notified, Kind::Escalated, Kind::Remediated];

    /// The step that expects it.
    pub fn word(self) -> &'static str {
        match self {
            Kind::Notified => "notified",
            Kind::Escalated => "escalated",
            Kind::Remediated => "remediated",
        }
    }

    /// As decisions name it.
    pub fn rule_kind(self) -> &'static str {
        match self {
            Kind::Notified => "notification",
            Kind::Escalated => "escalation",
            Kind::Remediated => "remediation",
        }
    }

    /// The key of a step that names the rule.
    fn rule_key(self) -> &'static str {
        if self == Kind::Escalated { "policy" } else { "rule" }
    }

    pub fn names(self, rules: &RuleSet) -> Vec<&str> {
        match self {
            Kind::Notified => rules.notifications().iter().map(|rule| rule.name.as_str()).collect(),
            Kind::Escalated => rules.escalations().iter().map(|rule| rule.name.as_str()).collect(),
            Kind::Remediated => rules.remediations().iter().map(|rule| rule.name.as_str()).collect(),
        }
    }
}

/// What the default channels are called in a case.
pub const DEFAULT_CHANNELS: &str = "default_channels";

/// Which actions are meant; what is `None` or empty may be anything.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Selector {
    pub rule: Option<String>,
    pub event: Option<RuleEvent>,
    pub service_id: Option<String>,
    pub severity: Option<Severity>,
    pub title: Option<String>,
    /// Of a channel: `slack`.
    pub channel: Option<String>,
    /// Each must be among those told.
    pub to: Vec<String>,
    pub level: Option<u64>,
    pub repeat: Option<u64>,
    pub attempt: Option<u64>,
    /// All of a remediation, in order.
    pub actions: Option<Vec<String>>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Expectation {
    /// At least once, or exactly so often.
    Acted { kind: Kind, selector: Selector, times: Option<u64> },
    /// Never. `reason`: and this is why its rule did not.
    NotActed { kind: Kind, selector: Selector, reason: Option<String>, detail: Option<String> },
    /// No action at all.
    Nothing,
    /// No action but those expected here.
    NothingElse,
    /// A record went to `dead-letters`, for a reason that holds this text.
    Refused(String),
    /// The newest incident of the service (`None`: of the last alert's) stands like this.
    Incident { service_id: Option<String>, title: Option<String>, stands: Map<String, Value> },
}

/// The steps that expect something.
pub const WORDS: [&str; 10] = [
    "notified",
    "escalated",
    "remediated",
    "not_notified",
    "not_escalated",
    "not_remediated",
    "nothing",
    "nothing_else",
    "refused",
    "incident",
];

/// Why a rule may not have acted, as decisions say it.
const REASONS: [&str; 21] = [
    "where",
    "when",
    "disabled",
    "rate_limited",
    "digested",
    "silenced",
    "suppressed",
    "snoozed",
    "held",
    "flapping",
    "attempts_exhausted",
    "cooldown",
    "conditions",
    "budget",
    "script_error",
    "after_occurrences",
    "no_channels",
    "already_acted",
    "outranked",
    "nobody",
    "not_approved",
];

/// Reads the step `word`; what is wrong with it is noted.
pub fn read(word: &str, node: &Node, rules: &RuleSet, findings: &mut Findings) -> Vec<Expectation> {
    match word {
        "nothing" => vec![Expectation::Nothing],
        "nothing_else" => vec![Expectation::NothingElse],
        "refused" => match &node.holds {
            Holds::Text(text) => vec![Expectation::Refused(text.clone())],
            _ => {
                findings.wrong(word, node, "a part of the reason", "write for example `refused: service_id`");
                Vec::new()
            }
        },
        "incident" => read_incident(node, findings).into_iter().collect(),
        word => {
            let (negated, kind) = match word.strip_prefix("not_") {
                Some(word) => (true, word),
                None => (false, word),
            };
            let kind = Kind::ALL.into_iter().find(|known| known.word() == kind).unwrap_or(Kind::Notified);
            // A list: each of them.
            let items = match &node.holds {
                Holds::List(items) => items.as_slice(),
                _ => std::slice::from_ref(node),
            };
            items.iter().filter_map(|item| Reader { kind, negated, rules, findings }.one(item)).collect()
        }
    }
}

fn read_incident(node: &Node, findings: &mut Findings) -> Option<Expectation> {
    let Holds::Map(entries) = &node.holds else {
        findings.wrong("incident", node, "a map of the incident's fields", "write for example `incident: { status: resolved }`");
        return None;
    };
    let (mut stands, mut service_id, mut title) = (node.object(), None, None);
    for (name, place) in [("service_id", &mut service_id), ("title", &mut title)] {
        if let Some(Value::String(text)) = stands.remove(name) {
            *place = Some(text);
        }
    }
    for (at, key, _) in entries.iter().filter(|(_, key, _)| !FIELDS.contains(&key.as_str())) {
        findings.unknown(*at, key, &FIELDS);
    }
    Some(Expectation::Incident { service_id, title, stands })
}

/// Of an incident.
const FIELDS: [&str; 26] = [
    "service_id",
    "title",
    "status",
    "severity",
    "category",
    "environment",
    "description",
    "occurrence_count",
    "suppressed",
    "silenced_by",
    "snoozed_until",
    "correlation",
    "labels",
    "metadata",
    "escalation_level",
    "escalation_policy_id",
    "assigned_to",
    "acknowledged_by",
    "acknowledged_at",
    "resolved_by",
    "resolved_at",
    "resolution",
    "triggered_at",
    "first_seen_at",
    "last_seen_at",
    "timeline",
];

struct Reader<'r> {
    kind: Kind,
    negated: bool,
    rules: &'r RuleSet,
    findings: &'r mut Findings,
}

impl Reader<'_> {
    fn one(&mut self, node: &Node) -> Option<Expectation> {
        let kind = self.kind;
        let mut selector = Selector::default();
        let (mut times, mut reason, mut detail) = (None, None, None);
        match &node.holds {
            Holds::Text(name) => selector.rule = self.rule(name, node.at),
            Holds::Map(entries) => {
                for (at, key, value) in entries {
                    match key.as_str() {
                        "times" if !self.negated => times = self.whole(key, value),
                        "reason" if self.negated => reason = self.among(key, value, &REASONS),
                        "detail" if self.negated => detail = self.text(key, value),
                        key => self.select(&mut selector, *at, key, value),
                    }
                }
            }
            _ => {
                let help = match kind {
                    Kind::Escalated => "write a policy's name, or for example `{ policy: llm-critical, level: 0, to: alice }`",
                    _ => "write a rule's name, or for example `{ rule: critical-production, channel: slack }`",
                };
                self.findings.wrong(kind.word(), node, "a rule's name, a map, or a list of these", help);
                return None;
            }
        }
        if reason.is_some() && selector.rule.is_none() {
            let help = format!("add `{}`: the reason is that rule's", kind.rule_key());
            self.findings.error(node.at, "a `reason` without a rule", help);
        }
        Some(match self.negated {
            true => Expectation::NotActed { kind, selector, reason, detail },
            false => Expectation::Acted { kind, selector, times },
        })
    }

    fn select(&mut self, selector: &mut Selector, at: Place, key: &str, value: &Node) {
        match (key, self.kind) {
            (key, kind) if key == kind.rule_key() => {
                selector.rule = self.text(key, value).and_then(|name| self.rule(&name, value.at));
            }
            ("event", _) => {
                let known: Vec<&str> = RuleEvent::LISTENABLE.into_iter().map(RuleEvent::name).chain(["reminder"]).collect();
                selector.event = self.among(key, value, &known).and_then(|name| match name.as_str() {
                    "reminder" => Some(RuleEvent::Reminder),
                    name => RuleEvent::named(name),
                });
            }
            ("severity", _) => {
                let known = ["critical", "high", "medium", "low", "info"];
                selector.severity = self.among(key, value, &known).and_then(|name| Severity::named(&name));
            }
            ("service_id", _) => selector.service_id = self.text(key, value),
            ("title", _) => selector.title = self.text(key, value),
            ("to", _) => selector.to = self.texts(key, value),
            ("channel", Kind::Notified) => {
                selector.channel = self.among(key, value, &["slack", "email", "sms", "pagerduty", "webhook"]);
            }
            ("level", Kind::Escalated) => selector.level = self.whole(key, value),
            ("repeat", Kind::Escalated) => selector.repeat = self.whole(key, value),
            ("attempt", Kind::Remediated) => selector.attempt = self.whole(key, value),
            ("actions", Kind::Remediated) => selector.actions = Some(self.texts(key, value)),
            (key, kind) => {
                let mut known = vec![kind.rule_key(), "event", "service_id", "severity", "title", "to"];
                known.extend(match kind {
                    Kind::Notified => &["channel"][..],
                    Kind::Escalated => &["level", "repeat"],
                    Kind::Remediated => &["attempt", "actions"],
                });
                known.extend(if self.negated { &["reason", "detail"][..] } else { &["times"] });
                self.findings.unknown(at, key, &known);
            }
        }
    }

    /// A rule that there is; default channels have no rule, and in a case this name.
    fn rule(&mut self, name: &str, at: Place) -> Option<String> {
        let names = self.kind.names(self.rules);
        let default = self.kind == Kind::Notified && name == DEFAULT_CHANNELS;
        if !default && !names.contains(&name) {
            let (kind, help) = (self.kind.rule_kind(), suggest(name, &names));
            self.findings.error(at, format!("there is no {kind} rule `{name}`"), help);
        }
        Some(name.to_owned())
    }

    fn text(&mut self, key: &str, node: &Node) -> Option<String> {
        match &node.holds {
            Holds::Text(text) => Some(text.clone()),
            _ => {
                self.findings.wrong(key, node, "a text", "put it into quotes");
                None
            }
        }
    }

    fn texts(&mut self, key: &str, node: &Node) -> Vec<String> {
        match &node.holds {
            Holds::List(items) => items.iter().filter_map(|item| self.text(key, item)).collect(),
            _ => self.text(key, node).into_iter().collect(),
        }
    }

    fn whole(&mut self, key: &str, node: &Node) -> Option<u64> {
        match &node.holds {
            Holds::Whole(number) if *number >= 0 => Some(*number as u64),
            _ => {
                self.findings.wrong(key, node, "a whole number, 0 or more", "write it without quotes");
                None
            }
        }
    }

    fn among(&mut self, key: &str, node: &Node, known: &[&str]) -> Option<String> {
        let text = self.text(key, node)?;
        if !known.contains(&text.as_str()) {
            self.findings.error(node.at, format!("`{key}` knows no `{text}`"), suggest(&text, known));
        }
        Some(text)
    }
}
