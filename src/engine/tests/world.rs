//! Several shards in one hand: facts travel as the inbox carries them, and every shard is dropped and restored whenever
//! something was committed.

use super::*;
use crate::model::{Action, ActionKind, Decision, Fact};
use std::collections::VecDeque;

pub(super) const START: Time = Time(1_768_471_200_000);
pub(super) const PARTITIONS: u32 = 4;

pub(super) struct World {
    pub(super) settings: Arc<Settings>,
    pub(super) rules: Rc<RuleSet>,
    pub(super) shards: Vec<Shard>,
    pub(super) logs: Vec<Vec<StateRecord>>,
    pub(super) inbox: VecDeque<(u32, Fact)>,
    pub(super) now: Time,
    pub(super) offset: i64,
    pub(super) restarts: bool,
    pub(super) actions: Vec<Action>,
    pub(super) decisions: Vec<Decision>,
    pub(super) unrouted: usize,
    pub(super) published: usize,
}

pub(super) fn world(rules: &str) -> World {
    world_with(&[("rules/a.rhai", rules)])
}

fn rule_set(files: &[(&str, &str)]) -> Rc<RuleSet> {
    let files = files.iter().map(|(path, text)| ((*path).to_owned(), (*text).to_owned())).collect();
    let limits = Limits { refuse_failing: false, ..Limits::default() };
    let (rules, _) = RuleSet::load(&RuleSource { files }, &limits).unwrap_or_else(|found| panic!("{found:#?}"));
    Rc::new(rules)
}

pub(super) fn world_with(files: &[(&str, &str)]) -> World {
    let channel = serde_json::from_value(serde_json::json!({"type": "slack", "config": {"channel": "#ops"}})).unwrap();
    let settings = Arc::new(Settings {
        partitions: PARTITIONS,
        hold: 0,
        max_digest: 3,
        default_channels: vec![channel],
        ..Settings::default()
    });
    let rules = rule_set(files);
    let shard = |partition| Shard::new(partition, Arc::clone(&settings), Rc::clone(&rules));
    World {
        shards: (0..PARTITIONS).map(shard).collect(),
        logs: vec![Vec::new(); PARTITIONS as usize],
        inbox: VecDeque::new(),
        now: START,
        offset: 0,
        restarts: true,
        actions: Vec::new(),
        decisions: Vec::new(),
        unrouted: 0,
        published: 0,
        settings,
        rules,
    }
}

/// An open incident as its shard has it.
pub(super) fn whole(world: &World, id: IncidentId) -> crate::engine::entry::Full {
    let store = &world.shards[usize::from(id.partition)].store;
    store.find_id(id).and_then(|slot| store.get(slot)).expect("it is open").full().expect("it reads")
}

impl World {
    pub(super) fn reload(&mut self, files: &[(&str, &str)]) {
        self.rules = rule_set(files);
        for shard in &mut self.shards {
            shard.set_rules(Rc::clone(&self.rules));
        }
    }

    pub(super) fn take(&mut self, partition: u32, out: Vec<Output>) {
        for output in out {
            match output {
                Output::Action(action) => self.actions.push(action),
                Output::Decision(decision) => self.decisions.push(decision),
                Output::Fact { to, fact } => self.inbox.extend(to.into_iter().map(|to| (to, fact.clone()))),
                Output::Unrouted(_) => self.unrouted += 1,
                Output::Incident(_) => self.published += 1,
                _ => {}
            }
        }
        let at = partition as usize;
        self.shards[at].changelog(&mut |record| self.logs[at].push(record));
        if self.restarts {
            self.restart(partition);
        }
    }

    pub(super) fn deliver(&mut self) {
        while let Some((to, fact)) = self.inbox.pop_front() {
            self.give(to, Input::Fact(&fact));
        }
    }

    pub(super) fn give(&mut self, partition: u32, input: Input<'_>) {
        let mut out = Vec::new();
        self.shards[partition as usize].process(self.now, input, &mut out);
        self.take(partition, out);
    }

