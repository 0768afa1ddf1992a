//! A message for the unit tests, with everything that channels show.

use crate::delivery::channel::message::{Kind, Message, Target};
use serde_json::{Value, json};
use std::sync::Arc;

pub fn message(channel: &str, config: Value) -> Message {
    let Value::Object(config) = config else { panic!("a map") };
    let record = json!({
        "id": "act_00112233445566778899aabbccddeeff",
        "kind": "notification",
        "incident_id": "inc_00030123456789abcdef",
        "rule": "critical-production",
        "event": "triggered",
        "created_at": "2026-03-01T09:00:02.500Z",
        "channel": {"type": channel, "config": config},
        "incident": {
            "id": "inc_00030123456789abcdef",
            "title": "Latency <high> & rising",
            "description": "p95 is 7.5 s",
            "severity": "critical",
            "category": "model_performance",
            "service_id": "llm-gateway",
            "environment": "production",
            "status": "triggered",
            "triggered_at": "2026-03-01T09:00:00.000Z",
            "labels": {"model_id": "gpt-4"},
            "metadata": {
                "current_value": 7.5, "threshold": 5.0, "unit": "s",
                "dashboard_url": "https://grafana.example.com/d/1?a=1&b=2", "runbook_url": "https://wiki.example.com/latency"
            },
            "timeline": [],
            "occurrence_count": 3,
        },
    });
    Message {
        action_id: "act_00112233445566778899aabbccddeeff".to_owned(),
        kind: Kind::Notification,
        event: "triggered".to_owned(),
        record: Arc::new(record),
        target: Target { channel: channel.to_owned(), config },
        test: false,
        note: None,
    }
}

pub fn record(message: &mut Message) -> &mut Value {
    Arc::make_mut(&mut message.record)
}

pub fn incident(message: &mut Message) -> &mut Value {
    &mut record(message)["incident"]
}
