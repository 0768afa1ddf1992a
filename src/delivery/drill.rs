//! A test page through one rule's own targets, without Kafka: what becomes of it is shown, not remembered. No fallback stands in, for
//! it is the target that is tried.

use crate::codec::read_posted;
use crate::config::Executor;
use crate::delivery::channel::{Channels, Kind, Message, Sent};
use crate::delivery::expand::legs;
use crate::delivery::lane::ATTEMPTS;
use serde_json::Value;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// What became of one target.
#[derive(Clone, Debug)]
pub struct Drilled {
    pub channel: String,
    pub target: String,
    pub delivered: bool,
    pub attempts: u32,
    /// What the receiver said, or why it did not arrive.
    pub detail: String,
    pub took: Duration,
}

/// Sends `action`, a record of `notifications` or `escalations`, marked TEST. `send` false: only says whom it would go to.
pub async fn drill(channels: &Channels, action: &[u8], send: bool) -> Result<Vec<Drilled>, String> {
    let posted = read_posted(Some(action))?;
    let record: Arc<Value> = Arc::new(serde_json::from_slice(action).map_err(|error| error.to_string())?);
    let kind = if record["kind"] == "escalation" { Kind::Escalation } else { Kind::Notification };
    let mut drilled = Vec::new();
    for leg in legs(&posted, &Executor::default()) {
        let began = Instant::now();
        let message = Message {
            action_id: posted.id.0.clone(),
            kind,
            event: posted.event.name().to_owned(),
            record: Arc::clone(&record),
            target: leg.target,
            test: true,
            note: None,
        };
        let (attempts, result) = match leg.unreachable {
            Some(why) => (0, Err(why)),
            None if !send => (0, Err("not sent".to_owned())),
            None => attempt(channels, &message).await,
        };
        let delivered = result.is_ok();
        let detail = result.unwrap_or_else(|why| why);
        let channel = message.target.channel;
        drilled.push(Drilled { channel, target: leg.label, delivered, attempts, detail, took: began.elapsed() });
    }
    Ok(drilled)
}

async fn attempt(channels: &Channels, message: &Message) -> (u32, Result<String, String>) {
    let mut last = String::new();
    for attempt in 1..=ATTEMPTS {
        match channels.send(message, None).await {
            Sent::Delivered { detail, .. } => return (attempt, Ok(detail)),
            Sent::Refused { why } => return (attempt, Err(why)),
            Sent::Again { why, .. } => last = why,
        }
        if attempt < ATTEMPTS {
            tokio::time::sleep(Duration::from_secs(u64::from(attempt))).await;
        }
    }
    (ATTEMPTS, Err(last))
}
