//! Who is told: notification rules against one event of one incident, and the decision that says why (SPEC 4.7, 3.6).

use crate::engine::book::{Reminder, rule_key};
use crate::engine::entry::Full;
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::time::MINUTE;
use crate::model::{
    Action, ActionId, ActionKind, Channel, Decision, EventSet, Incident, Output, RuleEvent, Severity, Time, Verdict, Why,
};
use crate::rules::{Context, NotificationRule};
use std::sync::Arc;

/// One event and when: `at` is the actions' `created_at` (a timer's due time), `now` wall time.
#[derive(Clone, Copy, Debug)]
pub struct Occasion {
    pub event: RuleEvent,
    pub at: Time,
    pub now: Time,
}

/// The event at which an incident may enter the match of a rule on `triggered`.
fn lets_enter(event: RuleEvent) -> bool {
    matches!(event, RuleEvent::Triggered | RuleEvent::SeverityChanged | RuleEvent::Occurrence) || event.opens_epoch()
}

/// At these a critical or high incident must reach somebody (SPEC 4.7, unrouted).
fn must_reach_somebody(event: RuleEvent) -> bool {
    matches!(event, RuleEvent::Triggered | RuleEvent::SeverityChanged) || event.opens_epoch()
}

/// What an event's evaluation has found so far.
struct Telling<'t> {
    occasion: Occasion,
    snapshot: &'t Arc<Incident>,
    verdicts: Vec<Verdict>,
}

impl Shard {
    /// Asks every rule that listens; writes the actions and the decision.
    pub(super) fn tell(&self, full: &mut Full, snapshot: &Arc<Incident>, occasion: Occasion, step: &mut Step<'_>) {
        let event = occasion.event;
        let mut listening = EventSet::EMPTY.with(event);
        if lets_enter(event) {
            // Occurrence too: the same look at the index tells when to ask next.
            listening = listening.with(RuleEvent::Triggered).with(RuleEvent::Occurrence);
        }
        let matches = self.rules.matches(snapshot, listening);
        let mut candidates: Vec<usize> = matches.matched.clone();
        if event == RuleEvent::Resolved {
            let owed = full.book.tell_on_resolve.iter().filter_map(|key| self.rules_by_key.get(key));
            candidates.extend(owed);
            candidates.sort_unstable();
            candidates.dedup();
        }
        let mut telling = Telling { occasion, snapshot, verdicts: Vec::new() };
        let mut reached = false;
        for at in candidates {
            let rule = &self.rules.notifications()[at];
            reached |= self.ask(at, rule, full, &mut telling, step);
        }
        if must_reach_somebody(event) && !reached && snapshot.severity >= Severity::High {
            self.tell_default_channels(full, &mut telling, step);
        }
        if lets_enter(event) {
            full.ask_at = self.ask_at(full, &matches.matched);
        }
        let near = matches.near.into_iter().filter(|(at, _)| self.listens(*at, event)).map(|(at, detail)| Verdict {
            kind: "notification",
            rule: self.rules.notifications()[at].name.clone(),
            why: Why::Where,
            detail: Some(detail),
            actions: Vec::new(),
        });
        let asked = must_reach_somebody(event) || !telling.verdicts.is_empty();
        if asked {
            telling.verdicts.extend(near);
            step.outputs.push(Output::Decision(Decision {
                incident_id: snapshot.id,
                event,
                at: occasion.at,
                rules_hash: self.rules.hash().to_owned(),
                verdicts: telling.verdicts,
                more: matches.near_more as u32,
            }));
        }
    }

    fn listens(&self, at: usize, event: RuleEvent) -> bool {
        let on = self.rules.notifications()[at].on;
        on.has(event) || (must_reach_somebody(event) && on.has(RuleEvent::Triggered))
    }

