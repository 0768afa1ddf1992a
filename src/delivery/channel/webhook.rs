//! Webhooks: the action's record, signed by Standard Webhooks (SPEC 7), and the call of the executor, which is one that answers.

use crate::delivery::channel::client::{Answer, Http};
use crate::delivery::channel::message::{Executed, Message, Outcome, Sent};
use crate::delivery::channel::secrets::Opened;
use crate::delivery::channel::signature::signatures;
use crate::delivery::channel::text::{cut, one_line};
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder, StatusCode, Url};
use serde::Deserialize;
use serde_json::{Value, json};
use std::time::{SystemTime, UNIX_EPOCH};

/// What a target may not set: the framing and the signature are ours.
const OURS: [&str; 9] = [
    "host",
    "connection",
    "content-length",
    "transfer-encoding",
    "upgrade",
    "idempotency-key",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

pub async fn send(http: &Http, message: &Message, opened: &Opened) -> Sent {
    let request = match request(http, message, opened) {
        Ok(request) => request,
        Err(why) => return Sent::Refused { why },
    };
    match http.tell(request).await {
        Ok(answer) => match answer.unless_accepted(&answer.excerpt()) {
            Ok(()) => Sent::Delivered { thread: None, detail: answer.status.as_u16().to_string() },
            Err(sent) => sent,
        },
        Err(sent) => sent,
    }
}

pub async fn execute(http: &Http, message: &Message, opened: &Opened) -> Executed {
    let request = match request(http, message, opened) {
        Ok(request) => request,
        Err(why) => return Executed::Refused { why },
    };
    let answer = match http.ask(request).await {
        Ok(answer) => answer,
        Err(sent) => return not_executed(sent),
    };
    match answer.unless_accepted(&answer.excerpt()) {
        Ok(()) => outcome(&answer),
        Err(sent) => not_executed(sent),
    }
}

#[derive(Deserialize)]
struct Said {
    outcome: Outcome,
    error: Option<String>,
}

/// 202 and 204 without a body mean that it is taken; anything else without an outcome may be anybody's page.
fn outcome(answer: &Answer) -> Executed {
    let taken = [StatusCode::ACCEPTED, StatusCode::NO_CONTENT].contains(&answer.status);
    if taken && answer.body.trim_ascii().is_empty() {
        return Executed::Answered { outcome: Outcome::Started, error: None };
    }
    match serde_json::from_slice::<Said>(&answer.body) {
        Ok(said) => Executed::Answered { outcome: said.outcome, error: said.error.map(|error| cut(&one_line(&error), 1_000)) },
        Err(error) => Executed::Refused {
            why: format!(
                "answered {} without {{\"outcome\": \"started\" | \"succeeded\" | \"failed\"}} ({error}): {}",
                answer.status.as_u16(),
                answer.excerpt()
            ),
        },
    }
}

fn not_executed(sent: Sent) -> Executed {
    match sent {
        Sent::Again { after, why } => Executed::Again { after, why },
        Sent::Refused { why } | Sent::Delivered { detail: why, .. } => Executed::Refused { why },
    }
}

fn request(http: &Http, message: &Message, opened: &Opened) -> Result<RequestBuilder, String> {
    let config = &opened.config;
    let url = config.get("url").and_then(Value::as_str).ok_or("the webhook target names no `url`")?;
    let url = Url::parse(url.trim()).map_err(|error| format!("the webhook's `url` is none: {error}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("the webhook's `url` begins with {}://; only http and https are called", url.scheme()));
    }
    let method = match config.get("method").and_then(Value::as_str).unwrap_or("POST") {
        "POST" => Method::POST,
        "PUT" => Method::PUT,
        other => return Err(format!("the webhook's `method` is {other:?}; it may be POST or PUT")),
    };
    let body = body(message);
    let mut headers = HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static("application/json"))]);
    if let Some(own) = config.get("headers") {
        for (name, value) in own.as_object().ok_or("the webhook's `headers` are no map")? {
            let parsed = HeaderName::from_bytes(name.as_bytes()).map_err(|_| format!("{name:?} is no name of a header"))?;
            if OURS.contains(&parsed.as_str()) {
                return Err(format!("the webhook's `headers` set {name}, which is not theirs to set"));
            }
            let value = value.as_str().and_then(|value| HeaderValue::from_str(value).ok());
            let mut value = value.ok_or_else(|| format!("the webhook's header {name} is no text of one line"))?;
            value.set_sensitive(true);
            headers.insert(parsed, value);
        }
    }
    // The time is of the attempt, for receivers refuse old ones; id and body are the same at each.
    let at = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
    headers.insert("webhook-id", HeaderValue::from_str(&message.action_id).map_err(|_| "the action's id is no header")?);
    headers.insert("webhook-timestamp", HeaderValue::from(at));
    if let Some(secret) = config.get("secret") {
        let secret = secret.as_str().ok_or("the webhook's `secret` is no text")?;
        let signed = signatures(secret, &message.action_id, at, &body).map_err(|why| format!("the webhook: {why}"))?;
        headers.insert("webhook-signature", HeaderValue::from_str(&signed).map_err(|_| "the signature is no header")?);
    }
    Ok(http.request(method, url, &message.action_id).headers(headers).body(body))
}

/// The record as its topic has it (`schemas/`), without the channel, whose options are nobody else's business; `test` and `note`
/// where there are any. The same record gives the same bytes.
pub fn body(message: &Message) -> Vec<u8> {
    let mut record = message.record.as_object().cloned().unwrap_or_default();
    record.remove("channel");
    if message.test {
        record.insert("test".to_owned(), json!(true));
    }
    if let Some(note) = &message.note {
        record.insert("note".to_owned(), json!(note));
    }
    Value::Object(record).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answered(status: u16, body: &str) -> Executed {
        let status = StatusCode::from_u16(status).unwrap();
        outcome(&Answer { status, retry_after: None, body: body.as_bytes().to_vec() })
    }

    #[test]
    fn what_an_executors_answer_means() {
        for (status, body, outcome, error) in [
            (200, r#"{"outcome": "started"}"#, Outcome::Started, None),
            (200, r#"{"outcome": "succeeded", "more": 1}"#, Outcome::Succeeded, None),
            (201, r#"{"outcome": "failed", "error": "no such\nrelease"}"#, Outcome::Failed, Some("no such release".to_owned())),
            (202, "", Outcome::Started, None),
            (204, " \n", Outcome::Started, None),
            (202, r#"{"outcome": "failed"}"#, Outcome::Failed, None),
        ] {
            assert_eq!(answered(status, body), Executed::Answered { outcome, error }, "{status} {body}");
        }
        for (status, body) in
            [(200, ""), (200, "<html>Sign in</html>"), (200, "{}"), (202, "ok"), (200, r#"{"outcome": "done"}"#)]
        {
            assert!(matches!(answered(status, body), Executed::Refused { why } if why.contains("outcome")), "{status} {body}");
        }
    }
}
