//! What is repaired without a person: which remediation may start, and its start (SPEC 4.8). Where anything is uncertain it
//! does not, and people are told instead.

use crate::engine::attempts::{Attempt, AttemptKey, MOST_ATTEMPTS};
use crate::engine::book::Stage;
use crate::engine::entry::Full;
use crate::engine::notify::{Occasion, Said};
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::model::home::home;
use crate::model::time::{DAY, MINUTE, Millis, SECOND};
use crate::model::{
    Action, ActionId, ActionKind, BudgetAsk, Fact, Incident, IncidentId, Output, Remedy, RuleEvent, Time, TimelineEvent, Verdict,
    Why,
};
use crate::rules::{Budget, Matches, RemediationRule};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::sync::Arc;

/// Who carries it out says so within this.
const ANSWER_WITHIN: Millis = 30 * SECOND;
/// The budget's home answers within this.
const BUDGET_WITHIN: Millis = 5 * SECOND;

/// A remediation under way, its rule's terms fixed as they were when it was chosen.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Remediation {
    pub rule: String,
    pub action: ActionId,
    pub(super) phase: Phase,
    /// In order; one at least.
    actions: Vec<Remedy>,
    terms: Terms,
    /// Who approved it, where the rule asks for approval.
    pub(super) approval: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
pub(super) enum Phase {
    /// It lapses then, all in wall time.
    Approval { until: Option<Time> },
    /// The budget's home is asked.
    Asked { until: Time },
    /// It may start, once timers run again.
    Granted { at: Time },
    /// Written. `answer_by`: `None` once there was one.
    Running { answer_by: Option<Time>, verify_until: Time },
}

#[derive(Clone, Copy, PartialEq, Debug, Serialize, Deserialize)]
struct Terms {
    max_auto_attempts: Option<u64>,
    cooldown: Millis,
    verify: Millis,
    max_per_hour: Option<u64>,
    max_per_service_per_hour: Option<u64>,
}

/// Why one may not start: the reason, and what it means in words.
pub(super) type Refused = (Why, Option<String>);

impl Remediation {
    pub fn due(&self) -> Option<Time> {
        match self.phase {
            Phase::Approval { until } => until,
            Phase::Asked { until } => Some(until),
            Phase::Granted { at } => Some(at),
            Phase::Running { answer_by, verify_until } => Some(answer_by.map_or(verify_until, |by| by.min(verify_until))),
        }
    }

    pub fn is(&self, action: &ActionId) -> bool {
        self.action == *action
    }

    fn key(&self, incident: &Incident) -> AttemptKey {
        key(incident, &self.actions)
    }

    fn kinds(&self) -> Vec<&str> {
        self.actions.iter().map(|remedy| remedy.kind.as_str()).collect()
    }

    pub(super) fn has_budget(&self) -> bool {
        self.terms.max_per_hour.is_some() || self.terms.max_per_service_per_hour.is_some()
    }
}

impl Terms {
    fn of(rule: &RemediationRule) -> Terms {
        let budget = rule.budget.unwrap_or(Budget { max_per_hour: None, max_per_service_per_hour: None });
        Terms {
            max_auto_attempts: rule.max_auto_attempts,
            cooldown: millis(rule.cooldown_minutes.unwrap_or(0)),
            verify: millis(rule.verify_minutes),
            max_per_hour: budget.max_per_hour,
            max_per_service_per_hour: budget.max_per_service_per_hour,
        }
    }
}

impl Shard {
    /// Starts the first that may start; of one that is muted only the decision hears. Where people wait for its outcome,
    /// `full.book.stage` is `Remedying` afterwards.
    pub(super) fn try_remediation(
        &self,
        full: &mut Full,
        mut snapshot: Arc<Incident>,
        occasion: Occasion,
        said: &mut Said,
        step: &mut Step<'_, '_>,
    ) -> Arc<Incident> {
        if self.rules.remediations().is_empty() {
            return snapshot;
        }
        let mute = self.mute(full);
        let Matches { matched, near, near_more } = self.rules.remediation_matches(&snapshot);
        said.more += near_more as u32;
        let mut started = false;
        for at in matched {
            let rule = &self.rules.remediations()[at];
            let mut verdict = of_remediation(&rule.name);
            let refused = match mute {
                _ if !rule.enabled => Err((Why::Disabled, None)),
                Some(mute) => Err((mute, None)),
                None if started => Err((Why::Outranked, None)),
                None => self.may_start(at, &snapshot, occasion),
            };
            match refused {
                Err((why, detail)) => (verdict.why, verdict.detail) = (why, detail),
                Ok(actions) => {
                    started = true;
                    snapshot = self.commence(full, rule, actions, snapshot, occasion, &mut verdict, step);
                }
            }
            self.evaluated(verdict, said, step);
        }
        said.verdicts.extend(near.into_iter().map(|(at, detail)| Verdict {
            why: Why::Where,
            detail: Some(detail),
            ..of_remediation(&self.rules.remediations()[at].name)
        }));
        snapshot
    }

