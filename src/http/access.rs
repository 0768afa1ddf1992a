//! Who may do what: bearer tokens known by their hashes, scopes, and how much one client may ask for.

use crate::http::{Api, Problem, body};
use axum::extract::{Request, State};
use axum::http::header::{AUTHORIZATION, HOST, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use governor::clock::{Clock, DefaultClock};
use governor::state::keyed::DashMapStateStore;
use governor::{Quota, RateLimiter};
use sha2::{Digest, Sha256};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::sync::Arc;
use subtle::ConstantTimeEq;

/// Where webhooks come in: Alertmanager takes a 429 for a no that lasts minutes, so they are never told to slow down.
pub const WEBHOOKS: &str = "/v1/webhooks/";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scope {
    Read,
    Alert,
    Operate,
    /// And whatever the others may.
    Admin,
}

impl Scope {
    pub fn name(self) -> &'static str {
        match self {
            Scope::Read => "read",
            Scope::Alert => "alert",
            Scope::Operate => "operate",
            Scope::Admin => "admin",
        }
    }

    /// What a request to a route of the API needs; one that is not named here needs the right to change things.
    fn needed(method: &Method, path: &str) -> Scope {
        match *method {
            Method::GET | Method::HEAD => Scope::Read,
            Method::POST if path == "/v1/incidents" || path.starts_with(WEBHOOKS) => Scope::Alert,
            Method::POST if path == "/v1/rules/reload" => Scope::Admin,
            _ => Scope::Operate,
        }
    }
}

/// A token as it is configured.
pub struct Token {
    pub name: Arc<str>,
    pub sha256: [u8; 32],
    pub scopes: Vec<Scope>,
}

/// Who asks: the token's name, where there are tokens.
#[derive(Clone, Debug, Default)]
pub struct Caller(pub Option<Arc<str>>);

/// Where a connection comes from.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub SocketAddr);

#[derive(Clone, PartialEq, Eq, Hash)]
enum Client {
    Token(Arc<str>),
    Peer(IpAddr),
}

pub struct Access {
    tokens: Vec<Token>,
    /// Besides addresses and `localhost`, where there are no tokens.
    host: Option<String>,
    limiter: Option<RateLimiter<Client, DashMapStateStore<Client>, DefaultClock>>,
}

impl Access {
    /// Without tokens everybody may do everything: the configuration keeps the listener to loopback then. `rate`: requests a
    /// second of one client, 0 for no limit; twice as many may come at once. `host`: of `api.public_url`.
    pub fn new(tokens: Vec<Token>, rate: u32, host: Option<String>) -> Access {
        let quota =
            |rate: NonZeroU32| Quota::per_second(rate).allow_burst(rate.saturating_mul(NonZeroU32::MIN.saturating_add(1)));
        Access { tokens, host, limiter: NonZeroU32::new(rate).map(|rate| RateLimiter::keyed(quota(rate))) }
    }

    /// Forgets clients that have not come for a while.
    pub fn upkeep(&self) {
        if let Some(limiter) = &self.limiter {
            limiter.retain_recent();
            limiter.shrink_to_fit();
        }
    }

    fn caller(&self, headers: &HeaderMap, needed: Scope) -> Result<Caller, Denied> {
        if self.tokens.is_empty() {
            return if self.is_ours(headers) { Ok(Caller(None)) } else { Err(Denied::Host) };
        }
        let text = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let (scheme, secret) = text.split_once(' ').unwrap_or((text, ""));
        self.bearer(Some(secret.trim()).filter(|_| scheme.eq_ignore_ascii_case("bearer")), needed)
    }

    /// Who asks from a browser: the token comes in its cookie, which no route of the API reads.
    pub(super) fn visitor(&self, headers: &HeaderMap, token: Option<&str>, needed: Scope) -> Result<Caller, Denied> {
        match (self.has_tokens(), self.is_ours(headers)) {
            (true, _) => self.bearer(token, needed),
            (false, true) => Ok(Caller(None)),
            (false, false) => Err(Denied::Host),
        }
    }

    pub(super) fn has_tokens(&self) -> bool {
        !self.tokens.is_empty()
    }

