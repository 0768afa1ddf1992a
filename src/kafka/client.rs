//! Client configurations: the user's `[kafka]` table, and over it what incidentd cannot do without (what a user may not
//! change at all, `config` refuses).

use crate::kafka::error::Error;
use rdkafka::bindings as rd;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, NativeClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::ConsumerContext;
use rdkafka::error::KafkaError;
use std::collections::BTreeMap;
use std::ffi::{CStr, c_char, c_int, c_void};

/// A property of `[kafka]` that cannot be used (exit 78).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("[kafka] \"{property}\": {reason}")]
pub struct Invalid {
    pub property: String,
    pub reason: String,
}

/// Makes the configuration of every Kafka client of this process.
#[derive(Clone, Debug)]
pub struct Clients {
    properties: BTreeMap<String, String>,
    group: String,
    instance: Option<String>,
    /// Ends the `transactional.id` of dynamic members: random, one for the life of the process.
    nonce: u64,
    /// The embedded broker forgets the offsets of transactions: they are committed once more, without one.
    embedded: bool,
}

/// Bytes of one fetch from a partition. A larger batch of records comes nevertheless, alone.
const FETCH: &str = "262144";

/// Bytes of a message that people and programs hand in, as the topic `alerts` is made to take.
const MESSAGE: &str = "5242880";

/// What only consumers know; a producer would warn of each.
const CONSUMER_ONLY: [&str; 15] = [
    "group.",
    "partition.assignment.strategy",
    "session.timeout.ms",
    "heartbeat.interval.ms",
    "coordinator.query.interval.ms",
    "max.poll.interval.ms",
    "auto.",
    "enable.auto.",
    "queued.",
    "fetch.",
    "max.partition.fetch.bytes",
    "isolation.level",
    "check.crcs",
    "enable.partition.eof",
    "offset.",
];

/// What only producers know.
const PRODUCER_ONLY: [&str; 15] = [
    "transaction.",
    "enable.idempotence",
    "enable.gapless.guarantee",
    "queue.buffering.",
    "linger.ms",
    "message.send.max.retries",
    "retries",
    "compression.",
    "batch.",
    "delivery.",
    "acks",
    "request.required.acks",
    "request.timeout.ms",
    "partitioner",
    "sticky.",
];

/// Properties of ours that librdkafka knows under two names.
const OTHER_NAMES: [(&str, &str); 3] = [
    ("compression.type", "compression.codec"),
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
    ("linger.ms", "queue.buffering.max.ms"),
];

/// Does `list` name `property`? An entry that ends with a dot names all that begin with it.
fn names(list: &[&str], property: &str) -> bool {
    list.iter().any(|name| if name.ends_with('.') { property.starts_with(name) } else { property == *name })
}

impl Clients {
    /// `kafka`: the table as `config` checked it. `nonce`: random, for the `transactional.id` of dynamic members.
    pub fn new(kafka: &BTreeMap<String, String>, nonce: u64) -> Result<Clients, Invalid> {
        let mut properties = kafka.clone();
        let group = properties.remove("group.id").unwrap_or_else(|| "incidentd".to_owned());
        let instance = properties.remove("group.instance.id");
        let clients = Clients { properties, group, instance, nonce, embedded: false };
        // librdkafka alone knows which properties contradict each other: ask it now, not when the first worker starts.
        for config in [clients.consumer(0), clients.producer(0)] {
            config.create_native_config().map_err(|error| match error {
                KafkaError::ClientConfig(_, reason, property, _) => Invalid { property, reason },
                error => Invalid { property: "bootstrap.servers".to_owned(), reason: error.to_string() },
            })?;
        }
        Ok(clients)
    }

    pub(super) fn for_embedded(self) -> Clients {
        Clients { embedded: true, ..self }
    }

    pub fn group(&self) -> &str {
        &self.group
    }

    /// See [`GroupConsumer::commit_apart`](crate::kafka::GroupConsumer::commit_apart).
    pub fn is_embedded(&self) -> bool {
        self.embedded
    }

