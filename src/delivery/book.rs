//! What delivery remembers in `incidentd-delivery`: which actions have reached their targets, and which threads are open.
//!
//! A record each: `<action id>/<target>` → `{"sent": …}`, `<incident id>/<target>` → `{"thread": …}`; a tombstone once it is of no use.
//! Bounded: past the limits the oldest go first.

use crate::delivery::thread::Open;
use crate::model::time::{DAY, HOUR, Millis};
use crate::model::{IncidentId, Time};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};
use std::ops::Bound;

/// An action is read again only while its offset is not committed, or when somebody moves the offsets back: a day covers both.
const KEEP_SENT: Millis = DAY;
const MOST_SENT: usize = 200_000;
/// A thread that nothing was told for so long is closed.
const KEEP_THREAD: Millis = 30 * DAY;
/// Once its incident is closed: for what may still come of it.
const KEEP_CLOSED: Millis = HOUR;
const MOST_THREADS: usize = 50_000;
/// Tombstones of one sweep: the rest next time.
const SWEEP: usize = 5_000;

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Wire {
    Sent { at: Time },
    Thread(Open),
}

/// A record to be written; no value: a tombstone.
#[derive(Clone, Debug, PartialEq)]
pub struct Write {
    pub partition: u32,
    pub key: String,
    pub value: Option<Vec<u8>>,
}

struct Thread {
    open: Open,
    partition: u32,
    closed: bool,
}

#[derive(Default)]
pub struct Book {
    sent: BTreeMap<String, u32>,
    /// In the order of time, as they were noted.
    order: VecDeque<(Time, String)>,
    threads: BTreeMap<(IncidentId, String), Thread>,
}

fn thread_key(incident: IncidentId, target: &str) -> String {
    format!("{incident}/{target}")
}

fn json(wire: &Wire) -> Vec<u8> {
    // Plain data with text keys: it cannot fail to be written.
    serde_json::to_vec(wire).unwrap_or_default()
}

impl Book {
    /// Takes a record of the topic, in their order. False: it is none of ours.
    pub fn restore(&mut self, partition: u32, key: &str, value: Option<&[u8]>) -> bool {
        let thread = key.split_once('/').and_then(|(id, target)| Some((id.parse::<IncidentId>().ok()?, target.to_owned())));
        let Some(value) = value else {
            if let Some(thread) = thread {
                self.threads.remove(&thread);
            } else {
                self.sent.remove(key);
            }
            return true;
        };
        match (serde_json::from_slice(value), thread) {
            (Ok(Wire::Sent { at }), _) => self.put_sent(key.to_owned(), partition, at),
            (Ok(Wire::Thread(open)), Some(thread)) => {
                self.threads.insert(thread, Thread { open, partition, closed: false });
            }
            _ => return false,
        }
        true
    }

    /// Restored records came by partition: from now on by time.
    pub fn restored(&mut self) {
        let sent = &self.sent;
        self.order.retain(|(_, key)| sent.contains_key(key));
        self.order.make_contiguous().sort();
    }

    pub fn was_sent(&self, key: &str) -> bool {
        self.sent.contains_key(key)
    }

    /// The record that says so; [`Book::sent`] once it is written.
    pub fn note_sent(partition: u32, key: &str, at: Time) -> Write {
        Write { partition, key: key.to_owned(), value: Some(json(&Wire::Sent { at })) }
    }

    pub fn put_sent(&mut self, key: String, partition: u32, at: Time) {
        if self.sent.insert(key.clone(), partition).is_none() {
            self.order.push_back((at, key));
        }
    }

    pub fn thread(&self, incident: IncidentId, target: &str) -> Option<&Open> {
        self.threads.get(&(incident, target.to_owned())).map(|thread| &thread.open)
    }

    /// The targets in which the incident has a thread.
    pub fn threads(&self, incident: IncidentId) -> impl Iterator<Item = &str> {
        let from = Bound::Included((incident, String::new()));
        self.threads
            .range((from, Bound::Unbounded))
            .take_while(move |((id, _), _)| *id == incident)
            .map(|((_, target), _)| target.as_str())
    }

    pub fn has_threads(&self) -> bool {
        !self.threads.is_empty()
    }

    pub fn open(&mut self, incident: IncidentId, target: &str, partition: u32, open: Open) -> Write {
        let value = json(&Wire::Thread(open.clone()));
        self.threads.insert((incident, target.to_owned()), Thread { open, partition, closed: false });
        Write { partition, key: thread_key(incident, target), value: Some(value) }
    }

    /// A thread has been told something.
    pub fn told(&mut self, incident: IncidentId, target: &str, mark: String, timestamp: Time, now: Time) -> Option<Write> {
        let thread = self.threads.get_mut(&(incident, target.to_owned()))?;
        thread.open.knows(mark, timestamp, now);
        let value = json(&Wire::Thread(thread.open.clone()));
        Some(Write { partition: thread.partition, key: thread_key(incident, target), value: Some(value) })
    }

