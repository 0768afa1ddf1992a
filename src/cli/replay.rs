//! `replay`: what a history of alerts would have produced under a set of rules, and what another set would change (SPEC 5).

use crate::app::Failure;
use crate::cli::{ConfigFile, comparison};
use crate::compare::{Comparison, Tallied, Tally};
use crate::config::Config;
use crate::model::Time;
use crate::replay::{self, Fault, Told, Writer, parse_moment};
use crate::rules::{RuleSource, render};
use crate::{rules_dir, settings};
use clap::Args;
use crossbeam_channel::bounded;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread::{Builder, scope};

/// Things said that go to the writer at once, and how many such batches may be on their way: few, so that the memory which
/// the writer gives back is still in the cache when the engine takes it again.
const BATCH: usize = 64;
const QUEUE: usize = 4;

#[derive(Args)]
#[command(after_help = "Input, a line each: an alert, or {\"topic\": …, \"value\": …, \"at\": …}, or {\"advance\": \"15m\"}.\n\
                        Output, a line each: {\"topic\", \"key\", \"value\", \"at\"}, in order.\n\
                        With --against, in place of the output: what each rule did under either set, and which pages the\n\
                        second set gains and loses.\n\nExamples:\n  \
                        incidentd replay --input alerts.jsonl --rules rules\n  \
                        incidentd replay --input alerts.jsonl --rules rules --against rules.new\n  \
                        incidentd replay --input - --rules rules --until 2026-01-01T00:00:00Z --output out.jsonl")]
pub struct Replay {
    /// The history, JSON lines; `-` is standard input
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    /// The rules folder
    #[arg(long, value_name = "DIR")]
    rules: PathBuf,
    /// Another rules folder: say what it would change
    #[arg(long, value_name = "DIR")]
    against: Option<PathBuf>,
    #[command(flatten)]
    file: ConfigFile,
    /// Where the output goes; standard output if `-` or left out (nowhere with --against)
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Let all timers run dry up to this moment (RFC 3339); the last record's time if left out
    #[arg(long, value_name = "TIME", value_parser = moment)]
    until: Option<Time>,
    /// Print the comparison as JSON
    #[arg(long, requires = "against")]
    json: bool,
}

fn moment(text: &str) -> Result<Time, String> {
    parse_moment(text).ok_or_else(|| "not a moment: write it as 2026-01-31T12:00:00Z".to_owned())
}

