//! What a person does with an incident: a button leads to a form, and the form, once sent, is the command (SPEC 3.3).

use crate::codec;
use crate::http::access::Caller;
use crate::http::incidents::find;
use crate::http::orders::{Field, ORDERS, Order};
use crate::http::page::form::{self, Form};
use crate::http::page::frame::{Failed, Frame, Part, told};
use crate::http::page::incident::heading;
use crate::http::page::words;
use crate::http::{Api, Problem};
use crate::model::{Incident, Status, TimelineEvent};
use axum::extract::{Extension, Path, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// The commands of people, by name, with their buttons.
const BUTTONS: [(&str, &str); 12] = [
    ("acknowledge", "Acknowledge"),
    ("investigate", "Investigate"),
    ("identify", "Identify"),
    ("resolve", "Resolve"),
    ("assign", "Assign"),
    ("note", "Note"),
    ("snooze", "Snooze"),
    ("escalate", "Escalate"),
    ("approve_remediation", "Approve remediation"),
    ("reject_remediation", "Reject remediation"),
    ("reopen", "Reopen"),
    ("close", "Close"),
];

/// What is most likely to come next, the first that fits.
const LIKELY: [&str; 4] = ["approve_remediation", "acknowledge", "resolve", "reopen"];

/// Minutes that the form offers first.
const SNOOZE: u64 = 30;

/// Is it worth a button? What the engine knows better it refuses, with its reason.
fn fits(name: &str, incident: &Incident) -> bool {
    let now = incident.status;
    let leads = |to: Status| now != to && now.may_become(to);
    match name {
        "acknowledge" => leads(Status::Acknowledged),
        "investigate" => leads(Status::Investigating),
        "identify" => leads(Status::Identified),
        "resolve" => leads(Status::Resolved),
        "close" => leads(Status::Closed),
        "reopen" => now == Status::Resolved,
        "approve_remediation" | "reject_remediation" => now.fires() && waits_for_approval(incident),
        "assign" | "note" => now != Status::Closed,
        _ => now.fires(),
    }
}

/// The last word about a remediation is that it waits.
fn waits_for_approval(incident: &Incident) -> bool {
    use TimelineEvent::{ApprovalRequired, AutoRemediation, AutoRemediationFailed};
    let of_remedies = |event: &TimelineEvent| matches!(event, ApprovalRequired | AutoRemediation | AutoRemediationFailed);
    incident.timeline.iter().rev().map(|entry| entry.event).find(of_remedies) == Some(ApprovalRequired)
}

pub fn buttons(incident: &Incident) -> Markup {
    let likely = LIKELY.into_iter().find(|name| fits(name, incident));
    html! {
        nav.actions aria-label="Commands" {
            @for (name, label) in BUTTONS {
                @if fits(name, incident) {
                    a.button.primary[likely == Some(name)] href=(format!("/incidents/{}/{name}", incident.id)) { (label) }
                }
            }
        }
    }
}

/// What the page says after a form was taken: `?done=` and the command's name, or `accepted`.
pub fn just_done(query: Option<&str>) -> Option<&'static str> {
    let form = Form::of_query(query).ok()?;
    match form.text("done")? {
        "accepted" => Some("Kafka has the command; the engine has not answered within 2 s. The page shows it once it is done."),
        name => ORDERS.iter().find(|order| order.name == name).map(|order| match order.name {
            "acknowledge" => "It is acknowledged: nobody further is paged.",
            "investigate" => "It is being investigated.",
            "identify" => "Its cause is identified.",
            "resolve" => "It is resolved.",
            "close" => "It is closed.",
            "reopen" => "It is open again.",
            "note" => "It is noted.",
            "assign" => "It is assigned.",
            "snooze" => "It is snoozed.",
            "escalate" => "The next level is being paged.",
            "approve_remediation" => "The remediation is approved.",
            "reject_remediation" => "The remediation is rejected.",
            _ => "Done.",
        }),
    }
}

/// The command of that name that people give.
fn named(name: &str) -> Result<(&'static Order, &'static str), Problem> {
    let label = BUTTONS.iter().find(|(known, _)| *known == name).map(|(_, label)| *label);
    let order = ORDERS.iter().find(|order| order.name == name);
    order.zip(label).ok_or_else(|| {
        let names: Vec<&str> = BUTTONS.iter().map(|(name, _)| *name).collect();
        let detail = format!("there is no command {name:?}; there are {}", names.join(", "));
        Problem::new(StatusCode::NOT_FOUND, detail)
    })
}

/// The form. Changes nothing.
pub async fn ask(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((id, name)): Path<(String, String)>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let form = Form::default();
    page(&api, &Asked { id: &id, name: &name, caller: &caller, headers: &headers, form: &form }, None)
}

/// The command itself.
pub async fn take(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path((id, name)): Path<(String, String)>,
    request: Request,
) -> Result<Response, Failed> {
    let headers = request.headers().clone();
    let form = Form::read(&api, request).await?;
    let asked = Asked { id: &id, name: &name, caller: &caller, headers: &headers, form: &form };
    let (order, _) = named(&name)?;
    let (incident, _) = find(&api, &id)?;
    let done = match fields(order, &form) {
        Ok(fields) => api.commands.incident(incident, order.name, fields, form::user(&caller, &form).as_deref()).await,
        Err(problem) => Err(problem),
    };
    match done {
        Ok(done) => {
            let said = if done.is_some() { order.name } else { "accepted" };
            let to = words::address(&format!("/incidents/{incident}"), &[("done", said)]);
            Ok(form::done(&to, &caller, &headers, &form))
        }
        Err(problem) => page(&api, &asked, Some(&problem)),
    }
}

