//! `rules test`: the cases of a rules folder, once or whenever something changes (SPEC 5).

use crate::app::Failure;
use crate::cases::{self, Report, Terms};
use crate::cli::{ConfigFile, print};
use crate::rules::render;
use crate::{replay, rules_dir, settings};
use clap::Args;
use crossbeam_channel::bounded;
use notify_debouncer_full::{DebounceEventResult, new_debouncer, notify::RecursiveMode};
use serde_json::json;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

/// So long must the folder be quiet before the cases run again.
const DEBOUNCE: Duration = Duration::from_millis(200);

#[derive(Args)]
pub struct Test {
    /// The rules folder
    #[arg(default_value = "rules")]
    dir: PathBuf,
    /// Only cases whose name or file holds this text
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    #[command(flatten)]
    file: ConfigFile,
    /// Write JUnit XML
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// Run them again whenever a file of the folder changes, until Ctrl-C
    #[arg(long, conflicts_with = "json")]
    watch: bool,
}

impl Test {
    pub fn run(self) -> Result<(), Failure> {
        let config = self.file.load()?;
        let terms = Terms { codec: settings::codec(&config), engine: settings::engine(&config) };
        if !self.watch {
            return self.once(&terms);
        }
        let (changed, changes) = bounded(1);
        let tell = move |told: DebounceEventResult| {
            if rules_dir::is_change(&told) {
                let _ = changed.try_send(());
            }
        };
        let cannot = |error| Failure::Wrong(format!("{}: cannot be watched: {error}", self.dir.display()));
        let mut watcher = new_debouncer(DEBOUNCE, None, tell).map_err(cannot)?;
        watcher.watch(&self.dir, RecursiveMode::Recursive).map_err(cannot)?;
        // What counts is the text, not the event: a report may be written into the folder, too.
        let text = || (rules_dir::read(&self.dir).map_err(|error| error.to_string()), cases::read_folder(&self.dir));
        let mut seen = text();
        loop {
            if let Err(failure) = self.once(&terms) {
                print::line(failure)?;
            }
            print::line(format!("\nwaiting for a change in {} (Ctrl-C ends it)\n", self.dir.display()))?;
            loop {
                if changes.recv().is_err() {
                    return Ok(());
                }
                let found = text();
                if found != seen {
                    seen = found;
                    break;
                }
            }
        }
    }

    fn once(&self, terms: &Terms) -> Result<(), Failure> {
        let report = run(&self.dir, terms, self.filter.as_deref())?;
        if let Some(path) = &self.junit {
            let written = report.junit().and_then(|xml| std::fs::write(path, xml).map_err(|error| error.to_string()));
            written.map_err(|error| Failure::Wrong(format!("{}: {error}", path.display())))?;
        }
        let (count, failed, left_out) = (report.cases.len(), report.failed(), report.left_out);
        if self.json {
            print::json(&json!({
                "ok": failed == 0,
                "passed": count - failed,
                "failed": failed,
                "left_out": left_out,
                "cases": report.cases,
                "touched": report.touched().iter().map(|(kind, rule)| json!({ "kind": kind, "rule": rule })).collect::<Vec<_>>(),
            }))?;
        } else {
            for case in &report.cases {
                print::line(case.to_string().trim_end())?;
            }
        }
        let dir = self.dir.display();
        let others = if left_out > 0 { format!(", {left_out} left out by the filter") } else { String::new() };
        if count == 0 {
            return Err(Failure::Wrong(match (left_out, &self.filter) {
                (1.., Some(filter)) => format!("{dir}: no case's name or file holds `{filter}`; there are {left_out} cases"),
                _ => format!(
                    "{dir}/tests: there are no cases\n  help: write one as a .yaml or .toml file there; docs/rules.md shows how"
                ),
            }));
        }
        match failed {
            0 if self.json => Ok(()),
            0 => print::line(format!("{dir}: {count} cases passed{others}")),
            _ => Err(Failure::Wrong(format!("{dir}: {failed} of {count} cases failed{others}"))),
        }
    }
}

/// Reads rules and cases, and runs those that the filter leaves.
pub fn run(dir: &Path, terms: &Terms, filter: Option<&str>) -> Result<Report, Failure> {
    let source = rules_dir::read(dir).map_err(|error| Failure::Wrong(error.to_string()))?;
    let wrong = |found: Vec<crate::rules::Diagnostic>, texts: &crate::rules::RuleSource| {
        Failure::Wrong(found.iter().map(|diagnostic| render(diagnostic, texts)).collect::<String>().trim_end().to_owned())
    };
    let rules = Rc::new(replay::load_rules(&source).map_err(|found| wrong(found, &source))?);
    let files = cases::read_folder(dir).map_err(Failure::Wrong)?;
    cases::run(&files, &rules, &source, terms, filter).map_err(|found| wrong(found, &cases::source(&files)))
}
