//! Incidents: opened by an alert, listed, shown, and why each rule did or did not act.

use crate::board::{Begin, Filter, HistoryError, Packed, Page};
use crate::http::body::Kind;
use crate::http::list::Query;
use crate::http::openapi;
use crate::http::{Api, Problem};
use crate::model::time::MINUTE;
use crate::model::{Environment, IncidentId, Severity, Status};
use crate::{codec, http::commands::Done};
use axum::Json;
use axum::body::{Body, Bytes};
use axum::extract::{Path, RawQuery, Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::{Deserialize, Serialize};
use serde_json::json;
use serde_json::value::RawValue;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// How far before its own time an incident's first decision may stand: an alert's time may run ahead of its record's (SPEC 4).
pub(super) const AHEAD: i64 = 5 * MINUTE;
/// Bytes of a list that are unpacked at a time.
const PIECE: usize = 256 << 10;

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(show)).routes(routes!(timeline)).routes(routes!(decisions))
}

/// `status` is `created` with the `incident`; `merged` (or `reopened`, `resolved`, `refreshed`, `ignored`) with the
/// `incident_id` that the alert fell into, where there is one, and a `message`; or `accepted`: Kafka has the alert, and the
/// engine has not answered yet.
#[derive(Serialize, ToSchema)]
struct Opened {
    status: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(pattern = "^inc_[0-9a-f]{20}$")]
    incident_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(schema_with = openapi::incident)]
    incident: Option<Box<RawValue>>,
}

