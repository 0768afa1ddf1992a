//! What happened, in sentences: an entry of the timeline, a decision of the rules.

use crate::explain;
use crate::http::page::words;
use crate::model::{TimelineEntry, TimelineEvent};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

/// One entry of a timeline; details that no sentence uses follow by their names, so that nothing is hidden.
pub fn of_entry(entry: &TimelineEntry) -> Markup {
    let details = &entry.details.0;
    let text = |name: &str| details.get(name).and_then(Value::as_str).unwrap_or_default();
    let count = |name: &str| details.get(name).and_then(Value::as_u64).unwrap_or_default();
    let who = entry.user.as_deref().unwrap_or("the system");
    let (sentence, used): (String, &[&str]) = match entry.event {
        TimelineEvent::Triggered => ("An alert opened it".to_owned(), &[]),
        TimelineEvent::Occurrence => {
            (format!("It occurred again, {} in all", words::plural(count("count"), "time", "times")), &["count"])
        }
        TimelineEvent::SeverityChanged => (format!("Its severity rose from {} to {}", text("from"), text("to")), &["from", "to"]),
        TimelineEvent::Acknowledged => (format!("{who} acknowledged it"), &[]),
        TimelineEvent::Investigating => (format!("{who} is looking for the cause"), &[]),
        TimelineEvent::Identified => (format!("{who} knows the cause"), &[]),
        TimelineEvent::Escalated => (escalated(details), &["level", "targets", "repeat"]),
        TimelineEvent::Resolved if entry.user.is_none() => ("It resolved".to_owned(), &[]),
        TimelineEvent::Resolved => (format!("{who} resolved it"), &[]),
        TimelineEvent::Reopened if entry.user.is_none() => {
            (format!("It fires again, {} in all", words::plural(count("count"), "time", "times")), &["count"])
        }
        TimelineEvent::Reopened => (format!("{who} reopened it"), &[]),
        TimelineEvent::Closed if entry.user.is_none() => ("It was closed after its time".to_owned(), &[]),
        TimelineEvent::Closed => (format!("{who} closed it"), &[]),
        TimelineEvent::Assigned => (format!("{who} assigned it to {}", text("assignee")), &["assignee"]),
        TimelineEvent::Note => (format!("{who} noted"), &[]),
        TimelineEvent::Snoozed => (format!("{who} snoozed it until {}", text("until")), &["until"]),
        TimelineEvent::Suppressed => ("It is suppressed: another incident speaks for it".to_owned(), &[]),
        TimelineEvent::Unsuppressed => ("It speaks for itself again".to_owned(), &[]),
        TimelineEvent::Silenced => ("A silence keeps it quiet".to_owned(), &[]),
        TimelineEvent::Unacknowledged => ("Nobody resolved it in time: it counts as unacknowledged again".to_owned(), &[]),
        TimelineEvent::Flapping => (
            format!("It opens and resolves all the time ({} reopenings in an hour): it is kept quiet", count("reopenings")),
            &["reopenings"],
        ),
        TimelineEvent::AutoRemediation => (
            format!("Remediation started: {} (attempt {})", list(details.get("actions")), count("attempt")),
            &["actions", "attempt"],
        ),
        TimelineEvent::AutoRemediationFailed => ("The remediation failed".to_owned(), &[]),
        TimelineEvent::ApprovalRequired => {
            (format!("Remediation `{}` waits for approval: {}", text("rule"), list(details.get("actions"))), &["rule", "actions"])
        }
        TimelineEvent::Correlated => {
            let how = match text("type") {
                "duplicate" => "It is a duplicate of another incident",
                "cascade" => "It follows from another incident",
                _ => "It hangs together with another incident",
            };
            (format!("{how}: {}", text("reason")), &["reason", "type", "confidence"])
        }
        TimelineEvent::Omitted => {
            (format!("{} left out here", words::plural(count("entries"), "entry is", "entries are")), &["entries"])
        }
    };
    let rest = details.iter().filter(|(name, value)| !used.contains(&name.as_str()) && !value.is_null());
    html! {
        (sentence)
        @for (name, value) in rest {
            @match (name.as_str(), value.as_str()) {
                ("note" | "resolution" | "error", Some(text)) => { ": " q { (text) } }
                ("parent_incident_id", Some(id)) => { @if let Ok(id) = id.parse() { " · " (words::incident(id)) } }
                (_, Some(text)) => { " · " (name) " " (text) }
                (_, None) => { " · " (name) " " (value) }
            }
        }
    }
}

