//! Starting, watching and stopping the workers: readiness, the watchdog, and the drain with its deadline.

use crate::kafka::{Error, Reaction};
use crate::worker::Settings;
use crate::worker::session::{End, Session};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// A worker that shows no sign of life for this long is not ready.
const QUIET: Duration = Duration::from_secs(15);
/// For this long: the process had better end, so that another takes over.
const STUCK: Duration = Duration::from_secs(60);
/// Between two attempts to join.
const BACKOFF: [u64; 5] = [200, 500, 1_000, 2_000, 5_000];

/// The signs that one worker gives of itself.
pub(super) struct Pulse {
    started: Instant,
    /// Milliseconds after `started`.
    last: AtomicU64,
    ready: AtomicBool,
    stop: Arc<AtomicBool>,
}

impl Pulse {
    /// A step was made: a turn of the loop, a part of a restore.
    pub fn beat(&self) {
        self.last.store(self.started.elapsed().as_millis() as u64, Ordering::Release);
    }

    /// All assigned shards are restored and have read to where their partitions ended at the assignment.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn quiet_for(&self) -> Duration {
        self.started.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Acquire)))
    }
}

/// The running workers.
pub struct Workers {
    stop: Arc<AtomicBool>,
    pulses: Vec<Arc<Pulse>>,
    threads: Vec<JoinHandle<()>>,
    watchdog: Option<JoinHandle<()>>,
    failure: Receiver<String>,
}

impl Workers {
    /// For `/readyz`: see [`Readiness`].
    pub fn readiness(&self) -> Readiness {
        Readiness { pulses: self.pulses.clone() }
    }

    /// Says why, once, when the workers cannot go on: the process should drain and exit with an error.
    pub fn failure(&self) -> &Receiver<String> {
        &self.failure
    }

    /// Tells the workers to finish their transactions and to leave the group. Returns at once.
    pub fn stop(&self) {
        self.stop.store(true, Ordering::Release);
    }

    /// Stops, and waits until all have ended; an error names those that had not by the deadline. What they held open is
    /// aborted by the broker, and their records are read again by whoever takes over.
    pub fn join(mut self, deadline: Instant) -> Result<(), String> {
        self.stop();
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if Instant::now() >= deadline {
                let late = self.threads.iter().filter(|thread| !thread.is_finished());
                let late: Vec<_> = late.filter_map(|thread| thread.thread().name()).collect();
                return Err(format!("{} had not ended by the deadline", late.join(", ")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        for thread in self.threads.drain(..).chain(self.watchdog.take()) {
            thread.join().map_err(|_| "a worker panicked".to_owned())?;
        }
        Ok(())
    }
}

/// Whether the workers are ready; cheap to clone, outlives them.
#[derive(Clone)]
pub struct Readiness {
    pulses: Vec<Arc<Pulse>>,
}

impl Readiness {
    /// Every worker's shards are restored and caught up with the ends seen at their assignment, and none is stuck.
    pub fn ready(&self) -> bool {
        self.pulses.iter().all(|pulse| pulse.ready.load(Ordering::Acquire) && pulse.quiet_for() < QUIET)
    }
}

pub(super) fn start(settings: Arc<Settings>) -> Result<Workers, Error> {
    let stop = Arc::new(AtomicBool::new(false));
    let (failed, failure) = bounded(1);
    let cannot = |error: std::io::Error| Error::fatal(format!("starting a worker's thread: {error}"));
    let mut workers = Workers { stop: Arc::clone(&stop), pulses: Vec::new(), threads: Vec::new(), watchdog: None, failure };
    for worker in 0..settings.workers.max(1) {
        let pulse = Arc::new(Pulse {
            started: Instant::now(),
            last: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            stop: Arc::clone(&stop),
        });
        workers.pulses.push(Arc::clone(&pulse));
        let (settings, failed) = (Arc::clone(&settings), failed.clone());
        let thread = std::thread::Builder::new()
            .name(format!("worker-{worker}"))
            .spawn(move || run(worker, &settings, &pulse, &failed))
            .map_err(cannot)?;
        workers.threads.push(thread);
    }
    let pulses = workers.pulses.clone();
    let watchdog = std::thread::Builder::new().name("watchdog".to_owned()).spawn(move || watch(&pulses, &stop, &failed));
    workers.watchdog = Some(watchdog.map_err(cannot)?);
    Ok(workers)
}

/// Session after session, until told to stop or there is no point in another.
fn run(worker: usize, settings: &Settings, pulse: &Pulse, failed: &Sender<String>) {
    let mut attempt = 0;
    loop {
        pulse.beat();
        let began = Instant::now();
        let error = match Session::run(worker, settings, pulse) {
            Ok(End::Stopped) => return,
            Err(error) => error,
        };
        pulse.set_ready(false);
        if error.reaction == Reaction::Fatal {
            tracing::error!(worker, "{error}");
            // Full: another worker failed first, and one reason is enough.
            let _ = failed.try_send(error.what);
            return;
        }
        attempt = if began.elapsed() > STUCK { 0 } else { (attempt + 1).min(BACKOFF.len() - 1) };
        tracing::warn!(worker, "{error}; joining the group anew");
        let until = Instant::now() + Duration::from_millis(BACKOFF[attempt]);
        while Instant::now() < until {
            if pulse.stopping() {
                return;
            }
            pulse.beat();
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

fn watch(pulses: &[Arc<Pulse>], stop: &AtomicBool, failed: &Sender<String>) {
    while !stop.load(Ordering::Acquire) {
        for (worker, pulse) in pulses.iter().enumerate() {
            // A worker that has ended says nothing more, and has said why.
            if pulse.quiet_for() > STUCK {
                let _ = failed.try_send(format!("worker {worker} has been stuck for {} s", pulse.quiet_for().as_secs()));
            }
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
