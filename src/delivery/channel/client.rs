//! HTTP as all channels speak it: through the guard, without redirects, and with an end to every wait and every answer.

use crate::delivery::channel::message::Sent;
use crate::delivery::channel::resolver::{Forbidden, Resolver};
use crate::delivery::channel::roots::Roots;
use crate::delivery::channel::text::{cut, one_line};
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Client, Method, Proxy, RequestBuilder, Response, StatusCode, Url};
use std::time::{Duration, SystemTime};

/// The longest that a connection, TLS included, may take to stand.
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of an answer that are read.
const ANSWER: usize = 64 << 10;
/// How long the rest of an answer that nobody needs is read, so that the connection can be used again.
const DRAIN: Duration = Duration::from_millis(500);

pub struct Http {
    client: Client,
    resolver: Resolver,
    /// For one call whole.
    timeout: Duration,
}

/// What a receiver answered.
pub struct Answer {
    pub status: StatusCode,
    pub retry_after: Option<Duration>,
    /// Its first bytes.
    pub body: Vec<u8>,
}

impl Http {
    pub fn new(resolver: Resolver, roots: &Roots, proxy: Option<&Url>, timeout: Duration) -> Result<Http, String> {
        let tls = roots.for_http().map_err(|error| format!("TLS cannot be set up: {error}"))?;
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls)
            .dns_resolver(resolver.clone())
            .redirect(Policy::none())
            .referer(false)
            // Those of the environment are for other programs: `delivery.proxy` is ours.
            .no_proxy()
            .connect_timeout(CONNECT.min(timeout))
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(8)
            .user_agent(concat!("incidentd/", env!("CARGO_PKG_VERSION")));
        if let Some(proxy) = proxy {
            client = client.proxy(Proxy::all(proxy.clone()).map_err(|_| "delivery.proxy: it is no proxy's URL".to_owned())?);
        }
        let client = client.build().map_err(|error| format!("the HTTP client cannot be set up: {}", described(&error)))?;
        Ok(Http { client, resolver, timeout })
    }

    /// A call to be filled in. Names and passwords in the URL become a header, as everywhere.
    pub fn request(&self, method: Method, url: Url, action_id: &str) -> RequestBuilder {
        self.client.request(method, url).header("idempotency-key", action_id)
    }

    /// One call whose answer is read whole (to a bound): for receivers whose answer says more than its status.
    pub async fn ask(&self, request: RequestBuilder) -> Result<Answer, Sent> {
        self.in_time(async {
            let mut response = self.begin(request).await?;
            let mut answer = Answer::of(&response);
            answer.body = read(&mut response).await.map_err(|error| failed(&error))?;
            Ok(answer)
        })
        .await
    }

    /// One call where the status is the answer: what follows it is not waited for.
    pub async fn tell(&self, request: RequestBuilder) -> Result<Answer, Sent> {
        self.in_time(async {
            let mut response = self.begin(request).await?;
            let mut answer = Answer::of(&response);
            if let Ok(Ok(body)) = tokio::time::timeout(DRAIN, read(&mut response)).await {
                answer.body = body;
            }
            Ok(answer)
        })
        .await
    }

    async fn begin(&self, request: RequestBuilder) -> Result<Response, Sent> {
        let request = request.build().map_err(|error| failed(&error))?;
        self.resolver.check(request.url()).await.map_err(|forbidden| Sent::Refused { why: forbidden.to_string() })?;
        self.client.execute(request).await.map_err(|error| failed(&error))
    }

    async fn in_time(&self, call: impl Future<Output = Result<Answer, Sent>>) -> Result<Answer, Sent> {
        let late = || Sent::Again { after: None, why: format!("no answer within {:?}", self.timeout) };
        tokio::time::timeout(self.timeout, call).await.unwrap_or_else(|_| Err(late()))
    }
}

impl Answer {
    fn of(response: &Response) -> Answer {
        let retry_after = retry_after(response.headers(), SystemTime::now());
        Answer { status: response.status(), retry_after, body: Vec::new() }
    }

