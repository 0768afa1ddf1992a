//! The counts of many incidents in few records of the changelog, newer than the incidents' snapshots.

use crate::engine::changelog::{AHEAD, StateRecord, damaged, encode};
use crate::engine::entry::{Counts, Entry, Slot};
use crate::engine::ring::{Filling, Ring};
use crate::engine::store::Store;
use crate::model::{IncidentId, Time};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// About what one takes.
const BYTES: usize = 72;

#[derive(Serialize, Deserialize)]
pub(super) struct CountEntry {
    id: IncidentId,
    counts: Counts,
    /// [`crate::engine::sources::Sources::times`].
    fired_at: SmallVec<[Time; 1]>,
}

/// Whose counts each record holds; entries name the one that holds theirs in `counted_in`.
pub struct Counted(Ring<Slot>);

impl Default for Counted {
    fn default() -> Counted {
        Counted(Ring::new(b'n'))
    }
}

impl Counted {
    /// `expected`: as [`Ring::begin`] has it.
    pub fn begin(&self, expected: usize) -> Filling<Slot> {
        self.0.begin(expected, BYTES)
    }

    pub fn write(&mut self, store: &mut Store, counts: Filling<Slot>, sink: &mut dyn FnMut(StateRecord)) {
        let live = store.len();
        let again = |slots: &[Slot], sequence: u64, counts: &mut Filling<Slot>| {
            for (at, slot) in slots.iter().enumerate() {
                if let Some(later) = slots.get(at + AHEAD) {
                    store.prefetch(*later);
                }
                if let Some(entry) = store.get_mut(*slot).filter(|entry| entry.counted_in == sequence) {
                    add(counts, *slot, entry);
                }
            }
        };
        self.0.write(counts, live, again, sink);
    }

    pub fn restore(&mut self, store: &mut Store, key: &[u8], mut value: &[u8]) -> Result<(), String> {
        let (key, sequence) = self.0.restore(key)?;
        let mut slots = Vec::new();
        while !value.is_empty() {
            let (counts, rest) = postcard::take_from_bytes::<CountEntry>(value).map_err(damaged)?;
            value = rest;
            // One whose snapshot comes later, or that has closed since, is not there: this count is out of date.
            if let Some(slot) = store.find_id(counts.id)
                && let Some(entry) = store.get_mut(slot)
            {
                entry.counts = counts.counts;
                entry.sources.set_times(counts.fired_at.into_iter());
                entry.counted_in = sequence;
                slots.push(slot);
            }
        }
        self.0.push(key, slots.into());
        Ok(())
    }
}

pub fn add(counts: &mut Filling<Slot>, slot: Slot, entry: &mut Entry) {
    entry.counted_in = counts.sequence;
    let count = CountEntry { id: entry.id, counts: entry.counts.clone(), fired_at: entry.sources.times().collect() };
    counts.add(slot, |value| encode(&count, value));
}
