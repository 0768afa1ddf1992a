//! The timer wheel alone, with a million pending: insert, move, expiry of many at once, and a look with nothing due.
//!
//! `cargo bench --bench timers`. Deadlines lie within a day, as those of incidents do; a move is an insert, for the wheel is
//! lazy: what stood there before is handed out at its time, and its owner looks again.

#![allow(clippy::disallowed_methods, reason = "a benchmark reads the clock")]

use incidentd::engine::Timers;
use incidentd::model::{Time, time::DAY};
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use std::alloc::{GlobalAlloc, Layout, System};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Counts what is asked of it.
struct Counting;

static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: everything is left to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const PENDING: u32 = 1_000_000;
const START: i64 = 1_800_000_000_000;
const ROUNDS: usize = 5;
const BURST: u32 = 10_000;

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn main() {
    let mut random = StdRng::seed_from_u64(1);
    let (mut inserts, mut moves, mut bursts, mut looks) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut allocations = 0;
    for _ in 0..ROUNDS {
        let mut timers = Timers::default();
        let mut due = Vec::with_capacity(2 * BURST as usize);
        timers.expire(Time(START), &mut due);
        let deadlines: Vec<Time> = (0..PENDING).map(|_| Time(START + random.random_range(60_000..DAY))).collect();
        let began = Instant::now();
        deadlines.iter().zip(0..).for_each(|(deadline, key)| timers.insert(*deadline, key));
        inserts.push(began.elapsed().as_nanos() as f64 / f64::from(PENDING));

        let mut earlier: Vec<(Time, u32)> = Vec::new();
        for _ in 0..PENDING / 10 {
            let key = random.random_range(0..PENDING);
            let before = deadlines[key as usize].0 - START;
            earlier.push((Time(START + random.random_range(60_000..=before)), key));
        }
        let began = Instant::now();
        earlier.iter().for_each(|(deadline, key)| timers.insert(*deadline, *key));
        moves.push(began.elapsed().as_nanos() as f64 / earlier.len() as f64);

        // A burst that falls due in the same second, half a minute from the start.
        (0..BURST).for_each(|key| timers.insert(Time(START + 30_000 + i64::from(key % 1_000)), key));
        due.clear();
        timers.expire(Time(START + 29_000), &mut due);
        let before = ALLOCATIONS.load(Ordering::Relaxed);
        let began = Instant::now();
        for at in 0..1_000 {
            timers.expire(Time(START + 29_000 + at / 2), &mut due);
        }
        let took = began.elapsed();
        allocations += ALLOCATIONS.load(Ordering::Relaxed) - before;
        looks.push(took.as_nanos() as f64 / 1_000.0);
        assert!(due.is_empty(), "nothing is due yet");
        let began = Instant::now();
        timers.expire(Time(START + 31_000), &mut due);
        bursts.push(began.elapsed().as_micros() as f64 / 1_000.0);
        assert_eq!(due.len(), BURST as usize);
    }
    println!("{PENDING} pending, median of {ROUNDS} rounds");
    println!("insert             {:8.1} ns", median(inserts));
    println!("move               {:8.1} ns", median(moves));
    println!("expiry of {BURST}    {:8.2} ms", median(bursts));
    println!("nothing due        {:8.1} ns, {allocations} allocations", median(looks));
}
