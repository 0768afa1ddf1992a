//! Which silences match an incident: each lies under the name that one of its matchers asks for, those that want one value
//! under that value. A new incident is asked of all of them; most are about something else, and are not looked at.

use crate::engine::head::Subject;
use crate::model::silence::Test;
use crate::model::{Matcher, Silence, Time};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use std::collections::BTreeMap;
use std::rc::Rc;

/// A silence with its matchers made ready.
pub struct Ready {
    pub silence: Silence,
    /// Of each matcher; `None` where its expression does not compile, which was refused where it came in: it keeps nobody quiet.
    tests: Vec<Option<Test>>,
    /// The matcher under which it lies.
    key: usize,
}

#[derive(Default)]
pub struct SilenceIndex {
    by_name: BTreeMap<String, ByValue>,
}

#[derive(Default)]
struct ByValue {
    one: HashMap<String, Vec<Rc<Ready>>, FxBuildHasher>,
    /// Expressions, and what must not be.
    others: Vec<Rc<Ready>>,
}

impl Ready {
    pub fn new(silence: Silence) -> Ready {
        let tests = silence.matchers.iter().map(|matcher| matcher.test().ok()).collect();
        let wants_one = |matcher: &Matcher| !matcher.is_regex && matcher.is_equal;
        // One without matchers is refused where it comes in; it lies nowhere.
        let key = silence.matchers.iter().position(wants_one).unwrap_or(0);
        Ready { silence, tests, key }
    }

    fn is_in_force(&self, now: Time) -> bool {
        self.silence.starts_at <= now && now < self.silence.ends_at
    }

    /// Whenever it is in force.
    fn matches(&self, subject: &Subject<'_>) -> bool {
        let mut asked = self.silence.matchers.iter().zip(&self.tests);
        asked.all(|(matcher, test)| test.as_ref().is_some_and(|test| test.matches(subject.value(&matcher.name))))
    }

    /// Does the matcher under which it lies let that value through?
    fn takes(&self, value: &str) -> bool {
        self.tests.get(self.key).and_then(Option::as_ref).is_some_and(|test| test.matches(value))
    }
}

impl SilenceIndex {
    pub fn insert(&mut self, ready: &Rc<Ready>) {
        let Some(matcher) = ready.silence.matchers.get(ready.key) else { return };
        let by_value = self.by_name.entry(matcher.name.clone()).or_default();
        match !matcher.is_regex && matcher.is_equal {
            true => by_value.one.entry(matcher.value.clone()).or_default().push(Rc::clone(ready)),
            false => by_value.others.push(Rc::clone(ready)),
        }
    }

    pub fn remove(&mut self, ready: &Rc<Ready>) {
        let Some(matcher) = ready.silence.matchers.get(ready.key) else { return };
        let Some(by_value) = self.by_name.get_mut(&matcher.name) else { return };
        let is_other = |held: &Rc<Ready>| !Rc::ptr_eq(held, ready);
        by_value.others.retain(is_other);
        if let Some(held) = by_value.one.get_mut(&matcher.value) {
            held.retain(is_other);
            if held.is_empty() {
                by_value.one.remove(&matcher.value);
            }
        }
        if by_value.one.is_empty() && by_value.others.is_empty() {
            self.by_name.remove(&matcher.name);
        }
    }

    /// Those that match, whenever they are in force; in no order.
    pub fn matching<'i>(&'i self, subject: &'i Subject<'_>) -> impl Iterator<Item = &'i Rc<Ready>> {
        let asked = self.by_name.iter().flat_map(|(name, by_value)| {
            let value = subject.value(name);
            let others = by_value.others.iter().filter(move |ready| ready.takes(value));
            by_value.one.get(value).into_iter().flatten().chain(others)
        });
        asked.filter(|ready| ready.matches(subject))
    }

    /// The ids of those in force at `now` that match, ascending.
    pub fn in_force(&self, subject: &Subject<'_>, now: Time) -> Vec<String> {
        let matching = self.matching(subject).filter(|ready| ready.is_in_force(now));
        let mut ids: Vec<String> = matching.map(|ready| ready.silence.id.clone()).collect();
        ids.sort_unstable();
        ids
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::incident::tests::incident;
    use proptest::prelude::*;

    fn matcher() -> impl Strategy<Value = Matcher> {
        let names = ["service_id", "region", "severity", "absent"];
        let values = ["a", "b", "eu", "high", "", "a|b", "e.*", "("];
        (0..names.len(), 0..values.len(), any::<bool>(), any::<bool>()).prop_map(move |(name, value, is_regex, is_equal)| {
            Matcher { name: names[name].to_owned(), value: values[value].to_owned(), is_regex, is_equal }
        })
    }

    fn silence() -> impl Strategy<Value = (u8, Silence)> {
        (0..12u8, prop::collection::vec(matcher(), 0..4), 0..4i64, 1..6i64).prop_map(|(id, matchers, starts_at, lasts)| {
            let (starts_at, ends_at) = (Time(starts_at), Time(starts_at + lasts));
            let id_text = format!("s{id}");
            (id, Silence { id: id_text, matchers, starts_at, ends_at, created_by: None, comment: None, updated_at: Time(0) })
        })
    }

    proptest! {
        /// What the index finds is what asking each silence finds, whatever came, changed and went.
        #[test]
        fn it_finds_what_a_scan_finds(
            puts in prop::collection::vec(silence(), 0..20),
            gone in prop::collection::vec(0..12u8, 0..4),
            service in prop::sample::select(vec!["a", "b", "c"]),
            region in prop::option::of(prop::sample::select(vec!["eu", "a", ""])),
            now in 0..8i64,
        ) {
            let mut asked = incident();
            asked.service_id = service.to_owned();
            asked.labels = region.map(|region| ("region".to_owned(), region.to_owned())).into_iter().collect();
            let (mut index, mut held) = (SilenceIndex::default(), BTreeMap::new());
            for (id, silence) in puts {
                let ready = Rc::new(Ready::new(silence));
                index.insert(&ready);
                if let Some(before) = held.insert(id, ready) {
                    index.remove(&before);
                }
            }
            for ready in gone.iter().filter_map(|id| held.remove(id)) {
                index.remove(&ready);
            }
            let matches = |ready: &&Rc<Ready>| {
                !ready.silence.matchers.is_empty() && ready.matches(&Subject::of(&asked)) && ready.is_in_force(Time(now))
            };
            let mut scanned: Vec<_> = held.values().filter(matches).map(|ready| ready.silence.id.clone()).collect();
            scanned.sort();
            prop_assert_eq!(index.in_force(&Subject::of(&asked), Time(now)), scanned);
            held.values().for_each(|ready| index.remove(ready));
            prop_assert!(index.by_name.is_empty(), "what is gone leaves nothing");
        }
    }
}
