//! `incidentd drill`: a test page through one rule reaches its targets, marked TEST, without a broker.

use crate::support::receiver::{Answer, Receiver};
use serde_json::Value;
use std::process::{Command, Output};

const RULES: &str = r##"notification(#{
    name: "hook", where: #{ service_id: "llm-*" },
    channels: |incident| [ webhook(`URL/ok/${incident.service_id}`), webhook("URL/gone") ],
});
escalation(#{ name: "policy", levels: [ level(0, [user("ann")]), level(5, [slack_channel("#llm")]) ] });
remediation(#{ name: "fix", actions: [ restart() ] });"##;

fn drill(receiver: &Receiver, arguments: &[&str]) -> Output {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).expect("a file");
    std::fs::create_dir(dir.path().join("rules")).expect("a folder");
    write("rules/a.rhai", &RULES.replace("URL", receiver.url()));
    write("rules/users.toml", "[users.ann]\nemail = \"ann@example.com\"\nphone = \"+4915550100\"\n");
    write("incidentd.toml", &format!("[rules]\ndir = \"{}\"\n", dir.path().join("rules").display()));
    let mut command = Command::new(env!("CARGO_BIN_EXE_incidentd"));
    command.arg("drill").args(arguments).arg("--config").arg(dir.path().join("incidentd.toml"));
    command.output().expect("incidentd starts")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn it_reaches_the_rules_own_targets_marked_as_a_test_and_says_what_became_of_each() {
    let receiver = Receiver::start(|request, _| Answer::of(if request.path.starts_with("/ok") { 204 } else { 410 }));
    let output = drill(&receiver, &["hook", "--service", "llm-gateway", "--json"]);
    assert_eq!(output.status.code(), Some(1), "one target was not reached: {}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(
        (&report["targets"][0]["delivered"], &report["targets"][1]["delivered"]),
        (&true.into(), &false.into()),
        "{report}"
    );
    assert!(report["targets"][1]["detail"].as_str().is_some_and(|detail| detail.contains("410")), "{report}");
    assert_eq!(report["caveats"], serde_json::json!([]));
    let requests = receiver.requests();
    assert_eq!(requests.iter().map(|request| request.path.as_str()).collect::<Vec<_>>(), ["/ok/llm-gateway", "/gone"]);
    assert!(text(&requests[0].body).contains("test"), "{}", text(&requests[0].body));
}

#[test]
fn it_says_when_the_rule_would_not_have_acted_and_whom_a_level_reaches() {
    let receiver = Receiver::start(|_, _| panic!("nothing is sent"));
    let output = drill(&receiver, &["hook", "--dry-run"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("its `where` does not take this incident"), "{}", text(&output.stdout));
    let people = text(&drill(&receiver, &["policy", "--dry-run"]).stdout);
    assert!(people.contains("+4915550100") && people.contains("ann@example.com"), "{people}");
    let level = text(&drill(&receiver, &["policy", "--level", "1", "--dry-run"]).stdout);
    assert!(level.contains("#llm"), "{level}");
    for (arguments, words) in [
        (["nobody", "--dry-run"].as_slice(), "there are hook, policy"),
        (&["fix"], "a drill starts none"),
        (&["policy", "--level", "2"], "there is no level 2"),
    ] {
        let output = drill(&receiver, arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(text(&output.stderr).contains(words), "{}", text(&output.stderr));
    }
}
