//! Members that own shards and work as a worker does: they read, let time pass, and commit what a few shards have done in one
//! transaction; every one of these steps may fail or come to nothing. Facts go as the bytes that the inbox carries, and a
//! record that arrived at another shard than its home goes there through the inbox, as a worker sends it.

use crate::sim::log::{Log, TxnId, Txns};
use crate::sim::quiet;
use crate::sim::rules::{Set, rules};
use crate::sim::script::{AlertRecord, Arrival, Record};
use crate::sim::story::Story;
use incidentd::codec::{self, FACT, OutRecord};
use incidentd::engine::{Input, Outcome, Settings, Shard, StateRecord};
use incidentd::model::home::home;
use incidentd::model::time::HOUR;
use incidentd::model::{Alert, AlertBody, AlertOutcome, AlertStatus, Channel, CurrentValue, Fact, Metadata, Output, Time};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Inputs of a shard: alerts, commands and events as they came, then the inbox.
pub const TOPICS: usize = 4;
pub const INBOX: usize = 3;

#[derive(Clone, Debug)]
pub enum Entry {
    Input(Record),
    Fact(OutRecord),
}

impl Record {
    fn home(&self, partitions: u32) -> u32 {
        match self {
            Record::Alert(alert) => home(alert.service.as_bytes(), partitions),
            Record::Command(command, _) => command.home(partitions),
            Record::Event(event) => home(event.service_id.as_bytes(), partitions),
        }
    }
}

/// What a transaction says in `out`.
#[derive(Clone, PartialEq, Debug)]
pub enum Said {
    Output(Output),
    /// It came to a wrong shard, and goes home.
    Forwarded(u32, Record),
    /// An input was taken, and what became of it.
    Taken(Outcome, bool),
}

/// What is said, where, and at what time its shard thought it was.
#[derive(Clone, PartialEq, Debug)]
pub struct Line {
    pub now: Time,
    pub said: Said,
}

#[derive(Default)]
pub struct Partition {
    pub inputs: [Log<Entry>; TOPICS],
    pub state: Log<StateRecord>,
    /// Committed positions.
    pub positions: [usize; TOPICS],
    /// Of the owner: rises with each assignment.
    pub generation: u64,
}

/// A shard in a member's memory.
pub struct Lane {
    pub shard: Shard,
    pub positions: [usize; TOPICS],
    /// What other shards have told and was read since something else was: taken together.
    pub facts: Vec<Fact>,
    pub lines: Vec<Line>,
    pub generation: u64,
    pub touched: bool,
}

impl Lane {
    pub fn take_facts(&mut self, now: Time) {
        if self.facts.is_empty() {
            return;
        }
        let mut out = Vec::new();
        self.shard.process_facts(now, &std::mem::take(&mut self.facts), &mut out);
        self.lines.extend(out.into_iter().map(|output| Line { now, said: Said::Output(output) }));
    }
}

/// A transaction under way.
pub struct Ending {
    pub txn: TxnId,
    /// Partition, generation, and where it then stands.
    pub lanes: Vec<(u32, u64, [usize; TOPICS])>,
    pub lines: usize,
}

#[derive(Default)]
pub struct Member {
    pub lanes: BTreeMap<u32, Lane>,
    pub ending: Option<Ending>,
    /// How far its clock is off.
    pub skew: i64,
    pub set: Option<Set>,
}

pub struct World {
    pub settings: Arc<Settings>,
    pub codec: codec::Settings,
    pub txns: Txns,
    pub partitions: Vec<Partition>,
    pub out: Log<Line>,
    /// What people know from it, at the last rest.
    pub story: Story,
    /// How many lines of it were committed.
    pub lines: usize,
    pub members: Vec<Member>,
    pub owner: Vec<usize>,
    pub now: Time,
    /// When anything was read, or said, last.
    pub worked_at: Time,
    pub set: Set,
    pub inputs: usize,
    /// Clocks of members may be off.
    pub skews: bool,
    pub reloads: bool,
    /// Compare each shard with what a restore makes of its changelog.
    pub compares: bool,
    pub settles: bool,
}

