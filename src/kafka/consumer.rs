//! One member of the consumer group: its records in batches, its rebalances as events that the loop takes when it is ready.
//!
//! Records go to a queue of our own, so that events wait in the consumer's until [`GroupConsumer::rebalance`] asks for
//! them: nothing is taken away in the middle of a batch, and a transaction can be ended before partitions are given up.

use crate::kafka::batch::{Batch, Queue};
use crate::kafka::client;
use crate::kafka::error::{Error, Reaction};
use rdkafka::bindings as rd;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr as RespErr;
use std::collections::VecDeque;
use std::ffi::{CStr, CString};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard};
use std::time::{Duration, Instant};

/// Served in one go; more wait for the next.
const EVENTS: usize = 1_000;

/// Of one attempt.
const SEEK: Duration = Duration::from_secs(5);

/// Of one that is no member.
const NO_GENERATION: i32 = -1;

/// A partition of a subscribed topic, which is named by its place in the subscription.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default)]
pub struct Slot {
    pub topic: usize,
    pub partition: u32,
}

/// What the group decided. librdkafka waits until [`GroupConsumer::accept`] or [`GroupConsumer::release`] is called.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Rebalance {
    Assigned(Vec<Slot>),
    /// Everything is to be given up. `lost`: others may own it already, so nothing may be committed.
    Revoked {
        lost: bool,
    },
}

enum Event {
    Assigned(Vec<(String, i32)>),
    Revoked,
}

#[derive(Default)]
struct Events {
    waiting: Mutex<VecDeque<Event>>,
    /// While the consumer closes nobody takes events: a revocation is answered on the spot.
    closing: AtomicBool,
}

impl Events {
    fn lock(&self) -> MutexGuard<'_, VecDeque<Event>> {
        self.waiting.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl ClientContext for Events {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level as i32, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        client::Context.error(error, reason);
    }
}

impl ConsumerContext for Events {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, code: RespErr, list: &mut TopicPartitionList) {
        if self.closing.load(Ordering::Acquire) {
            // It fails only where nothing is assigned, which is what is wanted.
            let _ = consumer.unassign();
            return;
        }
        let event = match code {
            RespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => {
                Event::Assigned(list.elements().iter().map(|element| (element.topic().to_owned(), element.partition())).collect())
            }
            _ => Event::Revoked,
        };
        self.lock().push_back(event);
    }
}

/// A member of the group.
pub struct GroupConsumer {
    /// Before the consumer: queues are destroyed before their client.
    records: Queue,
    events: Queue,
    consumer: BaseConsumer<Events>,
    topics: Vec<String>,
    /// In which the partitions were accepted.
    generation: i32,
}

impl GroupConsumer {
    /// Joins the group. `topics`: no two alike.
    pub fn join(config: &ClientConfig, topics: Vec<String>) -> Result<GroupConsumer, Error> {
        let consumer: BaseConsumer<Events> =
            config.create_with_context(Events::default()).map_err(|error| Error::from_kafka("creating a consumer", &error))?;
        // SAFETY: the consumer is live, and the field order destroys the queue before it.
        let (records, events) = unsafe {
            let native = consumer.client().native_ptr();
            (Queue::new(native), Queue::of_consumer(native))
        };
        let events = events.ok_or_else(|| Error::fatal("the consumer has no group"))?;
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        consumer.subscribe(&names).map_err(|error| Error::from_kafka("subscribing", &error))?;
        Ok(GroupConsumer { records, events, consumer, topics, generation: NO_GENERATION })
    }

    /// The subscription; slots and entries refer to it.
    pub fn topics(&self) -> &[String] {
        &self.topics
    }

    /// Serves the consumer's events, without waiting. True: a rebalance waits for [`GroupConsumer::rebalance`].
    pub fn serve(&self) -> Result<bool, Error> {
        // A poll serves one event, be it a line of the log; with none waiting it still keeps the member alive.
        for _ in 0..EVENTS {
            self.serve_one()?;
            if self.events.is_empty() {
                break;
            }
        }
        Ok(!self.consumer.context().lock().is_empty())
    }

