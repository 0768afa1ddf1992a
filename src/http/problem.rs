//! Errors as RFC 9457 problem documents, those that the framework makes included.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// `type` is `about:blank`: the status says what kind of problem it is, `detail` says the rest and the remedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    pub detail: String,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into() }
    }

    fn body(&self) -> String {
        json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        })
        .to_string()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        (self.status, [(CONTENT_TYPE, MEDIA_TYPE)], self.body()).into_response()
    }
}

/// Gives every error without a problem document one; headers such as `Allow` stay.
pub async fn complete(response: Response) -> Response {
    let status = response.status();
    if !(status.is_client_error() || status.is_server_error()) || response.headers().get(CONTENT_TYPE) == Some(&MEDIA_TYPE) {
        return response;
    }
    let detail = match status {
        StatusCode::NOT_FOUND => "there is no such route; /healthz, /readyz and /metrics are".to_owned(),
        StatusCode::METHOD_NOT_ALLOWED => "this route takes other methods: see the header Allow".to_owned(),
        StatusCode::PAYLOAD_TOO_LARGE => format!("a body may hold {} bytes", super::limits::BODY),
        StatusCode::GATEWAY_TIMEOUT => format!("no answer within {} s", super::limits::TIME.as_secs()),
        _ => "the request could not be served".to_owned(),
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, MEDIA_TYPE);
    Response::from_parts(parts, Body::from(Problem { status, detail }.body()))
}
