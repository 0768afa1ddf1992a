//! Silences in force or planned: at their home, and copied to every shard (SPEC 3.3, 4.7).

use crate::engine::Refusal;
use crate::engine::entry::Slot;
use crate::engine::head::Subject;
use crate::engine::shard::Shard;
use crate::engine::silence_index::{Ready, SilenceIndex};
use crate::engine::step::{Change, Step};
use crate::model::home::home;
use crate::model::{Fact, Incident, Output, Silence, Time};
use hashbrown::HashMap;
use rustc_hash::FxBuildHasher;
use smallvec::SmallVec;
use std::collections::BTreeMap;
use std::rc::Rc;

/// Those a shard knows, by id.
#[derive(Default)]
pub struct Silences {
    held: BTreeMap<String, Held>,
    index: SilenceIndex,
    /// When the next one begins or ends, and which.
    next: Option<(Time, String)>,
}

/// When incidents are to be judged by it next, but for its end: it begins then, or was changed.
pub type LookAt = Option<Time>;

struct Held {
    ready: Rc<Ready>,
    look_at: LookAt,
}

impl Held {
    fn next(&self) -> Time {
        self.look_at.map_or(self.ready.silence.ends_at, |at| at.min(self.ready.silence.ends_at))
    }
}

impl Silences {
    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.held.get(id).map(|held| &held.ready.silence)
    }

    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.held.keys()
    }

    pub fn put(&mut self, silence: Silence) {
        // One that was in force, or was to be looked at before this came, may let go of incidents at once, whenever it begins now.
        let waits = |held: &Held, at: Time| at == held.ready.silence.starts_at && at > silence.updated_at;
        let changed = self.held.get(&silence.id).is_some_and(|held| held.look_at.is_none_or(|at| !waits(held, at)));
        let look_at = if changed { silence.updated_at } else { silence.starts_at.max(silence.updated_at) };
        self.restore(silence, Some(look_at));
    }

    /// As the changelog has it.
    pub fn restore(&mut self, silence: Silence, look_at: LookAt) {
        let id = silence.id.clone();
        let ready = Rc::new(Ready::new(silence));
        self.index.insert(&ready);
        if let Some(before) = self.held.insert(id, Held { ready, look_at }) {
            self.index.remove(&before.ready);
        }
        self.find_next();
    }

    pub fn remove(&mut self, id: &str) {
        if let Some(held) = self.held.remove(id) {
            self.index.remove(&held.ready);
        }
        self.find_next();
    }

    /// With what else a restart must know of it.
    pub fn whole(&self, id: &str) -> Option<(&Silence, LookAt)> {
        self.held.get(id).map(|held| (&held.ready.silence, held.look_at))
    }

    /// Incidents were judged by it, `now`.
    pub fn judged(&mut self, id: &str, now: Time) {
        if let Some(held) = self.held.get_mut(id) {
            held.look_at = Some(held.ready.silence.starts_at).filter(|starts_at| *starts_at > now);
        }
        self.find_next();
    }

    /// The ids of those in force at `now` that match, ascending.
    pub fn matching(&self, incident: &Incident, now: Time) -> Vec<String> {
        self.index.in_force(&Subject::of(incident), now)
    }

    /// Those that begin or end by `now`, or have changed.
    fn due(&self, now: Time) -> SilenceIndex {
        let mut due = SilenceIndex::default();
        self.held.values().filter(|held| held.next() <= now).for_each(|held| due.insert(&held.ready));
        due
    }

    /// When the next one begins or ends.
    pub fn next(&self) -> Option<(Time, &str)> {
        self.next.as_ref().map(|(at, id)| (*at, id.as_str()))
    }

    fn find_next(&mut self) {
        self.next = self.held.values().map(|held| (held.next(), &held.ready.silence.id)).min().map(|(at, id)| (at, id.clone()));
    }
}

impl Shard {
    /// The command `silence`, at the silence's home: new, or a change of one that is there.
    pub(super) fn silence(&self, now: Time, silence: &Silence, step: &mut Step<'_, '_>) -> Result<(), Refusal> {
        if silence.ends_at <= now {
            let reason = format!("`ends_at`: {} is over already", silence.ends_at);
            return Err(Refusal { status: 422, reason });
        }
        if self.silences.get(&silence.id).is_none() && self.silences.len() >= self.settings.max_silences {
            let most = self.settings.max_silences;
            let reason = format!("{most} silences are held already (limits.silences): expire some");
            return Err(Refusal { status: 409, reason });
        }
        if self.silences.get(&silence.id) != Some(silence) {
            step.outputs.push(Output::Silence(silence.clone()));
            self.tell_all(silence, step);
        }
        Ok(())
    }

