//! `repeat_minutes`: a rule that has acted says so again while the incident stays triggered (SPEC 4.7).

use crate::engine::entry::Full;
use crate::engine::notify::{Occasion, Said, Telling, cause};
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::time::MINUTE;
use crate::model::{RuleEvent, Status, Time, Verdict, Why};
use std::cell::OnceCell;

impl Shard {
    /// Every reminder that is due; one that was missed for long comes once, not once for each interval.
    pub(super) fn remind(&self, full: &mut Full, now: Time, step: &mut Step<'_, '_>) {
        let snapshot = full.publish(now, step);
        let mute = self.mute(full);
        let due: Vec<usize> = (0..full.book.reminders.len()).filter(|at| full.book.reminders[*at].due <= now).collect();
        let mut ended = Vec::new();
        for at in due {
            let reminder = full.book.reminders[at].clone();
            let rule = self.rules_by_key.get(&reminder.rule).map(|index| (*index, &self.rules.notifications()[*index]));
            let still = snapshot.status == Status::Triggered;
            let Some((index, rule, minutes)) = rule
                .filter(|(_, rule)| rule.enabled && still)
                .and_then(|(index, rule)| rule.repeat_minutes.map(|minutes| (index, rule, minutes as i64 * MINUTE)))
            else {
                ended.push(reminder.rule);
                continue;
            };
            let occasion = Occasion { event: RuleEvent::Reminder, at: reminder.due, now };
            let mut telling = Telling { occasion, snapshot: &snapshot, said: Said::default(), mute, context: OnceCell::new() };
            let mut verdict =
                Verdict { kind: "notification", rule: rule.name.clone(), why: Why::Acted, detail: None, actions: Vec::new() };
            let mut asks = false;
            if let Some(mute) = mute {
                verdict.why = mute;
            } else {
                let context = self.context(&snapshot, now, RuleEvent::Reminder);
                let channels =
                    self.rules.channels(index, &snapshot, &context).unwrap_or_else(|_| self.settings.default_channels.clone());
                if rule.rate_limit.is_some() || rule.digest.is_some() {
                    // The desk's answer is the decision.
                    self.ask_desk(rule, full, &telling, channels, None, None, step);
                    asks = true;
                } else {
                    let cause = cause(occasion, &full.book, &snapshot);
                    verdict.actions = self.act(&rule.name, full, &snapshot, occasion, &cause, channels, step);
                    verdict.detail = Some(format!("reminder {}", reminder.sent + 1));
                }
            }
            if !asks {
                telling.said.verdicts.push(verdict);
                self.decide(&snapshot, occasion, telling.said, step);
            }
            let missed = (now - reminder.due) / minutes.max(1);
            full.book.reminders[at].due = reminder.due + (missed + 1) * minutes.max(MINUTE);
            full.book.reminders[at].sent += 1;
        }
        full.book.reminders.retain(|reminder| !ended.contains(&reminder.rule));
    }
}