    /// Its incident is closed, which is final.
    pub fn incident_closed(&mut self, incident: IncidentId, now: Time) {
        let keys: Vec<_> = self.threads(incident).map(|target| (incident, target.to_owned())).collect();
        for key in keys {
            if let Some(thread) = self.threads.get_mut(&key)
                && !thread.closed
            {
                thread.closed = true;
                thread.open.at = now;
            }
        }
    }

    /// Tombstones for what is of no use any more.
    pub fn sweep(&mut self, now: Time) -> Vec<Write> {
        let mut gone = Vec::new();
        while gone.len() < SWEEP
            && let Some((at, _)) = self.order.front()
            && (*at + KEEP_SENT <= now || self.sent.len() > MOST_SENT)
            && let Some((_, key)) = self.order.pop_front()
        {
            if let Some(partition) = self.sent.remove(&key) {
                gone.push(Write { partition, key, value: None });
            }
        }
        let keep = |thread: &Thread| if thread.closed { KEEP_CLOSED } else { KEEP_THREAD };
        let old = self.threads.iter().filter(|(_, thread)| thread.open.at + keep(thread) <= now);
        let mut over: Vec<_> = old.take(SWEEP).map(|(key, _)| key.clone()).collect();
        if over.is_empty() && self.threads.len() > MOST_THREADS {
            let mut by_age: Vec<_> = self.threads.iter().map(|(key, thread)| (thread.open.at, key.clone())).collect();
            by_age.sort();
            over = by_age.into_iter().take((self.threads.len() - MOST_THREADS).min(SWEEP)).map(|(_, key)| key).collect();
        }
        for key in over {
            if let Some(thread) = self.threads.remove(&key) {
                gone.push(Write { partition: thread.partition, key: thread_key(key.0, &key.1), value: None });
            }
        }
        gone
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::channel;

    fn incident(hash: u64) -> IncidentId {
        IncidentId { partition: 0, hash }
    }

    fn open() -> Open {
        let thread = channel::Thread { channel: "C1".to_owned(), ts: "1.0".to_owned() };
        Open::new(thread, &[], false, Time(0), Time(0), "#ops")
    }

    fn again(writes: &[Write]) -> Book {
        let mut book = Book::default();
        for write in writes {
            assert!(book.restore(write.partition, &write.key, write.value.as_deref()), "{}", write.key);
        }
        book.restored();
        book
    }

    #[test]
    fn what_is_written_is_remembered_after_a_restart() {
        let mut book = Book::default();
        let mut writes = vec![Book::note_sent(2, "act_1/t", Time(5)), book.open(incident(7), "t", 1, open())];
        writes.extend(book.told(incident(7), "t", "m".to_owned(), Time(3), Time(4)));
        let book = again(&writes);
        assert!(book.was_sent("act_1/t") && !book.was_sent("act_2/t"));
        assert_eq!(book.thread(incident(7), "t").unwrap().told.as_deref(), Some("m"));
        assert_eq!(book.threads(incident(7)).collect::<Vec<_>>(), ["t"]);
        assert_eq!(book.threads(incident(6)).count() + book.threads(incident(8)).count(), 0);
    }

    #[test]
    fn what_is_of_no_use_any_more_gets_its_tombstone_in_its_partition() {
        let mut book = again(&[Book::note_sent(2, "act_2/t", Time(9)), Book::note_sent(1, "act_1/t", Time(5))]);
        book.open(incident(7), "t", 1, open());
        assert_eq!(book.sweep(Time(4 + KEEP_SENT)), []);
        let tombstone = |partition, key: &str| Write { partition, key: key.to_owned(), value: None };
        assert_eq!(book.sweep(Time(5 + KEEP_SENT)), [tombstone(1, "act_1/t")]);
        book.incident_closed(incident(7), Time(5 + KEEP_SENT));
        let gone = book.sweep(Time(5 + KEEP_SENT + KEEP_CLOSED));
        assert_eq!(gone, [tombstone(2, "act_2/t"), tombstone(1, &thread_key(incident(7), "t"))]);
        let mut all = vec![Book::note_sent(2, "act_2/t", Time(9))];
        all.extend(gone);
        assert!(!again(&all).was_sent("act_2/t"));
    }

    #[test]
    fn it_is_bounded_and_the_oldest_go_first() {
        let mut book = Book::default();
        for number in 0..MOST_SENT + 3 {
            book.put_sent(format!("act_{number}/t"), 0, Time(number as i64));
        }
        let gone: Vec<_> = book.sweep(Time(0)).into_iter().map(|write| write.key).collect();
        assert_eq!(gone, ["act_0/t", "act_1/t", "act_2/t"]);
    }

    #[test]
    fn what_is_not_ours_is_left_alone() {
        let mut book = Book::default();
        for (key, value) in [("act_1/t", &b"{"[..]), ("act_1/t", b"{\"newer\":1}"), ("x", b"{\"thread\":{}}")] {
            assert!(!book.restore(0, key, Some(value)));
        }
    }
}
