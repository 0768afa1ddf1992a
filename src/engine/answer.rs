//! What a rule's desk answers, at the shard of the incident: the decision, and what hangs on it (SPEC 4.7).

use crate::engine::book::{Asked, Reminder, Unrouted, rule_key};
use crate::engine::entry::Full;
use crate::engine::notify::{Occasion, Said, Telling};
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::home::home;
use crate::model::time::{MINUTE, Millis};
use crate::model::{Decision, DeskAnswer, DeskOutcome, Fact, Incident, Output, RuleEvent, Status, Time, Verdict, Why};
use std::cell::OnceCell;
use std::sync::Arc;

impl Shard {
    pub(super) fn desk_answer(&self, now: Time, answer: &DeskAnswer, step: &mut Step<'_, '_>) {
        let why = match answer.outcome {
            DeskOutcome::RateLimited => Why::RateLimited,
            DeskOutcome::Digested => Why::Digested,
            DeskOutcome::Withdrawn => Why::Held,
            DeskOutcome::Acted if answer.error.is_some() => Why::ScriptError,
            DeskOutcome::Acted => Why::Acted,
        };
        let detail =
            [&answer.error, &answer.detail].into_iter().flatten().cloned().reduce(|error, limit| format!("{error}; {limit}"));
        let (kind, rule, actions) = ("notification", answer.rule.clone(), answer.actions.clone());
        let mut verdicts = vec![Verdict { kind, rule, why, detail, actions }];
        step.outputs.push(Output::Evaluated { rule: answer.rule.clone(), result: why.name() });
        let found = self.store.find_id(answer.incident_id).and_then(|slot| Some((slot, self.store.get(slot)?.full().ok()?)));
        if let Some((slot, mut full)) = found {
            let before = full.book.clone();
            verdicts.extend(self.take_answer(&mut full, answer, now, step));
            if full.book != before {
                self.save(Some(slot), full, now, step);
            }
        }
        step.outputs.push(Output::Decision(Decision {
            incident_id: answer.incident_id,
            event: answer.event,
            at: answer.at,
            rules_hash: self.rules.hash().to_owned(),
            verdicts,
            more: 0,
        }));
    }

    /// What may still wait at desks that are held back is void: it is over, or muted.
    pub(super) fn withdraw(&self, full: &Full, step: &mut Step<'_, '_>) {
        let (incident_id, epoch) = (full.incident.id, full.book.epoch);
        let mut rules: Vec<&String> = full.book.asked.iter().map(|asked| &asked.rule).collect();
        rules.sort_unstable();
        rules.dedup();
        step.outputs.extend(rules.into_iter().map(|rule| {
            let to = home(rule.as_bytes(), self.settings.partitions);
            Output::Fact { to: vec![to], fact: Fact::Withdraw { rule: rule.clone(), incident_id, epoch } }
        }));
    }

    /// Returns what `default_channels` did, where they stand in.
    fn take_answer(&self, full: &mut Full, answer: &DeskAnswer, now: Time, step: &mut Step<'_, '_>) -> Option<Verdict> {
        if answer.epoch != full.book.epoch {
            return None;
        }
        let yes = matches!(answer.outcome, DeskOutcome::Acted | DeskOutcome::Digested);
        full.book.told |= yes;
        let is_it = |asked: &Asked| asked.rule == answer.rule && asked.cause == answer.cause;
        let asked = full.book.asked.iter().position(is_it).map(|at| full.book.asked.remove(at))?;
        if yes {
            for other in full.book.asked.iter_mut().filter(|other| other.cause == answer.cause) {
                other.only_hope = false;
            }
            self.follow_up(full, &asked, answer, now, step);
            return None;
        }
        let others_may = full.book.asked.iter().any(|other| other.only_hope && other.cause == answer.cause);
        if !asked.only_hope || others_may || !full.incident.status.fires() {
            return None;
        }
        let unrouted = Unrouted { event: answer.event, cause: asked.cause };
        let mute = self.mute(full).filter(|mute| (*mute, answer.event) != (Why::Flapping, RuleEvent::Flapping));
        match mute {
            None => Some(self.tell_unrouted(full, &Arc::new(full.incident.clone()), &unrouted, now, step)),
            Some(mute) => {
                // The end of any other mute opens an epoch, which asks anew.
                if mute == Why::Snoozed || self.holding {
                    full.book.unrouted = Some(unrouted);
                }
                None
            }
        }
    }

    /// It has acted on the trigger: reminders, and the word on resolution, which may have come before the answer.
    fn follow_up(&self, full: &mut Full, asked: &Asked, answer: &DeskAnswer, now: Time, step: &mut Step<'_, '_>) {
        let key = rule_key(&answer.rule);
        if let Some(minutes) = asked.repeat_minutes
            && full.incident.status == Status::Triggered
        {
            let interval = Millis::try_from(minutes).unwrap_or(Millis::MAX).saturating_mul(MINUTE);
            full.book.reminders.push(Reminder { rule: key, due: answer.at + interval, sent: 0 });
        }
        if !asked.tells_on_resolve {
            return;
        }
        full.book.tell_on_resolve.push(key);
        let rule = self.rules_by_key.get(&key).map(|at| (*at, &self.rules.notifications()[*at]));
        if let Some((at, rule)) = rule.filter(|(_, rule)| !rule.on.has(RuleEvent::Resolved))
            && full.incident.status == Status::Resolved
            // Where it is owed still, paying says it.
            && !full.book.owed.contains(&RuleEvent::Resolved)
        {
            let snapshot = Arc::new(full.incident.clone());
            let occasion = Occasion { event: RuleEvent::Resolved, at: now, now };
            let mut telling =
                Telling { occasion, snapshot: &snapshot, said: Said::default(), mute: self.mute(full), context: OnceCell::new() };
            self.ask(at, rule, full, &mut telling, step);
            if !telling.said.verdicts.is_empty() {
                self.decide(&snapshot, occasion, telling.said, step);
            }
        }
    }

    fn tell_unrouted(
        &self,
        full: &mut Full,
        snapshot: &Arc<Incident>,
        unrouted: &Unrouted,
        now: Time,
        step: &mut Step<'_, '_>,
    ) -> Verdict {
        let occasion = Occasion { event: unrouted.event, at: now, now };
        self.tell_default_channels(full, snapshot, occasion, &unrouted.cause, step)
    }

    /// What was left unrouted while it was snoozed or all was held back.
    pub(super) fn pay_unrouted(&self, full: &mut Full, snapshot: &Arc<Incident>, now: Time, step: &mut Step<'_, '_>) {
        let Some(unrouted) = full.book.unrouted.take() else { return };
        if full.incident.status.fires() && self.mute(full).is_none() {
            let verdict = self.tell_unrouted(full, snapshot, &unrouted, now, step);
            let said = Said { verdicts: vec![verdict], ..Said::default() };
            self.decide(snapshot, Occasion { event: unrouted.event, at: now, now }, said, step);
        }
    }
}
