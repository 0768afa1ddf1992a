//! Traces over OTLP/HTTP: what a collector is sent, and that nobody waits for one that is slow or away.

use crate::http::client::alert;
use crate::http::{app, ready};
use crate::kafka::turn;
use crate::support::app::{App, Settings};
use crate::support::receiver::{Answer, Receiver};
use crate::support::wait_until;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value};
use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind, status::StatusCode};
use prost::Message as _;
use serde_json::json;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);
/// Of a client that traces.
const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn traced(name: &str, collector: &str) -> App {
    let tables = format!("[telemetry]\notlp_endpoint = \"{collector}\"\nservice_name = \"pager\"\n");
    // As fast as it goes, all from one address.
    app(name, Settings { tables, api: "rate_limit = 0".to_owned(), ..Settings::default() })
}

fn exports(collector: &Receiver) -> Vec<ExportTraceServiceRequest> {
    let read = |body: &[u8]| ExportTraceServiceRequest::decode(body).expect("an export");
    collector.requests().iter().map(|request| read(&request.body)).collect()
}

fn spans(exports: &[ExportTraceServiceRequest]) -> Vec<Span> {
    let scopes = exports.iter().flat_map(|export| &export.resource_spans).flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| scope.spans.clone()).collect()
}

fn text(attributes: &[KeyValue], name: &str) -> String {
    let found = attributes.iter().find(|attribute| attribute.key == name).and_then(|attribute| attribute.value.clone()?.value);
    match found {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

#[test]
fn requests_and_transactions_reach_a_collector_and_the_last_ones_before_the_end() {
    let _turn = turn();
    let collector = Receiver::start(|_, _| Answer::of(200));
    let app = traced("traces", collector.url());
    let process = app.start();
    let client = ready(&process);
    let body = alert("a", "t").to_string();
    let headers = [("content-type", "application/json"), ("traceparent", PARENT), ("x-request-id", "mine")];
    client.send("POST", "/v1/incidents", Some(body.as_bytes()), &headers).expect(201);
    client.get("/v1/incidents/inc_00000000000000000000").expect(404);
    // Sent although the queue would wait for more: the process ends.
    process.stop();

    let exports = exports(&collector);
    let requests = collector.requests();
    assert!(requests.iter().all(|request| request.path == "/v1/traces"));
    assert!(requests.iter().all(|request| request.header("content-type") == "application/x-protobuf"));
    let resource = exports[0].resource_spans[0].resource.clone().expect("a resource");
    assert_eq!(text(&resource.attributes, "service.name"), "pager");
    assert_eq!(text(&resource.attributes, "service.version"), env!("CARGO_PKG_VERSION"));
    let spans = spans(&exports);
    let named = |name: &str| spans.iter().filter(|span| span.name == name).cloned().collect::<Vec<Span>>();

    let [post] = named("POST /v1/incidents").try_into().expect("one request");
    assert_eq!(post.kind, SpanKind::Server as i32);
    assert_eq!(const_hex::encode(&post.trace_id), PARENT[3..35], "it follows the client's trace");
    assert_eq!(const_hex::encode(&post.parent_span_id), PARENT[36..52]);
    for (name, wanted) in [
        ("http.request.method", "POST"),
        ("http.route", "/v1/incidents"),
        ("url.path", "/v1/incidents"),
        ("http.response.status_code", "201"),
        ("http.request.id", "mine"),
    ] {
        assert_eq!(text(&post.attributes, name), wanted, "{name}");
    }
    assert!(post.end_time_unix_nano > post.start_time_unix_nano);
    let [missing] = named("GET /v1/incidents/{id}").try_into().expect("one request");
    assert_eq!(text(&missing.attributes, "http.response.status_code"), "404");
    assert!(missing.parent_span_id.is_empty());
    assert!(missing.status.is_none_or(|status| status.code != StatusCode::Error as i32), "a client's mistake is no error here");
    let transactions = named("transaction");
    assert!(!transactions.is_empty(), "the alert was committed");
    assert!(transactions.iter().any(|span| text(&span.attributes, "records").parse::<u32>().is_ok_and(|records| records > 0)));
    assert!(!spans.iter().any(|span| span.name.contains("/readyz")), "probes are not traced");
}

/// A collector that is slow, and one that is not there: requests are answered as ever, and the process ends in time.
#[test]
fn nobody_waits_for_a_collector() {
    let _turn = turn();
    let slow = Receiver::start(|_, _| Answer { after: Duration::from_secs(60), ..Answer::of(200) });
    // A port that was just given back is nobody's.
    let gone = Receiver::start(|_, _| Answer::of(200)).url().to_owned();
    for collector in [slow.url().to_owned(), gone] {
        let app = traced("traces-lost", &collector);
        let process = app.start();
        let client = ready(&process);
        // More than the queue holds.
        for n in 0..3_000 {
            assert_eq!(client.get("/v1/silences").status, 200, "request {n}");
        }
        client.post("/v1/incidents", &alert("a", "t")).expect(201);
        let failed = || super::alertmanager::sum(&client.get("/metrics").text, "incidentd_trace_exports_total", "failed");
        wait_until("what failed is counted", LIMIT, || (failed() > 0.0).then_some(()));
        let log = process.log();
        assert_eq!(log.matches("traces cannot be sent").count(), 1, "said once:\n{log}");
        // Within its 10 s, and with exit code 0.
        process.stop();
    }
}

#[test]
fn a_wrong_collector_is_refused_with_the_remedy() {
    for (line, words) in [
        ("otlp_endpoint = \"collector:4318\"", "it begins with http:// or https://"),
        ("otlp_endpoint = \"http://collector:4318/v1/traces?x=1\"", "/v1/traces is added"),
        ("otlp_endpoit = \"http://collector:4318\"", "otlp_endpoint"),
        ("sample_percent = 101", "telemetry.sample_percent"),
    ] {
        let text = format!("[telemetry]\n{line}\n");
        let problems = incidentd::config::Config::parse(&text, std::iter::empty()).expect_err(line);
        let said: Vec<String> =
            problems.iter().map(|problem| format!("{} {} {}", problem.key, problem.message, problem.help)).collect();
        assert!(said.iter().any(|said| said.contains(words)), "{line}: {said:?}");
    }
    let none = incidentd::config::Config::default().telemetry;
    assert_eq!(json!(none)["otlp_endpoint"], json!(null), "off by default");
}
