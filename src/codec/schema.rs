//! The JSON Schemas of the topics, as `incidentd schema NAME` prints them (SPEC 3). This file and `schemas/` list the same names.

/// Name and text of each, by name.
pub const SCHEMAS: [(&str, &str); 10] = [
    ("alert", include_str!("../../schemas/alert.json")),
    ("asyncapi", include_str!("../../schemas/asyncapi.yaml")),
    ("command", include_str!("../../schemas/command.json")),
    ("decision", include_str!("../../schemas/decision.json")),
    ("escalation", include_str!("../../schemas/escalation.json")),
    ("event", include_str!("../../schemas/event.json")),
    ("incident", include_str!("../../schemas/incident.json")),
    ("notification", include_str!("../../schemas/notification.json")),
    ("remediation", include_str!("../../schemas/remediation.json")),
    ("silence", include_str!("../../schemas/silence.json")),
];

/// The schema of that name.
pub fn schema(name: &str) -> Option<&'static str> {
    SCHEMAS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}
