//! What a shard writes down to be rebuilt from: records of `incidentd-state` (ARCHITECTURE 3).
//!
//! | key | value |
//! |---|---|
//! | `i` + id | an incident whole: [`Head`], then its packed body; a tombstone once it has closed |
//! | `c` + id | when the tombstone of a closed incident is due |
//! | `n` + number | counts of many incidents, newer than their snapshots: one of a ring of keys |
//! | `s`, `u`, `v`, `a`, `b`, `d`, `g`, `w` | what is known beside incidents: see `sides` |
//! | `r` | the hash of the rule set by whose dependencies links were last worked out |
//!
//! The first byte of every value is the format's version.

use crate::engine::entry::{Counts, Dirty, Entry, Slot, Timing, Traits, rules_key};
use crate::engine::shard::Shard;
use crate::engine::sources::Sources;
use crate::engine::store::Store;
use crate::model::{IncidentId, Severity, Status, Time};
use crate::rules::Dependencies;
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};
use smallvec::SmallVec;
use std::collections::VecDeque;

/// A record of the changelog topic; `None` is a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub struct StateRecord {
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// An incident that left the store since the last commit.
pub enum Gone {
    Closed(IncidentId, Time),
    Forgotten(IncidentId),
}

pub const VERSION: u8 = 1;
// In tests all three are small, so that the ring turns.

/// Bytes of one count record: well below any broker's record limit.
const RECORD_BYTES: usize = if cfg!(test) { 256 } else { 256 * 1024 };
/// Keys of the ring. Past it the oldest record is rewritten, whatever it holds.
const RING_KEYS: usize = if cfg!(test) { 16 } else { 1024 };
/// How many counts the ring may hold beyond twice the incidents that there are.
const RING_SLACK: usize = if cfg!(test) { 8 } else { 4096 };

/// About what one count takes.
const COUNT_BYTES: usize = 72;
/// Entries that are asked for ahead of their turn.
const AHEAD: usize = 8;
/// Dirty entries for which the list's memory is kept.
const DIRTY_KEPT: usize = 1 << 16;

/// What of an entry is not in its body, or is wanted without unpacking it.
#[derive(Serialize, Deserialize)]
struct Head<'a> {
    fingerprint: [u8; 16],
    #[serde(borrow)]
    service_id: std::borrow::Cow<'a, str>,
    status: Status,
    severity: Severity,
    first_seen_at: Time,
    resolved_at: Time,
    counts: Counts,
    timing: Timing,
    traits: Traits,
    related: std::borrow::Cow<'a, [IncidentId]>,
    sources: std::borrow::Cow<'a, Sources>,
    /// [`rules_key`] of the set that was in force: under another one `timing.ask_at` means nothing.
    rules: u64,
}

#[derive(Serialize, Deserialize)]
struct CountEntry {
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

pub fn incident_key(kind: u8, id: IncidentId) -> Vec<u8> {
    let mut key = Vec::with_capacity(11);
    key.push(kind);
    key.extend_from_slice(&id.partition.to_be_bytes());
    key.extend_from_slice(&id.hash.to_be_bytes());
    key
}

/// Writes behind what `bytes` holds already; postcard's own way there goes byte by byte.
struct Behind<'v>(&'v mut Vec<u8>);

impl Flavor for Behind<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}

pub fn encode<T: Serialize>(value: &T, bytes: &mut Vec<u8>) {
    // Plain structs of known length: nothing in them can refuse.
    let _ = postcard::serialize_with_flavor(value, Behind(bytes));
}

impl Shard {
    /// One record per entity that changed since the last call. Called once per commit of this shard.
    pub fn changelog(&mut self, sink: &mut dyn FnMut(StateRecord)) {
        let rules = rules_key(self.rules.hash());
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut counts = self.ring.begin(dirty.len());
        for (at, &slot) in dirty.iter().enumerate() {
            if let Some(later) = dirty.get(at + AHEAD) {
                self.store.prefetch(*later);
            }
            let Some(entry) = self.store.get_mut(slot) else { continue };
            match std::mem::replace(&mut entry.dirty, Dirty::Clean) {
                Dirty::Clean => {}
                Dirty::Counts => counts.add(slot, entry),
                Dirty::Snapshot => {
                    entry.counted_in = 0;
                    if let Some(entry) = self.store.get(slot) {
                        let value = snapshot(entry, self.store.service_name(entry), rules);
                        sink(StateRecord { key: incident_key(b'i', entry.id), value: Some(value) });
                    }
                }
            }
        }
        // Its room is kept for the next commit, unless it was a burst's.
        dirty.clear();
        if dirty.capacity() <= DIRTY_KEPT {
            self.dirty = dirty;
        }
        for gone in std::mem::take(&mut self.gone) {
            match gone {
                Gone::Closed(id, forget_at) => {
                    sink(StateRecord { key: incident_key(b'i', id), value: None });
                    let mut value = vec![VERSION];
                    encode(&forget_at, &mut value);
                    sink(StateRecord { key: incident_key(b'c', id), value: Some(value) });
                }
                Gone::Forgotten(id) => sink(StateRecord { key: incident_key(b'c', id), value: None }),
            }
        }
        for side in std::mem::take(&mut self.sides) {
            sink(self.side_record(&side));
        }
        self.ring.write(&mut self.store, counts, sink);
        if self.review.is_empty() && self.logged_rules.as_deref() != Some(self.rules.hash()) {
            self.logged_rules = Some(self.rules.hash().to_owned());
            sink(StateRecord { key: b"r".to_vec(), value: Some([&[VERSION], self.rules.hash().as_bytes()].concat()) });
        }
    }

