//! What policies and remediations say of an incident, what closures may ask of the service, and who is behind a target.

use super::behaviour::incident;
use super::{load, loaded, source};
use incidentd::model::{Change, Level, Measurement, Remedy, RuleEvent, ServiceContext, Severity, Target, TargetKind, Time};
use incidentd::rules::{Budget, Condition, Context, Limits, RuleSet};
use serde_json::{Value, json};
use std::rc::Rc;
use std::sync::Arc;

const NOW: Time = Time(1_768_471_290_000);
const PEOPLE: &str = "
// file: users.toml
[users.alice]
email = \"alice@example.com\"
[users.bob]
phone = \"+1\"
// file: teams.toml
[teams.llm]
members = [\"alice\", \"bob\"]
// file: schedules.toml
[[schedules.primary.layers]]
users = [\"alice\"]
";

fn context() -> Context {
    Context::new(NOW, RuleEvent::Triggered)
}

fn levels(set: &RuleSet, rule: usize) -> Result<Vec<Level>, String> {
    set.levels(rule, &Arc::new(incident()), &context()).map_err(|error| error.to_string())
}

fn remedies(set: &RuleSet, rule: usize) -> Value {
    match set.remedies(rule, &Arc::new(incident()), &context()) {
        Ok(remedies) => json!(remedies),
        Err(error) => json!(error.to_string()),
    }
}

#[test]
fn a_policy_in_the_seeds_shape_is_the_same_as_in_ours() {
    let set = loaded(&format!(
        r##"
        escalation(#{{
            name: "ours",
            where: #{{ service_id: ["llm-gateway", "chat"], severity: ["critical", "high"], environment: "production" }},
            levels: [level(0, [schedule("primary"), slack_channel("#llm")]), level(15, [team("llm"), user("bob")])],
            repeat: #{{ count: 2 }},
            business_hours: #{{ zone: "Europe/Berlin", days: [1, 2, 3, 4, 5], start: "09:00", end: "17:00" }},
        }});
        escalation(#{{
            name: "seeds",
            services: ["llm-gateway", "chat"],
            severity: ["critical", "high"],
            environment: ["production"],
            levels: [
                #{{ level: 0, delay_minutes: 0, targets: [#{{ type: "schedule", id: "primary" }}, #{{ type: "slack_channel", id: "#llm" }}] }},
                #{{ level: 1, delay_minutes: 15, targets: [#{{ type: "team", id: "llm" }}, #{{ type: "user", id: "bob" }}] }},
            ],
            repeat: #{{ enabled: true, count: 2 }},
            business_hours_only: true,
            timezone: "Europe/Berlin",
            business_hours: #{{ days: [1, 2, 3, 4, 5], start: "09:00", end: "17:00" }},
        }});{PEOPLE}"##
    ));
    let [ours, seeds] = set.escalations() else { panic!("two policies") };
    assert_eq!((&ours.repeat, &ours.business_hours), (&seeds.repeat, &seeds.business_hours));
    assert_eq!(ours.repeat.and_then(|repeat| repeat.interval_minutes), Some(15), "the last level's delay");
    assert_eq!(levels(&set, 0), levels(&set, 1));
    let targets = levels(&set, 0).unwrap().into_iter().map(|level| (level.delay_minutes, level.targets.len()));
    assert_eq!(targets.collect::<Vec<_>>(), [(0, 2), (15, 2)]);
    let mut incident = incident();
    assert_eq!(set.escalation_matches(&incident).matched, [0, 1]);
    incident.severity = Severity::Low;
    let matches = set.escalation_matches(&incident);
    assert_eq!((matches.matched.len(), matches.near.len()), (0, 2), "{matches:?}");
}

#[test]
fn policies_stand_by_priority_and_name_and_hours_that_are_switched_off_do_not_count() {
    let policy = |name: &str, more: &str| {
        format!(
            "escalation(#{{ name: \"{name}\", where: #{{ service_id: \"{name}\" }}, levels: [level(0, [user(\"bob\")])], {more} }});"
        )
    };
    let hours = "business_hours: #{ start: \"09:00\", end: \"24:00\" }";
    let text = [
        policy("b", "priority: 5, ack_timeout_minutes: 30, escalate_after_ack: true"),
        policy("a", &format!("priority: 5, {hours}")),
        policy("c", &format!("priority: 7, enabled: false, business_hours_only: false, {hours}")),
        policy("d", "repeat: #{ enabled: false, count: 3 }"),
    ];
    let set = loaded(&format!("{}{PEOPLE}", text.concat()));
    let names: Vec<&str> = set.escalations().iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["c", "a", "b", "d"]);
    let [c, a, b, d] = set.escalations() else { panic!("four policies") };
    assert!(!c.enabled && c.business_hours.is_none());
    let hours = a.business_hours.as_ref().expect("it has hours");
    assert_eq!((hours.zone.as_str(), hours.days, hours.start_minute, hours.end_minute), ("UTC", [true; 7], 540, 1440));
    assert_eq!((b.ack_timeout_minutes, b.escalate_after_ack, a.escalate_after_ack), (Some(30), true, false));
    assert_eq!(d.repeat, None);
    assert!(set.escalation_place(1).starts_with("rules.rhai:1:"), "{}", set.escalation_place(1));
}

