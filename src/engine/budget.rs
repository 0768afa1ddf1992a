//! A remediation rule's budget, at the home of its name: asked by the incident's shard, granted or refused (SPEC 4.8).

use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::model::time::HOUR;
use crate::model::{ActionId, BudgetAnswer, BudgetAsk, Fact, Output, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Grants of one rule within the hour; past it all are refused, whatever the rule says. In tests few, so that it is reached.
const MOST_GRANTS: usize = if cfg!(test) { 8 } else { 1_000 };

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Grant {
    pub action: ActionId,
    pub service_id: String,
    /// Wall time here.
    pub at: Time,
}

/// What was granted in the last hour, by rule; the oldest first.
#[derive(Default)]
pub struct Budgets {
    held: BTreeMap<String, Vec<Grant>>,
    /// When nothing of a rule counts any more.
    ends: BTreeSet<(Time, String)>,
}

fn end(grants: &[Grant]) -> Time {
    grants.iter().map(|grant| grant.at + HOUR).max().unwrap_or(Time(0))
}

impl Budgets {
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.held.keys()
    }

    pub fn get(&self, rule: &str) -> Option<&Vec<Grant>> {
        self.held.get(rule)
    }

    pub fn put(&mut self, rule: String, grants: Vec<Grant>) {
        self.remove(&rule);
        self.ends.insert((end(&grants), rule.clone()));
        self.held.insert(rule, grants);
    }

    pub fn remove(&mut self, rule: &str) {
        if let Some(grants) = self.held.remove(rule) {
            self.ends.remove(&(end(&grants), rule.to_owned()));
        }
    }

    /// The rule that is to be forgotten first.
    pub fn next(&self) -> Option<(Time, &str)> {
        self.ends.first().map(|(at, rule)| (*at, rule.as_str()))
    }

    /// Those that count at `now`.
    fn counting(&self, rule: &str, now: Time) -> Vec<Grant> {
        let held = self.get(rule).map_or(&[][..], Vec::as_slice);
        held.iter().filter(|grant| now - grant.at < HOUR).cloned().collect()
    }
}

impl Shard {
    /// May it start? Asked again for the same action, the answer is the same while the grant counts.
    pub(super) fn budget_ask(&self, now: Time, ask: &BudgetAsk, step: &mut Step<'_, '_>) {
        let mut grants = self.budgets.counting(&ask.rule, now);
        let known = grants.iter().any(|grant| grant.action == ask.action);
        let within = |most: Option<u64>, count: usize| most.is_none_or(|most| (count as u64) < most);
        let of_service = grants.iter().filter(|grant| grant.service_id == ask.service_id).count();
        let granted = known
            || (within(ask.max_per_hour, grants.len())
                && within(ask.max_per_service_per_hour, of_service)
                && grants.len() < MOST_GRANTS);
        if granted && !known {
            grants.push(Grant { action: ask.action.clone(), service_id: ask.service_id.clone(), at: now });
            step.changes.push(Change::Budget { rule: ask.rule.clone(), grants });
        }
        let answer = BudgetAnswer {
            rule: ask.rule.clone(),
            incident_id: ask.incident_id,
            service_id: ask.service_id.clone(),
            action: ask.action.clone(),
            granted,
        };
        step.outputs
            .push(Output::Fact { to: vec![u32::from(ask.incident_id.partition)], fact: Fact::BudgetAnswer(Box::new(answer)) });
    }

    /// A grant that was not used counts no more.
    pub(super) fn budget_return(&self, rule: &str, action: &ActionId, step: &mut Step<'_, '_>) {
        let Some(held) = self.budgets.get(rule).filter(|held| held.iter().any(|grant| grant.action == *action)) else { return };
        let grants = held.iter().filter(|grant| grant.action != *action).cloned().collect();
        step.changes.push(Change::Budget { rule: rule.to_owned(), grants });
    }
}
