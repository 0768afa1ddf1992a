//! The topics: what each should be like, making them, and checking that they are so (SPEC 2).

use crate::config;
use crate::kafka::client::{Clients, Context};
use crate::kafka::error::{Error, Reaction};
use crate::kafka::names::Names;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

/// The most that an incident's id, which names its partition by four hex digits, can tell apart.
pub const MAX_PARTITIONS: u32 = 65_536;

const DAY: i64 = 86_400_000;
const HOUR: i64 = 3_600_000;
/// Of one request.
const TIMEOUT: Duration = Duration::from_secs(10);

/// What a topic should be like.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Wanted {
    pub name: String,
    pub partitions: u32,
    pub config: BTreeMap<&'static str, String>,
}

/// What `topics create` found or did.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Report {
    pub topic: String,
    pub outcome: Outcome,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    Created,
    AsWanted,
    /// It exists and is left as it is; each line says what it has and what was wanted.
    Differs(Vec<String>),
}

/// How the topics that records are read from are cut, checked against the configuration.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Layout {
    /// Of `incidents`, `decisions`, the state and the inbox: the shards.
    pub shards: u32,
    /// Of these three may be another number: then their partitions belong to no shard.
    pub alerts: u32,
    pub commands: u32,
    pub events: u32,
    /// Where a record may ask to be answered.
    pub replies: u32,
    pub silences: u32,
}

/// Every topic. Retention in broker terms; what the broker's defaults say well is left to them.
pub fn wanted(topics: &config::Topics, names: &Names) -> Vec<Wanted> {
    let home = topics.partitions;
    let few = topics.action_partitions;
    let keep = |millis: i64| vec![("cleanup.policy", "delete".to_owned()), ("retention.ms", millis.to_string())];
    // Small segments: a compacted topic is read whole at each restart, and its active segment is never compacted.
    let compact = || {
        vec![
            ("cleanup.policy", "compact".to_owned()),
            ("segment.bytes", (64 << 20).to_string()),
            ("segment.ms", (6 * HOUR).to_string()),
            ("min.cleanable.dirty.ratio", "0.3".to_owned()),
            // A reader that is away for less than this sees every tombstone.
            ("delete.retention.ms", DAY.to_string()),
        ]
    };
    // One is a JSON webhook body of up to 4 MiB; the rest are ours, below `record_max`.
    let bodies = || ("max.message.bytes", (5 << 20).to_string());
    let topic = |name: &str, partitions: u32, config: Vec<(&'static str, String)>| Wanted {
        name: name.to_owned(),
        partitions,
        config: config.into_iter().collect(),
    };
    let mut alerts = keep(7 * DAY);
    alerts.push(bodies());
    vec![
        topic(&names.alerts, home, alerts),
        topic(&names.commands, home, keep(7 * DAY)),
        topic(&names.events, home, keep(7 * DAY)),
        topic(&names.incidents, home, compact()),
        topic(&names.silences, few, compact()),
        topic(&names.notifications, few, keep(7 * DAY)),
        topic(&names.escalations, few, keep(7 * DAY)),
        topic(&names.remediations, few, keep(7 * DAY)),
        topic(&names.decisions, home, keep(30 * DAY)),
        topic(&names.dead_letters, few, keep(30 * DAY)),
        topic(&names.state, home, compact()),
        topic(&names.inbox, home, keep(7 * DAY)),
        topic(&names.replies, few, keep(HOUR)),
        topic(&names.delivery, few, compact()),
    ]
}

