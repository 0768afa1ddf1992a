//! The rules that SRE teams write in Rhai: the only place that names rhai (SPEC 5).
//!
//! `load` runs every file once: `notification(…)`, `escalation(…)` and `remediation(…)` (declaration; notification, escalation,
//! remediation; reader, where_clause, level, remedy) note a rule, its static part goes into an index (table, matcher, index),
//! its closures are tried on sample incidents (samples, dry_run) and kept (closure), and what an occurrence may concern is
//! noted for reloads (occasion). What more can be found wrong is looked for in lint, shadow, targets, services, schedule_check
//! and listed, and told by diagnostic, span, syntax and advice. Scripts run in a sandbox that can compute and nothing else
//! (sandbox, meter), see the incident read-only (view), and name channels and people by constructors (constructors, channel).
//! Who these people are stands in TOML files beside the rules (people, schedule, dependencies).
//!
//! Invariant: nothing here reads a clock; the kill switch for a script asks the caller's.

mod advice;
mod beside;
mod channel;
mod closure;
mod collector;
mod compile;
mod constructors;
mod declaration;
mod dependencies;
mod diagnostic;
mod dry_run;
mod escalation;
mod hours;
mod index;
mod kind;
mod level;
mod library;
mod lint;
mod listed;
mod load;
mod matcher;
mod meter;
mod notification;
mod occasion;
mod people;
mod reader;
mod remediation;
mod remedy;
mod rule;
mod samples;
mod sandbox;
mod schedule;
mod schedule_check;
mod schedule_file;
mod services;
mod shadow;
mod span;
mod syntax;
mod table;
mod targets;
#[cfg(test)]
mod tests;
mod view;
mod where_clause;

pub use channel::wants_resolution;
pub use dependencies::Dependencies;
pub use diagnostic::{Diagnostic, ScriptError, render, render_coloured};
pub use listed::{Listed, untouched};
pub use meter::Limits;
pub use people::People;
pub use rule::{Budget, Condition, Digest, EscalationRule, Matches, NotificationRule, RateLimit, RemediationRule};
pub use targets::NamedSecret;

use crate::model::{Channel, Environment, EventSet, Incident, Level, Remedy, RuleEvent, ServiceContext, Severity, Time};
use closure::Runner;
use occasion::Occasions;
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use table::Table;

/// The text of every file under the rules folder, by its path relative to it with `/`. Read by the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSource {
    pub files: BTreeMap<String, String>,
}

/// A checked rule set, indexed. Not `Send`: each thread loads its own from the same source.
pub struct RuleSet {
    hash: String,
    notifications: Table<NotificationRule>,
    /// For each event the notification rules that listen to it.
    listening: Vec<(RuleEvent, index::Bits)>,
    occasions: Occasions,
    escalations: Table<EscalationRule>,
    remediations: Table<RemediationRule>,
    people: Rc<People>,
    dependencies: Rc<Dependencies>,
    engine: rhai::Engine,
    meter: Rc<meter::Meter>,
    library: sandbox::LibraryFunctions,
    secrets: Vec<NamedSecret>,
    limits: Limits,
    /// Of closures since they were last asked for, in seconds.
    timings: RefCell<Vec<f64>>,
}

/// What a closure may ask besides the incident; all of it is of the incident's own service.
#[derive(Clone, Debug, PartialEq)]
pub struct Context {
    pub now: Time,
    pub event: RuleEvent,
    pub service: Rc<ServiceContext>,
    /// Remediations tried so far (SPEC 4.8).
    pub attempts: u64,
    pub open_incidents: u64,
}

impl Context {
    /// Where nothing is known of the service.
    pub fn new(now: Time, event: RuleEvent) -> Context {
        Context { now, event, service: Rc::default(), attempts: 0, open_incidents: 0 }
    }
}

impl RuleSet {
    /// Loads all files or none. `Ok` carries the warnings, `Err` everything found.
    pub fn load(source: &RuleSource, limits: &Limits) -> Result<(RuleSet, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (loaded, found) = load::load(source, limits);
        if found.iter().any(|finding| finding.error) {
            return Err(found);
        }
        let rules = &loaded.rules.notifications;
        let listening = RuleEvent::LISTENABLE.into_iter().map(|event| {
            let mut bits = index::bits(rules.len());
            let listens =
                |(number, ready): (usize, &closure::Ready<NotificationRule>)| ready.rule.on.has(event).then_some(number);
            rules.iter().enumerate().filter_map(listens).for_each(|number| index::set(&mut bits, number));
            (event, bits)
        });
        let set = RuleSet {
            hash: hash(source),
            listening: listening.collect(),
            occasions: Occasions::new(rules, source),
            notifications: Table::new(loaded.rules.notifications),
            escalations: Table::new(loaded.rules.escalations),
            remediations: Table::new(loaded.rules.remediations),
            people: Rc::new(loaded.people),
            dependencies: Rc::new(loaded.dependencies),
            engine: loaded.engine,
            meter: loaded.meter,
            library: loaded.library,
            secrets: loaded.secrets,
            limits: *limits,
            timings: RefCell::default(),
        };
        Ok((set, found))
    }

    /// Hex, the same for the same files.
    pub fn hash(&self) -> &str {
        &self.hash
    }

    /// By descending priority, then name.
    pub fn notifications(&self) -> &[NotificationRule] {
        &self.notifications.rules
    }

    /// By descending priority, then name.
    pub fn escalations(&self) -> &[EscalationRule] {
        &self.escalations.rules
    }

    /// By descending priority, then name.
    pub fn remediations(&self) -> &[RemediationRule] {
        &self.remediations.rules
    }

