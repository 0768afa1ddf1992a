//! Appends alerts to their topic, each keyed by its service, many under way at a time and in order.

use crate::app::Failure;
use crate::codec::{AlertRecord, Item, read_alerts};
use crate::config::Config;
use crate::kafka::{self, Appender, Clients, Names};
use crate::model::{Origin, Time, Topic};
use crate::settings;
use serde::Deserialize;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(30);
/// Records under way.
const WINDOW: usize = 1_000;

/// Where a record came to stand.
pub struct Sent {
    pub topic: String,
    pub partition: u32,
    pub offset: i64,
    pub key: Option<String>,
}

/// Refuses what would end in `dead-letters`, and says why: one line for each alert.
pub fn check_alerts(config: &Config, alerts: &[String]) -> Result<(), Failure> {
    let settings = settings::codec(config);
    let mut wrong = Vec::new();
    for (at, alert) in alerts.iter().enumerate() {
        let origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };
        let record = AlertRecord { origin, time: Time(0), value: Some(alert.as_bytes()), form: None };
        read_alerts(&record, &settings, &mut |item| {
            if let Item::Rejected { reason, .. } = item {
                wrong.push(format!("alert {}: {reason}", at + 1));
            }
        });
    }
    if wrong.is_empty() {
        return Ok(());
    }
    wrong.push("nothing was sent; --unchecked sends them all the same, to see them in dead-letters".to_owned());
    Err(Failure::Wrong(wrong.join("\n")))
}

/// Sends all, tells of each as it is acknowledged, in order, and returns how many there were.
pub fn send(config: &Config, alerts: Vec<String>, mut tell: impl FnMut(Sent) -> Result<(), Failure>) -> Result<usize, Failure> {
    let clients = Clients::new(&config.kafka, rand::random())?;
    let appender = Appender::new(&clients)?;
    let topic: Arc<str> = Names::new(&config.topics).alerts.into();
    // One thread: tasks begin in the order in which they are spawned, and so stand the records.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(super::run::no_runtime)?;
    runtime.block_on(async {
        let mut under_way = VecDeque::new();
        let mut count = 0;
        let mut alerts = alerts.into_iter();
        loop {
            while under_way.len() < WINDOW
                && let Some(alert) = alerts.next()
            {
                under_way.push_back(tokio::spawn(append(appender.clone(), Arc::clone(&topic), alert)));
            }
            let Some(next) = under_way.pop_front() else { return Ok(count) };
            let sent = next.await.map_err(|error| Failure::Wrong(format!("sending broke off: {error}")))?;
            tell(sent.map_err(|error| Failure::Wrong(format!("after {count} records: {error}")))?)?;
            count += 1;
        }
    })
}

async fn append(appender: Appender, topic: Arc<str>, alert: String) -> Result<Sent, kafka::Error> {
    let key = service_of(&alert);
    let stands = appender.append(&topic, None, key.as_deref().map(str::as_bytes), Some(alert.as_bytes()), &[], TIMEOUT).await?;
    Ok(Sent { topic: topic.to_string(), partition: stands.partition, offset: stands.offset, key })
}

/// Without one (an Alertmanager body) the record has no key, and incidentd forwards its alerts to their homes.
fn service_of(alert: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Keyed {
        service_id: String,
    }
    serde_json::from_str::<Keyed>(alert).ok().map(|keyed| keyed.service_id).filter(|service| !service.is_empty())
}
