//! The rules at start and after a change: checked here, then handed to the workers as text (SPEC 5).

use crate::app::Failure;
use crate::config::Config;
use crate::metrics as names;
use crate::rules::{Diagnostic, RuleSet, RuleSource, render};
use crate::rules_dir::{self, Follower, Reload};
use crate::settings;
use crate::worker::SharedRules;
use metrics::{counter, gauge};
use std::sync::Arc;

/// Reads and checks the configured folder; an error says everything that is wrong.
pub fn load(config: &Config) -> Result<RuleSource, Failure> {
    let source = rules_dir::read(&config.rules.dir).map_err(|error| Failure::Wrong(error.to_string()))?;
    check(&source)?;
    Ok(source)
}

/// Refuses a set that does not load; warnings go to the log.
pub fn check(source: &RuleSource) -> Result<(), Failure> {
    match RuleSet::load(source, &settings::rule_limits()) {
        Ok((rules, warnings)) => {
            for warning in &warnings {
                tracing::warn!("rules: {}", one_line(warning));
            }
            loaded(&rules.counts());
            tracing::info!(rules = told(&rules.counts()), hash = short(rules.hash()), "rules are loaded");
            Ok(())
        }
        Err(found) => Err(Failure::Wrong(found.iter().map(|diagnostic| render(diagnostic, source)).collect())),
    }
}

/// Follows the configured folder; what checks is handed on, what does not leaves the old set in force.
pub fn follow(config: &Config, first: RuleSource, shared: Arc<SharedRules>) -> Result<Follower, Failure> {
    let dir = config.rules.dir.clone();
    Follower::start(dir, config.rules.watch, settings::rule_check_limits(), Arc::new(first), move |reload| {
        let outcome = match reload {
            Reload::Unchanged => {
                tracing::info!("rules: nothing differs");
                "unchanged"
            }
            Reload::Applied { source, counts, hash, warnings } => {
                for warning in &warnings {
                    tracing::warn!("rules: {}", one_line(warning));
                }
                shared.set(RuleSource::clone(&source));
                loaded(&counts);
                tracing::info!(rules = told(&counts), hash = short(&hash), "rules are reloaded");
                "applied"
            }
            Reload::Rejected(found) => {
                for diagnostic in &found {
                    tracing::error!("rules: {}", one_line(diagnostic));
                }
                tracing::error!("rules: the changed set does not check; the old one stays in force");
                "rejected"
            }
        };
        counter!(names::RULES_RELOAD, "outcome" => outcome).increment(1);
    })
    .map_err(|error| Failure::Wrong(format!("the thread that follows the rules cannot start: {error}")))
}

fn loaded(counts: &[(&'static str, usize)]) {
    for (kind, count) in counts {
        gauge!(names::RULES_LOADED, "kind" => *kind).set(*count as f64);
    }
}

/// `7 notification, 1 escalation, 0 remediation`.
fn told(counts: &[(&'static str, usize)]) -> String {
    counts.iter().map(|(kind, count)| format!("{count} {kind}")).collect::<Vec<_>>().join(", ")
}

fn short(hash: &str) -> &str {
    hash.get(..12).unwrap_or(hash)
}

fn one_line(diagnostic: &Diagnostic) -> String {
    let Diagnostic { file, line, column, message, help, .. } = diagnostic;
    let help = help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
    if *line == 0 { format!("{file}: {message}{help}") } else { format!("{file}:{line}:{column}: {message}{help}") }
}
