//! `explain` on a live cluster: the records of one incident, found at the home partition that its id names.

use crate::app::Failure;
use crate::config::Config;
use crate::explain::{Evidence, Story};
use crate::kafka::restore::{self, Target};
use crate::kafka::{Batch, Clients, Error, Names, Observer, Reader};
use crate::model::{IncidentId, Topic, home::home};
use crate::worker::topic_name;
use std::time::{Duration, Instant};

const BATCH: usize = 1_000;
/// Of one question to the brokers.
const ASK: Duration = Duration::from_secs(10);

/// A partition that was looked through.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Looked {
    /// As the cluster calls it.
    pub topic: String,
    pub partition: u32,
    pub records: u64,
    /// The time was over before its end, or it could not be read.
    pub cut: Option<String>,
}

/// Everything that the cluster has of an incident, in at most about `patience`.
pub fn explain(config: &Config, id: IncidentId, patience: Duration) -> Result<(Option<Story>, Vec<Looked>), Failure> {
    let (shard, shards) = (u32::from(id.partition), config.topics.partitions);
    if shard >= shards {
        let text = format!("{id}: there is no such incident: it names the shard {shard}, and topics.partitions is {shards}");
        return Err(Failure::Wrong(text));
    }
    let clients = Clients::new(&config.kafka, rand::random())?;
    let search = Search {
        observer: Observer::new(&clients)?,
        clients,
        names: Names::new(&config.topics),
        deadline: Instant::now() + patience,
    };
    let (mut evidence, mut looked) = (Evidence::default(), Vec::new());
    for topic in [Topic::Incidents, Topic::Decisions] {
        looked.push(search.look(topic, shard, id, &mut evidence)?);
    }
    // Who was told stands in the actions; without them it is told how many there were.
    if let Some(service_id) = evidence.service_id().map(str::to_owned) {
        let partition = home(service_id.as_bytes(), config.topics.action_partitions);
        for topic in [Topic::Notifications, Topic::Escalations, Topic::Remediations] {
            let found = search.look(topic, partition, id, &mut evidence);
            looked.push(found.unwrap_or_else(|error| Looked {
                topic: topic_name(&search.names, topic).to_owned(),
                partition,
                records: 0,
                cut: Some(error.what),
            }));
        }
    }
    Ok((evidence.explain(id), looked))
}

struct Search {
    clients: Clients,
    observer: Observer,
    names: Names,
    deadline: Instant,
}

impl Search {
    /// Reads what was committed, up to the end that the partition has now.
    fn look(&self, topic: Topic, partition: u32, id: IncidentId, evidence: &mut Evidence) -> Result<Looked, Error> {
        let name = topic_name(&self.names, topic).to_owned();
        let place = [(name.as_str(), partition)];
        let (from, until) = (self.observer.beginnings(&place, ASK)?, self.observer.ends(&place, ASK)?);
        let target = Target { partition, from: from[0], until: until[0] };
        let mut reader = Reader::new(&self.clients.reader(), vec![name.clone()])?;
        let mut batch = Batch::new(BATCH);
        let mut records = 0;
        let whole = restore::run(
            &mut reader,
            &mut batch,
            &[target],
            Duration::MAX,
            &mut |_, key, value| {
                records += 1;
                evidence.take(id, topic, key, value);
                Ok(())
            },
            &mut || Ok(Instant::now() < self.deadline),
        )?;
        batch.clear();
        let cut = (!whole).then(|| "the time was over before its end (--timeout)".to_owned());
        Ok(Looked { topic: name, partition, records, cut })
    }
}
