//! An alert as the engine takes it: after defaults, aliases, scoring and fingerprint (SPEC 3.1, 4.1, 4.2).
//!
//! Most alerts merge, and a merge needs little; so what only a creation needs is behind a call (ARCHITECTURE 9).

use crate::model::{Fingerprint, Labels, Metadata, Origin, Severity, Time};
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    #[default]
    Production,
    Staging,
    Development,
}

impl Environment {
    pub const ALL: [Environment; 3] = [Environment::Production, Environment::Staging, Environment::Development];

    pub fn name(self) -> &'static str {
        match self {
            Environment::Production => "production",
            Environment::Staging => "staging",
            Environment::Development => "development",
        }
    }

    /// The environment of that exact name; other spellings are the configuration's table.
    pub fn named(name: &str) -> Option<Environment> {
        Environment::ALL.into_iter().find(|environment| environment.name() == name)
    }
}

impl fmt::Display for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum AlertStatus {
    #[default]
    Firing,
    Resolved,
}

/// `metadata.current_value`, the one part of the metadata that a merge changes.
#[derive(Clone, Copy, PartialEq, Debug, Default)]
pub enum CurrentValue {
    #[default]
    Absent,
    Number(f64),
    /// Neither a number nor a numeric string: the value stands in [`Alert::body`].
    Other,
}

/// One alert, ready for its home shard.
pub struct Alert<'a> {
    /// Where its record first stood; `index` is its place in a webhook body.
    pub origin: Origin,
    pub service_id: Cow<'a, str>,
    pub fingerprint: Fingerprint,
    /// As said, by alias, or scored.
    pub severity: Severity,
    pub status: AlertStatus,
    /// Event time: the alert's own, at most its record's Kafka time + 5 min.
    pub timestamp: Time,
    /// Who fires it; none where it does not say. For Alertmanager its `fingerprint`.
    pub source: Option<Cow<'a, str>>,
    /// Alertmanager's `startsAt`; with `source` the identity of a firing. `None` for every other alert.
    pub starts_at: Option<Time>,
    pub current_value: CurrentValue,
    /// The rest, made only where an incident is created (or `current_value` is `Other`).
    /// A pure function of the record's bytes.
    pub body: &'a dyn Fn() -> AlertBody,
}

/// What only the creation of an incident needs.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct AlertBody {
    pub title: String,
    pub description: String,
    pub category: String,
    pub environment: Environment,
    pub dedup_key: Option<String>,
    pub labels: Labels,
    /// With unknown top-level fields, `original_environment`, `original_severity`, and numeric strings of the known
    /// numeric fields (threshold, current_value, the five factors) made numbers.
    pub metadata: Metadata,
}

/// What became of an alert: the label `outcome` of `incidentd_alerts_total` (SPEC 4.3).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum AlertOutcome {
    Created,
    Merged,
    Reopened,
    Resolved,
    Refreshed,
    Ignored,
    Rejected,
    Forwarded,
}

impl AlertOutcome {
    pub const ALL: [AlertOutcome; 8] = [
        AlertOutcome::Created,
        AlertOutcome::Merged,
        AlertOutcome::Reopened,
        AlertOutcome::Resolved,
        AlertOutcome::Refreshed,
        AlertOutcome::Ignored,
        AlertOutcome::Rejected,
        AlertOutcome::Forwarded,
    ];

    pub fn name(self) -> &'static str {
        match self {
            AlertOutcome::Created => "created",
            AlertOutcome::Merged => "merged",
            AlertOutcome::Reopened => "reopened",
            AlertOutcome::Resolved => "resolved",
            AlertOutcome::Refreshed => "refreshed",
            AlertOutcome::Ignored => "ignored",
            AlertOutcome::Rejected => "rejected",
            AlertOutcome::Forwarded => "forwarded",
        }
    }
}
