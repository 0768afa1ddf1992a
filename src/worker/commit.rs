//! When lanes are due, and what a transaction takes of them (ARCHITECTURE 3).
//!
//! A transaction is begun only to be committed: the buffers of the lanes that are due, their changelog, exactly their
//! offsets. What it costs is the number of partitions that it touches, so lanes with nothing to say wait their idle
//! interval. An abort drops those lanes, with what they did while it was under way, and restores them; the others keep
//! memory and buffers.

use crate::kafka::{Error, Reaction, Slot};
use crate::model::Time;
use crate::traces;
use crate::worker::Settings;
use crate::worker::lane::Lane;
use crate::worker::report::{Committed, Seen};
use crate::worker::session::{Session, wall_clock};
use crate::worker::transactions::Job;
use std::time::{Duration, Instant};
use tracing::{Span, field};

/// What all lanes of a worker may hold back together: past it everything is committed.
const MAX_BUFFERED: usize = 8 << 20;
/// For so many commit intervals, and so long, an answer about an alert that changes nothing waits at most while something of
/// another shard is urgent.
const ANSWERED: u32 = 4;
const ANSWERED_WITHIN: Duration = Duration::from_millis(500);
/// How long the end of a transaction may go unnoticed.
const LOOK: Duration = Duration::from_millis(2);
/// More than a transaction, its abort and a new producer take at the longest.
const STUCK: Duration = Duration::from_secs(75);
/// Past it the worker is not ready.
const SLOW: Duration = Duration::from_secs(15);
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

    /// After a transaction: the interval is counted from its beginning, and half of it is the broker's to breathe.
    fn ended(&mut self, began: Instant) {
        let now = Instant::now();
        self.last = now.checked_sub(self.soon / 2).map_or(now, |rest| rest.max(began));
    }

    /// `hurries`: one of the lanes is urgent.
    fn due(&self, lane: &Lane, hurries: bool) -> Option<Instant> {
        let since = lane.since?;
        let idle = since + self.idle;
        let soon = self.last + self.now;
        let due = match lane {
            // Each partition that a transaction touches makes it longer, for whoever is paged by it.
            Lane { urgent: false, awaited: true, .. } if hurries => {
                idle.min(soon.max(since + (self.soon * ANSWERED).min(ANSWERED_WITHIN)))
            }
            Lane { urgent: true, .. } | Lane { awaited: true, .. } => idle.min(soon),
            _ => idle,
        };
        // Nor does an idle lane follow at once: the broker, still at the last one's markers, would have it wait, and with
        // it whatever becomes urgent meanwhile.
        Some(due.max(self.last + self.soon))
    }
}

/// A transaction under way.
pub struct UnderWay {
    lanes: Vec<usize>,
    offsets: Vec<(Slot, i64)>,
    counts: Committed,
    causes: Vec<Time>,
    began: Instant,
    trace: Span,
}

