//! A message as its readers need it: fields of the snapshot by path, and what happened in a few words.

use crate::delivery::channel::message::{Kind, Message};
use crate::delivery::channel::text::one_line;
use jiff::Timestamp;
use serde_json::Value;

/// A look at a message; nothing in it can be missing in a way that stops a page.
#[derive(Clone, Copy)]
pub struct View<'a> {
    pub message: &'a Message,
    pub incident: &'a Value,
}

/// From the worst to the least.
pub const SEVERITIES: [&str; 5] = ["critical", "high", "medium", "low", "info"];

impl<'a> View<'a> {
    pub fn of(message: &'a Message) -> View<'a> {
        View { message, incident: &message.record["incident"] }
    }

    /// A text of the incident; empty where there is none.
    pub fn text(&self, name: &str) -> &'a str {
        self.incident[name].as_str().unwrap_or_default()
    }

    /// The id of the incident, which the envelope has too.
    pub fn incident_id(&self) -> &'a str {
        let id = self.text("id");
        if id.is_empty() { self.message.record["incident_id"].as_str().unwrap_or_default() } else { id }
    }

    /// A digest's incidents.
    pub fn digest(&self) -> Option<&'a [Value]> {
        self.message.record["incidents"].as_array().map(Vec::as_slice)
    }

    /// How many more a digest is about than it lists.
    pub fn more(&self) -> u64 {
        self.message.record["more"].as_u64().unwrap_or_default()
    }

    /// What a rule's limit holds back.
    pub fn notice(&self) -> Option<&'a Value> {
        Some(&self.message.record["notice"]).filter(|notice| notice.is_object())
    }

    /// It is over: nobody has to act on this message.
    pub fn is_over(&self) -> bool {
        matches!(self.message.event.as_str(), "resolved" | "closed")
    }

    /// A digest's worst, else the incident's.
    pub fn severity(&self) -> &'a str {
        let severities = self.digest().unwrap_or_default().iter().filter_map(|incident| incident["severity"].as_str());
        let rank = |severity: &&str| SEVERITIES.iter().position(|known| known == severity).unwrap_or(SEVERITIES.len());
        severities.min_by_key(rank).unwrap_or_else(|| self.text("severity"))
    }

    /// One word in capitals: `CRITICAL`, `RESOLVED`, `DIGEST`, `RATE LIMIT`.
    pub fn word(&self) -> String {
        if self.notice().is_some() {
            "RATE LIMIT".to_owned()
        } else if self.digest().is_some() {
            "DIGEST".to_owned()
        } else if self.is_over() {
            self.message.event.to_uppercase()
        } else {
            self.text("severity").to_uppercase()
        }
    }

    /// One line: the incident's title, a digest's numbers, a limit's.
    pub fn line(&self) -> String {
        if let Some(notice) = self.notice() {
            return self.limited(notice);
        }
        let Some(incidents) = self.digest() else { return one_line(self.text("title")) };
        let all = incidents.len() as u64 + self.more();
        let of = |severity: &str| {
            let count = incidents.iter().filter(|incident| incident["severity"] == severity).count();
            (count > 0).then(|| format!("{count} {severity}"))
        };
        let mut parts: Vec<String> = SEVERITIES.iter().filter_map(|severity| of(severity)).collect();
        if self.more() > 0 {
            parts.push(format!("{} not listed", self.more()));
        }
        format!("{all} incident{}: {}", if all == 1 { "" } else { "s" }, parts.join(", "))
    }

    fn limited(&self, notice: &Value) -> String {
        let rule = one_line(self.message.record["rule"].as_str().unwrap_or_default());
        let held_back = notice["held_back"].as_u64().unwrap_or_default();
        let limits = [("max_per_hour", "an hour"), ("max_per_day", "a day")];
        let limits = limits.iter().filter_map(|(key, unit)| Some(format!("{} {unit}", notice[*key].as_u64()?)));
        let limit = limits.collect::<Vec<_>>().join(" and ");
        match notice["ended"].as_bool() {
            Some(true) => format!("rule {rule} held {held_back} back in the last hour, over its limit of {limit}"),
            _ => format!("rule {rule} is over its limit of {limit}: {held_back} held back so far, the number follows"),
        }
    }

    /// What happened since the incident opened, in words to put behind its title; none for the opening itself.
    pub fn happening(&self) -> Option<String> {
        if self.digest().is_some() || self.notice().is_some() {
            return None;
        }
        let event = self.message.event.as_str();
        if self.message.kind == Kind::Escalation {
            let policy = one_line(self.message.record["policy"].as_str().unwrap_or_default());
            let level = self.message.record["level"].as_u64().unwrap_or_default();
            let repeat = match self.message.record["repeat"].as_u64() {
                None | Some(0) => String::new(),
                Some(repeat) => format!(", repeat {repeat}"),
            };
            return Some(format!("escalation {policy}, level {level}{repeat}"));
        }
        let entry = self.entry();
        let details = &entry["details"];
        let said = |key: &str| details[key].as_str().map(one_line).filter(|text| !text.is_empty());
        let behind = |text: Option<String>| text.map(|text| format!(": {text}")).unwrap_or_default();
        let by = || match entry["user"].as_str().map(one_line).filter(|user| user != "system" && !user.is_empty()) {
            Some(user) => format!(" by {user}"),
            None => String::new(),
        };
        Some(match event {
            "triggered" | "" => return None,
            "occurrence" => format!("seen {} times", self.incident["occurrence_count"].as_u64().unwrap_or_default()),
            "reminder" => format!("still {}", self.text("status")),
            "severity_changed" => match said("from") {
                Some(from) => format!("severity {from} → {}", said("to").unwrap_or_else(|| self.text("severity").to_owned())),
                None => format!("severity is now {}", self.text("severity")),
            },
            "escalated" => format!("escalated to level {}", scalar(&details["level"]).unwrap_or_else(|| "?".to_owned())),
            "resolved" => format!("resolved{}{}", by(), behind(said("resolution").or_else(|| self.resolution()))),
            "note" => format!("note{}{}", by(), behind(said("note"))),
            "assigned" => format!("assigned to {}{}", said("assignee").unwrap_or_default(), by()),
            "snoozed" => format!("snoozed{} until {}", by(), said("until").unwrap_or_default()),
            "remediation_failed" | "auto_remediation_failed" => format!("remediation failed{}", behind(said("error"))),
            "approval_required" => "a remediation waits for approval".to_owned(),
            "unsuppressed" => "no longer suppressed".to_owned(),
            "unacknowledged" => "acknowledged, but nothing came of it in time: triggered again".to_owned(),
            "flapping" => "it flaps: quiet from now on until it is stable".to_owned(),
            other => format!("{}{}{}", one_line(other).replace('_', " "), by(), behind(said("note"))),
        })
    }

    fn resolution(&self) -> Option<String> {
        Some(one_line(self.text("resolution"))).filter(|text| !text.is_empty())
    }

    /// The entry of the timeline that this is about: the record's own, else the newest of the event.
    fn entry(&self) -> &'a Value {
        let own = &self.message.record["entry"];
        if own.is_object() {
            return own;
        }
        let event = match self.message.event.as_str() {
            "remediation_failed" => "auto_remediation_failed",
            event => event,
        };
        let entries = self.incident["timeline"].as_array().map(Vec::as_slice).unwrap_or_default();
        entries.iter().rev().find(|entry| entry["event"] == event).unwrap_or(&Value::Null)
    }

    /// Names and values that every reader wants to see, in order; the times as they stand in the record.
    pub fn facts(&self) -> Vec<(&'static str, String)> {
        let mut facts = vec![
            ("Service", self.text("service_id").to_owned()),
            ("Environment", self.text("environment").to_owned()),
            ("Status", self.text("status").to_owned()),
            ("Triggered", self.text("triggered_at").to_owned()),
        ];
        facts.extend(self.field("labels.model_id").filter(|model| !model.is_empty()).map(|model| ("Model", model)));
        let filled = |path: &str| self.field(path).filter(|text| !text.is_empty());
        if let (Some(current), Some(threshold)) = (filled("metadata.current_value"), filled("metadata.threshold")) {
            let unit = self.field("metadata.unit").unwrap_or_default();
            facts.push(("Current / Threshold", format!("{current} / {threshold} {unit}").trim_end().to_owned()));
        }
        facts
    }

    /// When it was triggered.
    pub fn triggered_at(&self) -> Option<Timestamp> {
        self.text("triggered_at").parse().ok()
    }

    /// A field of the incident by its path, such as `labels.region`, as people write it; names may hold dots themselves.
    pub fn field(&self, path: &str) -> Option<String> {
        scalar(at(self.incident, path)?)
    }
}

