//! A remediation rule's budget, at the home of its name: asked by the incident's shard, granted or refused (SPEC 4.8).

use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::{ActionId, BudgetAnswer, BudgetAsk, Time};

impl Shard {
    pub(super) fn budget_ask(&self, _now: Time, _ask: &BudgetAsk, _step: &mut Step<'_, '_>) {}

    pub(super) fn budget_answer(&self, _now: Time, _answer: &BudgetAnswer, _step: &mut Step<'_, '_>) {}

    pub(super) fn budget_return(&self, _rule: &str, _action: &ActionId, _service_id: &str, _step: &mut Step<'_, '_>) {}
}
