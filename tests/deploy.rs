//! What `deploy/` asks of Prometheus is what the program shows: names, kinds and labels, in the alert rules and on the dashboard.

use incidentd::metrics::{Kind, Metric, TABLE};
use regex::Regex;
use serde_json::Value;
use std::collections::BTreeSet;

fn file(name: &str) -> String {
    let path = format!("{}/deploy/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn strings<'v>(value: &'v Value, key: &str, found: &mut Vec<&'v str>) {
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| match value.as_str() {
            Some(text) if name == key => found.push(text),
            _ => strings(value, key, found),
        }),
        Value::Array(items) => items.iter().for_each(|item| strings(item, key, found)),
        _ => {}
    }
}

/// The expression of each alert, and its annotation behind it.
fn alerts() -> Vec<String> {
    let text = file("alerts.yml");
    text.split("- alert: ").skip(1).map(|alert| alert.split("expr:").nth(1).expect("an expression").to_owned()).collect()
}

fn dashboard() -> Vec<String> {
    let board: Value = serde_json::from_str(&file("grafana-dashboard.json")).expect("JSON");
    let mut found = Vec::new();
    ["expr", "definition"].into_iter().for_each(|key| strings(&board, key, &mut found));
    found.into_iter().map(str::to_owned).collect()
}

/// The metric of that series.
fn metric(series: &str) -> &'static Metric {
    let of_histogram = ["_bucket", "_sum", "_count"].into_iter().find_map(|suffix| series.strip_suffix(suffix));
    let name = of_histogram.unwrap_or(series);
    let metric = TABLE.iter().find(|metric| metric.name == name).unwrap_or_else(|| panic!("there is no metric {series}"));
    assert_eq!(matches!(metric.kind, Kind::Histogram(_)), of_histogram.is_some(), "{series}");
    metric
}

#[test]
fn alerts_and_dashboard_name_what_the_program_shows() {
    let series = Regex::new(r"(\w+\()?\b(incidentd_\w+)").expect("an expression");
    let labels = Regex::new(r#"\bby \(([^)]*)\)|[{,]\s*(\w+)\s*(?:=|!)|\$labels\.(\w+)"#).expect("an expression");
    let quoted = Regex::new(r#""[^"]*""#).expect("an expression");
    let (alerts, dashboard) = (alerts(), dashboard());
    assert!(alerts.len() >= 11 && dashboard.len() >= 13, "{} alerts, {} on the dashboard", alerts.len(), dashboard.len());
    for text in alerts.iter().chain(&dashboard) {
        let named: Vec<_> = series.captures_iter(text).collect();
        assert!(!named.is_empty(), "it names no metric of ours: {text}");
        let mut known: BTreeSet<&str> = BTreeSet::new();
        for found in named {
            let metric = metric(&found[2]);
            known.extend(metric.labels);
            if matches!(metric.kind, Kind::Histogram(_)) {
                known.insert("le");
            }
            let rates = found.get(1).is_some_and(|function| matches!(function.as_str(), "rate(" | "increase("));
            // What has only just appeared has no increase yet, so its bare value stands beside it.
            let bare = text.contains("unless");
            assert!(rates == (metric.kind != Kind::Gauge) || bare, "a counter's value says nothing, its increase does: {text}");
        }
        // What stands in quotes is no label.
        let unquoted = quoted.replace_all(text, "\"\"");
        let expression = unquoted.split("annotations:").next().unwrap_or_default();
        let annotation = text.split("annotations:").nth(1).unwrap_or_default();
        for found in labels.captures_iter(expression).chain(labels.captures_iter(annotation)) {
            let names = found.iter().skip(1).flatten().flat_map(|names| names.as_str().split(','));
            for name in names.map(str::trim).filter(|name| *name != "severity") {
                assert!(known.contains(name), "none of its metrics has a label {name}: {text}");
            }
        }
    }
}
