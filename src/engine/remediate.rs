//! What is repaired without a person: remediation rules, their attempts and outcomes (SPEC 4.8).

use crate::engine::Refusal;
use crate::engine::entry::Full;
use crate::engine::notify::{Occasion, Said};
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::{ActionId, Incident, RemediationOutcome, Time};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// A remediation under way.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Remediation {
    pub rule: String,
    pub action: ActionId,
    pub next_at: Option<Time>,
}

impl Remediation {
    pub fn due(&self) -> Option<Time> {
        self.next_at
    }

    pub fn is(&self, action: &ActionId) -> bool {
        self.action == *action
    }
}

impl Shard {
    /// Starts the first that may start. Where people wait for its outcome, `full.book.stage` is `Remedying` afterwards.
    pub(super) fn try_remediation(
        &self,
        _full: &mut Full,
        snapshot: Arc<Incident>,
        _occasion: Occasion,
        _said: &mut Said,
        _step: &mut Step<'_, '_>,
    ) -> Arc<Incident> {
        snapshot
    }

    /// A deadline of the remediation under way has come.
    pub(super) fn remediation_due(&self, full: &mut Full, _due: Time, now: Time, step: &mut Step<'_, '_>) {
        full.publish(now, step);
    }

    /// The command `remediation_result`; false: of an action that is not under way.
    pub(super) fn remediation_result(
        &self,
        _full: &mut Full,
        _action: &ActionId,
        _outcome: RemediationOutcome,
        _error: Option<&str>,
        _now: Time,
        _step: &mut Step<'_, '_>,
    ) -> bool {
        false
    }

    /// The commands `approve_remediation` and `reject_remediation`.
    pub(super) fn approval(
        &self,
        _full: &mut Full,
        _approved: bool,
        _user: Option<&str>,
        _now: Time,
        _step: &mut Step<'_, '_>,
    ) -> Result<(), Refusal> {
        Err(Refusal { status: 409, reason: "no remediation waits for approval".to_owned() })
    }

    /// The incident fires no more.
    pub(super) fn remediation_over(&self, full: &mut Full) {
        full.book.remediation = None;
    }
}
