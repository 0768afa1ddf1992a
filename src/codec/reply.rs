//! The answer to a record that asked for one: what became of it (SPEC 2, `incidentd-replies`).
//!
//! A record asks by two headers: [`REQUEST_ID`], any bytes, and [`REPLY_TO`], a partition of the replies topic in decimal.

use crate::codec::incident::{Shown, fitting, json, room};
use crate::codec::{OutRecord, Settings, silence};
use crate::model::{Incident, IncidentId, Silence, Topic};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use std::borrow::Cow;

pub const REQUEST_ID: &str = "request-id";
pub const REPLY_TO: &str = "reply-to";

/// What became of a record.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Reply<'a> {
    /// As HTTP has it: 200 done, 201 created, 404 unknown, 409 not from here, 422 wrong in itself.
    pub status: u16,
    /// An alert's outcome, or `done`, `ignored`, `refused`, `rejected`.
    pub outcome: &'a str,
    pub incident_id: Option<IncidentId>,
    pub incident: Option<&'a Incident>,
    /// How often the incident that an alert fell into has occurred, it included.
    pub occurrence_count: Option<u64>,
    /// As a command has made or changed it.
    pub silence: Option<&'a Silence>,
    /// Why not.
    pub reason: Option<&'a str>,
}

#[derive(Serialize)]
struct Wire<'a> {
    status: u16,
    outcome: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident_id: Option<IncidentId>,
    #[serde(skip_serializing_if = "Option::is_none")]
    incident: Option<Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrence_count: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    silence: Option<silence::Shown<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<Error<'a>>,
}

#[derive(Serialize)]
struct Error<'a> {
    reason: &'a str,
}

/// The record that answers the request `id`, to the partition that it named.
pub fn reply(reply: &Reply<'_>, id: &[u8], partition: u32, settings: &Settings) -> OutRecord {
    let expected = reply.incident.map_or(256, room);
    let value = fitting(settings.record_max, |extent| {
        let wire = Wire {
            status: reply.status,
            outcome: reply.outcome,
            incident_id: reply.incident_id.or(reply.incident.map(|incident| incident.id)),
            incident: reply.incident.map(|incident| Shown(incident, extent)),
            occurrence_count: reply.occurrence_count,
            silence: reply.silence.map(silence::Shown),
            error: reply.reason.map(|reason| Error { reason }),
        };
        json(&wire, expected)
    });
    OutRecord {
        topic: Topic::Replies,
        partition: Some(partition),
        key: Some(id.to_vec()),
        value: Some(value),
        headers: Vec::new(),
    }
}

/// A reply as whoever waited for it reads it; what it shows stays the text that it is.
#[derive(Debug, Deserialize)]
pub struct Answered<'a> {
    pub status: u16,
    #[serde(borrow)]
    pub outcome: Cow<'a, str>,
    pub incident_id: Option<IncidentId>,
    #[serde(borrow)]
    pub incident: Option<&'a RawValue>,
    pub occurrence_count: Option<u64>,
    #[serde(borrow)]
    pub silence: Option<&'a RawValue>,
    #[serde(borrow)]
    error: Option<Said<'a>>,
}

#[derive(Debug, Deserialize)]
struct Said<'a> {
    #[serde(borrow)]
    reason: Cow<'a, str>,
}

impl Answered<'_> {
    /// Why not; empty where it was done.
    pub fn reason(&self) -> &str {
        self.error.as_ref().map_or("", |error| &error.reason)
    }
}

/// Reads the value of a record of `incidentd-replies`.
pub fn read_reply(json: &[u8]) -> Result<Answered<'_>, String> {
    serde_json::from_slice(json).map_err(|error| format!("not a reply: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        let incident = crate::model::incident::tests::incident();
        let said = Reply {
            status: 409,
            outcome: "refused",
            incident: Some(&incident),
            occurrence_count: Some(3),
            reason: Some("it is \"closed\""),
            ..Reply::default()
        };
        let record = reply(&said, b"r", 1, &Settings::default());
        let json = record.value.expect("a reply has a value");
        let read = read_reply(&json).expect("our own JSON");
        assert_eq!((read.status, read.outcome.as_ref(), read.reason()), (409, "refused", "it is \"closed\""));
        assert_eq!((read.incident_id, read.occurrence_count), (Some(incident.id), Some(3)));
        assert!(read.incident.is_some_and(|raw| raw.get().starts_with("{\"id\":\"inc_")));
        assert!(read.silence.is_none());
    }
}
