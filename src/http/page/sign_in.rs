//! Signing in: the token, once it is known to be one, goes into the cookie that `guard` reads.

use crate::http::access::{Denied, Scope};
use crate::http::page::form::Form;
use crate::http::page::frame::{Failed, Frame, Part, told};
use crate::http::page::guard::{TOKEN, set_cookie};
use crate::http::{Api, Problem};
use axum::extract::{RawQuery, Request, State};
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{Html, IntoResponse, Response};
use maud::{DOCTYPE, html};
use std::sync::Arc;

/// Seconds that a browser keeps the token: a shift.
const KEPT: u32 = 12 * 60 * 60;

/// The form in place of the page that was asked for, to which it leads back.
pub fn page(next: &str, wrong: Option<Denied>) -> Response {
    let body = html! {
        h1 { "Sign in" }
        @if wrong.is_some() {
            (told(&Problem::new(StatusCode::UNAUTHORIZED, "This token is not known: ask whoever keeps api.tokens for one that is.")))
        }
        form.panel method="post" action="/sign-in" {
            input type="hidden" name="next" value=(next);
            label for="token" { "Token" }
            input #token type="password" name="token" required autocomplete="current-password" autofocus;
            p.hint { "One of those in " code { "[api] tokens" } "; with the scope read to look, with operate to act." }
            button.primary { "Sign in" }
        }
    };
    Frame { title: "Sign in", part: Part::None, caller: None, live: None }.page(StatusCode::UNAUTHORIZED, &body)
}

/// Leads to the same page at once: from here on the browser sends the cookie along, which it does not to whoever follows a link
/// from elsewhere.
pub fn again(path: &str) -> Response {
    let path = local(path);
    let html = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta http-equiv="refresh" content=(format!("0; url={path}"));
                title { "incidentd" }
            }
            body { a href=(path) { "To the page" } }
        }
    };
    Html(html.into_string()).into_response()
}

pub async fn ask(State(api): State<Arc<Api>>, RawQuery(query): RawQuery) -> Response {
    let next = Form::of_query(query.as_deref()).ok().and_then(|form| form.text("next").map(str::to_owned));
    match api.access.has_tokens() {
        true => page(local(next.as_deref().unwrap_or("/")), None),
        false => see("/", None),
    }
}

pub async fn take(State(api): State<Arc<Api>>, request: Request) -> Result<Response, Failed> {
    let headers = request.headers().clone();
    let form = Form::read(&api, request).await?;
    let (token, next) = (form.text("token").unwrap_or_default().trim(), local(form.text("next").unwrap_or("/")));
    match api.access.visitor(&headers, Some(token), Scope::Read) {
        Ok(_) => Ok(see(next, Some(set_cookie(&headers, TOKEN, token, KEPT)))),
        Err(Denied::Scope(scope)) => Err(Failed(Denied::Scope(scope).problem().0)),
        Err(denied) => Ok(page(next, Some(denied))),
    }
}

pub async fn leave(headers: HeaderMap) -> Response {
    see("/", Some(set_cookie(&headers, TOKEN, "", 0)))
}

fn see(to: &str, cookie: Option<String>) -> Response {
    let response = (StatusCode::SEE_OTHER, [(LOCATION, to.to_owned())]).into_response();
    match cookie {
        Some(cookie) => ([(SET_COOKIE, cookie)], response).into_response(),
        None => response,
    }
}

/// A path of ours, and no other site's address that looks like one.
fn local(path: &str) -> &str {
    let is_path = path.starts_with('/') && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\') && !path.starts_with("//");
    if is_path { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_to_another_site() {
        for path in ["/", "/incidents/inc_1?x=y&z=%2F"] {
            assert_eq!(local(path), path);
        }
        for path in
            ["", "https://evil.example", "//evil.example", "/\\evil.example", "\\\\evil", "javascript:1", "/\r\nX: y", "/ü"]
        {
            assert_eq!(local(path), "/", "{path:?}");
        }
    }
}
