//! Of each service with incidents here, what these may hang on: the known incidents of all services that it depends on, in one
//! order, so that a parent is found by a few looks however many services there are.
//!
//! Derived from [`Upstreams`] and the dependencies; kept from a service's first incident to the next reload.

use crate::engine::parents::{Child, Parent};
use crate::engine::upstreams::{Upstreams, WINDOW};
use crate::model::{Environment, IncidentId, Severity, Time, Upstream};
use crate::rules::Dependencies;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::rc::Rc;

const LEAST: IncidentId = IncidentId { partition: 0, hash: 0 };

#[derive(Default)]
pub struct Candidates {
    by_child: HashMap<Rc<str>, Known, FxBuildHasher>,
    /// The services with a place in `by_child` that depend on it.
    children: HashMap<String, Vec<Rc<str>>, FxBuildHasher>,
}

/// What incidents of one service may hang on.
#[derive(Default)]
pub struct Known {
    /// Few: nearly all incidents are of one environment.
    classes: Vec<Class>,
}

/// Those that suppress the same children, and none of them empty for long.
pub struct Class {
    severity: Severity,
    environment: Environment,
    /// False: nobody, as long as that lasts.
    able: bool,
    seen: BTreeMap<(Time, IncidentId), Rc<Upstream>>,
}

impl Candidates {
    pub fn of(&self, service_id: &str) -> Option<&Known> {
        self.by_child.get(service_id)
    }

    /// The services with incidents here that depend on it.
    pub fn children(&self, service_id: &str) -> &[Rc<str>] {
        self.children.get(service_id).map_or(&[], Vec::as_slice)
    }

    /// A service has its first incident here.
    pub fn watch(&mut self, service_id: &str, dependencies: &Dependencies, upstreams: &Upstreams) {
        let names = dependencies.upstreams(service_id);
        if names.is_empty() || self.by_child.contains_key(service_id) {
            return;
        }
        let child: Rc<str> = Rc::from(service_id);
        for name in names {
            self.children.entry_ref(&**name).or_default().push(Rc::clone(&child));
        }
        self.by_child.insert(child, Known::of(service_id, dependencies, upstreams));
    }

    /// `before`: what was known of the same incident until now.
    pub fn put(&mut self, before: Option<&Upstream>, fact: &Rc<Upstream>) {
        self.change(before, Some(fact), &fact.service_id);
    }

    pub fn remove(&mut self, fact: &Upstream) {
        self.change(Some(fact), None, &fact.service_id);
    }

    fn change(&mut self, before: Option<&Upstream>, fact: Option<&Rc<Upstream>>, service_id: &str) {
        for child in self.children.get(service_id).into_iter().flatten() {
            let Some(known) = self.by_child.get_mut(child) else { continue };
            if let Some(before) = before {
                known.class(before).remove(&key(before));
            }
            if let Some(fact) = fact {
                known.class(fact).insert(key(fact), Rc::clone(fact));
            }
        }
    }
}

impl Known {
    /// Of all that is known.
    pub fn of(service_id: &str, dependencies: &Dependencies, upstreams: &Upstreams) -> Known {
        let mut known = Known::default();
        for fact in dependencies.upstreams(service_id).iter().flat_map(|name| upstreams.of(name)) {
            known.class(fact).insert(key(fact), Rc::clone(fact));
        }
        known
    }

    pub fn classes(&self) -> &[Class] {
        &self.classes
    }

    fn class(&mut self, fact: &Upstream) -> &mut BTreeMap<(Time, IncidentId), Rc<Upstream>> {
        let Upstream { severity, environment, .. } = *fact;
        let able = Parent::of_fact(fact).is_able() && !fact.duplicate;
        let same = |class: &Class| (class.severity, class.environment, class.able) == (severity, environment, able);
        let at = self.classes.iter().position(same).unwrap_or_else(|| {
            self.classes.push(Class { severity, environment, able, seen: BTreeMap::new() });
            self.classes.len() - 1
        });
        &mut self.classes[at].seen
    }
}

impl Class {
    pub fn suppresses(&self, child: &Child<'_>) -> bool {
        self.able && self.environment == child.environment && self.severity >= child.severity
    }

    /// By falling place for a child first seen at `at`: those of the window up to then, newest first; then those of the window
    /// after it, oldest first.
    pub fn around(&self, at: Time) -> impl Iterator<Item = &Rc<Upstream>> {
        let (from, then, to) = ((at + -WINDOW, LEAST), (at + 1, LEAST), (at + (WINDOW + 1), LEAST));
        // Nearly always `at` is newer than all: then the end need not be looked for.
        let is_newest = self.seen.last_key_value().is_none_or(|(last, _)| *last < then);
        let end = if is_newest { Unbounded } else { Excluded(then) };
        let before = self.seen.range((Unbounded, end)).rev().take_while(move |(key, _)| **key >= from);
        let after = (!is_newest).then(|| self.seen.range(then..to));
        before.chain(after.into_iter().flatten()).map(|(_, fact)| fact)
    }
}

fn key(fact: &Upstream) -> (Time, IncidentId) {
    (fact.first_seen_at, fact.id)
}
