//! The rules in force in this process, the last set that was refused, and a look at the folder now (SPEC 5).

use crate::http::{Api, Problem};
use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::json;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::oneshot;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// For a look at the folder, with all that checking a large set takes.
const TIME: Duration = Duration::from_secs(8);

pub fn routes() -> OpenApiRouter<Arc<Api>> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(reload))
}

/// The rules as one process has them.
#[derive(Clone, Debug, Default, Serialize, ToSchema)]
pub struct Report {
    /// Of the files' text: two processes with the same rules have the same.
    pub hash: String,
    /// RFC 3339.
    #[schema(format = "date-time")]
    pub loaded_at: String,
    pub rules: Vec<Rule>,
    /// What is doubtful in the set in force.
    pub warnings: Vec<Finding>,
    /// The folder holds a set that is not in force, and this is why.
    pub refused: Option<Refused>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Rule {
    /// `notification`, `escalation` or `remediation`.
    pub kind: &'static str,
    pub name: String,
    pub priority: i64,
    pub enabled: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// From the rules folder.
    pub file: String,
    /// From 1, as the column in characters.
    pub line: usize,
    pub column: usize,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Refused {
    /// RFC 3339.
    #[schema(format = "date-time")]
    pub at: String,
    /// The first error, with its file, line and column.
    pub reason: String,
    pub findings: Vec<Finding>,
}

#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Finding {
    pub file: String,
    /// From 1; 0: the whole file.
    pub line: usize,
    pub column: usize,
    /// The first that is not marked any more.
    pub end_column: usize,
    pub severity: Severity,
    pub message: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub help: Option<String>,
}

#[derive(Clone, Copy, Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    Error,
    Warning,
}

/// What the routes ask of whoever follows the folder.
pub struct Desk {
    pub report: Box<dyn Fn() -> Report + Send + Sync>,
    /// Looks now, and says whether a changed set was applied; false: many wait for a look already.
    pub look: Box<dyn Fn(oneshot::Sender<bool>) -> bool + Send + Sync>,
}

/// The rules in force, and why the last changed set was refused, if it was.
#[utoipa::path(
    get, path = "/v1/rules", tag = "rules", operation_id = "show_rules",
    responses((status = 200, description = "As this process has them.", body = Report)),
)]
async fn show(State(api): State<Arc<Api>>) -> Json<Report> {
    Json((api.rules.report)())
}

#[derive(Serialize, ToSchema)]
struct Reloaded {
    /// `applied`, or `unchanged` where the folder holds what is in force; `accepted`: the look takes longer.
    status: &'static str,
    hash: String,
}

/// Looks at the rules folder now, and takes what it holds if that checks.
#[utoipa::path(
    post, path = "/v1/rules/reload", tag = "rules", operation_id = "reload_rules",
    responses(
        (status = 200, description = "The folder's set is in force.", body = Reloaded),
        (status = 202, description = "The look takes longer than 8 s; `GET /v1/rules` will tell.", body = Reloaded),
        (status = 422, description = "The set does not check; the old one stays. `findings` has all that is wrong.", body = ref("#/components/schemas/Problem"), content_type = "application/problem+json"),
    ),
)]
async fn reload(State(api): State<Arc<Api>>) -> Result<Response, Problem> {
    let (told, looked) = oneshot::channel();
    if !(api.rules.look)(told) {
        return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the rules are being looked at: try again").after(1));
    }
    let looked = tokio::time::timeout(TIME, looked).await;
    let report = (api.rules.report)();
    let (code, status) = match (looked, &report.refused) {
        (Ok(Ok(_)), Some(refused)) => {
            let detail = format!("the rules do not check, the old ones stay in force: {}", refused.reason);
            let problem = Problem::new(StatusCode::UNPROCESSABLE_ENTITY, detail);
            return Err(problem.with("findings", json!(refused.findings)).with("hash", json!(report.hash)));
        }
        (Ok(Ok(true)), None) => (StatusCode::OK, "applied"),
        (Ok(Ok(false)), None) => (StatusCode::OK, "unchanged"),
        (Ok(Err(_)), _) => {
            return Err(Problem::new(StatusCode::SERVICE_UNAVAILABLE, "this process is about to end").after(1));
        }
        (Err(_), _) => (StatusCode::ACCEPTED, "accepted"),
    };
    Ok((code, Json(Reloaded { status, hash: report.hash })).into_response())
}
