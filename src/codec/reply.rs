//! The answer to a record that asked for one: what became of it (SPEC 2, `incidentd-replies`).
//!
//! A record asks by two headers: [`REQUEST_ID`], any bytes, and [`REPLY_TO`], a partition of the replies topic in decimal.

use crate::codec::incident::{Shown, fitting, json, room};
use crate::codec::{OutRecord, Settings};
use crate::model::{Incident, IncidentId, Topic};
use serde::Serialize;

pub const REQUEST_ID: &str = "request-id";
pub const REPLY_TO: &str = "reply-to";

/// What became of a record.
#[derive(Clone, Debug, PartialEq)]
pub struct Reply<'a> {
    /// As HTTP has it: 200 done, 201 created, 404 unknown, 409 not from here, 422 wrong in itself.
    pub status: u16,
    /// An alert's outcome, or `done`, `ignored`, `refused`, `rejected`.
    pub outcome: &'a str,
    pub incident_id: Option<IncidentId>,
    pub incident: Option<&'a Incident>,
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
