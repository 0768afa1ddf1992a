//! What a shard says, as records: to which topic, under which key, to which partition (SPEC 2).

use crate::codec::{Settings, action, decision, incident, silence};
use crate::model::{Action, Incident, IncidentId, Output, Topic};
use std::sync::Arc;

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

/// What a shard said, as a record; `None` for facts and for what only counts.
pub fn write_output(output: &Output, settings: &Settings) -> Option<OutRecord> {
    let most = settings.record_max;
    Some(match output {
        Output::Incident(incident) => at_home(Topic::Incidents, incident.id, Some(incident::incident(incident, most))),
        Output::IncidentGone(id) => at_home(Topic::Incidents, *id, None),
        Output::Decision(decision) => at_home(Topic::Decisions, decision.incident_id, Some(decision::decision(decision, most))),
        Output::Action(action) => written(action, None, settings),
        Output::Silence(silence) => keyed(Topic::Silences, &silence.id, Some(silence::silence(silence))),
        Output::SilenceGone(id) => keyed(Topic::Silences, id, None),
        // Facts share records: `FactBatch`.
        Output::Fact { .. } | Output::Unrouted(_) | Output::Evaluated { .. } => return None,
    })
}

/// What a shard said of one input, as records. An action shows its incident as it was just published, nearly always: that is
/// written once for all of them.
pub fn write_outputs(outputs: &[Output], settings: &Settings) -> Vec<OutRecord> {
    let mut records: Vec<OutRecord> = Vec::with_capacity(outputs.len());
    let mut published: Option<(&Arc<Incident>, usize)> = None;
    for output in outputs {
        match output {
            Output::Action(action) => {
                let shown = published.filter(|(incident, _)| Arc::ptr_eq(incident, &action.incident));
                let shown = shown.and_then(|(_, at)| records[at].value.as_deref());
                records.push(written(action, shown, settings));
            }
            Output::Incident(incident) => {
                published = Some((incident, records.len()));
                records.extend(write_output(output, settings));
            }
            _ => records.extend(write_output(output, settings)),
        }
    }
    records
}

fn written(action: &Action, shown: Option<&[u8]>, settings: &Settings) -> OutRecord {
    keyed(action.kind.topic(), &action.incident.service_id, Some(action::action(action, shown, settings.record_max)))
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
