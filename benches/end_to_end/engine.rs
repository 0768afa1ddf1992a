//! `incidentd run` over a load that is already written.

use crate::load::{Load, SERVICES};
use crate::measure::{Mark, Speed};
use crate::support::app::{App, Process, Settings, unique};
use crate::support::client::Progress;
use incidentd::config::Config;
use incidentd::settings;
use std::fmt::Write as _;
use std::str::FromStr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// What the environment asked for.
pub struct Bench {
    pub alerts: u64,
    pub runs: usize,
    pub partitions: u32,
    pub workers: u32,
    pub commit_interval: String,
    pub seconds: u64,
    pub incidents: u64,
    pub rules: usize,
}

impl Bench {
    pub fn from_environment() -> Bench {
        Bench {
            alerts: setting("ALERTS", 2_000_000),
            runs: setting("RUNS", 3),
            partitions: setting("PARTITIONS", 8),
            workers: setting("WORKERS", 0),
            commit_interval: setting("COMMIT", "50ms".to_owned()),
            seconds: setting("SECONDS", 20),
            incidents: setting("INCIDENTS", 1_000_000),
            rules: setting("RULES", 1_000),
        }
    }

    pub fn settings(&self, rules: usize) -> Settings {
        Settings {
            partitions: self.partitions,
            rules: notification_rules(rules, "#critical"),
            workers: self.workers,
            publish_interval: "10s",
            engine: format!("commit_interval = \"{}\"", self.commit_interval),
            tables: "[catch_up]\nmax = \"0\"\n[limits]\nopen_incidents = 5000000".to_owned(),
            ..Settings::default()
        }
    }

    pub fn write_load(&self, alerts: u64) -> Load {
        let prefix = unique("load");
        let app = App::new("load", Settings { shared: Some((prefix.clone(), "-none".to_owned())), ..self.settings(1) });
        let start = Instant::now();
        let config = Config::load(Some(&app.config_file()), std::iter::empty()).expect("the benchmark's own configuration");
        let load = Load::write(app.topic("alerts"), prefix, alerts, settings::codec(&config));
        println!("{} alerts written in {:.1} s", load.alerts, start.elapsed().as_secs_f64());
        load
    }

    /// One run from the load's beginning, with all topics but `alerts` new.
    pub fn run(&self, load: &Load, rules: usize) -> Speed {
        let [begin, end] = self.pass(load, self.settings(rules), &mut |_| {}, [load.from, load.alerts]);
        begin.until(&end)
    }

    /// As [`Bench::run`], with settings of its own: when it had passed so many alerts. `prepare`: what is done before the start.
    pub fn pass<const N: usize>(
        &self,
        load: &Load,
        settings: Settings,
        prepare: &mut dyn FnMut(&App),
        at: [i64; N],
    ) -> [Mark; N] {
        static RUN: AtomicUsize = AtomicUsize::new(0);
        let suffix = format!("-{}", RUN.fetch_add(1, Ordering::Relaxed));
        let app = App::new("run", Settings { shared: Some((load.prefix.clone(), suffix)), ..settings });
        prepare(&app);
        let progress = Progress::new(&app.group(), &load.topic);
        let mut process = app.start();
        let marks = at.map(|alerts| reach(&mut process, &progress, alerts));
        process.stop();
        marks
    }
}

/// Until the group has committed that many alerts.
pub fn reach(process: &mut Process, progress: &Progress, alerts: i64) -> Mark {
    const PATIENCE: Duration = Duration::from_secs(60);
    let (mut best, mut since) = (0, Instant::now());
    loop {
        let committed = progress.committed().iter().sum();
        if committed >= alerts {
            return Mark::now(process.pid(), committed);
        }
        if committed > best {
            (best, since) = (committed, Instant::now());
        }
        assert!(
            process.is_running() && since.elapsed() < PATIENCE,
            "incidentd stands still at {committed} of {alerts}:\n{}",
            process.log()
        );
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The first pages for what is critical, to that channel; the others are teams' own, for one service each, every tenth with a condition.
pub fn notification_rules(count: usize, critical: &str) -> String {
    let mut text = String::new();
    for n in 0..count {
        match n {
            0 => write!(
                text,
                r##"notification(#{{ name: "critical", priority: 100, where: #{{ severity: "critical", environment: "production" }}, channels: [ slack("{critical}") ] }});"##
            )
            .expect("a String takes all"),
            _ => {
                let service = (n as u64 * 37) % SERVICES;
                let when = if n % 10 == 0 { r##", when: |incident| incident.labels.tenant_id == "none""## } else { "" };
                write!(
                    text,
                    r##"notification(#{{ name: "team-{n}", where: #{{ service_id: "svc-{service:04}", severity: ["critical", "high"], labels: #{{ region: ["us-*"] }} }}{when}, channels: [ slack("#team-{n}") ] }});"##
                )
                .expect("a String takes all");
            }
        }
        text.push('\n');
    }
    text
}

fn setting<T: FromStr>(name: &str, default: T) -> T {
    let name = format!("INCIDENTD_BENCH_{name}");
    match std::env::var(&name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name} is `{text}`, which is no such value")),
        Err(_) => default,
    }
}
