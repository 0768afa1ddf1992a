//! One incident: what it is, what hangs together with it, what happened, and what can be done.

use crate::codec;
use crate::http::access::Caller;
use crate::http::commands::now;
use crate::http::incidents::find;
use crate::http::page::frame::{Failed, Frame, Part};
use crate::http::page::list::{owner_or_nobody, severity, status};
use crate::http::page::{live, order, sentences, silences, words};
use crate::http::{Api, Problem};
use crate::model::{Incident, IncidentId, Receipt, Time};
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use serde_json::Value;
use std::sync::Arc;

/// Metadata that leads somewhere, with what people call it.
const LINKS: [(&str, &str); 3] =
    [("dashboard_url", "Dashboard"), ("runbook_url", "Runbook"), ("alert_manager_url", "Alertmanager")];

pub async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let (id, packed) = find(&api, &id)?;
    let incident =
        codec::read_incident(&packed.text()).map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    let now = now();
    let body = html! {
        @if let Some(done) = order::just_done(query.as_deref()) { p.done role="status" { (done) } }
        div data-fresh {
            (heading(&incident, &incident.title))
            @if !incident.description.is_empty() { p.description { (incident.description) } }
            (order::buttons(&incident))
            div.columns {
                section aria-labelledby="facts" { h2 #facts { "Facts" } (facts(&api, &incident, now)) }
                section aria-labelledby="links" { h2 #links { "Links" } (links(&api, &incident, now)) }
            }
            section aria-labelledby="timeline" {
                h2 #timeline { "Timeline" " " span.hint { "newest first, UTC" } }
                (timeline(&incident, now))
            }
            (told(&incident, now))
            (more(&incident))
        }
    };
    let frame =
        Frame { title: &incident.title, part: Part::Incidents, caller: Some(&caller), live: Some(live::address(Some(id))) };
    Ok(frame.page(StatusCode::OK, &body))
}

/// The way back, and whose page it is.
pub fn heading(incident: &Incident, title: &str) -> Markup {
    html! {
        nav.path aria-label="Path" {
            a href="/" { "Incidents" } " › "
            @if title == incident.title { span.id aria-current="page" { (incident.id) } }
            @else { a href=(format!("/incidents/{}", incident.id)) { (incident.title) } }
        }
        h1 { (severity(incident)) " " (title) }
    }
}

fn facts(api: &Api, incident: &Incident, now: Time) -> Markup {
    let fact = |name: &str, value: Markup| html! { dt { (name) } dd { (value) } };
    html! {
        dl {
            (fact("Status", status(incident, now)))
            (fact("Service", html! { (incident.service_id) }))
            (fact("Environment", html! { (incident.environment.name()) }))
            (fact("Category", html! { (incident.category) }))
            (fact("Owner", owner_or_nobody(incident)))
            (fact("Triggered", html! { (words::moment(incident.triggered_at)) " (" (words::ago(incident.triggered_at, now)) " ago)" }))
            (fact("Last seen", html! { (words::moment(incident.last_seen_at)) " (" (words::ago(incident.last_seen_at, now)) " ago)" }))
            (fact("Occurrences", html! { span.counts { (incident.occurrence_count) " " (api.pages.sparks.of(incident, now).picture()) } }))
            @if let Some(at) = incident.acknowledged_at {
                (fact("Acknowledged", html! { (words::moment(at)) @if let Some(by) = &incident.acknowledged_by { " by " (by) } }))
            }
            @if let Some(at) = incident.resolved_at {
                (fact("Resolved", html! {
                    (words::moment(at))
                    @if let Some(by) = &incident.resolved_by { " by " (by) }
                    @if let Some(how) = &incident.resolution { ": " (how) }
                }))
            }
            @if let Some(until) = incident.snoozed_until { (fact("Snoozed until", words::until(until, now))) }
            @if let Some(policy) = &incident.escalation_policy_id {
                (fact("Escalation", html! { (policy) ", level " (incident.escalation_level) }))
            }
        }
    }
}

/// Another incident, as far as the board knows it.
fn other(api: &Api, id: IncidentId, now: Time) -> Markup {
    let known = api.board.incident(id).and_then(|packed| codec::read_incident(&packed.text()).ok());
    html! {
        @match known {
            Some(other) => {
                a href=(format!("/incidents/{id}")) { (other.title) }
                span.where { (other.service_id) " · " (severity(&other)) " · " (status(&other, now)) }
            }
            None => (words::incident(id)),
        }
    }
}

fn links(api: &Api, incident: &Incident, now: Time) -> Markup {
    let address = |name: &str| incident.metadata.0.get(name).and_then(Value::as_str);
    html! {
        ul.links {
            @for (name, label) in LINKS {
                @if let Some(address) = address(name) { li { (label) ": " (words::link(address)) } }
            }
            @if let Some(parent) = incident.parent_incident_id {
                li {
                    "Parent: " (other(api, parent, now))
                    @if let Some(correlation) = &incident.correlation {
                        span.where { (correlation.reason) " (" (correlation.kind) ", confidence " (correlation.confidence) ")" }
                    }
                }
            }
            @for id in &incident.related_incident_ids { li { "Related: " (other(api, *id, now)) } }
            @if incident.related_more > 0 { li { "Related: " (incident.related_more) " more" } }
            @if !incident.silenced_by.is_empty() { li { "Silenced by " (incident.silenced_by.join(", ")) " (" a href="/silences" { "silences" } ")" } }
            li { a href=(format!("/incidents/{}/decisions", incident.id)) { "Why the rules did or did not act" } }
            li { a href=(silences::address_for(incident)) { "Silence what is like it" } }
            li { a href=(words::address("/", &[("service_id", &incident.service_id)])) { "Open incidents of " (incident.service_id) } }
        }
    }
}

/// Newest first: what happened last is what people come for.
fn timeline(incident: &Incident, now: Time) -> Markup {
    html! {
        @if incident.timeline.is_empty() { p.empty { "It was left out, for the record's size." } }
        ol.timeline reversed {
            @for entry in incident.timeline.iter().rev() {
                li.(entry.event.name()) {
                    (words::time_of_day(entry.timestamp, now)) " "
                    span.said { (sentences::of_entry(entry)) }
                }
            }
        }
    }
}

/// Who was told, and whether it arrived.
fn told(incident: &Incident, now: Time) -> Markup {
    let receipt = |receipt: &Receipt| {
        html! {
            tr {
                td { (receipt.channel) }
                td { (receipt.target) }
                td { @if receipt.delivered { "delivered" } @else { b.bad { "not delivered" } } @if let Some(error) = &receipt.error { ": " (error) } }
                td { (words::until(receipt.sent_at, now)) }
            }
        }
    };
    html! {
        @if !incident.notifications.is_empty() {
            section aria-labelledby="told" {
                h2 #told { "Deliveries" }
                table.deliveries {
                    caption.unseen { "Deliveries" }
                    thead { tr { @for heading in ["Channel", "To", "Outcome", "When"] { th scope="col" { (heading) } } } }
                    tbody { @for it in incident.notifications.iter().rev() { (receipt(it)) } }
                }
                @if incident.notifications_more > 0 { p.hint { (incident.notifications_more) " earlier ones" } }
            }
        }
    }
}

fn more(incident: &Incident) -> Markup {
    html! {
        section aria-labelledby="labels" {
            h2 #labels { "Labels" }
            @if incident.labels.is_empty() { p.empty { "It has none." } }
            dl.labels { @for (name, value) in incident.labels.iter() { dt { (name) } dd { (value) } } }
        }
        details #metadata {
            summary { "Metadata and identity" }
            dl.labels {
                @for (name, value) in &incident.metadata.0 {
                    dt { (name) }
                    dd { @match value.as_str() { Some(text) => (words::link(text)), None => code { (value) } } }
                }
                dt { "fingerprint" } dd { code { (incident.fingerprint) } }
                dt { "last alert" } dd { code { (incident.last_alert.topic.name()) "-" (incident.last_alert.partition) " @ " (incident.last_alert.offset) } }
                dt { "version" } dd { (incident.version) }
            }
        }
    }
}
