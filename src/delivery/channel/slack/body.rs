//! The message as Slack takes it: the seed's entire, a digest's list, or a line in a thread.

use crate::delivery::channel::link;
use crate::delivery::channel::message::{Kind, Message, Thread};
use crate::delivery::channel::slack::mrkdwn::{escaped, mention, moment};
use crate::delivery::channel::text::{cut, one_line};
use crate::delivery::channel::view::View;
use serde_json::{Value, json};

/// Characters of one part: Slack folds what is longer, and cuts a whole message at 40,000.
const TITLE: usize = 1_000;
const DESCRIPTION: usize = 3_000;
const FIELD: usize = 1_000;
const FOOTER: usize = 300;
/// Incidents of a digest that are listed.
const LISTED: usize = 25;

/// The body of `chat.postMessage`. `link` leads to the incident's page.
pub fn of(message: &Message, channel: &str, mentioned: Option<&str>, thread: Option<&Thread>, link: Option<&str>) -> Value {
    let view = View::of(message);
    let calms = matches!(message.event.as_str(), "acknowledged" | "resolved" | "closed");
    // Who has it in hand or over with it is not called again.
    let mentioned = mentioned.filter(|_| !calms).map(mention).unwrap_or_default();
    let mut body = json!({
        "channel": thread.map_or(channel, |thread| thread.channel.as_str()),
        "text": headline(&view, &mentioned),
        // Finds groups by name, such as @oncall.
        "link_names": true,
        "unfurl_links": false,
        "unfurl_media": false,
    });
    if let Some(thread) = thread {
        body["thread_ts"] = json!(thread.ts);
        if message.kind == Kind::Update || (calms && message.kind == Kind::Notification) {
            body["text"] = json!(line(&view));
            return body;
        }
        // A page hidden in a thread might be seen by nobody.
        body["reply_broadcast"] = json!(true);
    }
    body["attachments"] = json!([if view.digest().is_some() {
        digest(&view)
    } else if view.notice().is_some() {
        json!({ "color": colour(&view), "text": escaped(&note(message)), "footer": footer(&view) })
    } else {
        incident(&view, link)
    }]);
    body
}

fn headline(view: &View<'_>, mentioned: &str) -> String {
    let test = if view.message.test { "[TEST] " } else { "" };
    let space = if mentioned.is_empty() { "" } else { " " };
    let happening = match view.happening().filter(|_| !view.is_over()) {
        Some(happening) => format!(" ({})", escaped(&cut(&happening, FIELD))),
        None => String::new(),
    };
    let title = escaped(&cut(&view.line(), TITLE));
    format!("{test}{mentioned}{space}{} *{}* - {title}{happening}", emoji(view), escaped(&view.word()))
}

/// One line in the thread: what happened.
fn line(view: &View<'_>) -> String {
    let test = if view.message.test { "[TEST] " } else { "" };
    let happening = view.happening().unwrap_or_else(|| view.message.event.clone());
    let emoji = match view.message.event.as_str() {
        "acknowledged" | "investigating" | "identified" => "👀",
        "resolved" | "closed" => "✅",
        "escalated" => "⏫",
        "note" => "📝",
        _ => emoji(view),
    };
    let note = note(view.message);
    let note = if note.is_empty() { note } else { format!("\n{}", escaped(&note)) };
    format!("{test}{emoji} {}{note}", escaped(&cut(&happening, DESCRIPTION)))
}

fn incident(view: &View<'_>, link: Option<&str>) -> Value {
    let field = |(title, value): (&str, String)| {
        // Slack wants texts, and a moment is a text of its own kind.
        let value = match view.triggered_at().filter(|_| title == "Triggered") {
            Some(at) => moment(at),
            None => escaped(&cut(&one_line(&value), FIELD)),
        };
        json!({ "title": title, "value": value, "short": true })
    };
    let mut attachment = json!({
        "color": colour(view),
        "fields": view.facts().into_iter().map(field).collect::<Vec<_>>(),
        "text": escaped(&cut(&text(view), DESCRIPTION)),
        "footer": footer(view),
    });
    let buttons = buttons(view, link);
    if !buttons.is_empty() {
        attachment["actions"] = Value::Array(buttons);
    }
    attachment
}

