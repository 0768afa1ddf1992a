//! The HTTP API as the command line calls it: where it is, who asks, and each way to fail with its remedy.

use crate::app::Failure;
use crate::cli::ConfigFile;
use clap::Args;
use reqwest::header::CONTENT_TYPE;
use reqwest::redirect::Policy;
use reqwest::{Client, Method, StatusCode, Url};
use rustls::{ClientConfig, RootCertStore};
use serde::Deserialize;
use serde_json::Value;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;

/// For one call; the API itself answers within 10 s.
const TIME: Duration = Duration::from_secs(15);
const CONNECT: Duration = Duration::from_secs(5);
/// Bytes of an answer: 500 incidents of the greatest size would be more, and are no list for a terminal.
const ANSWER: usize = 256 << 20;
/// The variable that holds the token. Not a flag, which every process list would show.
const TOKEN: &str = "INCIDENTD_TOKEN";
const URL: &str = "INCIDENTD_URL";

/// Which incidentd is asked.
#[derive(Args, Clone)]
pub struct Server {
    /// Where incidentd serves its API; the token comes from the variable INCIDENTD_TOKEN
    #[arg(long, value_name = "URL", env = "INCIDENTD_URL", default_value = "http://127.0.0.1:8080", value_parser = url)]
    url: Url,
    /// Print JSON: the API's own answer
    #[arg(long)]
    pub json: bool,
}

/// For commands that go to Kafka themselves where no API is named.
#[derive(Args)]
pub struct Through {
    /// Ask a running incidentd there, over its HTTP API, in place of Kafka (token: INCIDENTD_TOKEN)
    /// [default: INCIDENTD_URL, where no --config is given]
    #[arg(long, value_name = "URL", value_parser = url)]
    url: Option<Url>,
}

impl Through {
    /// `None`: Kafka. Whoever names a configuration means its cluster, unless they name an API beside it.
    pub fn server(&self, file: &ConfigFile, json: bool) -> Result<Option<Server>, Failure> {
        let named = std::env::var(URL).ok().filter(|text| !text.is_empty() && file.config.is_none());
        let url = match (self.url.clone(), named) {
            (None, Some(text)) => {
                Some(url(&text).map_err(|error| Failure::Usage(format!("the variable {URL} is {text:?}: {error}")))?)
            }
            (url, _) => url,
        };
        Ok(url.map(|url| Server { url, json }))
    }
}

fn url(text: &str) -> Result<Url, String> {
    let url = Url::parse(text).map_err(|error| format!("{error}; write http://HOST:PORT or https://HOST"))?;
    match matches!(url.scheme(), "http" | "https") && url.has_host() {
        true => Ok(url),
        false => Err("write http://HOST:PORT or https://HOST".to_owned()),
    }
}

/// An open way to the API.
pub struct Remote {
    client: Client,
    url: Url,
    token: Option<String>,
    runtime: Runtime,
}

/// A problem document, as far as it is told.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Problem {
    title: String,
    detail: String,
}

impl Server {
    pub fn open(&self) -> Result<Remote, Failure> {
        let fail = |error: &dyn std::fmt::Display| Failure::Wrong(format!("the HTTP client cannot be set up: {error}"));
        let mut client = Client::builder()
            .tls_backend_preconfigured(tls().map_err(|error| fail(&error))?)
            // A token is for this server alone.
            .redirect(Policy::none())
            .connect_timeout(CONNECT)
            .timeout(TIME)
            .user_agent(concat!("incidentd/", env!("CARGO_PKG_VERSION")));
        if matches!(self.url.host_str(), Some("127.0.0.1" | "[::1]" | "localhost")) {
            client = client.no_proxy();
        }
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(|error| fail(&error))?;
        let token = std::env::var(TOKEN).ok().map(|token| token.trim().to_owned()).filter(|token| !token.is_empty());
        Ok(Remote { client: client.build().map_err(|error| fail(&error))?, url: self.url.clone(), token, runtime })
    }
}

