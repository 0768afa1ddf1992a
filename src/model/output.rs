//! What a shard says, before `codec` makes records of it.

use crate::model::{Action, Decision, Fact, Incident, IncidentId, Silence};
use std::sync::Arc;

/// What a shard says; `codec::output` makes records of it.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// To `incidents`.
    Incident(Arc<Incident>),
    /// A tombstone to `incidents`.
    IncidentGone(IncidentId),
    Action(Action),
    Decision(Decision),
    /// To `silences`.
    Silence(Silence),
    /// A tombstone to `silences`.
    SilenceGone(String),
    /// To the inboxes of the partitions `to`.
    Fact {
        to: Vec<u32>,
        fact: Fact,
    },
    /// A critical or high incident that no rule acted for went to `default_channels` (counts in `incidents_unrouted_total`).
    Unrouted(IncidentId),
    /// One rule was evaluated for one event: the labels of `rule_evaluations_total{rule,result}`.
    Evaluated {
        rule: String,
        result: &'static str,
    },
}
