//! A shard with what it has said since its last commit; or, where an input topic is cut otherwise than the shards, one
//! of its partitions, which a stateless lane forwards.

use crate::codec::{FactBatch, OutRecord};
use crate::engine::{Shard, StateRecord};
use crate::kafka::Slot;
use crate::model::{Fact, Output, Time, Topic};
use crate::worker::INPUTS;
use crate::worker::catch_up::CatchUp;
use crate::worker::report::Committed;
use std::time::Instant;

/// At most so many latencies of one transaction are told.
const LATENCIES: usize = 1_000;

/// How far a lane has read one of its partitions.
#[derive(Clone, Copy, Debug)]
pub struct Position {
    pub slot: Slot,
    /// The offset after the last record taken.
    pub next: i64,
    /// Where the partition ended when it was assigned.
    pub end: i64,
    /// It was read to there; markers at the end take offsets that no record shows, so `next` cannot tell.
    pub caught_up: bool,
}

/// One unit of a transaction: buffer, offsets and counts stand and fall together.
pub struct Lane {
    /// The shard's partition; `None` for a forwarder.
    pub home: Option<u32>,
    /// `None` in a forwarder, and while `pending`.
    pub shard: Option<Shard>,
    /// To be restored before it takes anything.
    pub pending: bool,
    /// It is behind, and holds its shard.
    pub catch_up: Option<Box<CatchUp>>,
    /// By place in [`INPUTS`].
    pub positions: [Option<Position>; INPUTS.len()],
    /// What other shards have told since the last record of another kind: taken together, before any other and before a commit.
    pub facts: Vec<Fact>,
    pub buffer: Vec<OutRecord>,
    /// What other shards are to be told, behind the buffer.
    pub telling: FactBatch,
    /// Of the buffer and of what is to be told: keys, values and headers.
    pub bytes: usize,
    /// What a commit of the buffer will count.
    pub counts: Committed,
    /// Kafka timestamps of the records that caused actions.
    pub causes: Vec<Time>,
    /// When the first thing that is not committed yet came.
    pub since: Option<Instant>,
    /// Somebody waits for what is buffered: an action, another shard, a person.
    pub urgent: bool,
    /// Who sent an alert waits for its answer.
    pub awaited: bool,
    /// What the shard says of the input at hand; emptied after each.
    pub said: Vec<Output>,
}

impl Lane {
    pub fn new(home: Option<u32>) -> Lane {
        Lane {
            home,
            shard: None,
            pending: true,
            catch_up: None,
            positions: [None; INPUTS.len()],
            facts: Vec::new(),
            buffer: Vec::new(),
            telling: FactBatch::default(),
            bytes: 0,
            counts: Committed::default(),
            causes: Vec::new(),
            since: None,
            urgent: false,
            awaited: false,
            said: Vec::new(),
        }
    }

    pub fn slots(&self) -> impl Iterator<Item = Slot> {
        self.positions.iter().flatten().map(|position| position.slot)
    }

    pub fn offsets(&self) -> impl Iterator<Item = (Slot, i64)> {
        self.positions.iter().flatten().map(|position| (position.slot, position.next))
    }

    pub fn caught_up(&self) -> bool {
        !self.pending && self.positions.iter().flatten().all(|position| position.caught_up)
    }

    /// The shard is forgotten with all it did since its last commit, to be restored.
    pub fn reset(&mut self) {
        self.shard = None;
        self.pending = true;
        self.catch_up = None;
        self.facts.clear();
        self.settle();
    }

    /// Puts a record behind what is buffered.
    pub fn say(&mut self, record: OutRecord) {
        self.bytes += size(&record);
        self.buffer.push(record);
    }

    pub fn touch(&mut self, at: Instant) {
        self.since.get_or_insert(at);
    }

    /// Notes what caused an action, for its latency.
    pub fn cause(&mut self, time: Time) {
        if self.causes.len() < LATENCIES {
            self.causes.push(time);
        }
    }

    /// All that is to be committed, behind `records`: what was said, what others are told, the changelog.
    pub fn records(&mut self, records: &mut Vec<OutRecord>) {
        debug_assert!(self.facts.is_empty(), "every batch ends with a look at the timers, which takes them first");
        records.append(&mut self.buffer);
        records.extend(self.telling.take());
        let partition = self.home;
        if let Some(shard) = &mut self.shard {
            shard.changelog(&mut |StateRecord { key, value }| {
                records.push(OutRecord { topic: Topic::State, partition, key: Some(key), value, headers: Vec::new() });
            });
        }
    }

    /// What was buffered is with a transaction, or void: nothing of it is left here.
    pub fn settle(&mut self) {
        self.buffer.clear();
        self.telling = FactBatch::default();
        self.bytes = 0;
        self.counts = Committed::default();
        self.causes.clear();
        self.since = None;
        self.urgent = false;
        self.awaited = false;
    }
}

/// Bytes of a record's parts.
pub fn size(record: &OutRecord) -> usize {
    let headers: usize = record.headers.iter().map(|(name, value)| name.len() + value.len()).sum();
    record.key.as_ref().map_or(0, Vec::len) + record.value.as_ref().map_or(0, Vec::len) + headers
}
