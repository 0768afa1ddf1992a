//! What the thread of an incident is told: each entry of the timeline that belongs there, once and in order (SPEC 7).
//!
//! Its source is the timeline: whether a rule's action or the incident's own record brings an entry first, the thread reads the same.
//! Only an action that calls somebody stands there as well.

use crate::codec::timeline_entry;
use crate::delivery::channel::Thread;
use crate::model::{RuleEvent, Time, TimelineEntry, TimelineEvent};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// A thread that was opened, and how far it has been told.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Open {
    pub thread: Thread,
    /// The mark of the last entry that it knows; none where there was none.
    pub told: Option<String>,
    /// What is older than this it knows as well: for an entry whose mark has left the timeline.
    pub since: Time,
    /// When it was opened, or last told something.
    pub at: Time,
    /// As receipts name the target.
    pub label: String,
}

/// Belongs into the thread, where it is open.
pub fn belongs(event: TimelineEvent) -> bool {
    use TimelineEvent::*;
    matches!(event, Acknowledged | Escalated | SeverityChanged | Resolved | Reopened | Note)
}

/// An action for this adds nothing to what the timeline says, and calls nobody: the thread is told the entry, once.
pub fn is_said_by_timeline(event: RuleEvent) -> bool {
    matches!(event, RuleEvent::Acknowledged | RuleEvent::Resolved)
}

/// An action for this calls somebody: it goes to the thread whole, whatever the timeline says beside it.
pub fn calls_in_thread(event: RuleEvent) -> bool {
    matches!(event, RuleEvent::Escalated | RuleEvent::SeverityChanged | RuleEvent::Reopened)
}

/// Names an entry: hex of a hash of all that it says.
pub fn mark(entry: &TimelineEntry) -> String {
    const_hex::encode(&Sha256::digest(timeline_entry(entry).to_string())[..8])
}

impl Open {
    /// Opened by a message that showed the incident with this timeline; `truncated`: without it, at `shown`.
    pub fn new(thread: Thread, timeline: &[TimelineEntry], truncated: bool, shown: Time, now: Time, label: &str) -> Open {
        let last = timeline.iter().rfind(|entry| belongs(entry.event));
        // A mark that no entry has: then times alone tell.
        let told = if truncated { Some(String::new()) } else { last.map(mark) };
        let since = last.map_or(shown, |last| if truncated { shown } else { last.timestamp });
        Open { thread, told, since, at: now, label: label.to_owned() }
    }

    /// The first entry that the thread does not know.
    pub fn next<'a>(&self, timeline: &'a [TimelineEntry]) -> Option<&'a TimelineEntry> {
        let known =
            self.told.as_ref().map(|told| timeline.iter().rposition(|entry| belongs(entry.event) && mark(entry) == *told));
        match known {
            None => timeline.iter().find(|entry| belongs(entry.event)),
            Some(Some(at)) => timeline[at + 1..].iter().find(|entry| belongs(entry.event)),
            Some(None) => timeline.iter().find(|entry| belongs(entry.event) && entry.timestamp > self.since),
        }
    }

    /// It has been told `mark`, of `timestamp`.
    pub fn knows(&mut self, mark: String, timestamp: Time, now: Time) {
        self.told = Some(mark);
        self.since = self.since.max(timestamp);
        self.at = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Metadata;

    fn entry(at: i64, event: TimelineEvent) -> TimelineEntry {
        TimelineEntry { timestamp: Time(at), event, user: None, details: Metadata::default() }
    }

    fn thread() -> Thread {
        Thread { channel: "C1".to_owned(), ts: "1.0".to_owned() }
    }

    fn told(open: &mut Open, timeline: &[TimelineEntry]) -> Vec<i64> {
        let mut told = Vec::new();
        while let Some(entry) = open.next(timeline) {
            told.push(entry.timestamp.0);
            let (mark, at) = (mark(entry), entry.timestamp);
            open.knows(mark, at, Time(0));
        }
        told
    }

    #[test]
    fn each_entry_that_belongs_there_is_told_once_in_order() {
        use TimelineEvent::*;
        let mut timeline = vec![entry(1, Triggered), entry(2, Escalated)];
        let mut open = Open::new(thread(), &timeline, false, Time(2), Time(2), "#ops");
        assert_eq!(told(&mut open, &timeline), [0; 0], "the message itself showed it");
        timeline.extend([entry(3, Occurrence), entry(4, Acknowledged), entry(4, Note), entry(5, Silenced), entry(6, Resolved)]);
        assert_eq!(told(&mut open, &timeline), [4, 4, 6]);
        assert_eq!(told(&mut open, &timeline), [0; 0]);
        // An entry whose event lies before the last one's, for it was read later.
        timeline.push(entry(5, Reopened));
        assert_eq!(told(&mut open, &timeline), [5]);
    }

    #[test]
    fn without_any_before_all_that_comes_is_new() {
        let timeline = [entry(1, TimelineEvent::Triggered)];
        let mut open = Open::new(thread(), &timeline, false, Time(9), Time(9), "#ops");
        // Its event time lies before the message was written.
        assert_eq!(told(&mut open, &[entry(1, TimelineEvent::Triggered), entry(5, TimelineEvent::Resolved)]), [5]);
    }

    #[test]
    fn where_the_timeline_was_cut_times_tell() {
        use TimelineEvent::*;
        let mut open = Open::new(thread(), &[], true, Time(10), Time(10), "#ops");
        assert_eq!(told(&mut open, &[entry(3, Acknowledged), entry(11, Note), entry(12, Resolved)]), [11, 12]);
        // The last one told has left the timeline.
        assert_eq!(told(&mut open, &[entry(11, Note), entry(20, Reopened)]), [20]);
    }
}
