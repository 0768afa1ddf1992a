//! Ten thousand rules load in no time, in one file or in many: time grows with the text, not with its square.

use super::memory::measured;
use super::{limits, source};
use incidentd::rules::{RuleSet, RuleSource};
use std::time::Duration;

fn rule(n: usize) -> String {
    format!(
        "notification(#{{ name: \"rule-{n}\", priority: {}, where: #{{ severity: [\"critical\", \"high\"], service_id: \"svc-{n}-*\", \
         labels: #{{ region: [\"eu-*\", \"us-east-1\"] }} }}, when: |incident| incident.labels.tenant_id != \"sandbox\", channels: \
         |incident| [slack(`#${{incident.service_id}}`, #{{ mention: \"@oncall\" }}), pagerduty(secret(\"PD\"))] }});\n",
        n % 100
    )
}

/// Processor time of a load, by the clock that a load is stopped by.
fn time(source: &RuleSource, rules: usize) -> Duration {
    let (loaded, used) = measured(|| RuleSet::load(source, &limits()));
    let (set, warnings) = loaded.unwrap_or_else(|found| panic!("{:?}", &found[..found.len().min(3)]));
    assert_eq!((set.notifications().len(), warnings.len()), (rules, 0));
    used.time
}

#[test]
fn the_time_of_a_load_grows_with_the_number_of_rules() {
    let one = |rules: usize| source(&(0..rules).map(rule).collect::<String>());
    let (few, many) = (time(&one(1_000), 1_000), time(&one(10_000), 10_000));
    let files = (0..100).map(|file| (format!("{file}.rhai"), (file * 100..(file + 1) * 100).map(rule).collect()));
    let split = time(&RuleSource { files: files.collect() }, 10_000);
    println!("1,000 rules {few:?}, 10,000 in one file {many:?}, in a hundred {split:?}");
    assert!(many < few * 20, "1,000 rules take {few:?}, 10,000 {many:?}");
    assert!(many < split * 3, "in one file {many:?}, in a hundred {split:?}");
}

#[test]
fn rules_made_in_a_loop_are_as_many_as_they_are() {
    let text = "for n in 0..5000 { notification(#{ name: `rule-${n}`, where: #{ service_id: `svc-${n}` }, channels: [slack(\"#a\")] }); }";
    assert_eq!(time(&source(text), 5_000).as_secs(), 0);
}
