//! What is known of a service beside its incidents: changes made to it and what its metrics read (SPEC 3.4, 4.8).

use crate::model::{Time, time};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// A reading is good for so long.
pub const MEASUREMENT_AGE: time::Millis = 5 * time::MINUTE;

/// A record of `events`.
#[derive(Clone, PartialEq, Debug)]
pub struct ServiceEvent {
    pub service_id: String,
    pub body: EventBody,
}

#[derive(Clone, PartialEq, Debug)]
pub enum EventBody {
    Change(Change),
    Measurement { metric: String, reading: Measurement },
}

#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ServiceContext {
    pub changes: Vec<Change>,
    /// The latest of each metric.
    pub measurements: BTreeMap<String, Measurement>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// `deployment`, `config_change` or another word of the event's sender.
    #[serde(rename = "type")]
    pub kind: String,
    pub description: String,
    pub timestamp: Time,
    #[serde(default)]
    pub id: Option<String>,
}

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measurement {
    pub value: f64,
    #[serde(default)]
    pub unit: Option<String>,
    pub timestamp: Time,
}

impl ServiceContext {
    /// Was it deployed within so many minutes up to `now`, both ends included?
    pub fn recent_deployment(&self, minutes: u64, now: Time) -> bool {
        let most = i64::try_from(minutes).unwrap_or(i64::MAX).saturating_mul(time::MINUTE);
        let recent = |change: &Change| change.timestamp <= now && now - change.timestamp <= most;
        self.changes.iter().any(|change| change.kind == "deployment" && recent(change))
    }

    /// The last reading, while it is at most 5 minutes old.
    pub fn measurement(&self, name: &str, now: Time) -> Option<f64> {
        let reading = self.measurements.get(name)?;
        (now - reading.timestamp <= MEASUREMENT_AGE).then_some(reading.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recent() {
        let now = Time(1_768_471_200_000);
        let at =
            |kind: &str, ago: i64| Change { kind: kind.to_owned(), description: String::new(), timestamp: now + -ago, id: None };
        let context = |change| ServiceContext { changes: vec![change], ..ServiceContext::default() };
        for (kind, ago, recent) in [
            ("deployment", 0, true),
            ("deployment", 30 * time::MINUTE, true),
            ("deployment", 30 * time::MINUTE + 1, false),
            ("deployment", -1, false),
            ("config_change", 0, false),
        ] {
            assert_eq!(context(at(kind, ago)).recent_deployment(30, now), recent, "{kind} {ago}");
        }
        assert!(context(at("deployment", time::DAY)).recent_deployment(u64::MAX, now));
        for (ago, value) in [(0, Some(7.5)), (MEASUREMENT_AGE, Some(7.5)), (MEASUREMENT_AGE + 1, None)] {
            let reading = Measurement { value: 7.5, unit: None, timestamp: now + -ago };
            let measurements = [("p99".to_owned(), reading)].into();
            let context = ServiceContext { measurements, ..ServiceContext::default() };
            assert_eq!((context.measurement("p99", now), context.measurement("p50", now)), (value, None), "{ago}");
        }
    }
}
