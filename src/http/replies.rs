//! The engine's answers: a thread reads one partition of `incidentd-replies` from where it ended at the start, and hands each
//! to whoever waits for it. Several processes may share a partition; a request's id says whose it is.

use crate::kafka::batch::Entry;
use crate::kafka::{Batch, Clients, Error, Layout, Names, Observer, Reaction, Reader};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::oneshot;

const BATCH: usize = 500;
const TURN: Duration = Duration::from_millis(100);
const ASK: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_secs(1);

/// Those who wait, by the number of their request: never more than requests may be served at a time.
#[derive(Default)]
struct Waiting(Mutex<BTreeMap<u64, oneshot::Sender<Vec<u8>>>>);

impl Waiting {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<u64, oneshot::Sender<Vec<u8>>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub struct Replies {
    waiting: Arc<Waiting>,
    next: AtomicU64,
    /// Before the number in each id: no other process has it.
    prefix: String,
    partition: u32,
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// A request's place among those who wait; given up when dropped.
pub struct Place<'a> {
    waiting: &'a Waiting,
    number: u64,
    /// What goes into the header `request-id`.
    pub id: String,
    answer: oneshot::Receiver<Vec<u8>>,
}

impl Replies {
    /// Returns once the partition's end is known, so that no answer to a later request is missed. `nonce`: random.
    pub fn start(clients: Arc<Clients>, names: &Names, layout: &Layout, nonce: u64) -> Result<Replies, Error> {
        let partition = (nonce % u64::from(layout.replies.max(1))) as u32;
        let (waiting, stop) = (Arc::<Waiting>::default(), Arc::<AtomicBool>::default());
        let prefix = format!("{nonce:016x}-");
        let follower = Follower {
            clients,
            topic: names.replies.clone(),
            partition,
            prefix: prefix.clone(),
            waiting: Arc::clone(&waiting),
            stop: Arc::clone(&stop),
        };
        let reader = follower.open()?;
        let thread = std::thread::Builder::new()
            .name("replies".to_owned())
            .spawn(move || follower.run(reader))
            .map_err(|error| Error::fatal(format!("the thread that reads replies cannot start: {error}")))?;
        Ok(Replies { waiting, next: AtomicU64::new(0), prefix, partition, stop, thread: Some(thread) })
    }

    /// What goes into the header `reply-to`.
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// To be taken before the record is written.
    pub fn place(&self) -> Place<'_> {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let (sender, answer) = oneshot::channel();
        self.waiting.lock().insert(number, sender);
        Place { waiting: &self.waiting, number, id: format!("{}{number:x}", self.prefix), answer }
    }
}

impl Drop for Replies {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Place<'_> {
    /// The reply's JSON; `None`: it did not come in time.
    pub async fn answer(mut self, until: tokio::time::Instant) -> Option<Vec<u8>> {
        tokio::time::timeout_at(until, &mut self.answer).await.ok()?.ok()
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.waiting.lock().remove(&self.number);
    }
}

struct Follower {
    clients: Arc<Clients>,
    topic: String,
    partition: u32,
    prefix: String,
    waiting: Arc<Waiting>,
    stop: Arc<AtomicBool>,
}

impl Follower {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    fn open(&self) -> Result<Reader, Error> {
        let ends = Observer::new(&self.clients)?.ends(&[(&self.topic, self.partition)], ASK)?;
        let mut reader = Reader::new(&self.clients.reader(), vec![self.topic.clone()])?;
        for end in ends {
            reader.start(0, self.partition, end)?;
        }
        Ok(reader)
    }

    /// While the partition cannot be read, those who wait are told that no answer came.
    fn run(&self, first: Reader) {
        let mut reader = Some(first);
        while !self.stopped() {
            let opened = reader.take().map_or_else(|| self.open(), Ok);
            if let Err(error) = opened.and_then(|reader| self.follow(&reader)) {
                tracing::error!("no replies can be read: {error}; again in {} s", AGAIN.as_secs());
                std::thread::sleep(AGAIN);
            }
        }
    }

    fn follow(&self, reader: &Reader) -> Result<(), Error> {
        let mut batch = Batch::new(BATCH);
        while !self.stopped() {
            reader.read(&mut batch, TURN);
            for entry in batch.entries(reader.names()) {
                match entry {
                    Entry::Record(_, record) => self.hand_over(record.key(), record.value()),
                    Entry::End { .. } => {}
                    Entry::Error { code, .. } => {
                        let error = Error::from_code(&format!("reading `{}` partition {}", self.topic, self.partition), code);
                        if error.reaction != Reaction::Retry || code == rdkafka::error::RDKafkaErrorCode::AutoOffsetReset {
                            return Err(error);
                        }
                        tracing::warn!("{error}");
                    }
                }
            }
        }
        Ok(())
    }

    fn hand_over(&self, key: Option<&[u8]>, value: Option<&[u8]>) {
        let id = key.and_then(|key| std::str::from_utf8(key).ok()).and_then(|key| key.strip_prefix(&self.prefix));
        let number = id.and_then(|number| u64::from_str_radix(number, 16).ok());
        if let (Some(number), Some(value)) = (number, value)
            && let Some(waiting) = self.waiting.lock().remove(&number)
        {
            // Whoever waited may have gone.
            let _ = waiting.send(value.to_vec());
        }
    }
}
