//! Which escalation policy an incident gets: the one with the highest priority, then the smallest name (SPEC 4.6).

use crate::engine::notify::{Occasion, Said};
use crate::engine::shard::Shard;
use crate::engine::step::Step;
use crate::model::{Incident, Level, Output, Verdict, Why};
use crate::rules::Matches;
use std::sync::Arc;

/// A policy that is to start.
pub struct Chosen {
    /// Its index.
    pub at: usize,
    pub levels: Vec<Level>,
    /// Of its verdict among all.
    pub place: usize,
    /// What the decision says of it so far.
    pub verdict: Verdict,
}

impl Shard {
    /// The policy that is to start; `None`: there is none, it is muted, or the one chosen is `running` already. What became of
    /// the others goes into `said`; the chosen one's verdict is the caller's to add.
    pub(super) fn choose_policy(
        &self,
        snapshot: &Arc<Incident>,
        running: Option<&str>,
        mute: Option<Why>,
        occasion: Occasion,
        said: &mut Said,
        step: &mut Step<'_, '_>,
    ) -> Option<Chosen> {
        if self.rules.escalations().is_empty() {
            return None;
        }
        let Matches { matched, near, near_more } = self.rules.escalation_matches(snapshot);
        said.more += near_more as u32;
        let mut chosen = None;
        let mut settled = false;
        for at in matched {
            let rule = &self.rules.escalations()[at];
            let mut verdict =
                Verdict { kind: "escalation", rule: rule.name.clone(), why: Why::Acted, detail: None, actions: Vec::new() };
            if !rule.enabled {
                verdict.why = Why::Disabled;
            } else if let Some(mute) = mute {
                verdict.why = mute;
            } else if settled {
                verdict.why = Why::Outranked;
            } else {
                match self.asked(at, snapshot, running, occasion, &mut verdict) {
                    Some(levels) => {
                        settled = true;
                        chosen = Some(Chosen { at, levels, place: said.verdicts.len(), verdict });
                        continue;
                    }
                    None => settled = verdict.why == Why::AlreadyActed,
                }
            }
            self.evaluated(verdict, said, step);
        }
        said.verdicts.extend(near.into_iter().map(|(at, detail)| Verdict {
            kind: "escalation",
            rule: self.rules.escalations()[at].name.clone(),
            why: Why::Where,
            detail: Some(detail),
            actions: Vec::new(),
        }));
        chosen
    }

    /// The levels of a policy that holds; `None`: the verdict says why there are none to start.
    fn asked(
        &self,
        at: usize,
        snapshot: &Arc<Incident>,
        running: Option<&str>,
        occasion: Occasion,
        verdict: &mut Verdict,
    ) -> Option<Vec<Level>> {
        let context = self.context(snapshot, occasion.now, occasion.event);
        match self.rules.escalation_when(at, snapshot, &context) {
            Ok(true) => {}
            Ok(false) => {
                verdict.why = Why::When;
                return None;
            }
            // Uncertain: somebody is told.
            Err(error) => {
                verdict.why = Why::ScriptError;
                verdict.detail = Some(format!("when: {error}; counted as true"));
            }
        }
        if running == Some(verdict.rule.as_str()) {
            verdict.why = Why::AlreadyActed;
            verdict.detail = Some("it is under way, and goes on".to_owned());
            return None;
        }
        let levels = self.rules.levels(at, snapshot, &context);
        levels
            .map_err(|error| {
                verdict.why = Why::ScriptError;
                verdict.detail = Some(format!("levels: {error}; the next policy stands in"));
            })
            .ok()
    }

    /// Into the decision, and into the count of evaluations.
    pub(super) fn evaluated(&self, verdict: Verdict, said: &mut Said, step: &mut Step<'_, '_>) {
        self.evaluated_at(said.verdicts.len(), verdict, said, step);
    }

    pub(super) fn evaluated_at(&self, place: usize, verdict: Verdict, said: &mut Said, step: &mut Step<'_, '_>) {
        step.outputs.push(Output::Evaluated { rule: verdict.rule.clone(), result: verdict.why.name() });
        said.verdicts.insert(place.min(said.verdicts.len()), verdict);
    }
}
