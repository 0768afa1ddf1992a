//! What other shards tell this one (ARCHITECTURE 5).

use crate::engine::Outcome;
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::{Fact, Time};

impl Shard {
    pub(super) fn fact(&self, _now: Time, _fact: &Fact, _step: &mut Step<'_>) -> Outcome {
        Outcome::Ignored
    }
}