impl Replay {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.file.load()?;
        let source = read(&self.rules)?;
        if let Some(output) = self.output.as_ref().filter(|output| are_one(output, &self.input)) {
            let text = format!("--output {}: this is the history itself; name another file", output.display());
            return Err(Failure::Usage(text));
        }
        let output: Option<Box<dyn Write + Send>> = match (&self.output, &self.against) {
            (Some(path), _) if path.as_os_str() != "-" => {
                Some(Box::new(File::create(path).map_err(|error| about(path, &error))?))
            }
            (Some(_), _) | (None, None) => Some(Box::new(io::stdout())),
            (None, Some(_)) => None,
        };
        let Some(against) = &self.against else { return self.alone(&config, &source, output) };
        if self.input.as_os_str() == "-" {
            let text = "--against takes the history twice: put it into a file, and give that as --input";
            return Err(Failure::Usage(text.to_owned()));
        }
        let changed = read(against)?;
        // Two at once: a rule set cannot leave its thread, and neither knows of the other.
        let (before, after) = scope(|threads| {
            let second = Builder::new().name("against".to_owned());
            let second = second
                .spawn_scoped(threads, || self.tally(&config, &changed, None))
                .map_err(|error| Failure::Wrong(format!("the thread of the second replay cannot start: {error}")))?;
            let first = self.tally(&config, &source, output);
            let second = second.join().unwrap_or_else(|_| Err(Failure::Wrong("the second replay has stopped".to_owned())));
            Ok::<_, Failure>((first?, second?))
        })?;
        comparison::print(&Comparison::new(&before, &after), &self.rules, against, self.json)
    }

    fn alone(&self, config: &Config, source: &RuleSource, output: Option<Box<dyn Write + Send>>) -> Result<(), Failure> {
        let mut replay = new(config, source)?;
        self.play(&mut replay, output, &mut |_| {})?;
        let counts: Vec<String> = replay.outcomes().map(|(outcome, count)| format!("{} {count}", outcome.name())).collect();
        eprintln!("alerts: {}", if counts.is_empty() { "none".to_owned() } else { counts.join(", ") });
        Ok(())
    }

    fn tally(&self, config: &Config, source: &RuleSource, output: Option<Box<dyn Write + Send>>) -> Result<Tallied, Failure> {
        let mut replay = new(config, source)?;
        let mut tally = Tally::new(replay.rules());
        self.play(&mut replay, output, &mut |told| tally.hear(told))?;
        tally.finish().map_err(Failure::Wrong)
    }

    /// The whole history; what is said is heard, and written by a thread of its own.
    fn play(
        &self,
        replay: &mut replay::Replay,
        output: Option<Box<dyn Write + Send>>,
        hear: &mut dyn FnMut(&Told),
    ) -> Result<(), Failure> {
        let input: Box<dyn Read + Send> = match self.input.to_str() {
            Some("-") => Box::new(io::stdin()),
            _ => Box::new(File::open(&self.input).map_err(|error| about(&self.input, &error))?),
        };
        let name = self.input.display().to_string();
        let Some(output) = output else {
            return self.drive(replay, input, &name, &mut |told| hear(&told));
        };
        let mut writer = Writer::new(replay.codec().clone(), output);
        scope(|threads| {
            let (sender, batches) = bounded::<Vec<Told>>(QUEUE);
            let writing = Builder::new().name("output".to_owned());
            let writing = writing.spawn_scoped(threads, move || {
                let mut written = Ok(());
                for batch in batches {
                    if written.is_ok() {
                        written = writer.write(batch);
                    }
                }
                written.and_then(|()| writer.flush())
            });
            let writing =
                writing.map_err(|error| Failure::Wrong(format!("the thread that writes the output cannot start: {error}")))?;
            let mut batch = Vec::with_capacity(BATCH);
            let played = self.drive(replay, input, &name, &mut |told| {
                hear(&told);
                batch.push(told);
                if batch.len() == BATCH {
                    let full = std::mem::replace(&mut batch, Vec::with_capacity(BATCH));
                    // It ends only when we do.
                    let _ = sender.send(full);
                }
            });
            let _ = sender.send(batch);
            drop(sender);
            let written = writing.join().unwrap_or_else(|_| Err(io::Error::other("its thread has stopped")));
            played?;
            match written {
                // A reader that has seen enough (`| head`) is no error.
                Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(Failure::Wrong(format!("the output: {error}"))),
                _ => Ok(()),
            }
        })
    }

    fn drive(
        &self,
        replay: &mut replay::Replay,
        input: impl Read + Send,
        name: &str,
        sink: &mut dyn FnMut(Told),
    ) -> Result<(), Failure> {
        replay::play(replay, input, name, sink).map_err(Failure::Wrong)?;
        if let Some(until) = self.until {
            replay.run_until(until, sink).map_err(Failure::Wrong)?;
        }
        Ok(())
    }
}

/// One file, whatever it is called: it would be empty before its first line is read.
fn are_one(a: &Path, b: &Path) -> bool {
    let id = |path: &Path| std::fs::metadata(path).ok().filter(|meta| meta.is_file()).map(|meta| (meta.dev(), meta.ino()));
    id(a).is_some_and(|one| id(b) == Some(one))
}

fn read(dir: &Path) -> Result<RuleSource, Failure> {
    rules_dir::read(dir).map_err(|error| Failure::Wrong(error.to_string()))
}

fn new(config: &Config, source: &RuleSource) -> Result<replay::Replay, Failure> {
    let rules = replay::load_rules(source).map_err(|found| {
        let lines: Vec<String> = found.iter().map(|diagnostic| render(diagnostic, source)).collect();
        Failure::Wrong(lines.concat())
    })?;
    Ok(replay::Replay::new(settings::codec(config), settings::engine(config), rules, Fault::None))
}

fn about(path: &Path, error: &io::Error) -> Failure {
    Failure::Wrong(format!("{}: {error}", path.display()))
}
