//! What delivery writes to Kafka: receipts, dead letters, what it has sent, alerts of its own. Each until the brokers have it.

use crate::codec::{DeadLetter, dead_letter};
use crate::delivery::book::Write;
use crate::delivery::settlement::{Command, OWN_SERVICE, Settlement};
use crate::delivery::{Record, Settings};
use crate::kafka::{Appender, Reaction};
use crate::metrics as names;
use metrics::counter;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;

/// Of one append; it is repeated until it succeeds.
const APPEND: Duration = Duration::from_secs(10);
const AGAIN: Duration = Duration::from_millis(500);

pub struct Pen {
    settings: Arc<Settings>,
    appender: Appender,
}

impl Pen {
    pub fn new(settings: Arc<Settings>, appender: Appender) -> Pen {
        Pen { settings, appender }
    }

    /// In this order, each before the next: a kill between them repeats, and loses nothing.
    pub async fn settle(&self, settlement: Settlement) {
        if let Some(thread) = settlement.thread {
            self.remember(thread).await;
        }
        for command in &settlement.commands {
            self.command(command).await;
        }
        if let Some(reason) = &settlement.dead_letter {
            self.dead_letter(&settlement.record, reason).await;
        }
        self.remember(settlement.sent).await;
    }

    /// At home with the incident, where `commands` is cut like the shards; else whoever reads it forwards it there.
    async fn command(&self, command: &Command) {
        let home = u32::from(command.incident.partition);
        let partition = Some(home).filter(|home| self.settings.commands_at_home && *home < self.settings.shards);
        let key = command.incident.to_string();
        let value = command.value.to_string();
        self.append(&self.settings.names.commands, partition, Some(key.as_bytes()), Some(value.as_bytes()), &[]).await;
    }

    /// An action that was not delivered, or a record that is none.
    pub async fn dead_letter(&self, record: &Record, reason: &str) {
        let letter = DeadLetter {
            topic: self.settings.topic(record.slot.topic),
            partition: record.slot.partition,
            offset: record.offset,
            index: 0,
            stage: "delivery",
            reason,
            key: record.key.as_deref(),
            value: record.value.as_deref(),
            headers: &record.headers,
        };
        let out = dead_letter(&letter, &self.settings.codec);
        let headers: Vec<_> = out.headers.iter().map(|(name, value)| (name.as_str(), value.as_slice())).collect();
        self.append(&self.settings.names.dead_letters, None, out.key.as_deref(), out.value.as_deref(), &headers).await;
        counter!(names::DEAD_LETTERS, "stage" => "delivery").increment(1);
    }

    pub async fn remember(&self, write: Write) {
        let topic = &self.settings.names.delivery;
        self.append(topic, Some(write.partition), Some(write.key.as_bytes()), write.value.as_deref(), &[]).await;
    }

    pub async fn alert(&self, alert: &Value) {
        let value = alert.to_string();
        let key = Some(OWN_SERVICE.as_bytes());
        self.append(&self.settings.names.alerts, None, key, Some(value.as_bytes()), &[]).await;
    }

    async fn append(
        &self,
        topic: &str,
        partition: Option<u32>,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: &[(&str, &[u8])],
    ) {
        loop {
            match self.appender.append(topic, partition, key, value, headers, APPEND).await {
                Ok(_) => return,
                Err(error) if error.reaction == Reaction::Fatal => {
                    // It would never be taken: everything after it, and its offset, would wait for it.
                    tracing::error!(topic, key = key.map(String::from_utf8_lossy).as_deref(), "{error}; it is left out");
                    return;
                }
                Err(error) => tracing::warn!(topic, "{error}; again"),
            }
            tokio::time::sleep(AGAIN).await;
        }
    }
}
