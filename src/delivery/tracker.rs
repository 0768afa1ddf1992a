//! One partition's records that are not done with: where the group's offset may stand, and when to read no more.

use std::collections::BTreeMap;

/// Records, and bytes of them, that may be under way of one partition: past either it is paused until half of them are done.
pub const RECORDS: usize = 5_000;
pub const BYTES: usize = 8 << 20;

/// Offsets are those of one partition, read in order.
#[derive(Debug)]
pub struct Tracker {
    /// Read and not done, with their sizes.
    open: BTreeMap<i64, usize>,
    bytes: usize,
    /// After the last one read.
    next: i64,
    /// As last committed.
    committed: Option<i64>,
    paused: bool,
}

/// What to do with the partition.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Turn {
    Pause,
    Resume,
}

impl Tracker {
    /// Reading begins at `from`; `committed`: where the group stands, if anywhere.
    pub fn new(from: i64, committed: Option<i64>) -> Tracker {
        Tracker { open: BTreeMap::new(), bytes: 0, next: from, committed, paused: false }
    }

    /// A record was read. False: it was read before.
    pub fn read(&mut self, offset: i64, bytes: usize) -> bool {
        if offset < self.next {
            return false;
        }
        self.next = offset + 1;
        self.open.insert(offset, bytes);
        self.bytes += bytes;
        true
    }

    /// Up to `offset` there is nothing more to be read: markers of transactions take offsets, too.
    pub fn reached(&mut self, offset: i64) {
        self.next = self.next.max(offset);
    }

    pub fn done(&mut self, offset: i64) {
        if let Some(bytes) = self.open.remove(&offset) {
            self.bytes -= bytes;
        }
    }

    /// Before it everything is done.
    pub fn position(&self) -> i64 {
        self.open.first_key_value().map_or(self.next, |(offset, _)| *offset)
    }

    /// What is to be committed, where that is anything new.
    pub fn due(&self) -> Option<i64> {
        let position = self.position();
        (self.committed != Some(position)).then_some(position)
    }

    pub fn committed(&mut self, position: i64) {
        self.committed = Some(position);
    }

    /// Whether to stop reading or to go on; it counts as done.
    pub fn turn(&mut self) -> Option<Turn> {
        let (records, bytes) = (self.open.len(), self.bytes);
        let turn = match self.paused {
            false if records >= RECORDS || bytes >= BYTES => Turn::Pause,
            true if records <= RECORDS / 2 && bytes <= BYTES / 2 => Turn::Resume,
            _ => return None,
        };
        self.paused = turn == Turn::Pause;
        Some(turn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_never_passes_what_is_not_done() {
        let mut tracker = Tracker::new(10, Some(10));
        assert_eq!(tracker.due(), None);
        for offset in [10, 11, 14] {
            assert!(tracker.read(offset, 1));
        }
        assert!(!tracker.read(11, 1), "what a resumed partition brings again is known");
        tracker.done(11);
        tracker.done(14);
        assert_eq!(tracker.due(), None);
        tracker.done(10);
        assert_eq!(tracker.due(), Some(15));
        tracker.reached(17);
        assert_eq!(tracker.due(), Some(17));
        tracker.committed(17);
        assert_eq!(tracker.due(), None);
    }

    #[test]
    fn a_group_that_stands_nowhere_is_told_where_it_begins() {
        assert_eq!(Tracker::new(0, None).due(), Some(0));
    }

    #[test]
    fn it_pauses_when_full_by_number_or_size_and_resumes_at_half() {
        for (bytes, fits) in [(1, RECORDS), (BYTES / 4, 4)] {
            let mut tracker = Tracker::new(0, None);
            for offset in 0..fits as i64 {
                assert_eq!(tracker.turn(), None);
                tracker.read(offset, bytes);
            }
            assert_eq!(tracker.turn(), Some(Turn::Pause));
            assert_eq!(tracker.turn(), None);
            let half = (fits / 2) as i64;
            (0..half - 1).for_each(|offset| tracker.done(offset));
            assert_eq!(tracker.turn(), None);
            tracker.done(half);
            assert_eq!(tracker.turn(), Some(Turn::Resume));
        }
    }
}
