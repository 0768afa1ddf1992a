//! A real Alertmanager tells incidentd: what fires, ends, flaps, is repeated or cut short becomes the right incidents.

use super::alertmanager::{Alertmanager, alert, ended, sum};
use crate::http::client::Client;
use crate::http::{app, ready};
use crate::kafka::turn;
use crate::support::app::{App, Settings};
use crate::support::client::read_all;
use crate::support::wait_until;
use serde_json::{Value, json};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// All incidents of a service, the newest first.
pub fn incidents(client: &Client, service: &str) -> Vec<Value> {
    let service = percent_encoding::utf8_percent_encode(service, percent_encoding::NON_ALPHANUMERIC);
    let list = client.get(&format!("/v1/incidents?service_id={service}")).expect(200);
    list["incidents"].as_array().expect("incidents").clone()
}

/// The only incident of a service, once it is as wanted.
pub fn the(client: &Client, service: &str, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    wait_until(&format!("{service}: {what}"), LIMIT, || {
        let found = incidents(client, service);
        assert!(found.len() <= 1, "{service} has one incident, not {found:#?}");
        found.into_iter().find(|incident| wanted(incident))
    })
}

fn events(incident: &Value) -> Vec<&str> {
    incident["timeline"].as_array().expect("a timeline").iter().filter_map(|entry| entry["event"].as_str()).collect()
}

fn refreshed(client: &Client) -> f64 {
    sum(&client.get("/metrics").text, "incidentd_alerts_total", "outcome=\"refreshed\"")
}

/// What was counted, by outcome, for alerts that are no repetition.
fn counted(client: &Client, outcome: &str) -> f64 {
    sum(&client.get("/metrics").text, "incidentd_alerts_total", &format!("outcome=\"{outcome}\""))
}

#[test]
fn what_fires_ends_flaps_is_repeated_or_cut_short_becomes_the_right_incidents() {
    let _turn = turn();
    // Twice is flapping, so that the test need not go to and fro six times.
    let settings = Settings { tables: "[flapping]\nreopens = 1".to_owned(), ..Settings::default() };
    let app = app("am", settings);
    let process = app.start();
    let client = ready(&process);
    let alertmanager = Alertmanager::start(&client.url);
    grouped(&client, &alertmanager);
    several_in_a_body(&client, &alertmanager);
    flapping(&client, &alertmanager, &app);
    repeated(&client, &alertmanager);
    cut_short(&client, &alertmanager);
    assert_eq!(alertmanager.metric("alertmanager_notifications_failed_total", "webhook"), 0.0, "nothing was refused");
    assert!(read_all(&app.topic("dead-letters")).is_empty());
    process.stop();
}

/// Three instances of one problem are one incident that counts three and ends with the last of them, however often each body
/// says all of them again.
fn grouped(client: &Client, alertmanager: &Alertmanager) {
    let pods: Vec<Value> = (0..3).map(|pod| alert("grouped", "grouped", &format!("pod-{pod}"), json!({}))).collect();
    alertmanager.take(&pods[..2]);
    let opened = the(client, "grouped", "two are counted", |it| it["occurrence_count"] == 2);
    assert_eq!(opened["severity"], "critical");
    assert_eq!(opened["environment"], "production");
    assert_eq!(opened["title"], "HighLatency");
    assert_eq!(opened["description"], "grouped is slow");
    assert_eq!(opened["metadata"]["runbook_url"], "https://wiki.example.com/latency");
    assert_eq!(opened["metadata"]["alert_manager_url"], "http://prometheus.example.com/graph?g0.expr=up");
    // The body that tells of the third has the first two again.
    alertmanager.take(&pods[2..]);
    the(client, "grouped", "three are counted", |it| it["occurrence_count"] == 3);

    let heard = refreshed(client);
    alertmanager.take(&[ended(&pods[0]), ended(&pods[1])]);
    wait_until("the third is said again beside the ends of two", LIMIT, || (refreshed(client) > heard).then_some(()));
    let still = the(client, "grouped", "it is there", |_| true);
    assert_eq!((&still["status"], &still["occurrence_count"]), (&json!("triggered"), &json!(3)), "one still fires");
    alertmanager.take(&[ended(&pods[2])]);
    let over = the(client, "grouped", "it is over", |it| it["status"] == "resolved");
    assert_eq!(over["occurrence_count"], 3);
    assert_eq!(over["id"], opened["id"]);
}

