//! A change of the rules on disk while alerts stream in: how soon it is in force, and what it holds up.

use crate::engine::{Bench, notification_rules};
use crate::latency::{Live, Page, Tail, now};
use crate::support::app::{App, Settings};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const RATE: u32 = 50_000;

pub fn run(bench: &Bench) {
    println!("\nreload under {RATE} alerts/s, {} rules, {} s and {} runs of each", bench.rules, bench.seconds, bench.runs);
    let app = App::new("reload", Settings { watch: true, ..bench.settings(bench.rules) });
    let mut process = app.start();
    let mut live = Live::start(&app, &mut process, RATE);
    let length = Duration::from_secs(bench.seconds);

    let (mut still, mut changed, mut in_force) = (Vec::new(), Vec::new(), Vec::new());
    for n in 0..bench.runs {
        still.push(Tail::of(&live.measure(RATE, length, None)));
        tell("unchanged", &still[n]);

        let target = format!("#critical-{n}");
        let (rules, written) = (notification_rules(bench.rules, &target), AtomicI64::new(0));
        let change = || {
            app.write_rules("test.rhai", &rules);
            written.store(now(), Ordering::Relaxed);
        };
        let pages = live.measure(RATE, length, Some(&change));
        changed.push(Tail::of(&pages));
        let seen = pages.iter().filter(|page| page.target == target).map(|page| page.seen).min();
        let seen = seen.unwrap_or_else(|| panic!("the change never came into force:\n{}", process.log()));
        in_force.push(seen - written.into_inner());
        assert!(pages.iter().all(|page| settled(page, seen, &target)), "the old rules were still in force after the new ones");
        tell("changed  ", &changed[n]);
        println!("             its first action {} ms after the file was written", in_force[n]);
    }
    assert!(process.is_running(), "incidentd ended:\n{}", process.log());
    process.stop();

    let (still, changed) = (Tail::median(&still), Tail::median(&changed));
    tell("median unchanged", &still);
    tell("median changed  ", &changed);
    println!(
        "  in force   {} ms after the file was written at worst (wanted: 1000 or less)",
        in_force.iter().max().copied().unwrap_or(-1)
    );
    println!(
        "  ratios     worst latency {:.2}, longest time without an action {:.2} (wanted: 1.20 or less)",
        changed.worst as f64 / still.worst as f64,
        changed.gap as f64 / still.gap as f64
    );
}

/// What was opened well after the change was in force is told by it, whichever worker did.
fn settled(page: &Page, seen: i64, target: &str) -> bool {
    page.sent < seen + 1_000 || page.target == target
}

fn tell(what: &str, tail: &Tail) {
    let Tail { p50, p99, worst, gap } = tail;
    println!("  {what}  p50 {p50:>4} ms  p99 {p99:>4} ms  worst {worst:>4} ms  longest time without an action {gap:>4} ms");
}
