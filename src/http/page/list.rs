//! The list of incidents, newest first.

use crate::board::Page;
use crate::codec;
use crate::http::Api;
use crate::http::access::Caller;
use crate::http::commands::now;
use crate::http::page::filter::Asked;
use crate::http::page::frame::{Failed, Frame, Part};
use crate::http::page::{live, words};
use crate::model::{Incident, Time};
use axum::extract::{Extension, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use std::sync::Arc;

pub async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let asked = Asked::read(query.as_deref())?;
    let Page { total, incidents } = api.board.list(&asked.filter, asked.offset, asked.limit);
    // What stands on the board was read as an incident.
    let incidents: Vec<Incident> = incidents.iter().filter_map(|packed| codec::read_incident(&packed.text()).ok()).collect();
    let what = if asked.is_narrowed() { words::plural(total as u64, "incident", "incidents") } else { format!("{total} open") };
    let now = now();
    let body = html! {
        h1 data-fresh { (if asked.is_narrowed() { "Incidents" } else { "Open incidents" }) " " span.count { (total) } }
        div.bar {
            div data-fresh { (asked.severities(&api.board)) }
            (asked.form())
        }
        div data-fresh {
            @if incidents.is_empty() {
                p.empty { (if asked.is_narrowed() { "No incident fits this filter." } else { "Nothing is open." }) }
            } @else {
                (table(&api, &incidents, now))
            }
            (asked.pages(total, incidents.len()))
        }
    };
    let frame = Frame { title: &what, part: Part::Incidents, caller: Some(&caller), live: Some(live::address(None)) };
    Ok(frame.page(StatusCode::OK, &body))
}

fn table(api: &Api, incidents: &[Incident], now: Time) -> Markup {
    html! {
        table.incidents {
            caption.unseen { "Incidents, newest first" }
            thead {
                tr {
                    @for heading in ["Severity", "Incident", "Status", "Owner", "Age", "Occurrences"] {
                        th scope="col" { (heading) }
                    }
                }
            }
            tbody { @for incident in incidents { (row(api, incident, now)) } }
        }
    }
}

fn row(api: &Api, incident: &Incident, now: Time) -> Markup {
    html! {
        tr.(incident.severity.name()).hushed[is_hushed(incident, now)] {
            td { (severity(incident)) }
            th.what scope="row" {
                a href=(format!("/incidents/{}", incident.id)) { (incident.title) }
                span.where { (incident.service_id) " · " (incident.environment.name()) }
            }
            td { (status(incident, now)) }
            td data-label="Owner" { (owner_or_nobody(incident)) }
            td.age data-label="Age" {
                (words::ago(incident.triggered_at, now))
                span.where { "last " (words::ago(incident.last_seen_at, now)) " ago" }
            }
            td.counts data-label="Occurrences" {
                span.number { (incident.occurrence_count) }
                (api.pages.sparks.of(incident, now).picture())
            }
        }
    }
}

pub fn severity(incident: &Incident) -> Markup {
    let name = incident.severity.name();
    html! { span.badge.(name) { (name) } }
}

fn is_snoozed(incident: &Incident, now: Time) -> bool {
    incident.snoozed_until.is_some_and(|until| until > now)
}

/// It fires, and tells nobody.
fn is_hushed(incident: &Incident, now: Time) -> bool {
    let mutes = incident.suppressed || !incident.silenced_by.is_empty() || is_snoozed(incident, now);
    incident.status.fires() && mutes
}

/// With what keeps it quiet.
pub fn status(incident: &Incident, now: Time) -> Markup {
    let name = incident.status.name();
    html! {
        span.status.(name) { (name) }
        @if is_hushed(incident, now) {
            @if incident.suppressed { " " span.quiet title="Another incident speaks for it" { "suppressed" } }
            @if !incident.silenced_by.is_empty() { " " span.quiet { "silenced" } }
            @if is_snoozed(incident, now) { " " span.quiet { "snoozed" } }
        }
    }
}

pub fn owner_or_nobody(incident: &Incident) -> Markup {
    html! { @match owner(incident) { Some(owner) => (owner), None => span.nobody { "nobody" } } }
}

/// Who has it in hand.
fn owner(incident: &Incident) -> Option<&str> {
    incident.assigned_to.as_deref().or(incident.acknowledged_by.as_deref())
}
