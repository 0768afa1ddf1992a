//! Commands and events on a real broker: to their home wherever they stand, answered once, and no record stops a shard.

use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::{Reader, Record, Writer, read_all};
use crate::support::wait_until;
use incidentd::model::home::home;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
const PARTITIONS: u32 = 4;
const SERVICE: &str = "llm-gateway";

/// The replies so far, by request.
struct Replies {
    reader: Reader,
    found: BTreeMap<String, Record>,
}

impl Replies {
    fn read(&mut self) {
        let found = &mut self.found;
        self.reader.read(|record| {
            let id = String::from_utf8(record.key.clone().expect("a reply has its request's id")).expect("the test's own");
            assert!(found.insert(id.clone(), record).is_none(), "{id} was answered twice");
        });
    }

    fn wait(&mut self, id: &str) -> Record {
        wait_until(&format!("the reply to {id}"), LIMIT, || {
            self.read();
            self.found.get(id).cloned()
        })
    }
}

#[test]
fn a_command_that_stands_elsewhere_is_carried_out_at_home_and_answered() {
    let _turn = turn();
    // Where a merge publishes the incident its reply carries it, too; of one that opened while its shard caught up the next does.
    let tables = "[catch_up]\nmax = \"0\"".to_owned();
    let app = App::new("commands", Settings { partitions: PARTITIONS, publish_interval: "10m", tables, ..Settings::default() });
    let process = app.start();
    let writer = Writer::new();
    let mut replies = Replies { reader: Reader::new(&app.topic("incidentd-replies")), found: BTreeMap::new() };
    let own = home(SERVICE.as_bytes(), PARTITIONS) as i32;
    let elsewhere = (own + 1) % PARTITIONS as i32;
    let ask = |topic: &str, partition: i32, value: &Value, id: &str, reply_to: &str| {
        let headers = [("request-id", id), ("reply-to", reply_to), ("traceparent", "00-1")];
        writer.send_headed(&app.topic(topic), partition, Some("elsewhere"), &value.to_string(), &headers);
        writer.flush();
    };

    let alert = json!({"service_id": SERVICE, "title": "t", "severity": "critical"});
    ask("alerts", elsewhere, &alert, "open", "1");
    let opened = replies.wait("open");
    assert_eq!(opened.partition, 1);
    assert_eq!((&opened.json()["status"], &opened.json()["outcome"]), (&json!(201), &json!("created")));
    assert_eq!(opened.json()["incident"]["title"], "t");
    let id = opened.json()["incident_id"].clone();
    ask("alerts", own, &alert, "again", "0");
    assert_eq!(
        replies.wait("again").json(),
        json!({"status": 200, "outcome": "merged", "incident_id": id, "occurrence_count": 2})
    );

    let acknowledge = json!({"command": "acknowledge", "incident_id": id, "user": "alice"});
    ask("commands", elsewhere, &acknowledge, "acknowledge", "0");
    let reply = replies.wait("acknowledge").json();
    assert_eq!((&reply["status"], &reply["outcome"], &reply["incident_id"]), (&json!(200), &json!("done"), &id));
    assert_eq!((&reply["incident"]["status"], &reply["incident"]["acknowledged_by"]), (&json!("acknowledged"), &json!("alice")));

    let unknown = id.as_str().expect("an id").replace(|c: char| c.is_ascii_digit(), "0");
    let unknown = format!("{}{}", &id.as_str().expect("an id")[..8], &unknown[8..]);
    let refusals = [
        ("unknown", json!({"command": "close", "incident_id": unknown}), 404, "refused"),
        ("no shard", json!({"command": "close", "incident_id": "inc_ffff0123456789abcdef"}), 404, "refused"),
        ("illegal", json!({"command": "reopen", "incident_id": id}), 409, "refused"),
        ("wrong", json!({"command": "snooze", "incident_id": id, "minutes": 0}), 422, "rejected"),
    ];
    for (name, command, status, outcome) in &refusals {
        ask("commands", elsewhere, command, name, "1");
        let reply = replies.wait(name).json();
        assert_eq!((&reply["status"], &reply["outcome"]), (&json!(status), &json!(outcome)), "{name}: {reply}");
        assert!(reply["error"]["reason"].as_str().is_some_and(|reason| reason.contains(": ")), "{name}: {reply}");
    }
    let body = json!({"alerts": [
        {"labels": {"alertname": "a", "service": "one"}},
        {"labels": 5},
        {"labels": {"alertname": "a", "service": "two"}},
    ]});
    ask("alerts", 0, &body, "body", "0");
    let reply = replies.wait("body").json();
    assert_eq!((&reply["status"], &reply["outcome"]), (&json!(422), &json!("rejected")), "{reply}");
    // Nobody can be told of this one; it counts all the same.
    ask("commands", own, &json!({"command": "note", "incident_id": id, "note": "unanswered"}), "nowhere", "99");
    ask("events", elsewhere, &json!({"type": "deployment", "service_id": SERVICE, "description": "v2"}), "event", "1");
    assert_eq!(replies.wait("event").json(), json!({"status": 200, "outcome": "done"}));

    wait_until("the note", LIMIT, || {
        let noted = |record: &Record| record.value.is_some() && record.json().to_string().contains("unanswered");
        read_all(&app.topic("incidents")).iter().any(noted).then_some(())
    });
    process.stop();
    replies.read();
    assert!(!replies.found.contains_key("nowhere"));
    let letters = read_all(&app.topic("dead-letters"));
    assert_eq!(letters.len(), refusals.len() + 1);
    for (name, command, ..) in &refusals {
        let letter = letters.iter().find(|letter| letter.header("request-id").as_deref() == Some(name)).expect(name);
        assert_eq!(letter.json(), *command, "{name}: as it came");
        assert_eq!(letter.key.as_deref(), Some(&b"elsewhere"[..]));
        assert_eq!(letter.header("__incidentd.error.stage").as_deref(), Some("command"));
        assert_eq!(letter.header("__incidentd.error.topic"), Some(app.topic("commands")));
        assert_eq!(letter.header("__incidentd.error.partition"), Some(elsewhere.to_string()), "where it first stood");
        assert_eq!(letter.header("traceparent").as_deref(), Some("00-1"));
    }
}

