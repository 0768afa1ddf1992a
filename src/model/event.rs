//! What may happen to an incident that a notification rule can listen to with `on` (SPEC 4.7).

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum RuleEvent {
    Triggered,
    Occurrence,
    SeverityChanged,
    Acknowledged,
    Escalated,
    Resolved,
    Reopened,
    Closed,
    Unsuppressed,
    Unacknowledged,
    Flapping,
    RemediationFailed,
    ApprovalRequired,
    /// Not one to listen to: what a `repeat_minutes` reminder carries as its `event`.
    Reminder,
}

impl RuleEvent {
    /// Those that `on` may name, in the SPEC's order.
    pub const LISTENABLE: [RuleEvent; 13] = [
        RuleEvent::Triggered,
        RuleEvent::Occurrence,
        RuleEvent::SeverityChanged,
        RuleEvent::Acknowledged,
        RuleEvent::Escalated,
        RuleEvent::Resolved,
        RuleEvent::Reopened,
        RuleEvent::Closed,
        RuleEvent::Unsuppressed,
        RuleEvent::Unacknowledged,
        RuleEvent::Flapping,
        RuleEvent::RemediationFailed,
        RuleEvent::ApprovalRequired,
    ];

    pub fn name(self) -> &'static str {
        match self {
            RuleEvent::Triggered => "triggered",
            RuleEvent::Occurrence => "occurrence",
            RuleEvent::SeverityChanged => "severity_changed",
            RuleEvent::Acknowledged => "acknowledged",
            RuleEvent::Escalated => "escalated",
            RuleEvent::Resolved => "resolved",
            RuleEvent::Reopened => "reopened",
            RuleEvent::Closed => "closed",
            RuleEvent::Unsuppressed => "unsuppressed",
            RuleEvent::Unacknowledged => "unacknowledged",
            RuleEvent::Flapping => "flapping",
            RuleEvent::RemediationFailed => "remediation_failed",
            RuleEvent::ApprovalRequired => "approval_required",
            RuleEvent::Reminder => "reminder",
        }
    }

    pub fn named(name: &str) -> Option<RuleEvent> {
        RuleEvent::LISTENABLE.into_iter().find(|event| event.name() == name)
    }

    /// Does it begin an epoch, standing for `triggered` in it (SPEC 4.5)?
    pub fn opens_epoch(self) -> bool {
        matches!(self, RuleEvent::Reopened | RuleEvent::Unsuppressed | RuleEvent::Unacknowledged)
    }
}

impl fmt::Display for RuleEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of events, a bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct EventSet(u16);

impl EventSet {
    pub const EMPTY: EventSet = EventSet(0);

    pub const fn with(self, event: RuleEvent) -> EventSet {
        EventSet(self.0 | 1 << event as u16)
    }

    pub fn has(self, event: RuleEvent) -> bool {
        self.0 & 1 << event as u16 != 0
    }

    pub fn union(self, other: EventSet) -> EventSet {
        EventSet(self.0 | other.0)
    }

    pub fn intersects(self, other: EventSet) -> bool {
        self.0 & other.0 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }
}

impl FromIterator<RuleEvent> for EventSet {
    fn from_iter<I: IntoIterator<Item = RuleEvent>>(events: I) -> EventSet {
        events.into_iter().fold(EventSet::EMPTY, EventSet::with)
    }
}
