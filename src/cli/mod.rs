//! The command line: arguments, and which call each leads to (SPEC 6).
//!
//! Exit codes: 0 done, 1 the checked thing is wrong or could not be done, 2 usage, 78 configuration.

mod check;
mod comparison;
mod completions;
mod config;
mod drill;
mod explain;
mod incidents;
mod print;
mod remote;
mod replay;
mod rules;
mod rules_test;
mod schema;
mod send;
mod show;
mod silences;
mod topics;
mod watch;

use crate::app::{self, Failure, LogFormat};
use crate::config::Config;
use clap::{Args, Parser, Subcommand};
use std::path::PathBuf;
use std::process::ExitCode;

/// Reads alerts from Kafka, folds them into incidents, and decides by rules who is told: exactly once.
#[derive(Parser)]
#[command(
    name = "incidentd",
    version,
    max_term_width = 110,
    after_help = "First time here? `incidentd demo` shows everything in one process; no broker is needed.\n\
                  Exit codes: 0 done, 1 the checked thing is wrong, 2 usage, 78 configuration."
)]
struct Cli {
    /// How the log on standard error looks
    #[arg(long, global = true, value_enum, env = "INCIDENTD_LOG_FORMAT", default_value = "pretty")]
    log_format: LogFormat,
    /// What is logged: a level, or `module=level,…`
    /// [default: info; error for demo, whose view it would disturb]
    #[arg(long, global = true, value_name = "FILTER", env = "INCIDENTD_LOG")]
    log: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the service until SIGTERM or SIGINT
    #[command(
        after_help = "Example:\n  incidentd topics create --config incidentd.toml\n  incidentd run --config incidentd.toml"
    )]
    Run(ConfigFile),
    /// See it work: an embedded broker, generated LLM alerts, and what is decided and why
    #[command(
        after_help = "Examples:\n  incidentd demo\n  incidentd demo --seconds 30 --rate 20\n\nNeeds no broker, no Docker, no configuration."
    )]
    Demo(app::DemoOptions),
    /// Make the Kafka topics
    #[command(subcommand)]
    Topics(topics::Topics),
    /// Print the JSON Schema of a record
    #[command(after_help = "Examples:\n  incidentd schema            # lists the names\n  incidentd schema alert")]
    Schema(schema::Schema),
    /// Check the configuration
    #[command(subcommand)]
    Config(config::Configuration),
    /// Write alerts, commands or events to their topics
    Send(send::Send),
    /// List incidents, show one, and act on them, over the HTTP API
    #[command(subcommand)]
    Incidents(incidents::Incidents),
    /// List, add and expire silences, over the HTTP API
    #[command(subcommand)]
    Silences(silences::Silences),
    /// Run a history of alerts through the rules, without a broker
    Replay(replay::Replay),
    /// Send a test page through one rule, and show what becomes of it
    Drill(drill::Drill),
    /// Check the rules, and test them
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Say why an incident paged, or did not, in sentences
    Explain(explain::Explain),
    /// Print completions for a shell
    #[command(after_help = "Examples:\n  incidentd completions bash > /etc/bash_completion.d/incidentd\n  \
                            incidentd completions zsh > \"${fpath[1]}/_incidentd\"\n  \
                            incidentd completions fish > ~/.config/fish/completions/incidentd.fish")]
    Completions(completions::Completions),
}

/// Where the configuration comes from.
#[derive(Args)]
struct ConfigFile {
    /// The TOML file; without it defaults and the environment alone count (INCIDENTD_<TABLE>__<KEY> lies over the file)
    #[arg(long, value_name = "FILE", env = "INCIDENTD_CONFIG")]
    config: Option<PathBuf>,
}

impl ConfigFile {
    fn load(&self) -> Result<Config, Failure> {
        Ok(Config::load(self.config.as_deref(), environment())?)
    }
}

/// The variables whose names and values are text; no other is ours.
fn environment() -> impl Iterator<Item = (String, String)> {
    std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
}

/// The whole program.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    if let Err(failure) = dispatch(cli) {
        eprintln!("{failure}");
        return ExitCode::from(failure.exit_code());
    }
    ExitCode::SUCCESS
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let quiet = matches!(cli.command, Command::Demo(_));
    let filter = cli.log.as_deref().unwrap_or(if quiet { "error,librdkafka=off" } else { "info" });
    if let Command::Run(file) = &cli.command {
        let config = file.load()?;
        let traces = app::traces(&config)?;
        app::log_to_stderr(cli.log_format, filter, traces.as_ref())?;
        return app::run(&config, traces);
    }
    app::log_to_stderr(cli.log_format, filter, None)?;
    match cli.command {
        // Above.
        Command::Run(_) => Ok(()),
        Command::Demo(options) => app::demo(&options),
        Command::Topics(command) => command.run(),
        Command::Schema(command) => command.run(),
        Command::Config(command) => command.run(),
        Command::Send(command) => command.run(),
        Command::Replay(command) => command.run(),
        Command::Drill(command) => command.run(),
        Command::Rules(command) => command.run(),
        Command::Explain(command) => command.run(),
        Command::Incidents(command) => command.run(),
        Command::Silences(command) => command.run(),
        Command::Completions(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_arguments_are_well_formed() {
        super::Cli::command().debug_assert();
    }
}
