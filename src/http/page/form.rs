//! What a form sends: names and values, within bounds.

use crate::http::access::Caller;
use crate::http::body::Kind;
use crate::http::page::guard::{cookie, set_cookie};
use crate::http::{Api, Problem};
use axum::extract::Request;
use axum::http::header::{CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use maud::{Markup, html};

/// Bytes of a form: 100 matchers and a comment fit in.
const MOST: usize = 128 << 10;
/// The cookie with the name that somebody gave where there are no tokens, in hex.
const NAME: &str = "incidentd_name";
/// Seconds that it is kept.
const NAME_KEPT: u32 = 180 * 24 * 60 * 60;

/// Names and values as they were sent.
#[derive(Default)]
pub struct Form(Vec<(String, String)>);

impl Form {
    pub async fn read(api: &Api, request: Request) -> Result<Form, Problem> {
        let media = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        if media.split(';').next().unwrap_or_default().trim() != "application/x-www-form-urlencoded" {
            let detail = "a form is wanted, as a browser sends it";
            return Err(Problem::of_field(StatusCode::UNSUPPORTED_MEDIA_TYPE, "content-type", detail));
        }
        let payload = api.bodies.read(request, MOST, "forms have at most 128 KiB", Kind::Any).await?;
        serde_urlencoded::from_bytes(&payload.bytes).map(Form).map_err(|error| unreadable(&error))
    }

    pub fn of_query(query: Option<&str>) -> Result<Form, Problem> {
        serde_urlencoded::from_str(query.unwrap_or_default()).map(Form).map_err(|error| unreadable(&error))
    }

    /// The first value of that name, unless it is empty.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str()).filter(|value| !value.trim().is_empty())
    }
}

fn unreadable(error: &serde_urlencoded::de::Error) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("the form cannot be read: {error}"))
}

/// Who acts: the token's name, or the name that was given in the form.
pub fn user(caller: &Caller, form: &Form) -> Option<String> {
    caller.0.as_deref().or_else(|| form.text("user").map(str::trim)).map(str::to_owned)
}

/// The field for one's name, where no token says it.
pub fn name_field(caller: &Caller, headers: &HeaderMap, form: &Form) -> Markup {
    let known = form.text("user").map(str::to_owned).or_else(|| cookie(headers, NAME)).unwrap_or_default();
    html! {
        @if caller.0.is_none() {
            label for="user" { "Your name" }
            input #user name="user" value=(known) maxlength="256" autocomplete="nickname";
        }
    }
}

/// Leads on after a form was taken, and remembers the name that was given.
pub fn done(to: &str, caller: &Caller, headers: &HeaderMap, form: &Form) -> Response {
    let response = (StatusCode::SEE_OTHER, [(LOCATION, to.to_owned())]).into_response();
    match form.text("user").filter(|name| caller.0.is_none() && name.len() <= 256) {
        Some(name) => ([(SET_COOKIE, set_cookie(headers, NAME, name.trim(), NAME_KEPT))], response).into_response(),
        None => response,
    }
}
