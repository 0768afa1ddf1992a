//! What the incidents of each service may hang on: the known incidents of the services that it depends on, each service's in one
//! order, and which services those are, so that a parent is found without looking for anything by name.
//!
//! Derived from `Upstreams`, the dependencies and the incidents here; rebuilt with them.

use crate::engine::parents::{Child, Parent};
use crate::engine::sorted::Sorted;
use crate::engine::upstreams::{Upstreams, WINDOW};
use crate::model::{IncidentId, Time, Upstream};
use crate::rules::Dependencies;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use std::rc::Rc;
use std::sync::Arc;

const LEAST: IncidentId = IncidentId { partition: 0, hash: 0 };
const GREATEST: IncidentId = IncidentId { partition: u16::MAX, hash: u64::MAX };

/// A service on which others depend, by its place in `services`.
type Place = u32;
/// A service that depends on others and has had an incident here, by its place in `dependents`.
pub type Dependent = u32;

#[derive(Default)]
pub struct Candidates {
    places: HashMap<Rc<str>, Place, FxBuildHasher>,
    services: Vec<Known>,
    by_name: HashMap<Rc<str>, Dependent, FxBuildHasher>,
    dependents: Vec<Watched>,
}

/// Of one service.
#[derive(Default)]
struct Known {
    children: Vec<Dependent>,
    /// Few: the incidents of one service are much alike.
    classes: SmallVec<[Class; 2]>,
}

struct Watched {
    service_id: Rc<str>,
    upstreams: Box<[Place]>,
    /// None of its incidents is first seen later.
    newest: Time,
}

/// So many of the newest of a class are at hand: most services are passed by for them.
const AT_HAND: usize = 4;
/// No incident is that old.
const NONE: Time = Time(i64::MIN);

/// Incidents that may suppress the same children.
pub struct Class {
    alike: Parent,
    /// When the newest were first seen, the last first.
    newest: [Time; AT_HAND],
    seen: Sorted<(Time, IncidentId), Arc<Upstream>>,
}

impl Candidates {
    /// Of all that is known; nobody is watched yet.
    pub fn of(upstreams: &Upstreams) -> Candidates {
        let mut candidates = Candidates::default();
        upstreams.all().for_each(|fact| candidates.put(None, fact));
        candidates
    }

    /// A service has an incident here, first seen at `at`; `None`: it depends on no other.
    pub fn watch(&mut self, service_id: &str, at: Time, dependencies: &Dependencies) -> Option<Dependent> {
        if let Some(dependent) = self.by_name.get(service_id) {
            let newest = &mut self.dependents[*dependent as usize].newest;
            *newest = at.max(*newest);
            return Some(*dependent);
        }
        let names = dependencies.upstreams(service_id);
        if names.is_empty() {
            return None;
        }
        let dependent = self.dependents.len() as Dependent;
        let upstreams: Box<[Place]> = names.iter().map(|name| self.place(name)).collect();
        for place in &upstreams {
            self.services[*place as usize].children.push(dependent);
        }
        let service_id: Rc<str> = Rc::from(service_id);
        self.by_name.insert(Rc::clone(&service_id), dependent);
        self.dependents.push(Watched { service_id, upstreams, newest: at });
        Some(dependent)
    }

    /// The services that have had an incident here and depend on that one.
    pub fn children(&self, service_id: &str) -> &[Dependent] {
        self.places.get(service_id).map_or(&[], |place| &self.services[*place as usize].children)
    }

    pub fn name_of(&self, dependent: Dependent) -> &str {
        &self.dependents[dependent as usize].service_id
    }

    /// None of its incidents was first seen later; one that was may have closed.
    pub fn newest(&self, dependent: Dependent) -> Time {
        self.dependents[dependent as usize].newest
    }

    /// What an incident of a service may hang on.
    pub fn classes<'a>(&'a self, service_id: &str, dependencies: &Dependencies) -> impl Iterator<Item = &'a Class> {
        let places: SmallVec<[Place; 32]> = match self.by_name.get(service_id) {
            Some(dependent) => self.dependents[*dependent as usize].upstreams.iter().copied().collect(),
            // Its first incident here.
            None => dependencies.upstreams(service_id).iter().filter_map(|name| self.places.get(&**name)).copied().collect(),
        };
        places.into_iter().flat_map(|place| &self.services[place as usize].classes)
    }

    /// `before`: what was known of the same incident until now.
    pub fn put(&mut self, before: Option<&Upstream>, fact: &Arc<Upstream>) {
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
            self.classes.push(Class { alike, newest: [NONE; AT_HAND], seen: Sorted::default() });
            self.classes.len() - 1
        });
        &mut self.classes[at]
    }
}

impl Class {
    fn insert(&mut self, fact: &Arc<Upstream>) {
        self.seen.insert(key(fact), Arc::clone(fact));
        self.take_newest();
    }

    fn remove(&mut self, fact: &Upstream) {
        self.seen.remove(key(fact));
        self.take_newest();
    }

    fn take_newest(&mut self) {
        self.newest = [NONE; AT_HAND];
        for (newest, ((at, _), _)) in self.newest.iter_mut().zip(self.seen.backwards()) {
            *newest = *at;
        }
    }

    pub fn may_suppress(&self, child: &Child<'_>) -> bool {
        self.alike.may_suppress(child)
    }

    /// None of those first seen at `at` or before is behind this one; `None`: there are none, not even later ones.
    pub fn bound(&self, at: Time) -> Option<(Time, IncidentId)> {
        let latest = self.newest.into_iter().find(|newest| *newest <= at).unwrap_or(at);
        (self.newest[0] != NONE).then_some((latest, GREATEST))
    }

    /// By falling place for a child first seen at `at`: those of the window up to then, newest first; then those of the window
    /// after it, oldest first.
    pub fn around(&self, at: Time) -> impl Iterator<Item = &Arc<Upstream>> {
        let (from, then, to) = ((at + -WINDOW, LEAST), (at + 1, LEAST), (at + (WINDOW + 1), LEAST));
        let before = self.seen.before(then).take_while(move |(key, _)| *key >= from);
        let after = std::iter::once(()).flat_map(move |()| self.seen.from(then)).take_while(move |(key, _)| *key < to);
        before.chain(after).map(|(_, fact)| fact)
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
        let mut watch = |service_id, at| candidates.watch(service_id, Time(at), rules.dependencies());
        assert_eq!(["web", "a", "web"].map(|service_id| watch(service_id, 7)), [Some(0), None, Some(0)], "a depends on nothing");
        watch("web", 5);
        let children = |service_id| candidates.children(service_id).iter().map(|child| candidates.name_of(*child));
        assert_eq!((children("a").collect::<Vec<_>>(), children("web").count()), (vec!["web"], 0));
        assert_eq!(candidates.newest(0), Time(7));
    }
}
