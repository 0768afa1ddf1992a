//! Who is told: notification rules against one event of one incident, and the decision that says why (SPEC 4.7, 3.6).

use crate::engine::book::{Asked, Book, Reminder, rule_key};
use crate::engine::entry::Full;
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::home::home;
use crate::model::time::MINUTE;
use crate::model::{
    Action, ActionId, ActionKind, Channel, Decision, DeskItem, DigestTerms, EventSet, Fact, Incident, Output, RuleEvent, Time,
    Verdict, Why,
};
use crate::rules::{Context, NotificationRule, wants_resolution};
use std::cell::OnceCell;
use std::sync::Arc;

/// One event and when: `at` is the actions' `created_at` (a timer's due time), `now` wall time.
#[derive(Clone, Copy, Debug)]
pub struct Occasion {
    pub event: RuleEvent,
    pub at: Time,
    pub now: Time,
}

/// The event at which an incident may enter the match of a rule on `triggered`.
pub(super) fn lets_enter(event: RuleEvent) -> bool {
    matches!(event, RuleEvent::Triggered | RuleEvent::SeverityChanged | RuleEvent::Occurrence) || event.opens_epoch()
}

/// At these a critical or high incident must reach somebody (SPEC 4.7, unrouted).
pub(super) fn must_reach_somebody(event: RuleEvent) -> bool {
    matches!(event, RuleEvent::Triggered | RuleEvent::SeverityChanged | RuleEvent::Flapping) || event.opens_epoch()
}

/// What an event's evaluation has found so far, over all kinds of rules.
#[derive(Default)]
pub struct Said {
    pub verdicts: Vec<Verdict>,
    /// Further near misses, past those listed.
    pub more: u32,
    /// A person is reached.
    pub reached: bool,
}

/// One event on its way through the rules.
pub(super) struct Telling<'t> {
    pub occasion: Occasion,
    pub snapshot: &'t Arc<Incident>,
    pub said: Said,
    /// Why nobody is told now.
    pub mute: Option<Why>,
    /// What closures may ask: the same for all rules, made for the first that runs one.
    pub context: OnceCell<Context>,
}

impl Shard {
    /// Asks every rule that listens; writes the actions and the decision. `said`: what escalation and remediation found.
    /// True if a person is reached.
    pub(super) fn tell(
        &self,
        full: &mut Full,
        snapshot: &Arc<Incident>,
        occasion: Occasion,
        said: Said,
        step: &mut Step<'_, '_>,
    ) -> bool {
        self.tell_those(full, snapshot, occasion, said, |_, _| true, step)
    }

