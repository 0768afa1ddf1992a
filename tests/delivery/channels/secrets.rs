//! Secrets reach the receiver, and nothing else.

use super::email::MailServer;
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

/// Those of the settings too: Slack's token, Twilio's, the mail server's password.
#[tokio::test]
async fn a_setting_may_name_a_secret_and_goes_by_its_file_at_each_message() {
    let folder = tempfile::tempdir().unwrap();
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    let slack = Receiver::start(vec![ok(r#"{"ok":true,"channel":"C1","ts":"1.2"}"#)]).await;
    let twilio = Receiver::start(vec![Answer::Say(201, "", r#"{"sid":"SM1"}"#.to_owned())]).await;
    let mail = MailServer::start(json!({"user": "pager", "password": "new-password"}));
    let text = format!(
        "timeout = \"5s\"\nsecrets_dir = {:?}\n[delivery.slack]\ntoken = \"secret:SLACK_TOKEN\"\nbase_url = \"{}\"\n\
         [delivery.sms]\naccount_sid = \"AC\"\nauth_token = \"secret:TWILIO_TOKEN\"\nfrom = \"+1\"\nbase_url = \"{}\"\n\
         [delivery.email]\nsmtp = \"smtp://localhost:{}?tls=none\"\nfrom = \"p@example.com\"\nusername = \"pager\"\n\
         password = \"secret:MAIL_PASSWORD\"\n",
        folder.path(),
        slack.url(""),
        twilio.url(""),
        mail.port
    );
    let channels = channels(&text);
    let (to_slack, to_phone) =
        (message("slack", json!({"channel": "#ops", "token": "of a rule"})), message("sms", json!({"phone_numbers": ["+2"]})));
    let to_mail = message("email", json!({"recipients": ["a@example.org"]}));
    for (message, name) in [(&to_slack, "SLACK_TOKEN"), (&to_phone, "TWILIO_TOKEN"), (&to_mail, "MAIL_PASSWORD")] {
        refused(&channels.send(message, None).await, &format!("the secret {name} is missing"));
    }
    for token in ["old-token", "new-token"] {
        put("SLACK_TOKEN", token);
        put("TWILIO_TOKEN", token);
        delivered(&channels.send(&to_slack, None).await);
        delivered(&channels.send(&to_phone, None).await);
    }
    let seen =
        |receiver: &Receiver| receiver.requests().iter().map(|it| it.header("authorization").to_owned()).collect::<Vec<_>>();
    assert_eq!(seen(&slack), ["Bearer old-token", "Bearer new-token"]);
    assert_eq!(seen(&twilio), ["Basic QUM6b2xkLXRva2Vu", "Basic QUM6bmV3LXRva2Vu"]);
    put("MAIL_PASSWORD", "old-password");
    let sent = channels.send(&to_mail, None).await;
    refused(&sent, "535");
    assert!(!format!("{sent:?}").contains("old-password"), "{sent:?}");
    put("MAIL_PASSWORD", "new-password");
    delivered(&channels.send(&to_mail, None).await);
    mail.took();
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
