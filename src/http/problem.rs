//! Errors as RFC 9457 problem documents, those that the framework makes included.

use axum::body::Body;
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::{Map, Value, json};

pub const MEDIA_TYPE: HeaderValue = HeaderValue::from_static("application/problem+json");

/// `type` is `about:blank`: the status says what kind of problem it is, `detail` says the rest and the remedy.
#[derive(Clone, Debug, PartialEq)]
pub struct Problem {
    pub status: StatusCode,
    pub detail: String,
    /// What of the request is wrong: a field of its body, a parameter, a header.
    pub field: Option<String>,
    /// Further members, by name.
    pub more: Map<String, Value>,
    /// Seconds.
    pub retry_after: Option<u64>,
}

impl Problem {
    pub fn new(status: StatusCode, detail: impl Into<String>) -> Problem {
        Problem { status, detail: detail.into(), field: None, more: Map::new(), retry_after: None }
    }

    /// `reason`: as the codec and the engine say it, the field first: `labels.region: expected a string, …`.
    pub fn of_reason(status: StatusCode, reason: &str) -> Problem {
        let name = reason.split_once(": ").map(|(name, _)| name.trim_matches('`'));
        let is_field = |name: &&str| {
            !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '[' | ']' | '-'))
        };
        Problem { field: name.filter(is_field).map(str::to_owned), ..Problem::new(status, reason) }
    }

    pub fn of_field(status: StatusCode, field: &str, detail: impl std::fmt::Display) -> Problem {
        Problem { field: Some(field.to_owned()), ..Problem::new(status, format!("{field}: {detail}")) }
    }

    /// With a further member.
    pub fn with(mut self, name: &str, value: Value) -> Problem {
        self.more.insert(name.to_owned(), value);
        self
    }

    pub fn after(self, seconds: u64) -> Problem {
        Problem { retry_after: Some(seconds), ..self }
    }

    fn body(&self) -> String {
        let mut body = self.more.clone();
        body.insert("type".to_owned(), json!("about:blank"));
        body.insert("title".to_owned(), json!(self.status.canonical_reason().unwrap_or("Error")));
        body.insert("status".to_owned(), json!(self.status.as_u16()));
        body.insert("detail".to_owned(), json!(self.detail));
        if let Some(field) = &self.field {
            body.insert("field".to_owned(), json!(field));
        }
        Value::Object(body).to_string()
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = (self.status, [(CONTENT_TYPE, MEDIA_TYPE)], self.body()).into_response();
        if let Some(seconds) = self.retry_after {
            response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Gives every error without a problem document (or a page) one; headers such as `Allow` stay.
pub async fn complete(response: Response) -> Response {
    let status = response.status();
    let media_type = response.headers().get(CONTENT_TYPE);
    // A page says by itself what went wrong.
    let is_told = media_type == Some(&MEDIA_TYPE) || media_type.is_some_and(|it| it.as_bytes().starts_with(b"text/html"));
    if !(status.is_client_error() || status.is_server_error()) || is_told {
        return response;
    }
    let detail = match status {
        StatusCode::NOT_FOUND => "there is no such route; /openapi.json lists them".to_owned(),
        StatusCode::METHOD_NOT_ALLOWED => "this route takes other methods: see the header Allow".to_owned(),
        StatusCode::GATEWAY_TIMEOUT => format!("no answer within {} s", super::limits::TIME.as_secs()),
        _ => "the request could not be served".to_owned(),
    };
    let (mut parts, _) = response.into_parts();
    parts.headers.remove(CONTENT_LENGTH);
    parts.headers.insert(CONTENT_TYPE, MEDIA_TYPE);
    Response::from_parts(parts, Body::from(Problem::new(status, detail).body()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_the_field_where_the_reason_begins_with_one() {
        for (reason, field) in [
            ("labels.region: expected a string", Some("labels.region")),
            ("`incident_id`: there is no incident", Some("incident_id")),
            ("matchers[0].value: not a regular expression: x", Some("matchers[0].value")),
            ("not JSON: expected value", None),
            ("it is closed and cannot become resolved: from here", None),
            ("no colon", None),
        ] {
            let problem = Problem::of_reason(StatusCode::UNPROCESSABLE_ENTITY, reason);
            assert_eq!((problem.field.as_deref(), problem.detail.as_str()), (field, reason));
        }
    }
}
