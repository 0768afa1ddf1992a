//! The decisions about an incident, read from `decisions` when somebody asks: why each rule did or did not act (SPEC 3.6).
//!
//! They are kept for 30 days and asked for seldom, so the board holds none. They stand at the incident's home under its id; the
//! partition is read from the incident's opening on, for a bounded time, and whoever asked is told where to go on.

use crate::kafka::batch::Entry;
use crate::kafka::{Batch, Clients, Error, Names, Observer, Reaction, Reader};
use crate::model::{IncidentId, Time};
use crossbeam_channel::{Receiver, Sender, TrySendError, bounded};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;

/// Questions that wait while one is answered.
const WAITING: usize = 32;
/// One answer's bounds.
const TIME: Duration = Duration::from_secs(2);
const FOUND: usize = 1_000;
const FOUND_BYTES: usize = 8 << 20;
const BATCH: usize = 2_000;
const TURN: Duration = Duration::from_millis(100);
const ASK: Duration = Duration::from_secs(2);

/// JSON texts, oldest first.
#[derive(Debug, Default)]
pub struct Decisions {
    pub found: Vec<Vec<u8>>,
    /// The offset to go on from, where a bound was reached before the end.
    pub next: Option<i64>,
}

#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    #[error("{WAITING} others are waiting for decisions: try again")]
    Busy,
    #[error("the decisions cannot be read: {0}")]
    Failed(String),
}

/// Where to begin.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Begin {
    /// A record's Kafka time.
    At(Time),
    Offset(i64),
}

struct Question {
    id: IncidentId,
    begin: Begin,
    answer: oneshot::Sender<Result<Decisions, Error>>,
}

/// One thread answers, one question at a time; it ends when this is dropped.
pub struct History {
    questions: Option<Sender<Question>>,
    thread: Option<JoinHandle<()>>,
}

impl History {
    pub fn start(clients: Arc<Clients>, names: &Names) -> Result<History, Error> {
        let (questions, asked) = bounded(WAITING);
        let topic = names.decisions.clone();
        let thread = std::thread::Builder::new()
            .name("decisions".to_owned())
            .spawn(move || answer_all(&clients, &topic, &asked))
            .map_err(|error| Error::fatal(format!("the thread that reads decisions cannot start: {error}")))?;
        Ok(History { questions: Some(questions), thread: Some(thread) })
    }

    /// Within about [`TIME`] once it is its turn.
    pub async fn decisions(&self, id: IncidentId, begin: Begin) -> Result<Decisions, HistoryError> {
        let (answer, answered) = oneshot::channel();
        let gone = || HistoryError::Failed("this process is about to end".to_owned());
        match self.questions.as_ref().ok_or_else(gone)?.try_send(Question { id, begin, answer }) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) => return Err(HistoryError::Busy),
            Err(TrySendError::Disconnected(_)) => return Err(gone()),
        }
        answered.await.map_err(|_| gone())?.map_err(|error| HistoryError::Failed(error.what))
    }
}

impl Drop for History {
    fn drop(&mut self) {
        // Ends the thread after the question at hand.
        self.questions.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

struct Client {
    observer: Observer,
    /// Before the reader: messages are freed before it.
    batch: Batch,
    reader: Reader,
}

fn answer_all(clients: &Clients, topic: &str, asked: &Receiver<Question>) {
    let mut client: Option<Client> = None;
    for Question { id, begin, answer } in asked {
        // Whoever asked has gone meanwhile.
        if answer.is_closed() {
            continue;
        }
        let opened = match client.take() {
            Some(client) => Ok(client),
            None => open(clients, topic),
        };
        let result = opened.and_then(|mut opened| {
            let found = search(&mut opened, topic, id, begin);
            opened.reader.stop();
            // After an error it is made anew.
            client = found.is_ok().then_some(opened);
            found
        });
        let _ = answer.send(result);
    }
}

fn open(clients: &Clients, topic: &str) -> Result<Client, Error> {
    let reader = Reader::new(&clients.reader(), vec![topic.to_owned()])?;
    Ok(Client { observer: Observer::new(clients)?, batch: Batch::new(BATCH), reader })
}

fn search(client: &mut Client, topic: &str, id: IncidentId, begin: Begin) -> Result<Decisions, Error> {
    let Client { observer, batch, reader } = client;
    let partition = u32::from(id.partition);
    let until = Instant::now() + TIME;
    let one = |offsets: Vec<i64>| offsets.first().copied().unwrap_or_default();
    let oldest = one(observer.beginnings(&[(topic, partition)], ASK)?);
    let end = one(observer.ends(&[(topic, partition)], ASK)?);
    let first = match begin {
        Begin::Offset(offset) => offset.max(oldest),
        Begin::At(time) => observer.since(topic, partition, time.0, ASK)?.unwrap_or(end).max(oldest),
    };
    let mut decisions = Decisions { found: Vec::new(), next: Some(first) };
    if first >= end {
        decisions.next = None;
        return Ok(decisions);
    }
    reader.start(0, partition, first)?;
    let (key, mut bytes) = (id.to_string(), 0);
    while Instant::now() < until && decisions.found.len() < FOUND && bytes < FOUND_BYTES {
        reader.read(batch, TURN);
        for entry in batch.entries(reader.names()) {
            match entry {
                Entry::Record(_, record) if record.partition() == partition && Some(record.offset()) >= decisions.next => {
                    if record.offset() >= end {
                        decisions.next = None;
                        return Ok(decisions);
                    }
                    decisions.next = Some(record.offset() + 1);
                    if record.key() == Some(key.as_bytes())
                        && let Some(json) = record.value()
                    {
                        bytes += json.len();
                        decisions.found.push(json.to_vec());
                    }
                }
                // All that is committed was read.
                Entry::End { partition: of, offset, .. } if of == partition && Some(offset) >= decisions.next => {
                    decisions.next = None;
                    return Ok(decisions);
                }
                Entry::Error { code, .. } => {
                    let error = Error::from_code(&format!("reading `{topic}` partition {partition}"), code);
                    if error.reaction != Reaction::Retry {
                        return Err(error);
                    }
                }
                _ => {}
            }
        }
    }
    Ok(decisions)
}
