//! What happened to the incident: each entry of its timeline as a sentence, and how it stands now.

use crate::explain::recipient::{listed, person, remedy};
use crate::explain::{Sentence, Source};
use crate::model::{Incident, Severity, TimelineEntry, TimelineEvent};
use serde_json::Value;

/// What it is and how it stands.
pub fn summary(incident: &Incident, forgotten: bool) -> String {
    let Incident { title, service_id, severity, environment, status, occurrence_count, .. } = incident;
    let mut text = format!("\"{title}\" of {service_id}: {severity}, {environment}, {status}, {}", times(*occurrence_count));
    if let Some(parent) = incident.parent_incident_id {
        let verb = if incident.suppressed { "suppressed under" } else { "hangs on" };
        text.push_str(&format!(", {verb} {parent}"));
    }
    if !incident.silenced_by.is_empty() {
        text.push_str(&format!(", silenced by {}", listed(&incident.silenced_by)));
    }
    if let Some(until) = incident.snoozed_until {
        text.push_str(&format!(", snoozed until {until}"));
    }
    if forgotten {
        text.push_str("; closed, and its record is about to go");
    }
    text.push('.');
    text
}

pub fn tell(incident: &Incident, sentences: &mut Vec<Sentence>) {
    let opened_as = severity_at_first(incident);
    for entry in &incident.timeline {
        let (at, event) = (entry.timestamp, entry.event.name().to_owned());
        sentences.push(Sentence { at, source: Source::Timeline, event, text: told(incident, opened_as, entry) });
    }
    if incident.timeline.is_empty() {
        let text = "Its timeline is not in the record, which was too large with it.".to_owned();
        let event = TimelineEvent::Omitted.name().to_owned();
        sentences.push(Sentence { at: incident.triggered_at, source: Source::Timeline, event, text });
    }
}

/// Before it was first raised.
fn severity_at_first(incident: &Incident) -> Severity {
    let raise = incident.timeline.iter().find(|entry| entry.event == TimelineEvent::SeverityChanged);
    let from = raise.and_then(|entry| entry.details.0.get("from")).and_then(Value::as_str);
    from.and_then(Severity::named).unwrap_or(incident.severity)
}

fn times(count: u64) -> String {
    if count == 1 { "1 occurrence".to_owned() } else { format!("{count} occurrences") }
}

fn told(incident: &Incident, opened_as: Severity, entry: &TimelineEntry) -> String {
    let Incident { title, service_id, category, environment, .. } = incident;
    let detail = |name: &str| match entry.details.0.get(name) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Null) | None => String::new(),
        Some(other) => other.to_string(),
    };
    let many = |name: &str| entry.details.0.get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let field = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let note = match detail("note") {
        note if note.is_empty() => String::new(),
        note => format!(": {note}"),
    };
    let who = entry.user.as_deref();
    let by = who.unwrap_or("incidentd");
    let text = match entry.event {
        TimelineEvent::Triggered => {
            format!("An alert of {service_id} opened it: \"{title}\" ({opened_as}, {category}, {environment})")
        }
        TimelineEvent::Occurrence => {
            let count = entry.details.0.get("count").and_then(Value::as_u64).unwrap_or_default();
            format!("It fired again: {} by then", times(count))
        }
        TimelineEvent::SeverityChanged => format!("Its severity rose from {} to {}", detail("from"), detail("to")),
        TimelineEvent::Acknowledged => format!("{by} acknowledged it{note}"),
        TimelineEvent::Investigating => format!("{by} is investigating it{note}"),
        TimelineEvent::Identified => format!("{by} has identified its cause{note}"),
        TimelineEvent::Escalated => {
            let targets: Vec<String> = many("targets")
                .iter()
                .map(|target| match field(target, "type").as_str() {
                    kind @ ("slack_channel" | "user") => person(kind, &field(target, "id")),
                    kind => format!("{kind} {}", field(target, "id")),
                })
                .collect();
            let repeat = match detail("repeat") {
                repeat if repeat.is_empty() => String::new(),
                repeat => format!(" of repeat {repeat}"),
            };
            format!("Level {}{repeat} of its escalation fired, for {}", detail("level"), listed(&targets))
        }
        TimelineEvent::Resolved => {
            let how = match detail("resolution") {
                how if how.is_empty() => note,
                how => format!(": {how}"),
            };
            match who {
                Some(who) => format!("{who} resolved it{how}"),
                None if how.is_empty() => "Its alerts have resolved".to_owned(),
                None => format!("It was resolved{how}"),
            }
        }
        TimelineEvent::Reopened => match who {
            Some(who) => format!("{who} reopened it{note}"),
            None => "It fired after its resolution, and is open again".to_owned(),
        },
        TimelineEvent::Closed => match who {
            Some(who) => format!("{who} closed it{note}"),
            None => "It was closed".to_owned(),
        },
        TimelineEvent::Assigned => format!("{by} gave it to {}{note}", detail("assignee")),
        TimelineEvent::Note => match who {
            Some(who) => format!("{who} noted{note}"),
            None => format!("Note{note}"),
        },
        TimelineEvent::Snoozed => format!("{by} snoozed it until {}{note}", detail("until")),
        TimelineEvent::Suppressed => "Another incident speaks for it from here on".to_owned(),
        TimelineEvent::Unsuppressed => "Nothing mutes it any more".to_owned(),
        TimelineEvent::Silenced => "A silence mutes it from here on".to_owned(),
        TimelineEvent::Unacknowledged => "Its acknowledgement has run out, and it is triggered again".to_owned(),
        TimelineEvent::Flapping => {
            format!("It opens and resolves all the time ({} reopenings), and is quiet until it holds still", detail("reopenings"))
        }
        TimelineEvent::AutoRemediation => {
            let kinds: Vec<String> = many("actions").iter().map(|kind| remedy(kind.as_str().unwrap_or_default(), "")).collect();
            format!("A repair was started: {} (attempt {})", listed(&kinds), detail("attempt"))
        }
        TimelineEvent::AutoRemediationFailed => format!("The repair has failed: {}", detail("error")),
        TimelineEvent::ApprovalRequired => format!("`{}` waits for somebody's approval", detail("rule")),
        TimelineEvent::Correlated => {
            let parent = detail("parent_incident_id");
            format!("It was found to be a {} of {parent}: {}", detail("type"), detail("reason"))
        }
        TimelineEvent::Omitted => format!("{} further entries are left out here", detail("entries")),
    };
    stop(text)
}

/// With a full stop, whatever a note ended with.
pub fn stop(mut text: String) -> String {
    if !text.ends_with(['.', '!', '?', ':']) {
        text.push('.');
    }
    text
}
