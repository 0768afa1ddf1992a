//! What was expected beside what came.

use crate::cases::because::because;
use crate::cases::expectation::{DEFAULT_CHANNELS, Expectation, Kind, Selector};
use crate::cases::node::Place;
use crate::cases::report::{Failing, RuleName};
use crate::cases::run::{Came, Running, described};
use crate::explain::addresses;
use crate::model::{Action, ActionKind, Output, Verdict};
use crate::replay::{Told, What};
use serde_json::Value;

/// Of a list of what came, in a failure.
const SHOWN: usize = 10;

pub struct Judge<'j> {
    pub running: &'j Running<'j>,
    pub came: &'j Came,
    actions: Vec<(&'j Told, &'j Action)>,
}

impl<'j> Judge<'j> {
    pub fn new(running: &'j Running<'_>, came: &'j Came) -> Judge<'j> {
        let actions = came.told.iter().filter_map(|told| match &told.what {
            What::Said(Output::Action(action)) => Some((told, action)),
            _ => None,
        });
        Judge { running, came, actions: actions.collect() }
    }

    pub fn judge(&self, expects: &[(Place, Expectation)]) -> Vec<Failing> {
        let mut failing: Vec<Failing> =
            expects.iter().filter_map(|(at, expected)| self.one(expects, expected).map(|wrong| wrong.at(*at))).collect();
        if !expects.iter().any(|(_, expected)| matches!(expected, Expectation::Refused(_))) {
            failing.extend(self.came.refused.iter().map(|(at, reason)| {
                Wrong {
                    expected: "the record is taken".to_owned(),
                    actual: vec![format!("it was refused: {reason}")],
                    because: vec![],
                }
                .at(*at)
            }));
        }
        failing
    }

    fn one(&self, all: &[(Place, Expectation)], expected: &Expectation) -> Option<Wrong> {
        let chosen = |kind: Kind, selector: &Selector| {
            self.actions.iter().filter(|(_, action)| fits(kind, selector, action)).copied().collect::<Vec<_>>()
        };
        match expected {
            Expectation::Acted { kind, selector, times } => {
                let found = chosen(*kind, selector).len() as u64;
                let right = times.map_or(found > 0, |times| found == times);
                (!right).then(|| Wrong {
                    expected: expected.described(),
                    actual: self.of_kind(*kind),
                    because: because(self, *kind, selector.rule.as_deref(), found > 0),
                })
            }
            Expectation::NotActed { kind, selector, reason, detail } => {
                let found = chosen(*kind, selector);
                if !found.is_empty() {
                    return Some(Wrong {
                        expected: expected.described(),
                        actual: found.iter().take(SHOWN).map(|(told, action)| described(told, action)).collect(),
                        because: because(self, *kind, Some(&found[0].1.rule), true),
                    });
                }
                let (reason, rule) = (reason.as_deref()?, selector.rule.as_deref()?);
                let verdicts: Vec<&Verdict> = self.verdicts(*kind, rule).map(|(_, verdict)| verdict).collect();
                let holds = |text: &str| detail.as_ref().is_none_or(|detail| text.contains(detail.as_str()));
                let said = verdicts
                    .iter()
                    .any(|verdict| verdict.why.name() == reason && holds(verdict.detail.as_deref().unwrap_or_default()));
                // A rule that misses by several fields stands in no decision.
                let missed =
                    || verdicts.is_empty() && reason == "where" && self.misses(*kind, rule).iter().any(|miss| holds(miss));
                (!said && !missed()).then(|| Wrong {
                    expected: expected.described(),
                    actual: match verdicts.as_slice() {
                        [] => vec![format!("`{rule}` was no candidate")],
                        verdicts => verdicts.iter().map(|verdict| verdict.why.name().to_owned()).take(SHOWN).collect(),
                    },
                    because: because(self, *kind, Some(rule), true),
                })
            }
            Expectation::Nothing if self.actions.is_empty() => None,
            Expectation::Nothing => Some(self.unexpected(expected, self.actions.clone())),
            Expectation::NothingElse => {
                let wanted = |action: &Action| {
                    all.iter().any(|(_, expected)| match expected {
                        Expectation::Acted { kind, selector, .. } => fits(*kind, selector, action),
                        _ => false,
                    })
                };
                let others: Vec<_> = self.actions.iter().filter(|(_, action)| !wanted(action)).copied().collect();
                (!others.is_empty()).then(|| self.unexpected(expected, others))
            }
            Expectation::Refused(part) => {
                let refused = &self.came.refused;
                (!refused.iter().any(|(_, reason)| reason.contains(part.as_str()))).then(|| Wrong {
                    expected: expected.described(),
                    actual: match refused.is_empty() {
                        true => vec!["every record was taken".to_owned()],
                        false => refused.iter().map(|(_, reason)| format!("refused: {reason}")).collect(),
                    },
                    because: Vec::new(),
                })
            }
            Expectation::Incident { service_id, title, stands } => {
                let actual = self.stands(service_id.as_deref(), title.as_deref(), stands)?;
                Some(Wrong { expected: expected.described(), actual: vec![actual], because: Vec::new() })
            }
        }
    }

    fn unexpected(&self, expected: &Expectation, actions: Vec<(&Told, &Action)>) -> Wrong {
        let first = actions[0].1;
        let kind = Kind::ALL.into_iter().find(|kind| kind.rule_kind() == first.kind.name()).unwrap_or(Kind::Notified);
        Wrong {
            expected: expected.described(),
            actual: actions.iter().take(SHOWN).map(|(told, action)| described(told, action)).collect(),
            because: because(self, kind, Some(&first.rule), true),
        }
    }

    /// What came of that kind, in words.
    fn of_kind(&self, kind: Kind) -> Vec<String> {
        let of_kind: Vec<_> = self.actions.iter().filter(|(_, action)| action.kind.name() == kind.rule_kind()).collect();
        if of_kind.is_empty() {
            return vec![format!(
                "nobody was {}",
                if kind == Kind::Remediated { "helped: nothing was started" } else { kind.word() }
            )];
        }
        let mut shown: Vec<String> = of_kind.iter().take(SHOWN).map(|(told, action)| described(told, action)).collect();
        if of_kind.len() > SHOWN {
            shown.push(format!("… and {} more", of_kind.len() - SHOWN));
        }
        shown
    }

    /// Why the newest incident of the service does not stand so.
    fn stands(&self, service: Option<&str>, title: Option<&str>, stands: &serde_json::Map<String, Value>) -> Option<String> {
        let Some(service) = service.or(self.running.service_id.as_deref()) else {
            return Some("no alert has come yet: name the incident's `service_id`".to_owned());
        };
        let Some(incident) = self.running.newest(service, title) else {
            let known: Vec<String> = self
                .running
                .incidents
                .values()
                .map(|incident| format!("\"{}\" of {}", incident.title, incident.service_id))
                .collect();
            return Some(match known.is_empty() {
                true => format!("{service} has no incident; nothing has opened any"),
                false => format!("{service} has no such incident; there are {}", known.join(", ")),
            });
        };
        let record = crate::codec::write_output(&Output::Incident(incident.clone()), self.running.codec());
        let shown = record.and_then(|record| serde_json::from_slice::<Value>(&record.value?).ok()).unwrap_or_default();
        stands.iter().find_map(|(key, value)| differs(value, shown.get(key), key))
    }

    /// What the rule's decisions were.
    pub fn verdicts(&self, kind: Kind, rule: &str) -> impl Iterator<Item = (crate::model::RuleEvent, &'j Verdict)> {
        let default = kind == Kind::Notified && (rule == DEFAULT_CHANNELS || rule.is_empty());
        self.decided().filter(move |(_, verdict)| match default {
            true => verdict.kind == DEFAULT_CHANNELS,
            false => verdict.kind == kind.rule_kind() && verdict.rule == rule,
        })
    }

    pub fn decided(&self) -> impl Iterator<Item = (crate::model::RuleEvent, &'j Verdict)> {
        self.came.told.iter().flat_map(|told| match &told.what {
            What::Said(Output::Decision(decision)) => {
                decision.verdicts.iter().map(|verdict| (decision.event, verdict)).collect::<Vec<_>>()
            }
            _ => Vec::new(),
        })
    }

    /// Every field of the rule's `where` that keeps out an incident of these steps.
    pub fn misses(&self, kind: Kind, rule: &str) -> Vec<String> {
        let mut seen = std::collections::BTreeSet::new();
        let incidents = self.came.told.iter().filter_map(|told| match &told.what {
            What::Said(Output::Incident(incident)) => Some(incident),
            _ => None,
        });
        let incidents = incidents.filter(|incident| seen.insert(incident.id));
        incidents.flat_map(|incident| self.running.rules.misses(kind.rule_kind(), rule, incident)).collect()
    }
}

/// A surprise, before it knows its line.
struct Wrong {
    expected: String,
    actual: Vec<String>,
    because: Vec<crate::cases::report::Because>,
}

impl Wrong {
    fn at(self, at: Place) -> Failing {
        let Wrong { expected, actual, because } = self;
        Failing { line: at.line, column: at.column, expected, actual, because }
    }
}

fn fits(kind: Kind, selector: &Selector, action: &Action) -> bool {
    let Selector { rule, event, service_id, severity, title, channel, to, level, repeat, attempt, actions } = selector;
    let incident = &action.incident;
    let same = |wanted: &Option<String>, has: &str| wanted.as_ref().is_none_or(|wanted| wanted == has);
    let number = |wanted: &Option<u64>, has: Option<u32>| wanted.is_none_or(|wanted| has.map(u64::from) == Some(wanted));
    let named = if action.rule.is_empty() { DEFAULT_CHANNELS } else { &action.rule };
    let (mut through, mut rung, mut tried) = ("", (None, None), None);
    let (told, kinds): (Vec<String>, Vec<&str>) = match &action.kind {
        ActionKind::Notification { channel } | ActionKind::Notice { channel, .. } | ActionKind::Digest { channel, .. } => {
            through = &channel.kind;
            (addresses(&channel.kind, &channel.config.0), Vec::new())
        }
        ActionKind::Escalation { level, repeat, targets, .. } => {
            rung = (Some(*level), Some(*repeat));
            (targets.iter().map(|person| person.id.clone()).collect(), Vec::new())
        }
        ActionKind::Remediation { actions, attempt, .. } => {
            tried = Some(*attempt);
            (
                actions.iter().map(|action| action.target.clone()).collect(),
                actions.iter().map(|action| action.kind.as_str()).collect(),
            )
        }
    };
    action.kind.name() == kind.rule_kind()
        && same(rule, named)
        && event.is_none_or(|event| event == action.event)
        && same(service_id, &incident.service_id)
        && same(title, &incident.title)
        && severity.is_none_or(|severity| severity == incident.severity)
        && same(channel, through)
        && to.iter().all(|place| told.contains(place))
        && number(level, rung.0)
        && number(repeat, rung.1)
        && number(attempt, tried)
        && actions.as_ref().is_none_or(|actions| *actions == kinds)
}

/// Where `actual` lacks something of `expected`: of maps what is named, everything else must be equal.
fn differs(expected: &Value, actual: Option<&Value>, path: &str) -> Option<String> {
    match (expected, actual) {
        (Value::Null, None | Some(Value::Null)) => None,
        (Value::Object(expected), Some(Value::Object(actual))) => {
            expected.iter().find_map(|(key, value)| differs(value, actual.get(key), &format!("{path}.{key}")))
        }
        (Value::Number(expected), Some(Value::Number(actual))) if expected.as_f64() == actual.as_f64() => None,
        (expected, Some(actual)) if expected == actual => None,
        (_, None) => Some(format!("{path} is not there")),
        (_, Some(actual)) => Some(format!("{path} is {actual}")),
    }
}

impl Expectation {
    /// The rule that it names.
    pub fn named(&self) -> Option<RuleName> {
        match self {
            Expectation::Acted { kind, selector, .. } | Expectation::NotActed { kind, selector, .. } => {
                let rule = selector.rule.as_ref().filter(|rule| *rule != DEFAULT_CHANNELS)?;
                Some((kind.rule_kind(), rule.clone()))
            }
            _ => None,
        }
    }

