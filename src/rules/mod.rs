//! The rules that SRE teams write in Rhai: the only place that names rhai (SPEC 5).
//!
//! `load` runs every file once: `notification(…)` (declaration, reader, where_clause) notes a rule, its static part goes into
//! an index (matcher, index), its closures are tried on sample incidents (dry_run) and kept (closure). Scripts run in a
//! sandbox that can compute and nothing else (sandbox, meter), see the incident read-only (view), and name channels and
//! people by constructors (constructors, channel).
//!
//! Invariant: nothing here reads a clock; the kill switch for a script asks the caller's.

mod channel;
mod closure;
mod collector;
mod constructors;
mod declaration;
mod diagnostic;
mod dry_run;
mod index;
mod library;
mod load;
mod matcher;
mod meter;
mod reader;
mod sandbox;
mod view;
mod where_clause;

pub use channel::wants_resolution;
pub use diagnostic::{Diagnostic, ScriptError, render};
pub use meter::Limits;

use crate::model::{Channel, EventSet, Incident, RuleEvent, Time};
use closure::{Body, Runner};
use index::Index;
use matcher::{Said, Where};
use sha2::{Digest as _, Sha256};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

/// The text of every file under the rules folder, by its path relative to it with `/`. Read by the caller.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RuleSource {
    pub files: BTreeMap<String, String>,
}

/// A checked rule set, indexed. Not `Send`: each thread loads its own from the same source.
pub struct RuleSet {
    hash: String,
    notifications: Vec<NotificationRule>,
    matchers: Vec<(Where, Vec<Said>)>,
    bodies: Vec<Body>,
    places: Vec<String>,
    index: Index,
    /// For each event the rules that listen to it.
    listening: Vec<(RuleEvent, index::Bits)>,
    enabled: index::Bits,
    engine: rhai::Engine,
    meter: Rc<meter::Meter>,
    library: sandbox::LibraryFunctions,
    limits: Limits,
    /// Of closures since they were last asked for, in seconds.
    timings: RefCell<Vec<f64>>,
}

/// As many are kept between two looks at them.
const MAX_TIMINGS: usize = 1_000;

/// What the engine must know of a notification rule without running it.
#[derive(Clone, Debug, PartialEq)]
pub struct NotificationRule {
    pub name: String,
    pub priority: i64,
    pub enabled: bool,
    pub description: Option<String>,
    /// Default `triggered`.
    pub on: EventSet,
    pub after_occurrences: Option<u64>,
    pub repeat_minutes: Option<u64>,
    /// Of the rule, of one of its channels, or of what its `channels` returned on some sample. A closure may still name
    /// such a channel for the first time later: see [`wants_resolution`].
    pub send_on_resolve: bool,
    pub rate_limit: Option<RateLimit>,
    pub digest: Option<Digest>,
}

/// Sliding, over the whole rule; one of the two is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    pub max_per_hour: Option<u64>,
    pub max_per_day: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Digest {
    pub interval_minutes: u64,
    /// Fields of the incident, labels as `labels.region`: one digest for each of their values.
    pub by: Vec<String>,
    /// The first is sent at once, alone.
    pub lead: bool,
}

/// Which rules' `where` an incident meets.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matches {
    /// Indexes into `RuleSet::notifications`, ascending: by descending priority, then name.
    pub matched: Vec<usize>,
    /// Enabled rules that miss by exactly one field of `where`, with what it is and what it should be; at most 20.
    pub near: Vec<(usize, String)>,
    /// How many more miss by one field.
    pub near_more: usize,
}

const MOST_NEAR: usize = 20;

/// What a closure may ask besides the incident.
#[derive(Clone, Debug)]
pub struct Context {
    pub now: Time,
    pub event: RuleEvent,
}

