//! Which incident hangs on which: duplicate, cascade, related (SPEC 4.4).
//!
//! A link follows from the facts known, never from the order in which they came: it is worked out anew when one comes, or soon after
//! (`stale`).

use crate::engine::entry::{Entry, Full, Slot, half, kin};
use crate::engine::lifecycle::is_overflow;
use crate::engine::parents::{Child, Parent};
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::engine::upstreams::{WINDOW, active_at};
use crate::model::{Correlation, Environment, IncidentId, Status, Time, TimelineEvent, Upstream};
use serde_json::json;

/// Only these may be hung on.
pub fn is_active(status: Status) -> bool {
    matches!(status, Status::Triggered | Status::Acknowledged | Status::Investigating)
}

impl Shard {
    /// What a new incident hangs on. Its body has nothing of it yet.
    pub(super) fn link_new(&self, full: &mut Full, now: Time, step: &mut Step<'_, '_>) {
        let incident = &full.incident;
        let same = self.store.of_identity(&incident.service_id, &incident.fingerprint);
        // Of those further back only what may be a root.
        let elder = |entry: &Entry| entry.status.fires() && (near(entry, incident.first_seen_at) || !entry.traits.duplicate);
        let mut elders: Vec<IncidentId> = same.filter(|(_, entry)| elder(entry)).map(|(_, entry)| entry.id).collect();
        elders.reverse();
        // The newest stays: it is by what is near that a root further back is found.
        if elders.len() > MOST_ELDERS {
            elders.drain(MOST_ELDERS - 1..elders.len() - 1);
        }
        full.book.link.elders = elders;
        if let Some(root) = self.root_of(full, |_| true) {
            full.book.link.root = Some(root);
            hang(full, root, "duplicate", 1.0, "Exact fingerprint match");
            // Its first occurrence is one, too: the root does not go stale.
            step.changes.extend(self.store.find_id(root).map(|slot| Change::Touch { slot, at: now }));
        }
        self.link(full, now);
        self.find_related(full, step);
    }

    /// Its root, worked out anew from what is now known of its elders' past.
    fn find_root(&self, full: &mut Full) {
        let link = &full.book.link;
        if link.elders.is_empty() || link.released || self.is_root_gone(full) || !full.incident.status.fires() {
            return;
        }
        // One that was released since then, for its own root is over, takes only whoever opens from then on.
        let root = self.root_of(full, |elder| !elder.book.link.released || link.root == Some(elder.incident.id));
        if root == link.root {
            return;
        }
        full.book.link.root = root;
        full.book.link.release_at = None;
        match root {
            Some(root) => hang(full, root, "duplicate", 1.0, "Exact fingerprint match"),
            None => self.unhang(full),
        }
    }

    /// Closed, and no more is known of it: not even whether it still matters more than one whose severity has risen.
    pub(super) fn is_root_gone(&self, full: &Full) -> bool {
        full.book.link.root.is_some_and(|root| self.store.find_id(root).is_none())
    }

    /// The oldest of its elders that is no duplicate itself and was active when it opened (a later one: at its own opening),
    /// where one of them, be it a duplicate, was so within the window.
    fn root_of(&self, full: &Full, takes: impl Fn(&Full) -> bool) -> Option<IncidentId> {
        let at = full.incident.first_seen_at;
        let was_active = |elder: &Full| elder.incident.first_seen_at > at || active_at(&elder.book.active, at);
        let elders = full.book.link.elders.iter().copied();
        let known = elders.filter_map(|id| self.store.get(self.store.find_id(id)?));
        let active: Vec<(&Entry, Full)> =
            known.filter_map(|entry| Some((entry, entry.full().ok()?))).filter(|(_, elder)| was_active(elder)).collect();
        if !active.iter().any(|(entry, _)| near(entry, at)) {
            return None;
        }
        let mut roots = active.iter().filter(|(entry, _)| !entry.traits.duplicate);
        roots.find(|(_, elder)| takes(elder)).map(|(entry, _)| entry.id)
    }

    /// It hangs on nothing; whom it is like stays.
    fn unhang(&self, full: &mut Full) {
        let incident = &mut full.incident;
        incident.parent_incident_id = None;
        let newest = incident.related_incident_ids.iter().find_map(|id| self.store.get(self.store.find_id(*id)?));
        let (own, environment) = (kin(incident), incident.environment);
        incident.correlation = newest.map(|entry| alike(similarity(own, environment, entry)));
    }

