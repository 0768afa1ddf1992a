//! What the engine must know of a rule without running it.

use crate::model::{BusinessHours, EventSet, Repeat};
use crate::rules::Context;

#[derive(Clone, Debug, PartialEq)]
pub struct NotificationRule {
    pub name: String,
    pub priority: i64,
    pub enabled: bool,
    pub description: Option<String>,
    /// Default `triggered`.
    pub on: EventSet,
    pub after_occurrences: Option<u64>,
    pub repeat_minutes: Option<u64>,
    /// Of the rule, of one of its channels, or of what its `channels` returned on some sample. A closure may still name
    /// such a channel for the first time later: see [`crate::rules::wants_resolution`].
    pub send_on_resolve: bool,
    pub rate_limit: Option<RateLimit>,
    pub digest: Option<Digest>,
}

/// Sliding, over the whole rule; one of the two is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub max_per_hour: Option<u64>,
    pub max_per_day: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    pub interval_minutes: u64,
    /// Fields of the incident, labels as `labels.region`: one digest for each of their values.
    pub by: Vec<String>,
    /// The first is sent at once, alone.
    pub lead: bool,
}

/// A policy (SPEC 4.6); its levels are asked of the set.
#[derive(Clone, Debug, PartialEq)]
pub struct EscalationRule {
    pub name: String,
    pub priority: i64,
    pub enabled: bool,
    pub description: Option<String>,
    pub repeat: Option<Repeat>,
    pub business_hours: Option<BusinessHours>,
    pub ack_timeout_minutes: Option<u64>,
    pub escalate_after_ack: bool,
}

/// SPEC 4.8; its actions are asked of the set.
#[derive(Clone, Debug, PartialEq)]
pub struct RemediationRule {
    pub name: String,
    pub priority: i64,
    pub enabled: bool,
    pub description: Option<String>,
    /// All must hold.
    pub conditions: Vec<Condition>,
    pub max_auto_attempts: Option<u64>,
    pub cooldown_minutes: Option<u64>,
    /// Default 5.
    pub verify_minutes: u64,
    pub approval_required: bool,
    /// None: an approval is waited for without end.
    pub approval_minutes: Option<u64>,
    pub budget: Option<Budget>,
}

#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    RecentDeployment {
        within_minutes: u64,
    },
    /// The reading is strictly above the value.
    MetricThreshold {
        metric: String,
        value: f64,
    },
}

impl Condition {
    /// As in a rule.
    pub fn name(&self) -> &'static str {
        match self {
            Condition::RecentDeployment { .. } => "recent_deployment",
            Condition::MetricThreshold { .. } => "metric_threshold",
        }
    }

    /// What is not known does not hold.
    pub fn holds(&self, context: &Context) -> bool {
        match self {
            Condition::RecentDeployment { within_minutes } => context.service.recent_deployment(*within_minutes, context.now),
            Condition::MetricThreshold { metric, value } => {
                context.service.measurement(metric, context.now).is_some_and(|reading| reading > *value)
            }
        }
    }
}

/// Sliding; one of the two is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// Over all services.
    pub max_per_hour: Option<u64>,
    pub max_per_service_per_hour: Option<u64>,
}

/// Which rules' `where` an incident meets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches {
    /// Indexes into the rules of the kind, ascending: by descending priority, then name.
    pub matched: Vec<usize>,
    /// Enabled rules that miss by exactly one field of `where`, with what it is and what it should be; at most 20.
    pub near: Vec<(usize, String)>,
    /// How many more miss by one field.
    pub near_more: usize,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Change, Measurement, RuleEvent, ServiceContext, Time};
    use std::rc::Rc;

    #[test]
    fn a_condition_holds_only_where_it_is_known_to() {
        let now = Time(1_768_471_200_000);
        let mut context = Context::new(now, RuleEvent::Triggered);
        let deployed = Condition::RecentDeployment { within_minutes: 30 };
        let above = |value| Condition::MetricThreshold { metric: "p99".to_owned(), value };
        assert!(!deployed.holds(&context) && !above(f64::MIN).holds(&context));
        let kind = "deployment".to_owned();
        context.service = Rc::new(ServiceContext {
            changes: vec![Change { kind, description: String::new(), timestamp: now, id: None }],
            measurements: [("p99".to_owned(), Measurement { value: 5.0, unit: None, timestamp: now })].into(),
        });
        assert!(deployed.holds(&context) && above(4.9).holds(&context));
        assert!(!above(5.0).holds(&context), "strictly above");
    }
}
