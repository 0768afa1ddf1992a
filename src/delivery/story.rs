//! What incidents have gone through lately, for their threads: from the records of `incidents` and from the actions' snapshots.
//!
//! Kept for a day, whether a thread is open or not: a page that was held up opens one later than what followed it.

use crate::codec::{Story, read_story, snapshot};
use crate::delivery::Record;
use crate::delivery::book::Book;
use crate::delivery::channel::Thread;
use crate::delivery::lane::Outcome;
use crate::delivery::thread::{Open, belongs, mark};
use crate::model::time::{DAY, Millis};
use crate::model::{IncidentId, Status, Time, TimelineEntry};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub const KEEP: Millis = DAY;
/// Bytes of all that is kept; past it the oldest go.
const MOST: usize = 64 << 20;

/// A record of `incidents`.
pub struct Told {
    pub incident: IncidentId,
    pub at: Time,
    /// None: a tombstone.
    pub value: Option<Arc<[u8]>>,
}

/// One entry of a timeline, to be told in a thread.
#[derive(Clone, Debug)]
pub struct Update {
    pub mark: String,
    pub event: &'static str,
    pub timestamp: Time,
    pub entry: TimelineEntry,
    /// The incident's JSON.
    pub incident: Arc<[u8]>,
}

struct Recent {
    at: Time,
    value: Arc<[u8]>,
}

#[derive(Default)]
pub struct Stories {
    recent: BTreeMap<IncidentId, Recent>,
    bytes: usize,
    /// Incidents whose threads are to be looked at.
    changed: BTreeSet<IncidentId>,
    /// Of which a thread could not be told; to be looked at again at the next sweep.
    missed: BTreeSet<IncidentId>,
    /// Threads that are being told.
    telling: BTreeSet<(IncidentId, String)>,
}

impl Stories {
    /// An incident has changed. True: it is closed, which is final.
    pub fn take(&mut self, told: Told) -> bool {
        let Some(value) = told.value else {
            self.forget(told.incident);
            return true;
        };
        let Ok(story) = read_story(&value) else { return false };
        // Most have nothing that a thread is told.
        if story.timeline.iter().any(|entry| belongs(entry.event)) {
            self.forget(told.incident);
            self.bytes += value.len();
            self.recent.insert(told.incident, Recent { at: told.at, value });
            self.changed.insert(told.incident);
        }
        story.status == Status::Closed
    }

    fn forget(&mut self, incident: IncidentId) {
        if let Some(gone) = self.recent.remove(&incident) {
            self.bytes -= gone.value.len();
        }
    }

    /// A thread of the incident has just been opened.
    pub fn look_at(&mut self, incident: IncidentId) {
        self.changed.insert(incident);
    }

    /// The threads that do not know all, and are not being told: incident, target, and the target's label.
    pub fn due(&mut self, book: &Book) -> Vec<(IncidentId, String, String)> {
        let mut found = Vec::new();
        for incident in std::mem::take(&mut self.changed) {
            for target in book.threads(incident) {
                let key = (incident, target.to_owned());
                if !self.telling.contains(&key) && self.next(incident, target, book).is_some() {
                    let label = book.thread(incident, target).map_or_else(String::new, |open| open.label.clone());
                    self.telling.insert(key);
                    found.push((incident, target.to_owned(), label));
                }
            }
        }
        found
    }

    /// It is told all that was known, or cannot be told now: then it is tried again at the next sweep, where the target is down, and
    /// at the next change.
    pub fn told(&mut self, incident: IncidentId, target: String, outcome: Outcome) {
        self.telling.remove(&(incident, target));
        match outcome {
            // Something may have come while it was told.
            Outcome::Delivered => drop(self.changed.insert(incident)),
            Outcome::Exhausted | Outcome::BreakerOpen | Outcome::Crowded => drop(self.missed.insert(incident)),
            Outcome::Refused => {}
        }
    }

    /// What the thread is to be told next.
    pub fn next(&self, incident: IncidentId, target: &str, book: &Book) -> Option<(Thread, Update)> {
        let recent = self.recent.get(&incident)?;
        let open = book.thread(incident, target)?;
        let story = read_story(&recent.value).ok()?;
        update(open, &story, &recent.value)
    }

    /// What the thread is to be told of an action's snapshot. `None`: no thread is open; `Some(None)`: it knows all of it.
    pub fn told_by(&self, record: &Record, incident: IncidentId, target: &str, book: &Book) -> Option<Option<(Thread, Update)>> {
        let open = book.thread(incident, target)?;
        let value = snapshot(record.value.as_deref().unwrap_or_default())?;
        let story = read_story(value).ok().filter(|story| !story.truncated)?;
        Some(update(open, &story, value))
    }

    /// The thread that a message opened which showed the record's snapshot.
    pub fn opened(&self, record: &Record, thread: Thread, shown: Time, label: &str, now: Time) -> Open {
        let story = snapshot(record.value.as_deref().unwrap_or_default()).and_then(|value| read_story(value).ok());
        let truncated = story.as_ref().is_none_or(|story| story.truncated);
        let timeline = story.map(|story| story.timeline).unwrap_or_default();
        Open::new(thread, &timeline, truncated, shown, now, label)
    }

    pub fn sweep(&mut self, now: Time) {
        self.changed.append(&mut self.missed);
        let old: Vec<_> = self.recent.iter().filter(|(_, recent)| recent.at + KEEP <= now).map(|(id, _)| *id).collect();
        old.into_iter().for_each(|incident| self.forget(incident));
        if self.bytes > MOST {
            let mut by_age: Vec<_> = self.recent.iter().map(|(id, recent)| (recent.at, *id)).collect();
            by_age.sort();
            for (_, incident) in by_age {
                if self.bytes <= MOST / 4 * 3 {
                    break;
                }
                self.forget(incident);
            }
        }
    }
}

fn update(open: &Open, story: &Story, value: &[u8]) -> Option<(Thread, Update)> {
    let entry = open.next(&story.timeline)?;
    let (mark, event, timestamp) = (mark(entry), entry.event.name(), entry.timestamp);
    Some((open.thread.clone(), Update { mark, event, timestamp, entry: entry.clone(), incident: value.into() }))
}
