//! A rule's desk: rate limits and digests over the whole rule, at the home of its name (SPEC 4.7).
//!
//! It asks no rule set: an item carries what its rule says. What the limit lets through it writes itself; every item is
//! answered, and the incident's shard does the rest (`answer`).

use crate::engine::desks::{Desk, DeskChange, Due, Held};
use crate::engine::digest::{OpenDigest, key};
use crate::engine::limit::Limits;
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::model::time::{HOUR, MINUTE, Millis};
use crate::model::{
    Action, ActionId, ActionKind, Channel, DeskAnswer, DeskItem, DeskOutcome, Fact, IncidentId, LimitNotice, Output, RuleEvent,
    Time,
};
use std::sync::Arc;

fn limits(item: &DeskItem) -> Option<Limits> {
    let limits = Limits { per_hour: item.max_per_hour, per_day: item.max_per_day };
    (limits.per_hour.is_some() || limits.per_day.is_some()).then_some(limits)
}

impl Shard {
    pub(super) fn desk_item(&self, now: Time, item: &DeskItem, step: &mut Step<'_, '_>) {
        // Behind those that wait already, so that each incident's come in order.
        if (self.holding || self.desks.waits()) && self.desks.may_wait() {
            step.changes.push(Change::Desk(DeskChange::Wait(Box::new(item.clone()))));
        } else {
            self.take_item(now, item, step);
        }
    }

    /// Of what waits here, all that is said of an incident that is over or muted, but for its end: an incident that was
    /// resolved before this shard had caught up pages nobody (SPEC 4).
    pub(super) fn desk_withdraw(&self, rule: &str, incident_id: IncidentId, epoch: u32, step: &mut Step<'_, '_>) {
        let is_void = |item: &DeskItem| {
            let ends = matches!(item.event, RuleEvent::Resolved | RuleEvent::Closed);
            item.rule == rule && item.incident.id == incident_id && item.epoch == epoch && !ends
        };
        for (number, item) in self.desks.all_waiting().filter(|(_, item)| is_void(item)) {
            step.changes.push(Change::Desk(DeskChange::Taken(number)));
            let detail = "resolved, closed or muted before the rule's desk had caught up".to_owned();
            answer(item, DeskOutcome::Withdrawn, Vec::new(), Some(detail), step);
        }
    }

    fn take_item(&self, now: Time, item: &DeskItem, step: &mut Step<'_, '_>) {
        match &item.digest {
            Some(_) => self.gather(now, item, step),
            None => match self.full_until(now, item) {
                None => {
                    self.note_sent(now, item, step);
                    self.send_alone(item, step);
                }
                Some((_, detail)) => {
                    self.hold_back(now, item, step);
                    answer(item, DeskOutcome::RateLimited, Vec::new(), Some(detail), step);
                }
            },
        }
    }

    /// Into its group's digest; where none is open the item opens one.
    fn gather(&self, now: Time, item: &DeskItem, step: &mut Step<'_, '_>) {
        let Some(terms) = &item.digest else { return };
        let mut at = key(&item.rule, &terms.group);
        if self.desks.digest(&at).is_none() && !self.desks.may_open() {
            at = key(&item.rule, &[]);
        }
        if self.desks.digest(&at).is_some() {
            step.changes.push(Change::Desk(DeskChange::Add { key: at, item: Box::new(item.clone()) }));
            return answer(item, DeskOutcome::Digested, Vec::new(), None, step);
        }
        let interval = Millis::try_from(terms.interval_minutes).unwrap_or(Millis::MAX).saturating_mul(MINUTE);
        let mut digest = OpenDigest::new(&item.rule, now + interval);
        // One that the limit holds back is not lost: the digest tells of it.
        if terms.lead && self.full_until(now, item).is_none() {
            self.note_sent(now, item, step);
            self.send_alone(item, step);
        } else {
            digest.add(Box::new(item.clone()), self.settings.max_digest);
            answer(item, DeskOutcome::Digested, Vec::new(), None, step);
        }
        step.changes.push(Change::Desk(DeskChange::Open { key: at, digest: Box::new(digest) }));
    }

    fn send_alone(&self, item: &DeskItem, step: &mut Step<'_, '_>) {
        let actions = write(item, &item.cause, item.at, |channel| ActionKind::Notification { channel }, step);
        answer(item, DeskOutcome::Acted, actions, None, step);
    }

    fn full_until(&self, now: Time, item: &DeskItem) -> Option<(Time, String)> {
        self.desks.desk(&item.rule)?.window.full_until(now, limits(item)?)
    }

    /// One more has gone, over however many channels.
    fn note_sent(&self, now: Time, item: &DeskItem, step: &mut Step<'_, '_>) {
        let Some(limits) = limits(item) else { return };
        let mut desk = self.desks.desk(&item.rule).cloned().unwrap_or_default();
        desk.window.note(now, limits);
        desk.keeps = limits.keeps();
        let desk = Box::new(desk);
        step.changes.push(Change::Desk(DeskChange::Desk { rule: item.rule.clone(), desk }));
    }