    /// As [`Shard::tell`], only of the rules that `only` takes.
    pub(super) fn tell_those(
        &self,
        full: &mut Full,
        snapshot: &Arc<Incident>,
        occasion: Occasion,
        said: Said,
        only: impl Fn(&NotificationRule, &Book) -> bool,
        step: &mut Step<'_, '_>,
    ) -> bool {
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
        candidates.retain(|at| only(&self.rules.notifications()[*at], &full.book));
        let mute = self.mute(full);
        match mute {
            Some(mute) => self.owe(full, event, mute),
            // What was owed of it is said with it.
            None => full.book.owed.retain(|owed| *owed != event),
        }
        let policies = !said.verdicts.is_empty();
        let lie_elsewhere = full.book.asked.len();
        let mut telling = Telling { occasion, snapshot, said, mute, context: OnceCell::new() };
        for at in candidates {
            let rule = &self.rules.notifications()[at];
            telling.said.reached |= self.ask(at, rule, full, &mut telling, step);
        }
        if mute.is_none() && must_reach_somebody(event) && !telling.said.reached && Shard::matters(full) {
            // What lies at a desk may yet reach somebody.
            match full.book.asked.get_mut(lie_elsewhere..) {
                Some(asked) if !asked.is_empty() => asked.iter_mut().for_each(|asked| asked.only_hope = true),
                _ => {
                    let cause = cause(occasion, &full.book, snapshot);
                    let verdict = self.tell_default_channels(full, snapshot, occasion, &cause, step);
                    telling.said.verdicts.push(verdict);
                }
            }
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
        let Telling { mut said, .. } = telling;
        let reached = said.reached;
        if must_reach_somebody(event) || policies || !said.verdicts.is_empty() {
            said.verdicts.extend(near);
            said.more += matches.near_more as u32;
            self.decide(snapshot, occasion, said, step);
        }
        reached
    }

    /// Writes down why each rule did or did not act.
    pub(super) fn decide(&self, snapshot: &Incident, occasion: Occasion, said: Said, step: &mut Step<'_, '_>) {
        step.outputs.push(Output::Decision(Decision {
            incident_id: snapshot.id,
            event: occasion.event,
            at: occasion.at,
            rules_hash: self.rules.hash().to_owned(),
            verdicts: said.verdicts,
            more: said.more,
        }));
    }

    /// Notes what is to be said when the mute ends; the end of a silence and of a suppression opens an epoch anyway, and so
    /// does the end of a hold.
    fn owe(&self, full: &mut Full, event: RuleEvent, mute: Why) {
        let owes = match mute {
            Why::Snoozed => lets_enter(event) && event != RuleEvent::Occurrence,
            Why::Held => self.holding,
            _ => false,
        };
        if owes && !full.book.owed.contains(&event) {
            full.book.owed.push(event);
        }
    }

    fn listens(&self, at: usize, event: RuleEvent) -> bool {
        let on = self.rules.notifications()[at].on;
        on.has(event) || (must_reach_somebody(event) && on.has(RuleEvent::Triggered))
    }

    /// One rule; true if it acted here and now.
    pub(super) fn ask(
        &self,
        at: usize,
        rule: &NotificationRule,
        full: &mut Full,
        telling: &mut Telling<'_>,
        step: &mut Step<'_, '_>,
    ) -> bool {
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
                telling.said.verdicts.push(Verdict { kind, rule, why: Why::AlreadyActed, detail: None, actions: Vec::new() });
            }
            return false;
        }
        if event == RuleEvent::Occurrence && waits {
            return false;
        }
        let mut verdict =
            Verdict { kind: "notification", rule: rule.name.clone(), why: Why::Acted, detail: None, actions: Vec::new() };
        let context = || telling.context.get_or_init(|| self.context(telling.snapshot, telling.occasion.now, event));
        if !rule.enabled {
            verdict.why = Why::Disabled;
        } else if let Some(mute) = telling.mute {
            verdict.why = mute;
            // The Nth occurrence comes once; what only listens to occurrences is owed none.
            if mute == Why::Snoozed && event == RuleEvent::Occurrence && may_enter && !full.book.owed.contains(&event) {
                full.book.owed.push(event);
            }
        } else if waits && !owed {
            verdict.why = Why::AfterOccurrences;
            verdict.detail = Some(format!("{count} of {} occurrences", rule.after_occurrences.unwrap_or(0)));
        } else if !owed {
            match self.rules.when(at, telling.snapshot, context()) {
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
            let channels = self.rules.channels(at, telling.snapshot, context()).unwrap_or_else(|error| {
                verdict.why = Why::ScriptError;
                let before = verdict.detail.take().map_or(String::new(), |detail| detail + "; ");
                verdict.detail = Some(format!("{before}channels: {error}; default_channels stand in"));
                self.settings.default_channels.clone()
            });
            let tells_on_resolve = rule.send_on_resolve || wants_resolution(&channels);
            if (rule.rate_limit.is_some() || rule.digest.is_some()) && !channels.is_empty() {
                if may_enter {
                    full.book.entered.push(key);
                }
                let follows = may_enter.then_some((rule.repeat_minutes, tells_on_resolve));
                self.ask_desk(rule, full, telling, channels, verdict.detail, follows, step);
                return false;
            }
            let cause = cause(telling.occasion, &full.book, telling.snapshot);
            verdict.actions = self.act(&rule.name, full, telling.snapshot, telling.occasion, &cause, channels, step);
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
        telling.said.verdicts.push(verdict);
        acted
    }

    /// To the desk at the home of the rule's name, also where that is here. `follows`: on entering, what its acting brings.
    #[allow(clippy::too_many_arguments, reason = "what the rule said, used in two places")]
    pub(super) fn ask_desk(
        &self,
        rule: &NotificationRule,
        full: &mut Full,
        telling: &Telling<'_>,
        channels: Vec<Channel>,
        error: Option<String>,
        follows: Option<(Option<u64>, bool)>,
        step: &mut Step<'_, '_>,
    ) {
        let (occasion, snapshot) = (telling.occasion, telling.snapshot);
        let cause = cause(occasion, &full.book, snapshot);
        if follows.is_some() || must_reach_somebody(occasion.event) {
            let (repeat_minutes, tells_on_resolve) = follows.unwrap_or_default();
            let (rule, cause) = (rule.name.clone(), cause.clone());
            full.book.asked.push(Asked { rule, cause, repeat_minutes, tells_on_resolve, only_hope: false });
        }
        let limit = rule.rate_limit;
        let item = DeskItem {
            rule: rule.name.clone(),
            event: occasion.event,
            epoch: full.book.epoch,
            cause,
            at: occasion.at,
            max_per_hour: limit.and_then(|limit| limit.max_per_hour),
            max_per_day: limit.and_then(|limit| limit.max_per_day),
            digest: rule.digest.as_ref().map(|digest| DigestTerms {
                interval_minutes: digest.interval_minutes,
                group: digest.by.iter().map(|field| value_of(field, snapshot)).collect(),
                lead: digest.lead,
            }),
            channels,
            incident: Arc::clone(snapshot),
            error,
        };
        let to = home(rule.name.as_bytes(), self.settings.partitions);
        step.outputs.push(Output::Fact { to: vec![to], fact: Fact::Item(Box::new(item)) });
    }

    /// Nobody else was reached.
    pub(super) fn tell_default_channels(
        &self,
        full: &mut Full,
        snapshot: &Arc<Incident>,
        occasion: Occasion,
        cause: &str,
        step: &mut Step<'_, '_>,
    ) -> Verdict {
        let channels = self.settings.default_channels.clone();
        let detail = match channels.is_empty() {
            true => "no rule acted, and rules.default_channels is empty: nobody was told",
            false => "no rule acted",
        };
        let actions = self.act("", full, snapshot, occasion, cause, channels, step);
        step.outputs.push(Output::Unrouted(snapshot.id));
        let (kind, detail) = ("default_channels", Some(detail.to_owned()));
        Verdict { kind, rule: String::new(), why: Why::Acted, detail, actions }
    }

    #[allow(clippy::too_many_arguments, reason = "what an action is made of, used in three places")]
    pub(super) fn act(
        &self,
        rule: &str,
        full: &mut Full,
        snapshot: &Arc<Incident>,
        occasion: Occasion,
        cause: &str,
        channels: Vec<Channel>,
        step: &mut Step<'_, '_>,
    ) -> Vec<ActionId> {
        let Occasion { event, at, .. } = occasion;
        full.book.told |= !channels.is_empty();
        let mut ids = Vec::with_capacity(channels.len());
        for (index, channel) in channels.into_iter().enumerate() {
            let kind = ActionKind::Notification { channel };
            let id = ActionId::derive(snapshot.id, kind.name(), rule, cause, index as u32);
            ids.push(id.clone());
            let incident = Arc::clone(snapshot);
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
                return Some(waits_for);
            }
            let enters = rule.on.has(RuleEvent::Triggered) && !full.book.entered.contains(&rule_key(&rule.name));
            (enters && waits_for > count).then_some(waits_for)
        });
        asks.min().unwrap_or(u64::MAX)
    }
}

