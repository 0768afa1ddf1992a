//! What one shard tells another, as records of the inbox (ARCHITECTURE 5). Ours alone: facts in postcard one behind the other,
//! under a header that says so.

use crate::codec::{OutRecord, Settings};
use crate::model::{Fact, Incident, Metadata, Topic};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The header that tells a fact from a forwarded record; its value is the format's version.
pub const FACT: &str = "__incidentd.fact";
/// Rises with every change that an older reader would misread.
const VERSION: &[u8] = b"2";
/// One fact a record, which reads the same.
const FIRST_VERSION: &[u8] = b"1";

/// What a transaction tells other shards: those of one partition share records, for in a storm of incidents each is told to nearly
/// all of them.
#[derive(Default)]
pub struct FactBatch {
    by_partition: BTreeMap<u32, Vec<u8>>,
    full: Vec<OutRecord>,
}

impl FactBatch {
    /// Returns how many bytes that adds to the transaction.
    pub fn add(&mut self, to: &[u32], fact: &Fact, settings: &Settings) -> usize {
        let value = value(fact, settings);
        for to in to {
            let held = self.by_partition.entry(*to).or_default();
            if !held.is_empty() && held.len() + value.len() > settings.record_max {
                self.full.push(record(*to, std::mem::take(held)));
            }
            held.extend_from_slice(&value);
        }
        to.len() * value.len()
    }

    /// The records; afterwards it is empty.
    pub fn take(&mut self) -> impl Iterator<Item = OutRecord> {
        let rest = std::mem::take(&mut self.by_partition).into_iter().map(|(to, value)| record(to, value));
        std::mem::take(&mut self.full).into_iter().chain(rest)
    }
}

/// The record of one fact alone, to the inbox of partition `to`.
pub fn write_fact(to: u32, fact: &Fact, settings: &Settings) -> OutRecord {
    record(to, value(fact, settings))
}

fn record(to: u32, value: Vec<u8>) -> OutRecord {
    let headers = vec![(FACT.to_owned(), VERSION.to_vec())];
    OutRecord { topic: Topic::Inbox, partition: Some(to), key: None, value: Some(value), headers }
}

fn value(fact: &Fact, settings: &Settings) -> Vec<u8> {
    let mut value = bytes(fact);
    // Only a snapshot can be large. What its home's desk writes of it would be cut the same way (SPEC 6).
    if value.len() > settings.record_max
        && let Fact::Item(item) = fact
    {
        let mut item = item.clone();
        item.incident = Arc::new(Incident { timeline: Vec::new(), ..Incident::clone(&item.incident) });
        value = bytes(&Fact::Item(item.clone()));
        if value.len() > settings.record_max {
            item.incident = Arc::new(Incident { metadata: Metadata::default(), ..Incident::clone(&item.incident) });
            value = bytes(&Fact::Item(item));
        }
    }
    value
}

fn bytes(fact: &Fact) -> Vec<u8> {
    // Nothing in a fact can fail to be written: no map with odd keys, no sequence of unknown length.
    postcard::to_stdvec(fact).unwrap_or_default()
}

/// Reads a record of the inbox whose header [`FACT`] has the value `version`.
pub fn read_facts(version: &[u8], value: Option<&[u8]>) -> Result<Vec<Fact>, String> {
    if version != VERSION && version != FIRST_VERSION {
        return Err(format!("header `{FACT}`: a newer version wrote this; run the newest incidentd everywhere"));
    }
    let mut rest = value.ok_or("facts have a value; this record has none (a tombstone)")?;
    let mut facts = Vec::new();
    while facts.is_empty() || !rest.is_empty() {
        let (fact, behind) =
            postcard::take_from_bytes(rest).map_err(|error| format!("not a fact (number {}): {error}", facts.len() + 1))?;
        facts.push(fact);
        rest = behind;
    }
    Ok(facts)
}
