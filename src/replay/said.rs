//! What the output has told so far, so that commands of a replay can name incidents and remediations as people do (SPEC 5).
//!
//! Ids are hashes that nobody can write into a history beforehand. `"incident": {"service_id": …, "title"?: …}` stands for
//! the newest such incident that is not closed, `"rule": …` of a `remediation_result` for that rule's last remediation.

use crate::model::{ActionId, ActionKind, IncidentId, Output, Status};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::BTreeMap;

#[derive(Default)]
pub struct Said {
    /// Of each service the incidents that are not closed, oldest first, with their titles.
    open: BTreeMap<String, Vec<(IncidentId, String)>>,
    services: BTreeMap<IncidentId, String>,
    /// The last remediation of each incident and rule.
    remediations: BTreeMap<(IncidentId, String), ActionId>,
}

/// A command with its names put in.
pub enum Named<'v> {
    Command(Cow<'v, [u8]>),
    /// There is nothing of that name: to `dead-letters`.
    Nothing {
        value: Cow<'v, [u8]>,
        reason: String,
    },
    /// The same of a receipt or a result, which are ignored where there is nothing left that they are about (SPEC 3.3).
    Ignored,
}

impl Said {
    pub fn hear(&mut self, output: &Output) {
        match output {
            Output::Incident(incident) if incident.status == Status::Closed => self.forget(incident.id),
            Output::Incident(incident) if !self.services.contains_key(&incident.id) => {
                self.services.insert(incident.id, incident.service_id.clone());
                self.open.entry(incident.service_id.clone()).or_default().push((incident.id, incident.title.clone()));
            }
            Output::IncidentGone(id) => self.forget(*id),
            Output::Action(action) if matches!(action.kind, ActionKind::Remediation { .. }) => {
                self.remediations.insert((action.incident.id, action.rule.clone()), action.id.clone());
            }
            _ => {}
        }
    }

    fn forget(&mut self, id: IncidentId) {
        let Some(service) = self.services.remove(&id) else { return };
        if let Some(open) = self.open.get_mut(&service) {
            open.retain(|(other, _)| *other != id);
            if open.is_empty() {
                self.open.remove(&service);
            }
        }
    }

