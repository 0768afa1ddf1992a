//! A level fires: whom it finds behind its targets, what is written, who hears of it (SPEC 4.6).

use crate::engine::course::{Course, Rung};
use crate::engine::entry::Full;
use crate::engine::escalate::Escalation;
use crate::engine::notify::{Occasion, Said};
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::{Action, ActionId, ActionKind, Incident, Output, Person, RuleEvent, Time, TimelineEvent, Verdict, Why};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The level that is to fire, and those before it that had nobody.
pub struct Found {
    pub level: Option<(Rung, Vec<Person>)>,
    pub nobody: Vec<Rung>,
}

impl Shard {
    /// The next level that has somebody to tell: «nobody there: the next level at once». It and those before it are done
    /// with, at `at`; who is behind their targets is worked out as of now.
    pub(super) fn find_level(&self, escalation: &mut Escalation, at: Time, now: Time) -> Found {
        let mut nobody = Vec::new();
        let mut next = escalation.course.next();
        while let Some(rung) = next {
            escalation.course.pass(rung, at);
            let people = self.people_at(&escalation.course, rung, now);
            if !people.is_empty() {
                escalation.fired = Some(rung);
                escalation.reached = true;
                return Found { level: Some((rung, people)), nobody };
            }
            nobody.push(rung);
            next = escalation.course.after(rung);
        }
        Found { level: None, nobody }
    }

    /// Each once.
    fn people_at(&self, course: &Course, rung: Rung, now: Time) -> Vec<Person> {
        let targets = course.levels.get(rung.level as usize).map_or(&[][..], |level| &level.targets);
        let mut seen = BTreeSet::new();
        let people = targets.iter().flat_map(|target| self.rules.people().reach(target, now));
        people.filter(|person| seen.insert((person.kind, person.id.clone()))).collect()
    }

    /// Writes what was found, and tells notification rules of it. `None`: nobody is there.
    pub(super) fn fire(
        &self,
        full: &mut Full,
        found: Found,
        verdict: &mut Verdict,
        occasion: Occasion,
        step: &mut Step<'_, '_>,
    ) -> Option<Arc<Incident>> {
        for rung in &found.nobody {
            note_down(verdict, format!("{}: nobody is there", named(*rung)));
        }
        let escalation = full.book.escalation.as_ref()?;
        let Some((rung, people)) = found.level else {
            if found.nobody.is_empty() {
                note_down(verdict, "it has no levels".to_owned());
            }
            if verdict.why == Why::Acted {
                verdict.why = Why::Nobody;
            }
            return None;
        };
        note_down(verdict, named(rung));
        let policy = escalation.policy.clone();
        let cause = format!("{}:{}", full.book.epoch, escalation.cause());
        let targets = escalation.course.levels.get(rung.level as usize).map_or_else(|| json!([]), |level| json!(level.targets));
        let mut details = json!({ "level": rung.level, "targets": targets });
        if let (1.., Some(fields)) = (rung.repeat, details.as_object_mut()) {
            fields.insert("repeat".to_owned(), json!(rung.repeat));
        }
        full.incident.escalation_level = rung.level;
        full.incident.escalation_policy_id = Some(policy.clone());
        full.incident.note(occasion.at, TimelineEvent::Escalated, None, details);
        let snapshot = full.publish(occasion.now, step);
        full.book.told = true;
        let kind = ActionKind::Escalation { policy: policy.clone(), level: rung.level, repeat: rung.repeat, targets: people };
        let id = ActionId::derive(snapshot.id, kind.name(), &policy, &cause, 0);
        verdict.actions.push(id.clone());
        let (incident, event) = (Arc::clone(&snapshot), RuleEvent::Escalated);
        step.outputs.push(Output::Action(Action { id, rule: policy, event, created_at: occasion.at, incident, kind }));
        Some(snapshot)
    }

    /// Fires what was found, outside of an opening: the decision is its own.
    pub(super) fn tell_level(
        &self,
        full: &mut Full,
        found: Found,
        mut verdict: Verdict,
        mut said: Said,
        occasion: Occasion,
        step: &mut Step<'_, '_>,
    ) {
        let fired = self.fire(full, found, &mut verdict, occasion, step);
        self.evaluated_at(0, verdict, &mut said, step);
        match fired {
            Some(snapshot) => {
                self.tell(full, &snapshot, occasion, said, step);
            }
            None => self.decide(&full.incident, occasion, said, step),
        }
    }
}

fn named(rung: Rung) -> String {
    match rung.repeat {
        0 => format!("level {}", rung.level),
        repeat => format!("repeat {repeat}, level {}", rung.level),
    }
}

pub(super) fn note_down(verdict: &mut Verdict, what: String) {
    verdict.detail = Some(match verdict.detail.take() {
        Some(before) => format!("{before}; {what}"),
        None => what,
    });
}
