//! What of an incident's JSON lists are filtered and ordered by, read without building the rest.

use crate::model::{Environment, IncidentId, Severity, Status, Time};
use serde::Deserialize;
use std::borrow::Cow;

/// Borrows from the JSON where it can.
#[derive(Clone, PartialEq, Debug, Deserialize)]
pub struct Indexed<'a> {
    pub id: IncidentId,
    #[serde(borrow)]
    pub service_id: Cow<'a, str>,
    pub severity: Severity,
    pub environment: Environment,
    pub status: Status,
    pub triggered_at: Time,
    /// Rises with every published change: of two texts of one incident the higher one counts.
    pub version: u64,
}

/// Reads the value of a record of `incidents`.
pub fn read_indexed(json: &[u8]) -> Result<Indexed<'_>, String> {
    serde_json::from_slice(json).map_err(|error| format!("not an incident: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::incident::incident;

    #[test]
    fn reads_what_was_written() {
        let mut whole = crate::model::incident::tests::incident();
        whole.service_id = "chat \"api\"".to_owned();
        whole.version = 7;
        let json = incident(&whole, 1 << 20);
        let read = read_indexed(&json).expect("our own JSON");
        assert_eq!((read.id, read.service_id.as_ref(), read.version), (whole.id, whole.service_id.as_str(), 7));
        assert_eq!((read.severity, read.environment, read.status), (whole.severity, whole.environment, whole.status));
        assert_eq!(read.triggered_at, whole.triggered_at);
        assert!(read_indexed(b"{\"id\":5}").is_err_and(|error| error.starts_with("not an incident: ")));
    }
}