    /// What it would do, or why it may not.
    fn may_start(&self, at: usize, snapshot: &Arc<Incident>, occasion: Occasion) -> Result<Vec<Remedy>, Refused> {
        let rule = &self.rules.remediations()[at];
        let context = self.context(snapshot, occasion.now, occasion.event);
        if let Some(condition) = rule.conditions.iter().find(|condition| !condition.holds(&context)) {
            return Err((Why::Conditions, Some(format!("{} does not hold", condition.name()))));
        }
        let uncertain = |what: &str, error| (Why::ScriptError, Some(format!("{what}: {error}; it is not started")));
        if !self.rules.remediation_when(at, snapshot, &context).map_err(|error| uncertain("when", error))? {
            return Err((Why::When, None));
        }
        let actions = self.rules.remedies(at, snapshot, &context).map_err(|error| uncertain("actions", error))?;
        if actions.is_empty() {
            return Err((Why::When, Some("its `actions` gave none".to_owned())));
        }
        self.tried_too_often(&key(snapshot, &actions), &Terms::of(rule), occasion.now)?;
        Ok(actions)
    }

    fn tried_too_often(&self, key: &AttemptKey, terms: &Terms, now: Time) -> Result<(), Refused> {
        let count = self.attempts.count(key, now);
        if let Some(most) = terms.max_auto_attempts.filter(|most| u64::from(count) >= *most) {
            return Err((Why::AttemptsExhausted, Some(format!("{count} of {most} attempts within 24 h of each other"))));
        }
        if !self.attempts.has_room(key) {
            let detail = format!("the attempts of {MOST_ATTEMPTS} others are counted here, the limit");
            return Err((Why::AttemptsExhausted, Some(detail)));
        }
        match self.attempts.get(key).map(|attempt| attempt.at + terms.cooldown).filter(|until| now < *until) {
            Some(until) => Err((Why::Cooldown, Some(format!("until {until}")))),
            None => Ok(()),
        }
    }

    /// As [`Shard::try_remediation`] found it: asks for approval, asks the budget's home, or starts it.
    #[allow(clippy::too_many_arguments, reason = "the flow's own, and what was chosen")]
    fn commence(
        &self,
        full: &mut Full,
        rule: &RemediationRule,
        actions: Vec<Remedy>,
        snapshot: Arc<Incident>,
        occasion: Occasion,
        verdict: &mut Verdict,
        step: &mut Step<'_, '_>,
    ) -> Arc<Incident> {
        let Occasion { at, now, .. } = occasion;
        let until = rule.approval_minutes.map(|minutes| now + millis(minutes));
        let mut remediation = Remediation {
            rule: rule.name.clone(),
            action: action_id(snapshot.id, &rule.name),
            phase: Phase::Approval { until },
            actions,
            terms: Terms::of(rule),
            approval: None,
        };
        if rule.approval_required {
            verdict.why = Why::Held;
            verdict.detail = Some("it waits for approval, and holds nothing meanwhile".to_owned());
            let details = json!({ "rule": &rule.name, "actions": remediation.kinds() });
            full.incident.note(at, TimelineEvent::ApprovalRequired, None, details);
            full.book.remediation = Some(Box::new(remediation));
            let snapshot = full.publish(now, step);
            let occasion = Occasion { event: RuleEvent::ApprovalRequired, ..occasion };
            self.tell(full, &snapshot, occasion, Said::default(), step);
            return snapshot;
        }
        if remediation.has_budget() {
            verdict.why = Why::Held;
            verdict.detail = Some("its budget is asked".to_owned());
            self.ask_budget(&snapshot, &mut remediation, now, step);
            full.book.remediation = Some(Box::new(remediation));
            full.book.stage = Stage::Remedying;
            return snapshot;
        }
        let snapshot = self.launch(full, remediation, occasion, verdict, step);
        if full.book.remediation.is_some() {
            full.book.stage = Stage::Remedying;
        }
        snapshot
    }

