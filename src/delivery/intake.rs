//! The member of delivery's group: reads the action topics, tells the loop, commits what is done, and restores what was sent before.
//!
//! A thread of its own, for librdkafka blocks. It knows no action: records go to the loop as they are, and come back as offsets.

use crate::delivery::health::Pulse;
use crate::delivery::tracker::{Tracker, Turn};
use crate::delivery::{Record, Settings};
use crate::kafka::batch::Entry;
use crate::kafka::{Batch, Error, GroupConsumer, Observer, Reaction, Reader, Rebalance, Slot, restore};
use crate::metrics as names;
use crate::model::Time;
use crossbeam_channel::{Receiver, bounded};
use metrics::gauge;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc::UnboundedSender;

const BATCH: usize = 500;
/// Between two looks at what is done.
const TURN: Duration = Duration::from_millis(20);
const COMMIT: Duration = Duration::from_millis(250);
/// Of one request.
const TIMEOUT: Duration = Duration::from_secs(10);
/// A restore without any progress for so long has failed.
const PATIENCE: Duration = Duration::from_secs(60);
/// For what is under way, when partitions go to another member.
const HAND_OVER: Duration = Duration::from_secs(5);

/// What the loop is told.
pub enum In {
    /// Partitions are ours, and this is what was remembered of them: partition, key, value.
    Begin(Vec<(u32, String, Option<Vec<u8>>)>),
    Record(Arc<Record>),
    /// Begin nothing more; answer when all that is under way has ended, at the deadline at the latest, and forget everything.
    End {
        deadline: Instant,
        ended: crossbeam_channel::Sender<()>,
    },
    /// Records were deleted before they were read.
    Lost(String),
}

/// A record of `incidentd-delivery`: partition, key, value.
type Kept = (u32, String, Option<Vec<u8>>);

/// One life in the group.
pub struct Session<'a> {
    settings: &'a Settings,
    pulse: &'a Pulse,
    consumer: GroupConsumer,
    observer: Observer,
    batch: Batch,
    trackers: BTreeMap<Slot, Tracker>,
    desk: &'a UnboundedSender<In>,
    done: &'a Receiver<(Slot, i64)>,
    committed_at: Instant,
}

impl<'a> Session<'a> {
    /// Until told to stop.
    pub fn run(
        settings: &'a Settings,
        pulse: &'a Pulse,
        desk: &'a UnboundedSender<In>,
        done: &'a Receiver<(Slot, i64)>,
    ) -> Result<(), Error> {
        let mut session = Session {
            settings,
            pulse,
            consumer: GroupConsumer::join(&settings.clients.delivery(), settings.subscription())?,
            observer: Observer::new(&settings.clients)?,
            batch: Batch::new(BATCH),
            trackers: BTreeMap::new(),
            desk,
            done,
            committed_at: Instant::now(),
        };
        let outcome = session.work();
        if outcome.is_err() {
            // Others may own the partitions: nothing is committed.
            session.end(Instant::now());
        }
        session.give_up();
        session.batch.clear();
        outcome
    }

    fn work(&mut self) -> Result<(), Error> {
        loop {
            self.pulse.beat();
            if self.pulse.stopping() {
                self.end(self.pulse.deadline());
                return self.commit();
            }
            while let Some(event) = self.consumer.rebalance()? {
                match event {
                    Rebalance::Assigned(slots) => self.begin(&slots)?,
                    Rebalance::Revoked { lost } => {
                        self.pulse.set_ready(false);
                        self.end(if lost { Instant::now() } else { Instant::now() + HAND_OVER });
                        if !lost {
                            self.commit()?;
                        }
                        self.give_up();
                        self.consumer.release()?;
                    }
                }
            }
            self.take_done();
            self.read()?;
            self.turn()?;
            if self.committed_at.elapsed() >= COMMIT {
                self.commit()?;
                self.show_lag();
                self.committed_at = Instant::now();
            }
        }
    }

