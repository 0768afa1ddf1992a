//! What people and programs tell incidentd to do, carried out or refused (SPEC 3.3).

use crate::engine::entry::{Entry, Full, Slot};
use crate::engine::links::is_active;
use crate::engine::notify::{Occasion, Said};
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::engine::{Outcome, Refusal};
use crate::model::time::{MINUTE, Millis};
use crate::model::{Command, IncidentCommand, IncidentId, Receipt, RuleEvent, Status, Time, TimelineEvent};
use serde_json::{Value, json};

/// Who says it, and when: `at` is the command's Kafka time.
#[derive(Clone, Copy)]
pub(super) struct Spoken<'a> {
    pub user: Option<&'a str>,
    pub note: Option<&'a str>,
    pub at: Time,
    pub now: Time,
}

fn refused(status: u16, reason: String) -> Refusal {
    Refusal { status, reason }
}

impl Shard {
    pub(super) fn command(&self, now: Time, command: &Command, at: Time, step: &mut Step<'_, '_>) -> Outcome {
        let done = match command {
            Command::Silence(silence) => self.silence(now, silence, step).map(|()| Outcome::Done(None)),
            Command::ExpireSilence { id, .. } => self.expire_silence(now, id, at, step).map(|()| Outcome::Done(None)),
            Command::Incident { id, user, note, act } => {
                let spoken = Spoken { user: user.as_deref(), note: note.as_deref(), at, now };
                self.incident_command(*id, act, spoken, step)
            }
        };
        done.unwrap_or_else(Outcome::Refused)
    }

    fn incident_command(
        &self,
        id: IncidentId,
        act: &IncidentCommand,
        spoken: Spoken<'_>,
        step: &mut Step<'_, '_>,
    ) -> Result<Outcome, Refusal> {
        let report = matches!(act, IncidentCommand::RemediationResult { .. } | IncidentCommand::DeliveryReceipt { .. });
        let found = self.store.find_id(id).and_then(|slot| self.store.get(slot).map(|entry| (slot, entry)));
        let Some((slot, entry)) = found else {
            return match self.closed.holds(id) {
                _ if report => Ok(Outcome::Ignored),
                true if matches!(act, IncidentCommand::Close) => Ok(Outcome::Done(None)),
                true => Err(refused(409, format!("`incident_id`: {id} is closed, which is final"))),
                false => Err(refused(404, format!("`incident_id`: there is no incident {id}, or it is past its tombstone"))),
            };
        };
        let Ok(mut full) = entry.full() else {
            return Err(refused(409, format!("`incident_id`: the state of {id} cannot be read")));
        };
        let before = full.incident.status;
        match act {
            IncidentCommand::Acknowledge => self.advance(&mut full, Status::Acknowledged, spoken, step)?,
            IncidentCommand::Investigate => self.advance(&mut full, Status::Investigating, spoken, step)?,
            IncidentCommand::Identify => self.advance(&mut full, Status::Identified, spoken, step)?,
            IncidentCommand::Resolve { resolution } => {
                may(before, Status::Resolved)?;
                if before != Status::Resolved {
                    for (slot, mut duplicate) in self.duplicates(entry, &full, spoken.at) {
                        if duplicate.incident.status.fires() {
                            self.resolve_by(&mut duplicate, resolution.as_deref(), spoken, step);
                            self.save(Some(slot), duplicate, spoken.now, step);
                        }
                    }
                    self.resolve_by(&mut full, resolution.as_deref(), spoken, step);
                }
            }
            IncidentCommand::Close => {
                for (slot, mut duplicate) in self.duplicates(entry, &full, spoken.at) {
                    in_hand(&mut duplicate, spoken);
                    self.close(slot, &mut duplicate, spoken.user, spoken.note, spoken.at, spoken.now, step);
                }
                in_hand(&mut full, spoken);
                let shown = self.close(slot, &mut full, spoken.user, spoken.note, spoken.at, spoken.now, step);
                return Ok(Outcome::Done(Some(shown)));
            }
            IncidentCommand::Reopen => self.reopen_by(&mut full, spoken, step)?,
            IncidentCommand::Assign { assignee } => {
                full.incident.assigned_to = Some(assignee.clone());
                note(&mut full, TimelineEvent::Assigned, spoken, json!({ "assignee": assignee }));
                full.publish(spoken.now, step);
            }
            IncidentCommand::Note => {
                note(&mut full, TimelineEvent::Note, spoken, Value::Null);
                full.publish(spoken.now, step);
            }
            IncidentCommand::Snooze { minutes } => self.snooze(&mut full, *minutes as Millis * MINUTE, spoken, step)?,
            IncidentCommand::Escalate => {
                if !before.fires() {
                    return Err(refused(409, format!("it is {before}: nobody is paged for it any more")));
                }
                self.escalate_now(&mut full, spoken.now, step)?;
            }
            IncidentCommand::ApproveRemediation => self.approval(&mut full, true, spoken, step)?,
            IncidentCommand::RejectRemediation => self.approval(&mut full, false, spoken, step)?,
            IncidentCommand::RemediationResult { action_id, outcome, error } => {
                if !self.remediation_result(&mut full, action_id, *outcome, error.as_deref(), spoken.now, step) {
                    return Ok(Outcome::Ignored);
                }
            }
            IncidentCommand::DeliveryReceipt { receipt, .. } => {
                take_receipt(&mut full, receipt.clone(), self.settings.max_receipts);
            }
        }
        let shown = step.last_shown(id);
        self.save(Some(slot), full, spoken.now, step);
        Ok(Outcome::Done(shown.or_else(|| entry.full().ok().map(|full| full.incident.into()))))
    }

