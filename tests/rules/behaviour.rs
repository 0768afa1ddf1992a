//! What rules that load do: who matches, what is near, what closures see and return.

use super::{load, loaded, source};
use incidentd::model::{
    Channel, Environment, EventSet, Fingerprint, Incident, IncidentId, Metadata, Origin, RuleEvent, Severity, Status, Time, Topic,
};
use incidentd::rules::{Context, Limits, RuleSet, ScriptError};
use serde_json::{Value, json};
use std::sync::Arc;

/// A high incident of `llm-gateway` in production, region eu-west-1.
pub fn incident() -> Incident {
    let origin = Origin { topic: Topic::Alerts, partition: 3, offset: 7, index: 0 };
    Incident {
        id: IncidentId::derive(3, &origin),
        fingerprint: Fingerprint::of_dedup_key("k"),
        dedup_key: None,
        title: "Latency above 5 s".to_owned(),
        description: String::new(),
        severity: Severity::High,
        category: "model_performance".to_owned(),
        service_id: "llm-gateway".to_owned(),
        environment: Environment::Production,
        status: Status::Triggered,
        triggered_at: Time(1_768_471_200_000),
        acknowledged_at: None,
        acknowledged_by: None,
        resolved_at: None,
        resolved_by: None,
        resolution: None,
        labels: [("region", "eu-west-1"), ("replicas", "7")].map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect(),
        metadata: match json!({"threshold": 5, "current_value": 7.5, "nested": {"list": [1, 2, null]}}) {
            Value::Object(map) => Metadata(map),
            _ => Metadata::default(),
        },
        parent_incident_id: None,
        related_incident_ids: Vec::new(),
        related_more: 0,
        suppressed: false,
        correlation: None,
        silenced_by: Vec::new(),
        snoozed_until: None,
        notifications: Vec::new(),
        notifications_more: 0,
        escalation_level: 0,
        escalation_policy_id: None,
        assigned_to: None,
        timeline: Vec::new(),
        occurrence_count: 4,
        first_seen_at: Time(1_768_471_200_000),
        last_seen_at: Time(1_768_471_260_000),
        version: 1,
        last_alert: origin,
    }
}

const TRIGGERED: EventSet = EventSet::EMPTY.with(RuleEvent::Triggered);

fn context() -> Context {
    Context::new(Time(1_768_471_290_000), RuleEvent::Triggered)
}

fn matched<'a>(set: &'a RuleSet, incident: &Incident, events: EventSet) -> Vec<&'a str> {
    set.matches(incident, events).matched.into_iter().map(|rule| set.notifications()[rule].name.as_str()).collect()
}

fn channels(set: &RuleSet, rule: usize) -> Result<Vec<Channel>, ScriptError> {
    set.channels(rule, &Arc::new(incident()), &context())
}

/// What `when: |incident, context| …` says of the incident above.
fn when(expression: &str) -> Result<bool, ScriptError> {
    let rule = format!("notification(#{{ name: \"a\", when: |incident, context| {expression}, channels: [slack(\"#ops\")] }});");
    loaded(&rule).when(0, &Arc::new(incident()), &context())
}

#[test]
fn all_fields_of_where_must_hold_and_one_value_of_each_is_enough() {
    for (matcher, holds) in [
        ("#{}", true),
        ("#{ severity: \"high\" }", true),
        ("#{ severity: [\"critical\", \"high\"], environment: \"production\" }", true),
        ("#{ severity: [\"critical\", \"high\"], environment: \"staging\" }", false),
        ("#{ service_id: \"llm-*\", labels: #{ region: [\"us-*\", \"eu-*\"] } }", true),
        ("#{ service_id: \"*gateway\", title: \"*above*\" }", true),
        ("#{ service_id: \"llm\" }", false),
        ("#{ category: \"*\", labels: #{ \"replicas\": \"7\" } }", true),
        ("#{ labels: #{ tenant: \"*\" } }", false),
        ("#{ severity: \"*\" }", true),
    ] {
        let set = loaded(&format!("notification(#{{ name: \"a\", where: {matcher}, channels: [slack(\"#ops\")] }});"));
        assert_eq!(!matched(&set, &incident(), TRIGGERED).is_empty(), holds, "{matcher}");
    }
}

