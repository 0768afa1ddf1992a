//! Many small things in few records: a ring of keys of the changelog (ARCHITECTURE 3).
//!
//! What of a record is out of date only its owner can tell. Displaced are the oldest first, and their keys are used again in that
//! order: so a record that says that something is gone never leaves the topic before those that hold the thing.

use crate::engine::changelog::{StateRecord, VERSION};
use std::collections::VecDeque;

// In tests all three are small, so that the ring turns.

/// Bytes of one record: well below any broker's record limit.
const RECORD_BYTES: usize = if cfg!(test) { 256 } else { 256 * 1024 };
/// Keys of the ring. Past it the oldest record is rewritten, whatever it holds.
const RING_KEYS: usize = if cfg!(test) { 16 } else { 1024 };
/// How many things the ring may hold beyond twice those that there are.
pub(super) const RING_SLACK: usize = if cfg!(test) { 8 } else { 4096 };

/// The records that are in force: which things each holds, oldest first.
pub struct Ring<T> {
    /// The first byte of its keys.
    kind: u8,
    records: VecDeque<Record<T>>,
    free: VecDeque<u16>,
    used: u16,
    /// Of the newest commit, from 1 on; things name it as where they were written last.
    sequence: u64,
    /// Things in all records, superseded ones included.
    total: usize,
}

struct Record<T> {
    key: u16,
    sequence: u64,
    things: Box<[T]>,
}

/// The things of one commit on their way into records.
pub struct Filling<T> {
    pub sequence: u64,
    /// Full records: what they hold, and the value.
    full: Vec<(Box<[T]>, Vec<u8>)>,
    things: Vec<T>,
    value: Vec<u8>,
    total: usize,
    /// How much room the next record is given.
    room: usize,
}

impl<T> Filling<T> {
    pub fn add(&mut self, thing: T, write: impl FnOnce(&mut Vec<u8>)) {
        if self.value.is_empty() {
            self.value.reserve_exact(self.room);
            self.value.push(VERSION);
        }
        write(&mut self.value);
        self.things.push(thing);
        self.total += 1;
        if self.value.len() >= RECORD_BYTES {
            self.end_record();
        }
    }

    fn end_record(&mut self) {
        if !self.things.is_empty() {
            self.full.push((std::mem::take(&mut self.things).into(), std::mem::take(&mut self.value)));
        }
    }
}

impl<T> Ring<T> {
    pub fn new(kind: u8) -> Ring<T> {
        Ring { kind, records: VecDeque::new(), free: VecDeque::new(), used: 0, sequence: 0, total: 0 }
    }

    /// `expected`: for how many things there is room from the beginning; `bytes`: about what one takes.
    pub fn begin(&self, expected: usize, bytes: usize) -> Filling<T> {
        let room = expected.saturating_mul(bytes).min(RECORD_BYTES) + 2 * bytes;
        Filling { sequence: self.sequence + 1, full: Vec::new(), things: Vec::new(), value: Vec::new(), total: 0, room }
    }

    /// Writes the things. `live`: how many there are in all; `again`: adds those of a record of that sequence that are in force,
    /// where the record is displaced.
    pub fn write(
        &mut self,
        mut filling: Filling<T>,
        live: usize,
        mut again: impl FnMut(&[T], u64, &mut Filling<T>),
        sink: &mut dyn FnMut(StateRecord),
    ) {
        if filling.total == 0 {
            return;
        }
        self.sequence = filling.sequence;
        while self.records.len() >= RING_KEYS || self.total + filling.total > 2 * live + RING_SLACK {
            let Some(oldest) = self.records.pop_front() else { break };
            self.total -= oldest.things.len();
            self.free.push_back(oldest.key);
            again(&oldest.things, oldest.sequence, &mut filling);
        }
        filling.end_record();
        for (things, value) in filling.full {
            let key = self.free.pop_front().unwrap_or_else(|| {
                let unused = self.used;
                self.used += 1;
                unused
            });
            let [high, low] = key.to_be_bytes();
            sink(StateRecord { key: vec![self.kind, high, low], value: Some(value) });
            self.push(key, things);
        }
    }

    /// Begins to put a record back, under the key of which nothing else is in force any more. Returns its sequence.
    pub fn restore(&mut self, key: &[u8]) -> Result<(u16, u64), String> {
        let [_, high, low] = key else { return Err(format!("a key of {} bytes where 3 are wanted", key.len())) };
        let key = u16::from_be_bytes([*high, *low]);
        if let Some(at) = self.records.iter().position(|record| record.key == key) {
            self.total -= self.records.remove(at).map_or(0, |record| record.things.len());
        }
        self.used = self.used.max(key + 1);
        self.sequence += 1;
        Ok((key, self.sequence))
    }

    /// What a record holds that was put back.
    pub fn push(&mut self, key: u16, things: Box<[T]>) {
        self.total += things.len();
        self.records.push_back(Record { key, sequence: self.sequence, things });
    }
}
