//! `topics create`: makes the topics, and says what differs in those that are there (SPEC 2).

use crate::app::{self, Failure, Outcome};
use crate::cli::{ConfigFile, print};
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Subcommand)]
pub enum Topics {
    /// Make the topics that are missing; exit 1 where an existing one differs from what is wanted
    #[command(after_help = "Example:\n  incidentd topics create --config incidentd.toml")]
    Create(Create),
}

#[derive(Args)]
pub struct Create {
    #[command(flatten)]
    file: ConfigFile,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Topics {
    pub fn run(self) -> Result<(), Failure> {
        let Topics::Create(create) = self;
        let reports = app::create_topics(&create.file.load()?)?;
        let word = |outcome: &Outcome| match outcome {
            Outcome::Created => "created",
            Outcome::AsWanted => "as wanted",
            Outcome::Differs(_) => "differs",
        };
        let lines = |outcome: &Outcome| match outcome {
            Outcome::Differs(lines) => lines.clone(),
            _ => Vec::new(),
        };
        if create.json {
            let reports = reports.iter().map(|report| {
                json!({ "topic": report.topic, "outcome": word(&report.outcome), "differences": lines(&report.outcome) })
            });
            print::json(&reports.collect::<Vec<_>>())?;
        } else {
            let row = |report: &app::TopicReport| {
                [report.topic.clone(), word(&report.outcome).to_owned(), lines(&report.outcome).join("\n")]
            };
            print::table(["TOPIC", "OUTCOME", "DIFFERENCES"], reports.iter().map(row))?;
        }
        let differ = reports.iter().filter(|report| matches!(report.outcome, Outcome::Differs(_))).count();
        match differ {
            0 => Ok(()),
            _ => Err(Failure::Wrong(format!(
                "{differ} topics differ and were left as they are: alter them with Kafka's own tools, or the configuration"
            ))),
        }
    }
}