/// An alert by itself: opens an incident, or falls into one that is open.
#[utoipa::path(
    post, path = "/v1/incidents", tag = "incidents", operation_id = "create_incident",
    request_body(content = ref("#/components/schemas/Alert"), content_type = "application/json"),
    responses(
        (status = 201, description = "The incident that it opened.", body = Opened),
        (status = 200, description = "What became of it: it fell into an incident, or tells nothing new.", body = Opened),
        (status = 202, description = "Kafka has it, and the engine has not answered within 2 s.", body = Opened),
        (status = 422, description = "A field is wrong.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
async fn create(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Problem> {
    let payload = api.bodies.read(request, api.commands.codec.max_alert, "limits.alert", Kind::Json).await?;
    let Some(done) = api.commands.alert(&payload.bytes).await? else {
        let message = "Kafka has the alert; the engine has not answered within 2 s".to_owned();
        let answer = Opened { status: "accepted".to_owned(), incident_id: None, message: Some(message), incident: None };
        return Ok((StatusCode::ACCEPTED, Json(answer)).into_response());
    };
    let incident_id = done.incident_id;
    let answer = match done {
        Done { status: 201, incident, .. } => Opened {
            status: "created".to_owned(),
            incident_id: None,
            message: None,
            incident: incident.or_else(|| shown(&api, incident_id)),
        },
        Done { outcome, occurrence_count, incident, .. } => Opened {
            message: Some(told(&outcome, occurrence_count)),
            incident_id: incident_id.map(|id| id.to_string()),
            // As the seed has it a merge tells the id alone.
            incident: incident.filter(|_| outcome != "merged"),
            status: outcome,
        },
    };
    let status = if answer.status == "created" { StatusCode::CREATED } else { StatusCode::OK };
    Ok((status, Json(answer)).into_response())
}

fn told(outcome: &str, count: Option<u64>) -> String {
    let count = count.map(|count| format!(" (occurrence #{count})")).unwrap_or_default();
    match outcome {
        "merged" => format!("Merged into existing incident{count}"),
        "reopened" => format!("Reopened the incident{count}"),
        "resolved" => "Resolved the incident".to_owned(),
        "refreshed" => "The incident holds this firing already".to_owned(),
        _ => "The alert tells nothing of an open incident".to_owned(),
    }
}

fn shown(api: &Api, id: Option<IncidentId>) -> Option<Box<RawValue>> {
    let text = api.board.incident(id?)?.text();
    String::from_utf8(text).ok().and_then(|text| RawValue::from_string(text).ok())
}

/// Incidents, newest first by `triggered_at`.
#[utoipa::path(
    get, path = "/v1/incidents", tag = "incidents", operation_id = "list_incidents",
    params(
        ("status" = Option<String>, Query, description = "Any of these, separated by commas.", pattern = "^((triggered|acknowledged|investigating|identified|resolved|closed)(,(triggered|acknowledged|investigating|identified|resolved|closed))*)?$"),
        ("severity" = Option<String>, Query, description = "Any of these, separated by commas.", pattern = "^((critical|high|medium|low|info)(,(critical|high|medium|low|info))*)?$"),
        ("service_id" = Option<String>, Query, description = "Any of these, separated by commas; at most 50."),
        ("environment" = Option<String>, Query, description = "Any of these, separated by commas.", pattern = "^((production|staging|development)(,(production|staging|development))*)?$"),
        ("limit" = Option<u32>, Query, description = "Default 50.", minimum = 1, maximum = 500),
        ("offset" = Option<u32>, Query, description = "Default 0.", minimum = 0, maximum = 1000000000),
    ),
    responses((status = 200, description = "The page, and how many there are in all.", body = ref("#/components/schemas/IncidentList"))),
)]
async fn list(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Result<Response, Problem> {
    let query = Query::read(query.as_deref(), &["status", "severity", "service_id", "environment", "limit", "offset"])?;
    let filter = Filter {
        statuses: query.names("status", &Status::ALL.map(|it| (it.name(), it)))?,
        severities: query.names("severity", &Severity::ALL.map(|it| (it.name(), it)))?,
        environments: query.names("environment", &Environment::ALL.map(|it| (it.name(), it)))?,
        services: query.texts("service_id")?,
    };
    let limit = query.number("limit", 1..=500)?.unwrap_or(50);
    let offset = query.number("offset", 0..=1_000_000_000)?.unwrap_or(0);
    let Page { total, incidents } = api.board.list(&filter, offset, limit);
    let pagination = json!({ "total": total, "limit": limit, "offset": offset });
    let body = pieces(incidents, format!("],\"pagination\":{pagination}}}").into_bytes());
    Ok(([(CONTENT_TYPE, "application/json")], body).into_response())
}

/// `{"incidents":[…` and the end: unpacked as the client reads, so that a long list is never whole in memory.
fn pieces(incidents: Vec<Packed>, end: Vec<u8>) -> Body {
    struct Pieces {
        begun: bool,
        left: std::vec::IntoIter<Packed>,
        end: Option<Vec<u8>>,
    }
    impl Pieces {
        fn next(&mut self) -> Option<Bytes> {
            self.end.as_ref()?;
            let mut piece = Vec::new();
            while piece.len() < PIECE {
                match self.left.next() {
                    Some(packed) => {
                        piece.extend_from_slice(if self.begun { b"," } else { b"{\"incidents\":[" });
                        self.begun = true;
                        packed.unpack(&mut piece);
                    }
                    None => {
                        if !self.begun {
                            piece.extend_from_slice(b"{\"incidents\":[");
                        }
                        piece.extend(self.end.take().unwrap_or_default());
                        break;
                    }
                }
            }
            Some(piece.into())
        }
    }
    impl hyper::body::Body for Pieces {
        type Data = Bytes;
        type Error = std::convert::Infallible;
        fn poll_frame(
            mut self: std::pin::Pin<&mut Self>,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Option<Result<hyper::body::Frame<Bytes>, Self::Error>>> {
            std::task::Poll::Ready(self.next().map(|piece| Ok(hyper::body::Frame::data(piece))))
        }
    }
    let size: usize = incidents.iter().map(Packed::size).sum();
    let mut pieces = Pieces { begun: false, left: incidents.into_iter(), end: Some(end) };
    match size < PIECE / 2 {
        // Most lists are short, and a client likes to know how long.
        true => pieces.next().map_or_else(Body::empty, Body::from),
        false => Body::new(pieces),
    }
}

/// An id that is none names no incident.
pub fn read_id(text: &str) -> Result<IncidentId, Problem> {
    text.parse().map_err(|error| Problem::of_field(StatusCode::NOT_FOUND, "id", format!("{text:?} is {error}")))
}

pub(super) fn find(api: &Api, text: &str) -> Result<(IncidentId, Packed), Problem> {
    let id = read_id(text)?;
    let missing =
        || Problem::of_field(StatusCode::NOT_FOUND, "id", format!("there is no incident {id}, or it is past its tombstone"));
    Ok((id, api.board.incident(id).ok_or_else(missing)?))
}

/// One incident.
#[utoipa::path(
    get, path = "/v1/incidents/{id}", tag = "incidents", operation_id = "show_incident",
    params(("id" = String, Path, pattern = "^inc_[0-9a-f]{20}$")),
    responses(
        (status = 200, description = "The incident, as `incidents` has it.", body = ref("#/components/schemas/Incident")),
        (status = 404, description = "There is no such incident.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
async fn show(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (_, incident) = find(&api, &id)?;
    Ok(([(CONTENT_TYPE, "application/json")], incident.text()).into_response())
}

#[derive(Serialize, Deserialize)]
struct Timeline<'a> {
    #[serde(borrow)]
    timeline: &'a RawValue,
}

/// What happened to an incident, oldest first.
#[utoipa::path(
    get, path = "/v1/incidents/{id}/timeline", tag = "incidents", operation_id = "show_timeline",
    params(("id" = String, Path, pattern = "^inc_[0-9a-f]{20}$")),
    responses(
        (status = 200, description = "Its timeline.", body = ref("#/components/schemas/Timeline")),
        (status = 404, description = "There is no such incident.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
async fn timeline(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Problem> {
    let (_, incident) = find(&api, &id)?;
    let text = incident.text();
    // What stands on the board was read as an incident.
    let broken = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the incident's record has no timeline");
    let timeline: Timeline<'_> = serde_json::from_slice(&text).map_err(broken)?;
    Ok(Json(timeline).into_response())
}

#[derive(Serialize)]
struct History {
    decisions: Vec<Box<RawValue>>,
    /// False: `next` goes on from where a bound of time or number was reached.
    complete: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<i64>,
}

/// Why each rule did or did not act for an incident, oldest first.
#[utoipa::path(
    get, path = "/v1/incidents/{id}/decisions", tag = "incidents", operation_id = "show_decisions",
    params(
        ("id" = String, Path, pattern = "^inc_[0-9a-f]{20}$"),
        ("from" = Option<i64>, Query, description = "`next` of an answer that was not complete.", minimum = 0),
    ),
    responses(
        (status = 200, description = "Decisions, read from their topic.", body = ref("#/components/schemas/DecisionList")),
        (status = 404, description = "There is no such incident.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
async fn decisions(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    RawQuery(query): RawQuery,
) -> Result<Json<impl Serialize>, Problem> {
    let (id, incident) = find(&api, &id)?;
    let query = Query::read(query.as_deref(), &["from"])?;
    let text = incident.text();
    let opened = codec::read_indexed(&text).map(|read| read.triggered_at).unwrap_or_default();
    let begin = match query.number("from", 0..=9_007_199_254_740_991)? {
        Some(offset) => Begin::Offset(offset as i64),
        None => Begin::At(opened.after(-AHEAD)),
    };
    let read = api.history.decisions(id, begin).await.map_err(|error| match error {
        HistoryError::Busy | HistoryError::Failed(_) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string()).after(1),
    })?;
    let texts = read.found.into_iter().filter_map(|json| String::from_utf8(json).ok());
    let decisions = texts.filter_map(|json| RawValue::from_string(json).ok()).collect();
    Ok(Json(History { decisions, complete: read.next.is_none(), next: read.next }))
}