    /// What to do about a status other than 2xx; `said` is what the body says, for people.
    pub fn unless_accepted(&self, said: &str) -> Result<(), Sent> {
        if self.status.is_success() {
            return Ok(());
        }
        let colon = if said.is_empty() { "" } else { ": " };
        let why = format!("answered {}{colon}{said}", self.status.as_u16());
        let retryable =
            [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS].contains(&self.status);
        Err(if self.status.is_server_error() || retryable {
            Sent::Again { after: self.retry_after, why }
        } else if self.status.is_redirection() {
            Sent::Refused {
                why: format!("answered {}, a redirect, and none is followed: name the final URL", self.status.as_u16()),
            }
        } else {
            Sent::Refused { why }
        })
    }

    /// The body's beginning as one line.
    pub fn excerpt(&self) -> String {
        cut(&one_line(&String::from_utf8_lossy(&self.body)), 200)
    }
}

/// Seconds or a date; a date that is over is now.
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = value.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(value).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

async fn read(response: &mut Response) -> Result<Vec<u8>, reqwest::Error> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await? {
        let room = ANSWER - body.len();
        body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        if body.len() == ANSWER {
            break;
        }
    }
    Ok(body)
}

/// What to do about a call that got no answer. The URL, which may hold a token, is not repeated.
fn failed(error: &reqwest::Error) -> Sent {
    if let Some(forbidden) = cause::<Forbidden>(error) {
        return Sent::Refused { why: forbidden.to_string() };
    }
    if let Some(rustls::Error::InvalidCertificate(problem)) = cause::<rustls::Error>(error) {
        return Sent::Refused { why: untrusted(problem) };
    }
    if error.is_builder() {
        return Sent::Refused { why: format!("the request cannot be built: {}", described(error)) };
    }
    Sent::Again { after: None, why: described(error) }
}

pub fn untrusted(problem: &dyn std::fmt::Display) -> String {
    format!("its certificate is not trusted: {problem}; mend it, or name its authority in delivery.ca_file")
}

/// The chain of causes as one line, without the URL.
fn described(error: &reqwest::Error) -> String {
    let mut text = if error.is_timeout() {
        "no answer in time"
    } else if error.is_connect() {
        "no connection"
    } else if error.is_builder() {
        "not a request"
    } else {
        "the connection broke"
    }
    .to_owned();
    let mut last: &dyn std::error::Error = error;
    while let Some(source) = last.source() {
        last = source;
    }
    if !std::ptr::addr_eq(last, error) {
        text.push_str(": ");
        text.push_str(&last.to_string());
    }
    text
}

/// The first error of that type in the chain; an `io::Error` hides what it carries from `source`.
pub fn cause<'e, E: std::error::Error + 'static>(error: &'e (dyn std::error::Error + 'static)) -> Option<&'e E> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(found) = error.downcast_ref::<E>() {
            return Some(found);
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(|error| error.get_ref()) {
            Some(carried) => Some(carried),
            None => error.source(),
        };
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::UNIX_EPOCH;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (value, seconds) in [
            ("7", Some(7)),
            (" 120 ", Some(120)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:49:07 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, value.parse().unwrap())]);
            assert_eq!(retry_after(&headers, now), seconds.map(Duration::from_secs), "{value}");
        }
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_status_says_what_to_do() {
        let after = Some(Duration::from_secs(3));
        let judge = |status: u16| {
            Answer { status: StatusCode::from_u16(status).unwrap(), retry_after: after, body: Vec::new() }.unless_accepted("said")
        };
        for status in [200, 201, 202, 204] {
            assert_eq!(judge(status), Ok(()), "{status}");
        }
        for status in [408, 425, 429, 500, 502, 503, 504] {
            let why = format!("answered {status}: said");
            assert_eq!(judge(status), Err(Sent::Again { after, why }), "{status}");
        }
        for status in [301, 302, 307, 308, 400, 401, 403, 404, 410, 413, 422] {
            assert!(matches!(judge(status), Err(Sent::Refused { why }) if why.contains(&status.to_string())), "{status}");
        }
    }
}
