//! What is in force of the rules folder, and why the last change to it was refused: for `GET /v1/rules` and the metrics.

use crate::http::rules::{Finding, Refused, Report, Rule, Severity};
use crate::metrics as names;
use crate::model::Time;
use crate::rules::{Diagnostic, Listed};
use metrics::gauge;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Kinds that are counted, also where there is no rule of one.
const KINDS: [&str; 3] = ["notification", "escalation", "remediation"];

/// Shared by whoever follows the folder, who writes it, and whoever is asked.
#[derive(Clone, Default)]
pub struct RulesStatus(Arc<Mutex<Report>>);

impl RulesStatus {
    pub fn report(&self) -> Report {
        self.lock().clone()
    }

    /// A set is in force from now on; what was refused before it is history.
    pub fn applied(&self, hash: &str, rules: &[Listed], warnings: &[Diagnostic]) {
        for kind in KINDS {
            let count = rules.iter().filter(|rule| rule.kind == kind).count();
            gauge!(names::RULES_LOADED, "kind" => kind).set(count as f64);
        }
        let mut report = self.lock();
        if !report.hash.is_empty() && report.hash != hash {
            gauge!(names::RULES_INFO, "hash" => report.hash.clone()).set(0.0);
        }
        gauge!(names::RULES_INFO, "hash" => hash.to_owned()).set(1.0);
        *report = Report {
            hash: hash.to_owned(),
            loaded_at: now(),
            rules: rules.iter().map(rule).collect(),
            warnings: warnings.iter().map(finding).collect(),
            refused: None,
        };
    }

    /// The folder holds a set that is not in force; `reason` is the first error, in a line.
    pub fn refused(&self, reason: String, found: &[Diagnostic]) {
        self.lock().refused = Some(Refused { at: now(), reason, findings: found.iter().map(finding).collect() });
    }

    /// The folder holds again what is in force.
    pub fn restored(&self) {
        self.lock().refused = None;
    }

    fn lock(&self) -> MutexGuard<'_, Report> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn rule(listed: &Listed) -> Rule {
    let Listed { kind, name, priority, enabled, description, file, line, column } = listed.clone();
    Rule { kind, name, priority, enabled, description, file, line, column }
}

/// A finding for programs: as `GET /v1/rules` shows it and `rules check --json` prints it.
pub fn finding(diagnostic: &Diagnostic) -> Finding {
    let Diagnostic { file, line, column, length, error, message, help } = diagnostic.clone();
    let severity = if error { Severity::Error } else { Severity::Warning };
    Finding { file, line, column, end_column: column + length, severity, message, help }
}

fn now() -> String {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX)).to_string()
}
