//! Follows `incidents` and `silences` from their beginning, in no group: what is committed, on the board, within milliseconds.

use crate::board::{Board, News};
use crate::codec;
use crate::kafka::batch::Entry;
use crate::kafka::{Batch, Clients, Error, Layout, Names, Observer, Reaction, Reader, Record};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// Records taken at a time: under one lock, so that it is never held for long.
const BATCH: usize = 500;
/// How long a read waits where nothing comes.
const TURN: Duration = Duration::from_millis(100);
/// Between two looks at how far behind it is.
const LOOK: Duration = Duration::from_secs(5);
const ASK: Duration = Duration::from_secs(10);
/// Before it begins anew after what does not mend by itself.
const AGAIN: Duration = Duration::from_secs(5);
/// A bad record is told of this often; the rest only counts.
const BAD_TOLD: u64 = 10;

/// How far the tail is.
#[derive(Default)]
pub struct Following {
    caught_up: AtomicBool,
    bad: AtomicU64,
    lag: Mutex<Vec<(String, u32, u64)>>,
}

impl Following {
    /// Once all that was there when it began is on the board.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Acquire)
    }

    /// Topic, partition, records behind, as of the last look.
    pub fn lag(&self) -> Vec<(String, u32, u64)> {
        self.lag.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Records that could not be read and are not shown.
    pub fn bad(&self) -> u64 {
        self.bad.load(Ordering::Relaxed)
    }
}

/// The thread that follows; ends when dropped.
pub struct Tail {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One partition: where it is read to, and where it ended when the reading began.
struct Position {
    topic: usize,
    partition: u32,
    next: i64,
    end: i64,
}

struct Follower {
    board: Arc<Board>,
    clients: Arc<Clients>,
    names: [String; 2],
    partitions: [u32; 2],
    following: Arc<Following>,
    stop: Arc<AtomicBool>,
}

const INCIDENTS: usize = 0;

impl Tail {
    pub fn start(
        board: Arc<Board>,
        clients: Arc<Clients>,
        names: &Names,
        layout: &Layout,
    ) -> Result<(Tail, Arc<Following>), Error> {
        let following = Arc::<Following>::default();
        let stop = Arc::<AtomicBool>::default();
        let follower = Follower {
            board,
            clients,
            names: [names.incidents.clone(), names.silences.clone()],
            partitions: [layout.shards, layout.silences],
            following: Arc::clone(&following),
            stop: Arc::clone(&stop),
        };
        let thread = std::thread::Builder::new()
            .name("board".to_owned())
            .spawn(move || follower.run())
            .map_err(|error| Error::fatal(format!("the board's thread cannot start: {error}")))?;
        Ok((Tail { stop, thread: Some(thread) }, following))
    }
}

impl Drop for Tail {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Follower {
    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// What is on the board stays there while the topics cannot be read: it is old then, and the lag says so.
    fn run(&self) {
        while !self.stopped() {
            if let Err(error) = self.follow() {
                tracing::error!("the board cannot follow its topics: {error}; again in {} s", AGAIN.as_secs());
                let until = Instant::now() + AGAIN;
                while !self.stopped() && Instant::now() < until {
                    std::thread::sleep(TURN);
                }
            }
        }
    }

    fn follow(&self) -> Result<(), Error> {
        let observer = Observer::new(&self.clients)?;
        let all: Vec<(&str, u32)> = (0..2)
            .flat_map(|topic| (0..self.partitions[topic]).map(move |partition| (topic, partition)))
            .map(|(topic, partition)| (self.names[topic].as_str(), partition))
            .collect();
        let (begins, ends) = (observer.beginnings(&all, ASK)?, observer.ends(&all, ASK)?);
        let mut reader = Reader::new(&self.clients.reader(), self.names.to_vec())?;
        let mut positions = Vec::with_capacity(all.len());
        for ((name, partition), (next, end)) in all.iter().zip(begins.into_iter().zip(ends)) {
            let topic = usize::from(*name != self.names[INCIDENTS]);
            reader.start(topic, *partition, next)?;
            positions.push(Position { topic, partition: *partition, next, end });
        }
        let began = Instant::now();
        // After the reader: messages are freed before it.
        let mut batch = Batch::new(BATCH);
        let mut looked = Instant::now();
        while !self.stopped() {
            reader.read(&mut batch, TURN);
            self.take(&batch, &mut positions)?;
            if !self.following.is_caught_up() && positions.iter().all(|position| position.next >= position.end) {
                let (incidents, silences) = self.board.len();
                tracing::info!(incidents, silences, seconds = began.elapsed().as_secs_f64(), "the board has caught up");
                self.following.caught_up.store(true, Ordering::Release);
            }
            if looked.elapsed() > LOOK {
                looked = Instant::now();
                // Nothing is known of how far behind it is while the brokers do not answer: the last word stays.
                if let Ok(ends) = observer.ends(&all, Duration::from_secs(1)) {
                    let behind = |position: &Position, end: i64| u64::try_from(end - position.next).unwrap_or(0);
                    let lag = positions.iter().zip(ends);
                    let lag = lag.map(|(at, end)| (self.names[at.topic].clone(), at.partition, behind(at, end))).collect();
                    *self.following.lag.lock().unwrap_or_else(PoisonError::into_inner) = lag;
                }
            }
        }
        Ok(())
    }

    fn take(&self, batch: &Batch, positions: &mut [Position]) -> Result<(), Error> {
        let mut news = Vec::new();
        for entry in batch.entries(&self.names) {
            let (topic, partition, next) = match entry {
                Entry::Record(topic, record) => {
                    match read(topic, &record) {
                        Ok(read) => news.push(read),
                        Err(reason) => self.bad(topic, &record, &reason),
                    }
                    (topic, record.partition(), record.offset() + 1)
                }
                Entry::End { topic, partition, offset } => (topic, partition, offset),
                Entry::Error { topic, partition, code } => {
                    let name = self.names.get(topic).map_or("?", String::as_str);
                    let error = Error::from_code(&format!("following `{name}` partition {partition}"), code);
                    if error.reaction != Reaction::Retry || code == rdkafka::error::RDKafkaErrorCode::AutoOffsetReset {
                        return Err(error);
                    }
                    tracing::warn!("{error}");
                    continue;
                }
            };
            if let Some(position) = positions.iter_mut().find(|at| at.topic == topic && at.partition == partition) {
                position.next = position.next.max(next);
            }
        }
        self.board.take(news);
        Ok(())
    }

    fn bad(&self, topic: usize, record: &Record<'_>, reason: &str) {
        let told = self.following.bad.fetch_add(1, Ordering::Relaxed);
        if told < BAD_TOLD {
            let (partition, offset) = (record.partition(), record.offset());
            tracing::warn!(topic = self.names[topic], partition, offset, "a record is not shown: {reason}");
        }
    }
}

fn read(topic: usize, record: &Record<'_>) -> Result<News, String> {
    let key = std::str::from_utf8(record.key().unwrap_or_default()).map_err(|_| "its key is not UTF-8".to_owned())?;
    match (topic == INCIDENTS, record.value()) {
        (true, Some(json)) => News::incident(json),
        (true, None) => key.parse().map(News::IncidentGone).map_err(|error| format!("its key is {error}")),
        (false, Some(json)) => codec::read_silence(json).map(News::Silence),
        (false, None) => Ok(News::SilenceGone(key.to_owned())),
    }
}
