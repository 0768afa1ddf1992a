//! One life of a worker in the group: from joining it to leaving it, or to an error that asks for another.

use crate::kafka::batch::Entry;
use crate::kafka::{Batch, Error, GroupConsumer, Observer, Producer, Reader, Rebalance, Slot};
use crate::model::{Origin, Time, Topic};
use crate::rules::RuleSet;
use crate::worker::commit::{Pace, UnderWay};
use crate::worker::health::Pulse;
use crate::worker::intake::Moment;
use crate::worker::lane::{Lane, Position};
use crate::worker::report::{Gauges, Seen};
use crate::worker::rules::{Loading, load};
use crate::worker::transactions::Transactions;
use crate::worker::{INPUTS, Settings, topic_name};
use smallvec::SmallVec;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Records of one batch; what the queue holds ready, so a batch is full only where more waits.
pub const BATCH: usize = 4_096;
/// Records that are opened before the first of them is taken.
pub const AHEAD: usize = 16;
/// The place of `alerts` in [`INPUTS`]; no other topic's records are opened ahead.
pub const ALERTS: usize = 0;
/// A rebalance or a stop is noticed after this long, where no record comes.
const IDLE: Duration = Duration::from_millis(100);
/// While the group has given us nothing: the assignment should not wait.
const JOINING: Duration = Duration::from_millis(10);
const GAUGES: Duration = Duration::from_secs(1);
/// For the first transaction of a producer, which waits for what its predecessor left open.
const INIT: Duration = Duration::from_secs(30);
/// To leave the group; a drain has 10 s in all.
const CLOSE: Duration = Duration::from_secs(4);
/// No lane.
const NONE: usize = usize::MAX;

/// How a session ends without an error.
pub enum End {
    Stopped,
}

pub struct Session<'a> {
    pub worker: usize,
    pub settings: &'a Settings,
    pub pulse: &'a Pulse,
    /// Before the consumer: one that is behind keeps batches, which are freed before their client.
    pub lanes: Vec<Lane>,
    /// `None` after `close`.
    pub consumer: Option<GroupConsumer>,
    pub transactions: Transactions,
    pub under_way: Option<UnderWay>,
    pub observer: Observer,
    pub reader: Reader,
    /// By place in [`INPUTS`] and partition: the lane, or `NONE`.
    pub routes: [Vec<usize>; INPUTS.len()],
    pub rules: Rc<RuleSet>,
    rules_version: u64,
    loading: Option<Loading>,
    pub pace: Pace,
    /// The group has given us our share, which may be nothing.
    assigned: bool,
    /// It is being read.
    pub started: bool,
    gauges: Instant,
}

/// Milliseconds since 1970.
pub fn wall_clock() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