    /// Works parent and suppression out anew; true if something of it has changed.
    pub(super) fn link(&self, full: &mut Full, now: Time) -> bool {
        self.link_to(full, None, now)
    }

    /// `found`: what [`Shard::parent_of`] has found a moment ago.
    fn link_to(&self, full: &mut Full, found: Option<Option<&Upstream>>, now: Time) -> bool {
        if is_overflow(full.incident.dedup_key.as_deref()) {
            return false;
        }
        let before = (full.incident.parent_incident_id, full.incident.suppressed, full.book.link.clone());
        self.find_root(full);
        let grace = self.settings.orphan_grace;
        let mut release_at = None;
        let fires = full.incident.status.fires();
        let suppressed = match full.book.link.root {
            Some(root) => {
                let root = self.store.find_id(root).and_then(|slot| self.store.get(slot));
                let may = root.is_none_or(|root| Parent::of_entry(root).may_suppress(&Child::of(full)));
                match root {
                    Some(root) if root.status.fires() => may,
                    // Gone or resolved: released after the grace, by its timer, which sees to it that one of them speaks.
                    _ => {
                        // Of one that is gone nobody knows since when: long enough, where no grace was begun.
                        let over = root.map_or(now, |root| root.over_since(&self.settings).min(now) + grace);
                        let at = full.book.link.release_at.unwrap_or(over);
                        // Also one that it does not suppress: from then on another may.
                        release_at = Some(at);
                        may && full.incident.suppressed
                    }
                }
            }
            // Its parent closed long ago, and is forgotten: the link is history.
            None if is_cascade(full) && full.incident.parent_incident_id.is_some_and(|id| self.upstreams.get(id).is_none()) => {
                false
            }
            None => match found.unwrap_or_else(|| self.parent_of(&Child::of(full))) {
                Some(found) => {
                    let newly = full.incident.parent_incident_id != Some(found.id);
                    if newly {
                        hang(full, found.id, "cascade", 0.9, "Detected cascading failure from upstream service");
                    }
                    let fires = found.status.fires();
                    // A fact says since when it fires no more, but where nothing closes by itself a closing is all that is known.
                    let runs_until = full.book.link.release_at.filter(|_| !newly && !fires && self.settings.close_after == 0);
                    let until = runs_until.unwrap_or(found.at + grace);
                    // A resolution silences nobody who speaks for himself by then.
                    let in_grace = now < until && (newly || full.incident.suppressed);
                    let suppresses = Parent::of_fact(found).may_suppress(&Child::of(full)) && (fires || in_grace);
                    release_at = (suppresses && !fires).then_some(until);
                    suppresses
                }
                None => {
                    // Links stay as history, where it is not that the facts now say otherwise.
                    if is_cascade(full) {
                        self.unhang(full);
                    }
                    false
                }
            },
        };
        // Of one that fires no more the link is history.
        if fires {
            full.incident.suppressed = suppressed;
        }
        full.book.link.release_at = release_at.filter(|_| fires);
        before != (full.incident.parent_incident_id, full.incident.suppressed, full.book.link.clone())
    }

    /// Incidents of the same service with like symptoms, the newest first.
    fn find_related(&self, full: &mut Full, step: &mut Step<'_, '_>) {
        let own = kin(&full.incident);
        let identity = half(&full.incident.fingerprint.0);
        let (service_id, at, environment) = (&full.incident.service_id, full.incident.first_seen_at, full.incident.environment);
        let most = self.settings.max_related;
        let mut found = Vec::new();
        for (slot, entry) in self.store.around(service_id, at + -WINDOW, at + WINDOW) {
            // Of a pair with the same identity one is the other's duplicate.
            if !is_active(entry.status) || entry.fingerprint == identity {
                continue;
            }
            let score = similarity(own, environment, entry);
            if score <= SIMILAR {
                continue;
            }
            found.push((slot, entry.id, score));
            if found.len() >= most {
                break;
            }
        }
        let incident = &mut full.incident;
        let Some(&(_, _, score)) = found.first() else { return };
        incident.related_incident_ids = found.iter().map(|(_, id, _)| *id).collect();
        if incident.correlation.is_none() {
            incident.correlation = Some(alike(score));
        }
        let id = incident.id;
        step.changes.extend(found.into_iter().map(|(slot, ..)| Change::Related { slot, id }));
    }

