//! What people and programs tell incidentd to do, carried out or refused (SPEC 3.3).

use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::engine::{Outcome, Refusal};
use crate::model::{Command, Origin, Time};

impl Shard {
    pub(super) fn command(&self, _now: Time, _command: &Command, _origin: Origin, _at: Time, _step: &mut Step<'_>) -> Outcome {
        Outcome::Refused(Refusal { status: 404, reason: "no such incident".to_owned() })
    }
}