    fn described(&self) -> String {
        match self {
            Expectation::Acted { kind, selector, times } => {
                let times = times.map(|times| format!(", {times} times")).unwrap_or_default();
                format!("{}: {selector}{times}", kind.word())
            }
            Expectation::NotActed { kind, selector, reason, detail } => {
                let reason = reason.as_ref().map(|reason| format!(", reason {reason}")).unwrap_or_default();
                let detail = detail.as_ref().map(|detail| format!(", detail \"{detail}\"")).unwrap_or_default();
                format!("not {}: {selector}{reason}{detail}", kind.word())
            }
            Expectation::Nothing => "nothing".to_owned(),
            Expectation::NothingElse => "nothing else".to_owned(),
            Expectation::Refused(part) => format!("refused: {part}"),
            Expectation::Incident { stands, .. } => format!("incident: {}", Value::Object(stands.clone())),
        }
    }
}

impl std::fmt::Display for Selector {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Selector { rule, event, service_id, severity, title, channel, to, level, repeat, attempt, actions } = self;
        let mut parts = Vec::new();
        let mut part = |name: &str, value: Option<String>| parts.extend(value.map(|value| format!("{name}{value}")));
        part("", rule.clone());
        part("event ", event.map(|event| event.to_string()));
        part("service_id ", service_id.clone());
        part("severity ", severity.map(|severity| severity.to_string()));
        part("title ", title.clone());
        part("channel ", channel.clone());
        part("to ", (!to.is_empty()).then(|| to.join(" and ")));
        part("level ", level.map(|level| level.to_string()));
        part("repeat ", repeat.map(|repeat| repeat.to_string()));
        part("attempt ", attempt.map(|attempt| attempt.to_string()));
        part("actions ", actions.as_ref().map(|actions| actions.join(", ")));
        f.write_str(&if parts.is_empty() { "anybody".to_owned() } else { parts.join(", ") })
    }
}
