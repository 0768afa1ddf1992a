//! How a member commits: all that a few of its shards have said, their changelog and their positions in one transaction.

use crate::sim::log::Fate;
use crate::sim::world::{Ending, Entry, INBOX, Said, World};
use incidentd::codec;
use incidentd::engine::StateRecord;
use incidentd::model::Output;

impl World {
    /// Begins a transaction for `partitions` and writes all that it holds, or, `within`, a part of it before the member dies.
    pub fn begin(&mut self, member: usize, partitions: &[u32], within: Option<usize>) {
        assert!(self.members[member].ending.is_none());
        let txn = self.txns.begin();
        let mut left = within.unwrap_or(usize::MAX);
        let mut lanes = Vec::new();
        let mut lines = 0;
        for &partition in partitions {
            let now = self.clock(member);
            let Some(lane) = self.members[member].lanes.get_mut(&partition) else { continue };
            lane.take_facts(now);
            for line in std::mem::take(&mut lane.lines) {
                let Some(rest) = left.checked_sub(1) else { break };
                left = rest;
                match &line.said {
                    Said::Output(Output::Fact { to, fact }) => {
                        for to in to {
                            let record = codec::write_fact(*to, fact, &self.codec);
                            self.partitions[*to as usize].inputs[INBOX].append(txn, Entry::Fact(record));
                        }
                    }
                    Said::Forwarded(to, record) => {
                        self.partitions[*to as usize].inputs[INBOX].append(txn, Entry::Input(record.clone()));
                    }
                    Said::Output(_) | Said::Taken(..) => {}
                }
                self.out.append(txn, line);
                lines += 1;
            }
            lane.shard.changelog(&mut |record| {
                if left > 0 {
                    left -= 1;
                    self.partitions[partition as usize].state.append(txn, record);
                }
            });
            lane.touched = false;
            lanes.push((partition, lane.generation, lane.positions));
        }
        self.members[member].ending = Some(Ending { txn, lanes, lines });
    }

    /// Ends the member's transaction. It commits only where all its partitions are the member's still; else, or where
    /// `aborts`, the lanes that it held are dropped with what they did since. True: committed.
    pub fn end(&mut self, member: usize, aborts: bool) -> bool {
        let Some(Ending { txn, lanes, lines }) = self.members[member].ending.take() else { return false };
        let owned = lanes.iter().all(|(partition, generation, _)| self.partitions[*partition as usize].generation == *generation);
        if aborts || !owned {
            self.txns.end(txn, Fate::Aborted);
            for (partition, ..) in lanes {
                self.members[member].lanes.remove(&partition);
            }
            return false;
        }
        for (partition, _, positions) in &lanes {
            self.partitions[*partition as usize].positions = *positions;
        }
        self.txns.end(txn, Fate::Committed);
        self.lines += lines;
        // Not at every commit: each is a whole restore.
        if self.compares && txn.is_multiple_of(if self.settles { 31 } else { 5 }) {
            for (partition, ..) in &lanes {
                self.compare(member, *partition);
            }
        }
        true
    }

    /// Invariant B: what a restore would bring back is what the member has.
    fn compare(&mut self, member: usize, partition: u32) {
        let state = &mut self.partitions[partition as usize].state;
        if !state.is_unstable(&self.txns) {
            state.compact(&self.txns, |record| &record.key);
        }
        let Some(lane) = self.members[member].lanes.get(&partition).filter(|lane| !lane.touched) else { return };
        let restored = self.restored(partition, self.members[member].set.unwrap_or(self.set));
        let (live, restored) = (lane.shard.state(), restored.state());
        for at in 0..live.len().max(restored.len()) {
            let (live, restored) = (live.get(at), restored.get(at));
            let bytes = |record: Option<&StateRecord>| record.and_then(|record| record.value.clone()).unwrap_or_default();
            let place = bytes(live).iter().zip(&bytes(restored)).position(|(one, other)| one != other);
            assert_eq!(live, restored, "B: state from the changelog differs, partition {partition}, first at byte {place:?}");
        }
    }
}
