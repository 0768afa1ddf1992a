//! What becomes of a remediation: approved or not, granted or not, carried out or not; and that people are told where it did
//! not help (SPEC 4.5, 4.8).

use crate::engine::Refusal;
use crate::engine::book::Stage;
use crate::engine::command::Spoken;
use crate::engine::entry::Full;
use crate::engine::notify::{Occasion, Said};
use crate::engine::remediate::{Phase, Remediation, of_remediation};
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::{
    ActionId, BudgetAnswer, Fact, Incident, Output, RemediationOutcome, RuleEvent, Status, Time, TimelineEvent, Verdict, Why,
};
use serde_json::json;
use std::sync::Arc;

impl Shard {
    /// A deadline of the remediation under way has come.
    pub(super) fn remediation_due(&self, full: &mut Full, due: Time, now: Time, step: &mut Step<'_, '_>) {
        let Some(remediation) = &full.book.remediation else { return };
        match remediation.phase {
            Phase::Approval { .. } => self.lapse(full, due, now, step),
            Phase::Asked { .. } => {
                let detail = "no answer within 5 s: it is not started, and a later grant is handed back".to_owned();
                self.not_started(full, (Why::Budget, Some(detail)), due, now, step);
            }
            Phase::Granted { at } => self.granted(full, at, now, step),
            Phase::Running { answer_by, .. } if answer_by == Some(due) => {
                self.remediation_failed(full, "nobody has taken it up within 30 s", due, now, step);
            }
            Phase::Running { verify_until, .. } => {
                let error = format!("the incident still fires at {verify_until}");
                self.remediation_failed(full, &error, due, now, step);
            }
        }
    }

    /// The command `remediation_result`; false: of an action that is not under way.
    pub(super) fn remediation_result(
        &self,
        full: &mut Full,
        action: &ActionId,
        outcome: RemediationOutcome,
        error: Option<&str>,
        now: Time,
        step: &mut Step<'_, '_>,
    ) -> bool {
        let Some(remediation) = full.book.remediation.as_mut().filter(|remediation| remediation.is(action)) else { return false };
        let Phase::Running { verify_until, .. } = remediation.phase else { return false };
        // Whether it has helped the incident itself tells, by no longer firing.
        remediation.phase = Phase::Running { answer_by: None, verify_until };
        if outcome == RemediationOutcome::Failed {
            self.remediation_failed(full, error.unwrap_or("failed, without saying why"), now, now, step);
        }
        true
    }

    /// The commands `approve_remediation` and `reject_remediation`.
    pub(super) fn approval(
        &self,
        full: &mut Full,
        approved: bool,
        spoken: Spoken<'_>,
        step: &mut Step<'_, '_>,
    ) -> Result<(), Refusal> {
        let refused = |reason: String| Err(Refusal { status: 409, reason });
        let waits = |remediation: &&mut Box<Remediation>| matches!(remediation.phase, Phase::Approval { .. });
        let Some(remediation) = full.book.remediation.as_mut().filter(waits) else {
            return refused("no remediation of it waits for approval".to_owned());
        };
        let now = spoken.now;
        if remediation.due().is_some_and(|until| until <= now) {
            return refused(format!("the approval of `{}` has lapsed: it came too late", remediation.rule));
        }
        let mut remediation = (**remediation).clone();
        let mut verdict = of_remediation(&remediation.rule);
        let occasion = Occasion { event: RuleEvent::ApprovalRequired, at: now, now };
        if !approved {
            full.book.remediation = None;
            let why = spoken.note.map_or_else(String::new, |note| format!(": {note}"));
            let text = format!("remediation `{}` was rejected{why}", remediation.rule);
            full.incident.note(spoken.at, TimelineEvent::Note, spoken.user, json!({ "note": text }));
            verdict.why = Why::NotApproved;
            verdict.detail = Some(format!("rejected by {}", spoken.user.unwrap_or("somebody")));
            full.publish(now, step);
            self.decide_remediation(full, verdict, occasion, step);
            return Ok(());
        }
        if let Some(mute) = self.mute(full) {
            return refused(format!("it is {mute}: no remediation starts while that lasts"));
        }
        if let Err((why, detail)) = self.may_launch(full, &remediation, now) {
            return refused(format!("`{}` may not start: {why}, {}", remediation.rule, detail.unwrap_or_default()));
        }
        if let Some(note) = spoken.note {
            full.incident.note(spoken.at, TimelineEvent::Note, spoken.user, json!({ "note": note }));
        }
        remediation.approval = Some(spoken.user.unwrap_or("somebody").to_owned());
        if remediation.has_budget() {
            self.ask_budget(&full.incident, &mut remediation, now, step);
            verdict.why = Why::Held;
            verdict.detail = Some("it is approved, and its budget is asked".to_owned());
            full.book.remediation = Some(Box::new(remediation));
        } else {
            self.launch(full, remediation, occasion, &mut verdict, step);
        }
        self.decide_remediation(full, verdict, occasion, step);
        Ok(())
    }

    /// What the budget's home says.
    pub(super) fn budget_answer(&self, now: Time, answer: &BudgetAnswer, step: &mut Step<'_, '_>) {
        let slot = self.store.find_id(answer.incident_id);
        let full = slot.and_then(|slot| self.store.get(slot)).and_then(|entry| entry.full().ok());
        let waiting = full.as_ref().and_then(|full| full.book.remediation.as_ref()).filter(|found| found.is(&answer.action));
        let asked_until = match waiting.map(|remediation| remediation.phase) {
            Some(Phase::Asked { until }) => Some(until),
            // Said twice.
            Some(_) => return,
            None => None,
        };
        let late = asked_until.is_none_or(|until| until <= now);
        if late && answer.granted {
            self.hand_back(&answer.rule, &answer.action, &answer.service_id, step);
        }
        let (Some(mut full), None | Some(false)) = (full, Some(late)) else { return };
        if !answer.granted {
            self.not_started(&mut full, (Why::Budget, Some("its budget is used up".to_owned())), now, now, step);
        } else if self.holding {
            if let Some(remediation) = &mut full.book.remediation {
                remediation.phase = Phase::Granted { at: now };
            }
        } else {
            self.granted(&mut full, now, now, step);
        }
        self.save(slot, full, now, step);
    }