/// The command's own fields; the codec says what is wrong with one.
fn fields(order: &Order, form: &Form) -> Result<Map<String, Value>, Problem> {
    let mut fields = Map::new();
    for field in order.fields {
        let name = match field {
            Field::Note | Field::SomeNote => "note",
            Field::Resolution => "resolution",
            Field::Assignee => "assignee",
            Field::Minutes => "minutes",
            Field::Result | Field::Receipt => continue,
        };
        let Some(text) = form.text(name) else { continue };
        let value = match field {
            Field::Minutes => {
                let wrong = |_| Problem::of_field(StatusCode::UNPROCESSABLE_ENTITY, name, format!("{text:?} is no whole number"));
                json!(text.trim().parse::<u64>().map_err(wrong)?)
            }
            _ => json!(text.trim()),
        };
        fields.insert(name.to_owned(), value);
    }
    Ok(fields)
}

struct Asked<'a> {
    id: &'a str,
    name: &'a str,
    caller: &'a Caller,
    headers: &'a HeaderMap,
    /// What was entered before.
    form: &'a Form,
}

fn page(api: &Api, asked: &Asked<'_>, problem: Option<&Problem>) -> Result<Response, Failed> {
    let (order, label) = named(asked.name)?;
    let (id, packed) = find(api, asked.id)?;
    let incident =
        codec::read_incident(&packed.text()).map_err(|error| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    let body = html! {
        (heading(&incident, label))
        @if let Some(problem) = problem { (told(problem)) }
        p { (order.summary) }
        form.panel method="post" action=(format!("/incidents/{id}/{}", order.name)) {
            p { b { (incident.title) } br; (incident.service_id) " · " (incident.environment.name()) " · " (incident.status.name()) }
            @for field in order.fields { (input(*field, asked.form)) }
            (form::name_field(asked.caller, asked.headers, asked.form))
            div.actions {
                button.primary { (label) }
                a.button href=(format!("/incidents/{id}")) { "Cancel" }
            }
        }
    };
    let status = problem.map_or(StatusCode::OK, |problem| problem.status);
    let title = format!("{label}: {}", incident.title);
    Ok(Frame { title: &title, part: Part::Incidents, caller: Some(asked.caller), live: None }.page(status, &body))
}

fn input(field: Field, form: &Form) -> Markup {
    let value = |name: &str| form.text(name).unwrap_or_default().to_owned();
    let area = |name: &str, label: &str, required: bool| {
        html! {
            label for=(name) { (label) }
            textarea id=(name) name=(name) rows="3" maxlength="16384" required[required] { (value(name)) }
        }
    };
    match field {
        Field::Note => area("note", "Note (optional)", false),
        Field::SomeNote => area("note", "Note", true),
        Field::Resolution => area("resolution", "What ended it (optional)", false),
        Field::Assignee => html! {
            label for="assignee" { "Assign to" }
            input #assignee name="assignee" value=(value("assignee")) required maxlength="256" autocomplete="off";
        },
        Field::Minutes => html! {
            label for="minutes" { "Minutes" }
            input #minutes name="minutes" type="number" min="1" max="43200" required
                value=(form.text("minutes").map_or_else(|| SNOOZE.to_string(), str::to_owned));
        },
        // Programs' commands have no form.
        Field::Result | Field::Receipt => html! {},
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Time;
    use crate::model::incident::tests::incident;

    #[test]
    fn every_command_of_people_has_a_button_where_it_fits() {
        for (name, _) in BUTTONS {
            assert!(ORDERS.iter().any(|order| order.name == name), "{name}");
        }
        let offered = |status: Status| {
            let incident = Incident { status, ..incident() };
            BUTTONS.iter().map(|(name, _)| *name).filter(|name| fits(name, &incident)).collect::<Vec<_>>()
        };
        assert_eq!(
            offered(Status::Triggered),
            ["acknowledge", "investigate", "identify", "resolve", "assign", "note", "snooze", "escalate", "close"]
        );
        assert_eq!(offered(Status::Resolved), ["assign", "note", "reopen", "close"]);
        assert_eq!(offered(Status::Closed), Vec::<&str>::new());
        let mut waiting = incident();
        waiting.note(Time(1), TimelineEvent::ApprovalRequired, None, Value::Null);
        assert!(fits("approve_remediation", &waiting));
        waiting.note(Time(2), TimelineEvent::AutoRemediation, None, Value::Null);
        assert!(!fits("approve_remediation", &waiting));
    }

    #[test]
    fn a_number_that_is_none_is_named() {
        let order = named("snooze").expect("a command").0;
        let of = |text: &str| fields(order, &Form::of_query(Some(text)).expect("a form"));
        assert_eq!(of("minutes=30&note=+x+").map(Value::Object), Ok(json!({ "minutes": 30, "note": "x" })));
        assert_eq!(of("minutes=soon").map_err(|problem| problem.field), Err(Some("minutes".to_owned())));
        assert!(named("delivery_receipt").is_err(), "no form for programs' commands");
    }
}
