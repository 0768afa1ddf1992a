//! `replay --against`: what a changed rule set would change, to the page.

use super::{folder, incidentd, text};
use serde_json::{Value, json};

const TEAMS: &str = "[teams.llm]\nmembers = [\"alice\"]\n";
const USERS: &str = "[users.alice]\nemail = \"alice@example.com\"\n";
const BEFORE: &str = r##"
notification(#{ name: "high", where: #{ severity: ["critical", "high"] }, channels: [slack("#pages")] });
notification(#{ name: "mail", where: #{ severity: "critical" }, channels: [email("alice@example.com")] });
escalation(#{ name: "critical", where: #{ severity: "critical" }, levels: [level(0, [user("alice")])] });
"##;
/// `high` is renamed and no longer for high; the mail comes for all; the policy is as it was.
const AFTER: &str = r##"
notification(#{ name: "pages", where: #{ severity: "critical" }, channels: [slack("#pages")] });
notification(#{ name: "mail", channels: [email("alice@example.com")] });
escalation(#{ name: "critical", where: #{ severity: "critical" }, levels: [level(0, [user("alice")])] });
"##;

fn history() -> String {
    let alert = |service: &str, severity: &str, at: &str| {
        json!({"service_id": service, "title": "slow", "severity": severity, "timestamp": at}).to_string() + "\n"
    };
    [
        alert("a", "critical", "2026-01-05T12:00:00Z"),
        alert("b", "high", "2026-01-05T12:10:00Z"),
        alert("b", "high", "2026-01-05T12:11:00Z"),
        alert("c", "high", "2026-01-05T13:10:00Z"),
        alert("d", "low", "2026-01-05T13:20:00Z"),
    ]
    .concat()
}

#[test]
fn pages_gained_and_lost_by_rule_team_and_hour() {
    let dir = folder(&[
        ("before/a.rhai", BEFORE),
        ("before/users.toml", USERS),
        ("before/teams.toml", TEAMS),
        ("after/a.rhai", AFTER),
        ("after/users.toml", USERS),
        ("after/teams.toml", TEAMS),
        ("history.jsonl", &history()),
    ]);
    let path = |name: &str| dir.path().join(name);
    let (history, before, after) = (path("history.jsonl"), path("before"), path("after"));
    let args = ["replay", "--input", text(&history), "--rules", text(&before), "--against", text(&after)];
    let (code, out, error) = incidentd(&[&args[..], &["--json"]].concat());
    assert_eq!(code, 0, "{error}");
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(said["incidents"], 4);
    // Before: slack for a, b, c; mail for a; alice for a. After: slack for a; mail for all four; alice for a.
    assert_eq!(said["pages"], json!({"before": 5, "after": 6, "gained": 3, "lost": 2}), "{said:#}");
    let rule = |name: &str| said["rules"].as_array().unwrap().iter().find(|rule| rule["rule"] == name).unwrap().clone();
    let counts = |name: &str| ["before", "after", "gained", "lost"].map(|key| rule(name)[key].clone());
    assert_eq!(counts("high"), [json!(3), Value::Null, json!(0), json!(2)]);
    assert_eq!(counts("pages"), [Value::Null, json!(1), json!(0), json!(0)], "renamed, it is the same page");
    assert_eq!(counts("mail"), [json!(1), json!(4), json!(3), json!(0)]);
    assert_eq!(counts("critical"), [json!(1), json!(1), json!(0), json!(0)]);
    assert_eq!(rule("high")["first_lost"][0]["service_id"], "b");
    assert_eq!(
        said["teams"],
        json!([
            {"team": "llm", "hour": "2026-01-05T12:00:00.000Z", "gained": 1, "lost": 0},
            {"team": "llm", "hour": "2026-01-05T13:00:00.000Z", "gained": 2, "lost": 0},
            {"team": "slack #pages", "hour": "2026-01-05T12:00:00.000Z", "gained": 0, "lost": 1},
            {"team": "slack #pages", "hour": "2026-01-05T13:00:00.000Z", "gained": 0, "lost": 1},
        ])
    );

    let (code, out, _) = incidentd(&args);
    assert_eq!(code, 0);
    for line in [
        "4 incidents. Pages: 5 under",
        ": 3 gained, 2 lost.",
        "notification `high`",
        "  loses 2:",
        "slack #pages: triggered, \"slow\" of b (high, inc_",
    ] {
        assert!(out.contains(line), "lacks {line:?}:\n{out}");
    }
    let (code, out, _) =
        incidentd(&["replay", "--input", text(&history), "--rules", text(&before), "--against", text(&before), "--json"]);
    let said: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &said["pages"]["gained"], &said["pages"]["lost"], &said["teams"]), (0, &json!(0), &json!(0), &json!([])));
}

#[test]
fn what_cannot_be_compared_is_said() {
    let (code, _, error) = incidentd(&["replay", "--input", "-", "--rules", "rules", "--against", "rules"]);
    assert!(code == 2 && error.contains("put it into a file"), "{error}");
    let (code, _, error) = incidentd(&["replay", "--input", "docs/history.jsonl", "--rules", "rules", "--against", "nowhere"]);
    assert!(code == 1 && error.contains("nowhere: cannot be read"), "{error}");
}
