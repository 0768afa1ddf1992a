//! `drill`: a test page through one rule, and what became of it.

use crate::app::{self, DrillOptions, Failure};
use crate::cli::{ConfigFile, print};
use crate::model::{Environment, Severity};
use clap::Args;
use serde_json::json;

#[derive(Args)]
#[command(after_help = "Examples:\n  incidentd drill critical-production --config incidentd.toml\n  \
                  incidentd drill llm-production --level 1 --service llm-gateway --dry-run\n\n\
                  Sends from this process, marked TEST, with the configuration's secrets; no broker is asked. Each target is \
                  tried three times, and no fallback stands in. In PagerDuty the test incident is to be resolved by hand.")]
pub struct Drill {
    /// The notification rule or escalation policy
    rule: String,
    #[command(flatten)]
    file: ConfigFile,
    /// The made-up incident's service
    #[arg(long, value_name = "ID", default_value = "incidentd-drill")]
    service: String,
    #[arg(long, value_name = "SEVERITY", default_value = "critical", value_parser = severity)]
    severity: Severity,
    #[arg(long, value_name = "ENVIRONMENT", default_value = "production", value_parser = environment)]
    environment: Environment,
    #[arg(long, value_name = "CATEGORY", default_value = "drill")]
    category: String,
    /// May come several times
    #[arg(long = "label", value_name = "NAME=VALUE", value_parser = label)]
    labels: Vec<(String, String)>,
    /// Of a policy
    #[arg(long, value_name = "N", default_value_t = 0)]
    level: usize,
    /// Only say whom it would go to
    #[arg(long)]
    dry_run: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

fn severity(text: &str) -> Result<Severity, String> {
    Severity::named(text).ok_or_else(|| format!("one of {}", Severity::ALL.map(Severity::name).join(", ")))
}

fn environment(text: &str) -> Result<Environment, String> {
    Environment::named(text).ok_or_else(|| format!("one of {}", Environment::ALL.map(Environment::name).join(", ")))
}

fn label(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("write NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Drill {
    pub fn run(self) -> Result<(), Failure> {
        let options = DrillOptions {
            rule: self.rule,
            service: self.service,
            severity: self.severity,
            environment: self.environment,
            category: self.category,
            labels: self.labels,
            level: self.level,
            send: !self.dry_run,
        };
        let report = app::drill(&self.file.load()?, &options)?;
        if self.json {
            let targets = report.drilled.iter().map(|one| {
                json!({
                    "channel": one.channel, "target": one.target, "delivered": one.delivered, "attempts": one.attempts,
                    "detail": one.detail, "seconds": one.took.as_secs_f64(),
                })
            });
            print::json(&json!({ "rule": options.rule, "targets": targets.collect::<Vec<_>>(), "caveats": report.caveats }))?;
        } else {
            print::table(
                ["CHANNEL", "TARGET", "OUTCOME", "ATTEMPTS", "TOOK", "DETAIL"],
                report.drilled.iter().map(|one| {
                    let outcome = if one.delivered {
                        "delivered"
                    } else if self.dry_run {
                        "dry run"
                    } else {
                        "FAILED"
                    };
                    let took = format!("{:.1} s", one.took.as_secs_f64());
                    [
                        one.channel.clone(),
                        one.target.clone(),
                        outcome.to_owned(),
                        one.attempts.to_string(),
                        took,
                        one.detail.clone(),
                    ]
                }),
            )?;
            for caveat in &report.caveats {
                print::line(format!("note: {caveat}"))?;
            }
        }
        let failed = report.drilled.iter().filter(|one| !one.delivered).count();
        if report.drilled.is_empty() {
            return Err(Failure::Wrong(format!("`{}` names nobody for this incident", options.rule)));
        }
        match failed {
            0 => Ok(()),
            _ if self.dry_run => Ok(()),
            _ => Err(Failure::Wrong(format!("{failed} of {} targets were not reached", report.drilled.len()))),
        }
    }
}
