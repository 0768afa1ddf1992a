//! Kafka is away while a real Alertmanager tells: it hears 503, keeps trying, and nothing is lost or counted twice.

use super::alertmanager::{Alertmanager, alert, ended, sum};
use super::webhooks::the;
use crate::http::{app, ready};
use crate::kafka::turn;
use crate::support::app::Settings;
use crate::support::broker::Cluster;
use crate::support::wait_until;
use serde_json::json;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(45);

#[test]
fn what_alertmanager_tells_while_kafka_is_away_arrives_when_it_is_back() {
    let _turn = turn();
    let mut cluster = Cluster::start(1);
    let app = app("am-outage", Settings { bootstrap: Some(cluster.bootstrap().to_owned()), ..Settings::default() });
    let process = app.start();
    let client = ready(&process);
    let alertmanager = Alertmanager::start(&client.url);
    let before = alert("before", "before", "pod", json!({}));
    alertmanager.take(std::slice::from_ref(&before));
    the(&client, "before", "it fires", |it| it["status"] == "triggered");

    cluster.kill(0);
    alertmanager.take(&[ended(&before), alert("during", "during", "pod", json!({}))]);
    let answers = |metrics: &str, status: &str| {
        sum(metrics, "incidentd_http_requests_total", &format!("route=\"/v1/webhooks/alertmanager\",status=\"{status}"))
    };
    wait_until("Alertmanager was told no, and tried again, for both groups", LIMIT, || {
        (answers(&client.get("/metrics").text, "503") >= 4.0).then_some(())
    });
    let metrics = client.get("/metrics").text;
    assert_eq!(answers(&metrics, "") - answers(&metrics, "503"), 1.0, "200 was said once, before Kafka went away");

    cluster.restart(0);
    let over = the(&client, "before", "its end, told while Kafka was away", |it| it["status"] == "resolved");
    assert_eq!(over["occurrence_count"], 1);
    // However many of the refused attempts came through after all.
    let fires = the(&client, "during", "it fires", |it| it["status"] == "triggered");
    assert_eq!(fires["occurrence_count"], 1);
    wait_until("Alertmanager has nothing more to say", LIMIT, || {
        let waiting = alertmanager.metric("alertmanager_notification_requests_total", "webhook")
            - alertmanager.metric("alertmanager_notification_requests_failed_total", "webhook");
        (waiting >= 3.0).then_some(())
    });
    the(&client, "during", "it counts one", |it| it["occurrence_count"] == 1);
    process.stop();
}
