//! What answers over HTTP (SPEC 6): probes and metrics for machines, the API for people and programs.
//!
//! - `limits`: the listener and its bounds; `body`, `list`: what a request brings, within bounds
//! - `journal`, `access`: an id and a line for each request; who may do what, and how often
//! - `commands`: the one writer to Kafka, `replies`: the engine's answers to it
//! - `incidents`, `orders`, `silences`, `rules`, `webhooks`, `probes`: the routes; `openapi` describes them
//! - `page`: what people see at `/`
//! - `problem`: what goes wrong, as a document

pub mod access;
mod body;
mod commands;
mod incidents;
mod journal;
mod limits;
mod list;
mod openapi;
mod orders;
mod page;
mod probes;
mod problem;
mod replies;
pub mod rules;
mod silences;
mod webhooks;

use crate::board::{Board, History};
use crate::metrics::Exporter;
use axum::{Router, middleware};
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa_axum::router::OpenApiRouter;

pub use body::Bodies;
pub use commands::{APPEND, Commands};
pub use limits::{Gate, serve};
pub use page::Pages;
pub use problem::Problem;
pub use replies::Replies;

/// `Err` says what is not ready yet, for a person.
pub type Ready = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// What the routes of the API look at, and write by.
pub struct Api {
    pub board: Arc<Board>,
    pub history: History,
    pub commands: Commands,
    pub access: access::Access,
    pub rules: rules::Desk,
    pub bodies: Bodies,
    pub pages: Pages,
}

/// What the routes look at.
#[derive(Clone)]
pub struct Surface {
    pub ready: Ready,
    pub metrics: Exporter,
    pub gate: Gate,
}

/// All routes, limited. The probes stand outside the limit of concurrency: an overloaded process is alive. `api`: where this
/// process has the role.
pub fn router(surface: Surface, api: Option<Arc<Api>>) -> Router {
    let gate = surface.gate.clone();
    let limited = probes::metrics().with_state(surface.clone());
    let limited = match api {
        Some(api) => limited.merge(guarded(api, &gate)),
        None => limited,
    };
    limits::bound(limits::crowd(limited).merge(probes::health().with_state(surface))).layer(middleware::from_fn(journal::keep))
}

/// The API behind its gate and its tokens.
fn guarded(api: Arc<Api>, gate: &Gate) -> Router {
    let (routes, document) = api_routes();
    let routes = routes.route_layer(middleware::from_fn_with_state(Arc::clone(&api), access::check));
    let routes = routes.merge(openapi::route(&document)).merge(page::routes(&api, gate));
    routes.route_layer(middleware::from_fn_with_state(gate.clone(), limits::pass)).with_state(api)
}

/// The routes that need a token, and what they say of themselves.
fn api_routes() -> (Router<Arc<Api>>, utoipa::openapi::OpenApi) {
    let (routes, document) = OpenApiRouter::with_openapi(openapi::Document::openapi())
        .merge(incidents::routes())
        .merge(silences::routes())
        .merge(rules::routes())
        .merge(webhooks::routes())
        .split_for_parts();
    (routes.merge(orders::routes()), document)
}
