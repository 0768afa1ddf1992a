//! What silences ask of an incident, read from the beginning of its body: a silence that begins is asked of every incident.

use crate::engine::entry::Entry;
use crate::model::{Environment, Fingerprint, Incident, IncidentId, Severity, Status, Time};
use serde::Deserialize;
use smallvec::SmallVec;

/// Whom a matcher may name.
pub struct Subject<'s> {
    service_id: &'s str,
    title: &'s str,
    category: &'s str,
    severity: Severity,
    environment: Environment,
    /// Sorted by name.
    labels: SmallVec<[(&'s str, &'s str); 8]>,
}

/// [`Incident`] as far as its labels, as it is packed.
#[derive(Deserialize)]
#[allow(dead_code, reason = "what is passed over has its place")]
struct Head<'s> {
    id: IncidentId,
    fingerprint: Fingerprint,
    #[serde(borrow)]
    dedup_key: Option<&'s str>,
    title: &'s str,
    description: &'s str,
    severity: Severity,
    category: &'s str,
    service_id: &'s str,
    environment: Environment,
    status: Status,
    triggered_at: Time,
    acknowledged_at: Option<Time>,
    acknowledged_by: Option<&'s str>,
    resolved_at: Option<Time>,
    resolved_by: Option<&'s str>,
    resolution: Option<&'s str>,
    labels: Vec<(&'s str, &'s str)>,
}

impl<'s> Subject<'s> {
    pub fn of(incident: &'s Incident) -> Subject<'s> {
        Subject {
            service_id: &incident.service_id,
            title: &incident.title,
            category: &incident.category,
            severity: incident.severity,
            environment: incident.environment,
            labels: incident.labels.iter().collect(),
        }
    }

    /// Of a body's plain bytes; `None` only where memory is damaged.
    pub fn read(body: &'s [u8]) -> Option<Subject<'s>> {
        let (Head { title, severity, category, service_id, environment, labels, .. }, _) =
            postcard::take_from_bytes(body).ok()?;
        Some(Subject { service_id, title, category, severity, environment, labels: labels.into_iter().collect() })
    }

    /// The label of that name, or where there is none the field; empty without either.
    pub fn value(&self, name: &str) -> &'s str {
        match self.labels.binary_search_by(|(key, _)| (*key).cmp(name)) {
            Ok(at) => self.labels[at].1,
            Err(_) => match name {
                "service_id" => self.service_id,
                "severity" => self.severity.name(),
                "category" => self.category,
                "environment" => self.environment.name(),
                "title" => self.title,
                _ => "",
            },
        }
    }
}

impl Entry {
    /// Asks its body's head, without unpacking the rest.
    pub fn ask<T>(&self, ask: impl FnOnce(&Subject<'_>) -> T) -> Option<T> {
        let body = self.body.read()?;
        Subject::read(&body).map(|subject| ask(&subject))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::incident::tests::incident;

    #[test]
    fn a_packed_incidents_head_says_what_the_incident_says() {
        let mut whole = incident();
        whole.labels = [("region", "eu"), ("title", "a label's")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into_iter()
            .collect();
        (whole.dedup_key, whole.acknowledged_by) = (Some("key".to_owned()), Some("ann".to_owned()));
        (whole.resolved_at, whole.resolution) = (Some(Time(5)), Some("fixed".to_owned()));
        let packed = postcard::to_stdvec(&whole).expect("it packs");
        let (head, own) = (Subject::read(&packed).expect("it reads"), Subject::of(&whole));
        for name in ["service_id", "severity", "category", "environment", "title", "region", "absent"] {
            assert_eq!(head.value(name), own.value(name), "{name}");
        }
        assert_eq!(head.value("title"), "a label's");
        assert_eq!(head.value("service_id"), whole.service_id);
    }
}
