//! PagerDuty's Events API v2: one alert there for each incident here, by its id.

use crate::config;
use crate::delivery::channel::client::Http;
use crate::delivery::channel::link;
use crate::delivery::channel::message::{Message, Sent};
use crate::delivery::channel::secrets::Opened;
use crate::delivery::channel::text::{cut, one_line};
use crate::delivery::channel::view::View;
use reqwest::{Method, Url};
use serde_json::{Map, Value, json};

const SUMMARY: usize = 1_024;
const DEDUP_KEY: usize = 255;
/// Characters of one text among the details; PagerDuty takes events of 512 KiB.
const DETAIL: usize = 4_000;
const DETAILS: usize = 100;
/// Bytes of all details.
const ALL_DETAILS: usize = 200 << 10;

pub async fn send(pagerduty: &config::PagerDuty, http: &Http, message: &Message, opened: &Opened, link: Option<&str>) -> Sent {
    let Some(key) = opened.config.get("service_key").and_then(Value::as_str).map(str::trim).filter(|key| !key.is_empty()) else {
        return Sent::Refused { why: "the pagerduty target names no `service_key`".to_owned() };
    };
    let url = match Url::parse(&format!("{}/v2/enqueue", pagerduty.base_url)) {
        Ok(url) => url,
        Err(error) => return Sent::Refused { why: format!("delivery.pagerduty.base_url is no URL: {error}") },
    };
    let mut sent = Sent::Delivered { thread: None, detail: "nothing to resolve".to_owned() };
    for event in events(message, key, link) {
        let request = http.request(Method::POST, url.clone(), &message.action_id).json(&event);
        sent = match http.ask(request).await {
            Ok(answer) => match answer.unless_accepted(&answer.excerpt()) {
                Ok(()) => Sent::Delivered { thread: None, detail: answer.status.as_u16().to_string() },
                Err(sent) => sent,
            },
            Err(sent) => sent,
        };
        if !matches!(sent, Sent::Delivered { .. }) {
            break;
        }
    }
    sent
}

/// One event, or for a digest of what is over one for each incident: any of them may have been paged alone.
pub fn events(message: &Message, key: &str, link: Option<&str>) -> Vec<Value> {
    let view = View::of(message);
    match view.digest().filter(|_| view.is_over()) {
        Some(incidents) => {
            let ids = incidents.iter().filter_map(|incident| incident["id"].as_str());
            ids.map(|id| json!({ "routing_key": key, "event_action": "resolve", "dedup_key": cut(id, DEDUP_KEY) })).collect()
        }
        None => vec![event(&view, key, link)],
    }
}

fn event(view: &View<'_>, key: &str, link: Option<&str>) -> Value {
    let message = view.message;
    let about_one = view.digest().is_none() && view.notice().is_none();
    let action = match message.event.as_str() {
        "resolved" | "closed" if about_one => "resolve",
        "acknowledged" if about_one => "acknowledge",
        _ => "trigger",
    };
    // A digest or a limit's notice is an alert of its own, and so is a drill: it must not touch a real one.
    let dedup_key = if about_one && !message.test { view.incident_id() } else { &message.action_id };
    let mut event = json!({ "routing_key": key, "event_action": action, "dedup_key": cut(dedup_key, DEDUP_KEY) });
    if action != "trigger" {
        return event;
    }
    let test = if message.test { "[TEST] " } else { "" };
    let happening = view.happening().map(|happening| format!(" ({happening})")).unwrap_or_default();
    let mut payload = json!({
        "summary": cut(&format!("{test}{}: {}{happening}", view.word(), view.line()), SUMMARY),
        "source": text_or(view.text("service_id"), "incidentd"),
        "severity": severity(view.severity()),
        "custom_details": details(view),
    });
    let optional = [
        ("timestamp", view.text("triggered_at")),
        ("component", view.text("service_id")),
        ("group", view.text("environment")),
        ("class", view.text("category")),
    ];
    for (name, text) in optional.into_iter().filter(|(_, text)| !text.is_empty() && about_one) {
        payload[name] = json!(cut(text, SUMMARY));
    }
    event["payload"] = payload;
    event["client"] = json!("incidentd");
    if let Some(link) = link {
        event["client_url"] = json!(link);
    }
    let named = [("Dashboard", "dashboard_url"), ("Runbook", "runbook_url")];
    let url = |field: &str| view.incident["metadata"][field].as_str().and_then(link::web);
    let links = named.iter().filter_map(|(text, field)| Some(json!({ "href": url(field)?, "text": text })));
    let links: Vec<Value> = if about_one { links.collect() } else { Vec::new() };
    if !links.is_empty() {
        event["links"] = Value::Array(links);
    }
    event
}

/// PagerDuty knows four.
fn severity(ours: &str) -> &'static str {
    match ours {
        "critical" => "critical",
        "high" => "error",
        "medium" => "warning",
        _ => "info",
    }
}

