//! `rules check`: errors and warnings with file:line:column and the source line (SPEC 5).

use crate::app::Failure;
use crate::cli::print;
use crate::rules::{Diagnostic, RuleSet, render};
use crate::{rules_dir, settings};
use clap::{Args, Subcommand};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::PathBuf;

#[derive(Subcommand)]
pub enum Rules {
    /// Say what is wrong with the rules; exit 1 on errors
    #[command(after_help = "Examples:\n  incidentd rules check\n  incidentd rules check deploy/rules --json")]
    Check(Check),
}

#[derive(Args)]
pub struct Check {
    /// The rules folder
    #[arg(default_value = "rules")]
    dir: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Rules {
    pub fn run(self) -> Result<(), Failure> {
        let Rules::Check(check) = self;
        let source = rules_dir::read(&check.dir).map_err(|error| Failure::Wrong(error.to_string()))?;
        let (loaded, found) = match RuleSet::load(&source, &settings::rule_check_limits()) {
            Ok((rules, warnings)) => (Some(rules), warnings),
            Err(found) => (None, found),
        };
        let errors = found.iter().filter(|diagnostic| diagnostic.error).count();
        let warnings = found.len() - errors;
        if check.json {
            print::json(&json!({
                "ok": loaded.is_some(),
                "errors": errors,
                "warnings": warnings,
                "diagnostics": found.iter().map(diagnostic_json).collect::<Vec<_>>(),
                "hash": loaded.as_ref().map(RuleSet::hash),
                "rules": loaded.as_ref().map(|rules| rules.counts().into_iter().collect::<BTreeMap<_, _>>()),
            }))?;
        } else {
            for diagnostic in &found {
                print::line(render(diagnostic, &source))?;
            }
        }
        match loaded {
            Some(rules) if check.json => drop(rules),
            Some(rules) => {
                let [notification, escalation, remediation] = rules.counts().map(|(kind, count)| format!("{count} {kind}"));
                let counts = format!("{} files, {notification}, {escalation} and {remediation} rules", source.files.len());
                print::line(format!("{}: {counts}, {warnings} warnings, no errors", check.dir.display()))?;
            }
            None => return Err(Failure::Wrong(format!("{}: {errors} errors, {warnings} warnings", check.dir.display()))),
        }
        Ok(())
    }
}

fn diagnostic_json(diagnostic: &Diagnostic) -> serde_json::Value {
    json!({
        "file": diagnostic.file,
        "line": diagnostic.line,
        "column": diagnostic.column,
        "severity": if diagnostic.error { "error" } else { "warning" },
        "message": diagnostic.message,
        "help": diagnostic.help,
    })
}
