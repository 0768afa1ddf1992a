//! Which notification rules an open incident's next occurrence may concern: after a change of the rules only those incidents
//! need to be asked anew.

use crate::model::{Environment, RuleEvent, Severity};
use crate::rules::closure::{Made, Ready};
use crate::rules::matcher::{Field, Where};
use crate::rules::{NotificationRule, RuleSource};
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;
use std::fmt::Debug;

/// Beyond as many rules it costs less to ask an incident than to look whether it must be asked.
const MOST: usize = 32;

/// The rules that listen to occurrences or wait for one.
pub(super) struct Occasions {
    key: u64,
    rules: Vec<Where>,
}

impl Occasions {
    pub fn new(ready: &[Ready<NotificationRule>], source: &RuleSource) -> Occasions {
        let concerned = ready.iter().filter(|ready| concerns(&ready.rule));
        let mut hasher = Sha256::new();
        let mut called = BTreeSet::new();
        for Ready { rule, matcher, body, file, .. } in concerned.clone() {
            add(&mut hasher, &(rule, matcher));
            match (&body.when, &body.made) {
                (None, Made::Fixed(channels)) => add(&mut hasher, channels),
                _ => {
                    called.insert(&**file);
                }
            }
        }
        // What closures do stands in their files and in the library: each is read once, however many there are.
        if !called.is_empty() {
            let files = source.files.iter().filter(|(path, _)| called.contains(path.as_str()) || path.starts_with("lib/"));
            files.for_each(|text| add(&mut hasher, &text));
        }
        let [a, b, c, d, e, f, g, h, ..] = <[u8; 32]>::from(hasher.finalize());
        Occasions {
            key: u64::from_be_bytes([a, b, c, d, e, f, g, h]),
            rules: concerned.map(|ready| ready.matcher.clone()).collect(),
        }
    }

    pub fn key(&self) -> u64 {
        self.key
    }

    pub fn may_concern(&self, service_id: &str, severity: Severity, environment: Environment) -> bool {
        self.rules.len() > MOST
            || self.rules.iter().any(|rule| {
                rule.admits(&Field::ServiceId, service_id)
                    && rule.admits(&Field::Severity, severity.name())
                    && rule.admits(&Field::Environment, environment.name())
            })
    }
}

/// SPEC 4.7: `occurrence` among its events, or an entry that waits for the Nth.
fn concerns(rule: &NotificationRule) -> bool {
    rule.on.has(RuleEvent::Occurrence) || rule.on.has(RuleEvent::Triggered) && rule.after_occurrences.is_some()
}

fn add(hasher: &mut Sha256, part: &impl Debug) {
    hasher.update(format!("{part:?}\n"));
}
