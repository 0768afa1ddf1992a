//! Appends single records, without transactions: what people and programs hand in (`send`, the API, the demo).

use crate::kafka::client::{Clients, Context};
use crate::kafka::error::Error;
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer};
use rdkafka::types::RDKafkaErrorCode as Code;
use std::time::{Duration, Instant};

/// An idempotent producer; cheap to clone, all clones are one.
#[derive(Clone)]
pub struct Appender {
    producer: FutureProducer<Context>,
}

/// Where a record came to stand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Appended {
    pub partition: u32,
    pub offset: i64,
}

impl Appender {
    pub fn new(clients: &Clients) -> Result<Appender, Error> {
        let producer =
            clients.appender().create_with_context(Context).map_err(|error| Error::from_kafka("creating a producer", &error))?;
        Ok(Appender { producer })
    }

    /// One that forgets a record that no broker took within `patience`: what its sender was told has failed should not come
    /// minutes later.
    pub fn impatient(clients: &Clients, patience: Duration) -> Result<Appender, Error> {
        let mut config = clients.appender();
        config.set("message.timeout.ms", patience.as_millis().to_string());
        let producer = config.create_with_context(Context).map_err(|error| Error::from_kafka("creating a producer", &error))?;
        Ok(Appender { producer })
    }

    /// Returns once every in-sync replica has the record, or with an error within about `timeout`. `partition`: `None` for
    /// the key's own.
    pub async fn append(
        &self,
        topic: &str,
        partition: Option<u32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
        timeout: Duration,
    ) -> Result<Appended, Error> {
        let doing = "appending a record";
        let deadline = Instant::now() + timeout;
        let mut record: FutureRecord<'_, [u8], [u8]> = FutureRecord::to(topic);
        record.partition = partition.map(|partition| partition as i32);
        record.key = key;
        record.payload = value;
        if !headers.is_empty() {
            record.headers = Some(
                headers.iter().fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(*value) })),
            );
        }
        let sent = tokio::time::timeout(timeout, self.producer.send(record, timeout)).await;
        match sent {
            Ok(Ok(delivery)) => {
                Ok(Appended { partition: u32::try_from(delivery.partition).unwrap_or_default(), offset: delivery.offset })
            }
            Ok(Err((error, _))) => Err(Error::from_kafka(doing, &error)),
            Err(_) => {
                debug_assert!(Instant::now() >= deadline);
                Err(Error::from_kafka(doing, &KafkaError::MessageProduction(Code::MessageTimedOut)))
            }
        }
    }

    /// Waits until what was queued is delivered.
    pub fn flush(&self, timeout: Duration) -> Result<(), Error> {
        self.producer.flush(timeout).map_err(|error| Error::from_kafka("flushing", &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::error::Reaction;
    use std::collections::BTreeMap;

    /// Port 1 is nobody's.
    #[tokio::test]
    async fn without_a_broker_the_impatient_one_gives_up_in_time() {
        let kafka = BTreeMap::from([("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())]);
        let clients = Clients::new(&kafka, 1).expect("a client needs no broker");
        let appender = Appender::impatient(&clients, Duration::from_millis(700)).expect("a producer");
        let began = Instant::now();
        let sent = appender.append("alerts", Some(0), None, Some(b"{}"), &[], Duration::from_secs(2)).await;
        assert_eq!(sent.map_err(|error| (error.reaction, error.is_too_large)), Err((Reaction::Retry, false)));
        assert!(began.elapsed() < Duration::from_secs(2), "{:?}", began.elapsed());
    }

    #[tokio::test]
    async fn what_is_too_large_says_so() {
        let kafka = BTreeMap::from([("bootstrap.servers".to_owned(), "127.0.0.1:1".to_owned())]);
        let clients = Clients::new(&kafka, 1).expect("a client needs no broker");
        let appender = Appender::new(&clients).expect("a producer");
        let sent = appender.append("alerts", Some(0), None, Some(&[b' '; 6 << 20]), &[], Duration::from_secs(2)).await;
        assert!(sent.is_err_and(|error| error.is_too_large));
    }
}
