//! What one shard tells another, as a record of the inbox (ARCHITECTURE 5). Ours alone: postcard, under a header that says so.

use crate::codec::{OutRecord, Settings};
use crate::model::{Fact, Incident, Metadata, Topic};
use std::sync::Arc;

/// The header that tells a fact from a forwarded record; its value is the format's version.
pub const FACT: &str = "__incidentd.fact";
/// Rises with every change that an older reader would misread.
const VERSION: &[u8] = b"1";

/// The record of a fact, to the inbox of partition `to`.
pub fn fact(to: u32, fact: &Fact, settings: &Settings) -> OutRecord {
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
    let headers = vec![(FACT.to_owned(), VERSION.to_vec())];
    OutRecord { topic: Topic::Inbox, partition: Some(to), key: None, value: Some(value), headers }
}

fn bytes(fact: &Fact) -> Vec<u8> {
    // Nothing in a fact can fail to be written: no map with odd keys, no sequence of unknown length.
    postcard::to_stdvec(fact).unwrap_or_default()
}

/// Reads a record of the inbox whose header [`FACT`] has the value `version`.
pub fn read_fact(version: &[u8], value: Option<&[u8]>) -> Result<Fact, String> {
    if version != VERSION {
        return Err(format!("header `{FACT}`: a newer version wrote this; run the newest incidentd everywhere"));
    }
    let value = value.ok_or("a fact has a value; this record has none (a tombstone)")?;
    match postcard::take_from_bytes(value) {
        Ok((fact, [])) => Ok(fact),
        Ok(_) => Err("not a fact: bytes are left over".to_owned()),
        Err(error) => Err(format!("not a fact: {error}")),
    }
}