/// Makes the topics that are missing, and says what differs in those that are there. Changes none.
pub async fn create(clients: &Clients, topics: &config::Topics) -> Result<Vec<Report>, Error> {
    if !(1..=MAX_PARTITIONS).contains(&topics.partitions) {
        return Err(Error::fatal(format!("topics.partitions is {}: 1 to {MAX_PARTITIONS} are possible", topics.partitions)));
    }
    let admin: AdminClient<Context> =
        clients.admin().create_with_context(Context).map_err(|error| Error::from_kafka("creating an admin client", &error))?;
    let metadata = admin
        .inner()
        .fetch_metadata(None, TIMEOUT)
        .map_err(|error| Error::from_kafka("asking the brokers for their topics", &error))?;
    let replication = topics.replication.unwrap_or_else(|| (metadata.brokers().len() as u32).clamp(1, 3));
    let options = AdminOptions::new().operation_timeout(Some(TIMEOUT)).request_timeout(Some(TIMEOUT));
    let mut reports = Vec::new();
    for topic in wanted(topics, &Names::new(topics)) {
        let outcome = match partitions_of(&metadata, &topic.name) {
            None => make(&admin, &options, &topic, replication).await?,
            Some(partitions) => compare(&admin, &options, &topic, partitions).await?,
        };
        reports.push(Report { topic: topic.name, outcome });
    }
    Ok(reports)
}

async fn make(admin: &AdminClient<Context>, options: &AdminOptions, topic: &Wanted, replication: u32) -> Result<Outcome, Error> {
    let doing = format!("creating `{}`", topic.name);
    let mut new = NewTopic::new(&topic.name, topic.partitions as i32, TopicReplication::Fixed(replication as i32));
    for (key, value) in &topic.config {
        new = new.set(key, value);
    }
    let results = admin.create_topics([&new], options).await.map_err(|error| Error::from_kafka(&doing, &error))?;
    for result in results {
        if let Err((_, code)) = result {
            return Err(Error::fatal(format!("{doing} ({} partitions, replication {replication}): {code}", topic.partitions)));
        }
    }
    Ok(Outcome::Created)
}

async fn compare(
    admin: &AdminClient<Context>,
    options: &AdminOptions,
    topic: &Wanted,
    partitions: u32,
) -> Result<Outcome, Error> {
    let mut lines = Vec::new();
    if partitions != topic.partitions {
        lines.push(format!("has {partitions} partitions, {} are wanted", topic.partitions));
    }
    let described = admin
        .describe_configs([&ResourceSpecifier::Topic(&topic.name)], options)
        .await
        .map_err(|error| Error::from_kafka(&format!("describing `{}`", topic.name), &error))?;
    for resource in described {
        match resource {
            Ok(resource) => {
                for (key, value) in &topic.config {
                    let has = resource.get(key).and_then(|entry| entry.value.as_deref()).unwrap_or("");
                    if has != value {
                        lines.push(format!("has {key}={has}, {value} is wanted"));
                    }
                }
            }
            Err(code) => lines.push(format!("its settings cannot be read: {code}")),
        }
    }
    Ok(if lines.is_empty() { Outcome::AsWanted } else { Outcome::Differs(lines) })
}

fn partitions_of(metadata: &Metadata, name: &str) -> Option<u32> {
    metadata
        .topics()
        .iter()
        .find(|topic| topic.name() == name && topic.error().is_none())
        .map(|topic| topic.partitions().len() as u32)
        .filter(|partitions| *partitions > 0)
}

/// Asks the brokers for metadata and watermarks, uncommitted ones.
pub struct Observer {
    client: BaseConsumer<Context>,
}

impl Observer {
    pub fn new(clients: &Clients) -> Result<Observer, Error> {
        let client =
            clients.observer().create_with_context(Context).map_err(|error| Error::from_kafka("creating a client", &error))?;
        Ok(Observer { client })
    }

    /// The partition counts as they are; an error where a topic is missing or an internal one is cut otherwise than
    /// configured: every incident's home would be another.
    pub fn layout(&self, topics: &config::Topics, deadline: Instant) -> Result<Layout, Error> {
        let names = Names::new(topics);
        let count = |name: &str| self.partitions(name, deadline);
        for name in [&names.incidents, &names.decisions, &names.state, &names.inbox] {
            let partitions = count(name)?;
            if partitions != topics.partitions {
                return Err(Error::fatal(format!(
                    "`{name}` has {partitions} partitions and topics.partitions is {}: state lives where the count puts it; \
                     set topics.partitions to {partitions}, or begin with new topics under another topics.prefix",
                    topics.partitions
                )));
            }
        }
        for name in [&names.notifications, &names.escalations, &names.remediations, &names.dead_letters] {
            count(name)?;
        }
        Ok(Layout {
            shards: topics.partitions,
            alerts: count(&names.alerts)?,
            commands: count(&names.commands)?,
            events: count(&names.events)?,
            replies: count(&names.replies)?,
            silences: count(&names.silences)?,
        })
    }

