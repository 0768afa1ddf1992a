//! What of an alert decides a merge: all that the hot path computes (ARCHITECTURE 9).

use crate::codec::Settings;
use crate::model::fingerprint::Components;
use crate::model::time::MINUTE;
use crate::model::{Alert, AlertBody, AlertStatus, CurrentValue, Environment, Fingerprint, Origin, Severity, Time};
use std::borrow::Cow;

/// How far an alert's own time may run ahead of its record's (SPEC 4).
pub const AHEAD: i64 = 5 * MINUTE;

/// After defaults, aliases and scoring; an empty string is a missing one.
pub struct Head<'a> {
    pub service_id: &'a str,
    pub category: &'a str,
    pub metric_type: &'a str,
    pub model_id: &'a str,
    /// Empty for all but Alertmanager's.
    pub alertname: &'a str,
    pub dedup_key: &'a str,
    pub source: &'a str,
    pub environment: Environment,
    pub severity: Severity,
    pub status: AlertStatus,
    /// As said; `None`: the record's.
    pub timestamp: Option<Time>,
    pub starts_at: Option<Time>,
    pub threshold: Option<f64>,
    pub current_value: CurrentValue,
}

impl<'h> Head<'h> {
    pub fn fingerprint(&self, settings: &Settings) -> Fingerprint {
        if !self.dedup_key.is_empty() {
            return Fingerprint::of_dedup_key(self.dedup_key);
        }
        let by_alertname = settings.alertmanager_alertname && self.metric_type.is_empty();
        Components {
            service_id: self.service_id,
            category: self.category,
            metric_type: self.metric_type,
            model_id: self.model_id,
            environment: self.environment.name(),
            threshold: self.threshold,
            alertname: if by_alertname { self.alertname } else { "" },
        }
        .fingerprint()
    }

    /// The alert of a record with that origin and Kafka timestamp, its fingerprint made before.
    pub fn alert<'a>(&self, origin: Origin, time: Time, fingerprint: Fingerprint, body: &'a dyn Fn() -> AlertBody) -> Alert<'a>
    where
        'h: 'a,
    {
        Alert {
            origin,
            service_id: Cow::Borrowed(self.service_id),
            fingerprint,
            severity: self.severity,
            status: self.status,
            timestamp: self.timestamp.map_or(time, |said| said.min(time.after(AHEAD))),
            source: (!self.source.is_empty()).then_some(Cow::Borrowed(self.source)),
            starts_at: self.starts_at,
            current_value: self.current_value,
            body,
        }
    }
}
