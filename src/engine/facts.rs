//! What other shards tell this one (ARCHITECTURE 5).

use crate::engine::Outcome;
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::model::{Fact, Output, Time};
use std::sync::Arc;

impl Shard {
    /// Takes what other shards have told. Whom several facts concern, as where a service depends on many, is linked anew once.
    pub fn process_facts(&mut self, now: Time, facts: &[Fact], out: &mut Vec<Output>) {
        for fact in facts {
            let is_upstream = matches!(fact, Fact::Upstream(_));
            if !is_upstream {
                self.follow(now, out);
            }
            let mut step = Step::new(out);
            self.fact(now, fact, &mut step);
            self.apply(step.changes);
            if !is_upstream {
                self.follow(now, out);
            }
        }
        self.follow(now, out);
    }

    pub(super) fn fact(&self, now: Time, fact: &Fact, step: &mut Step<'_, '_>) -> Outcome {
        match fact {
            Fact::Upstream(upstream) => {
                if self.upstreams.is_news(upstream) {
                    step.changes.push(Change::Upstream { fact: Arc::clone(upstream), now });
                }
            }
            Fact::Silence(silence) => self.silence_known(silence, step),
            Fact::Item(item) => self.desk_item(now, item, step),
            Fact::Answer(answer) => self.desk_answer(now, answer, step),
            Fact::BudgetAsk(ask) => self.budget_ask(now, ask, step),
            Fact::BudgetAnswer(answer) => self.budget_answer(now, answer, step),
            Fact::BudgetReturn { rule, action, .. } => self.budget_return(rule, action, step),
            Fact::Withdraw { rule, incident_id, epoch } => self.desk_withdraw(rule, *incident_id, *epoch, step),
        }
        Outcome::Done(None)
    }
}
