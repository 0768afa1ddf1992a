//! What incidentd decides to do: the records that others carry out (SPEC 3.5).

use crate::model::{ActionId, Incident, Metadata, RuleEvent, Time, Topic};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The envelope that all actions share.
#[derive(Clone, PartialEq, Debug)]
pub struct Action {
    pub id: ActionId,
    /// The rule's name; empty where `default_channels` stand in for one.
    pub rule: String,
    pub event: RuleEvent,
    /// Of a timer's action: when it was due.
    pub created_at: Time,
    /// As it was at that moment; several actions share one.
    pub incident: Arc<Incident>,
    pub kind: ActionKind,
}

#[derive(Clone, PartialEq, Debug)]
pub enum ActionKind {
    Notification { channel: Channel },
}

impl ActionKind {
    pub fn name(&self) -> &'static str {
        match self {
            ActionKind::Notification { .. } => "notification",
        }
    }

    pub fn topic(&self) -> Topic {
        match self {
            ActionKind::Notification { .. } => Topic::Notifications,
        }
    }
}

/// A channel in the seed's shape: `{"type": …, "config": {…}}`. A secret in `config` is `{"$secret": "NAME"}`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Channel {
    /// `slack`, `email`, `sms`, `pagerduty` or `webhook`.
    #[serde(rename = "type")]
    pub kind: String,
    pub config: Metadata,
}