fn at<'v>(value: &'v Value, path: &str) -> Option<&'v Value> {
    if let Some(found) = value.get(path) {
        return Some(found);
    }
    let mut dots = path.match_indices('.');
    dots.find_map(|(dot, _)| at(value.get(&path[..dot])?, &path[dot + 1..]))
}

/// Numbers as people and JavaScript write them: 5, not 5.0. Nothing for null.
pub fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(match number.as_f64() {
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        }),
        other => Some(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::channel::sample;
    use serde_json::json;

    #[test]
    fn fields_by_path() {
        let mut message = sample::message("slack", json!({}));
        sample::incident(&mut message)["labels"] = json!({"app.kubernetes.io/name": "gw", "region": "eu"});
        sample::incident(&mut message)["metadata"] = json!({"threshold": 5.0, "ratio": 0.25, "none": null, "list": [1]});
        let view = View::of(&message);
        for (path, value) in [
            ("labels.region", Some("eu")),
            ("labels.app.kubernetes.io/name", Some("gw")),
            ("metadata.threshold", Some("5")),
            ("metadata.ratio", Some("0.25")),
            ("metadata.none", None),
            ("metadata.list", Some("[1]")),
            ("occurrence_count", Some("3")),
            ("no.such", None),
            ("title.x", None),
        ] {
            assert_eq!(view.field(path).as_deref(), value, "{path}");
        }
    }

    #[test]
    fn what_happened_in_words() {
        for (event, entry, words) in [
            ("triggered", json!({}), None),
            ("acknowledged", json!({"user": "alice", "details": {"note": "on\nit"}}), Some("acknowledged by alice: on it")),
            ("acknowledged", json!({"user": "alice"}), Some("acknowledged by alice")),
            ("resolved", json!({"user": "system", "details": {}}), Some("resolved")),
            ("resolved", json!({"user": "bob", "details": {"resolution": "rolled back"}}), Some("resolved by bob: rolled back")),
            ("severity_changed", json!({"details": {"from": "high", "to": "critical"}}), Some("severity high → critical")),
            ("escalated", json!({"details": {"level": 1}}), Some("escalated to level 1")),
            ("note", json!({"user": "bob", "details": {"note": "see graph"}}), Some("note by bob: see graph")),
            ("reminder", json!({}), Some("still triggered")),
            ("occurrence", json!({}), Some("seen 3 times")),
        ] {
            let mut message = sample::message("slack", json!({}));
            message.event = event.to_owned();
            let entry_with_event = {
                let mut entry = entry.clone();
                entry["event"] = json!(event);
                entry
            };
            sample::incident(&mut message)["timeline"] = json!([entry_with_event]);
            assert_eq!(View::of(&message).happening().as_deref(), words, "{event} {entry}");
        }
    }

    #[test]
    fn a_digest_in_one_line() {
        let mut message = sample::message("slack", json!({}));
        sample::record(&mut message)["incidents"] = json!([{"severity": "low"}, {"severity": "high"}, {"severity": "high"}]);
        sample::record(&mut message)["more"] = json!(4);
        let view = View::of(&message);
        assert_eq!((view.word().as_str(), view.line().as_str()), ("DIGEST", "7 incidents: 2 high, 1 low, 4 not listed"));
        assert_eq!(view.severity(), "high");
    }
}