impl World {
    pub fn new(partitions: u32, members: usize, now: Time, set: Set) -> World {
        let config = Metadata([("channel".to_owned(), "#ops".into())].into_iter().collect());
        let settings = Settings {
            partitions,
            default_channels: vec![Channel { kind: "slack".to_owned(), config }; usize::from(set != Set::Quiet)],
            stale_after: 0,
            close_after: 20 * HOUR,
            max_digest: 3,
            ..Settings::default()
        };
        let count = partitions as usize;
        let mut world = World {
            settings: Arc::new(settings),
            codec: codec::Settings::default(),
            txns: Txns::default(),
            partitions: (0..count).map(|_| Partition::default()).collect(),
            out: Log::default(),
            story: Story::default(),
            lines: 0,
            members: (0..members).map(|_| Member::default()).collect(),
            owner: (0..count).map(|partition| partition % members).collect(),
            now,
            worked_at: now,
            set,
            inputs: 0,
            skews: false,
            reloads: false,
            compares: false,
            settles: false,
        };
        for partition in 0..partitions {
            world.acquire(partition);
        }
        world
    }

    pub fn arrive(&mut self, arrival: &Arrival) {
        let topic = match &arrival.record {
            Record::Alert(_) => 0,
            Record::Command(..) => 1,
            Record::Event(_) => 2,
        };
        self.inputs += 1;
        let log = &mut self.partitions[arrival.partition as usize].inputs[topic];
        log.append(0, Entry::Input(arrival.record.clone()));
    }

    /// The shard as its changelog has it.
    pub fn restored(&self, partition: u32, set: Set) -> Shard {
        let mut shard = Shard::new(partition, Arc::clone(&self.settings), rules(set));
        for record in self.partitions[partition as usize].state.committed(&self.txns) {
            shard.restore(&record.key, record.value.as_deref()).expect("it reads what it wrote");
        }
        shard.restored();
        shard
    }

    /// The owner takes its partition over, once what stands in it has ended; false: not yet.
    pub fn acquire(&mut self, partition: u32) -> bool {
        let at = partition as usize;
        if self.partitions[at].state.is_unstable(&self.txns) {
            return false;
        }
        self.partitions[at].state.compact(&self.txns, |record| &record.key);
        let member = self.owner[at];
        let set = *self.members[member].set.get_or_insert(self.set);
        let shard = self.restored(partition, set);
        let (positions, generation) = (self.partitions[at].positions, self.partitions[at].generation);
        let lane = Lane { shard, positions, facts: Vec::new(), lines: Vec::new(), generation, touched: false };
        self.members[member].lanes.insert(partition, lane);
        true
    }

    pub fn clock(&self, member: usize) -> Time {
        self.now + self.members[member].skew
    }

    /// Takes the next record of `topic`; false: there is none.
    pub fn take(&mut self, member: usize, partition: u32, topic: usize) -> bool {
        let now = self.clock(member);
        let Some(lane) = self.members[member].lanes.get_mut(&partition) else { return false };
        let log = &self.partitions[partition as usize].inputs[topic];
        let Some((offset, entry)) = log.next(lane.positions[topic], &self.txns) else { return false };
        lane.positions[topic] = offset + 1;
        lane.touched = true;
        self.worked_at = self.now;
        if let Entry::Input(record) = entry {
            lane.take_facts(now);
            let to = record.home(self.settings.partitions);
            if to != partition {
                lane.lines.push(Line { now, said: Said::Forwarded(to, record.clone()) });
                return true;
            }
        }
        let mut out = Vec::new();
        let outcome = match entry {
            Entry::Fact(record) => {
                let version = record.headers.iter().find(|(name, _)| name == FACT).map(|(_, version)| version.as_slice());
                let facts = codec::read_facts(version.unwrap_or_default(), record.value.as_deref());
                lane.facts.extend(facts.expect("a shard reads what another has written"));
                Outcome::Done(None)
            }
            Entry::Input(Record::Event(event)) => lane.shard.process(now, Input::Event(event), &mut out),
            Entry::Input(Record::Command(command, at)) => lane.shard.process(now, Input::Command { command, at: *at }, &mut out),
            Entry::Input(Record::Alert(alert)) => process(&mut lane.shard, alert, now, &mut out),
        };
        let line = |said| Line { now, said };
        lane.lines.push(line(Said::Taken(outcome, matches!(entry, Entry::Input(_)))));
        lane.lines.extend(out.into_iter().map(|output| line(Said::Output(output))));
        true
    }

    /// What other shards have told, before a look at the timers.
    pub fn take_facts(&mut self, member: usize, partition: u32) {
        let now = self.clock(member);
        if let Some(lane) = self.members[member].lanes.get_mut(&partition) {
            lane.take_facts(now);
        }
    }

    /// Lets the lane's timers run; true if they had something to say.
    pub fn tick(&mut self, member: usize, partition: u32) -> bool {
        let now = self.clock(member);
        let Some(lane) = self.members[member].lanes.get_mut(&partition) else { return false };
        let before = lane.lines.len();
        lane.take_facts(now);
        let mut out = Vec::new();
        lane.shard.tick(now, &mut out);
        lane.touched = true;
        lane.lines.extend(out.into_iter().map(|output| Line { now, said: Said::Output(output) }));
        let said = lane.lines.len() > before;
        if said {
            self.worked_at = self.now;
        }
        said
    }