    /// The command `expire_silence`: it ends now. `at`: the command's Kafka time.
    pub(super) fn expire_silence(&self, now: Time, id: &str, at: Time, step: &mut Step<'_, '_>) -> Result<(), Refusal> {
        let Some(held) = self.silences.get(id) else {
            return Err(Refusal { status: 404, reason: format!("`silence_id`: there is no silence `{id}`, or it is over") });
        };
        let silence = Silence { ends_at: now, updated_at: at, ..held.clone() };
        self.tell_all(&silence, step);
        Ok(())
    }

    /// To every shard, this one among them: all of them hear it the same way.
    fn tell_all(&self, silence: &Silence, step: &mut Step<'_, '_>) {
        let to = (0..self.settings.partitions).collect();
        step.outputs.push(Output::Fact { to, fact: Fact::Silence(Box::new(silence.clone())) });
    }

    /// A silence as its home tells it. What it changes is done when it begins or ends, which may be now.
    pub(super) fn silence_known(&self, silence: &Silence, step: &mut Step<'_, '_>) {
        // Of two that meet on the way the later command counts.
        if self.silences.get(&silence.id).is_none_or(|held| held.updated_at <= silence.updated_at) {
            step.changes.push(Change::Silence(silence.clone()));
        }
    }

    /// Begins and ends what is due; each step is applied before the next is decided.
    pub(super) fn silences_due(&mut self, now: Time, out: &mut Vec<Output>) {
        if self.silences.next().is_none_or(|(at, _)| at > now) {
            return;
        }
        let concerned = self.whom_silences_concern(now);
        while let Some((_, id)) = self.silences.next().filter(|(at, _)| *at <= now) {
            let id = id.to_owned();
            let slots = concerned.get(&id).into_iter().flatten();
            let Some(silence) = self.silences.get(&id) else { break };
            let over = silence.ends_at <= now;
            let at = if over { silence.ends_at } else { silence.starts_at.max(silence.updated_at).min(now) };
            if over {
                if home(id.as_bytes(), self.settings.partitions) == u32::from(self.partition) {
                    out.push(Output::SilenceGone(id.clone()));
                }
                self.apply([Change::SilenceOver { id }]);
            } else {
                self.apply([Change::SilenceJudged { id, now }]);
            }
            for slot in slots {
                self.take_step(now, out, |shard, step| shard.judge(at, now, *slot, step));
            }
        }
    }

    /// For each silence that is due, the incidents that fire and that it matches, or has silenced as it was before, the oldest
    /// first. All in one pass: a hundred that begin together are asked of a hundred thousand incidents once.
    fn whom_silences_concern(&self, now: Time) -> HashMap<String, Vec<Slot>, FxBuildHasher> {
        let due = self.silences.due(now);
        let mut concerned: HashMap<String, Vec<Slot>, FxBuildHasher> = HashMap::default();
        for (slot, entry) in self.store.slots().filter(|(_, entry)| entry.status.fires()) {
            let matched = |subject: &Subject<'_>| due.matching(subject).map(|ready| ready.silence.id.clone()).collect();
            let mut ids: SmallVec<[String; 4]> = entry.ask(matched).unwrap_or_default();
            if entry.traits.muted {
                ids.extend(entry.full().into_iter().flat_map(|full| full.incident.silenced_by));
                ids.sort_unstable();
                ids.dedup();
            }
            for id in ids {
                concerned.entry(id).or_default().push(slot);
            }
        }
        concerned.into_iter().map(|(id, slots)| (id, self.oldest_first(slots))).collect()
    }

    fn judge(&self, at: Time, now: Time, slot: Slot, step: &mut Step<'_, '_>) {
        let Some(mut full) = self.store.get(slot).and_then(|entry| entry.full().ok()) else { return };
        let silenced_by = self.silences.matching(&full.incident, now);
        if silenced_by == full.incident.silenced_by {
            return;
        }
        let was = full.is_hushed();
        full.incident.silenced_by = silenced_by;
        self.after_mute(&mut full, was, at, now, step);
        self.save(Some(slot), full, now, step);
    }
}
