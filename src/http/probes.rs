//! `/healthz`, `/readyz`, `/metrics`.

use crate::http::{Problem, Surface};
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

pub fn health() -> Router<Surface> {
    Router::new().route("/healthz", get(healthz)).route("/readyz", get(readyz))
}

pub fn metrics() -> Router<Surface> {
    Router::new().route("/metrics", get(scrape))
}

/// The process answers. A stuck engine makes itself not ready, then ends the process (ARCHITECTURE 7).
async fn healthz() -> &'static str {
    "ok\n"
}

/// 200 once every shard that this process holds is restored and caught up.
async fn readyz(State(surface): State<Surface>) -> Response {
    match (surface.ready)() {
        Ok(()) => "ready\n".into_response(),
        Err(reason) => Problem::new(StatusCode::SERVICE_UNAVAILABLE, reason).into_response(),
    }
}

async fn scrape(State(surface): State<Surface>) -> Response {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], surface.metrics.render()).into_response()
}
