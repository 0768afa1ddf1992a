//! Follows the output topics of the demo and hands what was committed to the view.

use crate::app::Failure;
use crate::app::demo::view::View;
use crate::config::Topics;
use crate::kafka::batch::Entry;
use crate::kafka::{Batch, Clients, Names, Reader};
use crate::model::Topic;
use serde_json::Value;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

/// In the order in which a person wants to read of one incident.
const FOLLOWED: [Topic; 4] = [Topic::Incidents, Topic::Decisions, Topic::Notifications, Topic::DeadLetters];
const BATCH: usize = 1_000;
const WAIT: Duration = Duration::from_millis(100);
const SETTLE: Duration = Duration::from_millis(80);
const ROUNDS: usize = 8;
/// librdkafka's name for the oldest record.
const OLDEST: i64 = -2;

/// Follows until dropped.
pub struct Tail {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// One committed record.
pub struct Told {
    pub topic: Topic,
    /// The incident that it is about; empty for a dead letter.
    pub incident: String,
    /// Null for a tombstone.
    pub value: Value,
    /// The header that says why, of a dead letter.
    pub reason: Option<String>,
}

impl Tail {
    pub fn start(clients: &Clients, topics: &Topics, view: Arc<View>) -> Result<Tail, Failure> {
        let names = Names::new(topics);
        let name = |topic| crate::worker::topic_name(&names, topic).to_owned();
        let mut reader = Reader::new(&clients.reader(), FOLLOWED.map(name).to_vec())?;
        for (at, topic) in FOLLOWED.into_iter().enumerate() {
            let home = matches!(topic, Topic::Incidents | Topic::Decisions);
            for partition in 0..if home { topics.partitions } else { topics.action_partitions } {
                reader.start(at, partition, OLDEST)?;
            }
        }
        let stop = Arc::new(AtomicBool::new(false));
        let stopped = Arc::clone(&stop);
        let thread = std::thread::Builder::new()
            .name("demo-tail".to_owned())
            .spawn(move || follow(&reader, &stopped, &view))
            .map_err(|error| Failure::Wrong(format!("the thread that follows the topics cannot start: {error}")))?;
        Ok(Tail { stop, thread: Some(thread) })
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

fn follow(reader: &Reader, stopped: &AtomicBool, view: &View) {
    let mut batch = Batch::new(BATCH);
    loop {
        let last = stopped.load(Ordering::Acquire);
        let mut told = Vec::new();
        // One commit's records come topic by topic: the rest of them a moment after the first.
        for round in 0..ROUNDS {
            reader.read(&mut batch, if round == 0 { WAIT } else { SETTLE });
            let before = told.len();
            told.extend(records(&batch, reader.names()));
            // The ends of partitions are entries too: quiet is a read without any.
            if told.len() == before && batch.is_empty() {
                break;
            }
        }
        // Incident by incident, and for each what happened, why, and who is told. Stable: a topic stays in its order.
        told.sort_by_cached_key(|told: &Told| (told.incident.clone(), FOLLOWED.iter().position(|topic| *topic == told.topic)));
        for one in &told {
            view.show(one);
        }
        view.refresh();
        if last && told.is_empty() {
            return;
        }
    }
}

fn records(batch: &Batch, names: &[String]) -> Vec<Told> {
    batch
        .entries(names)
        .filter_map(|entry| {
            let Entry::Record(topic, record) = entry else { return None };
            let value: Value = record.value().and_then(|json| serde_json::from_slice(json).ok()).unwrap_or_default();
            let id = value.get("incident_id").or(value.get("id")).and_then(Value::as_str).unwrap_or_default();
            let reason = record.headers().find(|(name, _)| *name == "__incidentd.error.reason");
            Some(Told {
                topic: *FOLLOWED.get(topic)?,
                incident: id.to_owned(),
                reason: reason.and_then(|(_, reason)| String::from_utf8(reason?.to_vec()).ok()),
                value,
            })
        })
        .collect()
}
