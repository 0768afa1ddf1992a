//! The transactional producer: begin, send, offsets, commit, each error named by what to do about it.
//!
//! Made on librdkafka's own interface: the crate's `flush()`, which its `commit_transaction()` calls, sits out 100 ms
//! whenever anything is in flight, for it wants delivery reports as events. With a callback in their place librdkafka's
//! commit flushes and returns at once.

use crate::kafka::client;
use crate::kafka::consumer::Offsets;
use crate::kafka::error::{Error, Reaction, reaction_of};
use rdkafka::bindings as rd;
use rdkafka::client::{Client, ClientContext};
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};
use rdkafka::types::{RDKafkaRespErr as RespErr, RDKafkaType};
use std::ffi::{CStr, CString, c_int, c_void};
use std::sync::Mutex;
use std::time::{Duration, Instant};

/// One call to librdkafka; a longer wait is a repetition of it.
const CALL: Duration = Duration::from_secs(10);

/// The first record of a transaction that was not delivered, and why.
#[derive(Default)]
struct Deliveries {
    failed: Mutex<Option<Code>>,
}

impl ClientContext for Deliveries {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        client::log(level as i32, facility, message);
    }
}

unsafe extern "C" fn on_delivery(_: *mut rd::rd_kafka_t, message: *const rd::rd_kafka_message_t, opaque: *mut c_void) {
    // SAFETY: librdkafka hands a live message and the client's opaque, which `Client::new` set to its `Arc<Deliveries>`.
    let (code, deliveries) = unsafe { ((*message).err, &*opaque.cast::<Deliveries>()) };
    if code != RespErr::RD_KAFKA_RESP_ERR_NO_ERROR {
        deliveries.failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).get_or_insert(code.into());
    }
}

/// A record to be sent. Nothing is kept of it after the call.
pub struct Send<'a> {
    /// Its place in the list given to [`Producer::new`].
    pub topic: usize,
    /// `None`: by the key, as the Java clients do.
    pub partition: Option<u32>,
    pub key: Option<&'a [u8]>,
    pub value: Option<&'a [u8]>,
    pub headers: &'a [(String, Vec<u8>)],
}

/// A producer with a `transactional.id`.
pub struct Producer {
    client: Client<Deliveries>,
    topics: Vec<*mut rd::rd_kafka_topic_t>,
    spoiled: bool,
}

// SAFETY: librdkafka's handles may be used from any thread; nothing here is shared between two.
unsafe impl std::marker::Send for Producer {}

impl Producer {
    /// Creates it, fences any other of its `transactional.id`, and waits until what that left open is aborted.
    pub fn new(config: &ClientConfig, topics: &[String], deadline: Instant) -> Result<Producer, Error> {
        let doing = "creating a producer";
        let native = client::native(config, doing)?;
        // SAFETY: the configuration is live and not yet given to a client; the function lives for ever.
        unsafe { rd::rd_kafka_conf_set_dr_msg_cb(native.ptr(), Some(on_delivery)) };
        let client = Client::new(config, native, RDKafkaType::RD_KAFKA_PRODUCER, Deliveries::default())
            .map_err(|error: KafkaError| Error::from_kafka(doing, &error))?;
        let mut producer = Producer { client, topics: Vec::new(), spoiled: false };
        for topic in topics {
            let name = CString::new(topic.as_str()).map_err(|_| Error::fatal("a topic's name has a NUL"))?;
            // SAFETY: client and name are live; a null configuration means the client's own.
            let handle = unsafe { rd::rd_kafka_topic_new(producer.native(), name.as_ptr(), std::ptr::null_mut()) };
            if handle.is_null() {
                return Err(Error::fatal(format!("librdkafka refuses the topic name `{topic}`")));
            }
            producer.topics.push(handle);
        }
        // Without a connection the first question for the coordinator fails, and librdkafka asks again only after 500 ms. The
        // first answer gives up the connection that it came by, the second shows that the next one stands.
        for topic in topics.iter().take(2) {
            let _ = producer.client.fetch_metadata(Some(topic), CALL);
        }
        producer.repeat("init_transactions", deadline, |rk, millis| unsafe { rd::rd_kafka_init_transactions(rk, millis) })?;
        Ok(producer)
    }

