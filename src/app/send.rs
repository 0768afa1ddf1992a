//! Appends alerts, commands or events to their topic, each under its key, many under way at a time and in order.

use crate::app::Failure;
use crate::codec::{self, AlertRecord, Item, read_alerts, read_command, read_event};
use crate::config::Config;
use crate::kafka::{self, Appender, Clients, Names, Observer};
use crate::model::{Command, Origin, Time, Topic};
use crate::settings;
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Records under way.
const WINDOW: usize = 1_000;

/// Where a record came to stand.
pub struct Sent {
    pub topic: String,
    pub partition: u32,
    pub offset: i64,
    pub key: Option<String>,
}

/// To which topic records go, and so what they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug, clap::ValueEnum)]
pub enum Kind {
    Alerts,
    Commands,
    Events,
}

/// Refuses what would end in `dead-letters`, and says why: one line for each record.
pub fn check(config: &Config, kind: Kind, records: &[String]) -> Result<(), Failure> {
    let settings = settings::codec(config);
    let mut wrong = Vec::new();
    for (at, record) in (1..).zip(records) {
        let value = Some(record.as_bytes());
        match kind {
            Kind::Alerts => {
                let origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };
                let record = AlertRecord { origin, time: Time(0), value, form: None };
                read_alerts(&record, &settings, &mut |item| {
                    if let Item::Rejected { reason, .. } = item {
                        wrong.push(format!("alert {at}: {reason}"));
                    }
                });
            }
            Kind::Commands => wrong.extend(read_command(value, now(), &settings).err().map(|why| format!("command {at}: {why}"))),
            Kind::Events => wrong.extend(read_event(value, now(), &settings).err().map(|why| format!("event {at}: {why}"))),
        }
    }
    if wrong.is_empty() {
        return Ok(());
    }
    wrong.push("nothing was sent; --unchecked sends them all the same, to see them in dead-letters".to_owned());
    Err(Failure::Wrong(wrong.join("\n")))
}

/// What the record will have for its Kafka timestamp, or nearly: a silence without `starts_at` begins then.
fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// Sends all, tells of each as it is acknowledged, in order, and returns how many there were.
pub fn send(
    config: &Config,
    kind: Kind,
    records: Vec<String>,
    mut tell: impl FnMut(Sent) -> Result<(), Failure>,
) -> Result<usize, Failure> {
    let clients = Clients::new(&config.kafka, rand::random())?;
    let appender = Appender::new(&clients)?;
    let names = Names::new(&config.topics);
    let topic: Arc<str> = match kind {
        Kind::Alerts => names.alerts,
        Kind::Commands => names.commands,
        Kind::Events => names.events,
    }
    .into();
    let codec = Arc::new(settings::codec(config));
    // Commands go to the partition that the incident's id names, where that is one of the shards'.
    let shards = match kind {
        Kind::Commands => {
            let layout = Observer::new(&clients)?.layout(&config.topics, Instant::now() + TIMEOUT)?;
            (layout.commands == layout.shards).then_some(layout.shards)
        }
        Kind::Alerts | Kind::Events => None,
    };
    // One thread: tasks begin in the order in which they are spawned, and so stand the records.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(super::run::no_runtime)?;
    runtime.block_on(async {
        let mut under_way = VecDeque::new();
        let mut count = 0;
        let mut records = records.into_iter();
        loop {
            while under_way.len() < WINDOW
                && let Some(record) = records.next()
            {
                let place = place(kind, &record, shards, &codec);
                under_way.push_back(tokio::spawn(append(appender.clone(), Arc::clone(&topic), place, record)));
            }
            let Some(next) = under_way.pop_front() else { return Ok(count) };
            let sent = next.await.map_err(|error| Failure::Wrong(format!("sending broke off: {error}")))?;
            tell(sent.map_err(|error| Failure::Wrong(format!("after {count} records: {error}")))?)?;
            count += 1;
        }
    })
}

async fn append(appender: Appender, topic: Arc<str>, place: Place, record: String) -> Result<Sent, kafka::Error> {
    let Place { partition, key } = place;
    let bytes = key.as_deref().map(str::as_bytes);
    let stands = appender.append(&topic, partition, bytes, Some(record.as_bytes()), &[], TIMEOUT).await?;
    Ok(Sent { topic: topic.to_string(), partition: stands.partition, offset: stands.offset, key })
}

/// Where a record is to stand; no partition: its key's.
#[derive(Default)]
struct Place {
    partition: Option<u32>,
    key: Option<String>,
}

/// Without a key (an Alertmanager body, or what --unchecked lets through) incidentd forwards it to its home.
fn place(kind: Kind, record: &str, shards: Option<u32>, codec: &codec::Settings) -> Place {
    #[derive(Deserialize)]
    struct Keyed {
        service_id: String,
    }
    if kind != Kind::Commands {
        let service = serde_json::from_str::<Keyed>(record).ok().map(|keyed| keyed.service_id);
        return Place { partition: None, key: service.filter(|service| !service.is_empty()) };
    }
    match read_command(Some(record.as_bytes()), now(), codec) {
        Err(_) => Place::default(),
        Ok(command) => {
            let key = match &command {
                Command::Incident { id, .. } => id.to_string(),
                Command::Silence(silence) => silence.id.clone(),
                Command::ExpireSilence { id, .. } => id.clone(),
            };
            let home = shards.map(|shards| command.home(shards)).filter(|home| shards.is_some_and(|shards| *home < shards));
            Place { partition: home, key: Some(key) }
        }
    }
}
