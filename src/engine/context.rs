//! What is known of a service beside its incidents (SPEC 3.4).

use crate::engine::Outcome;
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::{ServiceEvent, Time};

impl Shard {
    pub(super) fn service_event(&self, _now: Time, _event: &ServiceEvent, _step: &mut Step<'_>) -> Outcome {
        Outcome::Ignored
    }
}
