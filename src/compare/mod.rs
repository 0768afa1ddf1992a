//! One history through two rule sets: what each rule did under either, and which pages are gained and lost (SPEC 5,
//! `replay --against`).
//!
//! - `tally`: what one replay said, counted; `team`: whose page it is; this file: two tallies side by side
//!
//! A page is one recipient told of one event of one incident at one moment. It is the same page under both sets whatever the
//! rule that sent it is called there, so that a renamed rule gains and loses nothing.

mod tally;
mod team;

pub use tally::{Example, Tallied, Tally};

use crate::model::{Time, time::HOUR};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Examples of each rule that are kept, the first in time.
const EXAMPLES: usize = 3;

/// What a changed rule set would change.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Comparison {
    /// Incidents opened; the same unless the input could not be taken twice.
    pub incidents: u64,
    pub pages: Pages,
    /// Every rule of either set, also where it did nothing; the changed ones first.
    pub rules: Vec<RuleChange>,
    /// Only where something differs; by team, then hour.
    pub teams: Vec<TeamHour>,
}

/// Notifications and escalations, each recipient counted.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Pages {
    pub before: u64,
    pub after: u64,
    pub gained: u64,
    pub lost: u64,
}

#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct RuleChange {
    /// `notification`, `escalation`, `remediation`, or `default_channels`.
    pub kind: &'static str,
    pub rule: String,
    /// Actions that it wrote; `None`: the set has no such rule.
    pub before: Option<u64>,
    pub after: Option<u64>,
    pub gained: u64,
    pub lost: u64,
    pub first_gained: Vec<Example>,
    pub first_lost: Vec<Example>,
}

#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct TeamHour {
    /// Who is told: see [`Tally`].
    pub team: String,
    /// The beginning of the hour, UTC.
    pub hour: Time,
    pub gained: u64,
    pub lost: u64,
}

impl Comparison {
    pub fn new(before: &Tallied, after: &Tallied) -> Comparison {
        let mut pages = Pages { before: before.pages(), after: after.pages(), ..Pages::default() };
        let mut rules: BTreeMap<(&'static str, String), RuleChange> = BTreeMap::new();
        let named: BTreeSet<_> = before.rules.keys().chain(after.rules.keys()).cloned().collect();
        for key in named {
            let (kind, rule) = key.clone();
            let (was, is) = (before.rules.get(&key).copied(), after.rules.get(&key).copied());
            let change = RuleChange {
                kind,
                rule,
                before: was,
                after: is,
                gained: 0,
                lost: 0,
                first_gained: Vec::new(),
                first_lost: Vec::new(),
            };
            rules.insert(key, change);
        }
        let mut teams: BTreeMap<(String, i64), (u64, u64)> = BTreeMap::new();
        let mut side = |these: &Tallied, others: &Tallied, gains: bool| {
            for (page, found) in &these.told {
                let more = found.count.saturating_sub(others.told.get(page).map_or(0, |other| other.count));
                if more == 0 {
                    continue;
                }
                let example = found.example(page);
                if !page.repair {
                    let hour = example.at.0.div_euclid(HOUR);
                    let (gained, lost) = teams.entry((example.team.clone(), hour)).or_default();
                    *(if gains { &mut *gained } else { &mut *lost }) += more;
                    *(if gains { &mut pages.gained } else { &mut pages.lost }) += more;
                }
                if let Some(rule) = rules.get_mut(&(found.kind, found.rule.clone())) {
                    let (count, first) = match gains {
                        true => (&mut rule.gained, &mut rule.first_gained),
                        false => (&mut rule.lost, &mut rule.first_lost),
                    };
                    *count += more;
                    if first.len() < EXAMPLES {
                        first.push(example);
                    }
                }
            }
        };
        side(after, before, true);
        side(before, after, false);
        let mut rules: Vec<RuleChange> = rules.into_values().collect();
        rules.sort_by_key(|rule| (rule.gained + rule.lost == 0 && rule.before == rule.after, rule.kind, rule.rule.clone()));
        let teams =
            teams.into_iter().map(|((team, hour), (gained, lost))| TeamHour { team, hour: Time(hour * HOUR), gained, lost });
        Comparison { incidents: after.incidents.max(before.incidents), pages, rules, teams: teams.collect() }
    }
}
