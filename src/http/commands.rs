//! Writes what people and programs hand in to Kafka, and waits for the engine's own answer (SPEC 6): the one writer behind
//! every route and page.
//!
//! A record that names its incident goes to the partition that the id names, an alert to the home of its service, so that no
//! hop lies before the answer. What the answer shows goes onto the board first: whoever wrote reads it back at once.

use crate::board::Board;
use crate::codec::{self, AlertRecord, Form, Item, REPLY_TO, REQUEST_ID, read_command};
use crate::http::Problem;
use crate::http::replies::{Place, Replies};
use crate::kafka::{Appender, Error, Layout, Names};
use crate::model::{Command, IncidentId, Origin, Time, Topic, home};
use axum::http::StatusCode;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::time::Instant;

/// From the request to its answer.
pub const PATIENCE: Duration = Duration::from_secs(2);
/// Of that, for Kafka to take the record. Alertmanager must hear a 503 in time (SPEC 6).
pub const APPEND: Duration = Duration::from_millis(1_700);
/// A silence that was just made may not be known at its home for a moment.
const SILENCE_AGAIN: Duration = Duration::from_millis(150);

/// Appends records and waits for replies.
pub struct Commands {
    pub appender: Appender,
    pub replies: Replies,
    pub board: Arc<Board>,
    pub names: Names,
    pub layout: Layout,
    pub codec: Arc<codec::Settings>,
}

/// What the engine made of a record.
#[derive(Debug)]
pub struct Done {
    /// 200 or 201.
    pub status: u16,
    /// An alert's outcome (SPEC 4.3), or `done`, or `ignored`.
    pub outcome: String,
    pub incident_id: Option<IncidentId>,
    /// JSON, as published.
    pub incident: Option<Box<RawValue>>,
    pub occurrence_count: Option<u64>,
    pub silence: Option<Box<RawValue>>,
}

/// `None`: Kafka has the record, and the engine did not answer in time.
pub type Answer = Option<Done>;

/// Where a record goes.
struct Target<'a> {
    topic: &'a str,
    partition: Option<u32>,
    key: Option<&'a [u8]>,
}

impl Commands {
    /// An alert in its native form.
    pub async fn alert(&self, alert: &[u8]) -> Result<Answer, Problem> {
        let service_id = self.service_of(alert)?;
        let target = Target {
            topic: &self.names.alerts,
            partition: self.at_home(self.layout.alerts, home::home(service_id.as_bytes(), self.layout.shards)),
            key: Some(service_id.as_bytes()),
        };
        self.ask(&target, alert).await
    }

    /// An Alertmanager webhook body; returns once Kafka has it.
    pub async fn webhook(&self, body: &[u8]) -> Result<(), Problem> {
        check_webhook(body)?;
        let services = self.services_of(body);
        let homes: BTreeSet<u32> = services.iter().map(|service| home::home(service.as_bytes(), self.layout.shards)).collect();
        let target = Target {
            topic: &self.names.alerts,
            // Alerts of several homes are sent on by the engine, wherever the body stands.
            partition: homes.first().filter(|_| homes.len() == 1).and_then(|home| self.at_home(self.layout.alerts, *home)),
            key: services.first().filter(|_| services.len() == 1).map(|service| service.as_bytes()),
        };
        self.append(&target, body, &[], Instant::now() + PATIENCE).await
    }

    /// A command for one incident. `fields`: what the person said; `user`: who it is where that does not say.
    pub async fn incident(
        &self,
        id: IncidentId,
        command: &str,
        mut fields: Map<String, Value>,
        user: Option<&str>,
    ) -> Result<Answer, Problem> {
        let id_text = id.to_string();
        if let Some(other) = fields.get("incident_id").filter(|other| **other != json!(id_text)) {
            let detail = format!("{other} is not the incident of this route, {id_text}: leave it out");
            return Err(Problem::of_field(StatusCode::UNPROCESSABLE_ENTITY, "incident_id", detail));
        }
        fields.insert("incident_id".to_owned(), json!(id_text));
        self.command(command, fields, user).await
    }

