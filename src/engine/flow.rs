//! From an incident's opening to the people who are told: hold, remediation, escalation, notification, and again in each
//! epoch (SPEC 4.5); what mutes it, and what is owed when that ends.

use crate::engine::book::{Book, Stage, rule_key};
use crate::engine::entry::Full;
use crate::engine::notify::{Occasion, Said};
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::time::HOUR;
use crate::model::{Incident, RuleEvent, Severity, Status, Time, TimelineEvent, Why};
use crate::rules::NotificationRule;
use serde_json::{Value, json};
use std::sync::Arc;

/// A rule on `triggered` whose occurrence had to be waited for.
fn waits_to_enter(rule: &NotificationRule, book: &Book) -> bool {
    rule.after_occurrences.is_some() && rule.on.has(RuleEvent::Triggered) && !book.entered.contains(&rule_key(&rule.name))
}

impl Shard {
    /// Why nobody is told of it now; `None`: people are told.
    pub(super) fn mute(&self, full: &Full) -> Option<Why> {
        if self.holding {
            Some(Why::Held)
        } else if full.incident.suppressed {
            Some(Why::Suppressed)
        } else if !full.incident.silenced_by.is_empty() {
            Some(Why::Silenced)
        } else if full.incident.snoozed_until.is_some() {
            Some(Why::Snoozed)
        } else if full.book.flapping.quiet_until.is_some() {
            Some(Why::Flapping)
        } else if full.book.stage != Stage::Open {
            Some(Why::Held)
        } else {
            None
        }
    }

    /// A new incident, once nothing holds it any more.
    pub(super) fn begin(&self, full: &mut Full, snapshot: Arc<Incident>, at: Time, now: Time, step: &mut Step<'_, '_>) {
        full.book.stage = Stage::Open;
        let occasion = Occasion { event: RuleEvent::Triggered, at, now };
        let mut said = Said::default();
        let mut snapshot = snapshot;
        if full.incident.status == Status::Triggered {
            // Where people wait for its outcome, the decision says so of policies and rules.
            snapshot = self.try_remediation(full, snapshot, occasion, &mut said, step);
        }
        self.speak(full, snapshot, occasion, said, step);
    }

    /// Escalation, then notifications.
    pub(super) fn speak(
        &self,
        full: &mut Full,
        mut snapshot: Arc<Incident>,
        occasion: Occasion,
        mut said: Said,
        step: &mut Step<'_, '_>,
    ) {
        if full.incident.status == Status::Triggered {
            snapshot = self.start_escalation(full, snapshot, occasion, &mut said, step);
        }
        self.tell(full, &snapshot, occasion, said, step);
    }

    /// Begins an epoch: `event` stands for `triggered` in it (SPEC 4.5).
    pub(super) fn new_epoch(&self, full: &mut Full, occasion: Occasion, step: &mut Step<'_, '_>) {
        full.book.open_epoch();
        full.book.escalation = None;
        let snapshot = full.publish(occasion.now, step);
        // Of one that is muted the escalation waits too: the end of what mutes it opens an epoch of its own, or pays what is
        // owed.
        self.speak(full, snapshot, occasion, Said::default(), step);
    }

    /// What it hangs on and what silences it, worked out anew.
    pub(super) fn hush_anew(&self, full: &mut Full, now: Time) {
        self.link_again(full, now);
        full.incident.silenced_by = self.silences.matching(&full.incident, now);
    }

    /// What mutes it has ended, or begun: `was` tells whether it was muted by a silence or a parent before. True if an epoch
    /// began.
    pub(super) fn after_mute(&self, full: &mut Full, was: bool, at: Time, now: Time, step: &mut Step<'_, '_>) -> bool {
        let is = full.is_hushed();
        if is && !was {
            full.book.owed.clear();
            full.book.unrouted = None;
            self.withdraw(full, step);
            full.incident.note(
                at,
                if full.incident.suppressed { TimelineEvent::Suppressed } else { TimelineEvent::Silenced },
                None,
                Value::Null,
            );
            if full.incident.suppressed {
                full.book.escalation = None;
            }
        }
        if was && !is && full.incident.status.fires() {
            full.incident.note(at, TimelineEvent::Unsuppressed, None, Value::Null);
            if full.book.stage == Stage::Open {
                self.new_epoch(full, Occasion { event: RuleEvent::Unsuppressed, at, now }, step);
                return true;
            }
        }
        full.publish(now, step);
        false
    }

