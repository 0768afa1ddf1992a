//! `explain` on a replay's output: the sentences of one incident, oldest first.

use super::{folder, incidentd, text};
use serde_json::Value;

const RULES: &str = r##"
notification(#{ name: "pages", where: #{ severity: "critical" }, channels: [slack("#pages"), pagerduty(secret("PD"))] });
notification(#{ name: "mail", where: #{ severity: "critical" }, when: |incident| false, channels: [email("a@example.com")] });
notification(#{ name: "staging", where: #{ environment: "staging" }, channels: [slack("#staging")] });
escalation(#{ name: "ladder", where: #{ severity: "critical" }, levels: [level(0, [user("alice")]), level(10, [user("bob")])] });
"##;
const USERS: &str = "[users.alice]\nemail = \"alice@example.com\"\n[users.bob]\nemail = \"bob@example.com\"\n";
const HISTORY: &str = r#"{"service_id":"llm","title":"p99 above threshold","severity":"critical","timestamp":"2026-01-05T12:00:00Z"}
{"service_id":"other","title":"noise","severity":"critical","timestamp":"2026-01-05T12:01:00Z"}
{"advance":"10m"}
{"topic":"commands","value":{"command":"acknowledge","incident":{"service_id":"llm"},"user":"bob","note":"on it"},"at":"2026-01-05T12:12:00Z"}
{"topic":"commands","value":{"command":"resolve","incident":{"service_id":"llm"},"user":"bob","resolution":"more replicas"},"at":"2026-01-05T12:30:00Z"}
"#;

#[test]
fn an_incident_is_told_in_sentences_oldest_first() {
    let dir = folder(&[("rules/a.rhai", RULES), ("rules/users.toml", USERS), ("history.jsonl", HISTORY)]);
    let path = |name: &str| dir.path().join(name);
    let (history, rules, out) = (path("history.jsonl"), path("rules"), path("out.jsonl"));
    let (code, _, error) = incidentd(&["replay", "--input", text(&history), "--rules", text(&rules), "--output", text(&out)]);
    assert_eq!(code, 0, "{error}");

    let (code, listed, _) = incidentd(&["explain", "--input", text(&out), "--json"]);
    let listed: Value = serde_json::from_str(&listed).unwrap();
    assert_eq!((code, listed.as_array().unwrap().len()), (0, 2));
    let id = listed[0]["incident_id"].as_str().unwrap().to_owned();
    assert_eq!(listed[0]["service_id"], "llm");

    let (code, said, error) = incidentd(&["explain", &id, "--input", text(&out)]);
    assert_eq!(code, 0, "{error}");
    let said: Vec<&str> = said.lines().collect();
    assert_eq!(said[0], format!("{id}  \"p99 above threshold\" of llm: critical, production, resolved, 1 occurrence."));
    let hash = said.iter().find(|line| line.contains("Rule set `")).expect("the rule set in force");
    let expected = [
        "2026-01-05 12:00:00  An alert of llm opened it: \"p99 above threshold\" (critical, uncategorized, production).",
        "2026-01-05 12:00:00  Level 0 of its escalation fired, for alice.",
        hash,
        "2026-01-05 12:00:00  On triggered: policy `ladder` paged alice (level 0).",
        "2026-01-05 12:00:00  On triggered: notification `mail` did not act: its `when` said no.",
        "2026-01-05 12:00:00  On triggered: notification `pages` told slack #pages and pagerduty PD.",
        "2026-01-05 12:00:00  On triggered: notification `staging` is not for it: environment is production, the rule wants staging.",
        "2026-01-05 12:10:00  Level 1 of its escalation fired, for bob.",
        "2026-01-05 12:10:00  On escalated: policy `ladder` paged bob (level 1).",
        "2026-01-05 12:12:00  bob acknowledged it: on it.",
        "2026-01-05 12:30:00  bob resolved it: more replicas.",
    ];
    let told: Vec<&str> = said[2..].to_vec();
    assert_eq!(told, expected, "\n{}", said.join("\n"));

    let (_, json, _) = incidentd(&["explain", &id, "--input", text(&out), "--json"]);
    let story: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(story["sentences"].as_array().unwrap().len(), expected.len());
    assert_eq!(story["sentences"][0]["source"], "timeline");
}

#[test]
fn what_is_not_there_is_said_with_the_remedy() {
    let dir = folder(&[("out.jsonl", ""), ("wrong.jsonl", "{}\n")]);
    let path = |name: &str| dir.path().join(name);
    let (out, wrong) = (path("out.jsonl"), path("wrong.jsonl"));
    let id = "inc_00010000000000000001";
    for (args, code, says) in [
        (vec!["explain", id, "--input", text(&out)], 1, "lists the incidents in it"),
        (vec!["explain", "incident-1", "--input", text(&out)], 1, "it looks like inc_"),
        (vec!["explain", id, "--input", text(&wrong)], 1, "wrong.jsonl:1: not a line of a replay's output"),
        (vec!["explain", "--input", text(&out)], 1, "no incident is in it"),
        (vec!["explain"], 2, "<INCIDENT>"),
    ] {
        let (actual, _, error) = incidentd(&args);
        assert!(actual == code && error.contains(says), "{args:?}: {actual} {error}");
    }
}
