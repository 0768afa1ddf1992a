//! Receivers that misbehave in every way, all at once, through the running program: how each ends, for the incident and for whoever
//! reads `dead-letters` (SPEC 7).

use super::turn;
use crate::delivery::channels::receiver::{self, Answer, Receiver, deaf, nobody};
use crate::delivery::channels::tls::Authority;
use crate::support::app::{App, Settings};
use crate::support::client::{Writer, read_all};
use crate::support::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(90);

/// How a page to one of them ends: delivered or not, after so many attempts, and what its receipt says.
type End = (bool, u64, &'static str);

#[test]
fn each_receiver_that_misbehaves_ends_as_promised_and_delays_no_other() {
    let _turn = turn();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("a runtime");
    let start = |script: Vec<Answer>| runtime.block_on(Receiver::start(script));
    let say = |status: u16, headers: &'static str| Answer::Say(status, headers, String::new());
    let authority = Authority::new();
    let inside = start(vec![receiver::ok("")]);
    let location: &'static str = format!("location: {}\r\n", inside.url("/latest/meta-data")).leak();
    let foreign = runtime.block_on(Receiver::tls(vec![receiver::ok("")], authority.acceptor("another.example.com", false)));
    let slow_once = start(vec![say(429, "retry-after: 3\r\n"), say(204, "")]);
    let receivers = [
        start(vec![say(500, "")]),
        start(vec![say(500, ""), say(502, ""), say(204, "")]),
        start(vec![Answer::Hang]),
        start(vec![Answer::Close]),
        start(vec![Answer::Reset]),
        start(vec![Answer::DripHead]),
        start(vec![Answer::DripBody(200)]),
        start(vec![say(302, location)]),
        start(vec![say(404, "")]),
    ];
    let ends: [End; 9] = [
        (false, 3, "answered 500"),
        (true, 3, ""),
        (false, 3, "no answer within 1s"),
        (false, 3, "the connection broke"),
        (false, 3, "the connection broke"),
        (false, 3, "no answer within 1s"),
        (true, 1, ""),
        (false, 1, "a redirect, and none is followed"),
        (false, 1, "answered 404"),
    ];
    let mut targets: Vec<(String, End)> = receivers.iter().zip(ends).map(|(it, end)| (it.url("/hook"), end)).collect();
    targets.extend([
        (slow_once.url("/hook"), (true, 2, "")),
        (format!("https://{}/", foreign.address), (false, 1, "its certificate is not trusted")),
        (format!("https://{}/", runtime.block_on(deaf())), (false, 3, "no answer")),
        (format!("http://{}/", runtime.block_on(nobody())), (false, 3, "no connection")),
        // Not in the allow-list, which has 127.0.0.1 alone.
        ("http://127.0.0.2:9/".to_owned(), (false, 1, "is an internal address")),
        ("http://169.254.169.254/latest/meta-data".to_owned(), (false, 1, "is an internal address")),
    ]);

    let rule = |number: usize, url: &str| {
        format!(
            "notification(#{{ name: \"r{number}\", where: #{{ service_id: \"s-{number}\" }}, channels: [ webhook(\"{url}\") ] }});\n"
        )
    };
    let rules: String = targets.iter().enumerate().map(|(number, (url, _))| rule(number, url)).collect();
    let tables = "[delivery]\ntimeout = \"1s\"\n".to_owned();
    let roles = r#"["engine", "delivery"]"#;
    let app = App::new("misbehaved", Settings { roles, rules, tables, ..Settings::default() });
    let process = app.start();
    let writer = Writer::new();
    for number in 0..targets.len() {
        let service = format!("s-{number}");
        let alert = json!({ "service_id": service, "title": "Down", "severity": "low" });
        writer.send(&app.topic("alerts"), &service, alert.to_string().as_bytes());
    }
    writer.flush();

    let receipts = wait_until("each incident knows what became of its page", LIMIT, || {
        let mut latest: BTreeMap<String, Value> = BTreeMap::new();
        for record in read_all(&app.topic("incidents")) {
            let incident = record.json();
            let service = incident["service_id"].as_str().unwrap_or_default().to_owned();
            latest.insert(service, incident["notifications"].clone());
        }
        latest.retain(|service, told| service.starts_with("s-") && told.as_array().is_some_and(|told| !told.is_empty()));
        (latest.len() == targets.len()).then_some(latest)
    });
    let mut attempts = BTreeMap::new();
    for command in read_all(&app.topic("commands")) {
        let command = command.json();
        attempts.insert(command["action_id"].as_str().unwrap_or_default().to_owned(), command["attempts"].as_u64());
    }
    let actions: BTreeMap<String, String> = read_all(&app.topic("notifications"))
        .iter()
        .map(|record| record.json())
        .map(|action| {
            (
                action["incident"]["service_id"].as_str().unwrap_or_default().to_owned(),
                action["id"].as_str().unwrap_or_default().to_owned(),
            )
        })
        .collect();
    let letters: BTreeMap<String, String> = read_all(&app.topic("dead-letters"))
        .iter()
        .map(|letter| {
            let service = letter.json()["incident"]["service_id"].as_str().unwrap_or_default().to_owned();
            (service, letter.header("__incidentd.error.reason").unwrap_or_default())
        })
        .collect();
    for (number, (url, (delivered, tried, words))) in targets.iter().enumerate() {
        let service = format!("s-{number}");
        let receipt = &receipts[&service][0];
        assert_eq!(receipt["delivered"], json!(delivered), "{url}: {receipt}");
        assert_eq!(attempts[&actions[&service]], Some(*tried), "{url}: {receipt}");
        let error = receipt["error"].as_str().unwrap_or_default();
        assert!(error.contains(words) && error.is_empty() == *delivered, "{url}: {receipt}");
        assert_eq!(letters.get(&service).is_some_and(|reason| reason.contains(words)), !delivered, "{url}");
    }
    assert!(inside.requests().is_empty() && foreign.requests().is_empty(), "nothing was said where nothing may be said");
    // The three that it asked for are not the one or two that it would have waited anyway.
    let [first, second] = &slow_once.requests()[..] else { panic!("two attempts") };
    assert!(second.at.duration_since(first.at) >= Duration::from_secs(3), "Retry-After is honoured");
    assert_eq!((&first.body, first.header("webhook-id")), (&second.body, second.header("webhook-id")));
    process.stop();
}
