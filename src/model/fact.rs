//! What one shard tells another, through `incidentd-inbox` (ARCHITECTURE 5).
//!
//! Written so that applying one twice, or two in either order, ends the same.

use crate::model::{ActionId, Channel, Environment, Incident, IncidentId, RuleEvent, Severity, Silence, Status, Time};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::sync::Arc;

/// Kept small: nearly all are of the first kind, and in a storm they come by the thousand.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub enum Fact {
    /// An incident of a service on which others depend, to their homes.
    Upstream(Arc<Upstream>),
    /// A silence, from its home to all; expired where `ends_at` has come.
    Silence(Box<Silence>),
    /// Something for a rule's desk: a rate limit or a digest, at the home of the rule's name.
    Item(Box<DeskItem>),
    /// What the desk did with it, to the incident's shard.
    Answer(Box<DeskAnswer>),
    /// To a remediation budget's home.
    BudgetAsk(Box<BudgetAsk>),
    BudgetAnswer(Box<BudgetAnswer>),
    /// A grant that came too late, or was not used.
    BudgetReturn {
        rule: String,
        action: ActionId,
        service_id: String,
    },
    /// To a rule's desk: the incident is over, or muted, and of this epoch nothing is to be said any more but its end.
    Withdraw {
        rule: String,
        incident_id: IncidentId,
        epoch: u32,
    },
}

/// What the shards of dependent services must know of an incident (SPEC 4.4).
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Upstream {
    pub id: IncidentId,
    pub service_id: String,
    /// Rises with each fact of the incident.
    pub revision: u64,
    /// Wall time at its shard: since when it fires no more (where `dedup.close_after` is off, when it was closed, if it was);
    /// while it fires, when this was said.
    pub at: Time,
    pub first_seen_at: Time,
    pub severity: Severity,
    pub environment: Environment,
    pub status: Status,
    /// By event time: from when on it was (or was not) triggered, acknowledged or investigating; ascending.
    pub active: SmallVec<[(Time, bool); 1]>,
    /// Silenced, snoozed, or kept quiet for flapping.
    pub muted: bool,
    /// Its own opening has ended and no action was written for it.
    pub untold: bool,
    /// Another of its identity stands for it: it is nobody's parent.
    pub duplicate: bool,
}

/// What a rule with limits has to say about an incident.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeskItem {
    pub rule: String,
    pub event: RuleEvent,
    pub epoch: u32,
    /// As in its actions' ids: each item of an incident and a rule has its own.
    pub cause: String,
    /// When it was asked: `created_at` of the actions.
    pub at: Time,
    pub max_per_hour: Option<u64>,
    pub max_per_day: Option<u64>,
    pub digest: Option<DigestTerms>,
    pub channels: Vec<Channel>,
    pub incident: Arc<Incident>,
    /// A script of the rule failed, and this is what stands in for what it would have said.
    pub error: Option<String>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct DigestTerms {
    pub interval_minutes: u64,
    /// The values of the rule's `by`, as this incident has them: one digest for each.
    pub group: Vec<String>,
    pub lead: bool,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct DeskAnswer {
    pub incident_id: IncidentId,
    pub rule: String,
    pub event: RuleEvent,
    pub epoch: u32,
    pub cause: String,
    /// As the item's.
    pub at: Time,
    pub outcome: DeskOutcome,
    pub actions: Vec<ActionId>,
    /// As the item's.
    pub error: Option<String>,
    /// Which limit is reached.
    pub detail: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum DeskOutcome {
    Acted,
    RateLimited,
    Digested,
    /// It waited at a desk that was held back, and was withdrawn.
    Withdrawn,
}

/// May this remediation start?
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BudgetAsk {
    pub rule: String,
    /// The remediation's action id, by which the answer is known.
    pub action: ActionId,
    pub incident_id: IncidentId,
    pub service_id: String,
    pub at: Time,
    pub max_per_hour: Option<u64>,
    pub max_per_service_per_hour: Option<u64>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct BudgetAnswer {
    /// As it was asked: a grant that comes too late is handed back, even where the incident is gone.
    pub rule: String,
    pub incident_id: IncidentId,
    pub service_id: String,
    pub action: ActionId,
    pub granted: bool,
}
