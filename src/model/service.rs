//! What is known of a service beside its incidents: changes and readings (SPEC 3.4).

use crate::model::Time;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

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

/// A deployment, a change of configuration, or whatever else was changed.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Change {
    /// The event's `type`: `deployment`, `config_change`, …
    pub kind: String,
    pub description: String,
    pub timestamp: Time,
    pub id: Option<String>,
}

/// The last reading of a metric.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Measurement {
    pub value: f64,
    pub unit: Option<String>,
    pub timestamp: Time,
}

/// What closures may ask of the incident's service.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct ServiceContext {
    /// Newest last.
    pub changes: Vec<Change>,
    /// By the metric's name.
    pub measurements: BTreeMap<String, Measurement>,
}