    /// Puts one changelog record back; in offset order, before anything else. An error is fatal: the state is unreadable.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        let value = match value.map(|value| value.split_first()) {
            None => None,
            Some(Some((&VERSION, rest))) => Some(rest),
            Some(first) => {
                return Err(format!(
                    "format version {} is not known to this incidentd, which reads {VERSION}: it was written by a newer one",
                    first.map_or(0, |(version, _)| *version)
                ));
            }
        };
        if self.restore_side(key, value)? {
            return Ok(());
        }
        match (key.first(), value) {
            (Some(b'i'), Some(value)) => {
                let (head, body) = postcard::take_from_bytes::<Head<'_>>(value).map_err(damaged)?;
                self.store.restore(id_of(key)?, &head.service_id, |service| Entry {
                    id: IncidentId { partition: 0, hash: 0 },
                    fingerprint: head.fingerprint,
                    service,
                    status: head.status,
                    severity: head.severity,
                    dirty: Dirty::Clean,
                    older: crate::engine::entry::NOWHERE,
                    counts: head.counts.clone(),
                    first_seen_at: head.first_seen_at,
                    resolved_at: head.resolved_at,
                    timing: head.timing.under(head.rules == rules_key(self.rules.hash())),
                    traits: head.traits,
                    related: (!head.related.is_empty()).then(|| Box::new(head.related.to_vec())),
                    sources: head.sources.clone().into_owned(),
                    body: body.into(),
                    counted_in: 0,
                    scheduled: [Time::NEVER; 2],
                });
            }
            (Some(b'i'), None) => {
                if let Some(slot) = self.store.find_id(id_of(key)?) {
                    self.store.remove(slot);
                }
            }
            (Some(b'c'), Some(value)) => {
                self.closed.insert(id_of(key)?, postcard::from_bytes(value).map_err(damaged)?);
            }
            (Some(b'c'), None) => self.closed.remove(id_of(key)?),
            (Some(b'n'), Some(value)) => {
                let number = key.get(1..3).and_then(|n| n.try_into().ok()).map(u16::from_be_bytes);
                self.ring.restore(&mut self.store, number.ok_or("a count record without a number")?, value).map_err(damaged)?;
            }
            (Some(b'r'), Some(value)) => self.logged_rules = Some(String::from_utf8_lossy(value).into_owned()),
            _ => return Err(format!("unknown key {:?}", String::from_utf8_lossy(key))),
        }
        Ok(())
    }

    /// After the last changelog record: rebuilds what is derived.
    pub fn restored(&mut self) {
        self.ring.restored();
        self.schedule_all();
        if self.logged_rules.as_deref() != Some(self.rules.hash()) {
            // Which dependencies were in force before is not known.
            self.review(&Dependencies::default());
        }
    }
}

/// For a record that cannot be read back.
pub fn damaged(error: postcard::Error) -> String {
    format!("damaged record: {error}")
}

pub fn id_of(key: &[u8]) -> Result<IncidentId, String> {
    let bytes: [u8; 10] = key[1..].try_into().map_err(|_| format!("a key of {} bytes where 11 are wanted", key.len()))?;
    let [p0, p1, hash @ ..] = bytes;
    Ok(IncidentId { partition: u16::from_be_bytes([p0, p1]), hash: u64::from_be_bytes(hash) })
}

pub fn snapshot(entry: &Entry, service_id: &str, rules: u64) -> Vec<u8> {
    let head = Head {
        fingerprint: entry.fingerprint,
        service_id: service_id.into(),
        status: entry.status,
        severity: entry.severity,
        first_seen_at: entry.first_seen_at,
        resolved_at: entry.resolved_at,
        counts: entry.counts.clone(),
        timing: entry.timing,
        traits: entry.traits,
        related: entry.related.as_ref().map_or(&[][..], |related| related.as_slice()).into(),
        sources: std::borrow::Cow::Borrowed(&entry.sources),
        rules,
    };
    let mut value = Vec::with_capacity(entry.body.len() + 192);
    value.push(VERSION);
    encode(&head, &mut value);
    value.extend_from_slice(&entry.body);
    value
}

/// The counts of one commit on their way into records.
struct Counting {
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
    fn add(&mut self, slot: Slot, entry: &mut Entry) {
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
    fn begin(&self, most: usize) -> Counting {
        let room = (most.saturating_mul(COUNT_BYTES)).min(RECORD_BYTES) + 2 * COUNT_BYTES;
        Counting { sequence: self.sequence + 1, full: Vec::new(), slots: Vec::new(), value: Vec::new(), total: 0, room }
    }

    /// Writes the counts, and again those still valid of the records that they displace.
    fn write(&mut self, store: &mut Store, mut counts: Counting, sink: &mut dyn FnMut(StateRecord)) {
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
            self.used += 1;
            self.used - 1
        });
        sink(StateRecord { key: ring_key(key), value: Some(value) });
        self.total += slots.len();
        self.records.push_back(CountRecord { key, sequence: self.sequence, slots });
    }

    fn restore(&mut self, store: &mut Store, key: u16, mut value: &[u8]) -> Result<(), postcard::Error> {
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

    fn restored(&mut self) {
        self.free = (0..self.used).filter(|key| self.records.iter().all(|record| record.key != *key)).collect();
    }
}

fn ring_key(key: u16) -> Vec<u8> {
    let [high, low] = key.to_be_bytes();
    vec![b'n', high, low]
}
