//! Who is told, and what is done, in words: `slack #incidents`, `alice (SMS and e-mail)`, `rollback of llm-gateway`.

use serde_json::{Map, Value};

/// The key of a channel's `config` that says where it goes, by its type.
const ADDRESS: [(&str, &str); 5] =
    [("slack", "channel"), ("email", "recipients"), ("sms", "phone_numbers"), ("pagerduty", "service_key"), ("webhook", "url")];

/// Each place that a channel goes to; of a secret its name.
pub fn addresses(kind: &str, config: &Map<String, Value>) -> Vec<String> {
    let key = ADDRESS.iter().find(|(name, _)| *name == kind).map(|(_, key)| *key);
    let text = |value: &Value| match value {
        Value::String(text) => Some(text.clone()),
        Value::Object(map) => map.get("$secret").and_then(Value::as_str).map(str::to_owned),
        _ => None,
    };
    match key.and_then(|key| config.get(key)) {
        Some(Value::Array(many)) => many.iter().filter_map(text).collect(),
        Some(one) => text(one).into_iter().collect(),
        None => Vec::new(),
    }
}

/// `slack #incidents`, `email a@example.com and b@example.com`.
pub fn channel(kind: &str, config: &Map<String, Value>) -> String {
    match addresses(kind, config).as_slice() {
        [] => kind.to_owned(),
        addresses => format!("{kind} {}", listed(addresses)),
    }
}

/// A target of an escalation: a person's id, or a Slack channel's name.
pub fn person(kind: &str, id: &str) -> String {
    if kind == "slack_channel" { format!("slack {id}") } else { id.to_owned() }
}

/// `rollback of llm-gateway`.
pub fn remedy(kind: &str, target: &str) -> String {
    if target.is_empty() { kind.to_owned() } else { format!("{kind} of {target}") }
}

/// Whom an action's record tells.
pub fn of_action(action: &Value) -> String {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let each = |items: &Value, of: &dyn Fn(&Value) -> String| {
        listed(&items.as_array().map_or(&[][..], Vec::as_slice).iter().map(of).collect::<Vec<_>>())
    };
    if let Some(config) = action["channel"]["config"].as_object() {
        let channel = channel(&text(&action["channel"]["type"]), config);
        return match (action["incident_ids"].as_array(), action["notice"].as_object()) {
            (Some(ids), _) => format!("{channel}, in a digest of {}", ids.len()),
            (_, Some(_)) => format!("{channel}, with a notice that it is limited"),
            _ => channel,
        };
    }
    if action["kind"] == "remediation" {
        return each(&action["actions"], &|action| remedy(&text(&action["type"]), &text(&action["target"])));
    }
    each(&action["targets"], &|target| person(&text(&target["type"]), &text(&target["id"])))
}

/// `a, b and c`.
pub fn listed(words: &[impl AsRef<str>]) -> String {
    let words: Vec<&str> = words.iter().map(AsRef::as_ref).collect();
    match words.as_slice() {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [head @ .., tail] => format!("{} and {tail}", head.join(", ")),
    }
}
