//! What stands in Slack's message, by event and kind.

use super::*;
use crate::delivery::channel::sample;

const PAGE: &str = "https://incidents.example.com/incidents/inc_00030123456789abcdef";

fn thread() -> Thread {
    Thread { channel: "C01OPS".to_owned(), ts: "1772355600.000100".to_owned() }
}

#[test]
fn the_seeds_message_entire() {
    let message = sample::message("slack", json!({}));
    let field = |title: &str, value: &str| json!({"title": title, "value": value, "short": true});
    assert_eq!(
        of(&message, "#ops", Some("@oncall"), None, Some(PAGE)),
        json!({
            "channel": "#ops",
            "text": "@oncall 🔴 *CRITICAL* - Latency &lt;high&gt; &amp; rising",
            "link_names": true, "unfurl_links": false, "unfurl_media": false,
            "attachments": [{
                "color": "#FF0000",
                "fields": [
                    field("Service", "llm-gateway"), field("Environment", "production"), field("Status", "triggered"),
                    field("Triggered", "<!date^1772355600^{date_short_pretty} at {time}|2026-03-01T09:00:00.000Z>"),
                    field("Model", "gpt-4"), field("Current / Threshold", "7.5 / 5 s"),
                ],
                "text": "p95 is 7.5 s",
                "footer": "Incident ID: inc_00030123456789abcdef",
                "actions": [
                    {"type": "button", "text": "Acknowledge", "url": PAGE, "style": "primary"},
                    {"type": "button", "text": "View Dashboard", "url": "https://grafana.example.com/d/1?a=1&b=2"},
                    {"type": "button", "text": "Runbook", "url": "https://wiki.example.com/latency"},
                ],
            }],
        })
    );
}

#[test]
fn buttons_without_a_url_are_left_out() {
    let mut message = sample::message("slack", json!({}));
    sample::incident(&mut message)["metadata"] = json!({"dashboard_url": "#", "runbook_url": "javascript:alert(1)"});
    let body = of(&message, "#ops", None, None, None);
    assert_eq!(body["attachments"][0].get("actions"), None);
    assert_eq!(body["text"], "🔴 *CRITICAL* - Latency &lt;high&gt; &amp; rising");
}

#[test]
fn what_is_over_is_green_calls_nobody_and_has_no_acknowledge() {
    let mut message = sample::message("slack", json!({}));
    message.event = "resolved".to_owned();
    let incident = sample::incident(&mut message);
    incident["status"] = json!("resolved");
    incident["resolution"] = json!("rolled back");
    let body = of(&message, "#ops", Some("@here"), None, Some(PAGE));
    assert_eq!(body["text"], "✅ *RESOLVED* - Latency &lt;high&gt; &amp; rising");
    assert_eq!(body["attachments"][0]["color"], "#2EB67D");
    assert_eq!(body["attachments"][0]["actions"][0]["text"], "View Incident");
    assert_eq!(body["attachments"][0]["text"], "resolved: rolled back\np95 is 7.5 s");
}

#[test]
fn in_a_thread_an_update_is_a_line_and_a_page_is_shown_outside_too() {
    let mut message = sample::message("slack", json!({}));
    message.kind = Kind::Update;
    message.event = "acknowledged".to_owned();
    sample::record(&mut message)["entry"] = json!({"event": "acknowledged", "user": "alice", "details": {"note": "<on it>"}});
    let body = of(&message, "#ops", Some("@here"), Some(&thread()), Some(PAGE));
    assert_eq!(body["text"], "👀 acknowledged by alice: &lt;on it&gt;");
    assert_eq!((&body["channel"], &body["thread_ts"]), (&json!("C01OPS"), &json!("1772355600.000100")));
    assert_eq!((body.get("attachments"), body.get("reply_broadcast")), (None, None));

    message.kind = Kind::Notification;
    message.event = "reopened".to_owned();
    let body = of(&message, "#ops", Some("@here"), Some(&thread()), Some(PAGE));
    assert_eq!(body["text"], "<!here> 🔴 *CRITICAL* - Latency &lt;high&gt; &amp; rising (reopened by alice: &lt;on it&gt;)");
    assert_eq!(body["reply_broadcast"], true);
    assert_eq!(body["attachments"][0]["color"], "#FF0000");
}

#[test]
fn a_drill_and_a_fallback_say_so() {
    let mut message = sample::message("slack", json!({}));
    message.test = true;
    message.note = Some("Primary channel (email) failed: answered 550".to_owned());
    let body = of(&message, "#ops", None, None, None);
    assert!(body["text"].as_str().unwrap().starts_with("[TEST] 🔴"));
    assert_eq!(body["attachments"][0]["text"], "Primary channel (email) failed: answered 550\np95 is 7.5 s");
}

#[test]
fn a_digest_lists_its_incidents_and_counts_the_rest() {
    let mut message = sample::message("slack", json!({}));
    let one = |n: u32, severity: &str| json!({"id": format!("inc_{n}"), "title": "a <b>", "severity": severity, "status": "triggered", "service_id": "s", "occurrence_count": n});
    let record = sample::record(&mut message);
    record["incidents"] = (1..=30).map(|n| one(n, if n == 30 { "high" } else { "low" })).collect();
    record["more"] = json!(7);
    let body = of(&message, "#ops", None, None, Some(PAGE));
    assert_eq!(body["text"], "🟠 *DIGEST* - 37 incidents: 1 high, 29 low, 7 not listed");
    let lines: Vec<&str> = body["attachments"][0]["text"].as_str().unwrap().lines().collect();
    assert_eq!(lines[0], "🔵 a &lt;b&gt; (s, triggered) `inc_1`");
    assert_eq!(lines[1], "🔵 a &lt;b&gt; (s, triggered, ×2) `inc_2`");
    assert_eq!((lines.len(), lines[25]), (26, "… and 12 more"));
}

#[test]
fn whatever_the_lengths_slack_can_take_it() {
    let mut message = sample::message("slack", json!({}));
    let long = "<&>\n".repeat(20_000);
    let incident = sample::incident(&mut message);
    for field in ["title", "description", "service_id", "id", "environment"] {
        incident[field] = json!(long);
    }
    incident["metadata"] = json!({"dashboard_url": format!("https://x.org/{long}"), "current_value": long, "threshold": long});
    let body = of(&message, "#ops", Some("@here"), None, Some(PAGE));
    let characters = |value: &Value| value.as_str().unwrap().chars().count();
    assert!(characters(&body["attachments"][0]["footer"]) <= 300);
    assert!(body.to_string().chars().count() < 40_000);
    assert!(!body["text"].as_str().unwrap().contains('\n'));
}