    fn serve_one(&self) -> Result<(), Error> {
        match self.consumer.poll(Duration::ZERO) {
            // Partitions forward their records to our own queue: what comes here are errors of the consumer as a whole.
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                let remedy = match code {
                    Code::FencedInstanceId => "; another process uses the same \"group.instance.id\": give each its own",
                    _ => "",
                };
                Err(Error::fatal(format!("the consumer cannot go on: {code}{remedy}")))
            }
            Some(Err(error)) => {
                let error = Error::from_kafka("consuming", &error);
                if error.reaction == Reaction::Fatal {
                    return Err(error);
                }
                tracing::warn!("{error}");
                Ok(())
            }
            // One that is not taken here would be skipped for good.
            Some(Ok(_)) => Err(Error::new(Reaction::Fenced, "a record came past its queue")),
            None => Ok(()),
        }
    }

    /// Serves events, and takes the next rebalance where there is one.
    pub fn rebalance(&self) -> Result<Option<Rebalance>, Error> {
        self.serve()?;
        let event = self.consumer.context().lock().pop_front();
        Ok(match event {
            None => None,
            Some(Event::Revoked) => Some(Rebalance::Revoked { lost: self.consumer.assignment_lost() }),
            Some(Event::Assigned(partitions)) => Some(Rebalance::Assigned(
                partitions
                    .iter()
                    .filter_map(|(name, partition)| {
                        let topic = self.topics.iter().position(|topic| topic == name)?;
                        Some(Slot { topic, partition: u32::try_from(*partition).ok()? })
                    })
                    .collect(),
            )),
        })
    }

    /// Answers `Assigned`: the partitions are ours. Nothing is read of them before [`GroupConsumer::start`].
    pub fn accept(&mut self) -> Result<(), Error> {
        self.generation = Membership::now(self).map_or(NO_GENERATION, |now| now.generation());
        // With an empty list librdkafka has its answer, and begins to read nothing: assigning now and seeking later would
        // race with its own look for where to begin, whose late answer wins over the seek.
        self.assign(&TopicPartitionList::new())
    }

    /// Answers `Revoked`.
    pub fn release(&self) -> Result<(), Error> {
        self.consumer.unassign().map_err(|error| Error::from_kafka("giving partitions up", &error))
    }

    /// Answers what `accept` left open: reads each slot from its offset on. Once for an assignment, for all of its slots:
    /// librdkafka undoes a partition's forwarding when it stops it, which it would do to begin anew.
    pub fn start(&self, from: &[(Slot, i64)]) -> Result<(), Error> {
        for (slot, _) in from {
            let name = CString::new(self.topics[slot.topic].as_str()).map_err(|_| Error::fatal("a topic's name has a NUL"))?;
            // SAFETY: client, name and queue are live; the partition's handle is given back at once, its forwarding stays.
            unsafe {
                let partition = rd::rd_kafka_queue_get_partition(self.native(), name.as_ptr(), slot.partition as i32);
                if !partition.is_null() {
                    rd::rd_kafka_queue_forward(partition, self.records.pointer());
                    rd::rd_kafka_queue_destroy(partition);
                }
            }
        }
        self.assign(&self.list(from.iter().map(|(slot, offset)| (*slot, Offset::Offset(*offset))))?)
    }

    /// Reads slots that were started from other offsets on. What the queue still holds of them is void.
    pub fn rewind(&self, to: &[(Slot, i64)], deadline: Instant) -> Result<(), Error> {
        let doing = "seeking";
        let mut left = to.to_vec();
        while !left.is_empty() {
            let list = self.list(left.iter().map(|(slot, offset)| (*slot, Offset::Offset(*offset))))?;
            let sought = self.consumer.seek_partitions(list, SEEK).map_err(|error| Error::from_kafka(doing, &error))?;
            // A partition that librdkafka has not begun to serve yet says so: it is asked again.
            let failed: Vec<_> = sought.elements().iter().map(|element| element.error().err()).collect();
            let last = failed.iter().flatten().next_back().cloned();
            let mut failed = failed.into_iter();
            left.retain(|_| failed.next().flatten().is_some());
            if let Some(error) = last {
                if Instant::now() > deadline {
                    return Err(Error::from_kafka(doing, &error));
                }
                std::thread::sleep(Duration::from_millis(2));
            }
        }
        Ok(())
    }

    /// Reads no more of these slots until [`GroupConsumer::resume`]; what the queue holds of them is read again then.
    pub fn pause(&self, slots: &[Slot]) -> Result<(), Error> {
        let list = self.list(slots.iter().map(|slot| (*slot, Offset::Invalid)))?;
        self.consumer.pause(&list).map_err(|error| Error::from_kafka("pausing partitions", &error))
    }

    pub fn resume(&self, slots: &[Slot]) -> Result<(), Error> {
        let list = self.list(slots.iter().map(|slot| (*slot, Offset::Invalid)))?;
        self.consumer.resume(&list).map_err(|error| Error::from_kafka("resuming partitions", &error))
    }

    fn assign(&self, list: &TopicPartitionList) -> Result<(), Error> {
        self.consumer.assign(list).map_err(|error| Error::from_kafka("taking partitions over", &error))
    }

    /// Waits up to `timeout` for records; see [`Batch::refill`].
    pub fn read(&self, batch: &mut Batch, timeout: Duration) {
        batch.refill(&self.records, timeout);
    }

    /// What to do about an error that a batch holds for one partition: `Ok` where librdkafka goes on by itself.
    pub fn judge(&self, topic: usize, partition: u32, code: Code) -> Result<(), Error> {
        let name = self.topics.get(topic).map_or("?", String::as_str);
        match code {
            Code::AutoOffsetReset | Code::OffsetOutOfRange => Err(Error::fatal(format!(
                "the committed offset of `{name}` partition {partition} is gone: records were deleted before they were read; \
                 set it with `kafka-consumer-groups.sh --reset-offsets`, and keep records longer (`retention.ms`)"
            ))),
            code => {
                let error = Error::from_code(&format!("reading `{name}` partition {partition}"), code);
                if error.reaction == Reaction::Fatal {
                    return Err(error);
                }
                tracing::warn!("{error}");
                Ok(())
            }
        }
    }

    /// The group's committed offsets, none of which a pending transaction may change any more: while one is pending this
    /// fails with `Retry`.
    pub fn committed(&self, slots: &[Slot], timeout: Duration) -> Result<Vec<Option<i64>>, Error> {
        let doing = "reading the group's offsets";
        let list = self.list(slots.iter().map(|slot| (*slot, Offset::Invalid)))?;
        let list = self.consumer.committed_offsets(list, timeout).map_err(|error| Error::from_kafka(doing, &error))?;
        list.elements()
            .iter()
            .map(|element| {
                element.error().map_err(|error| Error::from_kafka(doing, &error))?;
                Ok(match element.offset() {
                    Offset::Offset(offset) => Some(offset),
                    _ => None,
                })
            })
            .collect()
    }

    /// Commits offsets outside any transaction: for delivery, which has none, and for the embedded broker, which forgets
    /// those of transactions.
    pub fn commit_apart(&self, next: &[(Slot, i64)]) -> Result<(), Error> {
        let list = self.list(next.iter().map(|(slot, offset)| (*slot, Offset::Offset(*offset))))?;
        self.consumer.commit(&list, CommitMode::Sync).map_err(|error| Error::from_kafka("committing offsets", &error))
    }

    /// The end of a partition as the last fetch saw it, without asking: for the lag.
    pub fn known_end(&self, slot: Slot) -> Option<i64> {
        let name = CString::new(self.topics[slot.topic].as_str()).ok()?;
        let (mut low, mut high) = (-1, -1);
        // SAFETY: client and name are live, the offsets are ours.
        let code = unsafe {
            rd::rd_kafka_get_watermark_offsets(self.native(), name.as_ptr(), slot.partition as i32, &mut low, &mut high)
        };
        (code == RespErr::RD_KAFKA_RESP_ERR_NO_ERROR && high >= 0).then_some(high)
    }

    /// Offsets for a transaction, under the name and generation by which the group knows us, as long as they are those
    /// under which the partitions were accepted.
    ///
    /// A member that was put out of the group has neither until it rejoins, and offsets that are sent without them are
    /// taken unchecked: a sleeper that wakes would commit over the next owner's work.
    pub fn offsets(&self, next: &[(Slot, i64)]) -> Result<Offsets, Error> {
        let list = self.list(next.iter().map(|(slot, offset)| (*slot, Offset::Offset(*offset))))?;
        match Membership::now(self) {
            Some(membership) if membership.generation() == self.generation && self.generation != NO_GENERATION => {
                Ok(Offsets { list, membership })
            }
            _ => Err(Error::new(Reaction::Fenced, "the group has gone on without us")),
        }
    }

    pub fn native(&self) -> *mut rd::rd_kafka_t {
        self.consumer.client().native_ptr()
    }

    fn list(&self, slots: impl Iterator<Item = (Slot, Offset)>) -> Result<TopicPartitionList, Error> {
        let mut list = TopicPartitionList::new();
        for (slot, offset) in slots {
            list.add_partition_offset(&self.topics[slot.topic], slot.partition as i32, offset)
                .map_err(|error| Error::from_kafka("listing partitions", &error))?;
        }
        Ok(list)
    }
}