    pub(super) fn ask_budget(&self, incident: &Incident, remediation: &mut Remediation, now: Time, step: &mut Step<'_, '_>) {
        remediation.phase = Phase::Asked { until: now + BUDGET_WITHIN };
        let ask = BudgetAsk {
            rule: remediation.rule.clone(),
            action: remediation.action.clone(),
            incident_id: incident.id,
            service_id: incident.service_id.clone(),
            at: now,
            max_per_hour: remediation.terms.max_per_hour,
            max_per_service_per_hour: remediation.terms.max_per_service_per_hour,
        };
        step.outputs.push(Output::Fact { to: vec![self.budget_home(&remediation.rule)], fact: Fact::BudgetAsk(Box::new(ask)) });
    }

    pub(super) fn budget_home(&self, rule: &str) -> u32 {
        home(rule.as_bytes(), self.settings.partitions)
    }

    /// Has it been tried too often since it was chosen?
    pub(super) fn may_launch(&self, full: &Full, remediation: &Remediation, now: Time) -> Result<(), Refused> {
        self.tried_too_often(&remediation.key(&full.incident), &remediation.terms, now)
    }

    /// Counts the attempt and writes it. `notify` writes a note and goes nowhere: where there is nothing else, it is over
    /// with that, and the book has none.
    pub(super) fn launch(
        &self,
        full: &mut Full,
        mut remediation: Remediation,
        occasion: Occasion,
        verdict: &mut Verdict,
        step: &mut Step<'_, '_>,
    ) -> Arc<Incident> {
        let Occasion { event, at, now } = occasion;
        let key = remediation.key(&full.incident);
        let attempt = self.attempts.count(&key, now).saturating_add(1);
        let details = json!({ "actions": remediation.kinds(), "attempt": attempt });
        full.incident.note(at, TimelineEvent::AutoRemediation, None, details);
        let forget_at = now + DAY.max(remediation.terms.cooldown);
        step.changes.push(Change::Attempt { key, attempt: Attempt { count: attempt, at: now, forget_at } });
        let (notes, actions): (Vec<Remedy>, Vec<Remedy>) =
            remediation.actions.iter().cloned().partition(|remedy| remedy.kind == "notify");
        for note in notes {
            let message = note.parameters.0.get("message").and_then(Value::as_str).unwrap_or(&remediation.rule);
            full.incident.note(at, TimelineEvent::Note, None, json!({ "note": message }));
        }
        verdict.why = Why::Acted;
        verdict.detail = Some(format!("attempt {attempt}"));
        let verify_until = now + remediation.terms.verify;
        remediation.phase = Phase::Running { answer_by: Some(now + ANSWER_WITHIN), verify_until };
        let (id, rule, approval) = (remediation.action.clone(), remediation.rule.clone(), remediation.approval.clone());
        full.book.remediation = (!actions.is_empty()).then(|| Box::new(remediation));
        let snapshot = full.publish(now, step);
        if actions.is_empty() {
            return snapshot;
        }
        verdict.actions.push(id.clone());
        let kind = ActionKind::Remediation { actions, attempt, verify_until, approval };
        let incident = Arc::clone(&snapshot);
        step.outputs.push(Output::Action(Action { id, rule, event, created_at: at, incident, kind }));
        snapshot
    }
}

/// An incident is remedied at its opening alone, in its first epoch.
fn action_id(id: IncidentId, rule: &str) -> ActionId {
    ActionId::derive(id, "remediation", rule, "triggered:0", 0)
}

pub(super) fn of_remediation(rule: &str) -> Verdict {
    Verdict { kind: "remediation", rule: rule.to_owned(), why: Why::Acted, detail: None, actions: Vec::new() }
}

fn key(incident: &Incident, actions: &[Remedy]) -> AttemptKey {
    let kind = actions.first().map_or_else(String::new, |first| first.kind.clone());
    AttemptKey { fingerprint: incident.fingerprint, kind }
}

fn millis(minutes: u64) -> Millis {
    Millis::try_from(minutes).unwrap_or(Millis::MAX).saturating_mul(MINUTE)
}
