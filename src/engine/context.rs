//! What is known of a service beside its incidents: its last changes and readings (SPEC 3.4).

use crate::engine::Outcome;
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::model::time::DAY;
use crate::model::{EventBody, Incident, RuleEvent, ServiceContext, ServiceEvent, Time};
use crate::rules::Context;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::rc::Rc;

// In tests the three are small, so that they are reached.

/// Changes of one service that are kept, for conditions and closures; incidents show [`SHOWN`] of them.
const MOST_CHANGES: usize = if cfg!(test) { 8 } else { 50 };
const SHOWN: usize = 5;
/// Readings of one service; past it the oldest gives way.
const MOST_METRICS: usize = if cfg!(test) { 4 } else { 200 };
/// Services with a context in one shard; past it the one that was silent longest gives way.
const MOST_SERVICES: usize = if cfg!(test) { 4 } else { 100_000 };

#[derive(Default)]
pub struct Contexts {
    held: BTreeMap<String, Rc<ServiceContext>>,
}

impl Contexts {
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.held.keys()
    }

    pub fn get(&self, service_id: &str) -> Option<&Rc<ServiceContext>> {
        self.held.get(service_id)
    }

    /// Returns the service that had to give way.
    pub fn put(&mut self, service_id: String, context: Rc<ServiceContext>) -> Option<String> {
        self.held.insert(service_id, context);
        if self.held.len() <= MOST_SERVICES {
            return None;
        }
        let oldest = self.held.iter().min_by_key(|(_, context)| newest(context)).map(|(name, _)| name.clone())?;
        self.held.remove(&oldest);
        Some(oldest)
    }

    pub fn remove(&mut self, service_id: &str) {
        self.held.remove(service_id);
    }
}

fn newest(context: &ServiceContext) -> Option<Time> {
    let changes = context.changes.iter().map(|change| change.timestamp);
    changes.chain(context.measurements.values().map(|reading| reading.timestamp)).max()
}

impl Shard {
    pub(super) fn service_event(&self, event: &ServiceEvent, step: &mut Step<'_, '_>) -> Outcome {
        let mut context = self.contexts.get(&event.service_id).map_or_else(ServiceContext::default, |held| (**held).clone());
        match &event.body {
            EventBody::Change(change) => {
                if change.id.is_some() && context.changes.iter().any(|held| held.id == change.id && held.kind == change.kind) {
                    return Outcome::Ignored;
                }
                let at = context.changes.partition_point(|held| held.timestamp <= change.timestamp);
                context.changes.insert(at, change.clone());
                let latest = context.changes.last().map_or(change.timestamp, |last| last.timestamp);
                context.changes.retain(|held| latest - held.timestamp <= DAY);
                let excess = context.changes.len().saturating_sub(MOST_CHANGES);
                context.changes.drain(..excess);
            }
            EventBody::Measurement { metric, reading } => {
                if context.measurements.get(metric).is_some_and(|held| held.timestamp > reading.timestamp) {
                    return Outcome::Ignored;
                }
                context.measurements.insert(metric.clone(), reading.clone());
                if context.measurements.len() > MOST_METRICS {
                    let oldest = context.measurements.iter().min_by_key(|(_, held)| held.timestamp).map(|(name, _)| name.clone());
                    oldest.map(|name| context.measurements.remove(&name));
                }
            }
        }
        step.changes.push(Change::Context { service_id: event.service_id.clone(), context: Rc::new(context) });
        Outcome::Done(None)
    }

    /// What closures may ask.
    pub(super) fn context(&self, incident: &Incident, now: Time, event: RuleEvent) -> Context {
        Context {
            service: self.contexts.get(&incident.service_id).cloned().unwrap_or_default(),
            attempts: self.attempts.all(&incident.fingerprint, now),
            open_incidents: self.firing_with(incident),
            ..Context::new(now, event)
        }
    }

    /// How many incidents of its service fire, it itself as it is about to be among them.
    fn firing_with(&self, incident: &Incident) -> u64 {
        let held = self.store.find_id(incident.id).and_then(|slot| self.store.get(slot));
        let counted = u64::from(held.is_some_and(|entry| entry.status.fires()));
        self.store.firing_of(&incident.service_id).saturating_sub(counted) + u64::from(incident.status.fires())
    }

    /// `metadata.recent_changes`: the last 5 of the 24 hours before `at`, newest first; `None` without any.
    pub(super) fn recent_changes(&self, service_id: &str, at: Time) -> Option<Value> {
        let context = self.contexts.get(service_id)?;
        let recent = context.changes.iter().rev().filter(|change| change.timestamp <= at && at - change.timestamp <= DAY);
        let shown: Vec<Value> = recent
            .take(SHOWN)
            .map(|change| {
                let mut shown = json!({
                    "type": change.kind, "description": change.description, "timestamp": change.timestamp.to_string(),
                });
                if let (Some(id), Some(fields)) = (&change.id, shown.as_object_mut()) {
                    fields.insert("id".to_owned(), json!(id));
                }
                shown
            })
            .collect();
        (!shown.is_empty()).then_some(Value::Array(shown))
    }
}
