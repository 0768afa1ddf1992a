//! Silences: listed, made, changed, ended.

use crate::codec;
use crate::http::access::Caller;
use crate::http::body::Kind;
use crate::http::{Api, Problem};
use crate::model::Output;
use axum::Json;
use axum::extract::{Extension, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(list, create)).routes(routes!(expire))
}

#[derive(Serialize)]
struct Silences {
    silences: Vec<Box<RawValue>>,
}

/// Silences in force or planned, the one that ends last first.
#[utoipa::path(
    get, path = "/v1/silences", tag = "silences", operation_id = "list_silences",
    responses((status = 200, description = "All of them.", body = ref("#/components/schemas/SilenceList"))),
)]
async fn list(State(api): State<Arc<Api>>) -> Json<Silences> {
    let mut silences = api.board.silences();
    silences.sort_by(|a, b| b.ends_at.cmp(&a.ends_at).then_with(|| a.id.cmp(&b.id)));
    Json(Silences { silences: silences.iter().filter_map(json_of).collect() })
}

/// As its topic has it.
fn json_of(silence: &crate::model::Silence) -> Option<Box<RawValue>> {
    let record = codec::write_output(&Output::Silence(silence.clone()), &codec::Settings::default())?;
    RawValue::from_string(String::from_utf8(record.value?).ok()?).ok()
}

#[derive(Serialize)]
struct Changed<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    silence: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silence_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

const LATER: &str = "Kafka has the command; the engine has not answered within 2 s";

/// An id that no other silence has.
pub(super) fn new_id() -> String {
    format!("sil_{:020x}", rand::random::<u128>() >> 48)
}

/// Makes a silence; with the `silence_id` of one that is there, changes that.
#[utoipa::path(
    post, path = "/v1/silences", tag = "silences", operation_id = "create_silence",
    request_body(content = ref("#/components/schemas/NewSilence"), content_type = "application/json"),
    responses(
        (status = 201, description = "It is made.", body = ref("#/components/schemas/SilenceChanged")),
        (status = 200, description = "It is changed.", body = ref("#/components/schemas/SilenceChanged")),
        (status = 202, description = "Kafka has it, and the engine has not answered within 2 s.", body = ref("#/components/schemas/SilenceChanged")),
        (status = 409, description = "There are `limits.silences` already.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
        (status = 422, description = "A field is wrong.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
async fn create(State(api): State<Arc<Api>>, caller: Option<Extension<Caller>>, request: Request) -> Result<Response, Problem> {
    let payload = api.bodies.read(request, api.commands.codec.max_alert, "limits.alert", Kind::Json).await?;
    let mut fields = payload.object()?;
    let given = fields.get("silence_id").filter(|id| !matches!(id, Value::Null) && **id != json!(""));
    let known = given.and_then(Value::as_str).is_some_and(|id| api.board.silence(id).is_some());
    if given.is_none() {
        fields.insert("silence_id".to_owned(), json!(new_id()));
    }
    let id = fields.get("silence_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let user = caller.and_then(|Extension(Caller(name))| name);
    let answer = match api.commands.silence(fields, user.as_deref()).await? {
        None => {
            let later = Changed { status: "accepted", silence: None, silence_id: Some(&id), message: Some(LATER) };
            (StatusCode::ACCEPTED, Json(later)).into_response()
        }
        Some(done) => {
            let (code, status) = if known { (StatusCode::OK, "updated") } else { (StatusCode::CREATED, "created") };
            let silence = done.silence.or_else(|| json_of(&api.board.silence(&id)?));
            (code, Json(Changed { status, silence, silence_id: None, message: None })).into_response()
        }
    };
    Ok(answer)
}

/// Ends a silence now.
#[utoipa::path(
    delete, path = "/v1/silences/{id}", tag = "silences", operation_id = "expire_silence",
    params(("id" = String, Path, min_length = 1, max_length = 256)),
    responses(
        (status = 200, description = "It is over.", body = ref("#/components/schemas/SilenceChanged")),
        (status = 202, description = "Kafka has it, and the engine has not answered within 2 s.", body = ref("#/components/schemas/SilenceChanged")),
        (status = 404, description = "There is no such silence, or it is over.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
        (status = 422, description = "The id is too long.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
async fn expire(
    State(api): State<Arc<Api>>,
    caller: Option<Extension<Caller>>,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    let user = caller.and_then(|Extension(Caller(name))| name);
    let done = api.commands.expire_silence(&id, serde_json::Map::new(), user.as_deref()).await?;
    let (code, status, message) = match done {
        Some(_) => (StatusCode::OK, "expired", None),
        None => (StatusCode::ACCEPTED, "accepted", Some(LATER)),
    };
    Ok((code, Json(Changed { status, silence: None, silence_id: Some(&id), message })).into_response())
}
