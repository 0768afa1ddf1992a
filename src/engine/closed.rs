//! The ids of closed incidents, until their tombstone is due (SPEC 3.2, 4.3: `keep_closed`).

use crate::model::{IncidentId, Time};
use std::collections::{BTreeMap, BTreeSet};

#[derive(Default)]
pub struct Closed {
    forget_at: BTreeMap<IncidentId, Time>,
    by_time: BTreeSet<(Time, IncidentId)>,
}

impl Closed {
    pub fn len(&self) -> usize {
        self.forget_at.len()
    }

    pub fn holds(&self, id: IncidentId) -> bool {
        self.forget_at.contains_key(&id)
    }

    pub fn insert(&mut self, id: IncidentId, forget_at: Time) {
        self.remove(id);
        self.forget_at.insert(id, forget_at);
        self.by_time.insert((forget_at, id));
    }

    pub fn remove(&mut self, id: IncidentId) {
        if let Some(forget_at) = self.forget_at.remove(&id) {
            self.by_time.remove(&(forget_at, id));
        }
    }

    /// The one whose tombstone is due first.
    pub fn next(&self) -> Option<(Time, IncidentId)> {
        self.by_time.first().copied()
    }
}
