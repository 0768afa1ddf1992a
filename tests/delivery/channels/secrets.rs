//! Secrets reach the receiver, and nothing else.

use super::receiver::{Answer, Receiver, ok};
use super::{channels, delivered, message, refused};
use incidentd::delivery::channel::Sent;
use serde_json::json;

#[tokio::test]
async fn a_changed_file_counts_from_the_next_message_on() {
    let folder = tempfile::tempdir().unwrap();
    let receiver = Receiver::start(vec![Answer::Say(202, "", "{}".to_owned())]).await;
    let text = format!("secrets_dir = {:?}\n[delivery.pagerduty]\nbase_url = \"{}\"", folder.path(), receiver.url(""));
    let channels = channels(&text);
    let message = message("pagerduty", json!({"service_key": {"$secret": "PD_SRE_OF_TEST"}}));
    refused(&channels.send(&message, None).await, "the secret PD_SRE_OF_TEST is missing");
    for key in ["first", "second"] {
        std::fs::write(folder.path().join("PD_SRE_OF_TEST"), format!("{key}\n")).unwrap();
        delivered(&channels.send(&message, None).await);
    }
    let keys: Vec<_> = receiver.requests().iter().map(|request| request.json()["routing_key"].clone()).collect();
    assert_eq!(keys, ["first", "second"]);
}

#[tokio::test]
async fn no_outcome_repeats_a_secret() {
    let folder = tempfile::tempdir().unwrap();
    let secret = "hunter2-hunter2";
    // A receiver that says back what it was sent, as some do.
    let receiver =
        Receiver::start(vec![Answer::Say(400, "", format!("bad header {secret}, bad token xoxb-very-secret, bad /T0/{secret}"))])
            .await;
    let url = receiver.url(&format!("/T0/{secret}"));
    std::fs::write(folder.path().join("TOKEN"), secret).unwrap();
    std::fs::write(folder.path().join("URL"), &url).unwrap();
    std::fs::write(folder.path().join("DEAD"), format!("http://{}/T0/{secret}", super::receiver::nobody().await)).unwrap();
    let text = format!(
        "secrets_dir = {:?}\n[delivery.slack]\ntoken = \"xoxb-very-secret\"\nbase_url = \"{}\"",
        folder.path(),
        receiver.url("")
    );
    let channels = channels(&text);
    for (channel, config) in [
        ("webhook", json!({"url": url, "headers": {"authorization": {"$secret": "TOKEN"}}})),
        ("webhook", json!({"url": {"$secret": "URL"}, "headers": {"x": {"$secret": "TOKEN"}}})),
        ("webhook", json!({"url": {"$secret": "DEAD"}})),
        ("slack", json!({"channel": "#ops", "mention": {"$secret": "TOKEN"}})),
    ] {
        let message = message(channel, config.clone());
        let sent = channels.send(&message, None).await;
        let (Sent::Again { why, .. } | Sent::Refused { why }) = &sent else { panic!("{sent:?}") };
        assert!(!why.contains("hunter2") && !why.contains("xoxb"), "{config}: {why}");
        assert!(!message.target.label().contains("hunter2"), "{}", message.target.label());
    }
    let seen = receiver.requests();
    assert_eq!(seen[0].header("authorization"), secret);
    assert_eq!(seen[1].target, format!("/T0/{secret}"));
}

#[tokio::test]
async fn the_path_of_a_url_is_treated_as_a_secret() {
    let receiver = Receiver::start(vec![Answer::Say(404, "", "no hook at /T1/open-token?k=v".to_owned())]).await;
    let sent = channels("").send(&message("webhook", json!({"url": receiver.url("/T1/open-token?k=v")})), None).await;
    refused(&sent, "answered 404: no hook at (hidden)");
}

#[tokio::test]
async fn a_password_in_the_url_goes_into_a_header() {
    let receiver = Receiver::start(vec![ok("")]).await;
    let url = format!("http://user:p%40ss@{}/hook", receiver.address);
    delivered(&channels("").send(&message("webhook", json!({"url": url})), None).await);
    let request = receiver.request();
    assert_eq!((request.target.as_str(), request.header("authorization")), ("/hook", "Basic dXNlcjpwQHNz"));
}
