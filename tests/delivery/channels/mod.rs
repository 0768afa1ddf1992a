//! The channels against receivers that are not ours: official clients and validators, a real mail server, and receivers that
//! misbehave by a script.

mod counterparts;
pub mod email;
mod http;
mod officials;
pub mod receiver;
mod secrets;
mod ssrf;
pub mod tls;

use incidentd::config::{Config, Delivery};
use incidentd::delivery::channel::{Channels, Kind, Message, Sent, Target};
use serde_json::{Value, json};
use std::sync::Arc;

const ACTION: &str = "act_00112233445566778899aabbccddeeff";
const INCIDENT: &str = "inc_00030123456789abcdef";
const PUBLIC_URL: &str = "https://incidents.example.com";

/// The settings of `[delivery]` and its tables, `timeout` short.
fn settings(text: &str) -> Delivery {
    let timeout = if text.contains("timeout") { "" } else { "timeout = \"1s\"\n" };
    Config::parse(&format!("[delivery]\n{timeout}{text}"), std::iter::empty()).unwrap().delivery
}

fn channels(text: &str) -> Channels {
    Channels::new(&settings(text), Some(PUBLIC_URL)).unwrap()
}

fn message(channel: &str, config: Value) -> Message {
    let Value::Object(config) = config else { panic!("a map") };
    let record = json!({
        "id": ACTION, "kind": "notification", "incident_id": INCIDENT, "rule": "critical-production", "event": "triggered",
        "created_at": "2026-03-01T09:00:02.500Z",
        "channel": {"type": channel, "config": config},
        "incident": {
            "id": INCIDENT, "title": "Latency <high> & rising: Задержка", "description": "p95 is 7.5 s\nsince 09:00",
            "severity": "critical", "category": "model_performance", "service_id": "llm-gateway", "environment": "production",
            "status": "triggered", "triggered_at": "2026-03-01T09:00:00.000Z", "labels": {"model_id": "gpt-4"},
            "metadata": {
                "current_value": 7.5, "threshold": 5, "unit": "s", "dashboard_url": "https://grafana.example.com/d/1",
                "runbook_url": "https://wiki.example.com/latency"
            },
            "timeline": [], "occurrence_count": 3,
        },
    });
    Message {
        action_id: ACTION.to_owned(),
        kind: Kind::Notification,
        event: "triggered".to_owned(),
        record: Arc::new(record),
        target: Target { channel: channel.to_owned(), config },
        test: false,
        note: None,
    }
}

#[track_caller]
fn delivered(sent: &Sent) {
    assert!(matches!(sent, Sent::Delivered { .. }), "{sent:?}");
}

#[track_caller]
fn refused(sent: &Sent, words: &str) {
    assert!(matches!(sent, Sent::Refused { why } if why.contains(words)), "{words:?} in {sent:?}");
}

#[track_caller]
fn again(sent: &Sent, words: &str) {
    assert!(matches!(sent, Sent::Again { why, .. } if why.contains(words)), "{words:?} in {sent:?}");
}
