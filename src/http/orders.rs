//! What a person does with an incident: one route for each command (SPEC 3.3), from one table.

use crate::http::access::Caller;
use crate::http::body::Kind;
use crate::http::incidents::read_id;
use crate::http::{Api, Problem};
use axum::extract::{Extension, Path, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::patch;
use axum::{Json, Router};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};
use std::sync::Arc;

/// A command's name, what the answer's `status` says when it is done, what it is for, and its own fields.
pub struct Order {
    pub name: &'static str,
    pub done: &'static str,
    pub summary: &'static str,
    pub fields: &'static [Field],
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Field {
    Note,
    /// `note` must be there.
    SomeNote,
    Resolution,
    Assignee,
    Minutes,
    Result,
    Receipt,
}

const fn order(name: &'static str, done: &'static str, summary: &'static str, fields: &'static [Field]) -> Order {
    Order { name, done, summary, fields }
}

/// In the SPEC's order.
pub const ORDERS: [Order; 14] = [
    order("acknowledge", "acknowledged", "Somebody has it in hand: escalation stops.", &[Field::Note]),
    order("investigate", "investigating", "Somebody looks for the cause.", &[Field::Note]),
    order("identify", "identified", "The cause is known.", &[Field::Note]),
    order("resolve", "resolved", "It is over.", &[Field::Resolution, Field::Note]),
    order("close", "closed", "It is over for good.", &[Field::Note]),
    order("reopen", "triggered", "A resolved incident fires again.", &[Field::Note]),
    order("assign", "assigned", "Somebody is to take care of it.", &[Field::Assignee, Field::Note]),
    order("note", "noted", "A word for the timeline.", &[Field::SomeNote]),
    order("snooze", "snoozed", "Nobody is told for so many minutes.", &[Field::Minutes, Field::Note]),
    order("escalate", "escalated", "The next level now.", &[Field::Note]),
    order("approve_remediation", "approved", "The remediation that waits may start.", &[Field::Note]),
    order("reject_remediation", "rejected", "The remediation that waits is not started.", &[Field::Note]),
    order("remediation_result", "received", "What became of a remediation.", &[Field::Result]),
    order("delivery_receipt", "received", "What became of a delivery.", &[Field::Receipt]),
];

pub const PATH: &str = "/v1/incidents/{id}/";

pub fn routes() -> Router<Arc<Api>> {
    ORDERS.iter().fold(Router::new(), |router, order| {
        let handler = move |state, caller, id, request| take(order, state, caller, id, request);
        router.route(&format!("{PATH}{}", order.name), patch(handler))
    })
}

/// The seed's answer; `accepted` where the engine has not answered yet, `ignored` for a report that came too late.
#[derive(Serialize)]
struct Taken<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'a str>,
}

async fn take(
    order: &'static Order,
    State(api): State<Arc<Api>>,
    caller: Option<Extension<Caller>>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Problem> {
    let id = read_id(&id)?;
    let payload = api.bodies.read(request, api.commands.codec.max_alert, "limits.alert", Kind::Json).await?;
    let user = caller.and_then(|Extension(Caller(name))| name);
    let done = api.commands.incident(id, order.name, payload.object()?, user.as_deref()).await?;
    let (status, answer) = match done {
        None => {
            let message = Some("Kafka has the command; the engine has not answered within 2 s");
            (StatusCode::ACCEPTED, Taken { status: "accepted", incident: None, incident_id: Some(id.to_string()), message })
        }
        Some(done) => {
            let status = if done.outcome == "ignored" { "ignored" } else { order.done };
            (StatusCode::OK, Taken { status, incident: done.incident, incident_id: None, message: None })
        }
    };
    Ok((status, Json(answer)).into_response())
}

impl Order {
    /// JSON Schema of the body.
    pub fn schema(&self) -> Value {
        // Null and the empty string are a missing value.
        let prose = |description: &str| json!({ "type": ["string", "null"], "maxLength": 16_384, "description": description });
        let name = |description: &str| json!({ "type": "string", "minLength": 1, "maxLength": 256, "description": description });
        let who = "Who says so; without it the token's name.";
        let mut properties = json!({ "user": { "type": ["string", "null"], "maxLength": 256, "description": who } });
        let mut required: Vec<&str> = Vec::new();
        let mut put = |name: &'static str, schema: Value, is_required: bool| {
            properties[name] = schema;
            required.extend(is_required.then_some(name));
        };
        for field in self.fields {
            match field {
                Field::Note => put("note", prose("Stands in the timeline."), false),
                Field::SomeNote => put(
                    "note",
                    json!({ "type": "string", "minLength": 1, "maxLength": 16_384, "description": "What is to be noted." }),
                    true,
                ),
                Field::Resolution => put("resolution", prose("What ended it."), false),
                Field::Assignee => put("assignee", name("Who is to take care of it."), true),
                Field::Minutes => put("minutes", json!({ "type": "integer", "minimum": 1, "maximum": 43_200 }), true),
                Field::Result => {
                    put("action_id", name("The action, as its record has it in `id`."), true);
                    put("outcome", json!({ "enum": ["started", "succeeded", "failed"] }), true);
                    put("error", json!({ "type": ["string", "null"], "description": "Why it failed." }), false);
                }
                Field::Receipt => {
                    put("action_id", name("The action, as its record has it in `id`."), true);
                    put("channel", name("Such as `slack`."), true);
                    put("target", json!({ "type": "string", "minLength": 1, "maxLength": 2_048 }), true);
                    put("delivered", json!({ "type": "boolean" }), true);
                    put("attempts", json!({ "type": ["integer", "null"], "minimum": 0, "maximum": 1_000_000 }), false);
                    put("error", json!({ "type": ["string", "null"], "description": "Why it was not delivered." }), false);
                    put("sent_at", json!({ "type": ["string", "null"], "format": "date-time" }), false);
                }
            }
        }
        json!({ "type": "object", "properties": properties, "required": required })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::COMMANDS;

    #[test]
    fn every_command_about_an_incident_has_a_route() {
        let of_incidents: Vec<&str> = COMMANDS.into_iter().filter(|name| !name.contains("silence")).collect();
        assert_eq!(ORDERS.map(|order| order.name).to_vec(), of_incidents);
    }
}
