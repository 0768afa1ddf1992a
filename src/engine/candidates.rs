//! What the incidents of each service may hang on: the known incidents of the services that it depends on, each service's in one
//! order, and which services those are, so that a parent is found without looking for anything by name.
//!
//! Derived from `Upstreams`, the dependencies and the incidents here; rebuilt with them.

use crate::engine::parents::{Child, Parent};
use crate::engine::upstreams::{Upstreams, WINDOW};
use crate::model::{IncidentId, Time, Upstream};
use crate::rules::Dependencies;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::ops::Bound::{Excluded, Unbounded};
use std::rc::Rc;

const LEAST: IncidentId = IncidentId { partition: 0, hash: 0 };
const GREATEST: IncidentId = IncidentId { partition: u16::MAX, hash: u64::MAX };

/// Of a service, in `services`.
type Place = u32;

#[derive(Default)]
pub struct Candidates {
    places: HashMap<Rc<str>, Place, FxBuildHasher>,
    services: Vec<Known>,
    /// Of the services that have had an incident here: those that they depend on.
    watched: HashMap<Rc<str>, Box<[Place]>, FxBuildHasher>,
}

/// Of one service.
#[derive(Default)]
struct Known {
    /// The services that depend on it and have had an incident here.
    children: Vec<Rc<str>>,
    /// Few: the incidents of one service are much alike.
    classes: SmallVec<[Class; 2]>,
}

/// Incidents that may suppress the same children.
pub struct Class {
    alike: Parent,
    seen: BTreeMap<(Time, IncidentId), Rc<Upstream>>,
    /// Of these the last, at hand: most services are passed by for it, and a look into a tree is a miss of the cache for each level.
    newest: Option<(Time, IncidentId)>,
}

impl Candidates {
    /// Of all that is known; nobody is watched yet.
    pub fn of(upstreams: &Upstreams) -> Candidates {
        let mut candidates = Candidates::default();
        upstreams.all().for_each(|fact| candidates.put(None, fact));
        candidates
    }

    /// A service has its first incident here.
    pub fn watch(&mut self, service_id: &str, dependencies: &Dependencies) {
        let names = dependencies.upstreams(service_id);
        if names.is_empty() || self.watched.contains_key(service_id) {
            return;
        }
        let child: Rc<str> = Rc::from(service_id);
        let places: Vec<Place> = names.iter().map(|name| self.place(name)).collect();
        for place in &places {
            self.services[*place as usize].children.push(Rc::clone(&child));
        }
        self.watched.insert(child, places.into());
    }

    /// The services that have had an incident here and depend on that one.
    pub fn children(&self, service_id: &str) -> &[Rc<str>] {
        self.places.get(service_id).map_or(&[], |place| &self.services[*place as usize].children)
    }

    /// What an incident of a service may hang on.
    pub fn classes<'a>(&'a self, service_id: &str, dependencies: &Dependencies) -> impl Iterator<Item = &'a Class> {
        let places: SmallVec<[Place; 32]> = match self.watched.get(service_id) {
            Some(places) => places.iter().copied().collect(),
            // Its first incident here.
            None => dependencies.upstreams(service_id).iter().filter_map(|name| self.places.get(&**name)).copied().collect(),
        };
        places.into_iter().flat_map(|place| &self.services[place as usize].classes)
    }

    /// `before`: what was known of the same incident until now.
    pub fn put(&mut self, before: Option<&Upstream>, fact: &Rc<Upstream>) {
        let place = self.place(&fact.service_id);
        let known = &mut self.services[place as usize];
        if let Some(before) = before {
            known.class(before).remove(before);
        }
        known.class(fact).insert(fact);
    }

    pub fn remove(&mut self, fact: &Upstream) {
        let place = self.place(&fact.service_id);
        self.services[place as usize].class(fact).remove(fact);
    }

    fn place(&mut self, service_id: &str) -> Place {
        if let Some(place) = self.places.get(service_id) {
            return *place;
        }
        let place = self.services.len() as Place;
        self.services.push(Known::default());
        self.places.insert(Rc::from(service_id), place);
        place
    }
}

impl Known {
    fn class(&mut self, fact: &Upstream) -> &mut Class {
        let alike = Parent::of_fact(fact);
        let at = self.classes.iter().position(|class| class.alike == alike).unwrap_or_else(|| {
            self.classes.push(Class { alike, seen: BTreeMap::new(), newest: None });
            self.classes.len() - 1
        });
        &mut self.classes[at]
    }
}

impl Class {
    fn insert(&mut self, fact: &Rc<Upstream>) {
        let key = key(fact);
        self.newest = self.newest.max(Some(key));
        self.seen.insert(key, Rc::clone(fact));
    }

    fn remove(&mut self, fact: &Upstream) {
        let key = key(fact);
        self.seen.remove(&key);
        if self.newest == Some(key) {
            self.newest = self.seen.last_key_value().map(|(last, _)| *last);
        }
    }

    pub fn may_suppress(&self, child: &Child<'_>) -> bool {
        self.alike.may_suppress(child)
    }

    /// The last of those first seen at `at` or before, where none came later; the latest that there could be, where one did.
    pub fn latest(&self, at: Time) -> Option<(Time, IncidentId)> {
        Some(self.newest?.min((at, GREATEST)))
    }

    /// By falling place for a child first seen at `at`: those of the window up to then, newest first; then those of the window
    /// after it, oldest first.
    pub fn around(&self, at: Time) -> impl Iterator<Item = &Rc<Upstream>> {
        let (from, then, to) = ((at + -WINDOW, LEAST), (at + 1, LEAST), (at + (WINDOW + 1), LEAST));
        // Nearly always `at` is newer than all: then the end need not be looked for.
        let is_newest = self.newest.is_none_or(|newest| newest < then);
        let end = if is_newest { Unbounded } else { Excluded(then) };
        let before = self.seen.range((Unbounded, end)).rev().take_while(move |(key, _)| **key >= from);
        let after = (!is_newest).then(|| self.seen.range(then..to));
        before.chain(after.into_iter().flatten()).map(|(_, fact)| fact)
    }
}

fn key(fact: &Upstream) -> (Time, IncidentId) {
    (fact.first_seen_at, fact.id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::{Limits, RuleSet, RuleSource};

    /// A fact is held against each of them.
    #[test]
    fn a_service_depends_on_another_once_however_many_incidents_it_has() {
        let text = "[dependencies]\nweb = [\"a\"]\n";
        let files = [("dependencies.toml".to_owned(), text.to_owned())].into_iter().collect();
        let (rules, _) = RuleSet::load(&RuleSource { files }, &Limits::default()).expect("it is right");
        let mut candidates = Candidates::default();
        for service_id in ["web", "a", "web"] {
            candidates.watch(service_id, rules.dependencies());
        }
        let children = |service_id| candidates.children(service_id).iter().map(|child| &**child).collect::<Vec<&str>>();
        assert_eq!((children("a"), children("web")), (vec!["web"], vec![]));
        assert!(!candidates.watched.contains_key("a"), "it depends on nothing");
    }
}