#[test]
fn levels_of_a_closure_are_checked_each_time() {
    let set = loaded(&format!(
        r#"escalation(#{{
            name: "a",
            when: |incident, context| context.event == "triggered",
            repeat: #{{ count: 1 }},
            levels: |incident| {{
                let last = if incident.labels.replicas == "7" && incident.labels.owner == () {{ 0 }} else {{ 10 }};
                [level(0, [user("bob")]), (), level(last, [#{{ type: "user", id: incident.labels.owner ?? "bob" }}])]
            }},
        }});{PEOPLE}"#
    ));
    assert_eq!(set.escalations()[0].repeat.and_then(|repeat| repeat.interval_minutes), None);
    let error = levels(&set, 0).unwrap_err();
    assert!(error.starts_with("rules.rhai:5:") && error.contains("interval_minutes"), "{error}");
    let mut owned = incident();
    owned.labels = [("owner".to_owned(), "carol".to_owned())].into_iter().collect();
    let levels = set.levels(0, &Arc::new(owned), &context()).unwrap();
    assert_eq!(set.escalations()[0].repeat.unwrap().interval(&levels), 10);
    assert_eq!(levels[1].targets, [Target { kind: TargetKind::User, id: "carol".to_owned(), email: None }]);
    assert_eq!(set.escalation_when(0, &Arc::new(incident()), &context()), Ok(true));
    let resolved = Context::new(NOW, RuleEvent::Resolved);
    assert_eq!(set.escalation_when(0, &Arc::new(incident()), &resolved), Ok(false));
}

#[test]
fn a_remediation_with_all_its_keys() {
    let set = loaded(
        r##"
        remediation(#{
            name: "a",
            where: #{ severity: "high" },
            trigger: #{ alert_name: "Latency*", category: "model_performance" },
            conditions: [
                #{ type: "recent_deployment", within_minutes: 30 },
                #{ type: "metric_threshold", metric: "p99", value: 5 },
            ],
            actions: [
                rollback(), rollback("chat"), restart(), scale_up(2), scale_up("50%"), increase_rate_limit(1.5, 10),
                switch_model_variant("small"), notify("done"),
                #{ type: "scale_up", replicas: "+3", target: "db" },
                #{ type: "increase_rate_limit", multiplier: 2, duration_minutes: 5 },
            ],
            max_auto_attempts: 2, cooldown_minutes: 10, verify_minutes: 7, approval: "required", approval_minutes: 15,
            budget: #{ max_per_hour: 5, max_per_service_per_hour: 1 },
        });
        remediation(#{ name: "b", priority: -1, actions: |incident| [(), restart(incident.labels.region ?? "eu")] });
        "##,
    );
    let rule = &set.remediations()[0];
    assert_eq!(
        rule.conditions,
        [Condition::RecentDeployment { within_minutes: 30 }, Condition::MetricThreshold { metric: "p99".to_owned(), value: 5.0 }]
    );
    assert_eq!(
        (rule.max_auto_attempts, rule.cooldown_minutes, rule.verify_minutes, rule.approval_required, rule.approval_minutes),
        (Some(2), Some(10), 7, true, Some(15))
    );
    assert_eq!(rule.budget, Some(Budget { max_per_hour: Some(5), max_per_service_per_hour: Some(1) }));
    let other = &set.remediations()[1];
    assert_eq!((other.verify_minutes, other.approval_required, other.max_auto_attempts), (5, false, None));
    let own = "llm-gateway";
    assert_eq!(
        remedies(&set, 0),
        json!([
            {"type": "rollback", "target": own},
            {"type": "rollback", "target": "chat"},
            {"type": "restart", "target": own},
            {"type": "scale_up", "target": own, "replicas": "+2"},
            {"type": "scale_up", "target": own, "replicas": "50%"},
            {"type": "increase_rate_limit", "target": own, "multiplier": 1.5, "duration_minutes": 10},
            {"type": "switch_model_variant", "target": own, "variant": "small"},
            {"type": "notify", "target": own, "message": "done"},
            {"type": "scale_up", "target": "db", "replicas": "+3"},
            {"type": "increase_rate_limit", "target": own, "multiplier": 2, "duration_minutes": 5},
        ])
    );
    assert_eq!(remedies(&set, 1), json!([{"type": "restart", "target": "eu-west-1"}]));
    assert_eq!(set.remediation_matches(&incident()).matched, [0, 1]);
    let mut other = incident();
    other.title = "Errors".to_owned();
    assert_eq!(set.remediation_matches(&other).matched, [1], "the trigger is part of `where`");
}

