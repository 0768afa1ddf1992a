//! Lanes that are new or were dropped: their offsets, once no transaction can change them, then their state, then reading.

use crate::engine::Shard;
use crate::kafka::restore::{self, Target};
use crate::kafka::{Batch, Error, Reaction, Slot};
use crate::worker::failpoint;
use crate::worker::report::Seen;
use crate::worker::session::Session;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longer than a crashed writer's transaction stays open: after it, no progress means no progress ever.
const PATIENCE: Duration = Duration::from_secs(45);
/// Of one question to the brokers, after which a rebalance or a stop is looked for.
const ASK: Duration = Duration::from_secs(2);

impl Session<'_> {
    /// Restores every pending lane, or returns early where a rebalance or a stop comes between.
    pub fn restore(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let began = Instant::now();
        batch.clear();
        let pending: Vec<usize> = (0..self.lanes.len()).filter(|at| self.lanes[*at].pending).collect();
        let slots: Vec<Slot> = pending.iter().flat_map(|at| self.lanes[*at].slots()).collect();
        // The order matters: what was committed up to these offsets lies below the watermarks asked for after them.
        let Some(committed) = self.asked(|session| session.consumer().committed(&slots, ASK))? else { return Ok(()) };
        let topics = self.consumer().topics().to_vec();
        let named: Vec<(&str, u32)> = slots.iter().map(|slot| (topics[slot.topic].as_str(), slot.partition)).collect();
        let Some(beginnings) = self.asked(|session| session.observer.beginnings(&named, ASK))? else { return Ok(()) };
        let Some(ends) = self.asked(|session| session.observer.ends(&named, ASK))? else { return Ok(()) };

        let Some(records) = self.restore_state(batch, &pending)? else { return Ok(()) };
        failpoint::at("restore");

        for (((slot, committed), beginning), end) in slots.iter().zip(committed).zip(beginnings).zip(ends) {
            let next = committed.unwrap_or(beginning);
            let lane = self.lanes.iter_mut().find(|lane| lane.slots().any(|own| own == *slot));
            if let Some(position) = lane.and_then(|lane| lane.positions[slot.topic].as_mut()) {
                position.next = next;
                position.end = end;
                position.caught_up = next >= end;
            }
            if committed.is_none() && records.iter().any(|(partition, count)| self.is_home(*slot, *partition) && *count > 0) {
                return Err(Error::fatal(format!(
                    "the group `{}` has no offset for `{}` partition {}, whose shard has state: its offsets expired or were \
                     deleted; set them with `kafka-consumer-groups.sh --reset-offsets` to where reading is to go on",
                    self.settings.clients.group(),
                    topics[slot.topic],
                    slot.partition
                )));
            }
        }
        let lanes = self.lanes.len();
        for at in &pending {
            self.lanes[*at].pending = false;
            self.lanes[*at].begin_catch_up(self.settings.catch_up, lanes);
        }
        // After a rebalance every lane is pending; after an abort its lanes alone, and the others read on.
        let offsets: Vec<(Slot, i64)> = pending.iter().flat_map(|at| self.lanes[*at].offsets().collect::<Vec<_>>()).collect();
        if self.started {
            self.consumer().rewind(&offsets, Instant::now() + PATIENCE)?;
        } else {
            self.consumer().start(&offsets)?;
            self.started = true;
        }
        let seconds = began.elapsed().as_secs_f64();
        let records = records.iter().map(|(_, count)| count).sum();
        tracing::info!(worker = self.worker, shards = pending.len(), records, seconds, "state is restored");
        (self.settings.observe)(Seen::Restored { seconds, records, shards: pending.len() });
        Ok(())
    }

    /// Rebuilds the shards of `pending`; how many records each partition held. `None`: interrupted.
    fn restore_state(&mut self, batch: &mut Batch, pending: &[usize]) -> Result<Option<Vec<(u32, u64)>>, Error> {
        let homes: Vec<(usize, u32)> = pending.iter().filter_map(|at| Some((*at, self.lanes[*at].home?))).collect();
        let state = self.settings.names.state.clone();
        let named: Vec<(&str, u32)> = homes.iter().map(|(_, partition)| (state.as_str(), *partition)).collect();
        let Some(from) = self.asked(|session| session.observer.beginnings(&named, ASK))? else { return Ok(None) };
        let Some(until) = self.asked(|session| session.observer.ends(&named, ASK))? else { return Ok(None) };
        let targets: Vec<Target> = homes
            .iter()
            .zip(from.into_iter().zip(until))
            .map(|((_, partition), (from, until))| Target { partition: *partition, from, until })
            .collect();
        // By partition: the lane and its count. Partitions are few and dense.
        let highest = homes.iter().map(|(_, partition)| *partition as usize).max();
        let mut lane_of = vec![usize::MAX; highest.map_or(0, |highest| highest + 1)];
        let mut counts = vec![0_u64; lane_of.len()];
        for (at, partition) in &homes {
            lane_of[*partition as usize] = *at;
            let shard = Shard::new(*partition, Arc::clone(&self.settings.engine), Rc::clone(&self.rules));
            self.lanes[*at].shard = Some(shard);
        }
        let (lanes, consumer, pulse) = (&mut self.lanes, &self.consumer, self.pulse);
        let finished = restore::run(
            &mut self.reader,
            batch,
            &targets,
            PATIENCE,
            &mut |partition, key, value| {
                let at = lane_of.get(partition as usize).copied().unwrap_or(usize::MAX);
                let Some(shard) = lanes.get_mut(at).and_then(|lane| lane.shard.as_mut()) else { return Ok(()) };
                counts[partition as usize] += 1;
                let unreadable =
                    |error| Error::fatal(format!("the state of shard {partition} in `{state}` is unreadable: {error}"));
                shard.restore(key, value).map_err(unreadable)
            },
            &mut || {
                pulse.beat();
                let rebalance = consumer.as_ref().map_or(Ok(true), |consumer| consumer.serve())?;
                Ok(!rebalance && !pulse.stopping())
            },
        )?;
        if !finished {
            return Ok(None);
        }
        for (at, _) in &homes {
            if let Some(shard) = &mut self.lanes[*at].shard {
                shard.restored();
            }
        }
        Ok(Some(homes.iter().map(|(_, partition)| (*partition, counts[*partition as usize])).collect()))
    }

    /// Asks until it is answered. `None`: a rebalance or a stop comes first.
    fn asked<T>(&self, ask: impl Fn(&Self) -> Result<T, Error>) -> Result<Option<T>, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.pulse.beat();
            match ask(self) {
                Ok(answer) => return Ok(Some(answer)),
                // A pending transaction of the last owner's, or a broker that is away.
                Err(error) if error.reaction == Reaction::Retry && Instant::now() < deadline => {
                    tracing::debug!(worker = self.worker, "{error}; again");
                    if self.pulse.stopping() || self.consumer().serve()? {
                        return Ok(None);
                    }
                    std::thread::sleep(Duration::from_millis(20));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Is `slot` one of the partitions that the shard of `partition` reads?
    fn is_home(&self, slot: Slot, partition: u32) -> bool {
        self.lanes.iter().any(|lane| lane.home == Some(partition) && lane.slots().any(|own| own == slot))
    }
}
