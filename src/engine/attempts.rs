//! How often a remediation was tried: per fingerprint and first action type, until a day without one (SPEC 4.8).

use crate::model::time::DAY;
use crate::model::{Fingerprint, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Kept at once; past it no remediation of another kind starts, for its attempts could not be counted. In
/// tests few, so that it is reached.
pub const MOST_ATTEMPTS: usize = if cfg!(test) { 4 } else { 100_000 };

#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct AttemptKey {
    pub fingerprint: Fingerprint,
    /// Of the first action.
    pub kind: String,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Attempt {
    pub count: u32,
    /// Wall time of the last one.
    pub at: Time,
    /// A cooldown may be longer than the day.
    pub forget_at: Time,
}

#[derive(Default)]
pub struct Attempts {
    held: BTreeMap<AttemptKey, Attempt>,
    by_time: BTreeSet<(Time, AttemptKey)>,
}

impl Attempt {
    fn counts(&self, now: Time) -> u32 {
        if now - self.at < DAY { self.count } else { 0 }
    }
}

impl Attempts {
    pub fn keys(&self) -> impl Iterator<Item = &AttemptKey> {
        self.held.keys()
    }

    pub fn get(&self, key: &AttemptKey) -> Option<&Attempt> {
        self.held.get(key)
    }

    pub fn count(&self, key: &AttemptKey, now: Time) -> u32 {
        self.get(key).map_or(0, |attempt| attempt.counts(now))
    }

    /// Of all kinds.
    pub fn all(&self, fingerprint: &Fingerprint, now: Time) -> u64 {
        let from = AttemptKey { fingerprint: *fingerprint, kind: String::new() };
        let of_it = self.held.range(from..).take_while(|(key, _)| key.fingerprint == *fingerprint);
        of_it.map(|(_, attempt)| u64::from(attempt.counts(now))).sum()
    }

    /// May one more of `key` be counted?
    pub fn has_room(&self, key: &AttemptKey) -> bool {
        self.held.len() < MOST_ATTEMPTS || self.held.contains_key(key)
    }

    pub fn put(&mut self, key: AttemptKey, attempt: Attempt) {
        self.remove(&key);
        self.by_time.insert((attempt.forget_at, key.clone()));
        self.held.insert(key, attempt);
    }

    pub fn remove(&mut self, key: &AttemptKey) {
        if let Some(attempt) = self.held.remove(key) {
            self.by_time.remove(&(attempt.forget_at, key.clone()));
        }
    }

    /// The one that is to be forgotten first.
    pub fn next(&self) -> Option<(Time, &AttemptKey)> {
        self.by_time.first().map(|(at, key)| (*at, key))
    }
}

impl AttemptKey {
    /// From the changelog's key, its first byte cut off.
    pub fn read(bytes: &[u8]) -> Result<AttemptKey, String> {
        let (fingerprint, kind) =
            bytes.split_first_chunk::<32>().ok_or_else(|| format!("a key of {} bytes where 33 are wanted", bytes.len() + 1))?;
        let kind = std::str::from_utf8(kind).map_err(|_| "a key that is no text".to_owned())?;
        Ok(AttemptKey { fingerprint: Fingerprint(*fingerprint), kind: kind.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::time::HOUR;

    #[test]
    fn a_day_without_one_starts_anew_and_the_counts_of_all_kinds_add_up() {
        let key = |kind: &str| AttemptKey { fingerprint: Fingerprint::of_dedup_key("k"), kind: kind.to_owned() };
        let mut attempts = Attempts::default();
        let start = Time(1_800_000_000_000);
        for (kind, count, at, cooldown) in [("restart", 2, start, 0), ("rollback", 1, start + HOUR, 48 * HOUR)] {
            attempts.put(key(kind), Attempt { count, at, forget_at: at + DAY.max(cooldown) });
        }
        let other = AttemptKey { fingerprint: Fingerprint::of_dedup_key("l"), kind: "restart".to_owned() };
        attempts.put(other.clone(), Attempt { count: 7, at: start, forget_at: start + 9 * DAY });
        assert_eq!((attempts.all(&key("").fingerprint, start + HOUR), attempts.all(&other.fingerprint, start)), (3, 7));
        assert_eq!(attempts.count(&key("restart"), start + (DAY - 1)), 2);
        assert_eq!(attempts.count(&key("restart"), start + DAY), 0);
        assert_eq!(attempts.next(), Some((start + DAY, &key("restart"))));
        attempts.remove(&key("restart"));
        assert_eq!(attempts.next(), Some((start + 49 * HOUR, &key("rollback"))), "its cooldown is longer than the day");
        let bytes = [&key("x").fingerprint.0[..], b"scale_up"].concat();
        assert_eq!(AttemptKey::read(&bytes), Ok(key("scale_up")));
        assert!(AttemptKey::read(b"short").is_err());
    }

    #[test]
    fn past_the_most_only_what_is_counted_already_is_counted_on() {
        let key = |number: usize| AttemptKey { fingerprint: Fingerprint::of_dedup_key(&number.to_string()), kind: String::new() };
        let start = Time(1_800_000_000_000);
        let mut attempts = Attempts::default();
        for number in 0..MOST_ATTEMPTS {
            assert!(attempts.has_room(&key(number)), "{number}");
            attempts.put(key(number), Attempt { count: 1, at: start, forget_at: start + DAY });
        }
        assert!(!attempts.has_room(&key(MOST_ATTEMPTS)) && attempts.has_room(&key(0)));
        attempts.remove(&key(0));
        assert!(attempts.has_room(&key(MOST_ATTEMPTS)));
    }
}