    /// One rule; true if it acted.
    fn ask(&self, at: usize, rule: &NotificationRule, full: &mut Full, telling: &mut Telling<'_>, step: &mut Step<'_>) -> bool {
        let event = telling.occasion.event;
        let key = rule_key(&rule.name);
        let count = telling.snapshot.occurrence_count;
        // A rule that lists `resolved` always acts on it.
        let waits = event != RuleEvent::Resolved && rule.after_occurrences.is_some_and(|n| count < n);
        let owed = event == RuleEvent::Resolved && full.book.tell_on_resolve.contains(&key);
        let may_enter = rule.on.has(RuleEvent::Triggered)
            && lets_enter(event)
            && !full.book.entered.contains(&key)
            // On an occurrence only the one that it waited for.
            && (event != RuleEvent::Occurrence || rule.after_occurrences.is_some());
        if !rule.on.has(event) && !may_enter && !owed {
            if must_reach_somebody(event) && full.book.entered.contains(&key) {
                let (kind, rule) = ("notification", rule.name.clone());
                telling.verdicts.push(Verdict { kind, rule, why: Why::AlreadyActed, detail: None, actions: Vec::new() });
            }
            return false;
        }
        if event == RuleEvent::Occurrence && waits {
            return false;
        }
        let mut verdict =
            Verdict { kind: "notification", rule: rule.name.clone(), why: Why::Acted, detail: None, actions: Vec::new() };
        let context = Context { now: telling.occasion.now, event };
        if !rule.enabled {
            verdict.why = Why::Disabled;
        } else if waits && !owed {
            verdict.why = Why::AfterOccurrences;
            verdict.detail = Some(format!("{count} of {} occurrences", rule.after_occurrences.unwrap_or(0)));
        } else if !owed {
            match self.rules.when(at, telling.snapshot, &context) {
                Ok(true) => {}
                Ok(false) => verdict.why = Why::When,
                // Uncertain: somebody is told.
                Err(error) => {
                    verdict.why = Why::ScriptError;
                    verdict.detail = Some(format!("when: {error}"));
                }
            }
        }
        if matches!(verdict.why, Why::Acted | Why::ScriptError) {
            let channels = self.rules.channels(at, telling.snapshot, &context).unwrap_or_else(|error| {
                verdict.why = Why::ScriptError;
                let before = verdict.detail.take().map_or(String::new(), |detail| detail + "; ");
                verdict.detail = Some(format!("{before}channels: {error}; default_channels stand in"));
                self.settings.default_channels.clone()
            });
            let tells_on_resolve = rule.send_on_resolve || channels.iter().any(sends_on_resolve);
            verdict.actions = self.act(&rule.name, full, telling, channels, step);
            if verdict.actions.is_empty() && verdict.why == Why::Acted {
                verdict.why = Why::NoChannels;
            } else if may_enter {
                full.book.entered.push(key);
                if tells_on_resolve {
                    full.book.tell_on_resolve.push(key);
                }
                if let Some(minutes) = rule.repeat_minutes {
                    let due = telling.occasion.at + minutes as i64 * MINUTE;
                    full.book.reminders.push(Reminder { rule: key, due, sent: 0 });
                }
            }
        }
        step.outputs.push(Output::Evaluated { rule: rule.name.clone(), result: verdict.why.name() });
        let acted = !verdict.actions.is_empty();
        telling.verdicts.push(verdict);
        acted
    }

    fn tell_default_channels(&self, full: &Full, telling: &mut Telling<'_>, step: &mut Step<'_>) {
        let channels = self.settings.default_channels.clone();
        let detail = match channels.is_empty() {
            true => "no rule acted, and rules.default_channels is empty: nobody was told",
            false => "no rule acted",
        };
        let actions = self.act("", full, telling, channels, step);
        telling.verdicts.push(Verdict {
            kind: "default_channels",
            rule: String::new(),
            why: Why::Acted,
            detail: Some(detail.to_owned()),
            actions,
        });
        step.outputs.push(Output::Unrouted(telling.snapshot.id));
    }

