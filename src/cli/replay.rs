//! `replay`: what a history of alerts would have produced under a set of rules (SPEC 5).

use crate::app::Failure;
use crate::cli::ConfigFile;
use crate::model::Time;
use crate::replay::{self, Fault, Produced, parse_moment};
use crate::rules::render;
use crate::{rules_dir, settings};
use clap::Args;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Bytes of one line: a webhook body and what is around it.
const LINE: usize = 16 << 20;

#[derive(Args)]
#[command(after_help = "Input, a line each: an alert, or {\"topic\": …, \"value\": …, \"at\": …}, or {\"advance\": \"15m\"}.\n\
                        Output, a line each: {\"topic\", \"key\", \"value\", \"at\"}, in order.\n\nExamples:\n  \
                        incidentd replay --input alerts.jsonl --rules rules\n  \
                        incidentd replay --input - --rules rules --until 2026-01-01T00:00:00Z --output out.jsonl")]
pub struct Replay {
    /// The history, JSON lines; `-` is standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The rules folder
    #[arg(long, value_name = "DIR")]
    rules: PathBuf,
    #[command(flatten)]
    file: ConfigFile,
    /// Where the output goes; standard output if left out
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Let all timers run dry up to this moment (RFC 3339); the last record's time if left out
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Time>,
}

fn moment(text: &str) -> Result<Time, String> {
    parse_moment(text).ok_or_else(|| "not a moment: write it as 2026-01-31T12:00:00Z".to_owned())
}

impl Replay {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.file.load()?;
        let source = rules_dir::read(&self.rules).map_err(|error| Failure::Wrong(error.to_string()))?;
        let rules = replay::load_rules(&source).map_err(|found| {
            let lines: Vec<String> = found.iter().map(|diagnostic| render(diagnostic, &source)).collect();
            Failure::Wrong(lines.concat())
        })?;
        let input: Box<dyn BufRead> = match self.input.to_str() {
            Some("-") => Box::new(io::stdin().lock()),
            _ => Box::new(BufReader::new(File::open(&self.input).map_err(|error| about(&self.input, &error))?)),
        };
        let output: Box<dyn Write> = match &self.output {
            Some(path) => Box::new(File::create(path).map_err(|error| about(path, &error))?),
            None => Box::new(io::stdout().lock()),
        };
        let replay = replay::Replay::new(settings::codec(&config), settings::engine(&config), rules, Fault::None);
        drive(replay, input, BufWriter::new(output), self.until, &self.input)
    }
}

fn drive(
    mut replay: replay::Replay,
    mut input: impl BufRead,
    mut output: impl Write,
    until: Option<Time>,
    name: &Path,
) -> Result<(), Failure> {
    let mut written = Ok(());
    let mut line = Vec::new();
    let mut number = 0;
    let mut sink = |produced: Produced| {
        if written.is_ok() {
            written = writeln!(output, "{}", produced.to_json());
        }
    };
    loop {
        line.clear();
        number += 1;
        let mut bounded = io::Read::take(&mut input, LINE as u64 + 1);
        if bounded.read_until(b'\n', &mut line).map_err(|error| about(name, &error))? == 0 {
            break;
        }
        if line.len() > LINE {
            return Err(Failure::Wrong(format!("{}:{number}: the line is longer than {} MiB", name.display(), LINE >> 20)));
        }
        let text = line.trim_ascii();
        if !text.is_empty() {
            let wrong = |error| Failure::Wrong(format!("{}:{number}: {error}", name.display()));
            replay.line(text, &mut sink).map_err(wrong)?;
        }
    }
    if let Some(until) = until {
        replay.run_until(until, &mut sink).map_err(Failure::Wrong)?;
    }
    match written.and_then(|()| output.flush()) {
        // A reader that has seen enough (`| head`) is no error.
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Wrong(format!("the output: {error}"))),
        _ => {
            let counts: Vec<String> =
                replay.outcomes.iter().map(|(outcome, count)| format!("{} {count}", outcome.name())).collect();
            eprintln!("alerts: {}", if counts.is_empty() { "none".to_owned() } else { counts.join(", ") });
            Ok(())
        }
    }
}

fn about(path: &Path, error: &io::Error) -> Failure {
    Failure::Wrong(format!("{}: {error}", path.display()))
}
