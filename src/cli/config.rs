//! `config check`: what is wrong with the configuration, or what is in force.

use crate::app::Failure;
use crate::cli::{ConfigFile, print};
use crate::config::Config;
use clap::{Args, Subcommand};
use serde_json::json;

#[derive(Subcommand)]
pub enum Configuration {
    /// Say what is wrong, or what is in force; exit 78 if anything is wrong
    #[command(after_help = "Examples:\n  incidentd config check --config incidentd.toml\n  \
                            INCIDENTD_DEDUP__WINDOW=5m incidentd config check --json")]
    Check(Check),
}

#[derive(Args)]
pub struct Check {
    #[command(flatten)]
    file: ConfigFile,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

impl Configuration {
    pub fn run(self) -> Result<(), Failure> {
        let Configuration::Check(check) = self;
        let environment = crate::cli::environment();
        match (Config::load(check.file.config.as_deref(), environment), check.json) {
            (Ok(config), true) => print::json(&json!({ "ok": true, "config": config })),
            (Ok(config), false) => {
                let text =
                    toml::to_string(&config).map_err(|error| Failure::Wrong(format!("cannot be written as TOML: {error}")))?;
                print::line(format!("# The configuration is right. In force, defaults included:\n{text}"))
            }
            (Err(error), true) => {
                print::json(&json!({ "ok": false, "problems": error.problems }))?;
                Err(error.into())
            }
            (Err(error), false) => Err(error.into()),
        }
    }
}