    /// To a status that a person has brought about.
    fn advance(&self, full: &mut Full, next: Status, spoken: Spoken<'_>, step: &mut Step<'_, '_>) -> Result<(), Refusal> {
        let before = full.incident.status;
        if before == next {
            return Ok(());
        }
        may(before, next)?;
        self.takes_charge(full, next, spoken);
        let event = match next {
            Status::Acknowledged => TimelineEvent::Acknowledged,
            Status::Investigating => TimelineEvent::Investigating,
            _ => TimelineEvent::Identified,
        };
        note(full, event, spoken, Value::Null);
        let snapshot = full.publish(spoken.now, step);
        if next == Status::Acknowledged {
            let occasion = Occasion { event: RuleEvent::Acknowledged, at: spoken.now, now: spoken.now };
            self.tell(full, &snapshot, occasion, Said::default(), step);
        }
        Ok(())
    }

    fn takes_charge(&self, full: &mut Full, next: Status, spoken: Spoken<'_>) {
        in_hand(full, spoken);
        full.incident.status = next;
        full.book.note_active(spoken.at, is_active(next));
        self.escalation_after(full, spoken.now);
    }

    fn resolve_by(&self, full: &mut Full, resolution: Option<&str>, spoken: Spoken<'_>, step: &mut Step<'_, '_>) {
        in_hand(full, spoken);
        full.incident.resolved_by = spoken.user.map(str::to_owned);
        if let Some(note) = spoken.note {
            full.incident.note(spoken.at, TimelineEvent::Note, spoken.user, json!({ "note": note }));
        }
        self.resolve(full, spoken.now, spoken.at, spoken.now, resolution, spoken.user, step);
    }

    fn reopen_by(&self, full: &mut Full, spoken: Spoken<'_>, step: &mut Step<'_, '_>) -> Result<(), Refusal> {
        match full.incident.status {
            Status::Triggered => return Ok(()),
            Status::Resolved => {}
            before => return Err(refused(409, format!("it is {before}: only a resolved incident can be reopened"))),
        }
        fires_again(full, spoken.at);
        full.read_at = spoken.now;
        note(full, TimelineEvent::Reopened, spoken, Value::Null);
        self.reopened(full, spoken.now, step);
        Ok(())
    }

    fn snooze(&self, full: &mut Full, length: Millis, spoken: Spoken<'_>, step: &mut Step<'_, '_>) -> Result<(), Refusal> {
        if !full.incident.status.fires() {
            return Err(refused(409, format!("it is {}: there is nothing to snooze", full.incident.status)));
        }
        let until = spoken.at + length;
        note(full, TimelineEvent::Snoozed, spoken, json!({ "until": until.to_string() }));
        // A command that was read late may name a time that has passed.
        let until = Some(until).filter(|until| *until > spoken.now);
        let before = std::mem::replace(&mut full.incident.snoozed_until, until);
        // In place of what is left of the one before.
        self.escalation_snoozed(full, (spoken.at + length) - before.map_or(spoken.at, |before| before.max(spoken.at)));
        full.publish(spoken.now, step);
        Ok(())
    }

