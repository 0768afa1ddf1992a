//! The desks that have their home in a shard: how often each rule has spoken, which digests are open, what waits.

use crate::engine::digest::{DigestKey, OpenDigest};
use crate::engine::limit::Window;
use crate::engine::shard::Shard;
use crate::engine::sides::Side;
use crate::model::time::Millis;
use crate::model::{DeskItem, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

// In tests both are small, so that they are reached.

/// Open digests of one shard; past it a rule's further groups are put together in one.
const MOST_DIGESTS: usize = if cfg!(test) { 8 } else { 5_000 };
/// Items that wait while all is held back; past it they are dealt with at once.
const MOST_WAITING: usize = if cfg!(test) { 8 } else { 10_000 };

/// What a rule's limit goes by.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Desk {
    pub window: Window,
    /// How long a time in it counts.
    pub keeps: Millis,
    pub held: Option<Held>,
}

/// The hour after the first one that was held back.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Held {
    pub since: Time,
    pub until: Time,
    pub count: u64,
    pub last: Box<DeskItem>,
}

impl Desk {
    /// When time alone next changes it: the number held back is told, or it is forgotten.
    fn due(&self) -> Time {
        match (&self.held, self.window.newest()) {
            (Some(held), _) => held.until,
            (None, Some(newest)) => newest + self.keeps,
            (None, None) => Time(0),
        }
    }
}

/// What a desk does in one step.
pub enum DeskChange {
    Desk {
        rule: String,
        desk: Box<Desk>,
    },
    Forget {
        rule: String,
    },
    Open {
        key: DigestKey,
        digest: Box<OpenDigest>,
    },
    Add {
        key: DigestKey,
        item: Box<DeskItem>,
    },
    /// The rule's limit has held it back until then.
    Postpone {
        key: DigestKey,
        until: Time,
    },
    Sent {
        key: DigestKey,
    },
    Wait(Box<DeskItem>),
    Taken(u64),
}

/// What is due, by its name.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Due {
    Digest(DigestKey),
    Desk(String),
}

#[derive(Default)]
pub struct Desks {
    desks: BTreeMap<String, Desk>,
    digests: BTreeMap<DigestKey, OpenDigest>,
    /// In the order in which they came.
    waiting: BTreeMap<u64, Box<DeskItem>>,
    due: BTreeSet<(Time, Due)>,
}

impl Desks {
    pub fn rules(&self) -> impl Iterator<Item = &String> {
        self.desks.keys()
    }

    pub fn digests(&self) -> impl Iterator<Item = &DigestKey> {
        self.digests.keys()
    }

    pub fn numbers(&self) -> impl Iterator<Item = &u64> {
        self.waiting.keys()
    }

    pub fn desk(&self, rule: &str) -> Option<&Desk> {
        self.desks.get(rule)
    }

    pub fn digest(&self, key: &DigestKey) -> Option<&OpenDigest> {
        self.digests.get(key)
    }

    pub fn may_open(&self) -> bool {
        self.digests.len() < MOST_DIGESTS
    }

    pub fn may_wait(&self) -> bool {
        self.waiting.len() < MOST_WAITING
    }

    pub fn waits(&self) -> bool {
        !self.waiting.is_empty()
    }

    pub fn waiting(&self, number: u64) -> Option<&DeskItem> {
        self.waiting.get(&number).map(|item| &**item)
    }

    pub fn all_waiting(&self) -> impl Iterator<Item = (u64, &DeskItem)> {
        self.waiting.iter().map(|(number, item)| (*number, &**item))
    }

    pub fn first_waiting(&self) -> Option<(u64, Box<DeskItem>)> {
        self.waiting.first_key_value().map(|(number, item)| (*number, item.clone()))
    }

    pub fn next(&self) -> Option<(Time, &Due)> {
        self.due.first().map(|(at, due)| (*at, due))
    }

    pub fn put_desk(&mut self, rule: String, desk: Desk) {
        self.remove_desk(&rule);
        self.due.insert((desk.due(), Due::Desk(rule.clone())));
        self.desks.insert(rule, desk);
    }

    pub fn remove_desk(&mut self, rule: &str) {
        if let Some(before) = self.desks.remove(rule) {
            self.due.remove(&(before.due(), Due::Desk(rule.to_owned())));
        }
    }

    pub fn put_digest(&mut self, key: DigestKey, digest: OpenDigest) {
        self.remove_digest(&key);
        self.due.insert((digest.ends_at, Due::Digest(key)));
        self.digests.insert(key, digest);
    }

    pub fn remove_digest(&mut self, key: &DigestKey) -> Option<OpenDigest> {
        let before = self.digests.remove(key)?;
        self.due.remove(&(before.ends_at, Due::Digest(*key)));
        Some(before)
    }

    pub fn put_waiting(&mut self, number: u64, item: Box<DeskItem>) {
        self.waiting.insert(number, item);
    }

    pub fn remove_waiting(&mut self, number: u64) {
        self.waiting.remove(&number);
    }
}

impl Shard {
    pub(super) fn apply_desk(&mut self, change: DeskChange) {
        let desks = &mut self.desks;
        let side = match change {
            DeskChange::Desk { rule, desk } => {
                desks.put_desk(rule.clone(), *desk);
                Side::Desk(rule)
            }
            DeskChange::Forget { rule } => {
                desks.remove_desk(&rule);
                Side::Desk(rule)
            }
            DeskChange::Open { key, digest } => {
                desks.put_digest(key, *digest);
                Side::Digest(key)
            }
            DeskChange::Add { key, item } => {
                if let Some(digest) = desks.digests.get_mut(&key) {
                    digest.add(item, self.settings.max_digest);
                }
                Side::Digest(key)
            }
            DeskChange::Postpone { key, until } => {
                if let Some(mut digest) = desks.remove_digest(&key) {
                    (digest.ends_at, digest.postponed) = (until, true);
                    desks.put_digest(key, digest);
                }
                Side::Digest(key)
            }
            DeskChange::Sent { key } => {
                desks.remove_digest(&key);
                Side::Digest(key)
            }
            DeskChange::Wait(item) => {
                let number = desks.waiting.last_key_value().map_or(0, |(last, _)| last + 1);
                desks.put_waiting(number, item);
                Side::Waiting(number)
            }
            DeskChange::Taken(number) => {
                desks.remove_waiting(number);
                Side::Waiting(number)
            }
        };
        self.sides.insert(side);
    }
}
