//! Runs each closure on sample incidents at load, so that what can be found wrong is found before a page depends on it.
//!
//! The samples are those that the rule's own `where` admits: each severity, with few and with all labels and metadata.
//! `channels`, `levels` and `actions` run only where `when` holds, as later.

use crate::model::{Environment, Fingerprint, Incident, IncidentId, Labels, Metadata, Origin, Severity, Status, Time, Topic};
use crate::rules::closure::{Made, Ready, Runner};
use crate::rules::diagnostic::{Diagnostic, Place, ScriptError, suggest};
use crate::rules::kind::Kind;
use crate::rules::matcher::{Field, Where};
use crate::rules::view::{CONTEXT_FUNCTIONS, ContextView, FIELDS, View};
use serde_json::json;
use std::sync::Arc;

/// 2026-01-15T10:00:00Z.
const NOW: Time = Time(1_768_471_200_000);

/// The first failure of each closure; what the others gave for the samples the rule learns from.
pub(super) fn run<R: Kind>(ready: &mut Ready<R>, runner: &Runner<'_>) -> Vec<Diagnostic> {
    let mut findings = Vec::new();
    let (mut when_failed, mut made_failed) = (false, false);
    let Ready { rule, matcher, body, .. } = ready;
    let makes = match &body.made {
        Made::Closure(closure) => Some(closure),
        Made::Fixed(_) => None,
    };
    if body.when.is_none() && makes.is_none() {
        return findings;
    }
    for (sample, described) in samples(matcher) {
        let context = ContextView::sample(NOW, rule.event(), sample.all_labels);
        // What failed once is known to fail, and may be slow to.
        let holds = match &body.when {
            Some(_) if when_failed => Err(()),
            Some(when) => when.truth(runner, sample.clone(), &context).map_err(|error| {
                when_failed = true;
                findings.push(finding(rule.name(), "when", &described, error));
            }),
            None => Ok(true),
        };
        if let (Some(closure), Ok(true) | Err(()), false) = (makes, holds, made_failed) {
            match closure.make(rule, runner, sample, &context) {
                Ok(made) => rule.learn(&made),
                Err(error) => {
                    made_failed = true;
                    findings.push(finding(rule.name(), R::MAKES, &described, error));
                }
            }
        }
    }
    findings
}

fn finding(rule: &str, key: &str, sample: &str, error: ScriptError) -> Diagnostic {
    let place = Place { line: error.line, column: error.column };
    let help = remedy(&error.message);
    let message = format!("`{key}` of rule `{rule}` fails on a sample incident ({sample}): {}", error.message);
    Diagnostic::error(&error.file, place, message, help)
}

fn remedy(message: &str) -> Option<String> {
    if let Some(name) = message.strip_prefix("there is no field `").and_then(|rest| rest.strip_suffix("` in Incident")) {
        return Some(suggest(name, FIELDS));
    }
    if message.ends_with("` in Context") {
        let name = message.split('`').nth(1).unwrap_or_default();
        return Some(match CONTEXT_FUNCTIONS.contains(&name) {
            true => format!("it is a function: write `context.{name}(…)`"),
            false => suggest(name, ["now", "event"].into_iter().chain(CONTEXT_FUNCTIONS)),
        });
    }
    let nothing = message.contains("there is no function") && message.contains("()");
    nothing.then(|| {
        "a label or value that an incident does not carry is `()`: write `incident.labels.region ?? \"\"`, or ask with `!= ()`"
            .to_owned()
    })
}

fn samples(matcher: &Where) -> impl Iterator<Item = (View, String)> {
    let environments: Vec<Environment> =
        Environment::ALL.into_iter().filter(|environment| matcher.admits(&Field::Environment, environment.name())).collect();
    let severities = Severity::ALL.into_iter().filter(|severity| matcher.admits(&Field::Severity, severity.name()));
    let both = severities.flat_map(|severity| [(severity, false), (severity, true)]);
    both.enumerate().map(move |(number, (severity, full))| {
        let environment = environments.get(number % environments.len().max(1)).copied().unwrap_or_default();
        let incident = sample(matcher, severity, environment, full);
        let described = format!("{severity}, {environment}, {} labels and metadata", if full { "with" } else { "without" });
        (View { incident: Arc::new(incident), all_labels: full }, described)
    })
}

fn sample(matcher: &Where, severity: Severity, environment: Environment, full: bool) -> Incident {
    let text = |field: &Field, default: &str| {
        matcher.patterns(field).and_then(|patterns| patterns.first()).map_or_else(|| default.to_owned(), |p| p.sample())
    };
    let labels: Labels = matcher
        .fields
        .iter()
        .filter_map(|(field, patterns)| match field {
            Field::Label(name) => Some((name.clone(), patterns.first()?.sample())),
            _ => None,
        })
        .collect();
    let origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };
    let person = full.then(|| "alice".to_owned());
    Incident {
        id: IncidentId::derive(0, &origin),
        fingerprint: Fingerprint::of_dedup_key("sample"),
        dedup_key: full.then(|| "sample".to_owned()),
        title: text(&Field::Title, "Sample incident"),
        description: if full { "A sample incident of the check".to_owned() } else { String::new() },
        severity,
        category: text(&Field::Category, "model_performance"),
        service_id: text(&Field::ServiceId, "llm-gateway"),
        environment,
        status: Status::Triggered,
        triggered_at: NOW,
        acknowledged_at: full.then_some(NOW),
        acknowledged_by: person.clone(),
        resolved_at: full.then_some(NOW),
        resolved_by: person.clone(),
        resolution: full.then(|| "restarted".to_owned()),
        labels,
        metadata: if full { metadata() } else { Metadata::default() },
        parent_incident_id: full.then(|| IncidentId::derive(1, &origin)),
        related_incident_ids: Vec::new(),
        related_more: 0,
        suppressed: false,
        correlation: None,
        silenced_by: Vec::new(),
        snoozed_until: None,
        notifications: Vec::new(),
        notifications_more: 0,
        escalation_level: 0,
        escalation_policy_id: None,
        assigned_to: person,
        timeline: Vec::new(),
        occurrence_count: if full { 12 } else { 1 },
        first_seen_at: NOW,
        last_seen_at: NOW,
        version: 1,
        last_alert: origin,
    }
}

/// What the seed's incident carries, with the types that the engine makes sure of.
fn metadata() -> Metadata {
    let json = json!({
        "current_value": 7.5, "threshold": 5.0, "unit": "seconds", "deployment_id": "deploy-1",
        "dashboard_url": "https://grafana.example.com/d/1", "runbook_url": "https://wiki.example.com/runbook",
        "alert_manager_url": "https://alertmanager.example.com",
        "recent_changes": [{"type": "deployment", "description": "v2", "timestamp": "2026-01-15T09:50:00.000Z"}],
        "user_impact": 40.0, "degradation": 3.5, "error_rate": 12.0, "cost_increase": 1.5, "sla_risk_minutes": 30.0,
    });
    match json {
        serde_json::Value::Object(map) => Metadata(map),
        _ => Metadata::default(),
    }
}

/// For tests of the parts.
#[cfg(test)]
pub(super) fn sample_incident() -> Incident {
    sample(&Where::default(), Severity::High, Environment::Production, true)
}