    /// Makes a silence, or changes the one of that id.
    pub async fn silence(&self, fields: Map<String, Value>, user: Option<&str>) -> Result<Answer, Problem> {
        self.command("silence", fields, user).await
    }

    /// Ends a silence now.
    pub async fn expire_silence(&self, id: &str, mut fields: Map<String, Value>, user: Option<&str>) -> Result<Answer, Problem> {
        let until = Instant::now() + PATIENCE;
        fields.insert("silence_id".to_owned(), json!(id));
        loop {
            let known = self.board.silence(id).is_some();
            match self.command("expire_silence", fields.clone(), user).await {
                Err(problem) if problem.status == StatusCode::NOT_FOUND && known && Instant::now() < until => {
                    tokio::time::sleep(SILENCE_AGAIN).await;
                }
                Ok(Some(done)) => {
                    self.board.remove_silence(id);
                    return Ok(Some(done));
                }
                other => return other,
            }
        }
    }

    async fn command(&self, command: &str, mut fields: Map<String, Value>, user: Option<&str>) -> Result<Answer, Problem> {
        fields.insert("command".to_owned(), json!(command));
        let says_who = fields.get("user").is_some_and(|said| !matches!(said, Value::Null) && *said != json!(""));
        if let Some(user) = user.filter(|_| !says_who) {
            fields.insert("user".to_owned(), json!(user));
        }
        let json = Value::Object(fields).to_string();
        let read = read_command(Some(json.as_bytes()), now(), &self.codec);
        let read = read.map_err(|reason| Problem::of_reason(StatusCode::UNPROCESSABLE_ENTITY, &reason))?;
        let to = read.home(self.layout.shards);
        let key = match &read {
            Command::Incident { id, .. } if to >= self.layout.shards => {
                let reason = format!("incident_id: there is no incident {id}");
                return Err(Problem::of_reason(StatusCode::NOT_FOUND, &reason));
            }
            Command::Incident { id, .. } => id.to_string(),
            Command::Silence(silence) => silence.id.clone(),
            Command::ExpireSilence { id, .. } => id.clone(),
        };
        let partition = self.at_home(self.layout.commands, to);
        self.ask(&Target { topic: &self.names.commands, partition, key: Some(key.as_bytes()) }, json.as_bytes()).await
    }

    /// Where a topic is cut as the shards are, a record is written to its home; otherwise under its key, and forwarded.
    fn at_home(&self, partitions: u32, home: u32) -> Option<u32> {
        (partitions == self.layout.shards).then_some(home)
    }

    async fn ask(&self, target: &Target<'_>, value: &[u8]) -> Result<Answer, Problem> {
        let until = Instant::now() + PATIENCE;
        let place = self.replies.place();
        let reply_to = self.replies.partition().to_string();
        let headers = [(REQUEST_ID, place.id.clone()), (REPLY_TO, reply_to)];
        let headers = headers.each_ref().map(|(name, value)| (*name, value.as_bytes()));
        self.append(target, value, &headers, until).await?;
        self.heard(place, until).await
    }

    async fn append(&self, target: &Target<'_>, value: &[u8], headers: &[(&str, &[u8])], until: Instant) -> Result<(), Problem> {
        // The producer gives up first; this holds where it has no room to even begin.
        let patience = until.saturating_duration_since(Instant::now());
        let sent = self.appender.append(target.topic, target.partition, target.key, Some(value), headers, patience).await;
        sent.map(drop).map_err(|error| untaken(&error))
    }

    async fn heard(&self, place: Place<'_>, until: Instant) -> Result<Answer, Problem> {
        let Some(json) = place.answer(until).await else { return Ok(None) };
        let unreadable = |reason: String| {
            tracing::error!("the engine's reply cannot be read: {reason}");
            Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the engine's answer cannot be read; the log says how")
        };
        let reply = codec::read_reply(&json).map_err(unreadable)?;
        if reply.status >= 400 {
            let status = StatusCode::from_u16(reply.status).unwrap_or(StatusCode::UNPROCESSABLE_ENTITY);
            return Err(Problem::of_reason(status, reply.reason()));
        }
        if let Some(incident) = reply.incident {
            self.board.put_incident(incident.get().as_bytes()).map_err(unreadable)?;
        }
        if let Some(silence) = reply.silence {
            self.board.put_silence(silence.get().as_bytes()).map_err(unreadable)?;
        }
        Ok(Some(Done {
            status: reply.status,
            outcome: reply.outcome.as_ref().to_owned(),
            incident_id: reply.incident_id,
            incident: reply.incident.map(ToOwned::to_owned),
            occurrence_count: reply.occurrence_count,
            silence: reply.silence.map(ToOwned::to_owned),
        }))
    }

