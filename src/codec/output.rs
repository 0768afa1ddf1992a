//! What a shard says, as records: to which topic, under which key, to which partition (SPEC 2).

use crate::codec::{Settings, action, decision, fact, incident, silence};
use crate::model::{IncidentId, Output, Topic};

/// A record to be produced.
#[derive(Clone, Debug, PartialEq)]
pub struct OutRecord {
    pub topic: Topic,
    /// `None`: by the key, as the Java clients do.
    pub partition: Option<u32>,
    pub key: Option<Vec<u8>>,
    pub value: Option<Vec<u8>>,
    pub headers: Vec<(String, Vec<u8>)>,
}

/// What a shard said, as a record; `None` for what only counts.
pub fn write_output(output: &Output, settings: &Settings) -> Option<OutRecord> {
    let most = settings.record_max;
    Some(match output {
        Output::Incident(incident) => at_home(Topic::Incidents, incident.id, Some(incident::incident(incident, most))),
        Output::IncidentGone(id) => at_home(Topic::Incidents, *id, None),
        Output::Decision(decision) => at_home(Topic::Decisions, decision.incident_id, Some(decision::decision(decision, most))),
        Output::Action(action) => keyed(action.kind.topic(), &action.incident.service_id, Some(action::action(action, most))),
        Output::Silence(silence) => keyed(Topic::Silences, &silence.id, Some(silence::silence(silence))),
        Output::SilenceGone(id) => keyed(Topic::Silences, id, None),
        Output::Fact { to, fact } => fact::fact(*to, fact, settings),
        Output::Unrouted(_) | Output::Evaluated { .. } => return None,
    })
}

/// A record of an incident at its home partition, which its id names.
fn at_home(topic: Topic, id: IncidentId, value: Option<Vec<u8>>) -> OutRecord {
    let (partition, key) = (Some(u32::from(id.partition)), Some(id.to_string().into_bytes()));
    OutRecord { topic, partition, key, value, headers: Vec::new() }
}

/// A record at the partition that the Java clients give its key.
fn keyed(topic: Topic, key: &str, value: Option<Vec<u8>>) -> OutRecord {
    OutRecord { topic, partition: None, key: Some(key.as_bytes().to_vec()), value, headers: Vec::new() }
}
