//! Whole shards over a model of Kafka in memory, under every fault that a seed brings; `scripts/sim N SEED` runs any number.

mod checks;
mod commit;
mod drive;
mod log;
mod quiet;
mod rules;
mod script;
mod story;
mod world;

use drive::Canonical;
use incidentd::model::time::HOUR;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use rules::Set;
use script::{Kind, START, script};
use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use world::World;

/// Longer than anything lasts that somebody waits for, and shorter than the closing of what has resolved.
const REST: i64 = 4 * HOUR;

/// A: with faults that take no time, what is committed is what an uninterrupted run commits, in the same order.
fn faults_change_nothing(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let partitions = random.random_range(1..5);
    let members = random.random_range(1..3);
    let script = script(&mut random, partitions, Kind::All);
    let run = |faults: Option<StdRng>| {
        let mut world = World::new(partitions, members, START, Set::All);
        world.compares = faults.is_some();
        Canonical { order: seed, faults }.run(&mut world, &script);
        world
    };
    let (mut straight, mut faulty) = (run(None), run(Some(StdRng::seed_from_u64(!seed))));
    for world in [&mut straight, &mut faulty] {
        world.settle(REST);
    }
    let (mut expected, mut actual) = (straight.committed(), faulty.committed());
    loop {
        let (expected, actual) = (expected.next(), actual.next());
        if expected != actual {
            let (one, other) = (format!("{expected:?}"), format!("{actual:?}"));
            let at = one.bytes().zip(other.bytes()).position(|(one, other)| one != other).unwrap_or(0);
            let part = |text: &str| text.chars().skip(at.saturating_sub(60)).take(300).collect::<String>();
            panic!("A: a fault changed what was committed, at {at} of\n  {}\n  {}\n  {:.600}", part(&one), part(&other), one);
        }
        if expected.is_none() {
            break;
        }
    }
    check(&faulty);
}

fn check(world: &World) {
    checks::accounts(world);
    checks::actions(world);
    checks::rests(world);
    checks::pages(world);
}

/// Anything at any time; what must hold holds when all has come to rest.
fn anything_may_happen(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let partitions = random.random_range(1..5);
    let members = random.random_range(1..4);
    let script = script(&mut random, partitions, Kind::All);
    let set = if seed.is_multiple_of(10) { Set::Quiet } else { Set::All };
    let mut world = World::new(partitions, members, START, set);
    world.skews = random.random_bool(0.3);
    world.reloads = set == Set::All && random.random_bool(0.3);
    // Where members reload one after the other, a shard may come back to a set: restored, it need not ask anew as it does live.
    world.compares = !world.reloads || members == 1;
    drive::at_random(&mut world, &script, &mut random);
    world.settle(REST);
    check(&world);
}

/// Whatever the interleaving of partitions, the links come out the same.
fn links_are_the_same(seed: u64) {
    let mut random = StdRng::seed_from_u64(seed);
    let partitions = random.random_range(2..5);
    let script = script(&mut random, partitions, Kind::Links);
    let set = if seed % 10 < 3 { Set::Quiet } else { Set::Plain };
    let run = |order: u64| {
        let mut world = World::new(partitions, 1, START, set);
        Canonical { order, faults: None }.run(&mut world, &script);
        world.settle(REST);
        world
    };
    let first = run(seed);
    check(&first);
    for order in 1..3 {
        let other = run(seed ^ order << 50);
        let (expected, actual) = (checks::links(&first), checks::links(&other));
        for (id, link) in &expected {
            assert_eq!(Some(link), actual.get(id), "links: {id} differs with the interleaving");
        }
        assert_eq!(expected.len(), actual.len(), "links: other incidents");
    }
}

fn schedule(seed: u64) {
    match seed % 3 {
        0 => faults_change_nothing(seed),
        1 => anything_may_happen(seed),
        _ => links_are_the_same(seed),
    }
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().map_or(default, |text| text.parse().unwrap_or_else(|_| panic!("{name}={text}: a number is wanted")))
}

#[test]
fn schedules() {
    let (count, from) = (number("INCIDENTD_SIM_COUNT", 2_000), number("INCIDENTD_SIM_SEED", 0));
    let next = AtomicU64::new(0);
    let failures: Mutex<BTreeMap<u64, String>> = Mutex::default();
    let threads = std::thread::available_parallelism().map_or(1, |threads| threads.get());
    // Each failure is shown once below, not by the thread that met it.
    std::panic::set_hook(Box::new(|_| {}));
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    if at >= count {
                        break;
                    }
                    let seed = from + at;
                    if let Err(cause) = catch_unwind(AssertUnwindSafe(|| schedule(seed))) {
                        let text = cause.downcast_ref::<String>().cloned();
                        let text = text.or_else(|| cause.downcast_ref::<&str>().map(|text| (*text).to_owned()));
                        failures.lock().unwrap().insert(seed, text.unwrap_or_default());
                    }
                }
            });
        }
    });
    let _ = std::panic::take_hook();
    let failures = failures.into_inner().unwrap();
    let shown: Vec<String> = failures
        .iter()
        .take(8)
        .map(|(seed, text)| {
            let text: String = text.chars().take(1_500).collect();
            format!("seed {seed} (scripts/sim 1 {seed}): {text}")
        })
        .collect();
    assert!(failures.is_empty(), "{} of {count} schedules failed\n\n{}", failures.len(), shown.join("\n\n"));
}
