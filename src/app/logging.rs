//! The log: to standard error, one line for each important event, for people or for machines. Traces go another way.

use crate::app::Failure;
use crate::traces::{TARGET, Traces};
use clap::ValueEnum;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{EnvFilter, Layer, registry};

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    Pretty,
    Json,
}

/// `filter`: a level or `module=level,…`, of the log alone. Once in a process.
pub fn log_to_stderr(format: LogFormat, filter: &str, traces: Option<&Traces>) -> Result<(), Failure> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        Failure::Usage(format!("--log {filter:?}: {error}; write a level (error, warn, info, debug, trace) or module=level,…"))
    })?;
    let filter = match format!("{TARGET}=off").parse() {
        Ok(directive) => filter.add_directive(directive),
        Err(_) => filter,
    };
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let lines = match format {
        LogFormat::Pretty => {
            let color = std::io::IsTerminal::is_terminal(&std::io::stderr()) && std::env::var_os("NO_COLOR").is_none();
            lines.with_ansi(color).with_target(false).boxed()
        }
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    let set = registry().with(traces.map(Traces::layer)).with(lines.with_filter(filter));
    set.try_init().map_err(|error| Failure::Wrong(format!("the log cannot be set up: {error}")))
}