/// What stands in the action's id for the event: no two events of an incident share it.
pub(super) fn cause(occasion: Occasion, book: &Book, snapshot: &Incident) -> String {
    let Occasion { event, at, .. } = occasion;
    let epoch = book.epoch;
    match event {
        RuleEvent::Occurrence => format!("{event}:{epoch}:{}", snapshot.occurrence_count),
        RuleEvent::SeverityChanged => format!("{event}:{epoch}:{}", snapshot.severity),
        RuleEvent::Reminder => format!("{event}:{epoch}:{}", at.0),
        RuleEvent::Escalated => {
            let level = book.escalation.as_ref().map_or_else(String::new, |escalation| escalation.cause());
            format!("{event}:{epoch}:{level}")
        }
        _ => format!("{event}:{epoch}"),
    }
}

/// What a digest's `by` names: a field, or `labels.` and a label's name; a label that is not there is empty.
fn value_of(field: &str, incident: &Incident) -> String {
    match field {
        "service_id" => incident.service_id.clone(),
        "severity" => incident.severity.name().to_owned(),
        "category" => incident.category.clone(),
        "environment" => incident.environment.name().to_owned(),
        "title" => incident.title.clone(),
        _ => field.strip_prefix("labels.").and_then(|label| incident.labels.get(label)).unwrap_or_default().to_owned(),
    }
}
