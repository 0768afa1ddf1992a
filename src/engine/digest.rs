//! A digest while it gathers: each incident once, as it was last (SPEC 4.7).

use crate::model::{DeskItem, DigestEntry, Incident, IncidentId, Time};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Of a rule and the values of its `by`, hashed: a name of fixed length for what may be long.
pub type DigestKey = [u8; 16];

pub fn key(rule: &str, group: &[String]) -> DigestKey {
    let mut hasher = Sha256::new();
    for part in std::iter::once(rule).chain(group.iter().map(String::as_str)) {
        hasher.update((part.len() as u32).to_be_bytes());
        hasher.update(part);
    }
    let mut key = [0; 16];
    key.copy_from_slice(&hasher.finalize()[..16]);
    key
}

/// Of a title; the snapshot of the newest one has it whole.
const MOST_TITLE: usize = 256;
/// All entries together: a digest is one record of the changelog and one of `notifications`.
const MOST_BYTES: usize = 256 * 1024;
/// What an entry takes beside its texts.
const ENTRY_BYTES: usize = 200;
/// Incidents past the limit that are known apart; further ones count each time. In tests few, so that it is reached.
const MOST_UNLISTED: usize = if cfg!(test) { 4 } else { 10_000 };

/// One that is open.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct OpenDigest {
    pub rule: String,
    /// Wall time at which it is sent.
    pub ends_at: Time,
    pub listed: Vec<DigestEntry>,
    bytes: usize,
    unlisted: BTreeSet<IncidentId>,
    beyond: u64,
    /// The newest item; none while nothing has come since the one that was sent at once.
    pub newest: Option<Box<DeskItem>>,
    /// The rule's limit has held it back.
    pub postponed: bool,
}

impl OpenDigest {
    pub fn new(rule: &str, ends_at: Time) -> OpenDigest {
        OpenDigest {
            rule: rule.to_owned(),
            ends_at,
            listed: Vec::new(),
            bytes: 0,
            unlisted: BTreeSet::new(),
            beyond: 0,
            newest: None,
            postponed: false,
        }
    }

    /// At most `most` are listed, the rest is counted.
    pub fn add(&mut self, item: Box<DeskItem>, most: usize) {
        let entry = entry(&item.incident);
        if let Some(held) = self.listed.iter_mut().find(|held| held.id == entry.id) {
            *held = entry;
        } else {
            let bytes = entry.title.len() + entry.service_id.len() + ENTRY_BYTES;
            let fits = self.listed.is_empty() || (self.listed.len() < most && self.bytes + bytes <= MOST_BYTES);
            if fits {
                self.bytes += bytes;
                self.listed.push(entry);
            } else if self.unlisted.len() < MOST_UNLISTED {
                self.unlisted.insert(entry.id);
            } else if !self.unlisted.contains(&entry.id) {
                self.beyond += 1;
            }
        }
        self.newest = Some(item);
    }

    /// How many incidents it holds that are not listed.
    pub fn more(&self) -> u64 {
        self.unlisted.len() as u64 + self.beyond
    }
}

fn entry(incident: &Arc<Incident>) -> DigestEntry {
    DigestEntry {
        id: incident.id,
        title: short(&incident.title),
        severity: incident.severity,
        status: incident.status,
        service_id: incident.service_id.clone(),
        occurrence_count: incident.occurrence_count,
    }
}

fn short(title: &str) -> String {
    if title.len() <= MOST_TITLE {
        return title.to_owned();
    }
    let end = (0..=MOST_TITLE).rev().find(|at| title.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", &title[..end])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::incident::tests::incident;
    use crate::model::{DigestTerms, RuleEvent, Severity};

    fn item(hash: u64, change: impl FnOnce(&mut Incident)) -> Box<DeskItem> {
        let mut incident = incident();
        incident.id = IncidentId { partition: 0, hash };
        change(&mut incident);
        Box::new(DeskItem {
            rule: "r".to_owned(),
            event: RuleEvent::Triggered,
            epoch: 0,
            cause: "triggered:0".to_owned(),
            at: Time(0),
            max_per_hour: None,
            max_per_day: None,
            digest: Some(DigestTerms { interval_minutes: 5, group: Vec::new(), lead: false }),
            channels: Vec::new(),
            incident: Arc::new(incident),
            error: None,
        })
    }

    #[test]
    fn each_incident_once_as_it_was_last() {
        let mut digest = OpenDigest::new("r", Time(0));
        digest.add(item(1, |_| {}), 500);
        digest.add(item(2, |_| {}), 500);
        digest.add(item(1, |incident| incident.severity = Severity::Critical), 500);
        assert_eq!(digest.listed.iter().map(|entry| entry.id.hash).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(digest.listed[0].severity, Severity::Critical);
        assert_eq!(digest.newest.map(|item| item.incident.id.hash), Some(1));
    }

    #[test]
    fn what_is_past_the_limit_is_counted_once() {
        let mut digest = OpenDigest::new("r", Time(0));
        for hash in [1, 2, 3, 4, 3, 1] {
            digest.add(item(hash, |_| {}), 2);
        }
        assert_eq!((digest.listed.len(), digest.more()), (2, 2));
    }

    #[test]
    fn past_what_is_known_apart_it_is_counted_each_time() {
        let mut digest = OpenDigest::new("r", Time(0));
        for hash in (1..=7).chain([6, 7]) {
            digest.add(item(hash, |_| {}), 2);
        }
        assert_eq!(digest.more(), 4 + 2, "3 to 6 once, 7 twice");
    }

    #[test]
    fn long_texts_are_cut_and_never_grow_it_without_end() {
        let mut digest = OpenDigest::new("r", Time(0));
        for hash in 0..2_000 {
            digest.add(item(hash, |incident| incident.title = "ü".repeat(5_000)), 5_000);
        }
        // As many as fit: the title with its ellipsis, the service's name, and the rest.
        assert_eq!(digest.listed.len(), MOST_BYTES / (MOST_TITLE + 3 + 1 + ENTRY_BYTES));
        assert_eq!(digest.listed.len() as u64 + digest.more(), 2_000);
        assert_eq!(digest.listed[0].title.len(), MOST_TITLE + 3);
    }

    #[test]
    fn groups_that_read_alike_are_apart() {
        let group = |parts: &[&str]| parts.iter().map(|part| (*part).to_owned()).collect::<Vec<_>>();
        assert_ne!(key("r", &group(&["ab", "c"])), key("r", &group(&["a", "bc"])));
        assert_ne!(key("r", &group(&[])), key("r", &group(&[""])));
    }
}
