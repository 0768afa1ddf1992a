//! A broker inside the process, for `demo` and for tests of error paths: librdkafka's mock cluster.
//!
//! It keeps 5 MiB a partition and takes transactions without honouring them: no exactly-once is proved on it.

use crate::config;
use crate::kafka::client::{Clients, Invalid};
use crate::kafka::error::Error;
use crate::kafka::names::Names;
use crate::kafka::topics;
use rdkafka::mocking::MockCluster;
use std::collections::BTreeMap;
use std::sync::mpsc;
use std::thread::JoinHandle;

/// Runs until dropped.
pub struct Embedded {
    servers: String,
    /// Closing it ends the thread.
    stop: Option<mpsc::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Embedded {
    /// Starts it with every topic made.
    pub fn start(topics: &config::Topics) -> Result<Embedded, Error> {
        let wanted: Vec<(String, u32)> =
            topics::wanted(topics, &Names::new(topics)).into_iter().map(|topic| (topic.name, topic.partitions)).collect();
        let (stop, stopped) = mpsc::channel::<()>();
        let (started, servers) = mpsc::channel();
        // The crate's cluster may not leave its thread.
        let thread = std::thread::Builder::new()
            .name("embedded-kafka".to_owned())
            .spawn(move || match make(&wanted) {
                Ok(cluster) => {
                    let _ = started.send(Ok(cluster.bootstrap_servers()));
                    // Ends when the sender is dropped.
                    let _ = stopped.recv();
                }
                Err(error) => {
                    let _ = started.send(Err(error));
                }
            })
            .map_err(|error| Error::fatal(format!("starting the embedded broker's thread: {error}")))?;
        let servers = servers.recv().map_err(|_| Error::fatal("the embedded broker's thread ended"))??;
        Ok(Embedded { servers, stop: Some(stop), thread: Some(thread) })
    }

    /// The clients for it: `kafka` is the user's table, whose brokers it takes the place of.
    pub fn clients(&self, kafka: &BTreeMap<String, String>, nonce: u64) -> Result<Clients, Invalid> {
        let mut kafka = kafka.clone();
        kafka.insert("bootstrap.servers".to_owned(), self.servers.clone());
        // It sits a fetch on an empty partition out to its end, whatever comes meanwhile.
        kafka.insert("fetch.wait.max.ms".to_owned(), "10".to_owned());
        Ok(Clients::new(&kafka, nonce)?.for_embedded())
    }
}

fn make(wanted: &[(String, u32)]) -> Result<MockCluster<'static, rdkafka::producer::DefaultProducerContext>, Error> {
    let cluster = MockCluster::new(1).map_err(|error| Error::from_kafka("starting the embedded broker", &error))?;
    for (name, partitions) in wanted {
        cluster
            .create_topic(name, *partitions as i32, 1)
            .map_err(|error| Error::from_kafka(&format!("creating `{name}`"), &error))?;
    }
    Ok(cluster)
}

impl Drop for Embedded {
    fn drop(&mut self) {
        self.stop.take();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