    /// Puts ids for names. A command without such names stays as it is, to the byte; so does what is no command.
    pub fn name<'v>(&self, value: Cow<'v, [u8]>) -> Named<'v> {
        let Ok(mut command) = serde_json::from_slice::<Map<String, Value>>(&value) else { return Named::Command(value) };
        let by_name = command.get("incident").filter(|_| !command.contains_key("incident_id"));
        let is = |name: &str| command.get("command").is_some_and(|command| command == name);
        let report = is("remediation_result") || is("delivery_receipt");
        let by_rule = is("remediation_result") && command.contains_key("rule") && !command.contains_key("action_id");
        if by_name.is_none() && !by_rule {
            return Named::Command(value);
        }
        if let Some(incident) = by_name {
            match self.newest(incident) {
                Ok(id) => command.insert("incident_id".to_owned(), Value::from(id.to_string())),
                Err(_) if report => return Named::Ignored,
                Err(reason) => return Named::Nothing { value, reason },
            };
        }
        if by_rule {
            match self.remediation(&command) {
                Some(id) => command.insert("action_id".to_owned(), Value::from(id.0.as_str())),
                None => return Named::Ignored,
            };
        }
        Named::Command(Cow::Owned(Value::Object(command).to_string().into_bytes()))
    }

    fn newest(&self, incident: &Value) -> Result<IncidentId, String> {
        let text = |name: &str| incident.get(name).and_then(Value::as_str);
        let service = text("service_id").ok_or("incident.service_id: missing; name the incident's service")?;
        let title = text("title");
        let open = self.open.get(service).map_or(&[][..], Vec::as_slice);
        let found = open.iter().rev().find(|(_, its)| title.is_none_or(|title| title == its)).map(|(id, _)| *id);
        found.ok_or_else(|| match title {
            Some(title) if !open.is_empty() => {
                let titles: Vec<String> = open.iter().rev().take(5).map(|(_, title)| format!("`{title}`")).collect();
                format!("incident.title: no incident of `{service}` called `{title}` is open; there are {}", titles.join(", "))
            }
            _ => format!("incident.service_id: `{service}` has no incident that is not closed"),
        })
    }

    fn remediation(&self, command: &Map<String, Value>) -> Option<&ActionId> {
        let text = |name: &str| command.get(name).and_then(Value::as_str).unwrap_or_default();
        self.remediations.get(&(text("incident_id").parse().ok()?, text("rule").to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Action, Incident, Metadata, Remedy, RuleEvent, Time, incident};
    use std::sync::Arc;

    fn opened(hash: u64, title: &str) -> Incident {
        let id = IncidentId { partition: 1, hash };
        Incident { id, title: title.to_owned(), service_id: "llm".to_owned(), ..incident::tests::incident() }
    }

    fn named(said: &Said, json: &str) -> Result<Value, String> {
        match said.name(Cow::Borrowed(json.as_bytes())) {
            Named::Command(value) => Ok(serde_json::from_slice(&value).unwrap_or_default()),
            Named::Nothing { reason, .. } => Err(reason),
            Named::Ignored => Err("ignored".to_owned()),
        }
    }

    #[test]
    fn the_newest_of_a_name_that_is_not_closed_is_meant() {
        let mut said = Said::default();
        for (hash, title) in [(1, "a"), (2, "b"), (3, "a")] {
            said.hear(&Output::Incident(Arc::new(opened(hash, title))));
        }
        // Published again, it is no newer.
        said.hear(&Output::Incident(Arc::new(opened(1, "a"))));
        let id = |json: &str| named(&said, json).map(|command| command["incident_id"].clone());
        assert_eq!(id(r#"{"incident":{"service_id":"llm"}}"#), Ok("inc_00010000000000000003".into()));
        assert_eq!(id(r#"{"incident":{"service_id":"llm","title":"b"}}"#), Ok("inc_00010000000000000002".into()));
        assert!(id(r#"{"incident":{"service_id":"llm","title":"c"}}"#).is_err_and(|error| error.contains("`a`, `b`")));
        assert!(id(r#"{"incident":{"service_id":"web"}}"#).is_err_and(|error| error.contains("`web` has no incident")));
        assert!(id(r#"{"incident":{}}"#).is_err_and(|error| error.starts_with("incident.service_id: missing")));
        assert_eq!(id(r#"{"incident_id":"x","incident":{"service_id":"llm"}}"#), Ok("x".into()));

        said.hear(&Output::Incident(Arc::new(Incident { status: Status::Closed, ..opened(3, "a") })));
        let second = named(&said, r#"{"incident":{"service_id":"llm"}}"#).map(|command| command["incident_id"].clone());
        assert_eq!(second, Ok("inc_00010000000000000002".into()));
    }

    #[test]
    fn a_rule_stands_for_its_last_remediation() {
        let mut said = Said::default();
        let incident = Arc::new(opened(1, "a"));
        said.hear(&Output::Incident(Arc::clone(&incident)));
        for attempt in 1..=2 {
            let remedy = Remedy { kind: "rollback".to_owned(), target: "llm".to_owned(), parameters: Metadata::default() };
            said.hear(&Output::Action(Action {
                id: ActionId(format!("act_{attempt}")),
                rule: "r".to_owned(),
                event: RuleEvent::Triggered,
                created_at: Time(0),
                incident: Arc::clone(&incident),
                kind: ActionKind::Remediation { actions: vec![remedy], attempt, verify_until: Time(0), approval: None },
            }));
        }
        let result = r#"{"command":"remediation_result","incident":{"service_id":"llm"},"rule":"r","outcome":"failed"}"#;
        assert_eq!(named(&said, result).map(|command| command["action_id"].clone()), Ok("act_2".into()));
        let other = result.replace("\"r\"", "\"q\"");
        assert_eq!(named(&said, &other), Err("ignored".to_owned()));
        assert_eq!(named(&said, &result.replace("llm", "web")), Err("ignored".to_owned()));
        let plain = br#"{ "command":"note" , "rule":"r"}"#;
        assert!(matches!(said.name(Cow::Borrowed(plain)), Named::Command(Cow::Borrowed(same)) if same == plain));
    }
}
