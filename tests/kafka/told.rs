//! Who is told, by what, and what stands in no topic: people by severity, each incident of a digest, and secrets by their names alone.

use super::turn;
use crate::delivery::channels::email::MailServer;
use crate::support::app::{App, Settings};
use crate::support::client::{Writer, read_all};
use crate::support::receiver::{Answer, Receiver};
use crate::support::wait_until;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A digest's interval is a minute at least.
const LIMIT: Duration = Duration::from_secs(100);

const RULES: &str = r##"notification(#{
    name: "batch", where: #{ category: "batch" }, channels: [ webhook("URL/digest") ], digest: #{ interval_minutes: 1 },
});
notification(#{ name: "keyed", where: #{ category: "keyed" }, channels: [
    pagerduty(secret("PD_KEY")), webhook("URL/signed", #{ secret: secret("HOOK_KEY"), headers: #{ authorization: secret("BEARER") } }),
] });
escalation(#{ name: "llm", where: #{ category: "llm" }, levels: [ level(0, [user("ann")]) ] });
notification(#{ name: "own", where: #{ service_id: "incidentd" }, channels: [ webhook("URL/own") ] });"##;

const TOPICS: [&str; 14] = [
    "alerts",
    "commands",
    "events",
    "incidents",
    "silences",
    "notifications",
    "escalations",
    "remediations",
    "decisions",
    "dead-letters",
    "incidentd-state",
    "incidentd-inbox",
    "incidentd-replies",
    "incidentd-delivery",
];

/// What each incident knows of its pages: channel, target, delivered; by service.
fn receipts(app: &App) -> BTreeMap<String, BTreeSet<String>> {
    let mut latest = BTreeMap::new();
    for record in read_all(&app.topic("incidents")) {
        let incident = record.json();
        let line = |receipt: &Value| {
            let part = |name: &str| receipt[name].as_str().unwrap_or_default().to_owned();
            format!("{} {} {}", part("channel"), part("target"), receipt["delivered"])
        };
        let told = incident["notifications"].as_array().map(|told| told.iter().map(line).collect());
        latest.insert(incident["service_id"].as_str().unwrap_or_default().to_owned(), told.unwrap_or_default());
    }
    latest
}

#[test]
fn people_by_severity_a_digest_for_each_and_secrets_for_nobody() {
    let _turn = turn();
    let mail = MailServer::start(json!({}));
    let receiver = Receiver::start(|request, _| match request.path.as_str() {
        "/v2/enqueue" => Answer::of(202),
        path if path.ends_with("/Messages.json") => Answer { body: r#"{"sid":"SM1"}"#.to_owned(), ..Answer::of(201) },
        _ => Answer::of(204),
    });
    let folder = tempfile::tempdir().expect("a folder");
    let put = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).expect("a file");
    put("PD_KEY", "pd-hunter2-first");
    put("HOOK_KEY", "whsec_aHVudGVyMi1odW50ZXIyLWh1bnRlcjI=");
    put("BEARER", "Bearer hunter2-bearer");
    let tables = format!(
        "[delivery]\nsecrets_dir = {:?}\n[delivery.pagerduty]\nbase_url = \"{url}\"\n[delivery.sms]\nbase_url = \"{url}\"\n\
         account_sid = \"AC1\"\nauth_token = \"hunter2-twilio\"\nfrom = \"+15550100\"\n[delivery.email]\n\
         smtp = \"smtp://localhost:{}\"\nfrom = \"Pager <pager@example.com>\"\n",
        folder.path(),
        mail.port,
        url = receiver.url(),
    );
    let users = "[users.ann]\nemail = \"ann@example.org\"\nphone = \"+4915550100\"\n".to_owned();
    let app = App::new(
        "told",
        Settings {
            roles: r#"["engine", "delivery"]"#,
            rules: RULES.replace("URL", receiver.url()),
            files: vec![("users.toml", users)],
            tables,
            publish_interval: "100ms",
            ..Settings::default()
        },
    );
    let process = app.start();
    let writer = Writer::new();
    let alert = |service: &str, category: &str, severity: &str| {
        let alert = json!({ "service_id": service, "title": "Down", "severity": severity, "category": category });
        writer.send(&app.topic("alerts"), service, alert.to_string().as_bytes());
        writer.flush();
    };
    (0..3).for_each(|number| alert(&format!("batch-{number}"), "batch", "low"));
    alert("llm-critical", "llm", "critical");
    alert("llm-high", "llm", "high");
    alert("keyed-1", "keyed", "low");
    let to = |path: &str| receiver.requests().into_iter().filter(|request| request.path == path).collect::<Vec<_>>();
    wait_until("the secrets are used", LIMIT, || (to("/v2/enqueue").len() == 1 && to("/signed").len() == 1).then_some(()));
    // From the next message on.
    put("PD_KEY", "pd-hunter2-second");
    alert("keyed-2", "keyed", "low");
    let keys = wait_until("the changed secret is used", LIMIT, || Some(to("/v2/enqueue")).filter(|events| events.len() == 2));
    assert_eq!(
        (&keys[0].json()["routing_key"], &keys[1].json()["routing_key"]),
        (&json!("pd-hunter2-first"), &json!("pd-hunter2-second"))
    );
    assert_eq!(to("/signed")[0].header("authorization"), "Bearer hunter2-bearer");
    assert!(to("/signed")[0].header("webhook-signature").starts_with("v1,"));

    // To ann: of the critical one an SMS and a letter, of the other a letter alone.
    let sms = to("/2010-04-01/Accounts/AC1/Messages.json");
    assert_eq!(sms.len(), 1);
    assert!(String::from_utf8_lossy(&sms[0].body).contains("Body=CRITICAL"), "{}", String::from_utf8_lossy(&sms[0].body));
    let subjects: BTreeSet<String> = [mail.took(), mail.took()]
        .iter()
        .map(|took| took["message"].as_str().unwrap_or_default().to_owned())
        .map(|letter| letter.lines().find(|line| line.starts_with("Subject:")).unwrap_or_default().trim().to_owned())
        .collect();
    assert_eq!(subjects, ["Subject: [CRITICAL] Down".to_owned(), "Subject: [HIGH] Down".to_owned()].into());

    let hook = format!("webhook {}/… true", receiver.url());
    let expected = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect::<BTreeSet<_>>();
    let wanted = BTreeMap::from([
        ("llm-critical", expected(&["email ann@example.org true", "sms +4915550100 true"])),
        ("llm-high", expected(&["email ann@example.org true"])),
        ("keyed-1", expected(&["pagerduty secret PD_KEY true", &hook])),
        ("keyed-2", expected(&["pagerduty secret PD_KEY true", &hook])),
        ("batch-0", expected(&[&hook])),
        ("batch-1", expected(&[&hook])),
        ("batch-2", expected(&[&hook])),
    ]);
    wait_until(&format!("each knows who was told: {wanted:?}"), LIMIT, || {
        let known = receipts(&app);
        wanted.iter().all(|(service, lines)| known.get(*service) == Some(lines)).then_some(())
    });
    let [digest] = &to("/digest")[..] else { panic!("one message for all three: {:?}", to("/digest")) };
    assert_eq!(digest.json()["incidents"].as_array().map(Vec::len), Some(3));
    let receipts = read_all(&app.topic("commands"))
        .iter()
        .map(|record| record.json())
        .filter(|it| it["action_id"] == digest.json()["id"])
        .count();
    assert_eq!(receipts, 3, "a receipt for each incident of the digest");
    process.stop();

    for topic in TOPICS {
        for record in read_all(&app.topic(topic)) {
            let headers = record.headers.iter().map(|(_, value)| value.as_slice());
            for bytes in [record.key.as_deref(), record.value.as_deref()].into_iter().flatten().chain(headers) {
                let text = String::from_utf8_lossy(bytes);
                assert!(!text.contains("hunter2") && !text.contains("aHVudGVyMi"), "a secret stands in {topic}: {text}");
            }
        }
    }
}
