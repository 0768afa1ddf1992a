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
        (asked.form())
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
        tr {
            td { (severity(incident)) }
            th.what scope="row" {
                a href=(format!("/incidents/{}", incident.id)) { (incident.title) }
                span.where { (incident.service_id) " · " (incident.environment.name()) }
            }
            td { (status(incident, now)) }
            td data-label="Owner" { (owner(incident).unwrap_or("nobody")) }
            td data-label="Age" { (words::ago(incident.triggered_at, now)) }
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

/// With what keeps it quiet.
pub fn status(incident: &Incident, now: Time) -> Markup {
    let name = incident.status.name();
    let quiet = incident.status.fires();
    html! {
        span.status.(name) { (name) }
        @if quiet && incident.suppressed { " " span.quiet title="Another incident speaks for it" { "suppressed" } }
        @if quiet && !incident.silenced_by.is_empty() { " " span.quiet { "silenced" } }
        @if quiet && incident.snoozed_until.is_some_and(|until| until > now) { " " span.quiet { "snoozed" } }
    }
}

/// Who has it in hand.
pub fn owner(incident: &Incident) -> Option<&str> {
    incident.assigned_to.as_deref().or(incident.acknowledged_by.as_deref())
}
