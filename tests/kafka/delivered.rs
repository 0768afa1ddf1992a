//! From the alert to the message and back, on a real broker: what people see, and what the incident remembers of it.

use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::{Writer, read_all};
use crate::support::receiver::{Answer, Receiver};
use crate::support::wait_until;
use serde_json::{Value, json};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(40);

const RULES: &str = r##"notification(#{
    name: "critical", where: #{ severity: "critical" },
    channels: [ slack("#ops", #{ thread_updates: true }) ],
});
notification(#{ name: "hook", where: #{ severity: "low" }, channels: [ webhook("HOOK/low") ] });
remediation(#{ name: "fix", where: #{ category: "broken" }, actions: [ restart() ] });"##;

fn tables(receiver: &Receiver) -> String {
    format!(
        "[delivery.slack]\ntoken = \"xoxb-test\"\nbase_url = \"{url}/slack\"\n[delivery.fallback]\nwebhook_url = \"{url}/fallback\"\n",
        url = receiver.url()
    )
}

/// `more`: keys and tables of the configuration, `URL` in them being the receiver's.
fn app(name: &str, receiver: &Receiver, listen: String, more: &str) -> App {
    let rules = RULES.replace("HOOK", receiver.url());
    let tables = format!("{}{}", tables(receiver), more.replace("URL", receiver.url()));
    let roles = r#"["engine", "delivery"]"#;
    App::new(name, Settings { roles, rules, tables, listen, publish_interval: "100ms", ..Settings::default() })
}

fn free_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free loopback port");
    listener.local_addr().expect("a bound listener has an address").to_string()
}

fn get(address: &str, path: &str) -> String {
    let Ok(mut stream) = TcpStream::connect(address) else { return String::new() };
    let _ = write!(stream, "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    let mut answer = String::new();
    let _ = stream.read_to_string(&mut answer);
    answer
}

/// The last record of each incident.
fn incident(app: &App) -> Option<Value> {
    read_all(&app.topic("incidents")).last().map(crate::support::client::Record::json)
}

#[test]
fn from_the_alert_to_slack_and_from_the_acknowledgement_to_its_thread() {
    let _turn = turn();
    let receiver = Receiver::start(|_, number| Answer::slack(&format!("1700000000.{number:06}")));
    let app = app("delivered", &receiver, "127.0.0.1:0".to_owned(), "");
    let process = app.start();
    let writer = Writer::new();
    let alert = |status: &str| {
        let alert = json!({ "service_id": "chat", "title": "Down", "severity": "critical", "source": "probe", "status": status });
        writer.send(&app.topic("alerts"), "chat", alert.to_string().as_bytes());
        writer.flush();
    };
    alert("firing");
    wait_until("the page is in Slack", LIMIT, || (receiver.count() == 1).then_some(()));
    let page = &receiver.requests()[0];
    assert_eq!((page.path.as_str(), page.header("authorization").as_str()), ("/slack/chat.postMessage", "Bearer xoxb-test"));
    assert_eq!((&page.json()["channel"], page.json().get("thread_ts")), (&json!("#ops"), None));
    assert!(page.json()["text"].as_str().unwrap_or_default().contains("Down"), "{}", page.json());

    let receipted = wait_until("the incident knows that its page arrived", LIMIT, || {
        incident(&app).filter(|incident| incident["notifications"].as_array().is_some_and(|receipts| !receipts.is_empty()))
    });
    let receipt = &receipted["notifications"][0];
    assert_eq!((&receipt["channel"], &receipt["target"], &receipt["delivered"]), (&json!("slack"), &json!("#ops"), &json!(true)));

    let id = receipted["id"].as_str().expect("an id").to_owned();
    let command = json!({ "command": "acknowledge", "incident_id": id, "user": "ann", "note": "on it" });
    writer.send(&app.topic("commands"), &id, command.to_string().as_bytes());
    writer.flush();
    wait_until("the acknowledgement is in the thread", LIMIT, || (receiver.count() >= 2).then_some(()));
    alert("resolved");
    wait_until("the resolution is in the thread", LIMIT, || (receiver.count() >= 3).then_some(()));
    process.stop();

    let requests = receiver.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    for (update, words) in requests[1..].iter().zip(["ann", "esolved"]) {
        let body = update.json();
        assert_eq!((&body["thread_ts"], &body["channel"]), (&json!("1700000000.000001"), &json!("C0OPS")), "{body}");
        assert!(body["text"].as_str().unwrap_or_default().contains(words), "{body}");
    }
}

/// After the restart nothing is said again, and the thread is still known.
#[test]
fn a_restart_repeats_nothing_and_knows_its_threads() {
    let _turn = turn();
    let receiver = Receiver::start(|_, number| Answer::slack(&format!("1700000000.{number:06}")));
    let app = app("restarted", &receiver, "127.0.0.1:0".to_owned(), "");
    let writer = Writer::new();
    let alert = json!({ "service_id": "chat", "title": "Down", "severity": "critical" });
    writer.send(&app.topic("alerts"), "chat", alert.to_string().as_bytes());
    writer.flush();
    let first = app.start();
    wait_until("the page is in Slack", LIMIT, || (receiver.count() == 1).then_some(()));
    // As soon as what was sent is remembered.
    wait_until("it is remembered", LIMIT, || (read_all(&app.topic("incidentd-delivery")).len() >= 2).then_some(()));
    first.kill();
    let id = incident(&app).expect("an incident")["id"].as_str().expect("an id").to_owned();
    let second = app.start();
    let command = json!({ "command": "acknowledge", "incident_id": id, "user": "ann" });
    writer.send(&app.topic("commands"), &id, command.to_string().as_bytes());
    writer.flush();
    wait_until("the acknowledgement is in the thread", LIMIT, || (receiver.count() >= 2).then_some(()));
    second.stop();
    let requests = receiver.requests();
    assert_eq!(requests.len(), 2, "{requests:?}");
    assert_eq!(requests[1].json()["thread_ts"], "1700000000.000001");
}

#[test]
fn what_is_refused_goes_to_the_fallback_and_what_fails_is_a_dead_letter_an_incident_and_a_metric() {
    let _turn = turn();
    let receiver = Receiver::start(|request, _| match request.path.as_str() {
        "/slack/chat.postMessage" => Answer { body: r#"{"ok":false,"error":"channel_not_found"}"#.to_owned(), ..Answer::of(200) },
        "/low" => Answer::of(503),
        _ => Answer::of(204),
    });
    let listen = free_port();
    let app = app("undelivered", &receiver, listen.clone(), "[delivery.heartbeat]\nurl = \"URL/beat\"\ninterval = \"1s\"\n");
    let process = app.start();
    let writer = Writer::new();
    let alert = |service: &str, severity: &str| {
        let alert = json!({ "service_id": service, "title": "Down", "severity": severity });
        writer.send(&app.topic("alerts"), service, alert.to_string().as_bytes());
        writer.flush();
    };
    alert("chat", "critical");
    let fallback = wait_until("the fallback is called", LIMIT, || {
        receiver.requests().into_iter().find(|request| request.path == "/fallback")
    });
    assert!(fallback.body.windows(17).any(|part| part == b"channel_not_found"), "{}", fallback.json());
    // Five that fail for good open the breaker of their target.
    (0..6).for_each(|number| alert(&format!("batch-{number}"), "low"));
    wait_until("the breaker is open", LIMIT, || {
        get(&listen, "/metrics")
            .lines()
            .find(|line| line.starts_with("incidentd_circuit_breaker_state{channel=\"webhook\"") && line.ends_with("} 1"))
            .map(str::to_owned)
    });
    let letters = wait_until("what was not delivered is in dead-letters", LIMIT, || {
        let letters = read_all(&app.topic("dead-letters"));
        (letters.len() >= 6).then_some(letters)
    });
    assert!(letters.iter().all(|letter| letter.header("__incidentd.error.stage").as_deref() == Some("delivery")));
    assert!(letters[0].json()["id"].as_str().is_some_and(|id| id.starts_with("act_")), "its own bytes");
    wait_until("an incident of our own", LIMIT, || {
        read_all(&app.topic("incidents")).iter().find(|record| record.json()["service_id"] == "incidentd").map(|_| ())
    });
    wait_until("the heartbeat is heard", LIMIT, || {
        receiver.requests().iter().find(|request| request.path == "/beat").map(|_| ())
    });
    let metrics = get(&listen, "/metrics");
    for line in [
        "incidentd_heartbeats_total{outcome=\"sent\"} ",
        "incidentd_deliveries_total{channel=\"slack\",outcome=\"refused\"} ",
        "incidentd_deliveries_total{channel=\"webhook\",outcome=\"delivered\"} ",
        "incidentd_deliveries_total{channel=\"webhook\",outcome=\"exhausted\"} ",
        "incidentd_dead_letters_total{stage=\"delivery\"} ",
        "incidentd_delivery_seconds_count ",
        "incidentd_consumer_lag{",
    ] {
        assert!(metrics.lines().any(|found| found.starts_with(line)), "{line} is missing in\n{metrics}");
    }
    process.stop();
}

/// The executor is called with the remediation, and what it answers stands in the incident's timeline.
#[test]
fn a_remediation_is_carried_out_by_the_executor_and_its_answer_is_heard() {
    let _turn = turn();
    let receiver = Receiver::start(|request, _| match request.path.as_str() {
        "/fix" => Answer { body: r#"{"outcome":"failed","error":"no such deployment"}"#.to_owned(), ..Answer::of(200) },
        _ => Answer::slack("1.1"),
    });
    let executor = "[delivery.remediation]\nwebhook_url = \"URL/fix\"\n";
    let app = app("repaired", &receiver, "127.0.0.1:0".to_owned(), executor);
    let process = app.start();
    let writer = Writer::new();
    let alert = json!({ "service_id": "chat", "title": "Down", "severity": "critical", "category": "broken" });
    writer.send(&app.topic("alerts"), "chat", alert.to_string().as_bytes());
    writer.flush();
    let call =
        wait_until("the executor is called", LIMIT, || receiver.requests().into_iter().find(|request| request.path == "/fix"));
    assert_eq!((&call.json()["actions"][0]["type"], &call.json()["attempt"]), (&json!("restart"), &json!(1)));
    assert_eq!(call.header("webhook-id"), call.json()["id"].as_str().unwrap_or_default());
    wait_until("its answer is in the timeline", LIMIT, || {
        let timeline = incident(&app)?["timeline"].to_string();
        (timeline.contains("auto_remediation_failed") && timeline.contains("no such deployment")).then_some(())
    });
    // What it held back is told at once.
    wait_until("people are told", LIMIT, || {
        receiver.requests().iter().find(|request| request.path == "/slack/chat.postMessage").map(|_| ())
    });
    process.stop();
}
