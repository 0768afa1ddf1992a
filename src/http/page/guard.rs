//! Who looks, whose form it is, and the headers that keep a page to itself.
//!
//! The token stands in a cookie that no script reads and no other site makes a browser send (HttpOnly, SameSite=Strict). The
//! routes of the API do not read it. A form is taken from our own pages alone: the browser says where it comes from.

use crate::http::access::{Caller, Denied, Peer, Scope};
use crate::http::page::frame::Failed;
use crate::http::page::sign_in;
use crate::http::{Api, Problem};
use axum::extract::{Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, COOKIE, HOST, HeaderName, ORIGIN, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

/// The cookie with the token, in hex: a token may hold what a cookie may not.
pub const TOKEN: &str = "incidentd_token";
const SITE: HeaderName = HeaderName::from_static("sec-fetch-site");
const OPENER: HeaderName = HeaderName::from_static("cross-origin-opener-policy");
/// Nothing but what we serve ourselves; no frame, no base, no plugin.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

/// The value of one of our cookies: hex of UTF-8.
pub fn cookie(headers: &HeaderMap, name: &str) -> Option<String> {
    let texts = headers.get_all(COOKIE).into_iter().filter_map(|value| value.to_str().ok());
    let mut pairs = texts.flat_map(|text| text.split(';')).filter_map(|pair| pair.trim().split_once('='));
    let (_, value) = pairs.find(|(known, _)| *known == name)?;
    String::from_utf8(const_hex::decode(value).ok()?).ok()
}

/// `Set-Cookie` of such a value; an empty one ends the cookie. Secure where the browser came by https.
pub fn set_cookie(headers: &HeaderMap, name: &str, value: &str, seconds: u32) -> String {
    let seconds = if value.is_empty() { 0 } else { seconds };
    let secure = if text(headers, &ORIGIN).is_some_and(|origin| origin.starts_with("https://")) { "; Secure" } else { "" };
    format!("{name}={}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", const_hex::encode(value))
}

fn text<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

/// Was the form sent by a page of ours? `Sec-Fetch-Site` is the browser's own word, whatever stands between it and us; older
/// browsers name the page's origin.
fn is_our_form(headers: &HeaderMap) -> bool {
    if let Some(site) = text(headers, &SITE) {
        return site == "same-origin";
    }
    let of_origin = text(headers, &ORIGIN).and_then(|origin| origin.split_once("://")).map(|(_, host)| host);
    matches!((of_origin, text(headers, &HOST)), (Some(origin), Some(host)) if origin.eq_ignore_ascii_case(host))
}

fn foreign() -> Failed {
    let detail =
        "this form was not sent by a page of incidentd: open the page and send it from there (programs use the API under /v1)";
    Failed(Problem::new(StatusCode::FORBIDDEN, detail))
}

fn reads(request: &Request) -> bool {
    matches!(*request.method(), Method::GET | Method::HEAD)
}

fn peer(request: &Request) -> IpAddr {
    request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip())
}

/// Goes before every page.
pub async fn check(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    let needed = if reads(&request) { Scope::Read } else { Scope::Operate };
    let token = cookie(request.headers(), TOKEN);
    let caller = api.access.visitor(request.headers(), token.as_deref(), needed);
    if let Err(problem) = api.access.slow_down(&caller, peer(&request)) {
        return Failed(problem).into_response();
    }
    if !reads(&request) && !is_our_form(request.headers()) {
        return foreign().into_response();
    }
    match caller {
        Ok(caller) => {
            tracing::Span::current().record("caller", caller.0.as_deref().unwrap_or("-"));
            request.extensions_mut().insert::<Caller>(caller);
            next.run(request).await
        }
        Err(denied @ (Denied::NoToken | Denied::WrongToken)) => {
            // Who follows a link from another site is not sent the cookie along, though they may be signed in.
            let is_led_here = token.is_none() && reads(&request) && text(request.headers(), &SITE) == Some("cross-site");
            let path = request.uri().path_and_query().map_or("/", |path| path.as_str());
            match is_led_here {
                true => sign_in::again(path),
                false => {
                    sign_in::page(if reads(&request) { path } else { "/" }, (denied == Denied::WrongToken).then_some(denied))
                }
            }
        }
        Err(denied) => Failed(denied.problem().0).into_response(),
    }
}

/// Goes before signing in and out: as many tries as a client may make requests.
pub async fn check_form(State(api): State<Arc<Api>>, request: Request, next: Next) -> Response {
    if let Err(problem) = api.access.slow_down(&Err(Denied::NoToken), peer(&request)) {
        return Failed(problem).into_response();
    }
    if !reads(&request) && !is_our_form(request.headers()) {
        return foreign().into_response();
    }
    next.run(request).await
}

/// The headers of every page.
pub async fn keep_to_itself(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    // Not `no-referrer`: that would take the origin from our own forms, too.
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("same-origin"));
    headers.insert(OPENER, HeaderValue::from_static("same-origin"));
    headers.entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs.iter().map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value))).collect()
    }

    #[test]
    fn a_form_is_ours_by_the_browsers_word() {
        for (sent, ours) in [
            (&[("sec-fetch-site", "same-origin")][..], true),
            (&[("sec-fetch-site", "same-origin"), ("origin", "https://proxy.example"), ("host", "inner:8080")], true),
            (&[("sec-fetch-site", "cross-site"), ("origin", "http://h:1"), ("host", "h:1")], false),
            (&[("sec-fetch-site", "same-site")], false),
            (&[("sec-fetch-site", "none")], false),
            (&[("origin", "http://h:1"), ("host", "h:1")], true),
            (&[("origin", "http://H:1"), ("host", "h:1")], true),
            (&[("origin", "http://h:2"), ("host", "h:1")], false),
            (&[("origin", "http://evil.example"), ("host", "h:1")], false),
            (&[("origin", "null"), ("host", "h:1")], false),
            (&[("host", "h:1")], false),
            (&[], false),
        ] {
            assert_eq!(is_our_form(&headers(sent)), ours, "{sent:?}");
        }
    }

    #[test]
    fn cookies_come_back_and_stay_to_themselves() {
        let set = set_cookie(&headers(&[("origin", "https://x")]), TOKEN, "a b;ü", 60);
        assert!(set.ends_with("; Path=/; Max-Age=60; HttpOnly; SameSite=Strict; Secure"), "{set}");
        let pair = set.split(';').next().unwrap_or_default();
        let mut sent = HeaderMap::new();
        sent.insert(COOKIE, HeaderValue::from_str(&format!("x=1; {pair};y=2")).expect("a header"));
        assert_eq!(cookie(&sent, TOKEN).as_deref(), Some("a b;ü"));
        assert_eq!(cookie(&sent, "incidentd"), None);
        assert_eq!(cookie(&headers(&[("cookie", "incidentd_token=zz")]), TOKEN), None);
        assert!(set_cookie(&headers(&[]), TOKEN, "", 60).contains("Max-Age=0; HttpOnly; SameSite=Strict"));
    }
}
