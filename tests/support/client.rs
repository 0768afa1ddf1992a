//! Writing and reading topics as any other Kafka client would.

use crate::support::{broker, wait_until};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, DeliveryResult, Header, Headers, OwnedHeaders};
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::{ClientConfig, ClientContext, Message, Offset, TopicPartitionList};
use std::sync::Mutex;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);

/// Clients of the tests, before what each adds.
pub fn client() -> ClientConfig {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", broker::bootstrap()).set("log_level", "3");
    config
}

/// A record as it stands in a topic.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    pub partition: i32,
    pub offset: i64,
    /// Milliseconds since 1970.
    pub timestamp: i64,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

impl Record {
    fn of(message: &BorrowedMessage<'_>) -> Record {
        let headers = message.headers().map_or_else(Vec::new, |headers| {
            headers.iter().map(|h| (h.key.to_owned(), h.value.unwrap_or_default().to_vec())).collect()
        });
        Record {
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().unwrap_or_default(),
            key: message.key().map(<[u8]>::to_vec),
            value: message.payload().map(<[u8]>::to_vec),
            headers,
        }
    }

    pub fn header(&self, name: &str) -> Option<String> {
        let (_, value) = self.headers.iter().find(|(key, _)| key == name)?;
        Some(String::from_utf8_lossy(value).into_owned())
    }

    pub fn json(&self) -> serde_json::Value {
        let value = self.value.as_deref().unwrap_or_default();
        serde_json::from_slice(value)
            .unwrap_or_else(|error| panic!("a record of ours is no JSON ({error}): {}", String::from_utf8_lossy(value)))
    }
}

/// Writes records: lz4, idempotent, to the partitions that the Java clients would choose.
pub struct Writer {
    producer: ThreadedProducer<Refused>,
}

#[derive(Default)]
pub struct Refused(Mutex<Option<KafkaError>>);

impl ClientContext for Refused {}

impl ProducerContext for Refused {
    type DeliveryOpaque = ();
    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.lock().unwrap().get_or_insert(error.clone());
        }
    }
}

impl Writer {
    pub fn new() -> Writer {
        let producer = client()
            .set("enable.idempotence", "true")
            .set("compression.type", "lz4")
            .set("partitioner", "murmur2_random")
            .set("linger.ms", "2")
            .set("message.max.bytes", "4000000")
            .set("queue.buffering.max.messages", "200000")
            .create_with_context(Refused::default())
            .expect("a producer");
        Writer { producer }
    }

    /// Keyed, to the key's partition.
    pub fn send(&self, topic: &str, key: &str, value: &[u8]) {
        self.send_record(BaseRecord::to(topic).key(key.as_bytes()).payload(value));
    }

    /// Whatever a client might write, `None` for no key and for a tombstone, to a given partition.
    pub fn send_raw(&self, topic: &str, partition: i32, key: Option<&[u8]>, value: Option<&[u8]>) {
        let mut record = BaseRecord::to(topic).partition(partition);
        record.key = key;
        record.payload = value;
        self.send_record(record);
    }

    /// The same with headers.
    pub fn send_headed(&self, topic: &str, partition: i32, key: Option<&str>, value: &str, headers: &[(&str, &str)]) {
        let headers = headers
            .iter()
            .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value.as_bytes()) }));
        let mut record = BaseRecord::to(topic).partition(partition).payload(value.as_bytes()).headers(headers);
        record.key = key.map(str::as_bytes);
        self.send_record(record);
    }

    fn send_record(&self, mut record: BaseRecord<'_, [u8], [u8]>) {
        loop {
            match self.producer.send(record) {
                Ok(()) => return,
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Err((error, _)) => panic!("the test's own record was not taken: {error}"),
            }
        }
    }

    /// Until the broker has everything.
    pub fn flush(&self) {
        self.producer.flush(TIMEOUT).expect("the broker takes the test's records");
        if let Some(error) = self.producer.context().0.lock().unwrap().take() {
            panic!("the broker refused one of the test's records: {error}");
        }
    }
}

