//! The same load with what a large organisation has loaded: 20 dependencies a service, 50 policies, 100 silences.

use crate::engine::Bench;
use crate::load::{Load, SERVICES};
use crate::measure::median;
use crate::support::app::{App, Settings};
use crate::support::client::Writer;
use serde_json::json;
use std::fmt::Write as _;

const DEPENDENCIES: u64 = 20;
const POLICIES: u64 = 50;
const SILENCES: u64 = 100;

pub fn run(bench: &Bench, load: &Load) {
    println!(
        "\nloaded, {} alerts a run, {} runs: {DEPENDENCIES} dependencies a service, {POLICIES} policies, {SILENCES} silences",
        load.alerts, bench.runs
    );
    let (mut plain, mut loaded) = (Vec::new(), Vec::new());
    for _ in 0..bench.runs {
        plain.push(bench.run(load, 10));
        println!("  without    {}", plain[plain.len() - 1]);
        loaded.push(bench.run_with(load, settings(bench), &mut |app| silence(app, true)));
        println!("  loaded     {}", loaded[loaded.len() - 1]);
        // All runs read the same commands.
        let reader = App::new("over", Settings { shared: Some((load.prefix.clone(), "-over".to_owned())), ..bench.settings(1) });
        silence(&reader, false);
    }
    let (plain, loaded) = (median(&plain), median(&loaded));
    println!("  ratios     time {:.2}, CPU {:.2} (wanted: 1.10 or less)", plain.alerts / loaded.alerts, loaded.cpu / plain.cpu);
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