/// A body that holds alerts of several services, at home in several shards, is several incidents.
fn several_in_a_body(client: &Client, alertmanager: &Alertmanager) {
    let services: Vec<String> = (0..8).map(|n| format!("several-{n}")).collect();
    let all: Vec<Value> = services.iter().map(|service| alert("several", service, "pod", json!({}))).collect();
    alertmanager.take(&all);
    for service in &services {
        the(client, service, "it fires", |it| it["status"] == "triggered" && it["occurrence_count"] == 1);
    }
    alertmanager.take(&all.iter().map(ended).collect::<Vec<_>>());
    for service in &services {
        the(client, service, "it is over", |it| it["status"] == "resolved" && it["occurrence_count"] == 1);
    }
}

/// To and fro: one incident, each firing counted once; past the bound it says that it flaps and then says nothing.
fn flapping(client: &Client, alertmanager: &Alertmanager, app: &App) {
    for firing in 1..=4 {
        let it = alert("flapping", "flapping", "pod", json!({}));
        alertmanager.take(std::slice::from_ref(&it));
        let wanted = |it: &Value| it["status"] == "triggered" && it["occurrence_count"] == firing;
        the(client, "flapping", &format!("it fires, time {firing}"), wanted);
        alertmanager.take(&[ended(&it)]);
        the(client, "flapping", &format!("it ends, time {firing}"), |it| it["status"] == "resolved");
    }
    let it = the(client, "flapping", "it is there", |_| true);
    assert_eq!(it["occurrence_count"], 4);
    assert_eq!(events(&it).iter().filter(|event| **event == "reopened").count(), 3, "{:?}", events(&it));
    let told = read_all(&app.topic("notifications"));
    let told = told.iter().map(|record| record.json()).filter(|action| action["incident_id"] == it["id"]);
    let mut told: Vec<String> = told.map(|action| action["event"].as_str().expect("an event").to_owned()).collect();
    told.sort_unstable();
    // Nobody hears of the third and the fourth firing but by the one notice.
    assert_eq!(told, ["flapping", "reopened", "triggered"]);
}

/// `repeat_interval` says the same firing again, and that counts nothing.
fn repeated(client: &Client, alertmanager: &Alertmanager) {
    let it = alert("repeated", "repeated", "pod", json!({"repeats": "yes"}));
    let (before, merged) = (refreshed(client), counted(client, "merged"));
    alertmanager.take(std::slice::from_ref(&it));
    let first = the(client, "repeated", "it fires", |_| true);
    wait_until("it was said again three times", LIMIT, || (refreshed(client) >= before + 3.0).then_some(()));
    let seen = |it: &Value| it["last_seen_at"].as_str() > first["last_seen_at"].as_str();
    let again = the(client, "repeated", "it was seen later", seen);
    assert_eq!((&again["occurrence_count"], &again["status"]), (&json!(1), &json!("triggered")));
    assert_eq!(counted(client, "merged"), merged);
    alertmanager.take(&[ended(&it)]);
    the(client, "repeated", "it is over", |it| it["status"] == "resolved" && it["occurrence_count"] == 1);
}

/// `max_alerts` cuts a body: what is told counts, and the incident ends with what was told of.
fn cut_short(client: &Client, alertmanager: &Alertmanager) {
    let pods: Vec<Value> = (0..4).map(|pod| alert("cut", "cut", &format!("pod-{pod}"), json!({"truncated": "yes"}))).collect();
    alertmanager.take(&pods);
    the(client, "cut", "two are told of", |it| it["occurrence_count"] == 2);
    let heard = refreshed(client);
    // The ends of the last two are cut: told is that the first two fire on.
    alertmanager.take(&[ended(&pods[2]), ended(&pods[3])]);
    wait_until("the first two are said again", LIMIT, || (refreshed(client) >= heard + 2.0).then_some(()));
    the(client, "cut", "it fires on", |it| it["occurrence_count"] == 2 && it["status"] == "triggered");
    alertmanager.take(&[ended(&pods[0]), ended(&pods[1])]);
    the(client, "cut", "it is over", |it| it["occurrence_count"] == 2 && it["status"] == "resolved");
}
