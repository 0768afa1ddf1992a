//! A batch of records as librdkafka holds them: read in place, nothing copied.
//!
//! `rd_kafka_consume_batch_queue` takes 0.73 CPU seconds for a million records where a poll for each takes 1.15, and the
//! crate does not offer it; hence the bindings.

use rdkafka::bindings as rd;
use rdkafka::error::RDKafkaErrorCode as Code;
use rdkafka::types::RDKafkaRespErr as RespErr;
use std::ffi::{CStr, c_int};
use std::marker::PhantomData;
use std::ptr::NonNull;
use std::time::Duration;

/// A librdkafka queue that yields messages. Dropped before the client that it belongs to.
pub struct Queue {
    pointer: NonNull<rd::rd_kafka_queue_t>,
}

// SAFETY: librdkafka's queues lock themselves.
unsafe impl Send for Queue {}

impl Queue {
    /// # Safety
    /// `client` is a live client, and the queue is dropped before it.
    pub unsafe fn new(client: *mut rd::rd_kafka_t) -> Queue {
        // SAFETY: the caller's promise. The call only fails by ending the process.
        let pointer = unsafe { rd::rd_kafka_queue_new(client) };
        Queue { pointer: NonNull::new(pointer).expect("rd_kafka_queue_new never returns null") }
    }

    /// The queue of a consumer's events.
    ///
    /// # Safety
    /// `client` is a live consumer with a group, and the queue is dropped before it.
    pub unsafe fn of_consumer(client: *mut rd::rd_kafka_t) -> Option<Queue> {
        // SAFETY: the caller's promise; null for a client that is no consumer.
        NonNull::new(unsafe { rd::rd_kafka_queue_get_consumer(client) }).map(|pointer| Queue { pointer })
    }

    /// What waits in it.
    pub fn is_empty(&self) -> bool {
        // SAFETY: the queue is live.
        unsafe { rd::rd_kafka_queue_length(self.pointer.as_ptr()) == 0 }
    }

    pub fn pointer(&self) -> *mut rd::rd_kafka_queue_t {
        self.pointer.as_ptr()
    }
}

impl Drop for Queue {
    fn drop(&mut self) {
        // SAFETY: made or taken by rd_kafka_queue_new or …_get_consumer, given back once.
        unsafe { rd::rd_kafka_queue_destroy(self.pointer.as_ptr()) }
    }
}

/// Up to `capacity` messages; each refill frees the last ones.
pub struct Batch {
    messages: Vec<*mut rd::rd_kafka_message_t>,
    capacity: usize,
}

// SAFETY: messages belong to whoever holds the batch; librdkafka lets any thread read and free them.
unsafe impl Send for Batch {}

impl Batch {
    pub fn new(capacity: usize) -> Batch {
        Batch { messages: Vec::with_capacity(capacity), capacity }
    }

    /// Frees the messages and takes what `queue` has: waits up to `timeout` for the first, and for none after it.
    pub fn refill(&mut self, queue: &Queue, timeout: Duration) {
        self.clear();
        let millis = c_int::try_from(timeout.as_millis()).unwrap_or(c_int::MAX);
        // rd_kafka_consume_batch_queue waits until the batch is full or the time is over, so the waiting is done by a call
        // for one message.
        // SAFETY: the queue lives as long as `self.pointer`; a null result is no message.
        let first = unsafe { rd::rd_kafka_consume_queue(queue.pointer(), millis) };
        if first.is_null() {
            return;
        }
        self.messages.push(first);
        // SAFETY: the vector has room for `capacity` pointers, of which one is used; the call writes at most the number it
        // is given and returns how many it wrote (or -1).
        unsafe {
            let got = rd::rd_kafka_consume_batch_queue(queue.pointer(), 0, self.messages.as_mut_ptr().add(1), self.capacity - 1);
            self.messages.set_len(1 + usize::try_from(got).unwrap_or(0));
        }
    }

    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// More may wait in the queue.
    pub fn is_full(&self) -> bool {
        self.messages.len() == self.capacity
    }

    /// What the messages are, in order. `topics`: the names to which entries refer by index.
    pub fn entries<'a>(&'a self, topics: &'a [String]) -> impl Iterator<Item = Entry<'a>> {
        let mut handle = std::ptr::null_mut();
        let mut topic = usize::MAX;
        self.messages.iter().map(move |message| {
            // SAFETY: librdkafka returned it, and it is freed by `clear` alone, which needs `&mut self`.
            let message = unsafe { &**message };
            // Runs of messages share a topic: its name is compared once a run.
            if message.rkt != handle || topic == usize::MAX {
                handle = message.rkt;
                let record = Record { message, lives: PhantomData };
                topic = topics.iter().position(|name| *name == record.topic_name()).unwrap_or(usize::MAX);
            }
            let partition = u32::try_from(message.partition).unwrap_or(u32::MAX);
            match message.err {
                RespErr::RD_KAFKA_RESP_ERR_NO_ERROR => Entry::Record(topic, Record { message, lives: PhantomData }),
                RespErr::RD_KAFKA_RESP_ERR__PARTITION_EOF => Entry::End { topic, partition, offset: message.offset },
                code => Entry::Error { topic, partition, code: code.into() },
            }
        })
    }