    /// `ours`, and over it the user's properties less those that `not` names, which are another kind of client's.
    fn base(&self, not: &[&[&str]], ours: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        for (property, value) in ours {
            // The user's word counts under its other name as well: librdkafka would take whichever it sees last.
            let other = OTHER_NAMES.iter().find(|(name, _)| name == property).map(|(_, other)| *other);
            if !other.is_some_and(|other| self.properties.contains_key(other)) {
                config.set(*property, *value);
            }
        }
        for (property, value) in self.properties.iter().filter(|(property, _)| !not.iter().any(|list| names(list, property))) {
            config.set(property, value);
        }
        // Its "debug" property asks for more, where somebody listens.
        config.set_log_level(match tracing::enabled!(target: "librdkafka", tracing::Level::DEBUG) {
            true => RDKafkaLogLevel::Debug,
            false => RDKafkaLogLevel::Warning,
        });
        config
    }

    /// The member of the group that `worker` is.
    pub fn consumer(&self, worker: usize) -> ClientConfig {
        let mut config = self.base(
            &[&PRODUCER_ONLY],
            &[
                // The default of 1000 stops a partition's fetching for a second whenever its queue is full: 60 % of the speed.
                ("fetch.queue.backoff.ms", "1"),
                // Enough to work ahead of the network; the default of 64 MiB a consumer is memory for nothing.
                ("queued.max.messages.kbytes", "16384"),
                // Past that bound it holds one fetch more of every partition, unpacked: 1 MiB (the default) of well packed
                // alerts becomes ten.
                ("fetch.message.max.bytes", FETCH),
                // A partition that is resumed waits for the fetch under way to end.
                ("fetch.wait.max.ms", "100"),
                // A dead member's shards move after this long; a static member's restart must fit into it.
                ("session.timeout.ms", "10000"),
                // A member learns of a rebalance by its next heartbeat: until then another waits for its shards.
                ("heartbeat.interval.ms", "500"),
            ],
        );
        config
            .set("group.id", &self.group)
            // Offsets travel in transactions alone.
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            // The same partition of alerts, commands, events and inbox: a shard's records come to its owner.
            .set("partition.assignment.strategy", "range")
            // Every start is an explicit offset; one that is gone means lost records, and must be loud.
            .set("auto.offset.reset", "error")
            // Where the last records are markers or aborted ones, no position tells that a partition is read to its end.
            .set("enable.partition.eof", "true");
        if let Some(instance) = &self.instance {
            config.set("group.instance.id", format!("{instance}-{worker}"));
        }
        config
    }

    /// The member of the group that delivery is: a group of its own, `<group.id>-delivery`.
    pub fn delivery(&self) -> ClientConfig {
        let mut config = self.consumer(0);
        config.set("group.id", format!("{}-delivery", self.group));
        if let Some(instance) = &self.instance {
            config.set("group.instance.id", format!("{instance}-delivery"));
        }
        config
    }

    /// `group.instance.id` and the worker; without one a name that nobody else has.
    pub fn transactional_id(&self, worker: usize) -> String {
        match &self.instance {
            Some(instance) => format!("{}-{instance}-{worker}", self.group),
            None => format!("{}-{:016x}-{worker}", self.group, self.nonce),
        }
    }

    /// The transactional producer of `worker`.
    pub fn producer(&self, worker: usize) -> ClientConfig {
        let mut config = self.base(
            &[&CONSUMER_ONLY],
            &[
                ("compression.type", "lz4"),
                // A crashed writer holds every reader of its partitions back until its transaction times out.
                ("transaction.timeout.ms", "10000"),
                // Every transaction is flushed to its end: until then only full batches are worth a request.
                ("linger.ms", "1000"),
                // A broker still at the last transaction's markers answers CONCURRENT_TRANSACTIONS: by default the offsets
                // would wait for 100 ms and more, which is the tail of an alert's way to its action.
                ("retry.backoff.ms", "10"),
                // A whole commit is handed over at once.
                ("queue.buffering.max.messages", "1000000"),
            ],
        );
        config
            .set("transactional.id", self.transactional_id(worker))
            .set("enable.idempotence", "true")
            .set("acks", "all")
            // As the Java clients place keys: what others look for under a key stands where they look.
            .set("partitioner", "murmur2_random");
        config
    }

