//! A shard laid open for whoever asks or checks: counts, all of its state, and what is still waited for.

use crate::engine::book::Stage;
use crate::engine::changelog::{StateRecord, encode, incident_key, snapshot};
use crate::engine::shard::Shard;
use crate::model::{IncidentId, Time};

impl Shard {
    /// How often the incident has occurred, what is not published yet included; `None`: it is not held.
    pub fn occurrences(&self, id: IncidentId) -> Option<u64> {
        self.store.find_id(id).and_then(|slot| self.store.get(slot)).map(|entry| entry.counts.occurrences)
    }

    /// Every incident and all else, each under a key of its own: what a restore must bring back.
    pub fn state(&self) -> Vec<StateRecord> {
        let mut state: Vec<StateRecord> = self.all_sides().iter().map(|side| self.side_record(side)).collect();
        for (_, entry) in self.store.slots() {
            let value = Some(snapshot(entry, self.store.name_of(entry), self.rules.occurrence_key()));
            state.push(StateRecord { key: incident_key(b'i', entry.id), value });
        }
        state.extend(self.upstreams.all().map(|fact| {
            let mut value = Vec::new();
            encode(&**fact, &mut value);
            StateRecord { key: incident_key(b'u', fact.id), value: Some(value) }
        }));
        state.sort_by(|a, b| a.key.cmp(&b.key));
        state
    }

    /// Incidents that fire and would hang on something else if it were worked out anew at `now`: none, where each fact was
    /// followed up.
    pub fn misplaced(&self, now: Time) -> Vec<IncidentId> {
        let firing = self.store.slots().filter(|(_, entry)| entry.status.fires());
        let misplaced = firing.filter(|(_, entry)| entry.full().is_ok_and(|mut full| self.link(&mut full, now)));
        misplaced.map(|(_, entry)| entry.id).collect()
    }

    /// Incidents that fire and for which something else must come before somebody is told, with what it is.
    pub fn waiting(&self) -> Vec<(IncidentId, String)> {
        let firing = self.store.slots().filter(|(_, entry)| entry.status.fires());
        let books = firing.filter_map(|(_, entry)| Some((entry.id, entry.full().ok()?.book)));
        let waits = |(id, book): (IncidentId, crate::engine::book::Book)| {
            let what = match book.stage {
                Stage::Open if !book.asked.is_empty() => format!("asked: {:?}", book.asked),
                Stage::Open if book.owes() => format!("owed: {:?} {:?}", book.owed, book.unrouted),
                Stage::Open => return None,
                stage => format!("{stage:?}"),
            };
            Some((id, what))
        };
        books.filter_map(waits).collect()
    }
}