    /// How many partitions a topic has, once the brokers know it.
    pub fn partitions(&self, name: &str, deadline: Instant) -> Result<u32, Error> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).min(TIMEOUT).max(Duration::from_millis(100));
            match self.client.fetch_metadata(Some(name), left) {
                Ok(metadata) => {
                    if let Some(partitions) = partitions_of(&metadata, name) {
                        return Ok(partitions);
                    }
                    // A topic that was just made may not be known everywhere yet.
                    if Instant::now() >= deadline {
                        return Err(Error::fatal(format!("there is no topic `{name}`: make it with `incidentd topics create`")));
                    }
                    std::thread::sleep(Duration::from_millis(100));
                }
                Err(error) if Instant::now() >= deadline => {
                    return Err(Error::from_kafka(&format!("asking the brokers for `{name}`"), &error));
                }
                Err(error) => tracing::warn!("asking the brokers for `{name}`: {error}; again"),
            }
        }
    }

    /// The oldest offsets, in the order asked for.
    pub fn beginnings(&self, of: &[(&str, u32)], timeout: Duration) -> Result<Vec<i64>, Error> {
        self.offsets(of, Offset::Beginning, timeout)
    }

    /// The high watermarks, in the order asked for.
    pub fn ends(&self, of: &[(&str, u32)], timeout: Duration) -> Result<Vec<i64>, Error> {
        self.offsets(of, Offset::End, timeout)
    }

    /// The offset of the first record of a partition with that timestamp (milliseconds since 1970) or a later one; `None`:
    /// there is none.
    pub fn since(&self, topic: &str, partition: u32, millis: i64, timeout: Duration) -> Result<Option<i64>, Error> {
        // A negative one would mean an end of the partition.
        let found = self.at(topic, partition, millis.max(0), timeout)?;
        if found.is_some() || self.at(topic, partition, 0, timeout)?.is_some() {
            return Ok(found);
        }
        // It is empty, or the embedded broker's, which knows no times and finds none: all of it may be since then.
        Ok(self.beginnings(&[(topic, partition)], timeout)?.first().copied())
    }

    fn at(&self, topic: &str, partition: u32, millis: i64, timeout: Duration) -> Result<Option<i64>, Error> {
        let failed = |error: KafkaError| Error::from_kafka("asking for an offset by its time", &error);
        let mut list = TopicPartitionList::new();
        list.add_partition_offset(topic, partition as i32, Offset::Offset(millis)).map_err(failed)?;
        let list = self.client.offsets_for_times(list, timeout).map_err(failed)?;
        let Some(found) = list.elements().into_iter().next() else { return Ok(None) };
        found.error().map_err(failed)?;
        Ok(match found.offset() {
            Offset::Offset(offset) => Some(offset),
            _ => None,
        })
    }

    fn offsets(&self, of: &[(&str, u32)], which: Offset, timeout: Duration) -> Result<Vec<i64>, Error> {
        let doing = "asking for the ends of partitions";
        let failed = |error: KafkaError| Error::from_kafka(doing, &error);
        let mut list = TopicPartitionList::new();
        for (topic, partition) in of {
            // Kafka's request for an offset by time knows both ends by the same negative numbers.
            list.add_partition_offset(topic, *partition as i32, which).map_err(failed)?;
        }
        let list = self.client.offsets_for_times(list, timeout).map_err(failed)?;
        list.elements()
            .iter()
            .map(|element| {
                element.error().map_err(failed)?;
                match element.offset() {
                    Offset::Offset(offset) => Ok(offset),
                    other => Err(Error::new(Reaction::Retry, format!("{doing}: the broker answered {other:?}"))),
                }
            })
            .collect()
    }
}