    /// After a timeout or a fatal error it must be replaced, even if a repetition succeeds: librdkafka lacks KIP-890, and
    /// could not tell this transaction from the next.
    pub fn is_spoiled(&self) -> bool {
        self.spoiled
    }

    pub fn begin(&mut self) -> Result<(), Error> {
        *self.client.context().failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner()) = None;
        // SAFETY: the client is live.
        let error = unsafe { rd::rd_kafka_begin_transaction(self.native()) };
        self.check("begin_transaction", error)
    }

    /// Queues a record; waits only where librdkafka's queue is full.
    pub fn send(&mut self, record: &Send<'_>, deadline: Instant) -> Result<(), Error> {
        loop {
            let code = self.enqueue(record);
            match code {
                RespErr::RD_KAFKA_RESP_ERR_NO_ERROR => return Ok(()),
                RespErr::RD_KAFKA_RESP_ERR__QUEUE_FULL if Instant::now() < deadline => {
                    // SAFETY: the client is live; this serves delivery reports, which makes room.
                    unsafe { rd::rd_kafka_poll(self.native(), 10) };
                }
                code => {
                    let code = Code::from(code);
                    let reaction = if reaction_of(code) == Reaction::Retry { Reaction::Abort } else { reaction_of(code) };
                    return Err(Error::new(reaction, format!("sending a record: {code}")));
                }
            }
        }
    }

    fn enqueue(&self, record: &Send<'_>) -> RespErr {
        use rd::rd_kafka_vtype_t::{
            RD_KAFKA_VTYPE_END, RD_KAFKA_VTYPE_HEADERS, RD_KAFKA_VTYPE_KEY, RD_KAFKA_VTYPE_MSGFLAGS, RD_KAFKA_VTYPE_PARTITION,
            RD_KAFKA_VTYPE_RKT, RD_KAFKA_VTYPE_VALUE,
        };
        let part = |bytes: Option<&[u8]>| match bytes {
            Some(bytes) => (bytes.as_ptr().cast::<c_void>().cast_mut(), bytes.len()),
            None => (std::ptr::null_mut(), 0),
        };
        let (key, key_length) = part(record.key);
        let (value, value_length) = part(record.value);
        let headers = if record.headers.is_empty() {
            std::ptr::null_mut()
        } else {
            // SAFETY: sizes are given, so the strings need no end; librdkafka copies both.
            unsafe {
                let headers = rd::rd_kafka_headers_new(record.headers.len());
                for (name, value) in record.headers {
                    let (name_length, value_length) = (name.len() as isize, value.len() as isize);
                    rd::rd_kafka_header_add(headers, name.as_ptr().cast(), name_length, value.as_ptr().cast(), value_length);
                }
                headers
            }
        };
        // SAFETY: every argument follows its tag with the type that rdkafka.h names for it; F_COPY makes librdkafka copy key
        // and value before it returns; on success it owns the headers.
        unsafe {
            let code = rd::rd_kafka_producev(
                self.native(),
                RD_KAFKA_VTYPE_RKT,
                self.topics[record.topic],
                RD_KAFKA_VTYPE_PARTITION,
                record.partition.map_or(-1, |partition| partition as c_int),
                RD_KAFKA_VTYPE_MSGFLAGS,
                rd::RD_KAFKA_MSG_F_COPY as c_int,
                RD_KAFKA_VTYPE_KEY,
                key,
                key_length,
                RD_KAFKA_VTYPE_VALUE,
                value,
                value_length,
                RD_KAFKA_VTYPE_HEADERS,
                headers,
                RD_KAFKA_VTYPE_END,
            );
            if code != RespErr::RD_KAFKA_RESP_ERR_NO_ERROR && !headers.is_null() {
                rd::rd_kafka_headers_destroy(headers);
            }
            code
        }
    }

    /// Puts the offsets into the transaction: a member of an old generation is refused. So every transaction carries
    /// offsets, even one that read nothing.
    pub fn send_offsets(&mut self, offsets: &Offsets, deadline: Instant) -> Result<(), Error> {
        self.repeat("send_offsets_to_transaction", deadline, |rk, millis| {
            // SAFETY: list and membership outlive the call.
            unsafe { rd::rd_kafka_send_offsets_to_transaction(rk, offsets.list.ptr(), offsets.membership.pointer(), millis) }
        })
    }

    /// Flushes and commits. An error other than `Retry` (which is never returned) leaves the outcome to `abort`.
    pub fn commit(&mut self, deadline: Instant) -> Result<(), Error> {
        // SAFETY: the client is live.
        let result =
            self.repeat("commit_transaction", deadline, |rk, millis| unsafe { rd::rd_kafka_commit_transaction(rk, millis) });
        match (result, *self.client.context().failed.lock().unwrap_or_else(|poisoned| poisoned.into_inner())) {
            (Err(error), Some(code)) => Err(Error::new(error.reaction, format!("{error} (a record was not delivered: {code})"))),
            (result, _) => result,
        }
    }

    /// Ends the transaction without effect. After an error of its own the producer is spoiled, and its successor's start
    /// aborts what this one left open.
    pub fn abort(&mut self, deadline: Instant) {
        if self.spoiled {
            return;
        }
        // SAFETY: the client is live.
        let aborted =
            self.repeat("abort_transaction", deadline, |rk, millis| unsafe { rd::rd_kafka_abort_transaction(rk, millis) });
        if let Err(error) = aborted {
            tracing::warn!("{error}; the producer is replaced");
            self.spoiled = true;
        }
    }

    /// Calls until it succeeds, fails for good or the deadline passes.
    fn repeat(
        &mut self,
        doing: &str,
        deadline: Instant,
        call: impl Fn(*mut rd::rd_kafka_t, c_int) -> *mut rd::rd_kafka_error_t,
    ) -> Result<(), Error> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now()).min(CALL).max(Duration::from_millis(1));
            match self.check(doing, call(self.native(), left.as_millis() as c_int)) {
                Err(error) if error.reaction == Reaction::Retry => {
                    if Instant::now() >= deadline {
                        self.spoiled = true;
                        return Err(Error::new(Reaction::Abort, format!("{error}; the time for it is over")));
                    }
                    tracing::debug!("{error}; again");
                    std::thread::sleep(Duration::from_millis(5));
                }
                result => return result,
            }
        }
    }

    /// Takes librdkafka's error object apart.
    fn check(&mut self, doing: &str, error: *mut rd::rd_kafka_error_t) -> Result<(), Error> {
        if error.is_null() {
            return Ok(());
        }
        // SAFETY: not null, so an error object, ours to destroy; its text is copied before that.
        let (code, fatal, retriable, text) = unsafe {
            let code = Code::from(rd::rd_kafka_error_code(error));
            let fatal = rd::rd_kafka_error_is_fatal(error) != 0;
            let retriable = rd::rd_kafka_error_is_retriable(error) != 0;
            let text = CStr::from_ptr(rd::rd_kafka_error_string(error)).to_string_lossy().into_owned();
            rd::rd_kafka_error_destroy(error);
            (code, fatal, retriable, text)
        };
        let timeout = matches!(code, Code::OperationTimedOut | Code::MessageTimedOut | Code::RequestTimedOut);
        if fatal || timeout {
            self.spoiled = true;
        }
        let cause = match (fatal, self.client.fatal_error()) {
            (true, Some((cause, _))) => cause,
            _ => code,
        };
        let reaction = match reaction_of(cause) {
            Reaction::Retry if retriable && !fatal => Reaction::Retry,
            Reaction::Retry => Reaction::Abort,
            reaction => reaction,
        };
        Err(Error::new(reaction, format!("{doing}: {text} ({cause})")))
    }

    fn native(&self) -> *mut rd::rd_kafka_t {
        self.client.native_ptr()
    }
}

impl Drop for Producer {
    fn drop(&mut self) {
        // SAFETY: the client outlives this call; handles are destroyed once, before it. What is still queued belongs to a
        // transaction that is void: purged, or librdkafka would leak it.
        unsafe {
            rd::rd_kafka_purge(self.native(), (rd::RD_KAFKA_PURGE_F_QUEUE | rd::RD_KAFKA_PURGE_F_INFLIGHT) as c_int);
            rd::rd_kafka_flush(self.native(), 500);
            for topic in self.topics.drain(..) {
                rd::rd_kafka_topic_destroy(topic);
            }
        }
    }
}
