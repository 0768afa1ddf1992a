//! Who is paged when nobody answers: a policy under way, its levels as they fire (SPEC 4.6).

use crate::engine::Refusal;
use crate::engine::book::Stage;
use crate::engine::course::{Course, Rung};
use crate::engine::entry::Full;
use crate::engine::level::note_down;
use crate::engine::notify::{Occasion, Said};
use crate::engine::policy::Chosen;
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::time::{MINUTE, Millis};
use crate::model::{Incident, RuleEvent, Status, Time, Verdict, Why};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A policy under way, fixed as it was at its start. It stays after its last level, for what an acknowledgement means.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Escalation {
    pub policy: String,
    pub(super) course: Course,
    ack_timeout_minutes: Option<u64>,
    escalate_after_ack: bool,
    /// Wall time of the next level; `None`: there is none, or it stands still.
    next_at: Option<Time>,
    /// Some level had somebody to tell.
    pub reached: bool,
    /// How many policies were started in this epoch before it.
    starts: u32,
    /// The level that fired last.
    pub(super) fired: Option<Rung>,
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
        let mute = self.mute(full);
        let running = full.book.escalation.as_ref().map(|escalation| escalation.policy.clone());
        if let Some(chosen) = self.choose_policy(&snapshot, running.as_deref(), mute, occasion, said, step) {
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

    /// The command `escalate`: the next level now, whatever the hour. Where no policy was started yet, one is; where people
    /// wait for a remediation, they wait no longer.
    pub(super) fn escalate_now(&self, full: &mut Full, now: Time, step: &mut Step<'_, '_>) -> Result<(), Refusal> {
        let refused = |reason: String| Err(Refusal { status: 409, reason });
        let waited = full.book.stage == Stage::Remedying;
        if waited {
            full.book.stage = Stage::Open;
        } else if self.holding {
            // Far behind: with all else that waits for the end of that.
            if let Some(escalation) = full.book.escalation.as_mut().filter(|escalation| escalation.course.next().is_some()) {
                escalation.next_at = Some(now);
            }
            return Ok(());
        }
        if let Some(mute) = self.mute(full).filter(|_| !self.holding) {
            return refused(format!("it is {mute}: no level fires while that lasts"));
        }
        if waited {
            let snapshot = full.publish(now, step);
            self.speak(full, snapshot, Occasion { event: RuleEvent::Triggered, at: now, now }, Said::default(), step);
            return Ok(());
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
