//! Incidents of other shards on which ours may hang, as their facts tell (SPEC 4.4). Kept until the incident closes, and a
//! while longer, so that who hangs on it is released in order.
//!
//! They are in the changelog many in a record ([`Ring`]): an incident is told to nearly all shards.

use crate::engine::changelog::{StateRecord, damaged, encode};
use crate::engine::ring::{Filling, Ring};
use crate::model::time::{MINUTE, Millis};
use crate::model::{IncidentId, Status, Time, Upstream};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Incidents first seen within this of each other may hang together.
pub const WINDOW: Millis = 30 * MINUTE;

/// About what one takes in the changelog.
const BYTES: usize = 96;
/// For so many there is room from the beginning.
const AT_ONCE: usize = 64;

pub struct Upstreams {
    /// For so long one that is closed is known, counted from when it fired no more.
    keep: Millis,
    by_id: HashMap<IncidentId, Held, FxBuildHasher>,
    /// Of the closed ones: when they are forgotten (wall time).
    ends: BTreeSet<(Time, IncidentId)>,
    ring: Ring<IncidentId>,
    /// What the changelog has yet to hear; of an incident perhaps twice. Written at once, for later it would have to be looked for.
    filling: Option<Filling<IncidentId>>,
}

struct Held {
    fact: Arc<Upstream>,
    /// Of the ring's record that holds it.
    written_in: u64,
}

/// As the changelog has it.
#[derive(Serialize, Deserialize)]
enum Written<'a> {
    Known(std::borrow::Cow<'a, Upstream>),
    Forgotten(IncidentId),
}

impl Upstreams {
    pub fn new(keep: Millis) -> Upstreams {
        Upstreams { keep, by_id: HashMap::default(), ends: BTreeSet::new(), ring: Ring::new(b'u'), filling: None }
    }

    /// In no order.
    pub fn all(&self) -> impl Iterator<Item = &Arc<Upstream>> {
        self.by_id.values().map(|held| &held.fact)
    }

    pub fn get(&self, id: IncidentId) -> Option<&Arc<Upstream>> {
        self.by_id.get(&id).map(|held| &held.fact)
    }

    /// Those of the services that `takes` takes, in an order that does not hang on how they came.
    pub fn of_services(&self, takes: impl Fn(&str) -> bool) -> Vec<IncidentId> {
        let mut ids: Vec<IncidentId> = self.all().filter(|fact| takes(&fact.service_id)).map(|fact| fact.id).collect();
        ids.sort_unstable();
        ids
    }

    /// Does `fact` say something newer?
    pub fn is_news(&self, fact: &Upstream) -> bool {
        self.get(fact.id).is_none_or(|held| held.revision < fact.revision)
    }

    /// Returns what was known of the same incident until now.
    pub fn put(&mut self, fact: Arc<Upstream>) -> Option<Arc<Upstream>> {
        let filling = self.filling();
        let sequence = filling.sequence;
        add(&fact, filling);
        self.insert(fact, sequence)
    }

    fn insert(&mut self, fact: Arc<Upstream>, written_in: u64) -> Option<Arc<Upstream>> {
        let (id, end) = (fact.id, self.end(&fact));
        let before = self.by_id.insert(id, Held { fact, written_in }).map(|before| before.fact);
        if let Some(end) = before.as_ref().and_then(|before| self.end(before)) {
            self.ends.remove(&end);
        }
        self.ends.extend(end);
        before
    }

    pub fn remove(&mut self, id: IncidentId) -> Option<Arc<Upstream>> {
        let fact = self.forget(id)?;
        self.filling().add(id, |value| encode(&Written::Forgotten(id), value));
        Some(fact)
    }

    fn forget(&mut self, id: IncidentId) -> Option<Arc<Upstream>> {
        let fact = self.by_id.remove(&id)?.fact;
        if let Some(end) = self.end(&fact) {
            self.ends.remove(&end);
        }
        Some(fact)
    }

    fn filling(&mut self) -> &mut Filling<IncidentId> {
        self.filling.get_or_insert_with(|| self.ring.begin(AT_ONCE, BYTES))
    }

    /// When it is forgotten; `None`: it is not closed.
    fn end(&self, fact: &Upstream) -> Option<(Time, IncidentId)> {
        (fact.status == Status::Closed).then(|| (fact.at + self.keep, fact.id))
    }

    /// The closed one that is to be forgotten first.
    pub fn next_end(&self) -> Option<(Time, IncidentId)> {
        self.ends.first().copied()
    }

    /// Forgets what the changelog would have to hear.
    pub fn leave_unwritten(&mut self) {
        self.filling = None;
    }

    /// What has changed since the last commit.
    pub fn changelog(&mut self, sink: &mut dyn FnMut(StateRecord)) {
        let Some(filling) = self.filling.take() else { return };
        let (live, by_id) = (self.by_id.len(), &mut self.by_id);
        // That something was forgotten is never said again: what came before is displaced before it.
        let again = |ids: &[IncidentId], sequence: u64, filling: &mut Filling<IncidentId>| {
            for id in ids {
                if let Some(held) = by_id.get_mut(id).filter(|held| held.written_in == sequence) {
                    held.written_in = filling.sequence;
                    add(&held.fact, filling);
                }
            }
        };
        self.ring.write(filling, live, again, sink);
    }

    /// Puts a record back that [`Upstreams::changelog`] has written.
    pub fn restore(&mut self, key: &[u8], mut value: &[u8]) -> Result<(), String> {
        let (key, sequence) = self.ring.restore(key)?;
        let mut ids = Vec::new();
        while !value.is_empty() {
            let (written, rest) = postcard::take_from_bytes::<Written<'_>>(value).map_err(damaged)?;
            value = rest;
            ids.push(match written {
                Written::Known(fact) => {
                    let id = fact.id;
                    self.insert(Arc::new(fact.into_owned()), sequence);
                    id
                }
                Written::Forgotten(id) => {
                    self.forget(id);
                    id
                }
            });
        }
        self.ring.push(key, ids.into());
        Ok(())
    }
}

fn add(fact: &Upstream, filling: &mut Filling<IncidentId>) {
    filling.add(fact.id, |value| encode(&Written::Known(std::borrow::Cow::Borrowed(fact)), value));
}

/// Was an incident with that past (`Book::active`) triggered, acknowledged or investigating at `at` (event time)?
pub fn active_at(past: &[(Time, bool)], at: Time) -> bool {
    past.iter().take_while(|(since, _)| *since <= at).last().is_none_or(|(_, active)| *active)
}
