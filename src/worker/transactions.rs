//! The transactions of a worker, one after another on a thread of their own: while one ends, the worker goes on with the
//! next batches, whose outputs wait in its lanes (a commit that is waited for costs a third of the speed under load).

use crate::codec::OutRecord;
use crate::kafka::{Error, Offsets, Producer, Reaction, Send};
use crate::worker::session::Session;
use crate::worker::{Settings, failpoint};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::time::{Duration, Instant};

/// For one transaction, in which calls are repeated.
const TRANSACTION: Duration = Duration::from_secs(30);
const ABORT: Duration = Duration::from_secs(10);

/// What one transaction is to hold.
pub struct Job {
    /// Outputs, changelog, dead letters, records for other shards.
    pub records: Vec<OutRecord>,
    /// Of the lanes that said them.
    pub offsets: Offsets,
}

/// The thread with the producer. At most one job is under way.
pub struct Transactions {
    jobs: Sender<Job>,
    done: Receiver<Result<(), Error>>,
}

impl Transactions {
    pub fn start(worker: usize, settings: &Settings, producer: Producer) -> Result<Transactions, Error> {
        let (jobs, waiting) = bounded::<Job>(1);
        let (finished, done) = bounded(1);
        let settings = settings.clone();
        // Not joined: it ends when the session drops its end of the channel, after what it is at.
        std::thread::Builder::new()
            .name(format!("transactions-{worker}"))
            .spawn(move || {
                let mut producer = producer;
                for job in waiting {
                    let result = transact(&mut producer, job, Instant::now() + TRANSACTION)
                        .or_else(|error| undo(&mut producer, worker, &settings, error));
                    if finished.send(result).is_err() {
                        return;
                    }
                }
            })
            .map_err(|error| Error::fatal(format!("starting a worker's second thread: {error}")))?;
        Ok(Transactions { jobs, done })
    }

    /// Begins a transaction; none may be under way.
    pub fn begin(&self, job: Job) -> Result<(), Error> {
        self.jobs.try_send(job).map_err(|_| Error::fatal("the thread of the transactions ended"))
    }

    /// The outcome of the one under way, waiting up to `timeout`. After an error it is aborted (or, where that is not
    /// possible, will be by its successor), and the next may begin.
    pub fn outcome(&self, timeout: Duration) -> Option<Result<(), Error>> {
        match self.done.recv_timeout(timeout) {
            Ok(result) => Some(result),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => Some(Err(Error::fatal("the thread of the transactions ended"))),
        }
    }
}

fn transact(producer: &mut Producer, job: Job, deadline: Instant) -> Result<(), Error> {
    producer.begin()?;
    failpoint::at("txn_before_produce");
    // Each is freed once librdkafka has its copy: they are the larger part of what a worker holds besides its state.
    for OutRecord { topic, partition, key, value, headers } in job.records {
        let (topic, key, value, headers) = (topic as usize, key.as_deref(), value.as_deref(), &headers);
        producer.send(&Send { topic, partition, key, value, headers }, deadline)?;
    }
    failpoint::at("txn_after_produce");
    failpoint::at("txn_before_offsets");
    producer.send_offsets(&job.offsets, deadline)?;
    failpoint::at("txn_after_offsets");
    failpoint::fails("txn_fails")?;
    failpoint::during("txn_during_commit");
    producer.commit(deadline)?;
    failpoint::at("txn_after_commit");
    Ok(())
}

/// Aborts, and replaces a producer that cannot go on. Returns the error.
fn undo(producer: &mut Producer, worker: usize, settings: &Settings, error: Error) -> Result<(), Error> {
    // These end the session, and its producer with it.
    if matches!(error.reaction, Reaction::Fatal | Reaction::Fenced) {
        return Err(error);
    }
    producer.abort(Instant::now() + ABORT);
    if producer.is_spoiled() {
        *producer = Session::producer(worker, settings)?;
    }
    Err(error)
}
