//! What a shard writes down to be rebuilt from: records of `incidentd-state` (ARCHITECTURE 3).
//!
//! | key | value |
//! |---|---|
//! | `i` + id | an incident whole: [`Head`], then its packed body; a tombstone once it has closed |
//! | `c` + id | when the tombstone of a closed incident is due |
//! | `n` + number | counts of many incidents, newer than their snapshots: one of a ring of keys |
//! | `u` + number | incidents of other shards on which ours may hang: one of a ring of keys |
//! | `s`, `v`, `a`, `b`, `d`, `g`, `w` | what is known beside incidents: see `sides` |
//! | `l` | when links that would only name a better parent are next looked at: see `stale` |
//! | `r` | the hash of the rule set by whose dependencies links were last worked out |
//!
//! The first byte of every value is the format's version.

use crate::engine::body::Body;
use crate::engine::counted;
use crate::engine::entry::{Counts, Dirty, Entry, Timing, Traits};
use crate::engine::shard::Shard;
use crate::engine::sources::Sources;
use crate::model::{Environment, IncidentId, Severity, Status, Time};
use crate::rules::{Dependencies, RuleSet};
use postcard::ser_flavors::Flavor;
use serde::{Deserialize, Serialize};

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

pub const VERSION: u8 = 3;
/// Without `l`.
const OLDEST_READ: u8 = 2;
/// Entries that are asked for ahead of their turn.
pub const AHEAD: usize = 8;
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
    /// [`RuleSet::occurrence_key`] of the set that was in force: under another one `timing.ask_at` means nothing.
    rules: u64,
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

/// The value of a record that holds one thing: the version, then the thing.
pub fn versioned<T: Serialize>(value: &T) -> Vec<u8> {
    let mut bytes = vec![VERSION];
    encode(value, &mut bytes);
    bytes
}

impl Shard {
    /// One record per entity that changed since the last call. Called once per commit of this shard.
    pub fn changelog(&mut self, sink: &mut dyn FnMut(StateRecord)) {
        let rules = self.rules.occurrence_key();
        let mut dirty = std::mem::take(&mut self.dirty);
        let mut counts = self.counted.begin(dirty.len());
        for (at, &slot) in dirty.iter().enumerate() {
            if let Some(later) = dirty.get(at + AHEAD) {
                self.store.prefetch(*later);
            }
            let Some(entry) = self.store.get_mut(slot) else { continue };
            match std::mem::replace(&mut entry.dirty, Dirty::Clean) {
                Dirty::Clean => {}
                Dirty::Counts => counted::add(&mut counts, slot, entry),
                Dirty::Snapshot => {
                    entry.counted_in = 0;
                    if let Some(entry) = self.store.get(slot) {
                        let value = snapshot(entry, self.store.name_of(entry), rules);
                        sink(StateRecord { key: incident_key(b'i', entry.id), value: Some(value) });
                    }
                    self.store.settle(slot);
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
                    sink(StateRecord { key: incident_key(b'c', id), value: Some(versioned(&forget_at)) });
                }
                Gone::Forgotten(id) => sink(StateRecord { key: incident_key(b'c', id), value: None }),
            }
        }
        for side in std::mem::take(&mut self.sides) {
            sink(self.side_record(&side));
        }
        self.upstreams.changelog(sink);
        self.stale.changelog(sink);
        self.counted.write(&mut self.store, counts, sink);
        if self.review.is_empty() && self.logged_rules.as_deref() != Some(self.rules.hash()) {
            self.logged_rules = Some(self.rules.hash().to_owned());
            sink(StateRecord { key: b"r".to_vec(), value: Some([&[VERSION], self.rules.hash().as_bytes()].concat()) });
        }
    }

    /// Where no changelog is kept: forgets what would be written.
    pub fn leave_unwritten(&mut self) {
        self.dirty.clear();
        self.gone.clear();
        self.sides.clear();
        self.upstreams.leave_unwritten();
    }

    /// Puts one changelog record back; in offset order, before anything else. An error is fatal: the state is unreadable.
    pub fn restore(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), String> {
        let value = match value.map(|value| value.split_first()) {
            None => None,
            Some(Some((OLDEST_READ..=VERSION, rest))) => Some(rest),
            Some(first) => {
                return Err(format!(
                    "format version {} is not known to this incidentd, which reads {OLDEST_READ} to {VERSION}: another version of it wrote this",
                    first.map_or(0, |(version, _)| *version)
                ));
            }
        };
        if self.restore_side(key, value)? {
            return Ok(());
        }
        match (key.first(), value) {
            (Some(b'i'), Some(value)) => {
                let rules = self.rules.occurrence_key();
                let (head, body) = postcard::take_from_bytes::<Head<'_>>(value).map_err(damaged)?;
                let ask_at = if head.rules == rules {
                    head.timing.ask_at
                } else {
                    asked_anew(&self.rules, &head.service_id, head.severity, head.traits.environment)
                };
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
                    timing: Timing { ask_at, ..head.timing },
                    traits: head.traits,
                    related: (!head.related.is_empty()).then(|| Box::new(head.related.to_vec())),
                    sources: head.sources.clone().into_owned(),
                    body: Body::plain(body),
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
            (Some(b'n'), Some(value)) => self.counted.restore(&mut self.store, key, value)?,
            (Some(b'u'), Some(value)) => self.upstreams.restore(key, value)?,
            (Some(b'l'), Some(value)) => self.stale.restore(postcard::from_bytes(value).map_err(damaged)?),
            (Some(b'r'), Some(value)) => self.logged_rules = Some(String::from_utf8_lossy(value).into_owned()),
            _ => return Err(format!("unknown key {:?}", String::from_utf8_lossy(key))),
        }
        Ok(())
    }

    /// After the last changelog record: rebuilds what is derived.
    pub fn restored(&mut self) {
        self.store.restored();
        self.schedule_all();
        if self.logged_rules.as_deref() != Some(self.rules.hash()) {
            // Which dependencies were in force before is not known.
            self.review(&Dependencies::default());
        }
    }
}

/// The occurrence at which an incident is asked first under rules that its `timing.ask_at` is not of.
pub fn asked_anew(rules: &RuleSet, service_id: &str, severity: Severity, environment: Environment) -> u64 {
    if rules.may_concern_occurrence(service_id, severity, environment) { 0 } else { u64::MAX }
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
    // Memory that is damaged is found where it is unpacked; an empty body is refused there, too.
    value.extend_from_slice(&entry.body.read().unwrap_or_default());
    value
}
