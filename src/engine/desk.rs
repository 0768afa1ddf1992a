//! A rule's desk: rate limits and digests over the whole rule, at the home of its name (SPEC 4.7, 4.8).

use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::{ActionId, BudgetAnswer, BudgetAsk, DeskAnswer, DeskItem, Time};

impl Shard {
    pub(super) fn desk_item(&self, _now: Time, _item: &DeskItem, _step: &mut Step<'_>) {}

    pub(super) fn desk_answer(&self, _now: Time, _answer: &DeskAnswer, _step: &mut Step<'_>) {}

    pub(super) fn budget_ask(&self, _now: Time, _ask: &BudgetAsk, _step: &mut Step<'_>) {}

    pub(super) fn budget_answer(&self, _now: Time, _answer: &BudgetAnswer, _step: &mut Step<'_>) {}

    pub(super) fn budget_return(&self, _rule: &str, _action: &ActionId, _service_id: &str, _step: &mut Step<'_>) {}
}
