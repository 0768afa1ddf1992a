//! The counts of many incidents in few records: a ring of keys of the changelog (ARCHITECTURE 3).

use crate::engine::changelog::{AHEAD, StateRecord, VERSION, encode};
use crate::engine::entry::{Counts, Entry, Slot};
use crate::engine::store::Store;
use crate::model::{IncidentId, Time};
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::VecDeque;

// In tests all three are small, so that the ring turns.

/// Bytes of one count record: well below any broker's record limit.
const RECORD_BYTES: usize = if cfg!(test) { 256 } else { 256 * 1024 };
/// Keys of the ring. Past it the oldest record is rewritten, whatever it holds.
const RING_KEYS: usize = if cfg!(test) { 16 } else { 1024 };
/// How many counts the ring may hold beyond twice the incidents that there are.
pub(super) const RING_SLACK: usize = if cfg!(test) { 8 } else { 4096 };

/// About what one count takes.
const COUNT_BYTES: usize = 72;

#[derive(Serialize, Deserialize)]
pub(super) struct CountEntry {
    id: IncidentId,
    counts: Counts,
    /// [`Sources::times`].
    fired_at: SmallVec<[Time; 1]>,
}

/// The count records that are in force: which incidents each holds, oldest first.
#[derive(Default)]
pub struct CountRing {
    records: VecDeque<CountRecord>,
    free: Vec<u16>,
    used: u16,
    /// Of the newest commit; entries name it in `counted_in`.
    sequence: u64,
    /// Entries in all records, superseded ones included.
    total: usize,
}

struct CountRecord {
    key: u16,
    sequence: u64,
    slots: Box<[Slot]>,
}

/// The counts of one commit on their way into records.
pub struct Counting {
    sequence: u64,
    /// Full records: whose counts, and the value.
    full: Vec<(Box<[Slot]>, Vec<u8>)>,
    slots: Vec<Slot>,
    value: Vec<u8>,
    total: usize,
    /// How much room the next record is given.
    room: usize,
}

impl Counting {
    pub fn add(&mut self, slot: Slot, entry: &mut Entry) {
        entry.counted_in = self.sequence;
        if self.value.is_empty() {
            self.value.reserve_exact(self.room);
            self.value.push(VERSION);
        }
        let counts = &entry.counts;
        encode(&CountEntry { id: entry.id, counts: counts.clone(), fired_at: entry.sources.times().collect() }, &mut self.value);
        self.slots.push(slot);
        self.total += 1;
        if self.value.len() >= RECORD_BYTES {
            self.end_record();
        }
    }

    fn end_record(&mut self) {
        if !self.slots.is_empty() {
            self.full.push((std::mem::take(&mut self.slots).into(), std::mem::take(&mut self.value)));
        }
    }
}

impl CountRing {
    /// `most`: how many counts may come.
    pub fn begin(&self, most: usize) -> Counting {
        let room = (most.saturating_mul(COUNT_BYTES)).min(RECORD_BYTES) + 2 * COUNT_BYTES;
        Counting { sequence: self.sequence + 1, full: Vec::new(), slots: Vec::new(), value: Vec::new(), total: 0, room }
    }

    /// Writes the counts, and again those still valid of the records that they displace.
    pub fn write(&mut self, store: &mut Store, mut counts: Counting, sink: &mut dyn FnMut(StateRecord)) {
        if counts.total == 0 {
            return;
        }
        self.sequence = counts.sequence;
        while self.records.len() >= RING_KEYS || self.total + counts.total > 2 * store.len() + RING_SLACK {
            let Some(oldest) = self.records.pop_front() else { break };
            self.total -= oldest.slots.len();
            self.free.push(oldest.key);
            for (at, slot) in oldest.slots.iter().enumerate() {
                if let Some(later) = oldest.slots.get(at + AHEAD) {
                    store.prefetch(*later);
                }
                if let Some(entry) = store.get_mut(*slot)
                    && entry.counted_in == oldest.sequence
                {
                    counts.add(*slot, entry);
                }
            }
        }
        counts.end_record();
        for (slots, value) in counts.full {
            self.push(slots, value, sink);
        }
    }

    fn push(&mut self, slots: Box<[Slot]>, value: Vec<u8>, sink: &mut dyn FnMut(StateRecord)) {
        let key = self.free.pop().unwrap_or_else(|| {
            let unused = self.used;
            self.used += 1;
            unused
        });
        sink(StateRecord { key: ring_key(key), value: Some(value) });
        self.total += slots.len();
        self.records.push_back(CountRecord { key, sequence: self.sequence, slots });
    }

    pub fn restore(&mut self, store: &mut Store, key: u16, mut value: &[u8]) -> Result<(), postcard::Error> {
        if let Some(at) = self.records.iter().position(|record| record.key == key) {
            self.total -= self.records.remove(at).map_or(0, |record| record.slots.len());
        }
        self.sequence += 1;
        let mut slots = Vec::new();
        while !value.is_empty() {
            let (counts, rest) = postcard::take_from_bytes::<CountEntry>(value)?;
            value = rest;
            // One whose snapshot comes later, or that has closed since, is not there: this count is out of date.
            if let Some(slot) = store.find_id(counts.id)
                && let Some(entry) = store.get_mut(slot)
            {
                entry.counts = counts.counts;
                entry.sources.set_times(counts.fired_at.into_iter());
                entry.counted_in = self.sequence;
                slots.push(slot);
            }
        }
        self.total += slots.len();
        self.used = self.used.max(key + 1);
        self.records.push_back(CountRecord { key, sequence: self.sequence, slots: slots.into() });
        Ok(())
    }
}

fn ring_key(key: u16) -> Vec<u8> {
    let [high, low] = key.to_be_bytes();
    vec![b'n', high, low]
}
