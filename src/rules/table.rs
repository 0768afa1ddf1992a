//! The rules of one kind in their order, with their index and their closures.

use crate::model::Incident;
use crate::rules::Context;
use crate::rules::Matches;
use crate::rules::closure::{Body, Made, Ready, Runner};
use crate::rules::diagnostic::ScriptError;
use crate::rules::index::{self, Bits, Index};
use crate::rules::kind::Kind;
use crate::rules::matcher::{Said, Where};
use crate::rules::view::{ContextView, View};
use std::sync::Arc;

const MOST_NEAR: usize = 20;

pub(super) struct Table<R: Kind> {
    pub rules: Vec<R>,
    /// Each with what it says of a near miss.
    matchers: Vec<(Where, Vec<Said>)>,
    bodies: Vec<Body<R>>,
    places: Vec<String>,
    index: Index,
    enabled: Bits,
    all: Bits,
}

impl<R: Kind + Clone> Table<R> {
    /// `ready` by descending priority, then name.
    pub fn new(ready: Vec<Ready<R>>) -> Table<R> {
        let (mut enabled, mut all) = (index::bits(ready.len()), index::bits(ready.len()));
        let (mut rules, mut matchers, mut bodies, mut places) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for (number, ready) in ready.into_iter().enumerate() {
            index::set(&mut all, number);
            if ready.rule.enabled() {
                index::set(&mut enabled, number);
            }
            places.push(format!("{}:{}:{}", ready.file, ready.place.line, ready.place.column));
            rules.push(ready.rule);
            matchers.push(ready.matcher);
            bodies.push(ready.body);
        }
        let index = Index::new(matchers.iter());
        let said = |matcher: Where| {
            let said = matcher.said();
            (matcher, said)
        };
        let matchers = matchers.into_iter().map(said).collect();
        Table { index, rules, matchers, bodies, places, enabled, all }
    }

    pub fn place(&self, rule: usize) -> &str {
        self.places.get(rule).map_or("", String::as_str)
    }

    /// Those of all rules whose `where` the incident meets.
    pub fn matches(&self, incident: &Incident) -> Matches {
        self.matches_among(incident, &self.all)
    }

    pub fn matches_among(&self, incident: &Incident, among: &Bits) -> Matches {
        if self.rules.is_empty() {
            return Matches::default();
        }
        let (once, twice) = self.index.failing(incident);
        let of = |word: fn(u64, u64) -> u64| -> Bits {
            once.iter().zip(&twice).zip(among).map(|((once, twice), among)| word(*once, *twice) & among).collect()
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

    /// Every field of the rule's `where` that keeps the incident out, in words.
    pub fn misses(&self, rule: usize, incident: &Incident) -> Vec<String> {
        self.matchers.get(rule).map_or_else(Vec::new, |(matcher, said)| matcher.misses(incident, said))
    }

    /// True without one.
    pub fn when(
        &self,
        runner: &Runner<'_>,
        rule: usize,
        incident: &Arc<Incident>,
        context: &Context,
    ) -> Result<bool, ScriptError> {
        match self.bodies.get(rule).and_then(|body| body.when.as_ref()) {
            Some(when) => runner.timed(|| when.truth(runner, View::of(incident), &ContextView::of(context))),
            None => Ok(true),
        }
    }

    pub fn make(
        &self,
        runner: &Runner<'_>,
        rule: usize,
        incident: &Arc<Incident>,
        context: &Context,
    ) -> Result<Vec<R::Made>, ScriptError>
    where
        R::Made: Clone,
    {
        let (Some(body), Some(kind)) = (self.bodies.get(rule), self.rules.get(rule)) else { return Ok(Vec::new()) };
        let mut made = match &body.made {
            Made::Closure(closure) => {
                runner.timed(|| closure.make(kind, runner, View::of(incident), &ContextView::of(context)))?
            }
            Made::Fixed(fixed) => fixed.clone(),
        };
        made.iter_mut().for_each(|made| R::complete(made, incident));
        Ok(made)
    }
}
