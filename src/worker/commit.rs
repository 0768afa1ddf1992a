//! When lanes are due, and the transaction that commits them (ARCHITECTURE 3).
//!
//! A transaction is begun only to be committed: the buffers of the lanes that are due, their changelog, exactly their
//! offsets. What it costs is the number of partitions that it touches, so lanes with nothing to say wait their idle
//! interval. An abort drops those lanes and restores them; the others keep memory and buffers.

use crate::codec::OutRecord;
use crate::kafka::{Error, Producer, Reaction, Send, Slot};
use crate::model::{Time, Topic};
use crate::worker::lane::Lane;
use crate::worker::report::{Committed, Seen};
use crate::worker::session::{Session, wall_clock};
use crate::worker::{Settings, failpoint};
use std::time::{Duration, Instant};

/// What all lanes of a worker may hold back together: past it everything is committed.
const MAX_BUFFERED: usize = 16 << 20;
/// For one transaction, in which calls are repeated.
const TRANSACTION: Duration = Duration::from_secs(30);
/// So many aborts without a commit between them: something is wrong that restoring does not mend.
const MAX_ABORTS: u32 = 20;

/// How soon what somebody waits for is committed.
pub struct Pace {
    soon: Duration,
    idle: Duration,
    /// `soon`, or more where we are far behind.
    now: Duration,
    last: Instant,
    aborts: u32,
}

impl Pace {
    pub fn new(settings: &Settings) -> Pace {
        Pace {
            soon: settings.commit_interval,
            idle: settings.idle_commit_interval.max(settings.commit_interval),
            now: settings.commit_interval,
            last: Instant::now(),
            aborts: 0,
        }
    }

    /// After each batch. Far behind, a commit may wait for a tenth of what its records are late already: nobody notices,
    /// and it is spent on fewer and larger transactions. `more`: the batch was full, so records wait.
    pub fn seen(&mut self, more: bool, last: Option<Time>, now: Time) {
        self.now = match last {
            Some(time) if more => {
                let late = Duration::from_millis(u64::try_from(now - time).unwrap_or(0));
                (late / 10).clamp(self.soon, self.idle)
            }
            _ => self.soon,
        };
    }

    fn due(&self, lane: &Lane) -> Option<Instant> {
        let since = lane.since?;
        let idle = since + self.idle;
        Some(if lane.urgent { idle.min(self.last + self.now) } else { idle })
    }
}

