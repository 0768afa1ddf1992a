//! The committed picture of all incidents and silences, for people and programs (SPEC 6): fed by following `incidents` and
//! `silences`, and by the engine's replies to what was written here. It serves no engine.
//!
//! - `ordered`, `index`: which incidents a filter takes, newest first
//! - `pack`: their JSON, small
//! - `tail`: the thread that follows the topics
//! - `history`: the decisions about an incident, read from their topic when asked for

mod history;
mod index;
mod ordered;
mod pack;
mod tail;

pub use history::{Begin, Decisions, History, HistoryError};
pub use index::Filter;
pub use pack::Packed;
pub use tail::{Following, Tail};

use crate::codec;
use crate::model::{IncidentId, Silence};
use hashbrown::HashMap;
use index::{Index, Place};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use tokio::sync::broadcast;

/// Changes that a listener may be behind before it misses some, and is told so.
const CHANGES: usize = 1_024;

/// What the board tells its listeners: look again.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Change {
    Incident(IncidentId),
    Silence(Arc<str>),
}

/// Of what is shown at a time, and how many there are in all.
pub struct Page {
    pub total: usize,
    pub incidents: Vec<Packed>,
}

pub struct Board {
    state: RwLock<State>,
    changes: broadcast::Sender<Change>,
}

#[derive(Default)]
struct State {
    incidents: HashMap<IncidentId, Kept>,
    index: Index,
    silences: BTreeMap<String, Silence>,
}

struct Kept {
    place: Place,
    version: u64,
    json: Packed,
}

/// A record read, before it is the board's turn to be locked.
enum News {
    /// The place has no service's name yet: it is shared under the lock.
    Incident {
        id: IncidentId,
        service_id: String,
        kept: Kept,
    },
    IncidentGone(IncidentId),
    Silence(Silence),
    SilenceGone(String),
}

impl Default for Board {
    fn default() -> Board {
        Board { state: RwLock::default(), changes: broadcast::channel(CHANGES).0 }
    }
}

impl Board {
    /// The incident's JSON as the topic has it.
    pub fn incident(&self, id: IncidentId) -> Option<Packed> {
        self.read().incidents.get(&id).map(|kept| kept.json.clone())
    }

    /// Newest first, by `triggered_at`, then by id.
    pub fn list(&self, filter: &Filter, offset: usize, limit: usize) -> Page {
        let state = self.read();
        let (total, ids) = state.index.find(filter, offset, limit);
        let kept = ids.iter().filter_map(|id| state.incidents.get(id));
        Page { total, incidents: kept.map(|kept| kept.json.clone()).collect() }
    }

    /// In force, planned, or just over; by id.
    pub fn silences(&self) -> Vec<Silence> {
        self.read().silences.values().cloned().collect()
    }

    pub fn silence(&self, id: &str) -> Option<Silence> {
        self.read().silences.get(id).cloned()
    }

    /// How many incidents and silences there are.
    pub fn len(&self) -> (usize, usize) {
        let state = self.read();
        (state.incidents.len(), state.silences.len())
    }

    /// What changes from now on. A listener that is slow is told how many changes it missed.
    pub fn listen(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }

    /// Takes an incident's JSON, unless it knows a newer version.
    pub fn put_incident(&self, json: &[u8]) -> Result<(), String> {
        let news = News::incident(json)?;
        self.take([news]);
        Ok(())
    }

    /// Takes a silence's JSON, unless it knows a newer one.
    pub fn put_silence(&self, json: &[u8]) -> Result<(), String> {
        let news = codec::read_silence(json).map(News::Silence)?;
        self.take([news]);
        Ok(())
    }

    pub fn remove_silence(&self, id: &str) {
        self.take([News::SilenceGone(id.to_owned())]);
    }

    fn take(&self, news: impl IntoIterator<Item = News>) {
        let mut changed = Vec::new();
        let mut state = self.write();
        for news in news {
            changed.extend(state.take(news));
        }
        drop(state);
        if self.changes.receiver_count() > 0 {
            for change in changed {
                // Fails where the last listener has just gone.
                let _ = self.changes.send(change);
            }
        }
    }

    // Nothing panics under the lock but for a want of memory; what it guards is whole after each step.
    fn read(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl News {
    fn incident(json: &[u8]) -> Result<News, String> {
        let read = codec::read_indexed(json)?;
        let place = Place {
            triggered_at: read.triggered_at,
            service_id: Arc::default(),
            status: read.status,
            severity: read.severity,
            environment: read.environment,
        };
        let kept = Kept { place, version: read.version, json: Packed::new(json) };
        Ok(News::Incident { id: read.id, service_id: read.service_id.into_owned(), kept })
    }
}

impl State {
    /// What changed.
    fn take(&mut self, news: News) -> Option<Change> {
        match news {
            News::Incident { id, service_id, kept: Kept { place, version, json } } => {
                let place = Place { service_id: self.index.name(&service_id), ..place };
                if let Some(held) = self.incidents.get(&id) {
                    if held.version >= version {
                        return None;
                    }
                    if held.place != place {
                        self.index.remove(id, &held.place);
                        self.index.put(id, &place);
                    }
                } else {
                    self.index.put(id, &place);
                }
                self.incidents.insert(id, Kept { place, version, json });
                Some(Change::Incident(id))
            }
            News::IncidentGone(id) => {
                let held = self.incidents.remove(&id)?;
                self.index.remove(id, &held.place);
                Some(Change::Incident(id))
            }
            News::Silence(silence) => {
                if self.silences.get(&silence.id).is_some_and(|held| held.updated_at > silence.updated_at) {
                    return None;
                }
                let id = Arc::from(silence.id.as_str());
                self.silences.insert(silence.id.clone(), silence);
                Some(Change::Silence(id))
            }
            News::SilenceGone(id) => {
                self.silences.remove(&id)?;
                Some(Change::Silence(id.into()))
            }
        }
    }
}

#[cfg(test)]
mod tests;
