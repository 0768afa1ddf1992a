//! The same load with what a large organisation has loaded: 20 dependencies a service, 50 policies, 100 silences.
//!
//! Twice as many alerts: in the first half the live incidents, all opened within a fifth of a second, become each other's parents; in
//! the second half they live, and 1 % is new.

use crate::engine::Bench;
use crate::load::SERVICES;
use crate::measure::{Mark, Speed, median};
use crate::support::app::{App, Settings};
use crate::support::client::Writer;
use serde_json::json;
use std::fmt::Write as _;

const DEPENDENCIES: u64 = 20;
const POLICIES: u64 = 50;
const SILENCES: u64 = 100;

pub fn run(bench: &Bench) {
    let load = &bench.write_load(2 * bench.alerts);
    println!(
        "\nloaded, {} alerts a run, {} runs: {DEPENDENCIES} dependencies a service, {POLICIES} policies, {SILENCES} silences",
        load.alerts, bench.runs
    );
    let at = [load.from, load.alerts / 2, load.alerts];
    let (mut plain, mut loaded) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..bench.runs {
        let marks = bench.pass(load, bench.settings(10), &mut |_| {}, at);
        note("without", &marks, &mut plain);
        let marks = bench.pass(load, settings(bench), &mut |app| silence(app, true), at);
        note("loaded", &marks, &mut loaded);
        // All runs read the same commands.
        let reader = App::new("over", Settings { shared: Some((load.prefix.clone(), "-over".to_owned())), ..bench.settings(1) });
        silence(&reader, false);
    }
    for (half, (plain, loaded)) in ["first", "second"].into_iter().zip(plain.iter().zip(&loaded)) {
        let (plain, loaded) = (median(plain), median(loaded));
        let (time, cpu) = (plain.alerts / loaded.alerts, loaded.cpu / plain.cpu);
        println!("  ratios of the {half} half: time {time:.2}, CPU {cpu:.2} (wanted: 1.10 or less)");
    }
}

fn note(name: &str, [begin, half, end]: &[Mark; 3], speeds: &mut [Vec<Speed>; 2]) {
    let (first, second) = (begin.until(half), half.until(end));
    println!("  {name:<10} {first}, then {second}");
    speeds[0].push(first);
    speeds[1].push(second);
}

fn settings(bench: &Bench) -> Settings {
    let mut dependencies = "[dependencies]\n".to_owned();
    for service in 0..SERVICES {
        let of = (1..=DEPENDENCIES).filter_map(|n| service.checked_sub(n * 3)).map(|other| format!("\"svc-{other:04}\""));
        let of = of.collect::<Vec<_>>().join(", ");
        writeln!(dependencies, "\"svc-{service:04}\" = [{of}]").expect("a String takes all");
    }
    let mut policies = String::new();
    for n in 0..POLICIES {
        writeln!(
            policies,
            r#"escalation(#{{ name: "policy-{n}", where: #{{ service_id: "other-{n}-*", severity: ["critical", "high"] }}, levels: [level(0, [user("ann")]), level(15, [user("ann")])] }});"#
        )
        .expect("a String takes all");
    }
    let people = "[users.ann]\nemail = \"ann@example.com\"\n".to_owned();
    let files = vec![("policies.rhai", policies), ("dependencies.toml", dependencies), ("users.toml", people)];
    Settings { files, ..bench.settings(10) }
}

/// None of which matches anything of the load.
fn silence(app: &App, begins: bool) {
    let writer = Writer::new();
    for n in 0..SILENCES {
        let id = format!("bench-{n}");
        let regex = n % 4 == 0;
        let command = match begins {
            true => json!({
                "command": "silence",
                "silence_id": id,
                "matchers": [
                    { "name": "service_id", "value": format!("other-{n}"), "isRegex": regex, "isEqual": true },
                    { "name": "region", "value": format!("eu-west-{}", n % 3), "isRegex": regex, "isEqual": true },
                ],
                "ends_at": "2100-01-01T00:00:00Z",
            }),
            false => json!({ "command": "expire_silence", "silence_id": id }),
        };
        writer.send(&app.topic("commands"), &id, command.to_string().as_bytes());
    }
    writer.flush();
}
