//! A rule's desk: rate limits and digests over the whole rule, at the home of its name (SPEC 4.7).

use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::{DeskAnswer, DeskItem, Time};

impl Shard {
    pub(super) fn desk_item(&self, _now: Time, _item: &DeskItem, _step: &mut Step<'_, '_>) {}

    pub(super) fn desk_answer(&self, _now: Time, _answer: &DeskAnswer, _step: &mut Step<'_, '_>) {}
}