    /// What others have become may concern this one: its link is worked out anew, and what follows is done.
    pub(super) fn relink(&self, now: Time, slot: Slot, step: &mut Step<'_, '_>) {
        let Some(mut full) = self.store.get(slot).and_then(|entry| entry.full().ok()) else { return };
        if self.link_anew(&mut full, None, now, step) {
            self.save(Some(slot), full, now, step);
        }
    }

    /// As [`Shard::link`]; where what others see of it has changed, it is published, and told where it was quiet. `found`: what
    /// [`Shard::parent_of`] has found a moment ago.
    pub(super) fn link_anew(
        &self,
        full: &mut Full,
        found: Option<Option<&Upstream>>,
        now: Time,
        step: &mut Step<'_, '_>,
    ) -> bool {
        let was = full.is_hushed();
        let shown = (full.incident.parent_incident_id, full.incident.suppressed);
        let changes = self.link_to(full, found, now);
        if changes && shown != (full.incident.parent_incident_id, full.incident.suppressed) {
            self.after_mute(full, was, now, now, step);
        }
        changes
    }

    /// The grace after its parent's resolution is over.
    pub(super) fn release(&self, full: &mut Full, at: Time, now: Time, step: &mut Step<'_, '_>) {
        if !full.incident.status.fires() {
            full.book.link.release_at = None;
            return;
        }
        let was = full.is_hushed();
        let shown = (full.incident.parent_incident_id, full.incident.suppressed);
        self.leave_root(full);
        self.link(full, now);
        if shown != (full.incident.parent_incident_id, full.incident.suppressed) {
            self.after_mute(full, was, at, now, step);
        }
    }

    /// As [`Shard::link`], of one that fires again, or matters more: a grace that ran out meanwhile is over now, not at the next
    /// look at the timers.
    pub(super) fn link_again(&self, full: &mut Full, now: Time) {
        self.link(full, now);
        if full.book.link.release_at.is_some_and(|at| at <= now) {
            self.leave_root(full);
            self.link(full, now);
        }
    }

    /// Its root is over, and the grace too.
    fn leave_root(&self, full: &mut Full) {
        if full.book.link.root.is_none() {
            return;
        }
        // Of the duplicates that are left only the newest speaks; the others hang on it.
        let mut same = self.store.of_identity(&full.incident.service_id, &full.incident.fingerprint);
        // One that was released a moment ago is none any more.
        let was = |entry: &Entry| entry.traits.duplicate || entry.full().is_ok_and(|other| other.book.link.released);
        let own = full.incident.id;
        let newest = same.find(|(_, entry)| entry.id == own || (entry.status.fires() && was(entry))).map(|(_, entry)| entry.id);
        match newest {
            Some(newest) if newest != own => {
                full.book.link.root = Some(newest);
                hang(full, newest, "duplicate", 1.0, "Exact fingerprint match");
            }
            // On its own now: as any other it may be what a failure of another service has brought about.
            _ => full.book.link.root = None,
        }
        full.book.link.released = true;
        full.book.link.release_at = None;
    }
}

/// Correlation looks so far, back and ahead.
fn near(entry: &Entry, at: Time) -> bool {
    (entry.first_seen_at - at).abs() <= WINDOW
}

/// Of one identity, so many may be a new one's root: windows that are shorter than seconds leave more behind.
const MOST_ELDERS: usize = 16;

fn alike(score: f64) -> Correlation {
    Correlation { kind: "related".to_owned(), confidence: score, reason: format!("High similarity score: {score:.2}") }
}

/// The seed's threshold.
const SIMILAR: f64 = 0.75;

/// The seed's weights; the service is the same.
fn similarity(own: [u32; 3], environment: Environment, other: &Entry) -> f64 {
    let [category, model, metric] = other.traits.kin;
    let points = 3
        + 2 * u32::from(own[0] == category)
        + 2 * u32::from(own[1] == model)
        + u32::from(own[2] == metric)
        + u32::from(environment == other.traits.environment);
    f64::from(points) / 9.0
}

pub fn is_cascade(full: &Full) -> bool {
    full.incident.correlation.as_ref().is_some_and(|found| found.kind == "cascade")
}

fn hang(full: &mut Full, parent: IncidentId, kind: &str, confidence: f64, reason: &str) {
    let incident = &mut full.incident;
    incident.parent_incident_id = Some(parent);
    incident.correlation = Some(Correlation { kind: kind.to_owned(), confidence, reason: reason.to_owned() });
    let details = json!({ "type": kind, "parent_incident_id": parent.to_string(), "confidence": confidence, "reason": reason });
    incident.note(incident.last_seen_at, TimelineEvent::Correlated, None, details);
}
