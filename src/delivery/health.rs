//! Starting, watching and stopping delivery: its thread, its loop, readiness, and the drain with its deadline.

use crate::delivery::channel::Channels;
use crate::delivery::hands::Hands;
use crate::delivery::intake::Session;
use crate::delivery::{Settings, follow, heartbeat};
use crate::kafka::{Appender, Error, Reaction};
use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// Without a sign of life for this long it is not ready.
const QUIET: Duration = Duration::from_secs(15);
/// Left of the drain's time for committing and leaving the group.
const LEAVE: Duration = Duration::from_secs(2);
/// Between two attempts to join.
const BACKOFF: [u64; 5] = [200, 500, 1_000, 2_000, 5_000];

/// The signs that it gives of itself, and the word to stop.
pub struct Pulse {
    started: Instant,
    /// Milliseconds after `started`.
    last: AtomicU64,
    ready: AtomicBool,
    stop: AtomicBool,
    deadline: Mutex<Option<Instant>>,
}

impl Pulse {
    fn new() -> Pulse {
        Pulse {
            started: Instant::now(),
            last: AtomicU64::new(0),
            ready: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            deadline: Mutex::new(None),
        }
    }

    pub fn beat(&self) {
        self.last.store(self.started.elapsed().as_millis() as u64, Ordering::Release);
    }

    /// What was sent before is known, and records are read.
    pub fn set_ready(&self, ready: bool) {
        self.ready.store(ready, Ordering::Release);
    }

    pub fn ready(&self) -> bool {
        let quiet = self.started.elapsed().saturating_sub(Duration::from_millis(self.last.load(Ordering::Acquire)));
        self.ready.load(Ordering::Acquire) && quiet < QUIET
    }

    pub fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Until when what is under way may end, once it is to stop.
    pub fn deadline(&self) -> Instant {
        let deadline = *self.deadline.lock().unwrap_or_else(PoisonError::into_inner);
        deadline.map_or_else(Instant::now, |deadline| deadline.checked_sub(LEAVE).unwrap_or(deadline))
    }

    fn stop(&self, deadline: Instant) {
        *self.deadline.lock().unwrap_or_else(PoisonError::into_inner) = Some(deadline);
        self.stop.store(true, Ordering::Release);
    }
}

/// The running role.
pub struct Delivery {
    pulse: Arc<Pulse>,
    threads: Vec<JoinHandle<()>>,
    failure: Receiver<String>,
}

impl Delivery {
    /// Whether it has its partitions and delivers; cheap to clone, outlives it.
    pub fn readiness(&self) -> Arc<dyn Fn() -> bool + Send + Sync> {
        let pulse = Arc::clone(&self.pulse);
        Arc::new(move || pulse.ready())
    }

    /// Says why, once, when it cannot go on.
    pub fn failure(&self) -> &Receiver<String> {
        &self.failure
    }

    /// Begins the drain, which [`Delivery::join`] waits for: nothing more is begun, what is under way ends.
    pub fn stop(&self, deadline: Instant) {
        self.pulse.stop(deadline);
    }

    /// Stops, and waits until it has ended; an error where it had not by the deadline. What was not done is read again.
    pub fn join(self, deadline: Instant) -> Result<(), String> {
        self.stop(deadline);
        while self.threads.iter().any(|thread| !thread.is_finished()) {
            if Instant::now() >= deadline {
                return Err("delivery had not ended by the deadline".to_owned());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        self.threads.into_iter().try_for_each(|thread| thread.join().map_err(|_| "delivery panicked".to_owned()))
    }
}

pub(super) fn start(settings: Settings, channels: Arc<Channels>, runtime: &Handle) -> Result<Delivery, Error> {
    let settings = Arc::new(settings);
    let pulse = Arc::new(Pulse::new());
    let (failed, failure) = bounded(1);
    let (tell, told) = tokio::sync::mpsc::unbounded_channel();
    let (did, done) = unbounded();
    let (follows, stories) = tokio::sync::mpsc::channel(follow::AHEAD);
    let wanted = Arc::new(AtomicBool::new(false));
    let appender = Appender::new(&settings.clients)?;
    runtime.spawn(heartbeat::run(settings.heartbeat.clone(), Arc::clone(&channels), Arc::clone(&pulse)));
    let hands = Hands::new(Arc::clone(&settings), channels, appender, did, Arc::clone(&wanted));
    runtime.spawn(hands.run(told, stories));
    let cannot = |error: std::io::Error| Error::fatal(format!("starting delivery's thread: {error}"));
    let intake = {
        let (settings, pulse) = (Arc::clone(&settings), Arc::clone(&pulse));
        let run = move || run(&settings, &pulse, &failed, |settings, pulse| Session::run(settings, pulse, &tell, &done));
        std::thread::Builder::new().name("delivery".to_owned()).spawn(run).map_err(cannot)?
    };
    let follow = {
        let (settings, pulse) = (Arc::clone(&settings), Arc::clone(&pulse));
        let run = move || follow::run(&settings, &pulse, &wanted, &follows);
        std::thread::Builder::new().name("delivery-follow".to_owned()).spawn(run).map_err(cannot)?
    };
    Ok(Delivery { pulse, threads: vec![intake, follow], failure })
}

/// Session after session, until told to stop or there is no point in another.
fn run(settings: &Settings, pulse: &Pulse, failed: &Sender<String>, session: impl Fn(&Settings, &Pulse) -> Result<(), Error>) {
    let mut attempt = 0;
    loop {
        pulse.beat();
        let began = Instant::now();
        let error = match session(settings, pulse) {
            Ok(()) => return,
            Err(error) => error,
        };
        pulse.set_ready(false);
        if error.reaction == Reaction::Fatal {
            tracing::error!("delivery: {error}");
            let _ = failed.try_send(error.what);
            return;
        }
        attempt = if began.elapsed() > Duration::from_secs(60) { 0 } else { (attempt + 1).min(BACKOFF.len() - 1) };
        tracing::warn!("delivery: {error}; joining the group anew");
        let until = Instant::now() + Duration::from_millis(BACKOFF[attempt]);
        while Instant::now() < until && !pulse.stopping() {
            pulse.beat();
            std::thread::sleep(Duration::from_millis(20));
        }
        if pulse.stopping() {
            return;
        }
    }
}
