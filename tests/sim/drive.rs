//! How a schedule is driven: in a fixed order with faults that take no time, or at random with whatever may happen.

use crate::sim::log::{Fate, TxnId};
use crate::sim::quiet;
use crate::sim::rules::Set;
use crate::sim::script::Arrival;
use crate::sim::world::{TOPICS, World};
use incidentd::model::Time;
use incidentd::model::time::{HOUR, MINUTE};
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};

/// Inputs stand in this order where they came at one moment; the inbox is read at any point between.
const ORDER: [usize; 3] = [1, 2, 0];

/// Looks at timers, one after the other, none of which makes a shard tell another anything.
const LOOKS: usize = 200;

/// Drives in units of one or two partitions, whose order and size follow from `order` and what was committed so far.
pub struct Canonical {
    pub order: u64,
    pub faults: Option<StdRng>,
}

/// What a transaction is to hold: partition, and of each input topic how many records.
type Plan = Vec<(u32, Vec<(usize, usize)>)>;

impl Canonical {
    pub fn run(&mut self, world: &mut World, script: &[Arrival]) {
        let mut script = script.iter().peekable();
        while let Some(arrival) = script.next() {
            let until = world.now + arrival.after;
            self.pass(world, until);
            world.arrive(arrival);
            while let Some(arrival) = script.next_if(|next| next.after == 0) {
                world.arrive(arrival);
            }
            self.work_off(world);
        }
    }

    /// Each timer at its own time.
    fn pass(&mut self, world: &mut World, until: Time) {
        let all = 0..world.partitions.len() as u32;
        for _ in 0..20_000 {
            let due = all.clone().map(|partition| world.next_due(world.owner[partition as usize], partition)).min();
            let Some(due) = due.filter(|due| *due <= until) else { break };
            world.now = world.now.max(due);
            self.work_off(world);
        }
        world.now = until;
        quiet::check(world);
    }

    fn work_off(&mut self, world: &mut World) {
        let mut looks = 0;
        for _ in 0..20_000 {
            let mut random = StdRng::seed_from_u64(self.order ^ (world.lines as u64) << 20);
            let Some(plan) = plan(world, &mut random) else { return quiet::check(world) };
            // A look at timers may come too early, but not for ever.
            looks = if plan.iter().all(|(_, takes)| takes.is_empty()) { looks + 1 } else { 0 };
            assert!(looks < LOOKS, "C: a timer is left in the past at {}", world.now);
            self.unit(world, &plan);
        }
        panic!("C: it never comes to rest at {}", world.now);
    }

    /// One transaction, tried until nothing goes wrong.
    fn unit(&mut self, world: &mut World, plan: &Plan) {
        let partitions: Vec<u32> = plan.iter().map(|(partition, _)| *partition).collect();
        let member = world.owner[partitions[0] as usize];
        loop {
            for (partition, takes) in plan {
                for (topic, count) in takes {
                    for _ in 0..*count {
                        assert!(world.take(member, *partition, *topic), "what was there is there again");
                    }
                }
                world.take_facts(member, *partition);
                if world.next_due(member, *partition) <= world.clock(member) {
                    world.tick(member, *partition);
                }
            }
            let fault = self.faults.as_mut().map_or(9, |random| random.random_range(0..10));
            match fault {
                // The process dies, perhaps in the middle of writing.
                0 => {
                    if self.faults.as_mut().is_some_and(|random| random.random_bool(0.5)) {
                        let within = self.faults.as_mut().map(|random| random.random_range(0..8));
                        world.begin(member, &partitions, within);
                    }
                    if let Some(txn) = world.crash(member) {
                        world.txns.end(txn, Fate::Aborted);
                    }
                    world.hear(member);
                }
                // The broker aborts it.
                1 => {
                    world.begin(member, &partitions, None);
                    assert!(!world.end(member, true));
                    world.hear(member);
                }
                // It has lost its partitions meanwhile, and gets them back.
                2 => {
                    for partition in &partitions {
                        world.assign(*partition, member);
                    }
                    world.begin(member, &partitions, None);
                    assert!(!world.end(member, false), "a zombie is fenced");
                    world.hear(member);
                }
                _ => {
                    world.begin(member, &partitions, None);
                    assert!(world.end(member, false));
                    // A restart with nothing under way.
                    if fault == 3 {
                        world.crash(member);
                        world.hear(member);
                    }
                    return;
                }
            }
        }
    }
}

