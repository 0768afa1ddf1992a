//! Who is paged when nobody answers: a policy under way, its levels as they fire (SPEC 4.6).

use crate::engine::Refusal;
use crate::engine::course::{Course, Rung};
use crate::engine::entry::Full;
use crate::engine::notify::{Occasion, Said};
use crate::engine::policy::Chosen;
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::time::{MINUTE, Millis};
use crate::model::{
    Action, ActionId, ActionKind, Incident, Output, Person, RuleEvent, Status, Time, TimelineEvent, Verdict, Why,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::collections::BTreeSet;
use std::sync::Arc;

/// A policy under way, fixed as it was at its start. It stays after its last level, for what an acknowledgement means.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Escalation {
    pub policy: String,
    course: Course,
    ack_timeout_minutes: Option<u64>,
    escalate_after_ack: bool,
    /// Wall time of the next level; `None`: there is none, or it stands still.
    next_at: Option<Time>,
    /// Some level had somebody to tell.
    pub reached: bool,
    /// How many policies were started in this epoch before it.
    starts: u32,
    /// The level that fired last.
    fired: Option<Rung>,
}

impl Escalation {
    /// Wall time of the next level; `None`: it has ended or stands still.
    pub fn due(&self) -> Option<Time> {
        self.next_at
    }

    fn runs(&self, status: Status) -> bool {
        status == Status::Triggered || (status == Status::Acknowledged && self.escalate_after_ack)
    }

    fn schedule(&mut self, status: Status) {
        self.next_at = self.course.next_at().filter(|_| self.runs(status));
    }

    /// What tells the last level that fired from all others of the epoch.
    pub fn cause(&self) -> String {
        let Rung { repeat, level } = self.fired.unwrap_or(Rung { repeat: 0, level: 0 });
        match self.starts {
            0 => format!("{repeat}:{level}"),
            // One policy may start twice in an epoch, with another between.
            starts => format!("{repeat}:{level}:{starts}"),
        }
    }
}

/// The level that is to fire, and those before it that had nobody.
struct Found {
    level: Option<(Rung, Vec<Person>)>,
    nobody: Vec<Rung>,
}

impl Shard {
    /// Chooses a policy and runs its level 0; `said.reached` tells whether that reached somebody. Called in each epoch while
    /// the status is triggered; of one that is muted only the decision hears.
    pub(super) fn start_escalation(
        &self,
        full: &mut Full,
        snapshot: Arc<Incident>,
        occasion: Occasion,
        said: &mut Said,
        step: &mut Step<'_, '_>,
    ) -> Arc<Incident> {
        let mute = self.mute(full);
        match self.choose_policy(&snapshot, None, mute, occasion, said, step) {
            Some(chosen) => self.start_policy(full, chosen, snapshot, occasion, said, step),
            None => snapshot,
        }
    }

    /// After a raise of severity. The same policy goes on, and where none matches now, the running one does.
    pub(super) fn choose_escalation_again(
        &self,
        full: &mut Full,
        snapshot: Arc<Incident>,
        occasion: Occasion,
        said: &mut Said,
        step: &mut Step<'_, '_>,
    ) -> Arc<Incident> {
        let running = full.book.escalation.as_ref().map(|escalation| escalation.policy.clone());
        if let Some(chosen) = self.choose_policy(&snapshot, running.as_deref(), None, occasion, said, step) {
            return self.start_policy(full, chosen, snapshot, occasion, said, step);
        }
        said.reached |= full.book.escalation.as_ref().is_some_and(|escalation| escalation.reached);
        snapshot
    }

    fn start_policy(
        &self,
        full: &mut Full,
        chosen: Chosen,
        snapshot: Arc<Incident>,
        occasion: Occasion,
        said: &mut Said,
        step: &mut Step<'_, '_>,
    ) -> Arc<Incident> {
        let mut escalation = self.policy_of(full, &chosen, occasion);
        let Chosen { mut verdict, place, .. } = chosen;
        full.incident.escalation_policy_id = Some(escalation.policy.clone());
        let snapshot = match escalation.course.next_at().filter(|opens| *opens > occasion.at) {
            Some(opens) => {
                note_down(&mut verdict, format!("outside its hours: its first level fires at {opens}"));
                if verdict.why == Why::Acted {
                    verdict.why = Why::Held;
                }
                escalation.schedule(full.incident.status);
                full.book.escalation = Some(Box::new(escalation));
                full.publish(occasion.now, step)
            }
            None => {
                let found = self.find_level(&mut escalation, occasion.at, occasion.now);
                escalation.schedule(full.incident.status);
                said.reached |= escalation.reached;
                full.book.escalation = Some(Box::new(escalation));
                match self.fire(full, found, &mut verdict, occasion, step) {
                    Some(snapshot) => {
                        let occasion = Occasion { event: RuleEvent::Escalated, ..occasion };
                        self.tell(full, &snapshot, occasion, Said::default(), step);
                        snapshot
                    }
                    None => snapshot,
                }
            }
        };
        self.evaluated_at(place, verdict, said, step);
        snapshot
    }

