//! What we send is what the services' own clients send: captured here, and rebuilt there.

use super::counterparts::script;
use super::receiver::{Answer, Receiver, Request, ok};
use super::{ACTION, INCIDENT, channels, delivered, message};
use incidentd::delivery::channel::{Kind, Message, Thread};
use serde_json::{Value, json};
use standardwebhooks::Webhook;
use std::io::Write;
use std::sync::Arc;

/// Has the official client of `service` say the same, and says what differs.
fn held_against(service: &str, requests: &[Request]) {
    let captured = requests.iter().map(|request| {
        json!({
            "service": service, "method": request.method, "path": request.target, "headers": request.headers,
            "body": String::from_utf8(request.body.clone()).unwrap(),
        })
    });
    let mut child = script("officials.py").spawn().unwrap();
    child.stdin.take().unwrap().write_all(captured.collect::<Value>().to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.trim() == "the same", "{service}: see above\n{said}");
}

/// By the official library, of these headers and bytes.
pub fn verify_signature(request: &Request, secret: &str) {
    let mut headers = reqwest::header::HeaderMap::new();
    for name in ["webhook-id", "webhook-timestamp", "webhook-signature"] {
        headers.insert(name, request.header(name).parse().unwrap());
    }
    Webhook::new(secret).unwrap().verify(&request.body, &headers).unwrap();
}

/// One of each kind that looks different.
fn messages(channel: &str, config: &Value) -> Vec<Message> {
    let with = |change: &dyn Fn(&mut Message)| {
        let mut message = message(channel, config.clone());
        change(&mut message);
        message
    };
    let record = |message: &mut Message, key: &str, value: Value| Arc::make_mut(&mut message.record)[key] = value;
    let entry = json!({"id": INCIDENT, "title": "a & b", "severity": "high", "status": "triggered", "service_id": "s", "occurrence_count": 2});
    vec![
        with(&|_| {}),
        with(&|message| message.event = "acknowledged".to_owned()),
        with(&|message| message.event = "resolved".to_owned()),
        with(&|message| message.test = true),
        with(&|message| message.note = Some("Primary channel (email) failed: 550".to_owned())),
        with(&|message| {
            message.kind = Kind::Escalation;
            record(message, "policy", json!("llm"));
            record(message, "level", json!(1));
        }),
        with(&|message| record(message, "incidents", json!([entry, entry]))),
        with(&|message| {
            record(message, "notice", json!({"held_back": 7, "ended": false, "max_per_hour": 60}));
        }),
        with(&|message| {
            let incident = &mut Arc::make_mut(&mut message.record)["incident"];
            for field in ["title", "description", "service_id"] {
                incident[field] = json!("<&> long ".repeat(10_000));
            }
        }),
    ]
}

#[tokio::test]
async fn slack() {
    let receiver = Receiver::start(vec![ok(r#"{"ok":true,"channel":"C1","ts":"1.2"}"#)]).await;
    let channels = channels(&format!("[delivery.slack]\ntoken = \"xoxb-token\"\nbase_url = \"{}\"", receiver.url("/api")));
    let thread = Thread { channel: "C1".to_owned(), ts: "1.1".to_owned() };
    for thread in [None, Some(&thread)] {
        for message in messages("slack", &json!({"channel": "#ops", "mention": "@here"})) {
            delivered(&channels.send(&message, thread).await);
        }
    }
    held_against("slack", &receiver.requests());
    assert_eq!(receiver.requests().len(), 18);
}

#[tokio::test]
async fn pagerduty() {
    let receiver = Receiver::start(vec![Answer::Say(202, "", "{}".to_owned())]).await;
    let channels = channels(&format!("[delivery.pagerduty]\nbase_url = \"{}\"", receiver.url("")));
    for message in messages("pagerduty", &json!({"service_key": "R0123456789ABCDEF"})) {
        delivered(&channels.send(&message, None).await);
    }
    held_against("pagerduty", &receiver.requests());
    let keys: Vec<Value> = receiver.requests().iter().map(|request| request.json()["dedup_key"].clone()).collect();
    assert_eq!(keys[..3], [INCIDENT, INCIDENT, INCIDENT]);
    assert_eq!(keys[3], ACTION);
}

#[tokio::test]
async fn twilio() {
    let receiver = Receiver::start(vec![Answer::Say(201, "", r#"{"sid":"SM1","status":"queued"}"#.to_owned())]).await;
    for from in ["+15550001", "MG0123456789"] {
        let text = format!(
            "[delivery.sms]\nbase_url = \"{}\"\naccount_sid = \"AC0123\"\nauth_token = \"token+/=\"\nfrom = \"{from}\"",
            receiver.url("")
        );
        for message in messages("sms", &json!({"phone_numbers": ["+4915550100"]})) {
            delivered(&channels(&text).send(&message, None).await);
        }
    }
    held_against("twilio", &receiver.requests());
    assert_eq!(receiver.requests().len(), 18);
}

#[tokio::test]
async fn standard_webhooks_with_a_secret_that_rotates() {
    let (old, new) = ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD");
    let receiver = Receiver::start(vec![ok("")]).await;
    for message in messages("webhook", &json!({"url": receiver.url("/hook"), "secret": format!("{new} {old}")})) {
        delivered(&channels("").send(&message, None).await);
    }
    for request in receiver.requests() {
        assert_eq!(request.header("webhook-signature").split(' ').count(), 2);
        verify_signature(&request, old);
        verify_signature(&request, new);
    }
    let unsigned = message("webhook", json!({"url": receiver.url("/hook")}));
    delivered(&channels("").send(&unsigned, None).await);
    assert_eq!(receiver.requests().last().unwrap().header("webhook-signature"), "");
}

#[tokio::test]
async fn twilios_refusals_name_their_code() {
    let said = r#"{"code":21211,"message":"The 'To' number is not valid.","status":400}"#;
    let receiver = Receiver::start(vec![Answer::Say(400, "", said.to_owned())]).await;
    let text =
        format!("[delivery.sms]\nbase_url = \"{}\"\naccount_sid = \"AC\"\nauth_token = \"t\"\nfrom = \"+1\"", receiver.url(""));
    let sent = channels(&text).send(&message("sms", json!({"phone_numbers": ["x"]})), None).await;
    super::refused(&sent, "answered 400: The 'To' number is not valid. (Twilio 21211)");
}