    /// The service of a native alert that the engine would take.
    fn service_of(&self, alert: &[u8]) -> Result<String, Problem> {
        if let Err(error) = serde_json::from_slice::<serde::de::IgnoredAny>(alert) {
            return Err(Problem::new(StatusCode::BAD_REQUEST, format!("the body is not JSON: {error}")));
        }
        let mut found = Err(Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "the body: an alert is wanted"));
        self.read(alert, Some(Form::Native), &mut |item| {
            found = match item {
                Item::Alert { alert, .. } => Ok(alert.service_id.to_string()),
                Item::Rejected { reason, .. } => Err(Problem::of_reason(StatusCode::UNPROCESSABLE_ENTITY, &reason)),
                Item::Ignored => return,
            };
        });
        found
    }

    /// Those that a body's alerts are of.
    fn services_of(&self, body: &[u8]) -> BTreeSet<String> {
        let mut found = BTreeSet::new();
        self.read(body, None, &mut |item| {
            if let Item::Alert { alert, .. } = item {
                found.insert(alert.service_id.to_string());
            }
        });
        found
    }

    fn read(&self, value: &[u8], form: Option<Form>, each: &mut dyn FnMut(Item<'_>)) {
        let origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };
        codec::read_alerts(&AlertRecord { origin, time: now(), value: Some(value), form }, &self.codec, each);
    }
}

pub(super) fn now() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

/// What Kafka did not take: worth another try, or too large for the topic.
fn untaken(error: &Error) -> Problem {
    tracing::warn!("a record was not taken: {error}");
    if error.is_too_large {
        let detail =
            format!("{error}: send less, or raise \"max.message.bytes\" of the topic and \"message.max.bytes\" in [kafka]");
        return Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail);
    }
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, format!("Kafka did not take it: {error}: try again")).after(1)
}

/// An object with an `alerts` array, whatever that holds: what is wrong with one alert ends in `dead-letters`, for a refused
/// body would come again for ever.
fn check_webhook(body: &[u8]) -> Result<(), Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let text = std::str::from_utf8(body).map_err(|error| wrong(format!("not UTF-8: byte {} is wrong", error.valid_up_to())))?;
    let top: BTreeMap<String, &RawValue> =
        serde_json::from_str(text).map_err(|error| wrong(format!("the body is no JSON object: {error}")))?;
    match top.get("alerts") {
        Some(alerts) if alerts.get().starts_with('[') => Ok(()),
        _ => {
            let detail = "an array is wanted, as Alertmanager's webhook_config sends it without `payload`";
            Err(Problem::of_field(StatusCode::BAD_REQUEST, "alerts", detail))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_body_with_an_array_of_alerts_is_one() {
        let deep = format!("{{\"alerts\":[{}{}]}}", "[".repeat(10_000), "]".repeat(10_000));
        for body in ["{\"alerts\":[]}", "{\"alerts\": [5, null], \"x\": 1}", "{\"alerts\":1,\"alerts\":[{}]}", &deep] {
            assert_eq!(check_webhook(body.as_bytes()), Ok(()), "{}", &body[..20.min(body.len())]);
        }
        for body in ["", "[]", "null", "{}", "{\"alerts\":{}}", "{\"alerts\":[}", "{\"text\":\"x\"}"] {
            assert_eq!(check_webhook(body.as_bytes()).map_err(|problem| problem.status), Err(StatusCode::BAD_REQUEST), "{body}");
        }
        assert!(check_webhook(b"{\"alerts\":[\"\xff\"]}").is_err());
    }
}