    /// What was chosen, as it stands before its first level.
    fn policy_of(&self, full: &Full, chosen: &Chosen, occasion: Occasion) -> Escalation {
        let rule = &self.rules.escalations()[chosen.at];
        Escalation {
            policy: rule.name.clone(),
            course: Course::new(chosen.levels.clone(), rule.repeat, rule.business_hours.clone(), occasion.at),
            ack_timeout_minutes: rule.ack_timeout_minutes,
            escalate_after_ack: rule.escalate_after_ack,
            next_at: None,
            reached: false,
            starts: full.book.escalation.as_ref().map_or(0, |before| before.starts + 1),
            fired: None,
        }
    }

    /// The next level that has somebody to tell: «nobody there: the next level at once». It and those before it are done
    /// with, at `at`; who is behind their targets is worked out as of now.
    fn find_level(&self, escalation: &mut Escalation, at: Time, now: Time) -> Found {
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
    fn fire(
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

    /// The time of the next level has come.
    pub(super) fn escalation_due(&self, full: &mut Full, due: Time, now: Time, step: &mut Step<'_, '_>) {
        let mute = self.mute(full);
        let (status, snoozed_until) = (full.incident.status, full.incident.snoozed_until);
        let Some(escalation) = &mut full.book.escalation else { return };
        let mut verdict = of_policy(&escalation.policy);
        let occasion = Occasion { event: RuleEvent::Escalated, at: due, now };
        if let Some(mute) = mute {
            // What mutes it otherwise opens an epoch when it ends, and with it another escalation.
            escalation.next_at = snoozed_until.filter(|_| mute == Why::Snoozed);
            verdict.why = mute;
            let mut said = Said::default();
            self.evaluated(verdict, &mut said, step);
            return self.decide(&full.incident, occasion, said, step);
        }
        let found = self.find_level(escalation, due, now);
        escalation.schedule(status);
        self.tell_level(full, found, verdict, Said::default(), occasion, step);
    }

    /// Fires what was found, outside of an opening: the decision is its own.
    fn tell_level(
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
            Some(snapshot) => self.tell(full, &snapshot, occasion, said, step),
            None => self.decide(&full.incident, occasion, said, step),
        }
    }

    /// The command `escalate`: the next level now, whatever the hour. Where no policy was started yet, one is.
    pub(super) fn escalate_now(&self, full: &mut Full, now: Time, step: &mut Step<'_, '_>) -> Result<(), Refusal> {
        let refused = |reason: String| Err(Refusal { status: 409, reason });
        if let Some(mute) = self.mute(full) {
            return refused(format!("it is {mute}: no level fires while that lasts"));
        }
        let occasion = Occasion { event: RuleEvent::Escalated, at: now, now };
        let mut said = Said::default();
        let (mut escalation, verdict) = match &full.book.escalation {
            Some(escalation) => (Escalation::clone(escalation), of_policy(&escalation.policy)),
            None => {
                let shown = Arc::new(full.incident.clone());
                let Some(chosen) = self.choose_policy(&shown, None, None, occasion, &mut said, step) else {
                    return refused("no escalation policy matches it".to_owned());
                };
                (self.policy_of(full, &chosen, occasion), chosen.verdict)
            }
        };
        if escalation.course.next().is_none() {
            return refused(format!("the last level of policy `{}` has fired", escalation.policy));
        }
        let found = self.find_level(&mut escalation, now, now);
        if found.level.is_none() {
            return refused(format!("nobody is behind the levels that are left of policy `{}`", escalation.policy));
        }
        escalation.schedule(full.incident.status);
        full.book.escalation = Some(Box::new(escalation));
        self.tell_level(full, found, verdict, said, occasion, step);
        Ok(())
    }

    /// The status has changed to what it is now, but for a new epoch.
    pub(super) fn escalation_after(&self, full: &mut Full, now: Time) {
        let status = full.incident.status;
        full.book.unacknowledge_at = None;
        if !status.fires() {
            full.book.escalation = None;
        }
        let Some(escalation) = &mut full.book.escalation else { return };
        if !escalation.runs(status) {
            escalation.next_at = None;
        }
        if status == Status::Acknowledged {
            let minutes = escalation.ack_timeout_minutes.map(|minutes| Millis::try_from(minutes).unwrap_or(Millis::MAX));
            full.book.unacknowledge_at = minutes.map(|minutes| now.after(minutes.saturating_mul(MINUTE)));
        }
    }

    /// Snoozed, for so much longer than before.
    pub(super) fn escalation_snoozed(&self, full: &mut Full, by: Millis) {
        let Some(escalation) = &mut full.book.escalation else { return };
        escalation.course.shift(by);
        if escalation.next_at.is_some() {
            escalation.schedule(full.incident.status);
        }
    }
}

fn of_policy(policy: &str) -> Verdict {
    Verdict { kind: "escalation", rule: policy.to_owned(), why: Why::Acted, detail: None, actions: Vec::new() }
}

fn named(rung: Rung) -> String {
    match rung.repeat {
        0 => format!("level {}", rung.level),
        repeat => format!("repeat {repeat}, level {}", rung.level),
    }
}

fn note_down(verdict: &mut Verdict, what: String) {
    verdict.detail = Some(match verdict.detail.take() {
        Some(before) => format!("{before}; {what}"),
        None => what,
    });
}
