//! The rules that SRE teams write in Rhai: the only place that names rhai (SPEC 5).

use crate::model::{Channel, EventSet, Incident, RuleEvent, Time};
use std::collections::BTreeMap;

/// The text of every file under the rules folder, by its path relative to it with `/`. Read by the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSource {
    pub files: BTreeMap<String, String>,
}

/// A checked rule set, indexed. Not `Send`: each thread loads its own from the same source.
pub struct RuleSet {
    hash: String,
    notifications: Vec<NotificationRule>,
}

/// What the engine must know of a notification rule without running it.
#[derive(Clone, Debug, PartialEq)]
pub struct NotificationRule {
    pub name: String,
    pub priority: i64,
    pub enabled: bool,
    /// Default `triggered`.
    pub on: EventSet,
    pub after_occurrences: Option<u64>,
    pub repeat_minutes: Option<u64>,
    pub send_on_resolve: bool,
}

/// Which rules' `where` an incident meets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches {
    /// Indexes into `RuleSet::notifications`, ascending: by descending priority, then name.
    pub matched: Vec<usize>,
    /// Rules that miss by exactly one field of `where`, with what it is and what it should be; at most 20.
    pub near: Vec<(usize, String)>,
    /// How many more miss by one field.
    pub near_more: usize,
}

/// What a closure may ask besides the incident.
#[derive(Clone, Debug)]
pub struct Context {
    pub now: Time,
    pub event: RuleEvent,
}

/// A script failed or was stopped; its text says where.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("{file}:{line}:{column}: {message}")]
pub struct ScriptError {
    pub file: String,
    pub line: usize,
    pub column: usize,
    pub message: String,
}

/// A finding of the check: an error keeps the set from loading.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagnostic {
    pub file: String,
    /// From 1; 0 where the whole file is meant.
    pub line: usize,
    pub column: usize,
    pub error: bool,
    pub message: String,
    /// The remedy.
    pub help: Option<String>,
}

impl RuleSet {
    /// Loads all files or none. `Ok` carries the warnings, `Err` everything found.
    pub fn load(source: &RuleSource) -> Result<(RuleSet, Vec<Diagnostic>), Vec<Diagnostic>> {
        let _ = source;
        Ok((RuleSet { hash: String::new(), notifications: Vec::new() }, Vec::new()))
    }

    /// Hex, the same for the same files.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// By descending priority, then name.
    pub fn notifications(&self) -> &[NotificationRule] {
        &self.notifications
    }

    /// Every rule that listens to one of `events` and whose `where` the incident meets (disabled ones included).
    pub fn matches(&self, incident: &Incident, events: EventSet) -> Matches {
        let _ = (incident, events);
        Matches::default()
    }

    /// The rule's `when`; true without one.
    pub fn when(&self, rule: usize, incident: &Incident, context: &Context) -> Result<bool, ScriptError> {
        let _ = (rule, incident, context);
        Ok(true)
    }

    /// The rule's channels for this incident.
    pub fn channels(&self, rule: usize, incident: &Incident, context: &Context) -> Result<Vec<Channel>, ScriptError> {
        let _ = (rule, incident, context);
        Ok(Vec::new())
    }
}
