//! What the homes of the services that depend on an incident's own are told of it (SPEC 4.4).

use crate::engine::book::Announced;
use crate::engine::entry::{Full, Slot};
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::model::home::home;
use crate::model::{Fact, Output, Time, Upstream};
use crate::rules::Dependencies;
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use std::sync::Arc;

/// By service of this shard on which others depend. Worked out once for each: in a storm they are asked for by the thousand.
pub type Audiences = HashMap<Arc<str>, Audience, FxBuildHasher>;

/// Where those live that depend on a service.
pub struct Audience {
    /// Some of them here.
    own: bool,
    /// Other partitions, ascending.
    others: Vec<u32>,
}

pub fn audiences(dependencies: &Dependencies, partition: u16, partitions: u32) -> Audiences {
    let home = |service: &str| home(service.as_bytes(), partitions);
    let here = u32::from(partition);
    let own = dependencies.depended_on().filter(|(service, _)| home(service) == here);
    own.map(|(service, dependents)| {
        let mut others: Vec<u32> = dependents.iter().map(|dependent| home(dependent)).collect();
        others.sort_unstable();
        others.dedup();
        let all = others.len();
        others.retain(|to| *to != here);
        (Arc::clone(service), Audience { own: others.len() < all, others })
    })
    .collect()
}

impl Shard {
    /// Into the store at the end of the step; the shards of dependent services hear what they must know.
    pub(super) fn save(&self, slot: Option<Slot>, mut full: Full, now: Time, step: &mut Step<'_, '_>) {
        self.announce(&mut full, now, step);
        step.changes.push(Change::Put { slot, full: Box::new(full) });
    }

    /// What has changed of it since they were told last.
    pub(super) fn announce(&self, full: &mut Full, now: Time, step: &mut Step<'_, '_>) {
        let announced = announcement(full);
        if full.book.announced.as_ref() != Some(&announced) {
            self.tell_dependents(full, announced, now, step);
        }
    }

    /// Other services may depend on its own now, which know nothing of it. `anew`: also where others were told already.
    pub(super) fn announce_again(&self, now: Time, slot: Slot, anew: bool, step: &mut Step<'_, '_>) {
        let Some(mut full) = self.store.get(slot).and_then(|entry| entry.full().ok()) else { return };
        let (announced, before) = (announcement(&full), full.book.announced.clone());
        if anew || before.as_ref() != Some(&announced) {
            self.tell_dependents(&mut full, announced, now, step);
        }
        if full.book.announced != before {
            step.changes.push(Change::Put { slot: Some(slot), full: Box::new(full) });
        }
    }

    fn tell_dependents(&self, full: &mut Full, announced: Announced, now: Time, step: &mut Step<'_, '_>) {
        let Some(audience) = self.audiences.get(&*full.incident.service_id) else { return };
        // A duplicate is nobody's parent, its root is: else a late one, older than its root, could close a circle with it.
        if announced.duplicate && full.book.announced.is_none() {
            return;
        }
        let announced = Announced { revision: announced.revision + 1, ..announced };
        let fact = Arc::new(Upstream {
            id: full.incident.id,
            service_id: full.incident.service_id.clone(),
            revision: announced.revision,
            at: full.over_since(&self.settings).min(now),
            first_seen_at: full.incident.first_seen_at,
            severity: announced.severity,
            environment: announced.environment,
            status: announced.status,
            active: full.book.active.iter().copied().collect(),
            muted: announced.muted,
            untold: announced.untold,
            duplicate: announced.duplicate,
        });
        // What concerns the own shard is known at once, in the transaction that says it.
        if audience.own {
            step.changes.push(Change::Upstream { fact: Arc::clone(&fact), now });
        }
        if !audience.others.is_empty() {
            step.outputs.push(Output::Fact { to: audience.others.clone(), fact: Fact::Upstream(fact) });
        }
        full.book.announced = Some(announced);
    }
}

/// As it is now, by the revision of what was told last.
fn announcement(full: &Full) -> Announced {
    Announced {
        revision: full.book.announced.as_ref().map_or(0, |before| before.revision),
        severity: full.incident.severity,
        environment: full.incident.environment,
        status: full.incident.status,
        muted: full.muted(),
        untold: full.untold(),
        duplicate: full.book.link.root.is_some(),
    }
}