fn plan(world: &World, random: &mut StdRng) -> Option<Plan> {
    let mut partitions: Vec<u32> = (0..world.partitions.len() as u32).collect();
    partitions.shuffle(random);
    let mut plan: Plan = Vec::new();
    let mut member = None;
    for partition in partitions {
        let owner = world.owner[partition as usize];
        if plan.len() >= 2 || member.is_some_and(|member| member != owner) {
            continue;
        }
        let left = |topic: usize| {
            let lane = &world.members[owner].lanes[&partition];
            let log = &world.partitions[partition as usize].inputs[topic];
            (lane.positions[topic]..log.len())
                .filter(|at| log.next(*at, &world.txns).is_some_and(|(next, _)| next == *at))
                .count()
        };
        let mut takes = Vec::new();
        let facts = left(3);
        let first = random.random_bool(0.5);
        let inbox = (facts > 0).then(|| (3, random.random_range(1..=facts.min(3))));
        takes.extend(inbox.filter(|_| first));
        // One input topic after the other, so that what came at one moment keeps its order.
        if let Some(topic) = ORDER.into_iter().find(|topic| left(*topic) > 0) {
            takes.push((topic, random.random_range(1..=left(topic).min(4))));
        }
        takes.extend(inbox.filter(|_| !first));
        if !takes.is_empty() {
            member = Some(owner);
            plan.push((partition, takes));
        }
    }
    // A look at timers may come too early, and does so where a shard was not restored: it must not change what goes together.
    if plan.is_empty() {
        let due = |partition: &u32| {
            let owner = world.owner[*partition as usize];
            world.next_due(owner, *partition) <= world.clock(owner)
        };
        plan.extend((0..world.partitions.len() as u32).find(due).map(|partition| (partition, Vec::new())));
    }
    (!plan.is_empty()).then_some(plan)
}

/// Anything at any time.
pub fn at_random(world: &mut World, script: &[Arrival], random: &mut StdRng) {
    let mut script = script.iter().peekable();
    let mut next_at = script.peek().map_or(Time::NEVER, |arrival| world.now + arrival.after);
    let mut orphans: Vec<TxnId> = Vec::new();
    let (members, partitions) = (world.members.len(), world.partitions.len() as u32);
    let mut left = 400;
    while script.peek().is_some() || left > 0 {
        left -= 1;
        while next_at <= world.now
            && let Some(arrival) = script.next()
        {
            world.arrive(arrival);
            next_at = script.peek().map_or(Time::NEVER, |next| next_at + next.after);
        }
        let (member, partition) = (random.random_range(0..members), random.random_range(0..partitions));
        match random.random_range(0..100) {
            0..40 => {
                let topic = random.random_range(0..TOPICS);
                for _ in 0..random.random_range(1..4) {
                    world.take(member, partition, topic);
                }
            }
            40..55 => {
                world.tick(member, partition);
            }
            55..70 => match world.members[member].ending {
                Some(_) => drop(world.end(member, random.random_bool(0.1))),
                None => {
                    let touched = world.members[member].lanes.iter().filter(|(_, lane)| lane.touched);
                    let mut chosen: Vec<u32> = touched.map(|(partition, _)| *partition).collect();
                    chosen.retain(|_| random.random_bool(0.8));
                    if !chosen.is_empty() {
                        world.begin(member, &chosen, None);
                    }
                }
            },
            70..74 => world.assign(partition, member),
            74..84 => world.hear(member),
            84..86 => {
                if world.members[member].ending.is_none() {
                    let chosen: Vec<u32> = world.members[member].lanes.keys().copied().collect();
                    world.begin(member, &chosen, Some(random.random_range(0..10)));
                }
                orphans.extend(world.crash(member));
            }
            // The coordinator aborts what a dead member has left.
            86..89 => {
                if let Some(txn) = orphans.pop() {
                    world.txns.end(txn, Fate::Aborted);
                }
            }
            89 if world.skews => world.members[member].skew = [0, 0, HOUR, -HOUR][random.random_range(0..4)],
            90 if world.reloads => {
                // One way only: a set that comes back finds what it once said of an incident, live it asks anew.
                world.set = Set::Other;
            }
            91..93 => world.reload(member),
            93 => {
                let holds = random.random_bool(0.3);
                world.members[member].lanes.values_mut().for_each(|lane| lane.shard.hold(holds));
            }
            _ => {
                let step =
                    if random.random_bool(0.8) { random.random_range(0..3_000) } else { random.random_range(0..3 * MINUTE) };
                world.now = world.now + step;
            }
        }
        if left < 0 && script.peek().is_some() {
            world.now = world.now.max(next_at);
        }
    }
    for txn in orphans {
        world.txns.end(txn, Fate::Aborted);
    }
    for member in 0..members {
        world.end(member, false);
        world.members[member].skew = 0;
        world.members[member].lanes.values_mut().for_each(|lane| lane.shard.hold(false));
    }
    for member in 0..members {
        world.hear(member);
        world.reload(member);
    }
}
