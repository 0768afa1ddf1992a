//! What one input does: changes of state and what is said, decided together and applied together (ARCHITECTURE 2).

use crate::engine::entry::{Counts, Full, Slot};
use crate::engine::sources::Signal;
use crate::model::{IncidentId, Output, Time};
use smallvec::SmallVec;

/// The outcome of [`crate::engine::Shard::step`]; nothing has happened until it is applied.
pub struct Step<'a> {
    /// Nearly always one.
    pub changes: SmallVec<[Change<'a>; 1]>,
    pub outputs: &'a mut Vec<Output>,
}

pub enum Change<'a> {
    /// An incident's counts, and its source's times where one fired.
    Count { slot: Slot, counts: Counts, fired: Option<Signal<'a>> },
    /// An incident, new or changed, whole.
    Put { slot: Option<Slot>, full: Box<Full> },
    /// A closed incident leaves; only its id stays.
    Close { slot: Slot, forget_at: Time },
    /// A closed incident's id goes too.
    Forget { id: IncidentId },
}
