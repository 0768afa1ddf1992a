//! `remediation(#{…})`: what is tried before people are told, and the fences around it (SPEC 4.8); the seed's `trigger` is
//! understood beside `where`.

use crate::model::{Incident, Remedy};
use crate::rules::collector::Declarations;
use crate::rules::declaration::{Common, Declared, Listed, Makes, array_or_closure};
use crate::rules::diagnostic::suggest;
use crate::rules::kind::Kind;
use crate::rules::matcher::Field;
use crate::rules::reader::Reader;
use crate::rules::{Budget, Condition, RemediationRule, remedy, where_clause};
use rhai::{Array, Dynamic};
use std::cell::RefCell;

const REMEDY: &str = "write `actions: [rollback()]` or `actions: |incident| [restart(incident.service_id)]`";
/// Default of `verify_minutes`.
const VERIFY_MINUTES: u64 = 5;
const MOST_CONDITIONS: usize = 50;

/// Keys within keys.
pub(super) const TRIGGER: [&str; 3] = ["alert_name", "category", "severity"];
pub(super) const CONDITION: [&str; 4] = ["type", "within_minutes", "metric", "value"];
pub(super) const BUDGET: [&str; 2] = ["max_per_hour", "max_per_service_per_hour"];

impl Kind for RemediationRule {
    type Made = Remedy;
    const WORD: &'static str = "remediation";
    const KEYS: &'static [&'static str] = &[
        "conditions",
        "actions",
        "max_auto_attempts",
        "cooldown_minutes",
        "verify_minutes",
        "approval",
        "approval_minutes",
        "budget",
        // The seed's.
        "trigger",
    ];
    const MAKES: &'static str = "actions";
    const EXAMPLE: &'static str = "`[]` does nothing, `[restart()]` one thing";

    fn declared(declarations: &Declarations) -> &RefCell<Vec<Declared<RemediationRule>>> {
        &declarations.remediations
    }

    fn read(reader: &mut Reader, mut common: Common) -> (RemediationRule, Common, Option<Makes<Remedy>>) {
        if let Some(mut trigger) = reader.inner("trigger", &TRIGGER) {
            for (key, field) in [("alert_name", Field::Title), ("category", Field::Category), ("severity", Field::Severity)] {
                where_clause::read_beside(&mut trigger, key, field, &mut common.matcher);
            }
            reader.close(trigger);
        }
        let actions = read_actions(reader);
        let approval_required = read_approval(reader);
        let approval_minutes = reader.positive("approval_minutes");
        if approval_minutes.is_some() && !approval_required {
            let message = "`approval_minutes` has no effect without `approval: \"required\"`".to_owned();
            reader.warning("approval_minutes", message, "add it, or take this out");
        }
        let rule = RemediationRule {
            name: common.name.clone(),
            priority: common.priority,
            enabled: common.enabled,
            description: common.description.clone(),
            conditions: read_conditions(reader),
            max_auto_attempts: reader.positive("max_auto_attempts"),
            cooldown_minutes: reader.positive("cooldown_minutes"),
            verify_minutes: reader.positive("verify_minutes").unwrap_or(VERIFY_MINUTES),
            approval_required,
            approval_minutes,
            budget: read_budget(reader),
        };
        (rule, common, actions)
    }

    fn name(&self) -> &str {
        &self.name
    }

    fn priority(&self) -> i64 {
        self.priority
    }

    fn enabled(&self) -> bool {
        self.enabled
    }

    fn takes_all(&self) -> bool {
        let fences = [self.max_auto_attempts, self.cooldown_minutes];
        self.conditions.is_empty() && !self.approval_required && self.budget.is_none() && fences == [None, None]
    }

    fn made(&self, items: &Array) -> Result<Vec<Remedy>, String> {
        remedy::made(items)
    }

    fn complete(remedy: &mut Remedy, incident: &Incident) {
        if remedy.target.is_empty() {
            remedy.target.clone_from(&incident.service_id);
        }
    }
}

fn read_actions(reader: &mut Reader) -> Option<Makes<Remedy>> {
    let items = match array_or_closure(reader, "actions", REMEDY)? {
        Listed::Closure(function) => return Some(Makes::Closure(function)),
        Listed::Items(items) => items,
    };
    let (remedies, findings) = remedy::read_all(&items, reader.place());
    let sound = !findings.iter().any(|finding| finding.error);
    if sound && remedies.is_empty() && (items.is_empty() || !reader.refused) {
        reader.error("actions", "`actions` is empty: the rule would do nothing".to_owned(), REMEDY);
    }
    reader.findings.extend(findings);
    sound.then_some(Makes::Fixed(remedies))
}

