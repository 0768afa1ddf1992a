//! How a delivery ends: at the next target of its chain, or with receipts and what is remembered.

use super::leg::{Leg, channel_of, partition};
use super::{Desk, Do, Job};
use crate::codec::{Posted, PostedKind};
use crate::delivery::book::Book;
use crate::delivery::channel::Outcome as Verdict;
use crate::delivery::expand;
use crate::delivery::lane::{End, Outcome};
use crate::delivery::settlement::{self, OWN_SERVICE, Settlement};
use crate::delivery::{Now, Ticket};
use crate::model::time::{MINUTE, Millis};
use std::sync::Arc;

/// Between two alerts of our own.
const OWN_ALERTS: Millis = MINUTE;

impl Desk {
    /// One target has come to its end: the next of the chain, or the settlement.
    pub(super) fn ended(&mut self, ticket: Ticket, mut leg: Leg, end: End, now: Now) {
        let remediation = matches!(leg.posted.what, PostedKind::Remediation { .. });
        let delivered = end.outcome == Outcome::Delivered;
        let seconds = delivered.then(|| (now.wall - leg.record.time.unwrap_or(leg.posted.created_at)).max(0) as f64 / 1_000.0);
        self.todo.push(Do::Count { channel: channel_of(&leg), outcome: end.outcome.name(), seconds });
        if remediation && !delivered {
            leg.commands.push(settlement::result(&leg.posted, Verdict::Failed, Some(&end.why)));
        } else if !remediation {
            let receipts = settlement::receipts(&leg.posted, &leg.incidents(), &leg.target, &leg.label, &end, now.wall);
            leg.commands.extend(receipts);
        }
        let next = expand::fallback(&leg.target.channel, &self.terms.fallback).filter(|_| !delivered && !remediation);
        if let Some(target) = next {
            leg.note = Some(format!("Primary channel ({}) failed: {}", leg.target.channel, end.why));
            (leg.label, leg.target) = (target.label(), target);
            return self.submit(ticket, leg, now);
        }
        let mut dead_letter = None;
        if !delivered {
            let reason = format!("{} to {} failed after {} attempts: {}", leg.target.channel, leg.label, end.attempts, end.why);
            self.alert(&leg.posted, &reason, now);
            dead_letter = Some(reason);
        }
        let sent = Book::note_sent(partition(leg.record.slot, &self.terms), &leg.id, now.wall);
        let settlement = Settlement {
            record: Arc::clone(&leg.record),
            commands: std::mem::take(&mut leg.commands),
            dead_letter,
            thread: leg.opened.take(),
            sent,
        };
        self.jobs.insert(ticket, Job::Leg(leg));
        self.todo.push(Do::Settle(ticket, settlement));
    }

    /// People learn that a page did not arrive; but of a page about that, nothing more is said.
    fn alert(&mut self, posted: &Posted, reason: &str, now: Now) {
        let early = self.alerted.is_some_and(|alerted| now.wall - alerted < OWN_ALERTS);
        if early || posted.service_id == OWN_SERVICE {
            return;
        }
        self.alerted = Some(now.wall);
        let description = format!("A page about {} reached nobody: {reason}", posted.incident_id);
        let alert = settlement::own_alert("undeliverable", "Pages cannot be delivered", "high", &description, now.wall);
        self.todo.push(Do::Alert(alert));
    }

    /// All of a settlement is written.
    pub fn settled(&mut self, ticket: Ticket, now: Now) {
        let record = match self.jobs.remove(&ticket) {
            Some(Job::Leg(leg)) => {
                self.book.put_sent(leg.id, partition(leg.record.slot, &self.terms), now.wall);
                leg.record
            }
            Some(Job::Refused(record)) => record,
            other => return self.jobs.extend(other.map(|job| (ticket, job))),
        };
        let place = (record.slot, record.offset);
        if let Some(open) = self.open.get_mut(&place) {
            *open -= 1;
            if *open == 0 {
                self.open.remove(&place);
                self.todo.push(Do::Done(place.0, place.1));
            }
        }
    }
}