fn details(view: &View<'_>) -> Value {
    let mut details = Map::new();
    let mut room = ALL_DETAILS;
    let mut add = |name: &str, value: Value| {
        let empty = value.is_null() || value.as_str().is_some_and(str::is_empty);
        let size = name.len() + value.to_string().len();
        if !empty && details.len() < DETAILS && size <= room {
            room -= size;
            details.insert(name.to_owned(), value);
        }
    };
    add("note", view.message.note.as_deref().map_or(Value::Null, |note| json!(cut(note, DETAIL))));
    add("rule", view.message.record["rule"].clone());
    add("event", json!(view.message.event));
    if let Some(incidents) = view.digest() {
        let line = |incident: &Value| {
            let part = |key: &str| incident[key].as_str().unwrap_or_default();
            cut(&one_line(&format!("{}: {} ({}, {})", part("severity"), part("title"), part("service_id"), part("id"))), 300)
        };
        add("incidents", incidents.iter().take(DETAILS).map(line).collect());
        return Value::Object(details);
    }
    add("incident_id", json!(view.incident_id()));
    add("description", json!(cut(view.text("description"), DETAIL)));
    add("status", json!(view.text("status")));
    add("occurrence_count", view.incident["occurrence_count"].clone());
    for group in ["labels", "metadata"] {
        let fields = view.incident[group].as_object().into_iter().flatten();
        // Nested ones as text: PagerDuty shows one level.
        for (name, _) in fields {
            let value = view.field(&format!("{group}.{name}")).map_or(Value::Null, |text| json!(cut(&text, DETAIL)));
            add(&format!("{group}.{name}"), value);
        }
    }
    Value::Object(details)
}

fn text_or<'t>(text: &'t str, other: &'t str) -> &'t str {
    if text.is_empty() { other } else { text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::channel::sample;

    fn one(message: &Message) -> Value {
        let mut events = events(message, "R0", Some("https://i.example.com/incidents/inc_1"));
        assert_eq!(events.len(), 1);
        events.remove(0)
    }

    #[test]
    fn an_incident_triggers_with_all_that_is_known() {
        let event = one(&sample::message("pagerduty", json!({})));
        assert_eq!(
            event,
            json!({
                "routing_key": "R0", "event_action": "trigger", "dedup_key": "inc_00030123456789abcdef",
                "client": "incidentd", "client_url": "https://i.example.com/incidents/inc_1",
                "links": [
                    {"href": "https://grafana.example.com/d/1?a=1&b=2", "text": "Dashboard"},
                    {"href": "https://wiki.example.com/latency", "text": "Runbook"},
                ],
                "payload": {
                    "summary": "CRITICAL: Latency <high> & rising", "source": "llm-gateway", "severity": "critical",
                    "timestamp": "2026-03-01T09:00:00.000Z", "component": "llm-gateway", "group": "production", "class": "model_performance",
                    "custom_details": {
                        "rule": "critical-production", "event": "triggered", "incident_id": "inc_00030123456789abcdef",
                        "description": "p95 is 7.5 s", "status": "triggered", "occurrence_count": 3, "labels.model_id": "gpt-4",
                        "metadata.current_value": "7.5", "metadata.threshold": "5", "metadata.unit": "s",
                        "metadata.dashboard_url": "https://grafana.example.com/d/1?a=1&b=2",
                        "metadata.runbook_url": "https://wiki.example.com/latency",
                    },
                },
            })
        );
    }

    #[test]
    fn events_and_severities_as_pagerduty_knows_them() {
        let mut message = sample::message("pagerduty", json!({}));
        for (event, action) in [
            ("acknowledged", "acknowledge"),
            ("resolved", "resolve"),
            ("closed", "resolve"),
            ("reopened", "trigger"),
            ("reminder", "trigger"),
        ] {
            message.event = event.to_owned();
            let said = one(&message);
            assert_eq!((&said["event_action"], &said["dedup_key"]), (&json!(action), &json!("inc_00030123456789abcdef")));
            assert_eq!(said.get("payload").is_some(), action == "trigger");
        }
        for (ours, theirs) in
            [("critical", "critical"), ("high", "error"), ("medium", "warning"), ("low", "info"), ("info", "info")]
        {
            sample::incident(&mut message)["severity"] = json!(ours);
            assert_eq!(one(&message)["payload"]["severity"], theirs);
        }
    }

    #[test]
    fn a_drill_touches_no_real_alert() {
        let mut message = sample::message("pagerduty", json!({}));
        message.test = true;
        let event = one(&message);
        assert_eq!(event["dedup_key"], json!(message.action_id));
        assert_eq!(event["payload"]["summary"], "[TEST] CRITICAL: Latency <high> & rising");
    }

    #[test]
    fn a_digest_is_one_alert_and_what_is_over_resolves_each() {
        let mut message = sample::message("pagerduty", json!({}));
        sample::record(&mut message)["incidents"] =
            json!([{"id": "inc_1", "title": "a", "severity": "low", "service_id": "s"}, {"id": "inc_2", "severity": "high"}]);
        let event = one(&message);
        assert_eq!((&event["dedup_key"], &event["payload"]["severity"]), (&json!(message.action_id), &json!("error")));
        assert_eq!(event["payload"]["custom_details"]["incidents"][0], "low: a (s, inc_1)");
        message.event = "resolved".to_owned();
        let keys: Vec<Value> = events(&message, "R0", None).iter().map(|event| event["dedup_key"].clone()).collect();
        assert_eq!(keys, ["inc_1", "inc_2"]);
    }

    #[test]
    fn no_event_is_larger_than_pagerduty_takes() {
        let mut message = sample::message("pagerduty", json!({}));
        let long = "ü".repeat(100_000);
        let incident = sample::incident(&mut message);
        incident["title"] = json!(long);
        incident["id"] = json!(long);
        incident["description"] = json!(long);
        incident["labels"] = (0..200).map(|n| (format!("l{n}"), json!("x"))).collect::<Map<_, _>>().into();
        incident["metadata"] = json!({"big": long, "nested": {"deep": [long]}});
        let event = one(&message);
        assert_eq!(event["payload"]["summary"].as_str().unwrap().chars().count(), 1_024);
        assert_eq!(event["dedup_key"].as_str().unwrap().chars().count(), 255);
        assert!(event.to_string().len() < 500_000);
    }
}