    fn bearer(&self, secret: Option<&str>, needed: Scope) -> Result<Caller, Denied> {
        let secret = secret.filter(|secret| !secret.is_empty()).ok_or(Denied::NoToken)?;
        let hash = Sha256::digest(secret);
        // All of them, each in constant time: how long it takes tells nothing.
        let mut found = None;
        for token in &self.tokens {
            if bool::from(token.sha256.ct_eq(hash.as_slice())) {
                found = Some(token);
            }
        }
        let token = found.ok_or(Denied::WrongToken)?;
        match token.scopes.contains(&needed) || token.scopes.contains(&Scope::Admin) {
            true => Ok(Caller(Some(Arc::clone(&token.name)))),
            false => Err(Denied::Scope(needed)),
        }
    }

    /// A web page whose name was made to lead to loopback sends its own name as the host. Whoever sends several is believed
    /// none that is foreign.
    fn is_ours(&self, headers: &HeaderMap) -> bool {
        headers.get_all(HOST).iter().all(|host| host.to_str().is_ok_and(|host| self.is_known(host)))
    }

    fn is_known(&self, host: &str) -> bool {
        let name =
            host.rsplit_once(':').filter(|(_, port)| port.bytes().all(|b| b.is_ascii_digit())).map_or(host, |(name, _)| name);
        let name = name.trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
        name.parse::<IpAddr>().is_ok()
            || name == "localhost"
            || name.ends_with(".localhost")
            || self.host.as_deref().is_some_and(|known| known.eq_ignore_ascii_case(&name))
    }

    pub(super) fn slow_down(&self, caller: &Result<Caller, Denied>, peer: IpAddr) -> Result<(), Problem> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        let client = match caller {
            Ok(Caller(Some(name))) => Client::Token(Arc::clone(name)),
            _ => Client::Peer(peer),
        };
        limiter.check_key(&client).map_err(|until| {
            let wait = until.wait_time_from(DefaultClock::default().now()).as_secs() + 1;
            let detail = format!("more than api.rate_limit requests a second come from this client: wait {wait} s");
            Problem::new(StatusCode::TOO_MANY_REQUESTS, detail).after(wait)
        })
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Denied {
    NoToken,
    WrongToken,
    Scope(Scope),
    Host,
}

impl Denied {
    /// And the challenge that goes with it, where a token would help.
    pub(super) fn problem(self) -> (Problem, Option<String>) {
        let (status, detail, challenge) = match self {
            Denied::NoToken => (
                StatusCode::UNAUTHORIZED,
                "send `Authorization: Bearer …` with one of the tokens of [api]".to_owned(),
                "Bearer realm=\"incidentd\"".to_owned(),
            ),
            Denied::WrongToken => (
                StatusCode::UNAUTHORIZED,
                "this token is not known: api.tokens lists the SHA-256 of those that are".to_owned(),
                "Bearer realm=\"incidentd\", error=\"invalid_token\"".to_owned(),
            ),
            Denied::Scope(scope) => (
                StatusCode::FORBIDDEN,
                format!("this token may not: the scope `{}` is needed (api.tokens)", scope.name()),
                format!("Bearer realm=\"incidentd\", error=\"insufficient_scope\", scope=\"{}\"", scope.name()),
            ),
            Denied::Host => {
                let detail =
                    "without tokens only requests to an address, to localhost or to the host of api.public_url are taken";
                return (Problem::of_field(StatusCode::MISDIRECTED_REQUEST, "host", detail), None);
            }
        };
        (Problem::of_field(status, "authorization", detail), Some(challenge))
    }
}

impl IntoResponse for Denied {
    fn into_response(self) -> Response {
        let (problem, challenge) = self.problem();
        let mut response = problem.into_response();
        // Made of names of ours alone.
        if let Some(Ok(challenge)) = challenge.map(|challenge| HeaderValue::from_str(&challenge)) {
            response.headers_mut().insert(WWW_AUTHENTICATE, challenge);
        }
        response
    }
}

/// A browser says so of what a page of another site has it send.
fn is_cross_site(headers: &HeaderMap) -> bool {
    headers.get("sec-fetch-site").is_some_and(|site| site.as_bytes() == b"cross-site")
}

/// Goes before every route of the API.
pub async fn check(State(api): State<Arc<Api>>, mut request: Request, next: Next) -> Response {
    match admit(&api, &request) {
        Ok(caller) => {
            tracing::Span::current().record("caller", caller.0.as_deref().unwrap_or("-"));
            request.extensions_mut().insert(caller);
            next.run(request).await
        }
        Err(refusal) => {
            // Closed on while they still send, they would not hear why.
            body::linger(request.into_body());
            *refusal
        }
    }
}

/// Who asks, or the answer to whoever may not.
fn admit(api: &Api, request: &Request) -> Result<Caller, Box<Response>> {
    let path = request.uri().path();
    let needed = Scope::needed(request.method(), path);
    if api.access.tokens.is_empty() && needed != Scope::Read && is_cross_site(request.headers()) {
        let detail = "without tokens no page of another site may change anything";
        return Err(Box::new(Problem::of_field(StatusCode::FORBIDDEN, "sec-fetch-site", detail).into_response()));
    }
    let caller = api.access.caller(request.headers(), needed);
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
    if !path.starts_with(WEBHOOKS) {
        api.access.slow_down(&caller, peer).map_err(|problem| Box::new(problem.into_response()))?;
    }
    caller.map_err(|denied| Box::new(denied.into_response()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(name: &str, secret: &str, scopes: &[Scope]) -> Token {
        Token { name: name.into(), sha256: Sha256::digest(secret).into(), scopes: scopes.to_vec() }
    }

    fn headers(name: axum::http::HeaderName, value: &str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_str(value).expect("a header"))])
    }

