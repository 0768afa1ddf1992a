//! What is wrong with a configuration: the field, the value, the place and the remedy.

use serde::Serialize;
use std::fmt;
use std::path::Path;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Of the file, from 1.
    Line(usize),
    /// An environment variable's name.
    Variable(String),
}

/// One thing that keeps a configuration from being used.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// Dotted, such as `dedup.window`; empty where the whole file is meant.
    pub key: String,
    /// `None`: nowhere, a default or an absence.
    pub place: Option<Place>,
    /// What is wrong, the value in it.
    pub message: String,
    /// The remedy.
    pub help: String,
}

impl Problem {
    pub fn of_file(message: String, help: &str) -> Problem {
        Problem { key: String::new(), place: None, message, help: help.to_owned() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)?;
        if let Some(Place::Variable(name)) = &self.place {
            write!(f, " (from the environment variable {name})")?;
        }
        if !self.help.is_empty() {
            write!(f, "\n  help: {}", self.help)?;
        }
        Ok(())
    }
}

/// All problems, one after the other, each with `file:line:` before it where it stands in the file.
pub fn report(file: Option<&Path>, problems: &[Problem]) -> String {
    let name = file.map(|file| file.display().to_string());
    let one = |problem: &Problem| match (&name, &problem.place) {
        (Some(name), Some(Place::Line(line))) => format!("{name}:{line}: {problem}"),
        (Some(name), None) if problem.key.is_empty() => format!("{name}: {problem}"),
        (None, Some(Place::Line(line))) => format!("line {line}: {problem}"),
        _ => problem.to_string(),
    };
    problems.iter().map(one).collect::<Vec<_>>().join("\n")
}

/// ` did you mean …?`-material: the nearest of `known` to `word`, if any is near.
pub fn nearest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase().replace('-', "_");
    known
        .into_iter()
        .map(|candidate| (strsim::jaro_winkler(&word, candidate), candidate))
        .filter(|(similarity, _)| *similarity >= 0.8)
        .max_by(|a, b| a.0.total_cmp(&b.0))
        .map(|(_, candidate)| candidate)
}