#[test]
fn a_remediation_that_fails_says_where() {
    let text = "remediation(#{ name: \"a\", when: |incident| incident.labels.replicas != \"7\" || nothing(),\n  \
                actions: |incident| [restart(incident.labels.nobody)] });\nfn nothing() { throw \"no\" }\n";
    // As at run time, where a set that checked is in force already.
    let lenient = Limits { refuse_failing: false, ..Limits::default() };
    let (set, warnings) = RuleSet::load(&source(text), &lenient).unwrap_or_else(|found| panic!("{found:#?}"));
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    let when = set.remediation_when(0, &Arc::new(incident()), &context()).unwrap_err();
    assert_eq!((when.line, when.message.as_str()), (3, "no"));
    let error = remedies(&set, 0);
    assert!(error.as_str().is_some_and(|error| error.starts_with("rules.rhai:2:") && error.contains("restart")), "{error}");
}

#[test]
fn a_closure_asks_what_is_known_of_the_service() {
    let ago = |minutes: i64| Time(NOW.0 - minutes * 60_000);
    let change = |kind: &str, timestamp| Change { kind: kind.to_owned(), description: String::new(), timestamp, id: None };
    let reading = |value, timestamp| Measurement { value, unit: None, timestamp };
    let known = Context {
        service: Rc::new(ServiceContext {
            changes: vec![change("config_change", ago(1)), change("deployment", ago(20))],
            measurements: [("p99", reading(7.5, ago(5))), ("old", reading(1.0, ago(6))), ("count", reading(3.0, NOW))]
                .map(|(name, reading)| (name.to_owned(), reading))
                .into(),
        }),
        attempts: 2,
        open_incidents: 4,
        ..context()
    };
    for (expression, known_says, unknown_says) in [
        ("context.recent_deployment(20)", true, false),
        ("context.recent_deployment(19)", false, false),
        ("context.measurement(\"p99\") > 7", true, false),
        ("(context.measurement(\"p99\") ?? 0.0) < 7.5", false, true),
        ("context.measurement(\"old\") == ()", true, true),
        ("context.measurement(\"count\") == 3", true, false),
        ("context.attempts() == 2 && context.open_incidents() == 4", true, false),
        ("context.attempts() < 1", false, true),
    ] {
        let set =
            loaded(&format!("remediation(#{{ name: \"a\", when: |incident, context| {expression}, actions: [restart()] }});"));
        let incident = Arc::new(incident());
        assert_eq!(set.remediation_when(0, &incident, &known), Ok(known_says), "{expression}");
        assert_eq!(set.remediation_when(0, &incident, &context()), Ok(unknown_says), "{expression}");
    }
}

#[test]
fn the_people_and_dependencies_of_a_set_come_with_it_or_not_at_all() {
    let set = loaded(&format!("{PEOPLE}\n// file: dependencies.toml\n[dependencies]\nchat = [\"llm\"]\nllm = \"chat\"\n"));
    let team = Target { kind: TargetKind::Team, id: "llm".to_owned(), email: None };
    let reached = json!(set.people().reach(&team, NOW));
    assert_eq!(
        reached,
        json!([{"type": "user", "id": "alice", "email": "alice@example.com"}, {"type": "user", "id": "bob", "phone": "+1"}])
    );
    assert_eq!(set.people().on_call("primary", NOW), ["alice"]);
    assert_eq!(set.dependencies().upstreams("chat").iter().map(|name| &**name).collect::<Vec<_>>(), ["llm"]);
    assert!(set.dependencies().in_cycle("llm", "chat"));
    let broken = load(&format!("{PEOPLE}\n// file: dependencies.toml\n[dependencies]\nchat = [\"chat\"]\n"));
    assert_eq!(broken.map(|_| ()).unwrap_err().len(), 1);
    assert_eq!(loaded("").people().on_call("primary", NOW), [""; 0]);
}

#[test]
fn a_name_is_of_one_rule_of_its_kind() {
    let policy = "escalation(#{ name: \"a\", levels: [level(0, [slack_channel(\"#a\")])] });";
    let remediation = "remediation(#{ name: \"a\", actions: [restart()] });";
    let notification = "notification(#{ name: \"a\", channels: [slack(\"#ops\")] });";
    let set = loaded(&[policy, remediation, notification].concat());
    assert_eq!(set.counts(), [("notification", 1), ("escalation", 1), ("remediation", 1)]);
    for twice in [policy, remediation, notification] {
        let found = load(&twice.repeat(2)).map(|_| ()).unwrap_err();
        assert!(found.iter().any(|finding| finding.message.contains("declared twice")), "{found:?}");
    }
}

#[test]
fn remedies_of_records_read_back() {
    let set = loaded("remediation(#{ name: \"a\", actions: [scale_up(2)] });");
    let read: Vec<Remedy> = serde_json::from_value(remedies(&set, 0)).unwrap();
    assert_eq!(json!(read), remedies(&set, 0));
}