/// Reads a topic as a read_committed consumer outside of any group, from its beginning.
pub struct Reader {
    consumer: BaseConsumer,
    /// Partitions whose end was not seen yet.
    unread: usize,
}

impl Reader {
    pub fn new(topic: &str) -> Reader {
        let consumer: BaseConsumer = client()
            .set("group.id", "reader")
            .set("isolation.level", "read_committed")
            .set("enable.auto.commit", "false")
            .set("enable.partition.eof", "true")
            .set("auto.offset.reset", "error")
            .set("fetch.wait.max.ms", "20")
            .create()
            .expect("a consumer");
        let partitions = partition_count(&consumer, topic);
        let mut list = TopicPartitionList::new();
        for partition in 0..partitions {
            list.add_partition_offset(topic, partition as i32, Offset::Beginning).expect("an offset");
        }
        consumer.assign(&list).expect("an assignment");
        Reader { consumer, unread: partitions }
    }

    /// Hands over all that is committed now and was not handed over before.
    pub fn read(&mut self, mut each: impl FnMut(Record)) {
        let deadline = std::time::Instant::now() + TIMEOUT;
        loop {
            let patience = if self.unread > 0 { Duration::from_secs(1) } else { Duration::from_millis(50) };
            match self.consumer.poll(patience) {
                Some(Ok(message)) => each(Record::of(&message)),
                Some(Err(KafkaError::PartitionEOF(_))) => self.unread = self.unread.saturating_sub(1),
                Some(Err(error)) => panic!("reading back: {error}"),
                None if self.unread == 0 => return,
                None => assert!(std::time::Instant::now() < deadline, "a partition's end was not reached in {TIMEOUT:?}"),
            }
        }
    }
}

/// All that is committed in a topic.
pub fn read_all(topic: &str) -> Vec<Record> {
    let mut records = Vec::new();
    Reader::new(topic).read(|record| records.push(record));
    records
}

/// Panics where the topic does not exist, nor comes to be known to the broker that is asked.
pub fn partition_count(consumer: &BaseConsumer, topic: &str) -> usize {
    wait_until(&format!("the topic {topic} exists"), TIMEOUT, || {
        let metadata = consumer.fetch_metadata(Some(topic), TIMEOUT).expect("the topic's metadata");
        metadata.topics().first().map(|topic| topic.partitions().len()).filter(|count| *count > 0)
    })
}

/// Looks at a group from outside of it.
pub struct Progress {
    consumer: BaseConsumer,
    topic: String,
    partitions: usize,
}

impl Progress {
    pub fn new(group: &str, topic: &str) -> Progress {
        let consumer: BaseConsumer = client()
            .set("group.id", group)
            // Otherwise an offset in an open transaction makes the question wait for that.
            .set("isolation.level", "read_uncommitted")
            .set("enable.auto.commit", "false")
            .create()
            .expect("a consumer");
        let partitions = partition_count(&consumer, topic);
        Progress { consumer, topic: topic.to_owned(), partitions }
    }

    /// For each partition where the group has committed; 0 where nowhere yet.
    pub fn committed(&self) -> Vec<i64> {
        // The coordinator of a new group takes a moment to be found.
        let found = wait_until("the group's offsets are told", TIMEOUT, || {
            let mut list = TopicPartitionList::new();
            list.add_partition_range(&self.topic, 0, self.partitions as i32 - 1);
            self.consumer.committed_offsets(list, TIMEOUT).ok()
        });
        found.elements().iter().map(|element| element.offset().to_raw().unwrap_or(0).max(0)).collect()
    }

    /// For each partition where it ends.
    pub fn ends(&self) -> Vec<i64> {
        let end = |partition| self.consumer.fetch_watermarks(&self.topic, partition as i32, TIMEOUT).expect("a watermark").1;
        (0..self.partitions).map(end).collect()
    }
}
