//! Where an incident stands, and the one table of what may follow what (SPEC 3.3).

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    Triggered,
    Acknowledged,
    Investigating,
    Identified,
    Resolved,
    Closed,
}

impl Status {
    pub const ALL: [Status; 6] =
        [Status::Triggered, Status::Acknowledged, Status::Investigating, Status::Identified, Status::Resolved, Status::Closed];

    pub fn name(self) -> &'static str {
        match self {
            Status::Triggered => "triggered",
            Status::Acknowledged => "acknowledged",
            Status::Investigating => "investigating",
            Status::Identified => "identified",
            Status::Resolved => "resolved",
            Status::Closed => "closed",
        }
    }

    /// May a command lead from here to `next`? The same status again is no change and always allowed.
    pub fn may_become(self, next: Status) -> bool {
        use Status::*;
        self == next
            || match self {
                Triggered => true,
                Acknowledged => matches!(next, Investigating | Identified | Resolved | Closed),
                Investigating => matches!(next, Identified | Resolved | Closed),
                Identified => matches!(next, Investigating | Resolved | Closed),
                Resolved => matches!(next, Closed | Triggered),
                Closed => false,
            }
    }

    /// *Fires* (SPEC 4.5): neither resolved nor closed.
    pub fn fires(self) -> bool {
        !matches!(self, Status::Resolved | Status::Closed)
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