    /// A producer without transactions, for what people and programs hand in.
    pub fn appender(&self) -> ClientConfig {
        let mut config = self.base(
            &[&CONSUMER_ONLY],
            &[
                ("compression.type", "lz4"),
                ("linger.ms", "10"),
                // A webhook body may have 4 MiB (SPEC 3.1), and `alerts` takes as much.
                ("message.max.bytes", MESSAGE),
                // What waits while the brokers are away: the default is a gigabyte.
                ("queue.buffering.max.kbytes", "65536"),
            ],
        );
        config.remove("transaction.timeout.ms");
        config.set("enable.idempotence", "true").set("acks", "all").set("partitioner", "murmur2_random");
        config
    }

    /// A reader of chosen partitions, in no group, of committed records only.
    pub fn reader(&self) -> ClientConfig {
        let mut config = self.base(
            &[&PRODUCER_ONLY],
            &[
                ("fetch.queue.backoff.ms", "1"),
                ("queued.max.messages.kbytes", "16384"),
                ("fetch.message.max.bytes", FETCH),
                ("fetch.wait.max.ms", "100"),
            ],
        );
        config
            .set("enable.auto.commit", "false")
            .set("enable.auto.offset.store", "false")
            .set("isolation.level", "read_committed")
            .set("auto.offset.reset", "error")
            // As for the consumer: a restore ends by it.
            .set("enable.partition.eof", "true");
        config
    }

    /// Asks for metadata and for high watermarks. Uncommitted: a read_committed client is told the last stable offset
    /// instead, behind which a commit whose markers are still being written would hide.
    pub fn observer(&self) -> ClientConfig {
        let mut config = self.base(&[&PRODUCER_ONLY], &[]);
        config.set("enable.auto.commit", "false").set("isolation.level", "read_uncommitted");
        config
    }

    pub fn admin(&self) -> ClientConfig {
        self.base(&[&CONSUMER_ONLY, &PRODUCER_ONLY], &[])
    }
}

/// Hands what librdkafka says to `tracing`.
#[derive(Clone, Copy, Debug, Default)]
pub struct Context;

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level as i32, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        // It reconnects by itself; what does not mend comes back from the call that needed it.
        tracing::warn!(target: "librdkafka", %error, "{reason}");
    }
}

/// `level`: syslog's.
pub fn log(level: i32, facility: &str, message: &str) {
    match level {
        0..=3 => tracing::error!(target: "librdkafka", facility, "{message}"),
        4 => tracing::warn!(target: "librdkafka", facility, "{message}"),
        5 | 6 => tracing::info!(target: "librdkafka", facility, "{message}"),
        _ => tracing::debug!(target: "librdkafka", facility, "{message}"),
    }
}

impl ConsumerContext for Context {}

/// A configuration for the clients that are polled by `rd_kafka_poll`, not by the crate: they say what they say by
/// callbacks, which would print to the standard error otherwise.
pub fn native(config: &ClientConfig, doing: &str) -> Result<NativeClientConfig, Error> {
    let native = config.create_native_config().map_err(|error| Error::from_kafka(doing, &error))?;
    // SAFETY: the configuration is live and not yet given to a client; the functions live for ever.
    unsafe {
        rd::rd_kafka_conf_set_log_cb(native.ptr(), Some(on_log));
        rd::rd_kafka_conf_set_error_cb(native.ptr(), Some(on_error));
    }
    Ok(native)
}

unsafe extern "C" fn on_log(_: *const rd::rd_kafka_t, level: c_int, facility: *const c_char, text: *const c_char) {
    // SAFETY: both are C strings for the time of the call.
    let (facility, text) = unsafe { (CStr::from_ptr(facility).to_string_lossy(), CStr::from_ptr(text).to_string_lossy()) };
    log(level, &facility, &text);
}

unsafe extern "C" fn on_error(_: *mut rd::rd_kafka_t, code: c_int, reason: *const c_char, _: *mut c_void) {
    // SAFETY: a C string for the time of the call.
    let reason = unsafe { CStr::from_ptr(reason) }.to_string_lossy();
    tracing::warn!(target: "librdkafka", code, "{reason}");
}