    #[test]
    fn a_token_opens_what_its_scopes_name() {
        let tokens = vec![token("ci", "s3cret", &[Scope::Alert]), token("boss", "root", &[Scope::Admin])];
        let access = Access::new(tokens, 0, None);
        let ask = |value: &str, method: Method, path: &str| {
            let caller = access.caller(&headers(AUTHORIZATION, value), Scope::needed(&method, path));
            caller.map(|caller| caller.0.expect("a name").to_string())
        };
        assert_eq!(ask("Bearer s3cret", Method::POST, "/v1/incidents"), Ok("ci".to_owned()));
        assert_eq!(ask("bearer  s3cret ", Method::POST, "/v1/webhooks/alertmanager"), Ok("ci".to_owned()));
        assert_eq!(ask("Bearer s3cret", Method::GET, "/v1/incidents"), Err(Denied::Scope(Scope::Read)));
        assert_eq!(ask("Bearer s3cret", Method::PATCH, "/v1/incidents/x/resolve"), Err(Denied::Scope(Scope::Operate)));
        assert_eq!(ask("Bearer s3cret", Method::POST, "/v1/silences"), Err(Denied::Scope(Scope::Operate)));
        assert_eq!(ask("Bearer s3cret", Method::POST, "/v1/rules/reload"), Err(Denied::Scope(Scope::Admin)));
        assert_eq!(ask("Bearer root", Method::DELETE, "/v1/silences/x"), Ok("boss".to_owned()));
        for wrong in ["Bearer s3cre", "Bearer s3crets", "Bearer S3CRET"] {
            assert_eq!(ask(wrong, Method::POST, "/v1/incidents"), Err(Denied::WrongToken));
        }
        for none in ["", "Bearer", "Bearer ", "Basic s3cret", "s3cret"] {
            assert_eq!(ask(none, Method::POST, "/v1/incidents"), Err(Denied::NoToken), "{none:?}");
        }
        let hash: String = Sha256::digest("root").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(ask(&format!("Bearer {hash}"), Method::GET, "/"), Err(Denied::WrongToken), "a hash is no token");
    }

    #[test]
    fn without_tokens_a_foreign_name_is_refused() {
        let access = Access::new(Vec::new(), 0, Some("incidents.example.com".to_owned()));
        for (host, taken) in [
            ("127.0.0.1:8080", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("localhost", true),
            ("LOCALHOST:1", true),
            ("incidents.example.com", true),
            ("evil.example.com:8080", false),
            ("localhost.evil.com", false),
        ] {
            assert_eq!(access.caller(&headers(HOST, host), Scope::Read).is_ok(), taken, "{host}");
        }
    }

    #[test]
    fn one_client_that_asks_too_often_leaves_the_others_alone() {
        let access = Access::new(Vec::new(), 5, None);
        let (one, other) = (IpAddr::from([10, 0, 0, 1]), IpAddr::from([10, 0, 0, 2]));
        let nobody = || Ok(Caller(None));
        let let_through = (0..100).filter(|_| access.slow_down(&nobody(), one).is_ok()).count();
        assert!((10..=12).contains(&let_through), "{let_through}");
        let problem = access.slow_down(&nobody(), one).expect_err("too often");
        assert_eq!((problem.status, problem.retry_after), (StatusCode::TOO_MANY_REQUESTS, Some(1)));
        assert!(access.slow_down(&nobody(), other).is_ok());
        access.upkeep();
    }
}
