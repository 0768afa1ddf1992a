//! Silences in force or planned: at their home, and copied to every shard (SPEC 3.3, 4.7).

use crate::engine::Refusal;
use crate::engine::entry::Slot;
use crate::engine::shard::Shard;
use crate::engine::step::{Change, Step};
use crate::model::home::home;
use crate::model::silence::Test;
use crate::model::{Fact, Incident, Output, Silence, Time};
use std::collections::BTreeMap;

/// Those a shard knows, by id.
#[derive(Default)]
pub struct Silences {
    held: BTreeMap<String, Held>,
    /// When the next one begins or ends, and which.
    next: Option<(Time, String)>,
}

/// When incidents are to be judged by it next, but for its end: it begins then, or was changed.
pub type LookAt = Option<Time>;

struct Held {
    silence: Silence,
    /// Of each matcher; `None` where its expression does not compile, which was refused where it came in: it keeps nobody quiet.
    tests: Vec<Option<Test>>,
    look_at: LookAt,
}

impl Silences {
    pub fn len(&self) -> usize {
        self.held.len()
    }

    pub fn get(&self, id: &str) -> Option<&Silence> {
        self.held.get(id).map(|held| &held.silence)
    }

    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.held.keys()
    }

    pub fn put(&mut self, silence: Silence) {
        // One that was in force may let go of incidents at once, whenever it begins now.
        let changed = self.held.get(&silence.id).is_some_and(|held| held.look_at.is_none_or(|at| at != held.silence.starts_at));
        let look_at = if changed { silence.updated_at } else { silence.starts_at.max(silence.updated_at) };
        self.restore(silence, Some(look_at));
    }

    /// As the changelog has it.
    pub fn restore(&mut self, silence: Silence, look_at: LookAt) {
        let tests = silence.matchers.iter().map(|matcher| matcher.test().ok()).collect();
        self.held.insert(silence.id.clone(), Held { silence, tests, look_at });
        self.find_next();
    }

    pub fn remove(&mut self, id: &str) {
        self.held.remove(id);
        self.find_next();
    }

    /// With what else a restart must know of it.
    pub fn whole(&self, id: &str) -> Option<(&Silence, LookAt)> {
        self.held.get(id).map(|held| (&held.silence, held.look_at))
    }

    /// Incidents were judged by it, `now`.
    pub fn judged(&mut self, id: &str, now: Time) {
        if let Some(held) = self.held.get_mut(id) {
            held.look_at = Some(held.silence.starts_at).filter(|starts_at| *starts_at > now);
        }
        self.find_next();
    }

    /// The ids of those in force at `now` that match.
    pub fn matching(&self, incident: &Incident, now: Time) -> Vec<String> {
        let in_force = self.held.values().filter(|held| held.silence.starts_at <= now && now < held.silence.ends_at);
        in_force.filter(|held| held.matches(incident)).map(|held| held.silence.id.clone()).collect()
    }

    /// When the next one begins or ends.
    pub fn next(&self) -> Option<(Time, &str)> {
        self.next.as_ref().map(|(at, id)| (*at, id.as_str()))
    }

    fn find_next(&mut self) {
        let next = |held: &Held| held.look_at.map_or(held.silence.ends_at, |at| at.min(held.silence.ends_at));
        self.next = self.held.values().map(|held| (next(held), &held.silence.id)).min().map(|(at, id)| (at, id.clone()));
    }
}

impl Held {
    fn matches(&self, incident: &Incident) -> bool {
        self.silence
            .matchers
            .iter()
            .zip(&self.tests)
            .all(|(matcher, test)| test.as_ref().is_some_and(|test| test.matches(value_of(incident, &matcher.name))))
    }
}

/// The label of that name, or where there is none the field; empty without either.
fn value_of<'i>(incident: &'i Incident, name: &str) -> &'i str {
    incident.labels.get(name).unwrap_or_else(|| match name {
        "service_id" => &incident.service_id,
        "severity" => incident.severity.name(),
        "category" => &incident.category,
        "environment" => incident.environment.name(),
        "title" => &incident.title,
        _ => "",
    })
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
        let facts = (0..self.settings.partitions).map(|to| Output::Fact { to, fact: Fact::Silence(silence.clone()) });
        step.outputs.extend(facts);
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
        while let Some((_, id)) = self.silences.next().filter(|(at, _)| *at <= now) {
            let id = id.to_owned();
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
            self.judge_all(at, now, out);
        }
    }

    /// Every incident that fires against every silence.
    fn judge_all(&mut self, at: Time, now: Time, out: &mut Vec<Output>) {
        for slot in self.by_age(|entry| entry.status.fires()) {
            let mut step = Step::new(out);
            self.judge(at, now, slot, &mut step);
            self.apply(step.changes);
            self.follow(now, out);
        }
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
