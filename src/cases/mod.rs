//! Cases of a rule set: what comes in, and who must be told, written by the people who write the rules (SPEC 5, `rules test`).
//!
//! A case is a list of steps: records and time, then what must have come of them. It runs over the engine in memory with a
//! clock that only the steps move, so that it says the same on every machine.
//! - `node`, `toml`, `yaml`: a file as a tree whose every value knows its line; `read`, `expectation`: the tree as cases
//! - `run`: a case over a replay; `judge`: what was expected beside what came; `because`: the decision between the two
//! - `files`: where cases lie; `report`: how they went

mod because;
mod expectation;
mod files;
mod judge;
mod node;
mod read;
mod report;
mod run;
mod toml;
mod yaml;

pub use files::{CaseFile, read_folder};
pub use report::{CaseResult, Failing, Report, RuleName};

use crate::engine;
use crate::model::{Time, Topic, time::Millis};
use crate::rules::{Diagnostic, RuleSet, RuleSource};
use crate::{codec, rules};
use expectation::Expectation;
use node::Place;
use std::rc::Rc;

/// Monday noon, UTC: office hours nearly everywhere where it matters.
const START: &str = "2026-01-05T12:00:00Z";

/// What a case runs with besides the rules.
#[derive(Clone)]
pub struct Terms {
    pub codec: codec::Settings,
    pub engine: engine::Settings,
}

/// One case of a file.
struct Case {
    name: String,
    /// Its place among the files.
    file: String,
    at: Place,
    start: Time,
    /// So long after the last of a run of records the steps go on; `None`: what a new incident may wait for its parent.
    settle: Option<Millis>,
    acts: Vec<Group>,
}

/// Records and time, and what must have come of them.
struct Group {
    acts: Vec<(Place, Act)>,
    expects: Vec<(Place, Expectation)>,
}

enum Act {
    Record { topic: Topic, value: serde_json::Map<String, serde_json::Value>, times: u64, every: Millis },
    Wait(Millis),
    Until(Time),
}

/// Runs all cases whose name or file holds `filter`. An error: what is wrong in the files, rendered against [`source`].
pub fn run(
    files: &[CaseFile],
    rules: &Rc<RuleSet>,
    texts: &RuleSource,
    terms: &Terms,
    filter: Option<&str>,
) -> Result<Report, Vec<Diagnostic>> {
    let mut found = Vec::new();
    let mut cases = Vec::new();
    for file in files {
        match read::read(file, rules) {
            Ok(of_file) => cases.extend(of_file),
            Err(wrong) => found.extend(wrong),
        }
    }
    if !found.is_empty() {
        return Err(found);
    }
    let chosen = |case: &&Case| filter.is_none_or(|filter| case.name.contains(filter) || case.file.contains(filter));
    let mut report = Report::default();
    for case in cases.iter().filter(chosen) {
        report.push(run::run(case, rules, texts, terms));
    }
    report.left_out = cases.len() - report.cases.len();
    Ok(report)
}

/// The files' text, for the rendering of diagnostics about them.
pub fn source(files: &[CaseFile]) -> RuleSource {
    rules::RuleSource { files: files.iter().map(|file| (file.name.clone(), file.text.clone())).collect() }
}
