//! Fingerprints and severities are the seed's own: its JavaScript runs beside the decoder on the same alerts (SPEC 4.1, 4.2).

use incidentd::codec::{AlertRecord, Item, Settings, read_alerts};
use incidentd::model::{Origin, Time, Topic};
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rquickjs::{Context, Function, Runtime};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

const ALERTS: usize = 10_000;

/// Numbers, numeric strings and what is neither.
fn number(rng: &mut StdRng) -> Value {
    let odd = [
        json!(0),
        json!(-0.0),
        json!(-0.5),
        json!(0.4),
        json!(0.5),
        json!(2.5),
        json!(-2.5),
        json!(1e21),
        json!(-1e21),
        json!(1e300),
        json!(5e-324),
        json!(0.499_999_999_999_999_94),
        json!(4_503_599_627_370_497.5),
        json!(u64::MAX),
        json!(i64::MIN),
        json!("5"),
        json!("0"),
        json!("-0.5"),
        json!(" 7.5 "),
        json!("1e3"),
        json!("0x1f"),
        json!("+5"),
        json!("5."),
        json!(".5"),
        json!(""),
        json!(" "),
        json!("abc"),
        json!("5ms"),
        json!("1e400"),
        json!("Infinity"),
        json!("NaN"),
        json!("1_000"),
        json!("-0x10"),
        json!("1e21"),
        json!("\u{a0}5\u{feff}"),
        json!(null),
        json!(true),
        json!([5]),
        json!({"value": 5}),
    ];
    match rng.random_range(0..4) {
        0 => json!(rng.random_range(-10..1_000)),
        1 => json!(rng.random_range(-5.0..120.0)),
        2 => json!(f64::from_bits(rng.random()).clamp(-1e25, 1e25)), // null where it is not a number
        _ => odd.choose(rng).cloned().unwrap_or_default(),
    }
}

fn word(rng: &mut StdRng, words: &[&str]) -> Value {
    match rng.random_range(0..10) {
        0 => Value::Null,
        1 => json!(""),
        2 => Value::from((0..rng.random_range(1..12)).map(|_| rng.random::<char>()).collect::<String>()),
        _ => json!(words.choose(rng)),
    }
}

/// An alert with parts missing at random.
fn alert(rng: &mut StdRng) -> Value {
    let names = ["llm-inference-prod", "чат", "服务-😀", "a|b", "quote\"d", "nul\0"];
    let mut alert = json!({"service_id": names.choose(rng), "title": "t"});
    let mut put = |name: &str, value: Value| {
        alert[name] = value;
    };
    if rng.random_bool(0.8) {
        put("category", word(rng, &["model_performance", "infrastructure", "разное"]));
    }
    if rng.random_bool(0.7) {
        put("environment", word(rng, &["production", "Staging", "DEVELOPMENT", "prod", "STG", "dev", "qa"]));
    }
    if rng.random_bool(0.8) {
        let mut labels = Map::new();
        for (name, words) in [("metric_type", ["latency", "cost"]), ("model_id", ["gpt-4", "клод"]), ("region", ["eu", "us"])]
        {
            if rng.random_bool(0.7) {
                labels.insert(name.to_owned(), word(rng, &words));
            }
        }
        put("labels", if rng.random_bool(0.05) { Value::Null } else { labels.into() });
    }
    if rng.random_bool(0.9) {
        let mut metadata = Map::new();
        for name in
            ["threshold", "current_value", "user_impact", "degradation", "error_rate", "cost_increase", "sla_risk_minutes"]
        {
            if rng.random_bool(0.6) {
                metadata.insert(name.to_owned(), number(rng));
            }
        }
        put("metadata", if rng.random_bool(0.05) { Value::Null } else { metadata.into() });
    }
    alert
}

/// Fingerprint and severity as the decoder has them.
fn decoded(json: &str) -> (String, String) {
    let origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };
    let record = AlertRecord { origin, time: Time(0), value: Some(json.as_bytes()), form: None };
    let mut found = Vec::new();
    read_alerts(&record, &Settings::default(), &mut |item| match item {
        Item::Alert { alert, .. } => found.push((alert.fingerprint.to_string(), alert.severity.to_string())),
        Item::Rejected { reason, .. } => panic!("{reason}: {json}"),
        Item::Ignored => panic!("ignored: {json}"),
    });
    assert_eq!(found.len(), 1, "{json}");
    found.remove(0)
}

fn sha256(text: &str) -> String {
    const_hex::encode(Sha256::digest(text))
}

#[test]
fn ten_thousand_alerts_are_judged_as_the_seed_judges_them() {
    let runtime = Runtime::new().expect("a JavaScript engine");
    let context = Context::full(&runtime).expect("a context");
    let mut seen: BTreeMap<String, usize> = BTreeMap::new();
    context.with(|js| {
        js.eval::<(), _>(include_str!("fixtures/seed.js")).expect("the seed's functions");
        let judge: Function<'_> = js.globals().get("judge").expect("judge");
        let mut judged = |json: &str| {
            let [joined, severity]: [String; 2] =
                judge.call::<_, Vec<String>>((json,)).expect(json).try_into().expect("a fingerprint and a severity");
            assert_eq!(decoded(json), (sha256(&joined), severity.clone()), "{joined} of {json}");
            *seen.entry(severity).or_default() += 1;
            joined
        };
        let vector = json!({"service_id": "llm-inference-prod", "title": "t", "category": "model_performance", "environment": "production",
            "labels": {"metric_type": "latency", "model_id": "gpt-4"}, "metadata": {"threshold": 5.0}});
        assert_eq!(judged(&vector.to_string()), "llm-inference-prod|model_performance|latency|gpt-4|production|5");
        assert_eq!(decoded(&vector.to_string()).0, "8029c0404be4670ee4aee078d3b812b39dd4857367a39395bf8ace3b7f7844ef");
        let mut rng = StdRng::seed_from_u64(41);
        for _ in 0..ALERTS {
            judged(&alert(&mut rng).to_string());
        }
    });
    assert_eq!(seen.len(), 5, "every severity came up: {seen:?}");
}
