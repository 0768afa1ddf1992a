//! Who is paged when nobody answers: policies and their levels (SPEC 4.6).

use crate::engine::entry::Full;
use crate::engine::notify::{Occasion, Said};
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::engine::{Refusal, entry};
use crate::model::{Incident, Time};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A policy under way, fixed as it was at its start.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Escalation {
    pub policy: String,
    pub next_at: Option<Time>,
}

impl Escalation {
    /// Wall time of the next level; `None`: it has ended or stands still.
    pub fn due(&self) -> Option<Time> {
        self.next_at
    }
}

impl Shard {
    /// Chooses a policy and runs its level 0; `said.reached` tells whether it reaches a person. Called in each epoch, where
    /// the status is triggered and nothing mutes the incident.
    pub(super) fn start_escalation(
        &self,
        _full: &mut Full,
        snapshot: Arc<Incident>,
        _occasion: Occasion,
        _said: &mut Said,
        _step: &mut Step<'_, '_>,
    ) -> Arc<Incident> {
        snapshot
    }

    /// After a raise of severity.
    pub(super) fn choose_escalation_again(
        &self,
        _full: &mut Full,
        snapshot: Arc<Incident>,
        _occasion: Occasion,
        _said: &mut Said,
        _step: &mut Step<'_, '_>,
    ) -> Arc<Incident> {
        snapshot
    }

    /// The time of the next level has come.
    pub(super) fn escalation_due(&self, full: &mut Full, _due: Time, now: Time, step: &mut Step<'_, '_>) {
        full.publish(now, step);
    }

    /// The command `escalate`: the next level now.
    pub(super) fn escalate_now(&self, _full: &mut Full, _now: Time, _step: &mut Step<'_, '_>) -> Result<(), Refusal> {
        Err(Refusal { status: 409, reason: "no escalation is under way".to_owned() })
    }

    /// The status has left `triggered`, or come back to it. `at`: wall time.
    pub(super) fn escalation_after(&self, _full: &mut Full, _now: Time) {}

    /// Snoozed until `until`, where it was snoozed until `before` already.
    pub(super) fn escalation_snoozed(&self, _full: &mut Full, _until: Time, _before: Option<Time>, _now: Time) {}
}

#[allow(unused)]
type _Slot = entry::Slot;