    /// It may start as far as its budget goes. Without approval that is only true of an incident that nobody has in hand.
    fn granted(&self, full: &mut Full, at: Time, now: Time, step: &mut Step<'_, '_>) {
        let Some(remediation) = full.book.remediation.clone() else { return };
        let stage = std::mem::replace(&mut full.book.stage, Stage::Open);
        let mute = self.mute(full);
        full.book.stage = stage;
        let status = full.incident.status;
        let in_hand = remediation.approval.is_none() && status != Status::Triggered;
        let refused = match mute {
            Some(mute) => Err((mute, None)),
            None if in_hand => Err((Why::Held, Some(format!("it is {status} by now: somebody has it in hand")))),
            None => self.may_launch(full, &remediation, now),
        };
        if let Err(refused) = refused {
            self.hand_back(&remediation.rule, &remediation.action, &full.incident.service_id, step);
            return self.not_started(full, refused, at, now, step);
        }
        let event = if remediation.approval.is_some() { RuleEvent::ApprovalRequired } else { RuleEvent::Triggered };
        let occasion = Occasion { event, at, now };
        let mut verdict = of_remediation(&remediation.rule);
        let snapshot = self.launch(full, *remediation, occasion, &mut verdict, step);
        if full.book.remediation.is_none() && full.book.stage == Stage::Remedying {
            // There was nothing to do but to write notes.
            full.book.stage = Stage::Open;
            let mut said = Said::default();
            self.evaluated(verdict, &mut said, step);
            return self.speak(full, snapshot, occasion, said, step);
        }
        self.decide_remediation(full, verdict, occasion, step);
    }

    /// People are told at once in its place.
    fn not_started(&self, full: &mut Full, (why, detail): (Why, Option<String>), at: Time, now: Time, step: &mut Step<'_, '_>) {
        let Some(remediation) = full.book.remediation.take() else { return };
        let mut said = Said::default();
        let verdict = Verdict { why, detail, ..of_remediation(&remediation.rule) };
        if full.book.stage == Stage::Remedying {
            full.book.stage = Stage::Open;
            self.evaluated(verdict, &mut said, step);
            let snapshot = full.publish(now, step);
            return self.speak(full, snapshot, Occasion { event: RuleEvent::Triggered, at, now }, said, step);
        }
        // Who approved it waits for it.
        let error = format!("`{}` was not started: {why}", remediation.rule);
        self.evaluated(verdict, &mut said, step);
        self.tell_failed(full, &error, at, now, said, step);
    }

    /// It has not helped: people are told, and what waited for it goes on.
    fn remediation_failed(&self, full: &mut Full, error: &str, at: Time, now: Time, step: &mut Step<'_, '_>) {
        full.book.remediation = None;
        let waited = std::mem::take(&mut full.book.stage) == Stage::Remedying;
        let snapshot = self.tell_failed(full, error, at, now, Said::default(), step);
        if waited {
            self.speak(full, snapshot, Occasion { event: RuleEvent::Triggered, at, now }, Said::default(), step);
        }
    }

    fn tell_failed(
        &self,
        full: &mut Full,
        error: &str,
        at: Time,
        now: Time,
        said: Said,
        step: &mut Step<'_, '_>,
    ) -> Arc<Incident> {
        full.incident.note(at, TimelineEvent::AutoRemediationFailed, None, json!({ "error": error }));
        let snapshot = full.publish(now, step);
        self.tell(full, &snapshot, Occasion { event: RuleEvent::RemediationFailed, at, now }, said, step);
        snapshot
    }

    fn lapse(&self, full: &mut Full, at: Time, now: Time, step: &mut Step<'_, '_>) {
        let Some(remediation) = full.book.remediation.take() else { return };
        let text = format!("remediation `{}` was not approved in time: it is not started", remediation.rule);
        full.incident.note(at, TimelineEvent::Note, None, json!({ "note": text }));
        full.publish(now, step);
        let detail = Some("its approval has lapsed: nobody gave it in time".to_owned());
        let verdict = Verdict { why: Why::NotApproved, detail, ..of_remediation(&remediation.rule) };
        self.decide_remediation(full, verdict, Occasion { event: RuleEvent::ApprovalRequired, at, now }, step);
    }

    /// The incident fires no more.
    pub(super) fn remediation_over(&self, full: &mut Full, step: &mut Step<'_, '_>) {
        if let Some(remediation) = full.book.remediation.take()
            && matches!(remediation.phase, Phase::Granted { .. })
        {
            self.hand_back(&remediation.rule, &remediation.action, &full.incident.service_id, step);
        }
    }

    fn hand_back(&self, rule: &str, action: &ActionId, service_id: &str, step: &mut Step<'_, '_>) {
        let fact = Fact::BudgetReturn { rule: rule.to_owned(), action: action.clone(), service_id: service_id.to_owned() };
        step.outputs.push(Output::Fact { to: vec![self.budget_home(rule)], fact });
    }

    fn decide_remediation(&self, full: &Full, verdict: Verdict, occasion: Occasion, step: &mut Step<'_, '_>) {
        let mut said = Said::default();
        self.evaluated(verdict, &mut said, step);
        self.decide(&full.incident, occasion, said, step);
    }
}