/// The description, below why it comes this way and, when it is over, how it ended.
fn text(view: &View<'_>) -> String {
    let ended = view.happening().filter(|_| view.is_over()).unwrap_or_default();
    let parts = [note(view.message), ended, view.text("description").to_owned()];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n")
}

/// Those without a URL are left out; at most three, of Slack's five.
fn buttons(view: &View<'_>, link: Option<&str>) -> Vec<Value> {
    let mut buttons = Vec::new();
    // A page with a confirming button stands behind it, for a link preview must not acknowledge.
    match (link, view.text("status")) {
        (Some(url), "triggered") => {
            buttons.push(json!({ "type": "button", "text": "Acknowledge", "url": url, "style": "primary" }));
        }
        (Some(url), _) => buttons.push(json!({ "type": "button", "text": "View Incident", "url": url })),
        (None, _) => {}
    }
    for (text, field) in [("View Dashboard", "dashboard_url"), ("Runbook", "runbook_url")] {
        if let Some(url) = view.incident["metadata"][field].as_str().and_then(link::web) {
            buttons.push(json!({ "type": "button", "text": text, "url": url }));
        }
    }
    buttons
}

fn digest(view: &View<'_>) -> Value {
    let incidents = view.digest().unwrap_or_default();
    let said = |incident: &Value, key: &str| escaped(&cut(&one_line(incident[key].as_str().unwrap_or_default()), 150));
    let mut lines: Vec<String> = Some(escaped(&note(view.message))).into_iter().filter(|note| !note.is_empty()).collect();
    lines.extend(incidents.iter().take(LISTED).map(|incident| {
        let emoji = emoji_of(incident["severity"].as_str().unwrap_or_default());
        let count = incident["occurrence_count"].as_u64().unwrap_or(1);
        let count = if count > 1 { format!(", ×{count}") } else { String::new() };
        let (title, service, status) = (said(incident, "title"), said(incident, "service_id"), said(incident, "status"));
        format!("{emoji} {title} ({service}, {status}{count}) `{}`", said(incident, "id"))
    }));
    let rest = incidents.len().saturating_sub(LISTED) as u64 + view.more();
    if rest > 0 {
        lines.push(format!("… and {rest} more"));
    }
    let footer = cut(&format!("Rule: {}", escaped(&one_line(view.message.record["rule"].as_str().unwrap_or_default()))), FOOTER);
    json!({ "color": colour(view), "text": lines.join("\n"), "footer": footer })
}

fn footer(view: &View<'_>) -> String {
    cut(&format!("Incident ID: {}", escaped(view.incident_id())), FOOTER)
}

fn note(message: &Message) -> String {
    message.note.as_deref().map(|note| cut(note, FIELD)).unwrap_or_default()
}

fn colour(view: &View<'_>) -> &'static str {
    if view.is_over() && view.digest().is_none() {
        return "#2EB67D";
    }
    match view.severity() {
        "critical" => "#FF0000",
        "high" => "#FF6600",
        "medium" => "#FFB800",
        "low" => "#0099FF",
        _ => "#999999",
    }
}

fn emoji(view: &View<'_>) -> &'static str {
    if view.is_over() && view.digest().is_none() { "✅" } else { emoji_of(view.severity()) }
}

fn emoji_of(severity: &str) -> &'static str {
    match severity {
        "critical" => "🔴",
        "high" => "🟠",
        "medium" => "🟡",
        "low" => "🔵",
        _ => "⚪",
    }
}

#[cfg(test)]
#[path = "body_tests.rs"]
mod tests;
