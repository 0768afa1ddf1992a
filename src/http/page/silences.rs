//! Silences: which there are, a new one, the end of one.

use crate::codec::{matcher_text, read_matchers};
use crate::http::access::Caller;
use crate::http::commands::now;
use crate::http::page::form::{self, Form};
use crate::http::page::frame::{Failed, Frame, Part, told};
use crate::http::page::words;
use crate::http::silences::new_id;
use crate::http::{Api, Problem};
use crate::model::time::MINUTE;
use crate::model::{Incident, Matcher, Silence, Time};
use axum::extract::{Extension, Path, RawQuery, Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use maud::{Markup, html};
use serde_json::{Map, Value, json};
use std::sync::Arc;

/// Minutes that the form offers, and what people call them.
const LENGTHS: [(i64, &str); 8] = [
    (30, "30 minutes"),
    (60, "1 hour"),
    (120, "2 hours"),
    (240, "4 hours"),
    (480, "8 hours"),
    (1_440, "1 day"),
    (4_320, "3 days"),
    (10_080, "1 week"),
];
const FIRST: i64 = 120;

/// The form for a silence of what is like this incident.
pub fn address_for(incident: &Incident) -> String {
    let matcher = |name: &str, value: &str| {
        matcher_text(&Matcher { name: name.to_owned(), value: value.to_owned(), is_regex: false, is_equal: true })
    };
    let like = [
        matcher("service_id", &incident.service_id),
        matcher("category", &incident.category),
        matcher("environment", incident.environment.name()),
        matcher("title", &incident.title),
    ];
    words::address("/silences/new", &[("matchers", &like.join("\n"))])
}

pub async fn list(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let now = now();
    let mut silences = api.board.silences();
    silences.sort_by(|a, b| b.ends_at.cmp(&a.ends_at).then_with(|| a.id.cmp(&b.id)));
    let said = Form::of_query(query.as_deref())?.text("done").and_then(|done| match done {
        "silence" => Some("The silence is made."),
        "expire" => Some("The silence is over."),
        "accepted" => Some("Kafka has the command; the engine has not answered within 2 s. The page shows it once it is done."),
        _ => None,
    });
    let body = html! {
        @if let Some(said) = said { p.done role="status" { (said) } }
        h1 { "Silences" }
        nav.actions aria-label="Commands" { a.button.primary href="/silences/new" { "New silence" } }
        div data-fresh {
            @if silences.is_empty() { p.empty { "There is none." } } @else { (table(&silences, now)) }
        }
    };
    let live = Some("/live?of=silences".to_owned());
    Ok(Frame { title: "Silences", part: Part::Silences, caller: Some(&caller), live }.page(StatusCode::OK, &body))
}

fn table(silences: &[Silence], now: Time) -> Markup {
    html! {
        table.silences {
            caption.unseen { "Silences, the one that ends last first" }
            thead {
                tr {
                    @for heading in ["State", "Matchers", "Ends", "By", "Comment"] { th scope="col" { (heading) } }
                    th scope="col" { span.unseen { "Command" } }
                }
            }
            tbody {
                @for silence in silences {
                    tr {
                        td { (state(silence, now)) }
                        th.what scope="row" { (matchers(silence)) }
                        td data-label="Ends" { (words::until(silence.ends_at, now)) }
                        td data-label="By" { (silence.created_by.as_deref().unwrap_or("nobody said")) }
                        td data-label="Comment" { (silence.comment.as_deref().unwrap_or_default()) }
                        td {
                            @if silence.ends_at > now {
                                a.button href=(expire_path(&silence.id)) aria-label=(format!("Expire silence {}", silence.id)) { "Expire" }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// An id is its maker's choice: it may hold anything.
fn expire_path(id: &str) -> String {
    // As a value of a query it is written, and a plus is a space there.
    let id = serde_urlencoded::to_string([("", id)]).unwrap_or_default();
    format!("/silences/{}/expire", id.trim_start_matches('=').replace('+', "%20"))
}

fn state(silence: &Silence, now: Time) -> Markup {
    html! {
        @if silence.ends_at <= now { span.status { "over" } }
        @else if silence.starts_at > now { span.status { "planned" } " " (words::until(silence.starts_at, now)) }
        @else { span.status.active { "active" } }
    }
}

fn matchers(silence: &Silence) -> Markup {
    html! { @for matcher in &silence.matchers { code.matcher { (matcher_text(matcher)) } " " } }
}

/// The form. Changes nothing.
pub async fn ask(
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    RawQuery(query): RawQuery,
) -> Result<Response, Failed> {
    let form = Form::of_query(query.as_deref())?;
    Ok(page(&caller, &headers, &form, None))
}

pub async fn create(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    request: Request,
) -> Result<Response, Failed> {
    let headers = request.headers().clone();
    let form = Form::read(&api, request).await?;
    let made = match fields(&form, now()) {
        Ok(fields) => api.commands.silence(fields, form::user(&caller, &form).as_deref()).await,
        Err(problem) => Err(problem),
    };
    Ok(match made {
        Ok(done) => form::done(&after(done.is_some(), "silence"), &caller, &headers, &form),
        Err(problem) => page(&caller, &headers, &form, Some(&problem)),
    })
}

fn after(answered: bool, name: &str) -> String {
    words::address("/silences", &[("done", if answered { name } else { "accepted" })])
}

fn fields(form: &Form, now: Time) -> Result<Map<String, Value>, Problem> {
    let wrong = |field: &str, detail: String| Problem::of_field(StatusCode::UNPROCESSABLE_ENTITY, field, detail);
    let mut matchers = Vec::new();
    for line in form.text("matchers").unwrap_or_default().lines().filter(|line| !line.trim().is_empty()) {
        matchers.extend(read_matchers(line).map_err(|error| wrong("matchers", error))?);
    }
    let minutes =
        form.text("minutes").and_then(|text| text.trim().parse::<i64>().ok()).filter(|minutes| (1..=525_600).contains(minutes));
    let minutes = minutes.ok_or_else(|| wrong("minutes", "say for how long, a year at most".to_owned()))?;
    let matcher = |it: &Matcher| json!({ "name": it.name, "value": it.value, "isRegex": it.is_regex, "isEqual": it.is_equal });
    let mut fields = Map::new();
    fields.insert("silence_id".to_owned(), json!(new_id()));
    fields.insert("matchers".to_owned(), matchers.iter().map(matcher).collect());
    fields.insert("ends_at".to_owned(), json!(now.after(minutes * MINUTE)));
    if let Some(comment) = form.text("comment") {
        fields.insert("comment".to_owned(), json!(comment.trim()));
    }
    Ok(fields)
}

fn page(caller: &Caller, headers: &HeaderMap, form: &Form, problem: Option<&Problem>) -> Response {
    let minutes = form.text("minutes").and_then(|text| text.parse().ok()).unwrap_or(FIRST);
    let body = html! {
        nav.path aria-label="Path" { a href="/silences" { "Silences" } }
        h1 { "New silence" }
        @if let Some(problem) = problem { (told(problem)) }
        form.panel method="post" action="/silences/new" {
            label for="matchers" { "Matchers, one a line; all must hold" }
            textarea #matchers name="matchers" rows="5" required spellcheck="false" aria-describedby="syntax"
                placeholder="service_id=\"api\"" { (form.text("matchers").unwrap_or_default()) }
            p.hint #syntax {
                "A label, or " code { "service_id" } ", " code { "severity" } ", " code { "category" } ", " code { "environment" } ", "
                code { "title" } "; " code { "=" } " " code { "!=" } " " code { "=~" } " " code { "!~" } " as amtool has them."
            }
            label for="minutes" { "For" }
            select #minutes name="minutes" {
                @for (length, label) in LENGTHS { option value=(length) selected[length == minutes] { (label) } }
            }
            label for="comment" { "Why" }
            textarea #comment name="comment" rows="2" maxlength="16384" { (form.text("comment").unwrap_or_default()) }
            (form::name_field(caller, headers, form))
            div.actions { button.primary { "Silence" } a.button href="/silences" { "Cancel" } }
        }
    };
    let status = problem.map_or(StatusCode::OK, |problem| problem.status);
    Frame { title: "New silence", part: Part::Silences, caller: Some(caller), live: None }.page(status, &body)
}

fn find(api: &Api, id: &str) -> Result<Silence, Problem> {
    let missing = || Problem::new(StatusCode::NOT_FOUND, format!("there is no silence {id:?}, or it is over"));
    api.board.silence(id).ok_or_else(missing)
}

/// The form. Changes nothing.
pub async fn ask_expire(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    headers: HeaderMap,
) -> Result<Response, Failed> {
    let silence = find(&api, &id)?;
    Ok(expire_page(&silence, &caller, &headers, &Form::default(), None))
}

fn expire_page(silence: &Silence, caller: &Caller, headers: &HeaderMap, form: &Form, problem: Option<&Problem>) -> Response {
    let body = html! {
        nav.path aria-label="Path" { a href="/silences" { "Silences" } }
        h1 { "Expire a silence" }
        @if let Some(problem) = problem { (told(problem)) }
        form.panel method="post" action=(expire_path(&silence.id)) {
            p { (matchers(silence)) }
            p { "What it keeps quiet speaks again at once." }
            (form::name_field(caller, headers, form))
            div.actions { button.primary { "Expire" } a.button href="/silences" { "Cancel" } }
        }
    };
    let status = problem.map_or(StatusCode::OK, |problem| problem.status);
    Frame { title: "Expire a silence", part: Part::Silences, caller: Some(caller), live: None }.page(status, &body)
}

pub async fn expire(
    State(api): State<Arc<Api>>,
    Extension(caller): Extension<Caller>,
    Path(id): Path<String>,
    request: Request,
) -> Result<Response, Failed> {
    let headers = request.headers().clone();
    let form = Form::read(&api, request).await?;
    let silence = find(&api, &id)?;
    Ok(match api.commands.expire_silence(&id, Map::new(), form::user(&caller, &form).as_deref()).await {
        Ok(done) => form::done(&after(done.is_some(), "expire"), &caller, &headers, &form),
        Err(problem) => expire_page(&silence, &caller, &headers, &form, Some(&problem)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::incident::tests::incident;

    #[test]
    fn a_form_becomes_a_silence_or_says_what_is_wrong() {
        let of = |text: &str| fields(&Form::of_query(Some(text)).expect("a form"), Time(0));
        let made = of("matchers=service_id%3Dapi%0D%0A%0Aregion%3D~%22eu-.*%22&minutes=60&comment=+x+").expect("right");
        assert_eq!(made["matchers"][1], json!({ "name": "region", "value": "eu-.*", "isRegex": true, "isEqual": true }));
        assert_eq!((&made["ends_at"], &made["comment"]), (&json!("1970-01-01T01:00:00.000Z"), &json!("x")));
        let wrong = |text: &str| of(text).expect_err(text).field;
        assert_eq!(wrong("matchers=api&minutes=60").as_deref(), Some("matchers"));
        assert_eq!(wrong("matchers=a%3Db&minutes=x").as_deref(), Some("minutes"));
        assert_eq!(wrong("matchers=a%3Db&minutes=-1").as_deref(), Some("minutes"));
    }

    #[test]
    fn what_is_like_an_incident_is_offered_as_matchers() {
        let incident = Incident { title: "50% \"slow\"\n".to_owned(), ..incident() };
        let address = address_for(&incident);
        let form = Form::of_query(address.strip_prefix("/silences/new?")).expect("a query");
        let matchers: Vec<Matcher> =
            form.text("matchers").expect("matchers").lines().flat_map(|line| read_matchers(line).expect("readable")).collect();
        assert_eq!(matchers.last().map(|it| it.value.as_str()), Some("50% \"slow\"\n"));
    }

    #[test]
    fn an_id_that_is_no_path_stays_one_step() {
        assert_eq!(expire_path("a/../b c?d#e"), "/silences/a%2F..%2Fb%20c%3Fd%23e/expire");
    }
}
