//! One target of an action, on its way, and the attempts that are made of it.

use crate::codec::{Posted, PostedKind};
use crate::delivery::Ticket;
use crate::delivery::book::Write;
use crate::delivery::channel::{Kind, Target, Thread};
use crate::delivery::desk::{Attempt, Body, Terms};
use crate::delivery::expand::EXECUTOR;
use crate::delivery::settlement::Command;
use crate::delivery::story::Update;
use crate::delivery::{Millis, Record};
use crate::kafka::Slot;
use crate::model::IncidentId;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// One target of an action, on its way.
pub struct Leg {
    pub record: Arc<Record>,
    pub posted: Arc<Posted>,
    /// Under which it is remembered.
    pub id: String,
    pub target: Target,
    pub label: String,
    pub note: Option<String>,
    pub commands: Vec<Command>,
    /// The thread that it opened.
    pub opened: Option<Write>,
    /// What is told with this attempt in place of the action itself.
    pub update: Option<Update>,
}

impl Leg {
    pub fn wants_thread(&self) -> bool {
        let alone = matches!(self.posted.what, PostedKind::Notification { alone: true, .. });
        alone && self.target.wants_thread_updates() && self.note.is_none()
    }

    pub fn incidents(&self) -> Vec<IncidentId> {
        match &self.posted.what {
            PostedKind::Notification { incident_ids, .. } if !incident_ids.is_empty() => incident_ids.clone(),
            _ => vec![self.posted.incident_id],
        }
    }

    pub fn attempt(&self, ticket: Ticket) -> Attempt {
        Attempt {
            ticket,
            action_id: self.posted.id.0.clone(),
            kind: match self.posted.what {
                PostedKind::Notification { .. } => Kind::Notification,
                PostedKind::Escalation { .. } => Kind::Escalation,
                PostedKind::Remediation { .. } => Kind::Remediation,
            },
            event: self.posted.event.name().to_owned(),
            body: Body::Action(Arc::clone(&self.record)),
            target: self.target.clone(),
            note: self.note.clone(),
            thread: None,
        }
    }
}

pub fn of_update(ticket: Ticket, target: &str, thread: Thread, update: Update) -> Attempt {
    let channel = [("channel".to_owned(), Value::from(thread.channel.as_str()))].into_iter().collect();
    Attempt {
        ticket,
        action_id: format!("upd_{}_{target}", update.mark),
        kind: Kind::Update,
        event: update.event.to_owned(),
        body: Body::Update(update),
        target: Target { channel: "slack".to_owned(), config: channel },
        note: None,
        thread: Some(thread),
    }
}

/// As metrics name it: what a rule's channel can be, the executor, and nothing else.
pub fn channel_of(leg: &Leg) -> &'static str {
    const CHANNELS: [&str; 5] = ["slack", "email", "sms", "pagerduty", "webhook"];
    match leg.posted.what {
        PostedKind::Remediation { .. } => EXECUTOR,
        _ => CHANNELS.into_iter().find(|channel| *channel == leg.target.channel).unwrap_or("unknown"),
    }
}

/// Where what belongs to a record's partition is remembered, so that its next owner finds it.
pub fn partition(slot: Slot, terms: &Terms) -> u32 {
    slot.partition % terms.partitions.max(1)
}

pub fn millis(duration: Duration) -> Millis {
    Millis::try_from(duration.as_millis()).unwrap_or(Millis::MAX)
}
