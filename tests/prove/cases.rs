//! `rules test`: the shipped cases, a failing one with its reason, wrong files with theirs, and the reports for programs.

use super::{folder, incidentd, text};
use serde_json::Value;
use std::collections::BTreeSet;

const RULES: &str = r##"// Pages.
notification(#{
    name: "pages",
    where: #{
        severity: ["critical", "high"],
        environment: "production",
    },
    when: |incident| incident.labels.tenant_id != "sandbox",
    channels: [slack("#pages")],
});
notification(#{ name: "afterwards", on: ["resolved"], channels: [slack("#after")] });
"##;

fn run(case: &str, more: &[&str]) -> (i32, String, String) {
    let dir = folder(&[("pages.rhai", RULES), ("tests/pages.yaml", case)]);
    let mut args = vec!["rules", "test", text(dir.path())];
    args.extend(more);
    incidentd(&args)
}

#[test]
fn the_shipped_cases_pass_and_touch_every_rule() {
    let (code, out, error) = incidentd(&["rules", "test", "rules", "--json"]);
    let report: Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{error}"));
    assert_eq!((code, &report["failed"]), (0, &Value::from(0)), "{report:#}");
    let touched = report["touched"].as_array().unwrap().iter();
    let touched: BTreeSet<String> =
        touched.map(|rule| format!("{} {}", rule["kind"].as_str().unwrap(), rule["rule"].as_str().unwrap())).collect();
    let source = incidentd::rules_dir::read("rules".as_ref()).unwrap();
    let rules = incidentd::replay::load_rules(&source).unwrap();
    let all = (rules.notifications().iter().map(|rule| format!("notification {}", rule.name)))
        .chain(rules.escalations().iter().map(|rule| format!("escalation {}", rule.name)))
        .chain(rules.remediations().iter().map(|rule| format!("remediation {}", rule.name)));
    let untouched: Vec<String> = all.filter(|rule| !touched.contains(rule)).collect();
    assert!(untouched.is_empty(), "{untouched:?}");
}

/// Each with what a person must read to mend the rule or the case.
#[test]
fn a_failing_case_shows_the_decision_that_made_the_difference() {
    for (steps, says) in [
        // One field of `where`.
        (
            "[{ alert: { service_id: llm, severity: medium } }, { notified: pages }]",
            &[
                "tests/pages.yaml:3:",
                "expected  notified: pages",
                "actual    nobody was notified",
                "because   on triggered: notification `pages` is not for it: severity is medium, the rule wants critical or high",
                "--> pages.rhai:5:9",
                "5 |         severity: [\"critical\", \"high\"],",
            ][..],
        ),
        // Several, which no decision lists.
        (
            "[{ alert: { service_id: llm, severity: low, environment: staging } }, { notified: pages }]",
            &["severity is low", "environment is staging", "--> pages.rhai:"],
        ),
        (
            "[{ alert: { service_id: llm, severity: high, labels: { tenant_id: sandbox } } }, { notified: pages }]",
            &["did not act: its `when` said no", "--> pages.rhai:8:5", "actual    `default_channels` told slack #ops"],
        ),
        (
            "[{ alert: { service_id: llm, severity: high } }, { notified: afterwards }]",
            &["notification `afterwards` listens to resolved, and what happened was triggered", "--> pages.rhai:11:"],
        ),
        (
            "[{ alert: { service_id: llm, severity: high } }, { nothing: true }]",
            &[
                "expected  nothing",
                "`pages` told slack #pages on triggered of llm",
                "notification `pages` acted",
                "--> pages.rhai:2:1",
            ],
        ),
        (
            "[{ alert: { service_id: llm, severity: high } }, { notified: pages }, { wait: 1m }, { notified: pages }]",
            &["these steps led to no event that rules are asked about"],
        ),
        (
            "[{ alert: { service_id: llm, severity: high } }, { not_notified: { rule: afterwards, reason: when } }]",
            &["expected  not notified: afterwards, reason when", "actual    `afterwards` was no candidate"],
        ),
        ("[{ alert: { severity: high } }, { nothing: true }]", &["expected  the record is taken", "it was refused: service_id"]),
        (
            "[{ alert: { service_id: llm } }, { incident: { status: resolved } }]",
            &["expected  incident: {\"status\":\"resolved\"}", "actual    status is \"triggered\""],
        ),
        (
            "[{ alert: { service_id: llm, severity: high } }, { notified: { rule: pages, to: \"#others\" } }]",
            &["expected  notified: pages, to #others", "actual    `pages` told slack #pages"],
        ),
        (
            "[{ alert: { service_id: llm, severity: high }, times: 3, every: 1m }, { notified: { rule: pages, times: 3 } }]",
            &["expected  notified: pages, 3 times", "actual    `pages` told slack #pages"],
        ),
    ] {
        let (code, out, error) = run(&format!("cases:\n  - name: a case\n    steps: {steps}\n"), &[]);
        assert_eq!(code, 1, "{steps}\n{out}{error}");
        assert!(error.ends_with("1 of 1 cases failed\n"), "{error}");
        for part in says {
            assert!(out.contains(part), "{steps}\nlacks {part:?}:\n{out}");
        }
    }
}

/// Place, message and remedy of each.
#[test]
fn a_wrong_file_is_refused_with_its_place_and_remedy() {
    let case = |steps: &str| format!("cases:\n  - name: a\n    steps:\n{steps}");
    for (file, place, says, help) in [
        ("cases: [".to_owned(), ":1:", "not YAML", "indentation"),
        ("casse: []\n".to_owned(), ":1:1", "unknown key `casse`", "did you mean `cases`?"),
        ("cases: 5\n".to_owned(), ":1:8", "`cases` is a list, not 5", "`name`"),
        ("- a\n".to_owned(), ":1:1", "a file of cases is a map, not a list", "`cases`"),
        ("cases:\n  - steps: []\n".to_owned(), ":2:5", "without a `name`", "sentence"),
        ("cases:\n  - name: a\n".to_owned(), ":2:5", "without `steps`", "alert:"),
        ("cases:\n  - name: a\n    name: b\n".to_owned(), ":3:5", "stands twice", "keep one"),
        (case("      - alert: { service_id: a }\n"), ":2:5", "expects nothing cannot fail", "notified"),
        (case("      - notified: pages\n"), ":4:9", "nothing has happened yet", "alert:"),
        (case("      - alret: { service_id: a }\n      - nothing\n"), ":4:9", "unknown key `alret`", "did you mean `alert`?"),
        (case("      - alert: { service_id: a }\n        wait: 5m\n      - nothing\n"), ":5:9", "`wait` is a second step", "own"),
        (case("      - alert: { service_id: a }\n      - wait: 5\n      - nothing\n"), ":5:15", "a length of time", "15m"),
        (
            case("      - alert: { service_id: a }\n      - notified: pagse\n"),
            ":5:19",
            "no notification rule `pagse`",
            "did you mean `pages`?",
        ),
        (case("      - alert: { service_id: a }\n      - escalated: x\n"), ":5:20", "no escalation rule `x`", "there is none"),
        (
            case("      - alert: { service_id: a }\n      - notified: { rule: pages, chanel: slack }\n"),
            ":5:34",
            "unknown key `chanel`",
            "did you mean `channel`?",
        ),
        (
            case("      - alert: { service_id: a }\n      - not_notified: { rule: pages, reason: wehre }\n"),
            ":5:46",
            "`reason` knows no `wehre`",
            "did you mean `where`?",
        ),
        (
            case("      - alert: { service_id: a }\n      - not_notified: { reason: where }\n"),
            ":5:23",
            "a `reason` without a rule",
            "add `rule`",
        ),
        (
            case("      - alert: { service_id: a }\n      - notified:\n          to: #ops\n"),
            ":6:13",
            "`to` is a text, not nothing",
            "quotes",
        ),
        (
            case("      - alert: { service_id: a }\n        times: 0\n      - nothing\n"),
            ":5:16",
            "a whole number from 1",
            "times: 10",
        ),
        (
            case("      - alert: { service_id: a }\n      - incident: { state: resolved }\n"),
            ":5:21",
            "unknown key `state`",
            "did you mean `status`?",
        ),
        (
            case("      - alert: { service_id: a }\n      - notified: { rule: pages, event: opened }\n"),
            ":5:41",
            "`event` knows no `opened`",
            "did you mean `reopened`?",
        ),
        (
            case(
                "      - alert: { service_id: a }\n      - nothing\n  - name: a\n    steps: [{ alert: { service_id: a } }, { nothing: true }]\n",
            ),
            ":6:5",
            "stands in line 2 already",
            "own",
        ),
    ] {
        let (code, out, error) = run(&file, &[]);
        assert_eq!(code, 1, "{file}\n{out}");
        for part in [&format!("tests/pages.yaml{place}"), says, help] {
            assert!(error.contains(part), "{file}\nlacks {part:?}:\n{error}");
        }
    }
    let dir = folder(&[
        ("pages.rhai", RULES),
        ("tests/pages.toml", "[[cases]]\nname = \"a\"\nsteps = [{ wait = \"1x\" }, { nothing = true }]\n"),
    ]);
    let (code, _, error) = incidentd(&["rules", "test", text(dir.path())]);
    assert!(code == 1 && error.contains("tests/pages.toml:3:19"), "{error}");
    let dir = folder(&[("pages.rhai", RULES)]);
    let (code, _, error) = incidentd(&["rules", "test", text(dir.path())]);
    assert!(code == 1 && error.contains("there are no cases") && error.contains("docs/rules.md"), "{error}");
}

#[test]
fn hostile_files_end_in_an_error() {
    let bomb = (1..30).fold("cases:\n  - &a0 [x, x]\n".to_owned(), |text, n| format!("{text}  - &a{n} [*a{0}, *a{0}]\n", n - 1));
    let deep = format!("cases: {}", "[".repeat(10_000));
    for file in [bomb.as_str(), deep.as_str(), "cases: !!binary x\n\0", "\u{feff}cases: [&a [*a]]\n", "%YAML 9\n---\n---\n"] {
        let (code, _, error) = run(file, &[]);
        assert_eq!(code, 1, "{error}");
        assert!(error.contains("tests/pages.yaml:"), "{error}");
    }
}

#[test]
fn the_filter_the_report_for_programs_and_junit() {
    const TWO: &str = "cases:\n  - name: right\n    steps: [{ alert: { service_id: llm, severity: high } }, { notified: pages }]\n  - name: wrong <&>\n    steps: [{ alert: { service_id: llm, severity: low } }, { notified: pages }]\n";
    let (code, out, error) = run(TWO, &["--filter", "right"]);
    assert_eq!(code, 0, "{out}{error}");
    assert!(out.contains("1 cases passed, 1 left out by the filter"), "{out}");
    let (code, _, error) = run(TWO, &["--filter", "nowhere"]);
    assert!(code == 1 && error.contains("holds `nowhere`; there are 2 cases"), "{error}");

    let (code, out, _) = run(TWO, &["--json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &report["passed"], &report["failed"]), (1, &Value::from(1), &Value::from(1)));
    let failing = &report["cases"][1]["failing"][0];
    assert_eq!((&failing["line"], &failing["because"][0]["code"]["line"]), (&Value::from(5), &Value::from(5)));

    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("report.xml");
    run(TWO, &["--junit", text(&path)]);
    let report = quick_junit::Report::deserialize_from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
    assert_eq!((report.tests, report.failures), (2, 1));
    assert_eq!(report.test_suites[0].test_cases[1].name.as_str(), "wrong <&>");
}
