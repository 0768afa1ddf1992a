//! A target's circuit breaker as a dashboard sees it: closed, open, half-open, open again, and closed, in the metrics of the running
//! program.

use super::turn;
use crate::http::client::Client;
use crate::support::app::{App, Settings};
use crate::support::client::{Writer, read_all};
use crate::support::receiver::{Answer, Receiver};
use crate::support::wait_until;
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
/// In place of a minute.
const REST: &str = "4s";

#[test]
fn its_walk_is_seen_in_the_metrics() {
    let _turn = turn();
    let works = Arc::new(AtomicBool::new(false));
    let answers = Arc::clone(&works);
    let receiver = Receiver::start(move |request, _| match request.path.as_str() {
        "/hook" => Answer::of(if answers.load(Ordering::SeqCst) { 204 } else { 503 }),
        _ => Answer::of(204),
    });
    // What is told of dead letters takes another way.
    let rules = r#"notification(#{ name: "hook", where: #{ service_id: "s-*" }, channels: [ webhook("URL/hook") ] });
notification(#{ name: "own", where: #{ service_id: "incidentd" }, channels: [ webhook("URL/own") ] });"#;
    let rules = rules.replace("URL", receiver.url());
    let tables = format!("[delivery.breaker]\nrest = \"{REST}\"\n");
    let roles = r#"["engine", "delivery"]"#;
    let app = App::new("breaker", Settings { roles, rules, tables, ..Settings::default() });
    let process = app.start();
    let client = Client::new(&process.url());
    client.wait_ready();
    let writer = Writer::new();
    let mut sent = 0;
    let mut page = || {
        sent += 1;
        let alert = json!({ "service_id": format!("s-{sent}"), "title": "Down", "severity": "high" });
        writer.send(&app.topic("alerts"), &format!("s-{sent}"), alert.to_string().as_bytes());
        writer.flush();
    };
    // By its label, which shows no more of a URL than where it leads.
    let gauge = format!("incidentd_circuit_breaker_state{{channel=\"webhook\",target=\"{}/…\"}} ", receiver.url());
    let state = || client.get("/metrics").text.lines().find_map(|line| line.strip_prefix(&gauge).map(str::to_owned));
    let becomes = |state_wanted: &str| {
        wait_until(&format!("state {state_wanted}"), LIMIT, || (state().as_deref() == Some(state_wanted)).then_some(()));
    };
    let calls = || receiver.requests().iter().filter(|request| request.path == "/hook").count();

    page();
    wait_until("the first call", LIMIT, || (calls() > 0).then_some(()));
    assert_eq!(state(), None, "a closed breaker that never opened is not named");
    (0..4).for_each(|_| page());
    becomes("1");
    assert_eq!(calls(), 15, "three attempts each");
    // While it is open, and as soon as it is half-open: nobody waits for it, and one attempt decides.
    becomes("2");
    page();
    becomes("1");
    assert_eq!(calls(), 16, "one attempt decides");
    works.store(true, Ordering::SeqCst);
    becomes("2");
    page();
    wait_until("one arrives", LIMIT, || (calls() == 17).then_some(()));
    page();
    becomes("0");
    page();
    wait_until("the last arrives", LIMIT, || (calls() == 19).then_some(()));

    // Of the six that did not arrive each is a dead letter, and each of the nine has its receipt.
    wait_until("all is written", LIMIT, || {
        let receipts =
            read_all(&app.topic("commands")).iter().filter(|record| record.json()["command"] == "delivery_receipt").count();
        (read_all(&app.topic("dead-letters")).len() == 6 && receipts >= 9).then_some(())
    });
    let metrics = client.get("/metrics").text;
    let exhausted = "incidentd_deliveries_total{channel=\"webhook\",outcome=\"exhausted\"} 6";
    assert!(metrics.lines().any(|line| line == exhausted), "{exhausted} is missing in\n{metrics}");
    process.stop();
}
