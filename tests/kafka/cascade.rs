//! A cascade over services of different partitions and processes: its links stand whatever dies, and no page is lost.

use super::group::Group;
use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::{Reader, Writer};
use crate::support::wait_until;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const CHILDREN: usize = 16;
const TELL: &str = r##"notification(#{ name: "all", on: ["triggered", "unsuppressed"], channels: [slack("#all")] });"##;

/// The last version of each incident, and which were told of.
struct Seen {
    incidents: Reader,
    notifications: Reader,
    last: BTreeMap<String, Value>,
    /// Incident and event of each notification, by its id.
    told: BTreeMap<String, (String, String)>,
    doubled: Vec<String>,
}

impl Seen {
    fn new(app: &App) -> Seen {
        Seen {
            incidents: Reader::new(&app.topic("incidents")),
            notifications: Reader::new(&app.topic("notifications")),
            last: BTreeMap::new(),
            told: BTreeMap::new(),
            doubled: Vec::new(),
        }
    }

    fn look(&mut self) {
        let Seen { incidents, notifications, last, told, doubled } = self;
        incidents.read(|record| {
            let incident = record.json();
            last.insert(incident["id"].as_str().unwrap_or_default().to_owned(), incident);
        });
        notifications.read(|record| {
            let (action, text) = (record.json(), |value: &Value| value.as_str().unwrap_or_default().to_owned());
            let id = text(&action["id"]);
            if told.insert(id.clone(), (text(&action["incident_id"]), text(&action["event"]))).is_some() {
                doubled.push(id);
            }
        });
    }

    /// Those of dependent services.
    fn children(&self) -> impl Iterator<Item = &Value> {
        self.last.values().filter(|incident| incident["service_id"] != "core")
    }

    fn told_of(&self, incident: &Value, event: &str) -> bool {
        self.told.values().any(|(id, said)| incident["id"] == id.as_str() && said == event)
    }
}

fn alert(service: &str, key: &str, status: &str) -> Vec<u8> {
    let alert = json!({
        "service_id": service, "title": "down", "severity": "high", "dedup_key": key, "status": status,
    });
    alert.to_string().into_bytes()
}

#[test]
fn a_cascade_over_two_processes_links_suppresses_and_comes_back() {
    let _turn = turn();
    let services: Vec<String> = (0..CHILDREN).map(|n| format!("child-{n}")).collect();
    let lines: Vec<String> = services.iter().map(|service| format!("{service} = [\"core\"]")).collect();
    let app = App::new(
        "cascade",
        Settings {
            partitions: 8,
            workers: 1,
            rules: TELL.to_owned(),
            files: vec![("dependencies.toml", format!("[dependencies]\n{}\n", lines.join("\n")))],
            correlation: "hold = \"2s\"\norphan_grace = \"3s\"",
            kafka: "\"session.timeout.ms\" = \"3000\"\n\"heartbeat.interval.ms\" = \"500\"".to_owned(),
            ..Settings::default()
        },
    );
    let group = Group::new(&app);
    let first = app.start_dynamic("first");
    let second = app.start_dynamic("second");
    group.wait_members(2);
    let writer = Writer::new();
    let send = |service: &str, key: &str, status: &str| {
        writer.send(&app.topic("alerts"), service, &alert(service, key, status));
    };
    let mut seen = Seen::new(&app);

    send("core", "root", "firing");
    writer.flush();
    let core = wait_until("a page for the parent", LIMIT, || {
        seen.look();
        let core = seen.last.values().find(|incident| incident["service_id"] == "core")?;
        seen.told_of(core, "triggered").then(|| core["id"].clone())
    });
    let hangs = |incident: &Value| incident["parent_incident_id"] == core && incident["suppressed"] == true;
    services.iter().for_each(|service| send(service, "before", "firing"));
    writer.flush();
    wait_until("all children suppressed", LIMIT, || {
        seen.look();
        (seen.children().filter(|incident| hangs(incident)).count() == CHILDREN).then_some(())
    });
    // More come, and one of the processes dies over them.
    services.iter().for_each(|service| send(service, "during", "firing"));
    writer.flush();
    first.kill();
    group.wait_members(1);
    wait_until("the others linked, too", LIMIT, || {
        seen.look();
        (seen.children().filter(|incident| incident["parent_incident_id"] == core).count() == 2 * CHILDREN).then_some(())
    });

    send("core", "root", "resolved");
    writer.flush();
    wait_until("all orphans told of", LIMIT, || {
        seen.look();
        let told = |child: &Value| seen.told_of(child, "unsuppressed") || seen.told_of(child, "triggered");
        (seen.children().filter(|child| told(child)).count() == 2 * CHILDREN).then_some(())
    });
    second.stop();
    seen.look();
    assert_eq!(seen.doubled, Vec::<String>::new(), "no action stands twice");
    for child in seen.children() {
        assert_eq!(child["parent_incident_id"], core, "links stay as history: {child}");
        assert_eq!(child["suppressed"], false, "{child}");
        assert_eq!(child["correlation"]["type"], "cascade", "{child}");
    }
}