    /// Partitions are ours: what was sent of them is known before anything is sent.
    fn begin(&mut self, slots: &[Slot]) -> Result<(), Error> {
        self.consumer.accept()?;
        let began = Instant::now();
        let remembered = self.restore(slots)?;
        let count = remembered.len();
        let from = self.positions(slots)?;
        // The loop ends after this thread; it cannot be gone.
        let _ = self.desk.send(In::Begin(remembered));
        self.consumer.start(&from.iter().map(|(slot, from, _)| (*slot, *from)).collect::<Vec<_>>())?;
        self.trackers = from.into_iter().map(|(slot, from, committed)| (slot, Tracker::new(from, committed))).collect();
        // A first start that ends before its first delivery begins here again.
        self.commit()?;
        self.pulse.set_ready(true);
        tracing::info!(partitions = slots.len(), remembered = count, took = ?began.elapsed(), "delivering");
        Ok(())
    }

    /// For each slot where to begin, and where the group stood.
    fn positions(&self, slots: &[Slot]) -> Result<Vec<(Slot, i64, Option<i64>)>, Error> {
        let committed = self.patiently(|| self.consumer.committed(slots, TIMEOUT))?;
        let names: Vec<_> = slots.iter().map(|slot| (self.consumer.topics()[slot.topic].as_str(), slot.partition)).collect();
        let oldest = self.patiently(|| self.observer.beginnings(&names, TIMEOUT))?;
        let mut positions = Vec::new();
        for ((slot, (topic, partition)), (committed, oldest)) in slots.iter().zip(names).zip(committed.into_iter().zip(oldest)) {
            if let Some(gone) = committed.filter(|committed| *committed < oldest) {
                let what = format!(
                    "`{topic}` partition {partition}: {} records from offset {gone} on were deleted before they were delivered; \
                     keep them longer (`retention.ms`)",
                    oldest - gone
                );
                tracing::error!("{what}");
                let _ = self.desk.send(In::Lost(what));
            }
            positions.push((*slot, committed.map_or(oldest, |committed| committed.max(oldest)), committed));
        }
        Ok(positions)
    }

    /// What `incidentd-delivery` holds of the partitions that belong to `slots`.
    fn restore(&self, slots: &[Slot]) -> Result<Vec<Kept>, Error> {
        let topic = &self.settings.names.delivery;
        let mut partitions: Vec<u32> = slots.iter().map(|slot| slot.partition % self.settings.partitions).collect();
        partitions.sort_unstable();
        partitions.dedup();
        let names: Vec<_> = partitions.iter().map(|partition| (topic.as_str(), *partition)).collect();
        if names.is_empty() {
            return Ok(Vec::new());
        }
        let from = self.patiently(|| self.observer.beginnings(&names, TIMEOUT))?;
        let until = self.patiently(|| self.observer.ends(&names, TIMEOUT))?;
        let targets: Vec<_> = partitions
            .iter()
            .zip(from.into_iter().zip(until))
            .map(|(partition, (from, until))| restore::Target { partition: *partition, from, until })
            .collect();
        let mut reader = Reader::new(&self.settings.clients.reader(), vec![topic.clone()])?;
        let (mut batch, mut found) = (Batch::new(BATCH), Vec::new());
        let mut put = |partition: u32, key: &[u8], value: Option<&[u8]>| {
            found.push((partition, String::from_utf8_lossy(key).into_owned(), value.map(<[u8]>::to_vec)));
            Ok(())
        };
        let mut go_on = || {
            self.pulse.beat();
            Ok(!self.pulse.stopping())
        };
        restore::run(&mut reader, &mut batch, &targets, PATIENCE, &mut put, &mut go_on)?;
        batch.clear();
        Ok(found)
    }

