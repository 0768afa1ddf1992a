//! Traces for an OpenTelemetry collector, an option: spans of their own beside the log, sent over OTLP/HTTP.
//!
//! These spans bear the target [`TARGET`], which the log leaves out; without a collector nobody takes them, and they cost
//! nothing. Invariant: nobody waits for the collector. A full queue drops spans, and what cannot be sent is counted and dropped.

use crate::config::Telemetry;
use crate::metrics::TRACE_EXPORTS;
use axum::http::HeaderMap;
use metrics::counter;
use opentelemetry::KeyValue;
use opentelemetry::propagation::TextMapPropagator;
use opentelemetry::trace::TracerProvider;
use opentelemetry_http::{Bytes, HeaderExtractor, HttpClient, HttpError, Request, Response};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig, WithHttpConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::propagation::TraceContextPropagator;
use opentelemetry_sdk::trace::{Sampler, SdkTracerProvider};
use rustls::ClientConfig;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use tokio::runtime::{Handle, Runtime};
use tracing::{Span, Subscriber, field};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::filter_fn;
use tracing_subscriber::registry::LookupSpan;

/// Of every span that goes to the collector.
pub const TARGET: &str = "otel";

/// For one export with its repetitions.
const TIMEOUT: Duration = Duration::from_secs(5);
/// At the end of the process, for what is queued.
const DRAIN: Duration = Duration::from_secs(2);
/// Bytes of a collector's answer that are read.
const ANSWER: usize = 64 << 10;

/// Sends spans until [`Traces::stop`].
pub struct Traces {
    provider: SdkTracerProvider,
    /// Its own: neither the API nor delivery share a thread with it.
    runtime: Runtime,
}

impl Traces {
    /// Nothing where no collector is configured; opens no connection. `tls`: for `https://`.
    pub fn start(config: &Telemetry, tls: impl FnOnce() -> Result<ClientConfig, String>) -> Result<Option<Traces>, String> {
        let Some(endpoint) = &config.otlp_endpoint else { return Ok(None) };
        let wrong = |error: String| format!("telemetry.otlp_endpoint: {error}");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).thread_name("traces").enable_all().build();
        let runtime = runtime.map_err(|error| wrong(error.to_string()))?;
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(tls()?)
            .redirect(reqwest::redirect::Policy::none())
            .no_proxy()
            .timeout(TIMEOUT)
            .user_agent(concat!("incidentd/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let endpoint = format!("{}/v1/traces", endpoint.trim_end_matches('/'));
        let sender = Sender { client, runtime: runtime.handle().clone(), failing: AtomicBool::new(false) };
        let exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(sender)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint)
            .with_timeout(TIMEOUT)
            .build()
            .map_err(|error| wrong(error.to_string()))?;
        let resource = Resource::builder()
            .with_service_name(config.service_name.clone())
            .with_attribute(KeyValue::new("service.version", env!("CARGO_PKG_VERSION")))
            .with_attribute(KeyValue::new("service.instance.id", format!("{:032x}", rand::random::<u128>())))
            .build();
        let ratio = Sampler::TraceIdRatioBased(f64::from(config.sample_percent) / 100.0);
        let provider = SdkTracerProvider::builder()
            .with_batch_exporter(exporter)
            .with_sampler(Sampler::ParentBased(Box::new(ratio)))
            .with_resource(resource)
            .build();
        Ok(Some(Traces { provider, runtime }))
    }

    /// Takes the spans of [`TARGET`].
    pub fn layer<S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync>(&self) -> impl Layer<S> + use<S> {
        let layer = tracing_opentelemetry::layer().with_tracer(self.provider.tracer("incidentd"));
        let layer = layer.with_location(false).with_threads(false).with_tracked_inactivity(false).with_level(false);
        layer.with_target(false).with_filter(filter_fn(|metadata| metadata.is_span() && metadata.target() == TARGET))
    }

    /// Sends what is queued, until `deadline` and for [`DRAIN`] at most.
    pub fn stop(self, deadline: Instant) {
        let left = deadline.saturating_duration_since(Instant::now()).min(DRAIN);
        if let Err(error) = self.provider.shutdown_with_timeout(left) {
            tracing::warn!("the last traces are lost: {error}");
        }
        self.runtime.shutdown_background();
    }
}

/// One request to the API; follows the client's own trace where it says so (`traceparent`).
pub fn request(method: &'static str, route: &str, path: &str, id: &str, headers: &HeaderMap) -> Span {
    let span = tracing::info_span!(
        target: TARGET,
        "request",
        otel.name = format!("{method} {route}"),
        otel.kind = "server",
        http.request.method = method,
        http.route = route,
        url.path = path,
        http.request.id = id,
        http.response.status_code = field::Empty,
        otel.status_code = field::Empty,
    );
    if !span.is_disabled() {
        // Fails where there is no layer, and then there is no trace.
        let _ = span.set_parent(TraceContextPropagator::new().extract(&HeaderExtractor(headers)));
    }
    span
}

/// The end of it.
pub fn answered(span: &Span, status: u16) {
    span.record("http.response.status_code", i64::from(status));
    if status >= 500 {
        span.record("otel.status_code", "ERROR");
    }
}

/// How exports go out.
#[derive(Debug)]
struct Sender {
    client: reqwest::Client,
    runtime: Handle,
    /// The last one failed: said once, not with each.
    failing: AtomicBool,
}

type Sending<'s> = Pin<Box<dyn Future<Output = Result<Response<Bytes>, HttpError>> + Send + 's>>;

impl HttpClient for Sender {
    fn send_bytes<'life0, 'async_trait>(&'life0 self, request: Request<Bytes>) -> Sending<'async_trait>
    where
        'life0: 'async_trait,
        Self: 'async_trait,
    {
        Box::pin(async move {
            let client = self.client.clone();
            // The exporter's own thread knows no reactor.
            let sent = self.runtime.spawn(async move { send(&client, request).await }).await;
            let sent = sent.map_err(HttpError::from).and_then(|sent| sent);
            self.tell(&sent);
            sent
        })
    }
}

impl Sender {
    fn tell(&self, sent: &Result<Response<Bytes>, HttpError>) {
        let why = match sent {
            Ok(answer) if answer.status().is_success() => None,
            Ok(answer) => Some(format!("it answers {}", answer.status())),
            Err(error) => Some(error.to_string()),
        };
        let outcome = if why.is_none() { "sent" } else { "failed" };
        // The log line before the count: who reads the count finds the reason.
        match (why, self.failing.load(Ordering::Relaxed)) {
            (Some(why), false) => {
                tracing::warn!("traces cannot be sent to telemetry.otlp_endpoint and are dropped: {why}");
                self.failing.store(true, Ordering::Relaxed);
            }
            (None, true) => {
                tracing::info!("traces are sent again");
                self.failing.store(false, Ordering::Relaxed);
            }
            _ => {}
        }
        counter!(TRACE_EXPORTS, "outcome" => outcome).increment(1);
    }
}

async fn send(client: &reqwest::Client, request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
    let mut answer = client.execute(request.try_into()?).await.map_err(reqwest::Error::without_url)?;
    let mut response = Response::builder().status(answer.status());
    if let Some(headers) = response.headers_mut() {
        *headers = std::mem::take(answer.headers_mut());
    }
    let mut body = Vec::new();
    while let Some(piece) = answer.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + piece.len() > ANSWER {
            return Err(format!("its answer is longer than {ANSWER} bytes").into());
        }
        body.extend_from_slice(&piece);
    }
    Ok(response.body(body.into())?)
}