impl RuleSet {
    /// Loads all files or none. `Ok` carries the warnings, `Err` everything found.
    pub fn load(source: &RuleSource, limits: &Limits) -> Result<(RuleSet, Vec<Diagnostic>), Vec<Diagnostic>> {
        let (loaded, found) = load::load(source, limits);
        if found.iter().any(|finding| finding.error) {
            return Err(found);
        }
        let rules = loaded.rules.len();
        let mut enabled = index::bits(rules);
        let mut listening: Vec<(RuleEvent, index::Bits)> =
            RuleEvent::LISTENABLE.into_iter().map(|event| (event, index::bits(rules))).collect();
        let (mut notifications, mut matchers, mut bodies, mut places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, ready) in loaded.rules.into_iter().enumerate() {
            if ready.rule.enabled {
                index::set(&mut enabled, number);
            }
            for (event, bits) in &mut listening {
                if ready.rule.on.has(*event) {
                    index::set(bits, number);
                }
            }
            places.push(format!("{}:{}:{}", ready.file, ready.place.line, ready.place.column));
            notifications.push(ready.rule);
            matchers.push(ready.matcher);
            bodies.push(ready.body);
        }
        let set = RuleSet {
            hash: hash(source),
            notifications,
            index: Index::new(matchers.iter()),
            matchers: matchers
                .into_iter()
                .map(|matcher| {
                    let said = matcher.said();
                    (matcher, said)
                })
                .collect(),
            bodies,
            places,
            listening,
            enabled,
            engine: loaded.engine,
            meter: loaded.meter,
            library: loaded.library,
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
        &self.notifications
    }

    /// Where the rule is declared, `file:line:column`.
    pub fn place(&self, rule: usize) -> &str {
        self.places.get(rule).map_or("", String::as_str)
    }

    /// Every rule that listens to one of `events` and whose `where` the incident meets (disabled ones included).
    pub fn matches(&self, incident: &Incident, events: EventSet) -> Matches {
        let mut listening = index::bits(self.notifications.len());
        for (_, rules) in self.listening.iter().filter(|(event, _)| events.has(*event)) {
            listening.iter_mut().zip(rules).for_each(|(word, more)| *word |= more);
        }
        let (once, twice) = self.index.failing(incident);
        let of = |word: fn(u64, u64) -> u64| -> index::Bits {
            once.iter().zip(&twice).zip(&listening).map(|((once, twice), listens)| word(*once, *twice) & listens).collect()
        };
        let mut near = of(|once, twice| once & !twice);
        near.iter_mut().zip(&self.enabled).for_each(|(word, enabled)| *word &= enabled);
        let misses: usize = near.iter().map(|word| word.count_ones() as usize).sum();
        let listed = index::members(&near).take(MOST_NEAR);
        Matches {
            matched: index::members(&of(|once, _| !once)).collect(),
            near: listed
                .map(|rule| {
                    let (matcher, said) = &self.matchers[rule];
                    (rule, matcher.miss(incident, said).unwrap_or_default())
                })
                .collect(),
            near_more: misses.saturating_sub(MOST_NEAR),
        }
    }

    /// The rule's `when`; true without one.
    pub fn when(&self, rule: usize, incident: &Arc<Incident>, context: &Context) -> Result<bool, ScriptError> {
        match self.bodies.get(rule).and_then(|body| body.when.as_ref()) {
            Some(when) => self.timed(|| when.truth(&self.runner(), view::View::of(incident), context)),
            None => Ok(true),
        }
    }

    /// The rule's channels for this incident.
    pub fn channels(&self, rule: usize, incident: &Arc<Incident>, context: &Context) -> Result<Vec<Channel>, ScriptError> {
        let Some(body) = self.bodies.get(rule) else { return Ok(Vec::new()) };
        match &body.channels {
            Some(channels) => self.timed(|| channels.channels(&self.runner(), view::View::of(incident), context)),
            None => Ok(body.fixed.clone()),
        }
    }

    /// How long the closures took that ran since the last call, in seconds, by the caller's clock; of many the first ones.
    pub fn take_timings(&self) -> Vec<f64> {
        self.timings.take()
    }

    fn timed<T>(&self, run: impl FnOnce() -> T) -> T {
        let Some(clock) = self.limits.clock else { return run() };
        let began = clock();
        let result = run();
        let mut timings = self.timings.borrow_mut();
        if timings.len() < MAX_TIMINGS {
            timings.push(clock().saturating_sub(began) as f64 / 1e6);
        }
        result
    }

    fn runner(&self) -> Runner<'_> {
        Runner {
            engine: &self.engine,
            meter: &self.meter,
            library: &self.library,
            operations: self.limits.operations,
            wall: self.limits.wall,
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
