//! Reads chosen partitions from chosen offsets, in no group: for restoring state and for following topics.

use crate::kafka::batch::{Batch, Queue};
use crate::kafka::client::{self, Context};
use crate::kafka::error::Error;
use rdkafka::bindings as rd;
use rdkafka::client::Client;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::types::RDKafkaType;
use std::ffi::CString;
use std::time::Duration;

/// A reader of committed records.
pub struct Reader {
    /// Before the client: queues are destroyed before it.
    records: Queue,
    client: Client<Context>,
    names: Vec<String>,
    topics: Vec<*mut rd::rd_kafka_topic_t>,
    reading: Vec<(usize, u32)>,
}

// SAFETY: a topic handle may be used from any thread; nothing here is shared between two.
unsafe impl Send for Reader {}

impl Reader {
    /// `config`: [`crate::kafka::Clients::reader`]'s.
    pub fn new(config: &ClientConfig, names: Vec<String>) -> Result<Reader, Error> {
        let doing = "creating a reader";
        let native = client::native(config, doing)?;
        let client = Client::new(config, native, RDKafkaType::RD_KAFKA_CONSUMER, Context)
            .map_err(|error| Error::from_kafka(doing, &error))?;
        // SAFETY: the client is live, and the field order destroys the queue before it.
        let records = unsafe { Queue::new(client.native_ptr()) };
        let mut reader = Reader { records, client, names, topics: Vec::new(), reading: Vec::new() };
        for name in &reader.names {
            let name = CString::new(name.as_str()).map_err(|_| Error::fatal("a topic's name has a NUL"))?;
            // SAFETY: client and name are live; a null configuration means the client's own.
            let topic = unsafe { rd::rd_kafka_topic_new(reader.client.native_ptr(), name.as_ptr(), std::ptr::null_mut()) };
            if topic.is_null() {
                return Err(Error::fatal(format!("librdkafka refuses the topic name {name:?}")));
            }
            reader.topics.push(topic);
        }
        Ok(reader)
    }

    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Begins to read a partition. `topic`: its place in the names; `offset`: absolute, or librdkafka's -2 for the oldest
    /// record and -1 for the end.
    pub fn start(&mut self, topic: usize, partition: u32, offset: i64) -> Result<(), Error> {
        // SAFETY: topic and queue are live.
        let result =
            unsafe { rd::rd_kafka_consume_start_queue(self.topics[topic], partition as i32, offset, self.records.pointer()) };
        if result != 0 {
            // SAFETY: reads this thread's last error.
            let code = Code::from(unsafe { rd::rd_kafka_last_error() });
            return Err(Error::from_code(&format!("reading `{}` partition {partition}", self.names[topic]), code));
        }
        self.reading.push((topic, partition));
        Ok(())
    }

    /// Waits up to `timeout` for records; see [`Batch::refill`]. The batch also tells the ends of partitions.
    pub fn read(&self, batch: &mut Batch, timeout: Duration) {
        batch.refill(&self.records, timeout);
        // SAFETY: the client is live; this serves its log and error events.
        unsafe { rd::rd_kafka_poll(self.client.native_ptr(), 0) };
    }

    /// Stops reading every partition.
    pub fn stop(&mut self) {
        for (topic, partition) in self.reading.drain(..) {
            // SAFETY: the topic is live and the partition was started.
            unsafe { rd::rd_kafka_consume_stop(self.topics[topic], partition as i32) };
        }
    }
}

impl Drop for Reader {
    fn drop(&mut self) {
        self.stop();
        for topic in self.topics.drain(..) {
            // SAFETY: made by rd_kafka_topic_new, destroyed once, before the client.
            unsafe { rd::rd_kafka_topic_destroy(topic) };
        }
    }
}