impl Session<'_> {
    /// Runs until the workers are told to stop, having committed what it held.
    pub fn run(worker: usize, settings: &Settings, pulse: &Pulse) -> Result<End, Error> {
        let mut session = Session::open(worker, settings, pulse)?;
        let mut batch = Batch::new(BATCH);
        let result = session.work(&mut batch);
        // Its records pin the consumer's memory.
        batch.clear();
        session.close();
        result
    }

    fn open<'a>(worker: usize, settings: &'a Settings, pulse: &'a Pulse) -> Result<Session<'a>, Error> {
        let rules_version = settings.rules.version();
        let rules = load(&settings.rules.source(), &settings.rule_limits).map_err(Error::fatal)?;
        // librdkafka joins in the background, while the producer aborts what its predecessor left open.
        let topics = INPUTS.map(|topic| topic_name(&settings.names, topic).to_owned()).to_vec();
        let consumer = GroupConsumer::join(&settings.clients.consumer(worker), topics)?;
        tracing::debug!(worker, "joining the group");
        let producer = Session::producer(worker, settings)?;
        pulse.beat();
        tracing::debug!(worker, "the producer is ready");
        let reader = Reader::new(&settings.clients.reader(), vec![settings.names.state.clone()])?;
        Ok(Session {
            worker,
            settings,
            pulse,
            consumer: Some(consumer),
            transactions: Transactions::start(worker, settings, producer)?,
            under_way: None,
            observer: Observer::new(&settings.clients)?,
            reader,
            lanes: Vec::new(),
            routes: Default::default(),
            rules: Rc::new(rules),
            rules_version,
            loading: None,
            pace: Pace::new(settings),
            assigned: false,
            started: false,
            gauges: Instant::now(),
        })
    }

    pub fn producer(worker: usize, settings: &Settings) -> Result<Producer, Error> {
        let names = Topic::ALL.map(|topic| topic_name(&settings.names, topic).to_owned());
        Producer::new(&settings.clients.producer(worker), &names, Instant::now() + INIT)
    }

    /// Present until `close`, which consumes the session's last use of it.
    pub fn consumer(&self) -> &GroupConsumer {
        self.consumer.as_ref().expect("taken by close alone, which is called last")
    }

    fn work(&mut self, batch: &mut Batch) -> Result<End, Error> {
        loop {
            self.pulse.beat();
            if self.pulse.stopping() {
                self.commit_all()?;
                return Ok(End::Stopped);
            }
            self.reload_rules();
            while let Some(rebalance) = self.consumer().rebalance()? {
                self.rebalance(rebalance)?;
            }
            if self.lanes.iter().any(|lane| lane.pending) {
                self.restore(batch)?;
            }
            self.read(batch)?;
            self.commit_due()?;
            self.report();
        }
    }

    fn read(&mut self, batch: &mut Batch) -> Result<(), Error> {
        let idle = if self.assigned { IDLE } else { JOINING };
        let due = self.lanes.iter().filter_map(|lane| lane.shard.as_ref()).map(|shard| shard.next_due()).min();
        let tick = due.map_or(idle, |due| Duration::from_millis((due - wall_clock()).max(0) as u64));
        let commit = self.until_commit().unwrap_or(idle);
        self.consumer().read(batch, idle.min(tick).min(commit));
        let moment = Moment { settings: self.settings, now: wall_clock(), at: Instant::now() };
        let full = batch.is_full();
        let mut last = self.catch_up(batch, &moment)?;
        let topics = self.consumer.as_ref().map_or(&[][..], GroupConsumer::topics);
        let mut entries = batch.entries(topics);
        let mut group: SmallVec<[_; AHEAD]> = SmallVec::new();
        loop {
            // Some are opened before the first of them is taken, so that their incidents come from memory all at once.
            group.extend(entries.by_ref().take(AHEAD).map(|entry| {
                let opened = match &entry {
                    Entry::Record(topic, record) => lane(&self.routes, &mut self.lanes, *topic, record.partition())
                        .and_then(|lane| lane.open(&moment, *topic, record)),
                    _ => None,
                };
                (entry, opened)
            }));
            for opened in group.iter().filter_map(|(_, opened)| opened.as_ref()) {
                let Origin { partition, .. } = opened.record.origin;
                if let Some(lane) = lane(&self.routes, &mut self.lanes, ALERTS, partition) {
                    lane.expect(opened);
                }
            }
            if group.is_empty() {
                break;
            }
            // In place: an opened alert is some 300 bytes.
            for (entry, opened) in &group {
                match *entry {
                    Entry::Record(topic, ref record) => {
                        if let Some(lane) = lane(&self.routes, &mut self.lanes, topic, record.partition()) {
                            lane.take(&moment, topic, record, opened.as_ref());
                            last = record.timestamp();
                        }
                    }
                    Entry::End { topic, partition, offset } => {
                        if let Some(lane) = lane(&self.routes, &mut self.lanes, topic, partition)
                            && let Some(position) = &mut lane.positions[topic]
                        {
                            position.caught_up |= offset >= position.end;
                        }
                    }
                    Entry::Error { topic, partition, code } => self.consumer().judge(topic, partition, code)?,
                }
            }
            group.clear();
        }
        self.pace.seen(full, last.map(Time), moment.now);
        for lane in &mut self.lanes {
            lane.tick(&moment);
        }
        let ready = self.assigned && !self.is_slow() && self.lanes.iter().all(Lane::caught_up);
        self.pulse.set_ready(ready);
        Ok(())
    }

    fn rebalance(&mut self, rebalance: Rebalance) -> Result<(), Error> {
        self.pulse.set_ready(false);
        match rebalance {
            Rebalance::Revoked { lost } => {
                tracing::info!(worker = self.worker, lost, shards = self.lanes.len(), "partitions are revoked");
                // What is lost may be another's already: it is dropped, and whoever owns it reads it again.
                if lost {
                    self.finish()?;
                } else {
                    self.commit_all()?;
                }
                self.lanes.clear();
                self.routes = Default::default();
                self.assigned = false;
                self.consumer().release()
            }
            Rebalance::Assigned(slots) => {
                tracing::info!(worker = self.worker, partitions = slots.len(), "partitions are assigned");
                self.lanes = self.lanes_of(&slots)?;
                self.assigned = true;
                self.started = false;
                self.consumer.as_mut().map_or(Ok(()), GroupConsumer::accept)
            }
        }
    }

    /// A lane for each shard, and one for each partition of a topic that is cut otherwise.
    fn lanes_of(&mut self, slots: &[Slot]) -> Result<Vec<Lane>, Error> {
        let layout = &self.settings.layout;
        let cuts = [layout.alerts, layout.commands, layout.events, layout.shards];
        self.routes = std::array::from_fn(|_| Vec::new());
        let mut lanes: Vec<Lane> = Vec::new();
        for slot in slots {
            if slot.partition >= cuts[slot.topic] {
                return Err(Error::fatal(format!(
                    "`{}` has more partitions than at the start ({}): restart incidentd",
                    self.consumer().topics()[slot.topic],
                    cuts[slot.topic]
                )));
            }
            let home = (cuts[slot.topic] == layout.shards).then_some(slot.partition);
            let at = lanes.iter().position(|lane| home.is_some() && lane.home == home).unwrap_or_else(|| {
                lanes.push(Lane::new(home));
                lanes.len() - 1
            });
            lanes[at].positions[slot.topic] = Some(Position { slot: *slot, next: 0, end: i64::MAX, caught_up: false });
            let routes = &mut self.routes[slot.topic];
            routes.resize(routes.len().max(slot.partition as usize + 1), NONE);
            routes[slot.partition as usize] = at;
        }
        Ok(lanes)
    }

    /// A changed set is loaded beside the loop; what changes meanwhile is loaded after it.
    fn reload_rules(&mut self) {
        let version = self.settings.rules.version();
        if version != self.rules_version && self.loading.is_none() {
            self.rules_version = version;
            let (source, limits) = (self.settings.rules.source(), self.settings.rule_limits);
            match Loading::start(Arc::clone(&source), limits) {
                Ok(loading) => self.loading = Some(loading),
                // Better late for a moment than by the old rules.
                Err(_) => self.take_rules(load(&source, &limits)),
            }
        }
        if let Some(loading) = self.loading.take_if(|loading| loading.is_done()) {
            self.take_rules(loading.take());
        }
    }

    fn take_rules(&mut self, loaded: Result<RuleSet, String>) {
        match loaded {
            Ok(rules) => {
                self.rules = Rc::new(rules);
                for shard in self.lanes.iter_mut().filter_map(|lane| lane.shard.as_mut()) {
                    shard.set_rules(Rc::clone(&self.rules));
                }
            }
            // Whoever set it had checked it.
            Err(error) => tracing::error!(worker = self.worker, "the old rules stay in force: {error}"),
        }
    }

    fn report(&mut self) {
        if self.gauges.elapsed() < GAUGES {
            return;
        }
        self.gauges = Instant::now();
        let mut gauges = Gauges { worker: self.worker, evaluation_seconds: self.rules.take_timings(), ..Gauges::default() };
        for lane in &self.lanes {
            if let Some(shard) = &lane.shard {
                gauges.shards += 1;
                gauges.timers_pending += shard.timers_pending();
                shard.open(&mut |severity, status, count| *gauges.open.entry((severity, status)).or_default() += count);
            }
            for position in lane.positions.iter().flatten() {
                if let Some(end) = self.consumer().known_end(position.slot) {
                    let name = self.consumer().topics()[position.slot.topic].clone();
                    gauges.lag.push((name, position.slot.partition, u64::try_from(end - position.next).unwrap_or(0)));
                }
            }
        }
        (self.settings.observe)(Seen::Gauges(&gauges));
    }

    /// Leaves the group, on a thread of its own: librdkafka may wait for brokers that do not answer.
    fn close(mut self) {
        self.lanes.clear();
        let Some(consumer) = self.consumer.take() else { return };
        let (done, closed) = crossbeam_channel::bounded::<()>(1);
        let spawned = std::thread::Builder::new().name("closing".to_owned()).spawn(move || {
            drop(consumer);
            let _ = done.send(());
        });
        if spawned.is_ok() && closed.recv_timeout(CLOSE).is_err() {
            tracing::warn!(worker = self.worker, "the consumer does not close; the group will notice its silence");
        }
    }
}

pub fn lane<'l>(
    routes: &[Vec<usize>; INPUTS.len()],
    lanes: &'l mut [Lane],
    topic: usize,
    partition: u32,
) -> Option<&'l mut Lane> {
    let at = *routes.get(topic)?.get(partition as usize)?;
    // A dropped lane takes nothing until it is restored; its records come again.
    lanes.get_mut(at).filter(|lane| !lane.pending)
}
