//! The changelog topic in memory: what a restored shard reads, compacted as Kafka may compact it.

use crate::engine::{Shard, StateRecord};
use std::collections::BTreeMap;

/// The last record of each key, in the order of their offsets.
#[derive(Default)]
pub struct StateLog {
    next: u64,
    offset_of: BTreeMap<Vec<u8>, u64>,
    records: BTreeMap<u64, StateRecord>,
}

impl StateLog {
    pub fn append(&mut self, record: StateRecord) {
        if let Some(before) = self.offset_of.insert(record.key.clone(), self.next) {
            self.records.remove(&before);
        }
        self.records.insert(self.next, record);
        self.next += 1;
    }

    /// # Panics
    /// Where the shard cannot read what it wrote itself: a fault of this program, not of its input.
    pub fn restore(&self, shard: &mut Shard) {
        for record in self.records.values() {
            if let Err(error) = shard.restore(&record.key, record.value.as_deref()) {
                panic!("the changelog cannot be read back: {error}");
            }
        }
        shard.restored();
    }
}
