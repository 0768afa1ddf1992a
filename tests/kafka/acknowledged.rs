//! The whole way on a real broker, engine, delivery and api in one process: the alert, the page in Slack, the page behind its button,
//! the thread, the end, and the story that `explain` tells of it.

use super::turn;
use crate::http::client::Client;
use crate::support::app::{App, Settings};
use crate::support::client::Writer;
use crate::support::receiver::{Answer, Receiver};
use crate::support::wait_until;
use serde_json::{Value, json};
use std::net::TcpListener;
use std::process::Command;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const RULES: &str = r##"notification(#{
    name: "critical", where: #{ severity: "critical" },
    channels: [ slack("#ops", #{ mention: "@here", thread_updates: true }) ],
});"##;

fn free_port() -> String {
    let port = TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr());
    port.expect("a free loopback port").to_string()
}

fn explain(app: &App, id: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incidentd"));
    let output = command.args(["explain", id, "--config"]).arg(app.config_file()).output().expect("incidentd starts");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn from_the_alert_over_the_page_behind_the_button_to_the_story() {
    let _turn = turn();
    let receiver = Receiver::start(|_, number| Answer::slack(&format!("1700000000.{number:06}")));
    let listen = free_port();
    let app = App::new(
        "acknowledged",
        Settings {
            roles: r#"["engine", "delivery", "api"]"#,
            rules: RULES.to_owned(),
            listen: listen.clone(),
            api: format!("public_url = \"http://{listen}\""),
            tables: format!("[delivery.slack]\ntoken = \"xoxb-test\"\nbase_url = \"{}/slack\"\n", receiver.url()),
            publish_interval: "100ms",
            ..Settings::default()
        },
    );
    let process = app.start();
    let client = Client::new(&process.url());
    client.wait_ready();
    let writer = Writer::new();
    let alert = |status: &str| {
        let alert = json!({ "service_id": "chat", "title": "Down", "severity": "critical", "source": "probe", "status": status });
        writer.send(&app.topic("alerts"), "chat", alert.to_string().as_bytes());
        writer.flush();
    };
    alert("firing");
    let page = wait_until("the page is in Slack", LIMIT, || receiver.requests().into_iter().next()).json();
    assert_eq!((&page["channel"], &page["text"]), (&json!("#ops"), &json!("<!here> 🔴 *CRITICAL* - Down")));
    let button = &page["attachments"][0]["actions"][0];
    assert_eq!((&button["text"], &button["style"]), (&json!("Acknowledge"), &json!("primary")));

    // As a link preview does, again and again: nothing is acknowledged by looking.
    let path = button["url"].as_str().and_then(|url| url.strip_prefix(&client.url)).expect("a page of ours").to_owned();
    let id = path.strip_prefix("/incidents/").expect("an incident's page").to_owned();
    let seen = || client.get(&format!("/v1/incidents/{id}")).expect(200);
    wait_until("the incident's page", LIMIT, || (client.get(&path).status == 200).then_some(()));
    let action = format!("{path}/acknowledge");
    assert!(client.get(&path).text.contains(&format!("href=\"{action}\"")), "a button leads to the form");
    let form = client.get(&action);
    assert!(form.text.contains("method=\"post\"") && form.text.contains(&format!("action=\"{action}\"")), "{}", form.text);
    assert_eq!(seen()["status"], "triggered", "looking changes nothing");

    let headers = [("content-type", "application/x-www-form-urlencoded"), ("origin", client.url.as_str())];
    let done = client.send("POST", &action, Some(b"user=ann&note=on+it"), &headers);
    assert_eq!(done.status, 200, "{}", done.text);
    let acknowledged = wait_until("it is acknowledged", LIMIT, || Some(seen()).filter(|seen| seen["status"] == "acknowledged"));
    assert_eq!(acknowledged["acknowledged_by"], "ann");
    wait_until("the acknowledgement is in the thread", LIMIT, || (receiver.count() >= 2).then_some(()));

    alert("resolved");
    wait_until("the resolution is in the thread", LIMIT, || (receiver.count() >= 3).then_some(()));
    let receipts = |seen: &Value| seen["notifications"].as_array().map_or(0, Vec::len);
    wait_until("the incident knows its page", LIMIT, || {
        Some(seen()).filter(|seen| seen["status"] == "resolved" && receipts(seen) == 1)
    });
    let requests = receiver.requests();
    assert_eq!(requests.len(), 3, "{requests:?}");
    for (update, words) in requests[1..].iter().zip(["acknowledged by ann: on it", "resolved"]) {
        let body = update.json();
        assert_eq!((&body["thread_ts"], &body["channel"]), (&json!("1700000000.000001"), &json!("C0OPS")), "{body}");
        assert!(body["text"].as_str().unwrap_or_default().contains(words), "{body}");
    }

    let said = explain(&app, &id);
    let story = [
        "opened it: \"Down\" (critical",
        "notification `critical` told slack #ops",
        "Delivered: slack #ops",
        "ann acknowledged it: on it.",
        "esolved",
    ];
    let mut rest = said.as_str();
    for part in story {
        let at = rest.find(part).unwrap_or_else(|| panic!("lacks {part:?}, or in another order:\n{said}"));
        rest = &rest[at..];
    }
    process.stop();
}
