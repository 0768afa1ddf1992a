//! The rules at start and after a change: checked here, then handed to the workers as text (SPEC 5).

use crate::app::{Failure, RulesStatus};
use crate::config::Config;
use crate::metrics as names;
use crate::rules::{Diagnostic, Listed, RuleSet, RuleSource, render};
use crate::rules_dir::{self, Follower, Reload};
use crate::settings;
use crate::worker::SharedRules;
use metrics::counter;
use std::sync::Arc;

/// Reads and checks the configured folder; an error says everything that is wrong.
pub fn load(config: &Config) -> Result<(RuleSource, RulesStatus), Failure> {
    let source = rules_dir::read(&config.rules.dir).map_err(|error| Failure::Wrong(error.to_string()))?;
    let status = check(&source)?;
    Ok((source, status))
}

/// Refuses a set that does not load; warnings go to the log.
pub fn check(source: &RuleSource) -> Result<RulesStatus, Failure> {
    match RuleSet::load(source, &settings::rule_limits()) {
        Ok((rules, warnings)) => {
            let (status, listed) = (RulesStatus::default(), rules.listed());
            applied(&status, rules.hash(), &listed, &warnings, "rules are loaded");
            Ok(status)
        }
        Err(found) => Err(Failure::Wrong(found.iter().map(|diagnostic| render(diagnostic, source)).collect())),
    }
}

/// Follows the configured folder; what checks is handed on, what does not leaves the old set in force.
pub fn follow(config: &Config, first: RuleSource, shared: Arc<SharedRules>, status: RulesStatus) -> Result<Follower, Failure> {
    let dir = config.rules.dir.clone();
    Follower::start(dir, config.rules.watch, settings::rule_check_limits(), Arc::new(first), move |reload| {
        let outcome = match reload {
            Reload::Unchanged => {
                status.restored();
                tracing::info!("rules: nothing differs");
                "unchanged"
            }
            Reload::Applied { source, rules, hash, warnings } => {
                shared.set(RuleSource::clone(&source));
                applied(&status, &hash, &rules, &warnings, "rules are reloaded");
                "applied"
            }
            Reload::Rejected(found) => {
                for diagnostic in &found {
                    tracing::error!("rules: {}", one_line(diagnostic));
                }
                tracing::error!("rules: the changed set does not check; the old one stays in force");
                let first = found.iter().find(|diagnostic| diagnostic.error).or(found.first());
                status.refused(first.map(one_line).unwrap_or_default(), &found);
                "rejected"
            }
        };
        counter!(names::RULES_RELOAD, "outcome" => outcome).increment(1);
    })
    .map_err(|error| Failure::Wrong(format!("the thread that follows the rules cannot start: {error}")))
}

fn applied(status: &RulesStatus, hash: &str, rules: &[Listed], warnings: &[Diagnostic], what: &str) {
    for warning in warnings {
        tracing::warn!("rules: {}", one_line(warning));
    }
    status.applied(hash, rules, warnings);
    tracing::info!(rules = rules.len(), hash, "{what}");
}

fn one_line(diagnostic: &Diagnostic) -> String {
    let Diagnostic { file, line, column, message, help, .. } = diagnostic;
    let help = help.as_deref().map(|help| format!(" ({help})")).unwrap_or_default();
    if *line == 0 { format!("{file}: {message}{help}") } else { format!("{file}:{line}:{column}: {message}{help}") }
}
