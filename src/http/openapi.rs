//! `/openapi.json`: OpenAPI 3.1, from the routes' own attributes, the table of commands and the files in `schemas/`.

use crate::codec::SCHEMAS;
use crate::http::Api;
use crate::http::orders::{ORDERS, PATH};
use axum::http::header::CONTENT_TYPE;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Router, body::Bytes};
use serde_json::{Map, Value, json};
use std::sync::Arc;
use utoipa::OpenApi;
use utoipa::openapi::{Ref, RefOr, Schema};

#[derive(OpenApi)]
#[openapi(info(
    title = "incidentd",
    description = "Alerts in, incidents out. Writes go through Kafka and wait for the engine's own answer, 2 s at most; reads show \
                   what is committed. Errors are RFC 9457 problem documents."
))]
pub struct Document;

/// Schema files that the routes show, by the names that they have here.
const FILES: [(&str, &str); 5] = [
    ("alert", "Alert"),
    ("decision", "Decision"),
    ("incident", "Incident"),
    ("notification", "Notification"),
    ("silence", "Silence"),
];

const JSON: &str = "application/json";
const PROBLEM: &str = "application/problem+json";

/// Stands where an answer shows an incident.
pub fn incident() -> RefOr<Schema> {
    RefOr::Ref(Ref::from_schema_name("Incident"))
}

/// The route itself, and `document` completed. It needs no token: it shows no alert and no secret.
pub fn route(document: &utoipa::openapi::OpenApi) -> Router<Arc<Api>> {
    let text = Bytes::from(complete(document).to_string());
    Router::new().route("/openapi.json", get(move || async move { ([(CONTENT_TYPE, JSON)], text).into_response() }))
}

fn complete(document: &utoipa::openapi::OpenApi) -> Value {
    // What utoipa makes can be written as JSON.
    let mut document = serde_json::to_value(document).unwrap_or_default();
    document["info"]["version"] = json!(env!("CARGO_PKG_VERSION"));
    document["info"]["license"] = json!({ "name": "Apache-2.0", "identifier": "Apache-2.0" });
    for order in &ORDERS {
        document["paths"][format!("{PATH}{}", order.name)] = path(order.name, order.summary, &order.schema());
    }
    for (path, answers, media) in
        [("/healthz", [200, 200], "text/plain"), ("/readyz", [200, 503], "text/plain"), ("/metrics", [200, 200], "text/plain")]
    {
        let mut responses = Map::new();
        responses
            .insert("200".to_owned(), json!({ "description": "OK", "content": { media: { "schema": { "type": "string" } } } }));
        if answers[1] != 200 {
            responses.insert(answers[1].to_string(), problem("Not ready; `detail` says what is not."));
        }
        document["paths"][path] = json!({ "get": {
            "tags": ["probes"], "operationId": path.trim_start_matches('/'), "security": [], "responses": responses,
        } });
    }
    let paths = document["paths"].as_object_mut();
    for (path, item) in paths.into_iter().flatten() {
        for (method, operation) in item.as_object_mut().into_iter().flatten() {
            if path.starts_with("/v1/") {
                answer_always(method, path, operation);
            }
        }
    }
    let schemas = &mut document["components"]["schemas"];
    for (file, name) in FILES {
        let text = SCHEMAS.iter().find(|(known, _)| *known == file).map(|(_, text)| *text).unwrap_or_default();
        // Tests read every schema file.
        let mut schema: Value = serde_json::from_str(text).unwrap_or_default();
        if let Some(schema) = schema.as_object_mut() {
            schema.remove("$schema");
            schema.remove("$id");
        }
        relate(&mut schema, name);
        schemas[name] = schema;
    }
    for (name, schema) in own() {
        schemas[name] = schema;
    }
    document["components"]["securitySchemes"] = json!({ "token": { "type": "http", "scheme": "bearer" } });
    // Without configured tokens none is needed.
    document["security"] = json!([{ "token": [] }, {}]);
    document
}

fn problem(description: &str) -> Value {
    json!({ "description": description, "content": { PROBLEM: { "schema": { "$ref": "#/components/schemas/Problem" } } } })
}

/// What any route of the API may answer.
fn answer_always(method: &str, path: &str, operation: &mut Value) {
    let mut always = vec![
        (401, "No token, or none that is known."),
        (403, "The token's scopes do not reach so far."),
        (421, "Without tokens: a host that is not ours."),
        (500, "incidentd broke on this request; its log says how."),
        (503, "Kafka cannot take it, or too much is under way: try again."),
        (504, "No answer within 10 s."),
    ];
    if path != "/v1/webhooks/alertmanager" {
        always.push((429, "More than `api.rate_limit` requests a second from one client."));
    }
    if method == "get" || path.contains('{') {
        always.push((400, "A parameter is wrong; `field` names it."));
    }
    // Not by index: that would write a null where there are none.
    for parameter in operation.get_mut("parameters").and_then(Value::as_array_mut).into_iter().flatten() {
        // The attribute takes no number that large.
        if parameter["name"] == "from" {
            parameter["schema"]["maximum"] = json!(9_007_199_254_740_991_u64);
        }
    }
    if let Some(body) = operation.get_mut("requestBody") {
        if method == "post" {
            body["required"] = json!(true);
        }
        always.extend([
            (400, "The body is not JSON, or could not be read."),
            (408, "The body did not come whole within 5 s."),
            (413, "The body is too large."),
            (415, "The body is not `application/json`."),
        ]);
    }
    let responses = &mut operation["responses"];
    for (status, description) in always {
        let status = status.to_string();
        if responses.get(&status).is_none() {
            responses[status] = problem(description);
        }
    }
}

