//! Why this incident paged, or did not: the records of `incidents` and `decisions` told in sentences, oldest first (SPEC 3.6).
//!
//! Records in, sentences out: where the records come from (a cluster, a replay's output, the board) is the caller's affair.
//! - `timeline`: what happened; `verdict`: what each rule made of it; `recipient`: who that is in words
//!
//! Invariant: pure. A record that cannot be read is told of in a sentence, and hides no other.

mod recipient;
mod timeline;
mod verdict;

pub use recipient::{addresses, channel, listed, person, remedy};
pub use verdict::why;

use crate::codec;
use crate::model::{Incident, IncidentId, Receipt, Time, Topic};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::BTreeMap;

/// What is known of one incident, whatever the order in which it was found.
#[derive(Default)]
pub struct Evidence {
    /// The newest version.
    incident: Option<Incident>,
    /// The topic holds its tombstone.
    forgotten: bool,
    decisions: Vec<Decision>,
    /// What each action says, by its id: who is told.
    actions: BTreeMap<String, Action>,
    unreadable: Vec<String>,
}

/// A record of `decisions`, read as far as sentences need it: a result that a newer version writes is told by its name.
#[derive(Deserialize)]
struct Decision {
    event: String,
    at: Time,
    rules_hash: String,
    results: Vec<Verdict>,
    #[serde(default)]
    more: u64,
}

#[derive(Deserialize)]
struct Verdict {
    rule: String,
    kind: String,
    result: String,
    detail: Option<String>,
    action_ids: Vec<String>,
}

/// An action, as far as sentences need it.
struct Action {
    at: Time,
    event: String,
    rule: String,
    kind: String,
    /// In words: whom it tells, or what it does.
    who: String,
    /// A verdict names it.
    told: bool,
}

/// Where a sentence comes from.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// The incident's own timeline.
    Timeline,
    /// A rule's verdict on an event.
    Decision,
    /// An action that no decision found names.
    Action,
    /// What became of a delivery.
    Receipt,
}

/// One thing that happened, in words; ends with a full stop.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Sentence {
    pub at: Time,
    pub source: Source,
    /// Of the timeline, or the event that was decided on.
    pub event: String,
    pub text: String,
}

/// An incident explained.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Story {
    pub incident_id: IncidentId,
    /// What it is and how it stands; `None` where no record of `incidents` was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Oldest first; at the same moment what happened stands before what was made of it.
    pub sentences: Vec<Sentence>,
}

impl Evidence {
    /// Takes a record if it is about that incident. `value`: `None` for a tombstone.
    pub fn take(&mut self, id: IncidentId, topic: Topic, key: &[u8], value: Option<&[u8]>) {
        let name = id.to_string();
        match (topic, value) {
            (Topic::Incidents, None) if key == name.as_bytes() => self.forgotten = true,
            (Topic::Incidents, Some(value)) if key == name.as_bytes() => match codec::read_incident(value) {
                Ok(incident) => {
                    self.forgotten = false;
                    let newer = self.incident.as_ref().is_none_or(|known| known.version <= incident.version);
                    self.incident = if newer { Some(incident) } else { self.incident.take() };
                }
                Err(error) => self.unreadable.push(format!("A record of `incidents` cannot be read: {error}.")),
            },
            (Topic::Decisions, Some(value)) if key == name.as_bytes() => match serde_json::from_slice(value) {
                Ok(decision) => self.decisions.push(decision),
                Err(error) => self.unreadable.push(format!("A record of `decisions` cannot be read: {error}.")),
            },
            (Topic::Notifications | Topic::Escalations | Topic::Remediations, Some(value))
                if memchr::memmem::find(value, name.as_bytes()).is_some() =>
            {
                self.take_action(&name, value);
            }
            _ => {}
        }
    }

    /// A digest is about several incidents.
    fn take_action(&mut self, incident: &str, value: &[u8]) {
        let Ok(action) = serde_json::from_slice::<Value>(value) else { return };
        let text = |name: &str| action[name].as_str().unwrap_or_default().to_owned();
        let listed = action["incident_ids"].as_array().is_some_and(|ids| ids.iter().any(|id| id == incident));
        if text("incident_id") != incident && !listed {
            return;
        }
        let Some(at) = action["created_at"].as_str().and_then(Time::parse) else { return };
        let told = Action {
            at,
            event: text("event"),
            rule: text("rule"),
            kind: text("kind"),
            who: recipient::of_action(&action),
            told: false,
        };
        self.actions.insert(text("id"), told);
    }

    /// The service, where the incident is known: its actions stand under it as their key.
    pub fn service_id(&self) -> Option<&str> {
        self.incident.as_ref().map(|incident| incident.service_id.as_str())
    }

    pub fn is_empty(&self) -> bool {
        self.incident.is_none() && !self.forgotten && self.decisions.is_empty() && self.unreadable.is_empty()
    }

    /// `None`: nothing is known of it.
    pub fn explain(mut self, id: IncidentId) -> Option<Story> {
        if self.is_empty() && self.actions.is_empty() {
            return None;
        }
        let mut sentences = Vec::new();
        if let Some(incident) = &self.incident {
            timeline::tell(incident, &mut sentences);
            sentences.extend(incident.notifications.iter().map(receipt));
        }
        self.decisions.sort_by_key(|decision| decision.at);
        let mut hash = String::new();
        for decision in std::mem::take(&mut self.decisions) {
            if decision.rules_hash != hash {
                let changed = if hash.is_empty() { "" } else { "The rules have changed: " };
                let text = format!(
                    "{changed}{} `{}` is in force.",
                    if hash.is_empty() { "Rule set" } else { "set" },
                    decision.rules_hash
                );
                sentences.push(sentence(decision.at, Source::Decision, &decision.event, text));
                hash.clone_from(&decision.rules_hash);
            }
            for verdict in &decision.results {
                let text = verdict::tell(verdict, &decision.event, &mut self.actions);
                sentences.push(sentence(decision.at, Source::Decision, &decision.event, text));
            }
            if decision.more > 0 {
                let text = format!("On {}: {} more rules, not listed, did not act.", decision.event, decision.more);
                sentences.push(sentence(decision.at, Source::Decision, &decision.event, text));
            }
        }
        for action in self.actions.values().filter(|action| !action.told) {
            let text = verdict::untold(action);
            sentences.push(sentence(action.at, Source::Action, &action.event, text));
        }
        let last = sentences.iter().map(|sentence| sentence.at).max().unwrap_or_default();
        sentences.extend(self.unreadable.drain(..).map(|text| sentence(last, Source::Decision, "", text)));
        // Stable: what was said at the same moment by the same source stays in its order.
        sentences.sort_by_key(|sentence| (sentence.at, sentence.source));
        let summary = match &self.incident {
            Some(incident) => Some(timeline::summary(incident, self.forgotten)),
            None if self.forgotten => Some("It is closed, and its record is gone: `dedup.keep_closed` is over.".to_owned()),
            None => None,
        };
        Some(Story { incident_id: id, summary, sentences })
    }
}

fn sentence(at: Time, source: Source, event: &str, text: String) -> Sentence {
    Sentence { at, source, event: event.to_owned(), text }
}

fn receipt(receipt: &Receipt) -> Sentence {
    let Receipt { channel, target, sent_at, delivered, error } = receipt;
    let text = match (delivered, error) {
        (true, _) => format!("Delivered: {channel} {target} has the message."),
        (false, Some(error)) => format!("Not delivered: {channel} {target}: {error}."),
        (false, None) => format!("Not delivered: {channel} {target}."),
    };
    sentence(*sent_at, Source::Receipt, "delivery", text)
}
