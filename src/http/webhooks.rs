//! What other programs tell by webhook: Alertmanager.
//!
//! It retries a 5xx at once, sends a body that got a 4xx again for ever, and takes the 200 behind a redirect for delivery. So:
//! 200 for any body with alerts once Kafka has it, 503 within 2 s where Kafka cannot take it, 4xx only for what an operator
//! must mend.

use crate::http::body::Kind;
use crate::http::{Api, Problem};
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use std::sync::Arc;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    // A slash too many is no reason to lose alerts over: a 4xx would hold them back, a redirect would lose them.
    let slash = Router::new().route("/v1/webhooks/alertmanager/", post(alertmanager));
    OpenApiRouter::new().routes(routes!(alertmanager)).merge(slash.into())
}

#[derive(Serialize, ToSchema)]
struct Received {
    /// `received`
    status: &'static str,
}

/// A webhook body of Alertmanager's (version 4), or any object with an `alerts` array.
///
/// What is wrong with one alert ends in `dead-letters` and costs only itself.
#[utoipa::path(
    post, path = "/v1/webhooks/alertmanager", tag = "alerts", operation_id = "receive_alertmanager",
    request_body(content = ref("#/components/schemas/AlertmanagerBody"), content_type = "application/json"),
    responses(
        (status = 200, description = "Kafka has it.", body = Received),
        (status = 400, description = "No JSON object with an `alerts` array.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
async fn alertmanager(State(api): State<Arc<Api>>, request: Request) -> Result<Json<Received>, Problem> {
    let payload = api.bodies.read(request, api.commands.codec.max_body_bytes, "limits.body_bytes", Kind::Any).await;
    let payload = payload.map_err(|problem| match problem.status {
        // A slow network is no operator's mistake, and after a 4xx Alertmanager is silent for minutes.
        StatusCode::REQUEST_TIMEOUT => Problem { status: StatusCode::SERVICE_UNAVAILABLE, ..problem },
        _ => problem,
    })?;
    api.commands.webhook(&payload.bytes).await?;
    Ok(Json(Received { status: "received" }))
}
