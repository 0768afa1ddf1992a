//! Every request has an id, a line in the log, and is counted.

use crate::{metrics as names, traces};
use axum::extract::{MatchedPath, Request};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::Next;
use axum::response::Response;
use metrics::{counter, histogram};
use std::time::Instant;
use tracing::{Instrument, Level, Span, field};

pub const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Bytes of an id that a client chose.
const ID_MOST: usize = 128;

/// Takes the client's `x-request-id` or makes one, answers with it, and writes it into every log line of the request.
pub async fn keep(mut request: Request, next: Next) -> Response {
    let began = Instant::now();
    let sent = request.headers().get(&REQUEST_ID);
    let sent = sent.filter(|id| (1..=ID_MOST).contains(&id.len()) && id.as_bytes().iter().all(u8::is_ascii_graphic));
    let id = sent.cloned().unwrap_or_else(|| {
        // Hex digits are a header's value.
        HeaderValue::from_str(&format!("{:032x}", rand::random::<u128>())).unwrap_or(HeaderValue::from_static("?"))
    });
    request.headers_mut().insert(REQUEST_ID, id.clone());
    // The pattern, not the path: of patterns there are few.
    let route = request.extensions().get::<MatchedPath>().map_or("unmatched", MatchedPath::as_str).to_owned();
    let method = method(request.method());
    let text = id.to_str().unwrap_or("?");
    let span = tracing::info_span!("request", id = text, method, path = request.uri().path(), caller = field::Empty);
    let trace = match is_probe(&route) {
        true => Span::none(),
        false => traces::request(method, &route, request.uri().path(), text, request.headers()),
    };
    let mut response = next.run(request).instrument(span.clone()).instrument(trace.clone()).await;
    response.headers_mut().insert(REQUEST_ID, id);
    let (status, seconds) = (response.status().as_u16(), began.elapsed().as_secs_f64());
    counter!(names::HTTP_REQUESTS, "method" => method, "route" => route.clone(), "status" => status.to_string()).increment(1);
    histogram!(names::HTTP_REQUEST_SECONDS, "route" => route.clone()).record(seconds);
    traces::answered(&trace, status);
    let _within = span.enter();
    let millis = (seconds * 1e3) as u64;
    match level(method, &route, status) {
        Level::WARN => tracing::warn!(status, millis, "served"),
        Level::INFO => tracing::info!(status, millis, "served"),
        _ => tracing::debug!(status, millis, "served"),
    }
    response
}

/// Whoever changes something stands in the log; readers only where somebody looks closely.
fn level(method: &str, route: &str, status: u16) -> Level {
    match (method, status) {
        // A probe's no is an answer.
        _ if is_probe(route) => Level::DEBUG,
        (_, 500..) => Level::WARN,
        ("GET" | "HEAD" | "OPTIONS" | "OTHER", _) => Level::DEBUG,
        // Alerts are many, and each is an incident's affair.
        ("POST", 200..300) => Level::DEBUG,
        _ => Level::INFO,
    }
}

fn is_probe(route: &str) -> bool {
    matches!(route, "/healthz" | "/readyz" | "/metrics")
}

/// Few words, whatever a client sends.
fn method(method: &Method) -> &'static str {
    const KNOWN: [&str; 7] = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"];
    KNOWN.into_iter().find(|known| *known == method.as_str()).unwrap_or("OTHER")
}