    /// The record that stands at `at`, as [`Batch::entries`] counts them.
    pub fn record(&self, at: usize) -> Option<Record<'_>> {
        // SAFETY: librdkafka returned it, and it is freed by `clear` alone, which needs `&mut self`.
        let message = unsafe { &**self.messages.get(at)? };
        (message.err == RespErr::RD_KAFKA_RESP_ERR_NO_ERROR).then_some(Record { message, lives: PhantomData })
    }

    /// Frees the messages: before the client that they came from is dropped, at the latest.
    pub fn clear(&mut self) {
        for message in self.messages.drain(..) {
            // SAFETY: returned by a consume call, freed once.
            unsafe { rd::rd_kafka_message_destroy(message) }
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.clear();
    }
}

/// One message of a batch. Topics by their index; `usize::MAX` for one that is not listed.
pub enum Entry<'a> {
    Record(usize, Record<'a>),
    /// The end of a partition, as far as transactions are complete; the next offset to be read.
    End {
        topic: usize,
        partition: u32,
        offset: i64,
    },
    Error {
        topic: usize,
        partition: u32,
        code: Code,
    },
}

/// A record, in librdkafka's own memory.
#[derive(Clone, Copy)]
pub struct Record<'a> {
    message: &'a rd::rd_kafka_message_t,
    lives: PhantomData<&'a Batch>,
}

impl<'a> Record<'a> {
    fn topic_name(&self) -> &'a str {
        if self.message.rkt.is_null() {
            return "";
        }
        // SAFETY: the message keeps its topic handle, and that its name, a C string.
        unsafe { CStr::from_ptr(rd::rd_kafka_topic_name(self.message.rkt)) }.to_str().unwrap_or("")
    }

    pub fn partition(&self) -> u32 {
        u32::try_from(self.message.partition).unwrap_or(u32::MAX)
    }

    pub fn offset(&self) -> i64 {
        self.message.offset
    }

    /// The Kafka timestamp in milliseconds since 1970; `None` for a record without one.
    pub fn timestamp(&self) -> Option<i64> {
        let mut kind = rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE;
        // SAFETY: both pointers are good for the call.
        let millis = unsafe { rd::rd_kafka_message_timestamp(self.message, &mut kind) };
        (kind != rd::rd_kafka_timestamp_type_t::RD_KAFKA_TIMESTAMP_NOT_AVAILABLE).then_some(millis)
    }

    pub fn key(&self) -> Option<&'a [u8]> {
        bytes(self.message.key, self.message.key_len)
    }

    /// `None`: a tombstone.
    pub fn value(&self) -> Option<&'a [u8]> {
        bytes(self.message.payload, self.message.len)
    }

    /// Parsed when asked for.
    pub fn headers(&self) -> Headers<'a> {
        let mut headers = std::ptr::null_mut();
        // SAFETY: librdkafka parses into the message, which lives for 'a, and hands out a pointer into it.
        let code = unsafe { rd::rd_kafka_message_headers(self.message, &mut headers) };
        Headers {
            pointer: if code == RespErr::RD_KAFKA_RESP_ERR_NO_ERROR { headers } else { std::ptr::null_mut() },
            at: 0,
            lives: PhantomData,
        }
    }
}

fn bytes<'a>(pointer: *mut std::ffi::c_void, length: usize) -> Option<&'a [u8]> {
    if pointer.is_null() {
        return None;
    }
    // SAFETY: `pointer` and `length` are a message's own, which the caller keeps for 'a.
    Some(unsafe { std::slice::from_raw_parts(pointer.cast(), length) })
}

/// The headers of a record, in order; names that are not UTF-8 are left out.
pub struct Headers<'a> {
    pointer: *mut rd::rd_kafka_headers_t,
    at: usize,
    lives: PhantomData<&'a Batch>,
}

impl<'a> Iterator for Headers<'a> {
    /// The value is `None` where it is null.
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        while !self.pointer.is_null() {
            let (mut name, mut value, mut size) = (std::ptr::null(), std::ptr::null(), 0);
            // SAFETY: the headers live in a message that lives for 'a; the call fails past the last one.
            let code = unsafe { rd::rd_kafka_header_get_all(self.pointer, self.at, &mut name, &mut value, &mut size) };
            if code != RespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
                return None;
            }
            self.at += 1;
            // SAFETY: a header's name is a C string in the message.
            if let Ok(name) = unsafe { CStr::from_ptr(name) }.to_str() {
                return Some((name, bytes(value.cast_mut(), size)));
            }
        }
        None
    }
}
