//! The log: to standard error, one line for each important event, for people or for machines.

use crate::app::Failure;
use clap::ValueEnum;
use tracing_subscriber::EnvFilter;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Pretty,
    Json,
}

/// `filter`: a level or `module=level,…`. Once in a process.
pub fn log_to_stderr(format: LogFormat, filter: &str) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::Usage(format!("--log {filter:?}: {error}; write a level (error, warn, info, debug, trace) or module=level,…"))
    })?;
    let lines = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let set = match format {
        LogFormat::Pretty => {
            let color = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(color).with_target(false).try_init()
        }
        LogFormat::Json => lines.json().flatten_event(true).try_init(),
    };
    set.map_err(|error| Failure::Wrong(format!("the log cannot be set up: {error}")))
}