fn escalated(details: &serde_json::Map<String, Value>) -> String {
    let number = |name: &str| details.get(name).and_then(Value::as_u64);
    let targets = details.get("targets").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let target = |target: &Value| {
        let of = |name: &str| target.get(name).and_then(Value::as_str).unwrap_or_default();
        match of("type") {
            "slack_channel" => format!("slack {}", of("id")),
            kind => format!("{kind} {}", of("id")),
        }
    };
    let targets: Vec<String> = targets.iter().map(target).collect();
    let repeat = number("repeat").filter(|repeat| *repeat > 0).map(|repeat| format!(", repeat {repeat}")).unwrap_or_default();
    let whom = if targets.is_empty() { "nobody".to_owned() } else { targets.join(", ") };
    format!("Level {}{repeat} was paged: {whom}", number("level").unwrap_or_default())
}

fn list(value: Option<&Value>) -> String {
    let texts = value.and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    texts.iter().map(|text| text.as_str().map_or_else(|| text.to_string(), str::to_owned)).collect::<Vec<_>>().join(", ")
}

/// A record of `decisions` as far as it is told here.
#[derive(Deserialize)]
pub struct Decision {
    pub event: String,
    pub at: String,
    pub rules_hash: String,
    pub results: Vec<Verdict>,
    #[serde(default)]
    pub more: u64,
}

#[derive(Deserialize)]
pub struct Verdict {
    pub rule: String,
    pub kind: String,
    pub result: String,
    #[serde(default)]
    pub detail: Option<String>,
    #[serde(default)]
    pub action_ids: Vec<String>,
}

impl Verdict {
    pub fn acted(&self) -> bool {
        !self.action_ids.is_empty() || self.result == "acted"
    }

    /// Goes on from the rule's name.
    pub fn sentence(&self) -> String {
        let (one, many) = match self.kind.as_str() {
            "escalation" => ("page", "pages"),
            "remediation" => ("repair", "repairs"),
            _ => ("message", "messages"),
        };
        let written = (!self.action_ids.is_empty()).then(|| words::plural(self.action_ids.len() as u64, one, many));
        let detail = self.detail.as_deref();
        match (self.result.as_str(), written) {
            ("acted", written) => {
                let detail = detail.map(|detail| format!(" ({detail})")).unwrap_or_default();
                format!("acted{detail}{}", written.map(|written| format!(": {written}")).unwrap_or_default())
            }
            (result, None) => explain::why(result, detail),
            // A stand-in acted, or a notice was sent.
            (result, Some(written)) => format!("{}; all the same it wrote {written}", explain::why(result, detail)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Metadata, Time, Why};
    use serde_json::json;

    fn told(event: TimelineEvent, user: Option<&str>, details: Value) -> String {
        let Value::Object(details) = details else { panic!("an object") };
        let entry = TimelineEntry { timestamp: Time(0), event, user: user.map(str::to_owned), details: Metadata(details) };
        of_entry(&entry).into_string()
    }

    #[test]
    fn entries_are_sentences_that_hide_nothing_and_pass_no_markup() {
        let targets = json!({ "level": 1, "targets": [{ "type": "user", "id": "alice" }, { "type": "team", "id": "llm" }] });
        for (event, user, details, wanted) in [
            (TimelineEvent::Occurrence, None, json!({ "count": 3 }), "It occurred again, 3 times in all"),
            (TimelineEvent::Acknowledged, Some("ann"), json!({ "note": "on it" }), "ann acknowledged it: <q>on it</q>"),
            (TimelineEvent::Escalated, None, targets, "Level 1 was paged: user alice, team llm"),
            (TimelineEvent::Escalated, None, json!({ "level": 0, "targets": [] }), "Level 0 was paged: nobody"),
            (TimelineEvent::Note, None, json!({ "note": "x" }), "the system noted: <q>x</q>"),
            (TimelineEvent::Triggered, None, json!({ "new": 5 }), "An alert opened it · new 5"),
            (TimelineEvent::Reopened, None, json!({ "count": 4 }), "It fires again, 4 times in all"),
            (
                TimelineEvent::Note,
                Some("<b>"),
                json!({ "note": "</q><script>" }),
                "&lt;b&gt; noted: <q>&lt;/q&gt;&lt;script&gt;</q>",
            ),
        ] {
            assert_eq!(told(event, user, details), wanted);
        }
    }

    #[test]
    fn every_result_of_a_decision_has_its_sentence() {
        use Why::*;
        for why in [
            Acted,
            Where,
            When,
            Disabled,
            RateLimited,
            Digested,
            Silenced,
            Suppressed,
            Snoozed,
            Held,
            Flapping,
            AttemptsExhausted,
            Cooldown,
            Conditions,
            Budget,
            ScriptError,
            AfterOccurrences,
            NoChannels,
            AlreadyActed,
            Outranked,
            Nobody,
            NotApproved,
        ] {
            let (rule, kind) = (String::new(), String::new());
            let verdict = Verdict { rule, kind, result: why.name().to_owned(), detail: None, action_ids: Vec::new() };
            assert_ne!(verdict.sentence(), format!("did not act: {}", why.name()), "only its bare name");
        }
    }
}
