//! The most that one consumer could do: librdkafka's batches, decoded and fingerprinted, and nothing else.

use crate::load::Load;
use crate::measure::{Mark, Speed};
use crate::support::client::{client, partition_count};
use incidentd::codec::{self, AlertRecord, Item};
use incidentd::model::{Origin, Time, Topic};
use rdkafka::bindings as rd;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{Offset, TopicPartitionList};
use std::hint::black_box;
use std::ptr;
use std::slice;

const BATCH: usize = 2_000;

/// `settings`: as incidentd reads them, too.
pub fn run(load: &Load, settings: &codec::Settings) -> Speed {
    let consumer: BaseConsumer = client()
        .set("group.id", "ceiling")
        .set("isolation.level", "read_committed")
        .set("enable.auto.commit", "false")
        .set("fetch.queue.backoff.ms", "1")
        .set("queued.max.messages.kbytes", "16384")
        .set("fetch.message.max.bytes", "262144")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..partition_count(&consumer, &load.topic) {
        list.add_partition_offset(&load.topic, partition as i32, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("an assignment");

    let pid = std::process::id();
    let (mut read, mut begin) = (0, None);
    // SAFETY: the queue is of this live consumer, and destroyed before it.
    let queue = unsafe { rd::rd_kafka_queue_get_consumer(consumer.client().native_ptr()) };
    let mut batch = [ptr::null_mut(); BATCH];
    while read < load.alerts {
        // SAFETY: there is room for BATCH messages, each of which is ours until it is destroyed.
        let got = unsafe { rd::rd_kafka_consume_batch_queue(queue, 10, batch.as_mut_ptr(), BATCH) };
        assert!(got >= 0, "the batch failed");
        for &message in &batch[..got as usize] {
            // SAFETY: librdkafka filled it, and it is destroyed once, below.
            read += unsafe { take(&*message, settings) };
            unsafe { rd::rd_kafka_message_destroy(message) };
        }
        if begin.is_none() && read >= load.from {
            begin = Some(Mark::now(pid, read));
        }
    }
    let end = Mark::now(pid, read);
    // SAFETY: as above; no message is left.
    unsafe { rd::rd_kafka_queue_destroy(queue) };
    begin.expect("the beginning lies before the end").until(&end)
}

/// Decodes one message. 1: how many records it was.
///
/// # Safety
/// The message is live and its payload readable.
unsafe fn take(message: &rd::rd_kafka_message_t, settings: &codec::Settings) -> i64 {
    assert_eq!(message.err as i32, 0, "the topic is read without errors");
    let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
    let time = unsafe { rd::rd_kafka_message_timestamp(message, &mut kind) };
    let value = unsafe { slice::from_raw_parts(message.payload.cast::<u8>(), message.len) };
    let record = AlertRecord {
        origin: Origin { topic: Topic::Alerts, partition: message.partition as u32, offset: message.offset, index: 0 },
        time: Time(time),
        value: Some(value),
        form: None,
    };
    codec::read_alerts(&record, settings, &mut |item| match item {
        Item::Alert { alert, .. } => {
            black_box(alert.fingerprint);
        }
        Item::Rejected { reason, .. } => panic!("an alert of the load was rejected: {reason}"),
        Item::Ignored => panic!("an alert of the load was ignored"),
    });
    1
}