    /// Again and again while it may mend.
    fn patiently<T>(&self, mut ask: impl FnMut() -> Result<T, Error>) -> Result<T, Error> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match ask() {
                Err(error) if error.reaction == Reaction::Retry && Instant::now() < deadline && !self.pulse.stopping() => {
                    tracing::debug!("{error}; again");
                    self.pulse.beat();
                    std::thread::sleep(Duration::from_millis(50));
                }
                other => return other,
            }
        }
    }

    fn read(&mut self) -> Result<(), Error> {
        self.consumer.read(&mut self.batch, TURN);
        for entry in self.batch.entries(self.consumer.topics()) {
            match entry {
                Entry::Record(topic, record) => {
                    let slot = Slot { topic, partition: record.partition() };
                    let size = record.value().map_or(0, <[u8]>::len) + record.key().map_or(0, <[u8]>::len);
                    let new = self.trackers.get_mut(&slot).is_some_and(|tracker| tracker.read(record.offset(), size));
                    if new {
                        let headers = record.headers().map(|(name, value)| (name.to_owned(), value.unwrap_or_default().to_vec()));
                        let _ = self.desk.send(In::Record(Arc::new(Record {
                            slot,
                            offset: record.offset(),
                            time: record.timestamp().map(Time),
                            key: record.key().map(<[u8]>::to_vec),
                            value: record.value().map(<[u8]>::to_vec),
                            headers: headers.collect(),
                        })));
                    }
                }
                Entry::End { topic, partition, offset } => {
                    if let Some(tracker) = self.trackers.get_mut(&Slot { topic, partition }) {
                        tracker.reached(offset);
                    }
                }
                Entry::Error { topic, partition, code } => self.consumer.judge(topic, partition, code)?,
            }
        }
        Ok(())
    }

    fn take_done(&mut self) {
        for (slot, offset) in self.done.try_iter() {
            if let Some(tracker) = self.trackers.get_mut(&slot) {
                tracker.done(offset);
            }
        }
    }

    /// A partition whose records wait in numbers is read on when they are fewer.
    fn turn(&mut self) -> Result<(), Error> {
        let (mut pause, mut resume) = (Vec::new(), Vec::new());
        for (slot, tracker) in &mut self.trackers {
            match tracker.turn() {
                Some(Turn::Pause) => pause.push(*slot),
                Some(Turn::Resume) => resume.push(*slot),
                None => {}
            }
        }
        if !pause.is_empty() {
            self.consumer.pause(&pause)?;
        }
        if !resume.is_empty() {
            self.consumer.resume(&resume)?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<(), Error> {
        let due: Vec<_> = self.trackers.iter().filter_map(|(slot, tracker)| Some((*slot, tracker.due()?))).collect();
        if due.is_empty() {
            return Ok(());
        }
        match self.consumer.commit_apart(&due) {
            Ok(()) => {
                for (slot, position) in due {
                    if let Some(tracker) = self.trackers.get_mut(&slot) {
                        tracker.committed(position);
                    }
                }
                Ok(())
            }
            Err(error) if error.reaction == Reaction::Fatal => Err(error),
            // The next one covers it, or a rebalance follows; what was sent is remembered.
            Err(error) => {
                tracing::warn!("{error}");
                Ok(())
            }
        }
    }

    fn show_lag(&self) {
        for (slot, tracker) in &self.trackers {
            if let Some(end) = self.consumer.known_end(*slot) {
                self.lag(*slot, (end - tracker.position()).max(0));
            }
        }
    }

    fn lag(&self, slot: Slot, behind: i64) {
        let (topic, partition) = (self.consumer.topics()[slot.topic].clone(), slot.partition.to_string());
        gauge!(names::CONSUMER_LAG, "topic" => topic, "partition" => partition).set(behind as f64);
    }

    /// Nobody here is behind on what is not ours.
    fn give_up(&mut self) {
        for slot in std::mem::take(&mut self.trackers).into_keys() {
            self.lag(slot, 0);
        }
    }

    /// What is under way comes to its end, or is left to whoever reads it again.
    fn end(&mut self, deadline: Instant) {
        let (ended, has_ended) = bounded(1);
        if self.desk.send(In::End { deadline, ended }).is_ok() {
            let patience = deadline.saturating_duration_since(Instant::now()) + Duration::from_secs(1);
            // It answers at the deadline; without an answer what was done is committed all the same.
            let _ = has_ended.recv_timeout(patience);
        }
        self.take_done();
    }
}