/// What [`crate::kafka::Producer::send_offsets`] sends.
pub struct Offsets {
    pub(super) list: TopicPartitionList,
    pub(super) membership: Membership,
}

/// Group, generation, member and instance at one moment.
pub(super) struct Membership {
    pointer: NonNull<rd::rd_kafka_consumer_group_metadata_t>,
}

// SAFETY: nothing changes the object, and any thread may free it.
unsafe impl Send for Membership {}

impl Membership {
    fn now(consumer: &GroupConsumer) -> Option<Membership> {
        // SAFETY: the consumer is live; the object is ours, or null where there is no group.
        NonNull::new(unsafe { rd::rd_kafka_consumer_group_metadata(consumer.native()) }).map(|pointer| Membership { pointer })
    }

    fn generation(&self) -> i32 {
        // SAFETY: the object is live, and its member a C string in it.
        let (generation, member) = unsafe {
            let member = rd::rd_kafka_consumer_group_metadata_member_id(self.pointer.as_ptr());
            (rd::rd_kafka_consumer_group_metadata_generation_id(self.pointer.as_ptr()), CStr::from_ptr(member))
        };
        if member.is_empty() { NO_GENERATION } else { generation }
    }

    pub fn pointer(&self) -> *const rd::rd_kafka_consumer_group_metadata_t {
        self.pointer.as_ptr()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        // SAFETY: made by rd_kafka_consumer_group_metadata, destroyed once.
        unsafe { rd::rd_kafka_consumer_group_metadata_destroy(self.pointer.as_ptr()) }
    }
}

impl Drop for GroupConsumer {
    /// Leaves the group (a static member does not). May block: the caller closes on a thread with a deadline.
    fn drop(&mut self) {
        self.consumer.context().closing.store(true, Ordering::Release);
        // An event that was taken and not answered would hold the closing up.
        let _ = self.consumer.unassign();
    }
}