impl Session<'_> {
    /// How long the worker may wait for records: until a lane is due, or the transaction under way may have ended.
    pub fn until_commit(&self) -> Option<Duration> {
        if self.under_way.is_some() {
            return Some(LOOK);
        }
        let hurries = self.hurries();
        let due = self.lanes.iter().filter(|lane| !lane.pending).filter_map(|lane| self.pace.due(lane, hurries)).min();
        due.map(|due| due.saturating_duration_since(Instant::now()))
    }

    fn hurries(&self) -> bool {
        self.lanes.iter().any(|lane| lane.urgent && !lane.pending)
    }

    /// Takes a transaction longer than brokers in order need?
    pub fn is_slow(&self) -> bool {
        self.under_way.as_ref().is_some_and(|under_way| under_way.began.elapsed() > SLOW)
    }

    /// Ends the transaction under way where it is done, and begins one where lanes are due.
    pub fn commit_due(&mut self) -> Result<(), Error> {
        let everything = self.lanes.iter().map(|lane| lane.bytes).sum::<usize>() > MAX_BUFFERED;
        // What waits is bounded: full, the worker waits with it.
        if everything {
            self.finish()?
        } else {
            self.look(Duration::ZERO)?
        }
        if self.under_way.is_some() {
            return Ok(());
        }
        let (now, hurries) = (Instant::now(), self.hurries());
        self.begin(|pace, lane| pace.due(lane, hurries).is_some_and(|due| everything || due <= now))
    }

    /// Commits whatever is not, and waits for it.
    pub fn commit_all(&mut self) -> Result<(), Error> {
        self.finish()?;
        self.begin(|_, lane| lane.since.is_some())?;
        self.finish()
    }

    /// Waits for the transaction under way.
    pub fn finish(&mut self) -> Result<(), Error> {
        while self.under_way.is_some() {
            self.look(Duration::from_millis(50))?;
        }
        Ok(())
    }

    fn begin(&mut self, chosen: impl Fn(&Pace, &Lane) -> bool) -> Result<(), Error> {
        let lanes: Vec<usize> =
            (0..self.lanes.len()).filter(|at| !self.lanes[*at].pending && chosen(&self.pace, &self.lanes[*at])).collect();
        if lanes.is_empty() {
            return Ok(());
        }
        let offsets: Vec<(Slot, i64)> = lanes.iter().flat_map(|at| self.lanes[*at].offsets()).collect();
        let job_offsets = self.consumer().offsets(&offsets)?;
        let (mut records, mut counts, mut causes) = (Vec::new(), Committed::default(), Vec::new());
        for at in &lanes {
            let lane = &mut self.lanes[*at];
            causes.append(&mut lane.causes);
            add(&mut counts, std::mem::take(&mut lane.counts));
            lane.records(&mut records);
            lane.settle();
        }
        let began = Instant::now();
        let trace = tracing::info_span!(
            target: traces::TARGET,
            "transaction",
            worker = self.worker,
            shards = lanes.len(),
            records = records.len(),
            otel.status_code = field::Empty,
            error.message = field::Empty,
        );
        self.transactions.begin(Job { records, offsets: job_offsets })?;
        self.under_way = Some(UnderWay { lanes, offsets, counts, causes, began, trace });
        Ok(())
    }

    /// Looks whether the transaction under way is done.
    fn look(&mut self, timeout: Duration) -> Result<(), Error> {
        let Some(under_way) = &self.under_way else { return Ok(()) };
        if under_way.began.elapsed() > STUCK {
            return Err(Error::fatal(format!("a transaction has been under way for {} s", STUCK.as_secs())));
        }
        self.pulse.beat();
        let Some(outcome) = self.transactions.outcome(timeout) else { return Ok(()) };
        let Some(under_way) = self.under_way.take() else { return Ok(()) };
        self.pace.ended(under_way.began);
        match outcome {
            Ok(()) => {
                self.pace.aborts = 0;
                self.committed(under_way)
            }
            Err(error) => {
                under_way.trace.record("otel.status_code", "ERROR").record("error.message", error.what.as_str());
                self.aborted(&under_way.lanes, error)
            }
        }
    }

    fn committed(&mut self, under_way: UnderWay) -> Result<(), Error> {
        let UnderWay { lanes, offsets, mut counts, causes, began, trace: _ } = under_way;
        let now = wall_clock();
        counts.transaction_seconds = began.elapsed().as_secs_f64();
        counts.alert_to_action_seconds = causes.iter().map(|time| (now - *time).max(0) as f64 / 1_000.0).collect();
        tracing::trace!(worker = self.worker, shards = lanes.len(), seconds = counts.transaction_seconds, "committed");
        (self.settings.observe)(Seen::Committed(&counts));
        match self.settings.clients.is_embedded() {
            true => self.consumer().commit_apart(&offsets),
            false => Ok(()),
        }
    }

    /// The lanes of a transaction that failed are dropped with all they did since; the next turn restores them.
    fn aborted(&mut self, lanes: &[usize], error: Error) -> Result<(), Error> {
        (self.settings.observe)(Seen::Aborted(&error.what));
        self.pulse.set_ready(false);
        if matches!(error.reaction, Reaction::Fatal | Reaction::Fenced) {
            return Err(error);
        }
        self.pace.aborts += 1;
        if self.pace.aborts >= MAX_ABORTS {
            return Err(Error::fatal(format!("{error}; {MAX_ABORTS} transactions in a row were aborted")));
        }
        tracing::warn!(worker = self.worker, shards = lanes.len(), "a transaction is aborted: {error}");
        for at in lanes {
            self.lanes[*at].reset();
        }
        Ok(())
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    /// In commit intervals after the last transaction, by what a lane holds and whether another is urgent.
    #[test]
    fn who_is_paged_goes_first_and_who_is_answered_does_not_wait_for_ever() {
        let began = Instant::now();
        let interval = Duration::from_millis(50);
        let pace = Pace { soon: interval, idle: interval * 20, now: interval, last: began, aborts: 0 };
        let due = |urgent: bool, awaited: bool, hurries: bool| {
            let lane = Lane { urgent, awaited, since: Some(began), ..Lane::new(Some(0)) };
            pace.due(&lane, hurries).expect("something waits").duration_since(began).as_millis() / interval.as_millis()
        };
        assert_eq!([due(true, false, true), due(true, true, true)], [1, 1], "a page");
        assert_eq!([due(false, true, false), due(false, true, true)], [1, 4], "an answer, alone and beside a page");
        assert_eq!([due(false, false, false), due(false, false, true)], [20, 20], "counts");
        let slow = Pace { soon: interval * 6, now: interval * 6, ..pace };
        let lane = Lane { awaited: true, since: Some(began), ..Lane::new(Some(0)) };
        assert_eq!(slow.due(&lane, true), Some(began + ANSWERED_WITHIN), "an answer beside a page, of a slow pace");
        assert_eq!(slow.due(&Lane::new(Some(0)), true), None);
    }

    #[test]
    fn what_was_committed_is_awaited_no_more() {
        let mut lane = Lane { urgent: true, awaited: true, since: Some(Instant::now()), ..Lane::new(Some(0)) };
        lane.settle();
        assert!(!lane.urgent && !lane.awaited && lane.since.is_none());
    }
}