#[test]
fn matches_come_by_priority_then_name_and_only_for_their_events() {
    let set = loaded(
        r##"
        notification(#{ name: "b", channels: [slack("#b")] });
        notification(#{ name: "late", on: "resolved", priority: 9, channels: [slack("#b")] });
        notification(#{ name: "a", channels: [slack("#a")] });
        notification(#{ name: "off", enabled: false, priority: -1, channels: [slack("#a")] });
        notification(#{ name: "top", on: ["triggered", "resolved"], priority: 100, channels: [slack("#t")] });
        "##,
    );
    assert_eq!(matched(&set, &incident(), TRIGGERED), ["top", "a", "b", "off"]);
    assert_eq!(matched(&set, &incident(), EventSet::EMPTY.with(RuleEvent::Resolved)), ["top", "late"]);
    assert_eq!(matched(&set, &incident(), EventSet::EMPTY.with(RuleEvent::Closed)), [""; 0]);
}

#[test]
fn a_near_miss_says_what_is_and_what_should_be() {
    let set = loaded(
        r##"
        notification(#{ name: "a", where: #{ severity: ["low", "info"] }, channels: [slack("#a")] });
        notification(#{ name: "b", where: #{ severity: "high", labels: #{ tenant: "acme" } }, channels: [slack("#a")] });
        notification(#{ name: "c", where: #{ severity: "low", service_id: "x" }, channels: [slack("#a")] });
        notification(#{ name: "d", enabled: false, where: #{ severity: "low" }, channels: [slack("#a")] });
        "##,
    );
    let near = set.matches(&incident(), TRIGGERED).near;
    assert_eq!(
        near,
        [
            (0, "severity is high, the rule wants info or low".to_owned()),
            (1, "labels.tenant is missing, the rule wants acme".to_owned())
        ]
    );
}

#[test]
fn of_many_near_misses_twenty_are_listed_and_the_rest_counted() {
    let rules = (0..50).map(|n| {
        format!("notification(#{{ name: \"r{n}\", where: #{{ service_id: \"s{n}\" }}, channels: [slack(\"#a\")] }});\n")
    });
    let matches = loaded(&rules.collect::<String>()).matches(&incident(), TRIGGERED);
    assert_eq!((matches.matched.len(), matches.near.len(), matches.near_more), (0, 20, 30));
}

#[test]
fn closures_see_the_incident_and_the_context() {
    for expression in [
        "incident.severity == \"high\" && incident.status == \"triggered\"",
        "incident.labels.region.starts_with(\"eu-\")",
        "incident.labels[\"region\"] == \"eu-west-1\"",
        "incident.labels.missing == () && (incident.labels.missing ?? \"none\") == \"none\"",
        "incident.metadata.current_value > incident.metadata.threshold",
        "incident.metadata.missing == () && incident.metadata?.missing?.deeper == ()",
        "(incident.metadata.nested?.list ?? [0, 2])[1] == 2",
        "\"region\" in incident.labels && !(\"tenant\" in incident.labels)",
        "num(incident.labels.replicas ?? 0) > 5 || incident.labels.replicas != \"7\"",
        "num(\"5.5\") == 5.5 && num(\"x\") == () && num(3) == 3",
        "incident.occurrence_count > 3 || context.event == \"triggered\"",
        "context.now - incident.first_seen_at == 90000 || incident.version == 1",
        "incident.triggered_at <= context.now || incident.triggered_at.hour == 10",
        "`${incident.triggered_at}` == \"2026-01-15T10:00:00.000Z\"",
        "incident.triggered_at.weekday == 4 && incident.triggered_at.hour == 10",
        "incident.acknowledged_by == () || incident.acknowledged_by == \"alice\"",
        "incident.timeline.len() == 0 && incident.notifications == []",
        "context.event == \"triggered\" && incident.last_alert.topic == \"alerts\"",
    ] {
        // On the samples of the check some labels are missing; so each is guarded where it must be.
        let guarded = expression.replace("incident.labels.region.starts_with", "(incident.labels.region ?? \"\").starts_with");
        assert_eq!(when(&guarded), Ok(true), "{expression}");
    }
}

#[test]
fn channels_are_maps_constructors_or_a_closure_and_nothing_is_dropped_but_unit() {
    let set = loaded(
        r##"
        let team = "llm";
        notification(#{
            name: "a",
            channels: |incident| [
                slack(`#${incident.service_id}`, #{ mention: "@oncall", thread_updates: true }),
                if incident.severity == "critical" { sms("+15550100") },
                pagerduty(secret("PD_SRE")),
                #{ type: "email", config: #{ recipients: [team + "@example.com"], cc: "b@example.com" } },
            ],
        });
        notification(#{ name: "b", channels: [webhook("https://example.com/h", #{ headers: #{ "X-A": secret("A") } }), ()] });
        "##,
    );
    let told = |rule| {
        let channels = channels(&set, rule).expect("the channels");
        serde_json::to_value(channels).expect("JSON")
    };
    assert_eq!(
        told(0),
        json!([
            {"type": "slack", "config": {"channel": "#llm-gateway", "mention": "@oncall", "thread_updates": true}},
            {"type": "pagerduty", "config": {"service_key": {"$secret": "PD_SRE"}}},
            {"type": "email", "config": {"recipients": ["llm@example.com"], "cc": ["b@example.com"]}},
        ])
    );
    assert_eq!(
        told(1),
        json!([{"type": "webhook", "config": {"url": "https://example.com/h", "headers": {"X-A": {"$secret": "A"}}}}])
    );
}

#[test]
fn the_example_of_the_specification_loads() {
    let (set, warnings) = load(
        r##"
        notification(#{
            name: "critical-production",
            priority: 100,
            where: #{ severity: ["critical", "high"], environment: "production", labels: #{ region: ["eu-*"] } },
            when: |incident| incident.labels.tenant_id != "sandbox",
            channels: |incident| [ slack(`#${incident.service_id}`, #{ mention: "@oncall", thread_updates: true }), pagerduty(secret("PD_SRE")) ],
            rate_limit: #{ max_per_hour: 60 },
        });
        escalation(#{ name: "llm-production", where: #{ service_id: "llm-*" }, levels: [ level(0, [schedule("llm-primary")]), level(15, [team("llm")]) ], repeat: #{ enabled: true, count: 2, interval_minutes: 15 } });
        remediation(#{ name: "rollback", where: #{ category: "model_performance", severity: "critical" }, conditions: [ #{ type: "recent_deployment", within_minutes: 30 } ], actions: [ rollback() ], max_auto_attempts: 2 });
// file: users.toml
[users.alice]
email = "alice@example.com"
// file: teams.toml
[teams.llm]
members = ["alice"]
// file: schedules.toml
[[schedules.llm-primary.layers]]
users = ["alice"]
        "##,
    )
    .expect("it loads");
    assert_eq!(warnings, []);
    let rule = &set.notifications()[0];
    assert_eq!((rule.priority, rule.rate_limit.and_then(|limit| limit.max_per_hour)), (100, Some(60)));
    assert_eq!(matched(&set, &incident(), TRIGGERED), ["critical-production"]);
    assert_eq!(set.when(0, &Arc::new(incident()), &context()), Ok(true));
    assert_eq!(channels(&set, 0).map(|channels| channels.len()), Ok(2));
}

#[test]
fn a_closure_forgets_what_it_wrote() {
    let set = loaded(
        r##"
        let seen = 0;
        let list = [1];
        let inner = || 5;
        notification(#{
            name: "a",
            when: |incident| { seen += 1; list.push(2); seen == 1 && list.len() == 2 && inner.call() == 5 },
            channels: [slack("#ops")],
        });
        "##,
    );
    for _ in 0..3 {
        assert_eq!(set.when(0, &Arc::new(incident()), &context()), Ok(true));
    }
}

#[test]
fn rules_can_be_made_in_a_loop_by_functions_of_the_library() {
    let set = loaded(
        r##"// file: lib/pages.rhai
fn page(team) { [slack("#" + team), email(team + "@example.com")] }
fn is_loud(incident) { incident.occurrence_count > 3 }
// file: teams.rhai
for team in ["llm", "search"] {
    notification(#{ name: "page-" + team, when: |incident| is_loud(incident), channels: page(team) });
}
"##,
    );
    let names: Vec<&str> = set.notifications().iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["page-llm", "page-search"]);
    assert_eq!(set.when(0, &Arc::new(incident()), &context()), Ok(true));
    let channels = channels(&set, 1).expect("the channels");
    assert_eq!(channels[0].config.0["channel"], "#search");
    assert_eq!(set.place(1), "teams.rhai:2:5");
}

#[test]
fn equal_closures_of_two_files_keep_their_own_functions() {
    let set = loaded(
        r##"// file: a.rhai
fn answer() { true }
notification(#{ name: "a", when: |incident| answer(), channels: [slack("#ops")] });
// file: b.rhai
fn answer() { false }
notification(#{ name: "b", when: |incident| answer(), channels: [slack("#ops")] });
"##,
    );
    let answers: Vec<_> = (0..2).map(|rule| set.when(rule, &Arc::new(incident()), &context())).collect();
    assert_eq!(answers, [Ok(true), Ok(false)]);
}

#[test]
fn send_on_resolve_is_known_of_the_rule_a_channel_and_a_closure() {
    let set = loaded(
        r##"
        notification(#{ name: "a", send_on_resolve: true, channels: [slack("#ops")] });
        notification(#{ name: "b", channels: [slack("#ops", #{ send_on_resolve: true })] });
        notification(#{ name: "c", channels: |incident| [slack("#ops", #{ send_on_resolve: incident.severity == "low" })] });
        notification(#{ name: "d", channels: [#{ type: "slack", config: #{ channel: "#x" }, send_on_resolve: true }] });
        notification(#{ name: "e", channels: [slack("#ops")] });
        "##,
    );
    let wants: Vec<bool> = set.notifications().iter().map(|rule| rule.send_on_resolve).collect();
    assert_eq!(wants, [true, true, true, true, false]);
}

#[test]
fn a_script_that_fails_later_says_where_and_the_next_call_is_none_the_worse() {
    // No sample has such a title.
    let set = loaded(
        r##"
fn strict(incident) {
    if incident.title.contains("5 s") { incident.title.missing() }
    true
}
notification(#{ name: "a", when: |incident| strict(incident), channels: [slack("#ops")] });
notification(#{ name: "b", when: |incident| if incident.occurrence_count == 4 { 1 } else { true }, channels: [slack("#ops")] });
"##,
    );
    let error = set.when(0, &Arc::new(incident()), &context()).expect_err("it fails");
    assert_eq!(error.to_string(), "rules.rhai:3:56: there is no function `missing (text)`");
    let error = set.when(1, &Arc::new(incident()), &context()).expect_err("it fails");
    assert_eq!(error.to_string(), "rules.rhai:7:34: `when` must return true or false, not 1");
    let calm = Arc::new(Incident { title: "calm".to_owned(), ..incident() });
    assert_eq!(set.when(0, &calm, &context()), Ok(true));
}

#[test]
fn a_closure_that_fails_on_a_sample_can_be_let_through_with_a_warning() {
    let files = source("notification(#{ name: \"a\", when: |incident| throw \"no\", channels: [slack(\"#ops\")] });");
    assert!(RuleSet::load(&files, &Limits::default()).is_err());
    let lenient = Limits { refuse_failing: false, ..Limits::default() };
    let (set, warnings) = RuleSet::load(&files, &lenient).unwrap_or_else(|found| panic!("{found:?}"));
    assert!(warnings.len() == 1 && !warnings[0].error, "{warnings:?}");
    let error = set.when(0, &Arc::new(incident()), &context()).expect_err("it fails");
    assert_eq!(error.to_string(), "rules.rhai:1:45: no");
}

#[test]
fn the_hash_is_of_names_and_texts_alone() {
    let hash = |text: &str| RuleSet::load(&source(text), &Limits::default()).map(|(set, _)| set.hash().to_owned());
    let one = "notification(#{ name: \"a\", channels: [slack(\"#ops\")] });";
    assert_eq!(hash(one), hash(one));
    assert_ne!(hash(one), hash(&format!("{one} // changed")));
    assert_ne!(hash(one), hash(&format!("// file: other.rhai\n{one}")));
    assert_eq!(hash(one).map(|hash| hash.len()), Ok(16));
}

#[test]
fn no_files_are_a_set_without_rules() {
    let set = loaded("");
    assert_eq!(set.notifications().len(), 0);
    assert_eq!(set.matches(&incident(), TRIGGERED).matched, [0; 0]);
}

#[test]
fn the_rules_that_come_with_the_repository_load_without_a_word() {
    let mut files = incidentd::rules::RuleSource::default();
    let mut folders = vec![std::path::PathBuf::from("rules")];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).expect("the folder is part of the repository") {
            let path = entry.expect("a readable folder").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                let name = path.strip_prefix("rules").expect("it lies there").to_string_lossy().into_owned();
                files.files.insert(name, std::fs::read_to_string(&path).expect("a readable file"));
            }
        }
    }
    let (set, warnings) = RuleSet::load(&files, &super::limits()).unwrap_or_else(|found| panic!("{found:#?}"));
    assert_eq!(warnings, []);
    assert!(set.counts().iter().all(|(_, count)| *count >= 3), "{:?}", set.counts());
}