    /// The member's process is gone; what it had begun is aborted by whoever comes after it, a while later.
    pub fn crash(&mut self, member: usize) -> Option<TxnId> {
        self.members[member].lanes.clear();
        self.members[member].ending.take().map(|ending| ending.txn)
    }

    /// Gives the partition to another member; the one before does not know yet.
    pub fn assign(&mut self, partition: u32, member: usize) {
        self.owner[partition as usize] = member;
        self.partitions[partition as usize].generation += 1;
    }

    /// The member hears how the group stands: it gives up what is no longer its own, and takes what is.
    pub fn hear(&mut self, member: usize) {
        let generations: Vec<u64> = self.partitions.iter().map(|partition| partition.generation).collect();
        // What it has begun is ended first.
        if self.members[member].ending.is_none() {
            self.members[member].lanes.retain(|partition, lane| lane.generation == generations[*partition as usize]);
            for partition in 0..generations.len() as u32 {
                if self.owner[partition as usize] == member && !self.members[member].lanes.contains_key(&partition) {
                    self.acquire(partition);
                }
            }
        }
    }

    pub fn reload(&mut self, member: usize) {
        let set = self.set;
        if self.members[member].set != Some(set) {
            self.members[member].set = Some(set);
            self.members[member].lanes.values_mut().for_each(|lane| lane.shard.set_rules(rules(set)));
        }
    }

    pub fn next_due(&self, member: usize, partition: u32) -> Time {
        self.members[member].lanes.get(&partition).map_or(Time::NEVER, |lane| lane.shard.next_due())
    }

    /// Works everything off at this moment, and lets time pass for `by`, each timer at its own time.
    pub fn settle(&mut self, by: i64) {
        let until = self.now + by;
        self.settles = true;
        for rounds in 0.. {
            assert!(rounds < 20_000, "C: it never comes to rest at {}", self.now);
            let mut worked = false;
            for partition in 0..self.partitions.len() as u32 {
                let member = self.owner[partition as usize];
                let mut touched = self.members[member].lanes.get(&partition).is_some_and(|lane| lane.touched);
                for topic in [1, 2, 0, 3] {
                    while self.take(member, partition, topic) {
                        touched = true;
                    }
                }
                if self.next_due(member, partition) <= self.clock(member) {
                    // It may look too early, but not for ever.
                    for _ in 0..3 {
                        touched |= self.tick(member, partition);
                    }
                    let due = self.next_due(member, partition);
                    assert!(due > self.clock(member), "C: a timer is left in the past: {due}, now {}", self.clock(member));
                }
                if touched {
                    worked = true;
                    self.begin(member, &[partition], None);
                    assert!(self.end(member, false));
                }
            }
            if !worked {
                quiet::check(self);
                let due =
                    (0..self.partitions.len() as u32).map(|partition| self.next_due(self.owner[partition as usize], partition));
                match due.min().filter(|due| *due <= until) {
                    Some(due) => self.now = self.now.max(due),
                    None => break,
                }
            }
        }
        self.now = until;
        quiet::check(self);
        self.settles = false;
    }

    pub fn committed(&self) -> impl Iterator<Item = &Line> {
        self.out.committed(&self.txns)
    }
}

fn process(shard: &mut Shard, record: &AlertRecord, now: Time, out: &mut Vec<Output>) -> Outcome {
    let body = || AlertBody {
        title: format!("alert {}", record.key),
        category: format!("category-{}", record.key % 3),
        environment: record.environment,
        ..AlertBody::default()
    };
    let alert = Alert {
        origin: record.origin,
        service_id: record.service.into(),
        fingerprint: record.fingerprint(),
        severity: record.severity,
        status: if record.resolved { AlertStatus::Resolved } else { AlertStatus::Firing },
        timestamp: record.timestamp,
        source: record.source.map(|source| format!("pod-{source}").into()),
        starts_at: None,
        current_value: CurrentValue::Number(record.origin.offset as f64),
        body: &body,
    };
    shard.process(now, Input::Alert(&alert), out)
}

/// Did it count as an occurrence?
pub fn counts(outcome: &Outcome) -> bool {
    let counted = [AlertOutcome::Created, AlertOutcome::Merged, AlertOutcome::Reopened];
    matches!(outcome, Outcome::Alert { outcome, .. } if counted.contains(outcome))
}
