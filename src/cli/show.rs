//! Incidents and silences as a terminal shows them: tables, colours where somebody looks, short ages, what happened in sentences.

use comfy_table::{Attribute, Cell, Color, ColumnConstraint, ContentArrangement, Table, Width, presets};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::fmt::Write;

use crate::app::Failure;
use crate::cli::print;
use crate::explain::Evidence;
use crate::model::{IncidentId, Topic};

/// Characters of a service's name that are kept on one line, where the terminal is narrow.
const SERVICE: usize = 20;

/// An incident as far as it is shown. Words that a later version may add are words here, too.
#[derive(Deserialize)]
pub struct Incident {
    pub id: String,
    pub title: String,
    #[serde(default)]
    pub description: String,
    pub severity: String,
    pub category: String,
    pub service_id: String,
    pub environment: String,
    pub status: String,
    pub triggered_at: Timestamp,
    pub last_seen_at: Timestamp,
    pub occurrence_count: u64,
    pub acknowledged_by: Option<String>,
    pub assigned_to: Option<String>,
    pub resolved_by: Option<String>,
    pub resolution: Option<String>,
    pub snoozed_until: Option<String>,
    #[serde(default)]
    pub suppressed: bool,
    #[serde(default)]
    pub silenced_by: Vec<String>,
    pub parent_incident_id: Option<String>,
    #[serde(default)]
    pub related_incident_ids: Vec<String>,
    pub escalation_policy_id: Option<String>,
    #[serde(default)]
    pub escalation_level: u64,
    #[serde(default)]
    pub labels: Map<String, Value>,
    #[serde(default)]
    pub metadata: Map<String, Value>,
    #[serde(default)]
    pub timeline: Vec<Entry>,
}

#[derive(Deserialize)]
pub struct Entry {
    pub timestamp: Timestamp,
    pub event: String,
    pub user: String,
    #[serde(default)]
    pub details: Map<String, Value>,
}

/// `45s`, `12m`, `3h5m`, `4d2h`.
pub fn age(since: Timestamp, now: Timestamp) -> String {
    let seconds = now.as_second().saturating_sub(since.as_second()).max(0);
    let two = |large: i64, name: char, small: i64, small_name: char| match seconds % large / small {
        0 => format!("{}{name}", seconds / large),
        rest => format!("{}{name}{rest}{small_name}", seconds / large),
    };
    match seconds {
        ..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => two(3_600, 'h', 60, 'm'),
        _ => two(86_400, 'd', 3_600, 'h'),
    }
}

/// One line, and nothing that a terminal would obey: titles come from alerts.
pub fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

fn severity(name: &str) -> Cell {
    let cell = Cell::new(plain(name));
    if std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty()) {
        return cell;
    }
    match name {
        "critical" => cell.fg(Color::Red).add_attribute(Attribute::Bold),
        "high" => cell.fg(Color::Red),
        "medium" => cell.fg(Color::Yellow),
        _ => cell,
    }
}

/// A table without lines, as wide as the terminal; colours only where it is one.
fn table<const N: usize>(header: [&str; N]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic).set_header(header);
    table
}

fn status(incident: &Incident, now: Timestamp) -> String {
    let fires = !matches!(incident.status.as_str(), "resolved" | "closed");
    let snoozed =
        incident.snoozed_until.as_deref().and_then(|until| until.parse::<Timestamp>().ok()).is_some_and(|until| until > now);
    let quiet = [(incident.suppressed, "suppressed"), (!incident.silenced_by.is_empty(), "silenced"), (snoozed, "snoozed")];
    let words = quiet.into_iter().filter(|(is, _)| fires && *is).map(|(_, word)| word);
    std::iter::once(incident.status.as_str()).chain(words).map(plain).collect::<Vec<_>>().join(", ")
}

fn owner(incident: &Incident) -> String {
    plain(incident.assigned_to.as_deref().or(incident.acknowledged_by.as_deref()).unwrap_or("-"))
}

pub fn incidents(incidents: &[Incident], now: Timestamp) -> Result<(), Failure> {
    let mut table = table(["SEVERITY", "STATUS", "SERVICE", "TITLE", "OWNER", "AGE", "COUNT", "ID"]);
    for incident in incidents {
        table.add_row([
            severity(&incident.severity),
            Cell::new(status(incident, now)),
            Cell::new(plain(&incident.service_id)),
            Cell::new(plain(&incident.title)),
            Cell::new(owner(incident)),
            Cell::new(age(incident.triggered_at, now)),
            Cell::new(incident.occurrence_count),
            Cell::new(&incident.id),
        ]);
    }
    // What is copied, or compared down a column, stays in one piece; titles and services give way.
    for column in [0, 5, 6, 7] {
        if let Some(column) = table.column_mut(column) {
            column.set_constraint(ColumnConstraint::ContentWidth);
        }
    }
    let longest = incidents.iter().map(|incident| incident.service_id.len()).max().unwrap_or_default().min(SERVICE);
    if let Some(service) = table.column_mut(2) {
        // With the space on each side; SERVICE is small.
        service.set_constraint(ColumnConstraint::LowerBoundary(Width::Fixed(longest as u16 + 2)));
    }
    print::line(table.trim_fmt())
}

