//! How records are read and written: aliases, defaults, limits (SPEC 3.1, 6 «Limits»).

use crate::codec::aliases;
use crate::model::Severity;
use std::collections::BTreeMap;

#[derive(Clone, Debug)]
pub struct Settings {
    /// Spellings, lower-case, to canonical names.
    pub environment_aliases: BTreeMap<String, String>,
    pub severity_aliases: BTreeMap<String, String>,
    /// Of an alert that neither names a severity nor has a factor to score.
    pub severity_default: Severity,
    /// The alertname of an Alertmanager alert without metric_type belongs to its fingerprint.
    pub alertmanager_alertname: bool,
    /// Bytes of one alert.
    pub max_alert: usize,
    /// Levels of objects and arrays, the alert's own object being the first. More than [`NESTING_MOST`] count as that.
    pub max_nesting: usize,
    pub max_labels: usize,
    /// Alerts of one webhook body.
    pub max_body_alerts: usize,
    /// Bytes of one webhook body, and of any record.
    pub max_body_bytes: usize,
    /// Bytes of a record of ours.
    pub record_max: usize,
}

/// What both parsers can nest without fear for the stack.
pub const NESTING_MOST: usize = 100;

impl Settings {
    pub(super) fn nesting(&self) -> usize {
        self.max_nesting.min(NESTING_MOST)
    }
}

impl Default for Settings {
    /// The SPEC's.
    fn default() -> Settings {
        Settings {
            environment_aliases: aliases::table(&aliases::ENVIRONMENT),
            severity_aliases: aliases::table(&aliases::SEVERITY),
            severity_default: Severity::Medium,
            alertmanager_alertname: true,
            max_alert: 64 << 10,
            max_nesting: 32,
            max_labels: 64,
            max_body_alerts: 1_000,
            max_body_bytes: 4 << 20,
            record_max: 900 << 10,
        }
    }
}