    pub(super) fn alert(&mut self, service: &str, name: &str, severity: Severity, status: AlertStatus) -> IncidentId {
        self.alert_of(service, name, severity, status, self.now)
    }

    /// One that is stamped otherwise than it comes.
    pub(super) fn alert_of(
        &mut self,
        service: &str,
        name: &str,
        severity: Severity,
        status: AlertStatus,
        timestamp: Time,
    ) -> IncidentId {
        let body = || AlertBody { title: name.to_owned(), ..AlertBody::default() };
        let partition = crate::model::home::home(service.as_bytes(), PARTITIONS);
        let origin = Origin { topic: Topic::Alerts, partition, offset: self.offset, index: 0 };
        self.offset += 1;
        let alert = Alert {
            origin,
            service_id: service.to_owned().into(),
            fingerprint: Fingerprint::of_dedup_key(name),
            severity,
            status,
            timestamp,
            source: None,
            starts_at: None,
            current_value: CurrentValue::Absent,
            body: &body,
        };
        self.give(partition, Input::Alert(&alert));
        IncidentId::derive(partition as u16, &origin)
    }

    pub(super) fn fire(&mut self, service: &str, name: &str, severity: Severity) -> IncidentId {
        let id = self.alert(service, name, severity, AlertStatus::Firing);
        self.deliver();
        id
    }

    pub(super) fn resolve(&mut self, service: &str, name: &str) {
        self.alert(service, name, Severity::Low, AlertStatus::Resolved);
        self.deliver();
    }

    pub(super) fn tick(&mut self, partition: u32) {
        let mut out = Vec::new();
        self.shards[partition as usize].tick(self.now, &mut out);
        if !out.is_empty() {
            self.take(partition, out);
        }
    }

    /// Every process ends, and comes back with another rule set.
    pub(super) fn restart_with(&mut self, files: &[(&str, &str)]) {
        self.rules = rule_set(files);
        for partition in 0..PARTITIONS {
            self.restart(partition);
        }
    }

    fn restart(&mut self, partition: u32) {
        let at = partition as usize;
        let mut shard = Shard::new(partition, Arc::clone(&self.settings), Rc::clone(&self.rules));
        for record in &self.logs[at] {
            shard.restore(&record.key, record.value.as_deref()).expect("it reads what it wrote");
        }
        shard.restored();
        shard.hold(self.shards[at].holding);
        self.shards[at] = shard;
    }

    /// Every timer at its own time.
    pub(super) fn pass(&mut self, by: i64) {
        let until = self.now + by;
        self.deliver();
        while let Some(due) = self.shards.iter().map(Shard::next_due).min().filter(|due| *due <= until) {
            self.now = self.now.max(due);
            (0..PARTITIONS).for_each(|partition| self.tick(partition));
            self.deliver();
        }
        self.now = until;
    }

    /// What was sent since the last call, as `rule event`, notices and digests with their numbers.
    pub(super) fn sent(&mut self) -> Vec<String> {
        let actions = std::mem::take(&mut self.actions);
        let mut ids: Vec<_> = actions.iter().map(|action| action.id.clone()).collect();
        ids.sort();
        ids.dedup();
        assert_eq!(ids.len(), actions.len(), "every action has an id of its own");
        let say = |action: &Action| {
            let (rule, event, title) = (&action.rule, action.event, &action.incident.title);
            match &action.kind {
                ActionKind::Notification { .. } => format!("{rule} {event} {title}"),
                ActionKind::Notice { notice, .. } => {
                    format!("{rule} limited {}{}", notice.held_back, if notice.ended { " in all" } else { "" })
                }
                ActionKind::Digest { incidents, more, .. } => {
                    let titles: Vec<&str> = incidents.iter().map(|entry| entry.title.as_str()).collect();
                    format!("{rule} digest {}+{more}", titles.join(","))
                }
                other => format!("{other:?}"),
            }
        };
        actions.iter().map(say).collect()
    }

    pub(super) fn last_why(&self) -> Vec<&'static str> {
        self.decisions.last().map_or(Vec::new(), |decision| decision.verdicts.iter().map(|verdict| verdict.why.name()).collect())
    }
}
