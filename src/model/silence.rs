//! A silence: which incidents notify nobody, from when to when (SPEC 3.3, 4.7). Matchers have Alertmanager's shape.

use crate::model::Time;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Silence {
    pub id: String,
    /// All must hold.
    pub matchers: Vec<Matcher>,
    pub starts_at: Time,
    /// Exclusive.
    pub ends_at: Time,
    /// Who made it; `None`: nobody said.
    pub created_by: Option<String>,
    pub comment: Option<String>,
    /// The Kafka time of the command that it comes from last.
    pub updated_at: Time,
}

/// Names a label, or where no label has the name `service_id`, `severity`, `category`, `environment` or `title`.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Matcher {
    pub name: String,
    pub value: String,
    /// `value` is a regular expression for the whole text.
    pub is_regex: bool,
    /// False: it must not match.
    pub is_equal: bool,
}
