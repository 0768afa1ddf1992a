//! What an e-mail says, as text and as HTML.

use crate::delivery::channel::link;
use crate::delivery::channel::message::Message;
use crate::delivery::channel::text::{cut, one_line};
use crate::delivery::channel::view::View;
use serde_json::Value;

/// Characters of a description; more stands on the incident's page.
const DESCRIPTION: usize = 10_000;
const FACT: usize = 1_000;
/// Incidents of a digest that are listed.
const LISTED: usize = 200;

/// The parts of one message, in the order in which they stand there.
struct Page {
    heading: String,
    /// Why it comes this way, what happened.
    remarks: Vec<String>,
    description: String,
    facts: Vec<(&'static str, String)>,
    /// A digest's incidents.
    list: Vec<String>,
    /// Words and where they lead.
    links: Vec<(&'static str, String)>,
    footer: String,
}

impl Page {
    fn of(message: &Message, incident_link: Option<&str>) -> Page {
        let view = View::of(message);
        let test = if message.test { "TEST: " } else { "" };
        let note = message.note.as_deref().map(|note| cut(&one_line(note), FACT));
        let drill = message.test.then(|| "This is a drill: nothing has happened.".to_owned());
        let remarks = [drill, note, view.happening()].into_iter().flatten().collect();
        let about_one = view.digest().is_none() && view.notice().is_none();
        let mut page = Page {
            heading: format!("{test}{}: {}", view.word(), cut(&view.line(), FACT)),
            remarks,
            description: String::new(),
            facts: Vec::new(),
            list: listed(&view),
            links: Vec::new(),
            footer: format!("Rule: {}", one_line(message.record["rule"].as_str().unwrap_or_default())),
        };
        if !about_one {
            return page;
        }
        page.description = cut(view.text("description"), DESCRIPTION);
        page.facts = view.facts();
        let count = view.field("occurrence_count").filter(|count| count != "1");
        page.facts.extend(count.map(|count| ("Occurrences", count)));
        page.facts.extend(view.field("acknowledged_by").map(|who| ("Acknowledged by", who)));
        let word = if view.text("status") == "triggered" { "Acknowledge" } else { "View Incident" };
        page.links.extend(incident_link.map(|url| (word, url.to_owned())));
        for (word, field) in [("View Dashboard", "dashboard_url"), ("Runbook", "runbook_url")] {
            let url = view.incident["metadata"][field].as_str().and_then(link::web);
            page.links.extend(url.map(|url| (word, url.to_owned())));
        }
        page.footer = format!("Incident ID: {}", view.incident_id());
        page
    }
}

fn listed(view: &View<'_>) -> Vec<String> {
    let incidents = view.digest().unwrap_or_default();
    let line = |incident: &Value| {
        let part = |key: &str| incident[key].as_str().unwrap_or_default();
        let count = incident["occurrence_count"].as_u64().filter(|count| *count > 1).map(|count| format!(", ×{count}"));
        let count = count.unwrap_or_default();
        let (severity, title, service) = (part("severity").to_uppercase(), part("title"), part("service_id"));
        cut(&one_line(&format!("{severity}: {title} ({service}, {}{count}) {}", part("status"), part("id"))), FACT)
    };
    let mut lines: Vec<String> = incidents.iter().take(LISTED).map(line).collect();
    let rest = incidents.len().saturating_sub(LISTED) as u64 + view.more();
    if rest > 0 {
        lines.push(format!("… and {rest} more"));
    }
    lines
}

pub fn text(message: &Message, incident_link: Option<&str>) -> String {
    let page = Page::of(message, incident_link);
    let mut parts = vec![page.heading];
    parts.extend(page.remarks);
    parts.push(page.description);
    let facts = page.facts.iter().map(|(name, value)| format!("{name}: {}", cut(&one_line(value), FACT)));
    parts.push(facts.collect::<Vec<_>>().join("\n"));
    parts.push(page.list.join("\n"));
    parts.push(page.links.iter().map(|(word, url)| format!("{word}: {url}")).collect::<Vec<_>>().join("\n"));
    parts.push(format!("-- \n{}", page.footer));
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n\n")
}

/// Styles stand in the tags, for mail programs drop others; no pictures, no scripts.
pub fn html(message: &Message, incident_link: Option<&str>) -> String {
    let view = View::of(message);
    let page = Page::of(message, incident_link);
    let colour = match view.severity() {
        _ if view.is_over() => "#2EB67D",
        "critical" => "#FF0000",
        "high" => "#FF6600",
        "medium" => "#FFB800",
        "low" => "#0099FF",
        _ => "#999999",
    };
    let mut html = format!(
        "<!DOCTYPE html><html><head><meta charset=\"utf-8\"></head><body style=\"font-family:sans-serif\">\
         <div style=\"border-left:6px solid {colour};padding-left:12px\"><h2>{}</h2>",
        escaped(&page.heading)
    );
    for remark in &page.remarks {
        html.push_str(&format!("<p><strong>{}</strong></p>", escaped(remark)));
    }
    if !page.description.is_empty() {
        html.push_str(&format!("<p>{}</p>", escaped(&page.description).replace('\n', "<br>")));
    }
    if !page.facts.is_empty() {
        let row = |(name, value): &(&str, String)| {
            let value = escaped(&cut(&one_line(value), FACT));
            format!("<tr><td style=\"padding-right:12px\"><strong>{name}</strong></td><td>{value}</td></tr>")
        };
        html.push_str(&format!("<table>{}</table>", page.facts.iter().map(row).collect::<String>()));
    }
    if !page.list.is_empty() {
        let item = |line: &String| format!("<li>{}</li>", escaped(line));
        html.push_str(&format!("<ul>{}</ul>", page.list.iter().map(item).collect::<String>()));
    }
    if !page.links.is_empty() {
        let links = page.links.iter().map(|(word, url)| format!("<a href=\"{}\">{word}</a>", escaped(url)));
        html.push_str(&format!("<p>{}</p>", links.collect::<Vec<_>>().join(" &middot; ")));
    }
    html.push_str(&format!("</div><p style=\"color:#666666\">{}</p></body></html>", escaped(&page.footer)));
    html
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::delivery::channel::sample;
    use serde_json::json;

    #[test]
    fn the_text_says_what_a_reader_needs() {
        let message = sample::message("email", json!({}));
        let text = text(&message, Some("https://i.example.com/incidents/inc_1"));
        assert_eq!(
            text,
            "CRITICAL: Latency <high> & rising\n\np95 is 7.5 s\n\nService: llm-gateway\nEnvironment: production\nStatus: triggered\n\
             Triggered: 2026-03-01T09:00:00.000Z\nModel: gpt-4\nCurrent / Threshold: 7.5 / 5 s\nOccurrences: 3\n\n\
             Acknowledge: https://i.example.com/incidents/inc_1\nView Dashboard: https://grafana.example.com/d/1?a=1&b=2\n\
             Runbook: https://wiki.example.com/latency\n\n-- \nIncident ID: inc_00030123456789abcdef"
        );
    }

    #[test]
    fn nothing_of_an_alert_becomes_html() {
        let mut message = sample::message("email", json!({}));
        let evil = "<script>alert('x')</script>\"&";
        for field in ["title", "description", "service_id"] {
            sample::incident(&mut message)[field] = json!(evil);
        }
        sample::incident(&mut message)["metadata"]["runbook_url"] = json!("https://x.org/\"onclick=\"a'<b>");
        message.note = Some(evil.to_owned());
        let html = html(&message, None);
        assert!(!html.contains("<script") && !html.contains("onclick=\"") && !html.contains("'x'"), "{html}");
        assert!(html.contains("&lt;script&gt;alert(&#39;x&#39;)"));
    }

    #[test]
    fn a_drill_is_a_drill_in_both_parts() {
        let mut message = sample::message("email", json!({}));
        message.test = true;
        for body in [text(&message, None), html(&message, None)] {
            assert!(body.contains("TEST: CRITICAL") && body.contains("This is a drill"), "{body}");
        }
    }

    #[test]
    fn a_digest_lists_its_incidents() {
        let mut message = sample::message("email", json!({}));
        sample::record(&mut message)["incidents"] = json!([{"id": "inc_1", "title": "a", "severity": "low", "status": "triggered", "service_id": "s", "occurrence_count": 2}]);
        sample::record(&mut message)["more"] = json!(3);
        let text = text(&message, None);
        assert!(text.contains("LOW: a (s, triggered, ×2) inc_1\n… and 3 more"), "{text}");
    }
}