    /// The open duplicates of a root, each with its slot; one that opened after `at`, when the command was given, is none of
    /// what it ends.
    fn duplicates(&self, root: &Entry, full: &Full, at: Time) -> Vec<(Slot, Full)> {
        if root.traits.duplicate {
            return Vec::new();
        }
        let same = self.store.of_identity(&full.incident.service_id, &full.incident.fingerprint);
        let then = same.filter(|(_, entry)| entry.traits.duplicate && entry.first_seen_at <= at);
        let fulls = then.filter_map(|(slot, entry)| Some((slot, entry.full().ok()?)));
        fulls.filter(|(_, full)| full.book.link.root == Some(root.id)).collect()
    }

    /// Closes it for good: it leaves the engine. `at`: event time.
    #[allow(clippy::too_many_arguments, reason = "who, what and when, used once")]
    pub(super) fn close(
        &self,
        slot: Slot,
        full: &mut Full,
        user: Option<&str>,
        said: Option<&str>,
        at: Time,
        now: Time,
        step: &mut Step<'_, '_>,
    ) -> std::sync::Arc<crate::model::Incident> {
        full.incident.status = Status::Closed;
        full.incident.snoozed_until = None;
        self.withdraw(full, step);
        self.remediation_over(full, step);
        full.book.note_active(at, false);
        full.incident.note(at, TimelineEvent::Closed, user, said.map_or(Value::Null, |note| json!({ "note": note })));
        let snapshot = full.publish(now, step);
        self.tell(full, &snapshot, Occasion { event: RuleEvent::Closed, at, now }, Said::default(), step);
        self.announce(full, now, step);
        step.changes.push(Change::Close { slot, forget_at: at + self.settings.keep_closed });
        snapshot
    }
}

/// Who has it in hand is noted where a person makes it leave `triggered` for the first time.
fn in_hand(full: &mut Full, spoken: Spoken<'_>) {
    let incident = &mut full.incident;
    if incident.status == Status::Triggered && incident.acknowledged_at.is_none() {
        incident.acknowledged_at = Some(spoken.at);
        incident.acknowledged_by = spoken.user.map(str::to_owned);
    }
}

/// It is triggered again after it was resolved; from event time `at` on.
pub(super) fn fires_again(full: &mut Full, at: Time) {
    let incident = &mut full.incident;
    incident.status = Status::Triggered;
    (incident.resolved_at, incident.resolved_by, incident.resolution) = (None, None, None);
    full.close_at = Time::NEVER;
    full.book.note_active(at, true);
}

fn may(before: Status, next: Status) -> Result<(), Refusal> {
    if before.may_become(next) {
        return Ok(());
    }
    let from_here: Vec<&str> =
        Status::ALL.into_iter().filter(|status| *status != before && before.may_become(*status)).map(Status::name).collect();
    let hint = if from_here.is_empty() { "nothing".to_owned() } else { from_here.join(", ") };
    Err(refused(409, format!("it is {before} and cannot become {next}: from here it can become {hint}")))
}

/// Into the timeline, with the command's own note.
fn note(full: &mut Full, event: TimelineEvent, spoken: Spoken<'_>, details: Value) {
    let mut details = if details.is_object() { details } else { json!({}) };
    if let (Some(note), Some(fields)) = (spoken.note, details.as_object_mut()) {
        fields.insert("note".to_owned(), json!(note));
    }
    full.incident.note(spoken.at, event, spoken.user, details);
}

/// What became of a delivery: published as counts are.
fn take_receipt(full: &mut Full, receipt: Receipt, most: usize) {
    let receipts = &mut full.incident.notifications;
    receipts.push(receipt);
    if receipts.len() > most {
        receipts.remove(0);
        full.incident.notifications_more += 1;
    }
    full.unpublished = true;
}
