//! One action of a remediation, as the rule names it (SPEC 4.8).

use crate::model::Metadata;
use serde::{Deserialize, Serialize};

#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Remedy {
    /// `rollback`, `scale_up`, `restart`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Defaults to the incident's service.
    pub target: String,
    #[serde(flatten)]
    pub parameters: Metadata,
}
