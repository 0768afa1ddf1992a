//! What one replay said, counted: actions by rule, and every page with who, what and when.

use crate::compare::team;
use crate::explain;
use crate::model::{Action, ActionKind, IncidentId, Output, RuleEvent, Severity, Time};
use crate::replay::{Told, What};
use crate::rules::{People, RuleSet};
use serde::Serialize;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Pages of one history; past it a comparison would not fit a person's head, nor perhaps the memory.
const MOST: usize = 2_000_000;

/// Listens to a replay.
pub struct Tally {
    people: Rc<People>,
    tallied: Tallied,
}

/// A replay counted.
#[derive(Default)]
pub struct Tallied {
    pub incidents: u64,
    /// How many actions each rule wrote, those that wrote none too.
    pub rules: BTreeMap<(&'static str, String), u64>,
    pub(super) told: BTreeMap<Page, Found>,
    /// There were more than can be kept.
    overflowed: bool,
}

/// What makes a page the same one under another rule set. Ordered by time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Page {
    at: Time,
    incident: IncidentId,
    event: RuleEvent,
    /// A remediation's action, which is no page.
    pub repair: bool,
    /// In words: one recipient, or what a repair does.
    who: String,
}

pub(super) struct Found {
    pub count: u64,
    pub kind: &'static str,
    pub rule: String,
    team: String,
    service_id: String,
    severity: Severity,
    title: String,
}

/// One page, for a person to look at.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Example {
    pub at: Time,
    pub incident_id: IncidentId,
    pub service_id: String,
    pub severity: Severity,
    pub title: String,
    pub event: RuleEvent,
    pub who: String,
    pub team: String,
}

impl Found {
    pub fn example(&self, page: &Page) -> Example {
        Example {
            at: page.at,
            incident_id: page.incident,
            service_id: self.service_id.clone(),
            severity: self.severity,
            title: self.title.clone(),
            event: page.event,
            who: page.who.clone(),
            team: self.team.clone(),
        }
    }
}

impl Tally {
    pub fn new(rules: &RuleSet) -> Tally {
        let mut tallied = Tallied::default();
        let notifications = rules.notifications().iter().map(|rule| ("notification", rule.name.clone()));
        let escalations = rules.escalations().iter().map(|rule| ("escalation", rule.name.clone()));
        let remediations = rules.remediations().iter().map(|rule| ("remediation", rule.name.clone()));
        let all = notifications.chain(escalations).chain(remediations);
        tallied.rules.extend(all.chain([("default_channels", String::new())]).map(|key| (key, 0)));
        Tally { people: Rc::clone(rules.people()), tallied }
    }

    pub fn hear(&mut self, told: &Told) {
        match &told.what {
            What::Said(Output::Action(action)) => self.action(action),
            What::Said(Output::Incident(incident)) => self.tallied.incidents += u64::from(incident.version == 1),
            _ => {}
        }
    }

    /// An error: there was more than can be compared.
    pub fn finish(self) -> Result<Tallied, String> {
        match self.tallied.overflowed {
            true => Err(format!("more than {MOST} pages in one history: compare a shorter one")),
            false => Ok(self.tallied),
        }
    }

    fn action(&mut self, action: &Action) {
        let people = Rc::clone(&self.people);
        // Each with who it is in words, and whose.
        let each: Vec<(String, String)> = match &action.kind {
            ActionKind::Notification { channel } | ActionKind::Notice { channel, .. } | ActionKind::Digest { channel, .. } => {
                vec![(explain::channel(&channel.kind, &channel.config.0), team::of_channel(channel, &people))]
            }
            ActionKind::Escalation { targets, .. } => targets
                .iter()
                .map(|person| (explain::person(person.kind.name(), &person.id), team::of_person(person, &people)))
                .collect(),
            ActionKind::Remediation { actions, .. } => {
                actions.iter().map(|action| (explain::remedy(&action.kind, &action.target), String::new())).collect()
            }
        };
        let kind = if action.rule.is_empty() { "default_channels" } else { action.kind.name() };
        *self.tallied.rules.entry((kind, action.rule.clone())).or_default() += 1;
        let incident = &action.incident;
        for (who, team) in each {
            let page =
                Page { at: action.created_at, incident: incident.id, event: action.event, repair: kind == "remediation", who };
            if self.tallied.told.len() >= MOST {
                self.tallied.overflowed = true;
                return;
            }
            let found = self.tallied.told.entry(page).or_insert_with(|| Found {
                count: 0,
                kind,
                rule: action.rule.clone(),
                team,
                service_id: incident.service_id.clone(),
                severity: incident.severity,
                title: incident.title.clone(),
            });
            found.count += 1;
        }
    }
}

impl Tallied {
    /// Notifications and escalations, each recipient counted.
    pub fn pages(&self) -> u64 {
        self.told.iter().filter(|(page, _)| !page.repair).map(|(_, found)| found.count).sum()
    }
}
