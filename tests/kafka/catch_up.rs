//! After a time away: what the backlog has resolved pages nobody, and its commands find their incidents (SPEC 4, catch-up).

use super::turn;
use crate::support::app::{App, Settings};
use crate::support::client::{Record, Writer, read_all};
use crate::support::wait_until;
use incidentd::model::home::home;
use incidentd::model::{IncidentId, Origin, Topic};
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(60);
const PARTITIONS: u32 = 2;
/// Enough for several fetches: read as they come, the commands would be first.
const BEFORE: u32 = 30_000;

#[test]
fn what_a_backlog_has_resolved_pages_nobody_and_its_commands_come_in_their_order() {
    let _turn = turn();
    let app = App::new("catch-up", Settings { partitions: PARTITIONS, workers: 1, ..Settings::default() });
    let writer = Writer::new();
    let alert = |service: &str, status: &str| {
        let alert = json!({"service_id": service, "title": service, "severity": "critical", "status": status});
        writer.send(&app.topic("alerts"), service, alert.to_string().as_bytes());
    };
    // All in one partition, so that its offsets are known.
    let mut services = (0..).map(|n| format!("service-{n}")).filter(|name| home(name.as_bytes(), PARTITIONS) == 0);
    let [resolved, commanded, firing] = [(); 3].map(|()| services.next().expect("there is no end of names"));
    alert(&resolved, "firing");
    for n in 0..BEFORE {
        let noise = json!({"service_id": firing, "title": "noise", "severity": "low", "dedup_key": format!("{}", n % 100),
            "description": "x".repeat(200)});
        writer.send(&app.topic("alerts"), &firing, noise.to_string().as_bytes());
    }
    alert(&commanded, "firing");
    alert(&firing, "firing");
    alert(&resolved, "resolved");
    writer.flush();
    let origin = Origin { topic: Topic::Alerts, partition: 0, offset: i64::from(BEFORE) + 1, index: 0 };
    let id = IncidentId::derive(0, &origin).to_string();
    let resolve = json!({"command": "resolve", "incident_id": id, "user": "alice", "resolution": "by hand"});
    writer.send_raw(&app.topic("commands"), 0, Some(id.as_bytes()), Some(resolve.to_string().as_bytes()));
    writer.flush();

    let process = app.start();
    let texts = |topic: &str, field: &dyn Fn(&Value) -> Value| -> BTreeSet<String> {
        let records = read_all(&app.topic(topic));
        let values = records.iter().filter(|record| record.value.is_some()).map(Record::json);
        values.filter_map(|value| field(&value).as_str().map(str::to_owned)).collect()
    };
    let paged = || texts("notifications", &|action| action["incident"]["title"].clone());
    wait_until("the page of what fires still", LIMIT, || paged().contains(&firing).then_some(()));
    assert_eq!(paged(), BTreeSet::from([firing.clone()]), "and of nothing else");
    let done = texts("incidents", &|incident| match incident["status"] == "resolved" {
        true => incident["title"].clone(),
        false => Value::Null,
    });
    assert_eq!(done, BTreeSet::from([resolved, commanded]), "both were resolved, the one by its command");
    assert_eq!(read_all(&app.topic("dead-letters")).len(), 0, "the command came after its incident");
    process.stop();
    assert_eq!(paged().len(), 1);
}