    fn act(&self, rule: &str, full: &Full, telling: &Telling<'_>, channels: Vec<Channel>, step: &mut Step<'_>) -> Vec<ActionId> {
        let Occasion { event, at, .. } = telling.occasion;
        let epoch = full.book.epoch;
        let cause = match event {
            RuleEvent::Occurrence => format!("{event}:{epoch}:{}", telling.snapshot.occurrence_count),
            RuleEvent::SeverityChanged => format!("{event}:{epoch}:{}", telling.snapshot.severity),
            RuleEvent::Reminder => format!("{event}:{epoch}:{}", at.0),
            _ => format!("{event}:{epoch}"),
        };
        let mut ids = Vec::with_capacity(channels.len());
        for (index, channel) in channels.into_iter().enumerate() {
            let kind = ActionKind::Notification { channel };
            let id = ActionId::derive(telling.snapshot.id, kind.name(), rule, &cause, index as u32);
            ids.push(id.clone());
            let incident = Arc::clone(telling.snapshot);
            step.outputs.push(Output::Action(Action { id, rule: rule.to_owned(), event, created_at: at, incident, kind }));
        }
        ids
    }

    /// The next occurrence at which a matching rule has something to say.
    fn ask_at(&self, full: &Full, matched: &[usize]) -> u64 {
        let count = full.incident.occurrence_count;
        let asks = matched.iter().filter_map(|&at| {
            let rule = &self.rules.notifications()[at];
            let waits_for = rule.after_occurrences.unwrap_or(0);
            if rule.on.has(RuleEvent::Occurrence) {
                return Some(waits_for.max(count + 1));
            }
            let enters = rule.on.has(RuleEvent::Triggered) && !full.book.entered.contains(&rule_key(&rule.name));
            (enters && waits_for > count).then_some(waits_for)
        });
        asks.min().unwrap_or(u64::MAX)
    }

    /// Every reminder that is due; one that was missed for long comes once, not once for each interval.
    pub(super) fn remind(&self, full: &mut Full, now: Time, step: &mut Step<'_>) {
        let snapshot = full.publish(now, step);
        let due: Vec<usize> = (0..full.book.reminders.len()).filter(|at| full.book.reminders[*at].due <= now).collect();
        let mut ended = Vec::new();
        for at in due {
            let reminder = full.book.reminders[at].clone();
            let rule = self.rules_by_key.get(&reminder.rule).map(|index| (*index, &self.rules.notifications()[*index]));
            let still = snapshot.status == crate::model::Status::Triggered;
            let Some((index, rule, minutes)) = rule
                .filter(|(_, rule)| rule.enabled && still)
                .and_then(|(index, rule)| rule.repeat_minutes.map(|minutes| (index, rule, minutes as i64 * MINUTE)))
            else {
                ended.push(reminder.rule);
                continue;
            };
            let occasion = Occasion { event: RuleEvent::Reminder, at: reminder.due, now };
            let mut telling = Telling { occasion, snapshot: &snapshot, verdicts: Vec::new() };
            let context = Context { now, event: RuleEvent::Reminder };
            let channels =
                self.rules.channels(index, &snapshot, &context).unwrap_or_else(|_| self.settings.default_channels.clone());
            let actions = self.act(&rule.name, full, &telling, channels, step);
            telling.verdicts.push(Verdict {
                kind: "notification",
                rule: rule.name.clone(),
                why: Why::Acted,
                detail: Some(format!("reminder {}", reminder.sent + 1)),
                actions,
            });
            step.outputs.push(Output::Decision(Decision {
                incident_id: snapshot.id,
                event: RuleEvent::Reminder,
                at: reminder.due,
                rules_hash: self.rules.hash().to_owned(),
                verdicts: telling.verdicts,
                more: 0,
            }));
            let missed = (now - reminder.due) / minutes.max(1);
            full.book.reminders[at].due = reminder.due + (missed + 1) * minutes.max(MINUTE);
            full.book.reminders[at].sent += 1;
        }
        full.book.reminders.retain(|reminder| !ended.contains(&reminder.rule));
    }
}

/// `send_on_resolve` on a channel.
fn sends_on_resolve(channel: &Channel) -> bool {
    channel.config.0.get("send_on_resolve").and_then(serde_json::Value::as_bool).unwrap_or(false)
}
