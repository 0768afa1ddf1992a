//! Why each rule did or did not act for an incident, in sentences (SPEC 3.6). Read from its topic when asked for.

use crate::board::{Begin, HistoryError};
use crate::codec;
use crate::http::access::Caller;
use crate::http::incidents::{AHEAD, find};
use crate::http::list::Query;
use crate::http::page::frame::{Failed, Frame, Part, told};
use crate::http::page::incident::heading;
use crate::http::page::sentences::{Decision, Verdict};
use crate::http::page::words;
use crate::http::{Api, Problem};
use crate::model::Time;
use axum::extract::{Extension, Path, RawQuery, State};
use axum::http::StatusCode;
use axum::response::Response;
use maud::{Markup, html};
use std::sync::Arc;

pub async fn show(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let (id, packed) = find(&api, &id)?;
    let query = Query::read(query.as_deref(), &["from"])?;
    let incident =
        codec::read_incident(&packed.text()).map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    let begin = match query.number("from", 0..=9_007_199_254_740_991)? {
        Some(offset) => Begin::Offset(offset as i64),
        None => Begin::At(incident.triggered_at.after(-AHEAD)),
    };
    let read = api.history.decisions(id, begin).await;
    let (status, content) = match read {
        Ok(read) => {
            let decisions: Vec<Option<Decision>> = read.found.iter().map(|json| serde_json::from_slice(json).ok()).collect();
            (StatusCode::OK, all(&decisions, read.next.map(|next| format!("/incidents/{id}/decisions?from={next}"))))
        }
        Err(error @ (HistoryError::Busy | HistoryError::Failed(_))) => {
            let problem = Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string());
            (problem.status, told(&problem))
        }
    };
    let body = html! {
        (heading(&incident, "Why the rules did or did not act"))
        (content)
    };
    let title = format!("Decisions: {}", incident.title);
    Ok(Frame { title: &title, part: Part::Incidents, caller: Some(&caller), live: None }.page(status, &body))
}

fn all(decisions: &[Option<Decision>], next: Option<String>) -> Markup {
    html! {
        @if decisions.is_empty() && next.is_none() {
            p.empty { "No rule has decided anything for it yet, or it was longer ago than decisions are kept." }
        }
        ol.decisions {
            @for decision in decisions {
                li { @match decision { Some(decision) => (one(decision)), None => { "A decision that cannot be read." } } }
            }
        }
        @if let Some(next) = next { p { a.button rel="next" href=(next) { "Later ones" } } }
    }
}

fn one(decision: &Decision) -> Markup {
    let (acted, idle): (Vec<&Verdict>, Vec<&Verdict>) = decision.results.iter().partition(|verdict| verdict.acted());
    html! {
        h2 {
            @match Time::parse(&decision.at) { Some(at) => (words::moment(at)), None => (decision.at) }
            " · " (decision.event.replace('_', " "))
        }
        @if acted.is_empty() { p { "No rule acted." } }
        @for verdicts in [acted, idle] {
            @if !verdicts.is_empty() {
                ul { @for verdict in verdicts { (said(verdict)) } }
            }
        }
        @if decision.more > 0 { p.hint { (words::plural(decision.more, "more rule", "more rules")) " did not match." } }
        p.hint { "Rule set " code { (decision.rules_hash.get(..12).unwrap_or(&decision.rules_hash)) } }
    }
}

fn said(verdict: &Verdict) -> Markup {
    html! {
        li.acted[verdict.acted()] {
            @if verdict.rule.is_empty() { b { "The default channels" } } @else { (verdict.kind) " " b { (verdict.rule) } }
            " " (words::with_code(&verdict.sentence()))
        }
    }
}