    /// Held back by the limit. The first in an hour says so over the rule's channels.
    fn hold_back(&self, now: Time, item: &DeskItem, step: &mut Step<'_, '_>) {
        let mut desk = self.desks.desk(&item.rule).cloned().unwrap_or_default();
        let last = Box::new(item.clone());
        match &mut desk.held {
            Some(held) => {
                held.count += 1;
                held.last = last;
            }
            None => {
                let held = Held { since: now, until: now + HOUR, count: 1, last };
                say_limited(&held, false, now, step);
                desk.held = Some(held);
            }
        }
        let desk = Box::new(desk);
        step.changes.push(Change::Desk(DeskChange::Desk { rule: item.rule.clone(), desk }));
    }

    /// What waited while all was held back, then whatever is due; each step is applied before the next is decided.
    pub(super) fn desks_due(&mut self, now: Time, out: &mut Vec<Output>) {
        while let Some((number, item)) = self.desks.first_waiting() {
            let mut step = Step::new(out);
            self.take_item(now, &item, &mut step);
            step.changes.push(Change::Desk(DeskChange::Taken(number)));
            self.apply(step.changes);
        }
        while let Some((at, due)) = self.desks.next().filter(|(at, _)| *at <= now) {
            let mut step = Step::new(out);
            match due {
                Due::Digest(key) => {
                    if let Some(digest) = self.desks.digest(key) {
                        let change = self.digest_due(now, at, digest, *key, &mut step);
                        step.changes.push(Change::Desk(change));
                    }
                }
                Due::Desk(rule) => {
                    let change = match self.desks.desk(rule) {
                        Some(Desk { held: Some(held), window, keeps }) => {
                            say_limited(held, true, at, &mut step);
                            let desk = Box::new(Desk { window: window.clone(), keeps: *keeps, held: None });
                            DeskChange::Desk { rule: rule.clone(), desk }
                        }
                        _ => DeskChange::Forget { rule: rule.clone() },
                    };
                    step.changes.push(Change::Desk(change));
                }
            }
            self.apply(step.changes);
        }
    }

    /// The interval is over. One that the rule's limit does not let through gathers on until it does.
    fn digest_due(&self, now: Time, at: Time, digest: &OpenDigest, key: [u8; 16], step: &mut Step<'_, '_>) -> DeskChange {
        let Some(newest) = &digest.newest else { return DeskChange::Sent { key } };
        if let Some((until, _)) = self.full_until(now, newest) {
            if !digest.postponed {
                self.hold_back(now, newest, step);
            }
            return DeskChange::Postpone { key, until };
        }
        self.note_sent(now, newest, step);
        let digested = |channel| ActionKind::Digest { channel, incidents: digest.listed.clone(), more: digest.more() };
        write(newest, &format!("digest:{}", newest.cause), at, digested, step);
        DeskChange::Sent { key }
    }
}

/// The rule is limited; at the hour's end, how many were held back.
fn say_limited(held: &Held, ended: bool, at: Time, step: &mut Step<'_, '_>) {
    let Held { since, until, count: held_back, ref last } = *held;
    let (max_per_hour, max_per_day) = (last.max_per_hour, last.max_per_day);
    let notice = LimitNotice { held_back, since, until, ended, max_per_hour, max_per_day };
    let cause = format!("{}:{}", if ended { "held_back" } else { "limited" }, last.cause);
    write(last, &cause, at, |channel| ActionKind::Notice { channel, notice: notice.clone() }, step);
}

/// One action a channel.
fn write(
    item: &DeskItem,
    cause: &str,
    created_at: Time,
    kind: impl Fn(Channel) -> ActionKind,
    step: &mut Step<'_, '_>,
) -> Vec<ActionId> {
    let mut ids = Vec::with_capacity(item.channels.len());
    for (index, channel) in item.channels.iter().enumerate() {
        let kind = kind(channel.clone());
        let id = ActionId::derive(item.incident.id, kind.name(), &item.rule, cause, index as u32);
        ids.push(id.clone());
        let (rule, incident) = (item.rule.clone(), Arc::clone(&item.incident));
        step.outputs.push(Output::Action(Action { id, rule, event: item.event, created_at, incident, kind }));
    }
    ids
}

/// To the shard of the incident, also where that is this one.
fn answer(item: &DeskItem, outcome: DeskOutcome, actions: Vec<ActionId>, detail: Option<String>, step: &mut Step<'_, '_>) {
    let answer = DeskAnswer {
        incident_id: item.incident.id,
        rule: item.rule.clone(),
        event: item.event,
        epoch: item.epoch,
        cause: item.cause.clone(),
        at: item.at,
        outcome,
        actions,
        error: item.error.clone(),
        detail,
    };
    step.outputs.push(Output::Fact { to: vec![u32::from(item.incident.id.partition)], fact: Fact::Answer(Box::new(answer)) });
}