/// `2026-01-31 12:00:00`, in UTC.
fn clock(at: Timestamp) -> impl std::fmt::Display {
    at.strftime("%Y-%m-%d %H:%M:%S")
}

/// `record`: the JSON that it was read from.
pub fn incident(incident: &Incident, record: &str, now: Timestamp) -> Result<(), Failure> {
    let mut table = table(["INCIDENT", &incident.id]);
    let mut fact = |name: &str, value: Cell| {
        table.add_row([Cell::new(name), value]);
    };
    let text = |text: &str| Cell::new(plain(text));
    fact("title", text(&incident.title));
    fact("severity", severity(&incident.severity));
    fact("status", Cell::new(status(incident, now)));
    fact("service", text(&format!("{} ({})", incident.service_id, incident.environment)));
    fact("category", text(&incident.category));
    fact("owner", Cell::new(owner(incident)));
    fact("triggered", Cell::new(format!("{} UTC ({} ago)", clock(incident.triggered_at), age(incident.triggered_at, now))));
    fact("occurrences", Cell::new(format!("{}, the last {} ago", incident.occurrence_count, age(incident.last_seen_at, now))));
    let optional = [
        ("description", Some(incident.description.as_str()).filter(|text| !text.is_empty())),
        ("snoozed until", incident.snoozed_until.as_deref()),
        ("resolved by", incident.resolved_by.as_deref()),
        ("resolution", incident.resolution.as_deref()),
        ("parent", incident.parent_incident_id.as_deref()),
        ("policy", incident.escalation_policy_id.as_deref()),
        ("dashboard", incident.metadata.get("dashboard_url").and_then(Value::as_str)),
        ("runbook", incident.metadata.get("runbook_url").and_then(Value::as_str)),
    ];
    for (name, value) in optional {
        if let Some(value) = value {
            fact(name, text(value));
        }
    }
    if incident.escalation_policy_id.is_some() {
        fact("level", Cell::new(incident.escalation_level));
    }
    if !incident.silenced_by.is_empty() {
        fact("silenced by", text(&incident.silenced_by.join(", ")));
    }
    if !incident.related_incident_ids.is_empty() {
        fact("related", text(&incident.related_incident_ids.join(", ")));
    }
    if !incident.labels.is_empty() {
        fact("labels", text(&details(&incident.labels)));
    }
    print::line(table.trim_fmt())?;
    print::line("")?;
    timeline(incident, record)
}

/// In sentences; the bare entries where a later version wrote what this one cannot read.
fn timeline(incident: &Incident, record: &str) -> Result<(), Failure> {
    let mut table = table(["TIME (UTC)", "WHAT HAPPENED"]);
    let mut evidence = Evidence::default();
    let id: Option<IncidentId> = incident.id.parse().ok();
    if let Some(id) = id {
        evidence.take(id, Topic::Incidents, incident.id.as_bytes(), Some(record.as_bytes()));
    }
    // Known only where the record was read.
    match id.filter(|_| evidence.service_id().is_some()).and_then(|id| evidence.explain(id)) {
        Some(story) => {
            for sentence in story.sentences {
                let at = sentence.at.to_string().replace('T', " ");
                table.add_row([at.get(..19).unwrap_or(&at).to_owned(), plain(&sentence.text)]);
            }
        }
        None => {
            for entry in &incident.timeline {
                let text = format!("{} {} {}", entry.event, entry.user, details(&entry.details));
                table.add_row([clock(entry.timestamp).to_string(), plain(text.trim_end())]);
            }
        }
    }
    if let Some(times) = table.column_mut(0) {
        times.set_constraint(ColumnConstraint::ContentWidth);
    }
    print::line(table.trim_fmt())
}

/// `name=value`, one after another.
fn details(details: &Map<String, Value>) -> String {
    let mut text = String::new();
    for (name, value) in details {
        let gap = if text.is_empty() { "" } else { " " };
        // A String takes all.
        let _ = match value.as_str() {
            Some(value) => write!(text, "{gap}{name}={value}"),
            None => write!(text, "{gap}{name}={value}"),
        };
    }
    text
}

/// Rows of text under a header.
pub fn rows<const N: usize>(header: [&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Result<(), Failure> {
    print::table(header, rows.into_iter().map(|row| row.map(|text| plain(&text))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ages_are_short() {
        let at = |second: i64| Timestamp::from_second(second).expect("a time");
        for (seconds, text) in
            [(-5, "0s"), (59, "59s"), (60, "1m"), (3_599, "59m"), (3_600, "1h"), (11_100, "3h5m"), (352_800, "4d2h")]
        {
            assert_eq!(age(at(0), at(seconds)), text);
        }
    }

    #[test]
    fn a_title_cannot_steer_the_terminal() {
        assert_eq!(plain("a\x1b[2J\u{9b}31m\nb"), "a [2J 31m b");
    }
}