    /// Says what was to be said while it was snoozed or all was held back. `snooze`: it is a snooze that has ended.
    pub(super) fn pay(&self, full: &mut Full, snooze: bool, now: Time, step: &mut Step<'_, '_>) {
        let mut snapshot = full.publish(now, step);
        for event in std::mem::take(&mut full.book.owed) {
            let occasion = Occasion { event, at: now, now };
            let ends = matches!(event, RuleEvent::Resolved | RuleEvent::Closed);
            match event {
                // It did not come to be, or is over.
                _ if full.incident.status.fires() == ends => {}
                RuleEvent::Triggered => self.speak(full, Arc::clone(&snapshot), occasion, Said::default(), step),
                _ if event.opens_epoch() => self.speak(full, Arc::clone(&snapshot), occasion, Said::default(), step),
                RuleEvent::SeverityChanged => self.raised(full, Arc::clone(&snapshot), occasion, false, step),
                RuleEvent::Occurrence if snooze => {
                    self.tell_those(full, &snapshot, occasion, Said::default(), waits_to_enter, step);
                }
                _ => {
                    self.tell(full, &snapshot, occasion, Said::default(), step);
                }
            }
            // A level that fired has published a newer one.
            snapshot = step.last_shown(full.incident.id).unwrap_or(snapshot);
        }
        self.pay_unrouted(full, &snapshot, now, step);
    }

    /// The severity has risen: another policy may be due, and rules that it enters now. `reached`: an epoch that began with it,
    /// or a rule on the occurrence that brought it, has seen to it already that somebody is.
    pub(super) fn raised(
        &self,
        full: &mut Full,
        mut snapshot: Arc<Incident>,
        occasion: Occasion,
        reached: bool,
        step: &mut Step<'_, '_>,
    ) {
        let mut said = Said { reached, ..Said::default() };
        if full.incident.status == Status::Triggered {
            snapshot = self.choose_escalation_again(full, snapshot, occasion, &mut said, step);
        }
        self.tell(full, &snapshot, occasion, said, step);
    }

    /// A reopening, by an alert or a person: an epoch, or, one too many within the hour, quiet (SPEC 4.5).
    pub(super) fn reopened(&self, full: &mut Full, now: Time, step: &mut Step<'_, '_>) {
        // Neither was worked out while it did not fire.
        self.hush_anew(full, now);
        let flapping = &mut full.book.flapping;
        flapping.reopened.retain(|at| now - *at < HOUR);
        flapping.reopened.push(now);
        let most = self.settings.flapping_reopens;
        if most > 0 && flapping.quiet_until.is_none() && flapping.reopened.len() as u64 > most {
            full.book.open_epoch();
            full.book.escalation = None;
            let count = full.book.flapping.reopened.len();
            full.incident.note(now, TimelineEvent::Flapping, None, json!({ "reopenings": count }));
            let snapshot = full.publish(now, step);
            self.tell(full, &snapshot, Occasion { event: RuleEvent::Flapping, at: now, now }, Said::default(), step);
            full.book.flapping.quiet_until = Some(now + self.settings.flapping_stable);
            return;
        }
        self.stays_quiet(full, now);
        self.new_epoch(full, Occasion { event: RuleEvent::Reopened, at: now, now }, step);
    }

    /// Every change makes a flapping incident wait for its full time again.
    pub(super) fn stays_quiet(&self, full: &mut Full, now: Time) {
        if let Some(until) = &mut full.book.flapping.quiet_until {
            *until = now + self.settings.flapping_stable;
        }
    }

    /// It has been stable for long enough.
    pub(super) fn settled(&self, full: &mut Full, at: Time, now: Time, step: &mut Step<'_, '_>) {
        full.book.flapping = Default::default();
        if full.incident.status.fires() {
            self.new_epoch(full, Occasion { event: RuleEvent::Reopened, at, now }, step);
        } else {
            full.publish(now, step);
        }
    }

    /// Must somebody hear of it?
    pub(super) fn matters(full: &Full) -> bool {
        full.incident.severity >= Severity::High
    }
}