#[test]
fn poison_among_commands_and_events_ends_in_dead_letters() {
    let _turn = turn();
    let app = App::new("poison-commands", Settings { partitions: PARTITIONS, ..Settings::default() });
    let mut process = app.start();
    let writer = Writer::new();
    let deep = format!("{{\"a\":{}", "[".repeat(60_000));
    let large = format!(r#"{{"command":"note","incident_id":"inc_00000123456789abcdef","note":"{}"}}"#, "n".repeat(1 << 20));
    let poisons: Vec<Option<&[u8]>> = vec![
        None,
        Some(b""),
        Some(b"\xff\xfe\0"),
        Some(b"null"),
        Some(b"{\"command\":"),
        Some(b"{\"command\":{\"command\":\"close\"},\"type\":[],\"service_id\":5}"),
        Some(
            b"{\"command\":\"silence\",\"silence_id\":\"s\",\"matchers\":[{\"name\":\"a\",\"value\":\"(((\",\"isRegex\":true}]}",
        ),
        Some(deep.as_bytes()),
        Some(large.as_bytes()),
    ];
    for (n, poison) in poisons.iter().enumerate() {
        let partition = n as i32 % PARTITIONS as i32;
        writer.send_raw(&app.topic("commands"), partition, Some(b"k"), *poison);
        writer.send_raw(&app.topic("events"), partition, None, *poison);
    }
    // A shard that stood still would not open this.
    for n in 0..PARTITIONS * 4 {
        let service = format!("service-{n}");
        writer.send(&app.topic("alerts"), &service, format!(r#"{{"service_id":"{service}","title":"t"}}"#).as_bytes());
    }
    writer.flush();
    let mut letters = Vec::new();
    let mut reader = Reader::new(&app.topic("dead-letters"));
    wait_until("all poison in dead-letters", LIMIT, || {
        reader.read(|record| letters.push(record));
        (letters.len() >= poisons.len() * 2).then_some(())
    });
    wait_until("incidents of every shard", LIMIT, || {
        (read_all(&app.topic("incidents")).len() >= PARTITIONS as usize * 4).then_some(())
    });
    assert!(process.is_running());
    process.stop();
    assert_eq!(letters.len(), poisons.len() * 2);
    for (topic, stage) in [("commands", "command"), ("events", "event")] {
        let of_topic: Vec<&Record> =
            letters.iter().filter(|letter| letter.header("__incidentd.error.topic") == Some(app.topic(topic))).collect();
        assert_eq!(of_topic.len(), poisons.len());
        for poison in &poisons {
            let kept = poison.filter(|bytes| bytes.len() < 900 << 10);
            assert!(of_topic.iter().any(|letter| letter.value.as_deref() == kept), "{topic}: the bytes go on untouched");
        }
        for letter in of_topic {
            assert_eq!(letter.header("__incidentd.error.stage").as_deref(), Some(stage));
            assert!(letter.header("__incidentd.error.reason").is_some_and(|reason| !reason.is_empty()));
        }
    }
}
