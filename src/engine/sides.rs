//! What a shard knows beside its incidents, as records of the changelog: one for each thing, whole.
//!
//! | key | value |
//! |---|---|
//! | `s` + id | a silence |
//! | `v` + service id | what is known of a service |
//! | `d` + rule | how often a rule has spoken, and what its limit holds back |
//! | `g` + hash | a digest that is open |
//! | `w` + number | an item that waits while all is held back |
//! | `a` + fingerprint + action type | how often a remediation was tried |
//! | `b` + rule | what a remediation rule's budget has granted |

use crate::engine::attempts::AttemptKey;
use crate::engine::changelog::{StateRecord, damaged, versioned};
use crate::engine::digest::DigestKey;
use crate::engine::shard::Shard;
use serde::Serialize;
use std::rc::Rc;

/// One of them by name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Side {
    Silence(String),
    Service(String),
    Desk(String),
    Digest(DigestKey),
    Waiting(u64),
    Attempt(AttemptKey),
    Budget(String),
}

impl Side {
    fn key(&self) -> Vec<u8> {
        match self {
            Side::Silence(id) => [b"s", id.as_bytes()].concat(),
            Side::Service(service_id) => [b"v", service_id.as_bytes()].concat(),
            Side::Desk(rule) => [b"d", rule.as_bytes()].concat(),
            Side::Digest(key) => [&b"g"[..], key].concat(),
            Side::Waiting(number) => [&b"w"[..], &number.to_be_bytes()].concat(),
            Side::Attempt(key) => [b"a", &key.fingerprint.0[..], key.kind.as_bytes()].concat(),
            Side::Budget(rule) => [b"b", rule.as_bytes()].concat(),
        }
    }
}

fn value<T: Serialize>(value: Option<&T>) -> Option<Vec<u8>> {
    value.map(versioned)
}

fn fixed<const N: usize>(name: &[u8]) -> Result<[u8; N], String> {
    name.try_into().map_err(|_| format!("a key of {} bytes, not of {N}", name.len()))
}

impl Shard {
    /// All that there are.
    pub(super) fn all_sides(&self) -> Vec<Side> {
        let mut all: Vec<Side> = self.silences.keys().cloned().map(Side::Silence).collect();
        all.extend(self.contexts.keys().cloned().map(Side::Service));
        all.extend(self.desks.rules().cloned().map(Side::Desk));
        all.extend(self.desks.digests().copied().map(Side::Digest));
        all.extend(self.desks.numbers().copied().map(Side::Waiting));
        all.extend(self.attempts.keys().cloned().map(Side::Attempt));
        all.extend(self.budgets.keys().cloned().map(Side::Budget));
        all
    }

    /// The record of one as it is now; a tombstone where it is no more.
    pub(super) fn side_record(&self, side: &Side) -> StateRecord {
        let value = match side {
            Side::Silence(id) => value(self.silences.whole(id).as_ref()),
            Side::Service(service_id) => value(self.contexts.get(service_id).map(|context| &**context)),
            Side::Desk(rule) => value(self.desks.desk(rule)),
            Side::Digest(key) => value(self.desks.digest(key)),
            Side::Waiting(number) => value(self.desks.waiting(*number)),
            Side::Attempt(key) => value(self.attempts.get(key)),
            Side::Budget(rule) => value(self.budgets.get(rule)),
        };
        StateRecord { key: side.key(), value }
    }

    /// Puts one back; false: the key is of another kind.
    pub(super) fn restore_side(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<bool, String> {
        let Some((kind, name)) = key.split_first() else { return Ok(false) };
        let text = || std::str::from_utf8(name).map(str::to_owned).map_err(|_| "a key that is no text".to_owned());
        match (kind, value) {
            (b's', Some(value)) => {
                let (silence, look_at) = postcard::from_bytes(value).map_err(damaged)?;
                self.silences.restore(silence, look_at);
            }
            (b's', None) => self.silences.remove(&text()?),
            (b'v', Some(value)) => {
                self.contexts.put(text()?, Rc::new(postcard::from_bytes(value).map_err(damaged)?));
            }
            (b'v', None) => self.contexts.remove(&text()?),
            (b'd', Some(value)) => self.desks.put_desk(text()?, postcard::from_bytes(value).map_err(damaged)?),
            (b'd', None) => self.desks.remove_desk(&text()?),
            (b'g', Some(value)) => self.desks.put_digest(fixed(name)?, postcard::from_bytes(value).map_err(damaged)?),
            (b'g', None) => drop(self.desks.remove_digest(&fixed(name)?)),
            (b'w', Some(value)) => {
                let item = Box::new(postcard::from_bytes(value).map_err(damaged)?);
                self.desks.put_waiting(u64::from_be_bytes(fixed(name)?), item);
            }
            (b'w', None) => self.desks.remove_waiting(u64::from_be_bytes(fixed(name)?)),
            (b'a', Some(value)) => self.attempts.put(AttemptKey::read(name)?, postcard::from_bytes(value).map_err(damaged)?),
            (b'a', None) => self.attempts.remove(&AttemptKey::read(name)?),
            (b'b', Some(value)) => self.budgets.put(text()?, postcard::from_bytes(value).map_err(damaged)?),
            (b'b', None) => self.budgets.remove(&text()?),
            _ => return Ok(false),
        }
        Ok(true)
    }
}
