//! What incidentd decides to do: the records that others carry out (SPEC 3.5).

use crate::model::{ActionId, Incident, IncidentId, Metadata, Person, Remedy, RuleEvent, Severity, Status, Time, Topic};
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
    Notification {
        channel: Channel,
    },
    /// A notification that the rule is limited; the incident is one that it held back.
    Notice {
        channel: Channel,
        notice: LimitNotice,
    },
    /// A notification about several incidents; the envelope's is the newest of them.
    Digest {
        channel: Channel,
        incidents: Vec<DigestEntry>,
        /// How many more there were, past the limit.
        more: u64,
    },
    Escalation {
        policy: String,
        /// 0 is the first.
        level: u32,
        /// 0: the first run through the levels.
        repeat: u32,
        targets: Vec<Person>,
    },
    Remediation {
        /// In order.
        actions: Vec<Remedy>,
        /// 1 is the first.
        attempt: u32,
        verify_until: Time,
        /// Who approved it, where the rule asks for approval.
        approval: Option<String>,
    },
}

/// What a rule's rate limit holds back: told when it begins, and at the end of the hour.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct LimitNotice {
    /// So far, in this hour.
    pub held_back: u64,
    pub since: Time,
    pub until: Time,
    /// The hour is over: the number is final.
    pub ended: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_per_hour: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_per_day: Option<u64>,
}

/// An incident of a digest.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DigestEntry {
    pub id: IncidentId,
    pub title: String,
    pub severity: Severity,
    pub status: Status,
    pub service_id: String,
    pub occurrence_count: u64,
}

impl ActionKind {
    pub fn name(&self) -> &'static str {
        match self {
            ActionKind::Notification { .. } | ActionKind::Notice { .. } | ActionKind::Digest { .. } => "notification",
            ActionKind::Escalation { .. } => "escalation",
            ActionKind::Remediation { .. } => "remediation",
        }
    }

    pub fn topic(&self) -> Topic {
        match self {
            ActionKind::Notification { .. } | ActionKind::Notice { .. } | ActionKind::Digest { .. } => Topic::Notifications,
            ActionKind::Escalation { .. } => Topic::Escalations,
            ActionKind::Remediation { .. } => Topic::Remediations,
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
