//! A dead man's switch: a URL outside is called as long as delivery works, and raises the alarm when the calls stop.

use crate::config::Heartbeat;
use crate::delivery::channel::{Channels, Kind, Message, Sent, Target};
use crate::delivery::health::Pulse;
use crate::metrics as names;
use metrics::counter;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;

/// Until told to stop. A call that fails is not repeated: the next one says the same.
pub async fn run(heartbeat: Heartbeat, channels: Arc<Channels>, pulse: Arc<Pulse>) {
    let Some(url) = heartbeat.url else { return };
    let mut tick = tokio::time::interval(Duration::from_millis(heartbeat.interval.max(1_000).unsigned_abs()));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for beat in 1_u64.. {
        tick.tick().await;
        if pulse.stopping() {
            return;
        }
        // Silence is the message: what is not ready does not call.
        if !pulse.ready() {
            counter!(names::HEARTBEATS, "outcome" => "withheld").increment(1);
            continue;
        }
        let message = Message {
            action_id: format!("heartbeat_{beat}"),
            kind: Kind::Notification,
            event: "heartbeat".to_owned(),
            record: Arc::new(json!({ "kind": "heartbeat", "beat": beat })),
            target: Target { channel: "webhook".to_owned(), config: [("url".to_owned(), json!(url))].into_iter().collect() },
            test: false,
            note: None,
        };
        let outcome = match channels.send(&message, None).await {
            Sent::Delivered { .. } => "sent",
            Sent::Again { why, .. } | Sent::Refused { why } => {
                tracing::warn!("the heartbeat (delivery.heartbeat.url) is not heard: {why}");
                "failed"
            }
        };
        counter!(names::HEARTBEATS, "outcome" => outcome).increment(1);
    }
}