impl Session<'_> {
    /// When a lane is due at the earliest.
    pub fn next_commit(&self) -> Option<Instant> {
        self.lanes.iter().filter(|lane| !lane.pending).filter_map(|lane| self.pace.due(lane)).min()
    }

    pub fn commit_due(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        let everything = self.lanes.iter().map(|lane| lane.bytes).sum::<usize>() > MAX_BUFFERED;
        self.commit(|pace, lane| pace.due(lane).is_some_and(|due| everything || due <= now))
    }

    pub fn commit_all(&mut self) -> Result<(), Error> {
        self.commit(|_, lane| lane.since.is_some())
    }

    fn commit(&mut self, chosen: impl Fn(&Pace, &Lane) -> bool) -> Result<(), Error> {
        let lanes: Vec<usize> =
            (0..self.lanes.len()).filter(|at| !self.lanes[*at].pending && chosen(&self.pace, &self.lanes[*at])).collect();
        if lanes.is_empty() {
            return Ok(());
        }
        let began = Instant::now();
        let result = self.transact(&lanes, began + TRANSACTION);
        self.pace.last = Instant::now();
        self.pulse.beat();
        match result {
            Ok(()) => {
                self.pace.aborts = 0;
                tracing::trace!(
                    worker = self.worker,
                    lanes = lanes.len(),
                    micros = began.elapsed().as_micros() as u64,
                    "committed"
                );
                self.committed(&lanes, began);
                Ok(())
            }
            Err(error) => self.aborted(&lanes, error),
        }
    }

    fn transact(&mut self, lanes: &[usize], deadline: Instant) -> Result<(), Error> {
        let offsets: Vec<(Slot, i64)> = lanes.iter().flat_map(|at| self.lanes[*at].offsets()).collect();
        let Some(consumer) = &self.consumer else { return Ok(()) };
        let producer = &mut self.producer;
        producer.begin()?;
        failpoint::at("txn_before_produce");
        for at in lanes {
            produce(producer, &mut self.lanes[*at], deadline)?;
        }
        failpoint::at("txn_after_produce");
        failpoint::at("txn_before_offsets");
        producer.send_offsets(consumer, &offsets, deadline)?;
        failpoint::at("txn_after_offsets");
        failpoint::fails("txn_fails")?;
        failpoint::during("txn_during_commit");
        producer.commit(deadline)?;
        failpoint::at("txn_after_commit");
        if self.settings.clients.is_embedded() {
            consumer.commit_apart(&offsets)?;
        }
        Ok(())
    }

    fn committed(&mut self, lanes: &[usize], began: Instant) {
        let now = wall_clock();
        let mut sum = Committed { transaction_seconds: began.elapsed().as_secs_f64(), ..Committed::default() };
        for at in lanes {
            let lane = &mut self.lanes[*at];
            let seconds = lane.causes.iter().map(|time| ((now - *time).max(0) as f64) / 1_000.0);
            sum.alert_to_action_seconds.extend(seconds);
            add(&mut sum, std::mem::take(&mut lane.counts));
            lane.settle();
        }
        (self.settings.observe)(Seen::Committed(&sum));
    }

    /// The lanes of a transaction that failed are dropped; the next turn restores them.
    fn aborted(&mut self, lanes: &[usize], error: Error) -> Result<(), Error> {
        (self.settings.observe)(Seen::Aborted(&error.what));
        let slots: Vec<Slot> = lanes.iter().flat_map(|at| self.lanes[*at].slots()).collect();
        for at in lanes {
            self.lanes[*at].reset();
        }
        self.pulse.set_ready(false);
        if error.reaction == Reaction::Fatal {
            return Err(error);
        }
        self.producer.abort(Instant::now() + TRANSACTION / 3);
        if error.reaction == Reaction::Fenced {
            return Err(error);
        }
        self.pace.aborts += 1;
        if self.pace.aborts >= MAX_ABORTS {
            return Err(Error::fatal(format!("{error}; {MAX_ABORTS} transactions in a row were aborted")));
        }
        tracing::warn!(worker = self.worker, shards = lanes.len(), "a transaction is aborted: {error}");
        self.consumer().pause(&slots)?;
        if self.producer.is_spoiled() {
            self.producer = Session::producer(self.worker, self.settings)?;
        }
        Ok(())
    }
}

fn produce(producer: &mut Producer, lane: &mut Lane, deadline: Instant) -> Result<(), Error> {
    for OutRecord { topic, partition, key, value, headers } in &lane.buffer {
        let record =
            Send { topic: *topic as usize, partition: *partition, key: key.as_deref(), value: value.as_deref(), headers };
        producer.send(&record, deadline)?;
    }
    let home = lane.home;
    let mut result = Ok(());
    lane.changelog(&mut |state| {
        let (key, value) = (Some(state.key.as_slice()), state.value.as_deref());
        if result.is_ok() {
            result = producer.send(&Send { topic: Topic::State as usize, partition: home, key, value, headers: &[] }, deadline);
        }
    });
    result
}

fn add(sum: &mut Committed, lane: Committed) {
    for (sum, count) in sum.alerts.iter_mut().zip(lane.alerts) {
        *sum += count;
    }
    for (key, count) in lane.actions {
        *sum.actions.entry(key).or_default() += count;
    }
    for (key, count) in lane.evaluations {
        *sum.evaluations.entry(key).or_default() += count;
    }
    for (key, count) in lane.dead_letters {
        *sum.dead_letters.entry(key).or_default() += count;
    }
    sum.inputs.add(lane.inputs);
    sum.unrouted += lane.unrouted;
}
