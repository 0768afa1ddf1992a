//! Replies to records that ask for one, in the transaction that takes them (SPEC 2, `incidentd-replies`).
//!
//! One record gets one reply, from the shard that has taken it: what is forwarded is answered at its home. A webhook body is
//! answered where it was read, whatever its alerts' homes: with the first error in it, or else what became of its last alert.

use crate::codec::{self, REPLY_TO, REQUEST_ID, Reply};
use crate::engine::Outcome;
use crate::kafka::Headers;
use crate::model::{AlertOutcome, Incident, IncidentId, Output, Silence};
use crate::worker::Settings;
use crate::worker::lane::Lane;
use std::sync::Arc;

/// Bytes of a request id.
const ID_MOST: usize = 1_024;

/// Who waits, and where.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Request<'a> {
    id: &'a [u8],
    partition: u32,
}

impl<'a> Request<'a> {
    /// `None`: the record asks for nothing. An error: it does, and cannot be answered.
    pub fn of(headers: Headers<'a>, partitions: u32) -> Option<Result<Request<'a>, ()>> {
        Request::read(headers, partitions)
    }

    fn read(headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>, partitions: u32) -> Option<Result<Request<'a>, ()>> {
        let (mut id, mut reply_to) = (None, None);
        for (name, value) in headers {
            match name {
                REQUEST_ID => id = Some(value.unwrap_or_default()),
                REPLY_TO => reply_to = Some(value.unwrap_or_default()),
                _ => {}
            }
        }
        if id.is_none() && reply_to.is_none() {
            return None;
        }
        let partition = reply_to.and_then(|text| std::str::from_utf8(text).ok()).and_then(|text| text.parse::<u32>().ok());
        let id = id.filter(|id| !id.is_empty() && id.len() <= ID_MOST);
        let request = id.zip(partition.filter(|partition| *partition < partitions));
        Some(request.map(|(id, partition)| Request { id, partition }).ok_or(()))
    }
}

/// What became of the parts of a record, so far as somebody waits to hear of it.
#[derive(Default)]
pub struct Answer {
    /// The first.
    error: Option<Error>,
    last: Option<Last>,
}

struct Last {
    status: u16,
    outcome: &'static str,
    id: Option<IncidentId>,
    incident: Option<Arc<Incident>>,
    occurrence_count: Option<u64>,
    silence: Option<Silence>,
}

impl Last {
    fn of(status: u16, outcome: &'static str) -> Last {
        Last { status, outcome, id: None, incident: None, occurrence_count: None, silence: None }
    }
}

struct Error {
    status: u16,
    outcome: &'static str,
    reason: String,
    incident: Option<IncidentId>,
}

impl Answer {
    /// A part was refused.
    pub fn refused(&mut self, status: u16, outcome: &'static str, reason: &str, incident: Option<IncidentId>) {
        self.error.get_or_insert_with(|| Error { status, outcome, reason: reason.to_owned(), incident });
    }

    /// A part was taken; `said`: what the shard made of it; `count`: how often an incident of it has occurred.
    pub fn taken(&mut self, outcome: &Outcome, said: &[Output], count: impl Fn(IncidentId) -> Option<u64>) {
        self.last = match outcome {
            Outcome::Alert { outcome, incident } => {
                let status = if *outcome == AlertOutcome::Created { 201 } else { 200 };
                let shown = incident.and_then(|id| shown(id, said));
                let occurrence_count = incident.and_then(count);
                Some(Last { id: *incident, incident: shown, occurrence_count, ..Last::of(status, outcome.name()) })
            }
            Outcome::Done(incident) => {
                let silence = said.iter().rev().find_map(|output| match output {
                    Output::Silence(silence) => Some(silence.clone()),
                    _ => None,
                });
                Some(Last { incident: incident.clone(), silence, ..Last::of(200, "done") })
            }
            Outcome::Ignored => Some(Last::of(200, "ignored")),
            Outcome::Refused(_) => return,
        };
    }

    /// A part of a body was sent to its home, or told of no alert.
    pub fn passed(&mut self, outcome: AlertOutcome) {
        self.last = Some(Last::of(200, outcome.name()));
    }
}

/// The incident as it was just published.
fn shown(id: IncidentId, said: &[Output]) -> Option<Arc<Incident>> {
    said.iter().rev().find_map(|output| match output {
        Output::Incident(incident) if incident.id == id => Some(Arc::clone(incident)),
        _ => None,
    })
}

impl Lane {
    /// Writes the reply, where somebody waits for one and there is something to tell.
    pub fn answer(&mut self, settings: &Settings, request: Option<Result<Request<'_>, ()>>, answer: &Answer) {
        let reply = match answer {
            Answer { error: Some(error), .. } => Reply {
                status: error.status,
                outcome: error.outcome,
                incident_id: error.incident,
                reason: Some(&error.reason),
                ..Reply::default()
            },
            Answer { error: None, last: Some(last) } => Reply {
                status: last.status,
                outcome: last.outcome,
                incident_id: last.id,
                incident: last.incident.as_deref(),
                occurrence_count: last.occurrence_count,
                silence: last.silence.as_ref(),
                reason: None,
            },
            // It was forwarded whole: its home answers.
            Answer { error: None, last: None } => return,
        };
        let outcome = match request {
            None => return,
            Some(Err(())) => "unanswerable",
            Some(Ok(request)) => {
                self.say(codec::reply(&reply, request.id, request.partition, &settings.codec));
                self.awaited = true;
                "sent"
            }
        };
        *self.counts.inputs.replies.entry(outcome).or_default() += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<'a>(headers: &'a [(&'a str, &'a str)]) -> Option<Result<Request<'a>, ()>> {
        Request::read(headers.iter().map(|(name, value)| (*name, Some(value.as_bytes()))), 3)
    }

    #[test]
    fn only_both_headers_with_a_partition_that_exists_make_a_request() {
        assert_eq!(read(&[("traceparent", "00")]), None);
        assert_eq!(read(&[("reply-to", "2"), ("request-id", "r")]), Some(Ok(Request { id: b"r", partition: 2 })));
        for unanswerable in [
            &[("request-id", "r")][..],
            &[("reply-to", "0")],
            &[("request-id", "r"), ("reply-to", "3")],
            &[("request-id", "r"), ("reply-to", "-1")],
            &[("request-id", "r"), ("reply-to", "somewhere")],
            &[("request-id", "r"), ("reply-to", "")],
            &[("request-id", ""), ("reply-to", "1")],
            &[("request-id", &"r".repeat(2_000)), ("reply-to", "1")],
        ] {
            assert_eq!(read(unanswerable), Some(Err(())), "{unanswerable:?}");
        }
    }

    #[test]
    fn the_first_error_counts_or_else_the_last_outcome() {
        let mut answer = Answer::default();
        let outcome = |outcome| Outcome::Alert { outcome, incident: None };
        answer.taken(&outcome(AlertOutcome::Created), &[], |_| None);
        answer.taken(&outcome(AlertOutcome::Merged), &[], |_| None);
        assert_eq!(answer.last.as_ref().map(|last| (last.status, last.outcome)), Some((200, "merged")));
        answer.refused(422, "rejected", "title: missing", None);
        answer.refused(404, "refused", "later", None);
        answer.taken(&outcome(AlertOutcome::Created), &[], |_| None);
        assert_eq!(answer.error.map(|error| (error.status, error.reason)), Some((422, "title: missing".to_owned())));
    }
}