    /// How many rules of each kind there are, by the word that declares it.
    pub fn counts(&self) -> [(&'static str, usize); 3] {
        [
            ("notification", self.notifications().len()),
            ("escalation", self.escalations().len()),
            ("remediation", self.remediations().len()),
        ]
    }

    pub fn people(&self) -> &Rc<People> {
        &self.people
    }

    pub fn dependencies(&self) -> &Rc<Dependencies> {
        &self.dependencies
    }

    /// The secrets that the rule files name literally, one for each place, by file.
    pub fn secrets(&self) -> &[NamedSecret] {
        &self.secrets
    }

    /// Where the notification rule is declared, `file:line:column`.
    pub fn place(&self, rule: usize) -> &str {
        self.notifications.place(rule)
    }

    /// Where the policy is declared, `file:line:column`.
    pub fn escalation_place(&self, rule: usize) -> &str {
        self.escalations.place(rule)
    }

    /// Where the remediation rule is declared, `file:line:column`.
    pub fn remediation_place(&self, rule: usize) -> &str {
        self.remediations.place(rule)
    }

    /// Every notification rule that listens to one of `events` and whose `where` the incident meets (disabled ones included).
    pub fn matches(&self, incident: &Incident, events: EventSet) -> Matches {
        let mut listening = index::bits(self.notifications().len());
        for (_, rules) in self.listening.iter().filter(|(event, _)| events.has(*event)) {
            listening.iter_mut().zip(rules).for_each(|(word, more)| *word |= more);
        }
        self.notifications.matches_among(incident, &listening)
    }

    /// The same for sets under which every incident has the same to say at each of its next occurrences.
    pub fn occurrence_key(&self) -> u64 {
        self.occasions.key()
    }

    /// False where no notification rule can have anything to say of an occurrence of such an incident, whatever else it is.
    pub fn may_concern_occurrence(&self, service_id: &str, severity: Severity, environment: Environment) -> bool {
        self.occasions.may_concern(service_id, severity, environment)
    }

    /// Every policy whose `where` the incident meets (disabled ones included).
    pub fn escalation_matches(&self, incident: &Incident) -> Matches {
        self.escalations.matches(incident)
    }

    /// Every remediation rule whose `where` the incident meets (disabled ones included).
    pub fn remediation_matches(&self, incident: &Incident) -> Matches {
        self.remediations.matches(incident)
    }

    /// Every field of a rule's `where` that keeps the incident out, in words; none where it meets it, or there is no such
    /// rule. `kind`: the word that declares it.
    pub fn misses(&self, kind: &str, name: &str, incident: &Incident) -> Vec<String> {
        let at = |names: &mut dyn Iterator<Item = &str>| names.enumerate().find(|(_, known)| *known == name).map(|(at, _)| at);
        match kind {
            "notification" => at(&mut self.notifications().iter().map(|rule| rule.name.as_str()))
                .map(|rule| self.notifications.misses(rule, incident)),
            "escalation" => at(&mut self.escalations().iter().map(|rule| rule.name.as_str()))
                .map(|rule| self.escalations.misses(rule, incident)),
            "remediation" => at(&mut self.remediations().iter().map(|rule| rule.name.as_str()))
                .map(|rule| self.remediations.misses(rule, incident)),
            _ => None,
        }
        .unwrap_or_default()
    }

    /// The notification rule's `when`; true without one.
    pub fn when(&self, rule: usize, incident: &Arc<Incident>, context: &Context) -> Result<bool, ScriptError> {
        self.notifications.when(&self.runner(), rule, incident, context)
    }

    /// The rule's channels for this incident.
    pub fn channels(&self, rule: usize, incident: &Arc<Incident>, context: &Context) -> Result<Vec<Channel>, ScriptError> {
        self.notifications.make(&self.runner(), rule, incident, context)
    }

    /// The policy's `when`; true without one.
    pub fn escalation_when(&self, rule: usize, incident: &Arc<Incident>, context: &Context) -> Result<bool, ScriptError> {
        self.escalations.when(&self.runner(), rule, incident, context)
    }

    /// The policy's levels for this incident. Their delays never fall; where the rule repeats, its interval is above 0,
    /// unless there are no levels at all.
    pub fn levels(&self, rule: usize, incident: &Arc<Incident>, context: &Context) -> Result<Vec<Level>, ScriptError> {
        self.escalations.make(&self.runner(), rule, incident, context)
    }

    /// The remediation rule's `when`; true without one. Its conditions are asked apart: [`Condition::holds`].
    pub fn remediation_when(&self, rule: usize, incident: &Arc<Incident>, context: &Context) -> Result<bool, ScriptError> {
        self.remediations.when(&self.runner(), rule, incident, context)
    }

    /// The remediation rule's actions for this incident, their targets filled in.
    pub fn remedies(&self, rule: usize, incident: &Arc<Incident>, context: &Context) -> Result<Vec<Remedy>, ScriptError> {
        self.remediations.make(&self.runner(), rule, incident, context)
    }

    /// How long the closures took that ran since the last call, in seconds, by the caller's clock; of many the first ones.
    pub fn take_timings(&self) -> Vec<f64> {
        self.timings.take()
    }

    fn runner(&self) -> Runner<'_> {
        Runner {
            engine: &self.engine,
            meter: &self.meter,
            library: &self.library,
            operations: self.limits.operations,
            wall: self.limits.wall,
            clock: self.limits.clock,
            timings: Some(&self.timings),
        }
    }
}

/// The first 16 hex digits of SHA-256 over every path and text.
fn hash(source: &RuleSource) -> String {
    let mut hasher = Sha256::new();
    for part in source.files.iter().flat_map(|(path, text)| [path, text]) {
        hasher.update((part.len() as u64).to_be_bytes());
        hasher.update(part);
    }
    const_hex::encode(&hasher.finalize()[..8])
}