/// The system's authorities (or those of SSL_CERT_FILE), Mozilla's where there are none.
fn tls() -> Result<ClientConfig, rustls::Error> {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if store.is_empty() {
        store.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(config.with_root_certificates(store).with_no_client_auth())
}

impl Remote {
    /// Does the server know by the token who asks?
    pub fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// The answer's text. `path`: its steps, each one whole, whatever it holds.
    pub fn ask(&self, method: Method, path: &[&str], query: &[(&str, String)], body: Option<&Value>) -> Result<String, Failure> {
        let mut url = self.at(path);
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let request = self.client.request(method, url);
        let request = if let Some(body) = body { request.json(body) } else { request };
        self.runtime.block_on(self.answer(request))
    }

    /// The same with a body that is JSON already.
    pub fn post(&self, path: &[&str], body: String) -> Result<String, Failure> {
        let request = self.client.post(self.at(path)).header(CONTENT_TYPE, "application/json").body(body);
        self.runtime.block_on(self.answer(request))
    }

    fn at(&self, path: &[&str]) -> Url {
        let mut url = self.url.clone();
        // Only http and https come this far, and they have a path.
        if let Ok(mut steps) = url.path_segments_mut() {
            steps.pop_if_empty().extend(path);
        }
        url
    }

    async fn answer(&self, request: reqwest::RequestBuilder) -> Result<String, Failure> {
        let request = if let Some(token) = &self.token { request.bearer_auth(token) } else { request };
        let mut response = request.send().await.map_err(|error| self.unreachable(&error))?;
        let status = response.status();
        let mut text = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| self.unreachable(&error))? {
            text.extend_from_slice(&piece);
            if text.len() > ANSWER {
                return Err(Failure::Wrong(format!(
                    "{}: the answer is larger than {} MiB: ask for less",
                    self.url,
                    ANSWER >> 20
                )));
            }
        }
        let text = String::from_utf8_lossy(&text).into_owned();
        match status.is_success() {
            true => Ok(text),
            false => Err(self.refused(status, &text)),
        }
    }

    fn refused(&self, status: StatusCode, text: &str) -> Failure {
        let problem: Problem = serde_json::from_str(text).unwrap_or_default();
        let detail = match (problem.detail.as_str(), problem.title.as_str()) {
            ("", "") => format!("{status}: this is not incidentd's API; name it by --url or INCIDENTD_URL"),
            ("", title) => title.to_owned(),
            (detail, _) => detail.to_owned(),
        };
        let remedy = match (status, self.has_token()) {
            (StatusCode::UNAUTHORIZED, false) => format!("; put a token of [api] tokens into {TOKEN}"),
            (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, true) => format!("; the token is that of {TOKEN}"),
            _ => String::new(),
        };
        Failure::Wrong(format!("{detail}{remedy}"))
    }

    fn unreachable(&self, error: &reqwest::Error) -> Failure {
        let mut cause: &dyn std::error::Error = error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        let why = if error.is_timeout() { format!("no answer within {} s", TIME.as_secs()) } else { cause.to_string() };
        Failure::Wrong(format!(
            "{}: cannot be reached: {why}; is incidentd running there with the role api? Name another place by --url or \
             INCIDENTD_URL",
            self.url
        ))
    }
}

/// The answer as the type that is told of it.
pub fn read<'a, T: Deserialize<'a>>(text: &'a str) -> Result<T, Failure> {
    serde_json::from_str(text)
        .map_err(|error| Failure::Wrong(format!("the answer cannot be read: {error}; is it of another version?")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_places_of_the_web_are_taken() {
        for (text, right) in [
            ("http://127.0.0.1:8080", true),
            ("https://incidents.example.com/base/", true),
            ("ftp://x", false),
            ("127.0.0.1:8080", false),
            ("localhost:8080", false),
            ("", false),
        ] {
            assert_eq!(url(text).is_ok(), right, "{text}");
        }
    }
}