/// The route of a command.
fn path(name: &str, summary: &str, schema: &Value) -> Value {
    let content = json!({ JSON: { "schema": { "$ref": "#/components/schemas/CommandTaken" } } });
    json!({ "patch": {
        "tags": ["commands"],
        "operationId": name,
        "summary": summary,
        "parameters": [
            { "name": "id", "in": "path", "required": true, "schema": { "type": "string", "pattern": "^inc_[0-9a-f]{20}$" } },
        ],
        "requestBody": {
            "required": schema["required"] != json!([]),
            "content": { JSON: { "schema": schema } },
        },
        "responses": {
            "200": { "description": "It is done, or was so already.", "content": content },
            "202": { "description": "Kafka has it, and the engine has not answered within 2 s.", "content": content },
            "404": problem("There is no such incident, or it is past its tombstone."),
            "409": problem("Not from the status that the incident has."),
            "422": problem("A field is wrong; `field` names it."),
        },
    } })
}

/// References between the files, as they lie here.
fn relate(value: &mut Value, own: &str) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(to)) = map.get_mut("$ref") {
                let (file, pointer) = to.split_once('#').unwrap_or((to, ""));
                let name =
                    FILES.iter().find(|(known, _)| file.strip_suffix(".json") == Some(known)).map_or(own, |(_, name)| name);
                *to = format!("#/components/schemas/{name}{pointer}");
            }
            map.values_mut().for_each(|value| relate(value, own));
        }
        Value::Array(items) => items.iter_mut().for_each(|value| relate(value, own)),
        _ => {}
    }
}

/// Answers and bodies that are no record of a topic.
fn own() -> [(&'static str, Value); 9] {
    let of = |name: &str| json!({ "$ref": format!("#/components/schemas/{name}") });
    let object =
        |required: &[&str], properties: Value| json!({ "type": "object", "required": required, "properties": properties });
    let list = |name: &str, of: Value| object(&[name], json!({ name: { "type": "array", "items": of } }));
    let count = json!({ "type": "integer", "minimum": 0 });
    let mut incidents = list("incidents", of("Incident"));
    incidents["required"] = json!(["incidents", "pagination"]);
    incidents["properties"]["pagination"] =
        object(&["total", "limit", "offset"], json!({ "total": count, "limit": count, "offset": count }));
    let mut decisions = list("decisions", of("Decision"));
    decisions["required"] = json!(["decisions", "complete"]);
    decisions["properties"]["complete"] = json!({ "type": "boolean", "description": "False: go on with `?from=` and `next`." });
    decisions["properties"]["next"] = count.clone();
    let time = json!({ "type": "string", "format": "date-time" });
    [
        ("IncidentList", incidents),
        ("SilenceList", list("silences", of("Silence"))),
        ("DecisionList", decisions),
        (
            "Timeline",
            object(&["timeline"], json!({ "timeline": { "$ref": "#/components/schemas/Incident/properties/timeline" } })),
        ),
        (
            "CommandTaken",
            object(
                &["status"],
                json!({
                    "status": { "type": "string", "description": "What was done; `accepted`: not known yet; `ignored`: a report that came too late." },
                    "incident": of("Incident"), "incident_id": { "type": "string" }, "message": { "type": "string" },
                }),
            ),
        ),
        (
            "SilenceChanged",
            object(
                &["status"],
                json!({
                    "status": { "enum": ["created", "updated", "expired", "accepted"] },
                    "silence": of("Silence"), "silence_id": { "type": "string" }, "message": { "type": "string" },
                }),
            ),
        ),
        (
            "NewSilence",
            object(
                &["matchers", "ends_at"],
                json!({
                    "silence_id": { "type": ["string", "null"], "maxLength": 256, "description": "Left out: one is made. Of a silence that is there: it is changed." },
                    "matchers": { "type": "array", "minItems": 1, "maxItems": 100, "items": { "$ref": "#/components/schemas/Silence/$defs/said_matcher" } },
                    "starts_at": { "type": ["string", "null"], "format": "date-time" }, "ends_at": time,
                    "comment": { "type": ["string", "null"], "maxLength": 16_384 },
                    "user": { "type": ["string", "null"], "maxLength": 256, "description": "Who says so; without it the token's name." },
                }),
            ),
        ),
        ("AlertmanagerBody", object(&["alerts"], json!({ "alerts": { "type": "array" } }))),
        (
            "Problem",
            object(
                &["type", "title", "status", "detail"],
                json!({
                    "type": { "type": "string" }, "title": { "type": "string" },
                    "status": { "type": "integer", "minimum": 400, "maximum": 599 },
                    "detail": { "type": "string", "description": "What is wrong, and the remedy." },
                    "field": { "type": "string", "description": "What of the request is wrong." },
                }),
            ),
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every reference leads somewhere, and every route says what it may answer.
    #[test]
    fn the_document_holds_together() {
        let (_, document) = crate::http::api_routes();
        let document = complete(&document);
        assert_eq!(document["openapi"].as_str().map(|version| &version[..3]), Some("3.1"));
        let text = document.to_string();
        let mut references = 0;
        for after in text.split("\"$ref\":\"#").skip(1) {
            let pointer = after.split('"').next().unwrap_or_default();
            assert!(document.pointer(pointer).is_some(), "{pointer} leads nowhere");
            references += 1;
        }
        assert!(references > 50, "{references}");
        let paths = document["paths"].as_object().expect("paths");
        assert_eq!(paths.len(), 4 + ORDERS.len() + 1 + 2 + 2 + 3, "{:?}", paths.keys());
        for (path, item) in paths {
            for (method, operation) in item.as_object().expect("methods") {
                let responses = operation["responses"].as_object().expect("responses");
                assert!(responses.contains_key("200"), "{method} {path}");
                assert!(!path.starts_with("/v1/") || responses.contains_key("503"), "{method} {path}");
            }
        }
    }
}
