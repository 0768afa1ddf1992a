//! `drill`: a made-up incident, what one rule says to it, and what becomes of that.

use crate::app::{Failure, delivery, reload, run};
use crate::codec::{self, write_output};
use crate::config::Config;
use crate::delivery::drill::{self, Drilled};
use crate::model::{
    Action, ActionId, ActionKind, Environment, EventSet, Fingerprint, Incident, IncidentId, Labels, Metadata, Origin, Output,
    RuleEvent, Severity, Status, Time, TimelineEvent, Topic,
};
use crate::rules::{Context, RuleSet};
use crate::settings;
use serde_json::Value;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What the made-up incident is like.
#[derive(Clone, Debug)]
pub struct DrillOptions {
    pub rule: String,
    pub service: String,
    pub severity: Severity,
    pub environment: Environment,
    pub category: String,
    pub labels: Vec<(String, String)>,
    /// Of an escalation.
    pub level: usize,
    /// False: only whom it would go to.
    pub send: bool,
}

/// What was sent to whom, and whether the rule would have acted for such an incident at all.
pub struct DrillReport {
    pub drilled: Vec<Drilled>,
    /// Why it would not have, for a person.
    pub caveats: Vec<String>,
}

pub fn run_drill(config: &Config, options: &DrillOptions) -> Result<DrillReport, Failure> {
    let (source, _) = reload::load(config)?;
    let (rules, _) = RuleSet::load(&source, &settings::rule_limits())
        .map_err(|_| Failure::Wrong("the rules do not load: `incidentd rules check` says where".to_owned()))?;
    let incident = Arc::new(incident(options));
    let mut caveats = Vec::new();
    let kinds = kinds(&rules, options, &incident, &mut caveats)?;
    let channels = delivery::channels(config)?;
    let runtime = run::runtime()?;
    let mut drilled = Vec::new();
    for (number, kind) in (0..).zip(kinds) {
        let action = Action {
            id: ActionId::derive(incident.id, kind.name(), &options.rule, "drill", number),
            rule: options.rule.clone(),
            event: RuleEvent::Triggered,
            created_at: incident.triggered_at,
            incident: Arc::clone(&incident),
            kind,
        };
        let record = write_output(&Output::Action(action), &codec::Settings::default()).and_then(|record| record.value);
        let sent = runtime.block_on(drill::drill(&channels, &record.unwrap_or_default(), options.send));
        drilled.extend(sent.map_err(Failure::Wrong)?);
    }
    runtime.shutdown_background();
    Ok(DrillReport { drilled, caveats })
}

/// What the rule says to the incident.
fn kinds(
    rules: &RuleSet,
    options: &DrillOptions,
    incident: &Arc<Incident>,
    caveats: &mut Vec<String>,
) -> Result<Vec<ActionKind>, Failure> {
    let context = Context::new(incident.triggered_at, RuleEvent::Triggered);
    let failed = |error: crate::rules::ScriptError| {
        let crate::rules::ScriptError { file, line, column, message } = error;
        Failure::Wrong(format!("{file}:{line}:{column}: {message}"))
    };
    let mut unless = |holds: bool, why: &str| {
        if !holds {
            caveats.push(why.to_owned());
        }
    };
    if let Some(number) = rules.notifications().iter().position(|rule| rule.name == options.rule) {
        let rule = &rules.notifications()[number];
        unless(rule.enabled, "the rule is disabled: it would not act");
        let matches = rules.matches(incident, EventSet::EMPTY.union(rule.on)).matched.contains(&number);
        unless(
            matches,
            "its `where` does not take this incident: give --service, --severity, --label … to make one that it takes",
        );
        unless(rules.when(number, incident, &context).map_err(failed)?, "its `when` does not hold for this incident");
        let channels = rules.channels(number, incident, &context).map_err(failed)?;
        return Ok(channels.into_iter().map(|channel| ActionKind::Notification { channel }).collect());
    }
    if let Some(number) = rules.escalations().iter().position(|rule| rule.name == options.rule) {
        unless(rules.escalations()[number].enabled, "the policy is disabled: it would not act");
        unless(rules.escalation_matches(incident).matched.contains(&number), "its `where` does not take this incident");
        unless(rules.escalation_when(number, incident, &context).map_err(failed)?, "its `when` does not hold for this incident");
        let levels = rules.levels(number, incident, &context).map_err(failed)?;
        let level = levels.get(options.level).ok_or_else(|| {
            Failure::Usage(format!(
                "the policy `{}` has {} levels, counted from 0; there is no level {}",
                options.rule,
                levels.len(),
                options.level
            ))
        })?;
        let people = level.targets.iter().flat_map(|target| rules.people().reach(target, incident.triggered_at)).collect();
        return Ok(vec![ActionKind::Escalation {
            policy: options.rule.clone(),
            level: options.level as u32,
            repeat: 0,
            targets: people,
        }]);
    }
    if rules.remediations().iter().any(|rule| rule.name == options.rule) {
        return Err(Failure::Usage(format!("`{}` is a remediation: a drill starts none", options.rule)));
    }
    let names = rules
        .notifications()
        .iter()
        .map(|rule| rule.name.as_str())
        .chain(rules.escalations().iter().map(|rule| rule.name.as_str()));
    Err(Failure::Usage(format!("there is no rule `{}`; there are {}", options.rule, names.collect::<Vec<_>>().join(", "))))
}

fn incident(options: &DrillOptions) -> Incident {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    // Each drill is another incident, which no shard knows.
    let origin = Origin { topic: Topic::Alerts, partition: 0, offset: now.0, index: u32::MAX };
    let mut incident = Incident {
        id: IncidentId::derive(u16::MAX, &origin),
        fingerprint: Fingerprint::of_dedup_key("incidentd drill"),
        dedup_key: None,
        title: format!("Drill of the rule {}", options.rule),
        description: "A test by `incidentd drill`. Nothing is wrong, and nothing is to be done.".to_owned(),
        severity: options.severity,
        category: options.category.clone(),
        service_id: options.service.clone(),
        environment: options.environment,
        status: Status::Triggered,
        triggered_at: now,
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        resolution: None,
        labels: options.labels.iter().cloned().collect::<Labels>(),
        metadata: Metadata::default(),
        parent_incident_id: None,
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
        assigned_to: None,
        timeline: Vec::new(),
        occurrence_count: 1,
        first_seen_at: now,
        last_seen_at: now,
        version: 1,
        last_alert: origin,
    };
    incident.note(now, TimelineEvent::Triggered, None, Value::Null);
    incident
}
