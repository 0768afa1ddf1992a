//! What time alone does to an incident: each deadline that has come, and what follows from it.

use crate::engine::book::Stage;
use crate::engine::entry::{Full, Slot};
use crate::engine::lifecycle::unpack;
use crate::engine::notify::Occasion;
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::{RuleEvent, Status, Time, TimelineEvent};
use serde_json::Value;
use std::sync::Arc;

impl Shard {
    /// What time alone does to an entry that is due; false: nothing any more.
    pub(super) fn entry_due(&self, now: Time, slot: Slot, step: &mut Step<'_, '_>) -> bool {
        let Some(entry) = self.store.get(slot).filter(|entry| entry.due(&self.settings) <= now) else { return false };
        let due = entry.due(&self.settings);
        let Some(mut full) = unpack(entry) else { return false };
        if entry.stale_at(&self.settings) == due {
            self.resolve(&mut full, now, due, due, Some("stale: no occurrence any more"), None, step);
        } else if entry.timing.close_at == due {
            self.close(slot, &mut full, None, None, due, now, step);
            return true;
        } else if entry.timing.wake_at == due {
            self.wake(&mut full, due, now, step);
        } else {
            self.publish_counts(slot, entry, &mut full, now, step);
        }
        self.save(Some(slot), full, now, step);
        true
    }

    /// The book, or the end of a snooze, has something to say.
    fn wake(&self, full: &mut Full, due: Time, now: Time, step: &mut Step<'_, '_>) {
        let is_due = |at: Option<Time>| at == Some(due);
        if is_due(full.incident.snoozed_until) {
            full.incident.snoozed_until = None;
            return self.pay(full, true, now, step);
        }
        if full.book.owes() && full.incident.snoozed_until.is_none() {
            return self.pay(full, false, now, step);
        }
        if full.book.stage == (Stage::Held { until: due }) {
            // Published at its creation already, where nothing has come since.
            let snapshot = if full.unpublished { full.publish(now, step) } else { Arc::new(full.incident.clone()) };
            self.begin(full, snapshot, due, now, step);
        } else if is_due(full.book.link.release_at) {
            self.release(full, due, now, step);
        } else if is_due(full.book.flapping.quiet_until) {
            self.settled(full, due, now, step);
        } else if is_due(full.book.unacknowledge_at) {
            self.unacknowledge(full, due, now, step);
        } else if is_due(full.book.remediation.as_ref().and_then(|remediation| remediation.due())) {
            self.remediation_due(full, due, now, step);
        } else if is_due(full.book.escalation.as_ref().and_then(|escalation| escalation.due())) {
            self.escalation_due(full, due, now, step);
        } else {
            self.remind(full, now, step);
        }
    }

    /// Who acknowledged it has let it lie for too long (`ack_timeout_minutes`).
    fn unacknowledge(&self, full: &mut Full, at: Time, now: Time, step: &mut Step<'_, '_>) {
        full.book.unacknowledge_at = None;
        if full.incident.status != Status::Acknowledged {
            full.publish(now, step);
            return;
        }
        full.incident.status = Status::Triggered;
        full.incident.note(at, TimelineEvent::Unacknowledged, None, Value::Null);
        self.new_epoch(full, Occasion { event: RuleEvent::Unacknowledged, at, now }, step);
    }
}
