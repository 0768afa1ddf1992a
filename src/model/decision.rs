//! Why each rule did or did not act: nobody should have to guess why nobody was paged (SPEC 3.6).

use crate::model::{ActionId, IncidentId, RuleEvent, Time};
use std::fmt;

/// For one event of one incident, every rule that was a candidate.
#[derive(Clone, PartialEq, Debug)]
pub struct Decision {
    pub incident_id: IncidentId,
    pub event: RuleEvent,
    pub at: Time,
    /// The hash of the rule set that was in force.
    pub rules_hash: String,
    pub verdicts: Vec<Verdict>,
    /// Further rules of this event that missed by one field of their `where`, past those listed.
    pub more: u32,
}

#[derive(Clone, PartialEq, Debug)]
pub struct Verdict {
    /// `notification`, `escalation`, `remediation`, or `default_channels`.
    pub kind: &'static str,
    /// The rule's name; empty for `default_channels`.
    pub rule: String,
    pub why: Why,
    /// What it means in words: the field that did not match, the script's error.
    pub detail: Option<String>,
    /// The actions that were written; also where a script failed and a stand-in acted.
    pub actions: Vec<ActionId>,
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Why {
    Acted,
    Where,
    When,
    Disabled,
    RateLimited,
    Digested,
    Silenced,
    Suppressed,
    Snoozed,
    Held,
    /// Kept quiet, for it opens and resolves all the time (`flapping`).
    Flapping,
    AttemptsExhausted,
    Cooldown,
    Conditions,
    Budget,
    ScriptError,
    /// Waits for the Nth occurrence (`after_occurrences`).
    AfterOccurrences,
    /// Its `channels` gave none: nobody was told by it.
    NoChannels,
    /// Acted already in this epoch: a `triggered` rule acts on entering its match; a policy is under way.
    AlreadyActed,
    /// Another policy or remediation goes before it.
    Outranked,
    /// Nobody is behind the targets of any level.
    Nobody,
    /// Its approval was refused, or did not come in time.
    NotApproved,
}

impl Why {
    pub fn name(self) -> &'static str {
        match self {
            Why::Acted => "acted",
            Why::Where => "where",
            Why::When => "when",
            Why::Disabled => "disabled",
            Why::RateLimited => "rate_limited",
            Why::Digested => "digested",
            Why::Silenced => "silenced",
            Why::Suppressed => "suppressed",
            Why::Snoozed => "snoozed",
            Why::Held => "held",
            Why::Flapping => "flapping",
            Why::AttemptsExhausted => "attempts_exhausted",
            Why::Cooldown => "cooldown",
            Why::Conditions => "conditions",
            Why::Budget => "budget",
            Why::ScriptError => "script_error",
            Why::AfterOccurrences => "after_occurrences",
            Why::NoChannels => "no_channels",
            Why::AlreadyActed => "already_acted",
            Why::Outranked => "outranked",
            Why::Nobody => "nobody",
            Why::NotApproved => "not_approved",
        }
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