fn read_approval(reader: &mut Reader) -> bool {
    const REMEDY: &str = "write `approval: \"required\"`, or leave it out";
    match reader.text("approval", REMEDY).as_deref() {
        None => false,
        Some("required") => true,
        Some(other) => {
            reader.error("approval", format!("`approval` is \"required\" or left out, not {other:?}"), REMEDY);
            true
        }
    }
}

fn read_conditions(reader: &mut Reader) -> Vec<Condition> {
    const REMEDY: &str = "write `conditions: [#{ type: \"recent_deployment\", within_minutes: 30 }]`";
    let Some(value) = reader.take("conditions") else { return Vec::new() };
    let items = match value.try_cast_result::<Array>() {
        Ok(items) => items,
        Err(other) => {
            reader.wrong("conditions", "an array", &other, REMEDY);
            return Vec::new();
        }
    };
    if items.len() > MOST_CONDITIONS {
        reader.error("conditions", format!("{} conditions; {MOST_CONDITIONS} is the most", items.len()), "put some into `when`");
    }
    let mut conditions = Vec::new();
    for (index, item) in items.iter().enumerate().filter(|(_, item)| !item.is_unit()) {
        let path = format!("conditions[{index}]");
        match Reader::of_item("a condition", path, item, reader.place(), &CONDITION, REMEDY) {
            Ok(mut inner) => {
                conditions.extend(read_condition(&mut inner));
                reader.close(inner);
            }
            Err(finding) => reader.findings.push(finding),
        }
    }
    conditions
}

fn read_condition(reader: &mut Reader) -> Option<Condition> {
    const TYPES: [&str; 2] = ["recent_deployment", "metric_threshold"];
    const DEPLOYMENT: &str = "write `#{ type: \"recent_deployment\", within_minutes: 30 }`";
    const THRESHOLD: &str = "write `#{ type: \"metric_threshold\", metric: \"error_rate\", value: 5.0 }`";
    if !reader.has("type") {
        reader.missing("type", DEPLOYMENT);
    }
    let kind = reader.text("type", DEPLOYMENT)?;
    let (needs, remedy): (&[&str], _) = match kind.as_str() {
        "recent_deployment" => (&["within_minutes"], DEPLOYMENT),
        "metric_threshold" => (&["metric", "value"], THRESHOLD),
        _ => {
            reader.error("type", format!("there is no condition of type `{kind}`"), &suggest(&kind, TYPES));
            return None;
        }
    };
    for key in needs.iter().filter(|key| !reader.has(key)).collect::<Vec<_>>() {
        reader.missing(key, remedy);
    }
    for key in reader.keys().iter().filter(|key| !needs.contains(&key.as_str())) {
        // What no condition knows was noted before.
        if ["within_minutes", "metric", "value"].contains(&key.as_str()) {
            reader.error(key, format!("{kind} has no `{key}`"), remedy);
        }
    }
    match kind.as_str() {
        "recent_deployment" => {
            reader.positive("within_minutes").map(|within_minutes| Condition::RecentDeployment { within_minutes })
        }
        _ => {
            let (metric, value) = (reader.text("metric", remedy), reader.take("value"));
            let number = value.as_ref().and_then(number);
            if let (Some(value), None) = (&value, number) {
                reader.wrong("value", "a number", value, remedy);
            }
            Some(Condition::MetricThreshold { metric: metric?, value: number? })
        }
    }
}

fn number(value: &Dynamic) -> Option<f64> {
    value.as_float().ok().or_else(|| value.as_int().ok().map(|whole| whole as f64)).filter(|number| number.is_finite())
}

fn read_budget(reader: &mut Reader) -> Option<Budget> {
    let mut inner = reader.inner("budget", &BUDGET)?;
    if !inner.has("max_per_hour") && !inner.has("max_per_service_per_hour") {
        inner.missing("max_per_hour", "write `budget: #{ max_per_hour: 10 }`, with `max_per_service_per_hour` or in its place");
    }
    let budget = Budget {
        max_per_hour: inner.positive("max_per_hour"),
        max_per_service_per_hour: inner.positive("max_per_service_per_hour"),
    };
    if let (Some(all), Some(service)) = (budget.max_per_hour, budget.max_per_service_per_hour)
        && service >= all
    {
        let message = format!("`max_per_service_per_hour` has no effect: {service} is not less than the {all} of all services");
        inner.warning("max_per_service_per_hour", message, "make it smaller than `max_per_hour`, or take it out");
    }
    reader.close(inner);
    Some(budget)
}
