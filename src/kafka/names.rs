//! What the topics are called on this cluster: the configured names with the prefix before each (SPEC 2).

use crate::config;

/// Names as the cluster knows them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    pub alerts: String,
    pub commands: String,
    pub events: String,
    pub incidents: String,
    pub silences: String,
    pub notifications: String,
    pub escalations: String,
    pub remediations: String,
    pub decisions: String,
    pub dead_letters: String,
    pub state: String,
    pub inbox: String,
    pub replies: String,
    pub delivery: String,
}

impl Names {
    pub fn new(topics: &config::Topics) -> Names {
        let name = |name: &str| format!("{}{name}", topics.prefix);
        Names {
            alerts: name(&topics.alerts),
            commands: name(&topics.commands),
            events: name(&topics.events),
            incidents: name(&topics.incidents),
            silences: name(&topics.silences),
            notifications: name(&topics.notifications),
            escalations: name(&topics.escalations),
            remediations: name(&topics.remediations),
            decisions: name(&topics.decisions),
            dead_letters: name(&topics.dead_letters),
            state: name(&topics.state),
            inbox: name(&topics.inbox),
            replies: name(&topics.replies),
            delivery: name(&topics.delivery),
        }
    }
}
