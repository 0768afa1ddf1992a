//! `demo`: everything in one process over the embedded broker, with generated LLM alerts and a view of what is decided.

mod scenario;
mod tail;
mod view;

use crate::app::{Failure, api, reload, run};
use crate::config::{Config, Role};
use crate::http::{self, Gate, Surface};
use crate::kafka::{self, Appender, Clients, Embedded, Names};
use crate::rules::RuleSource;
use crate::rules_dir::Follower;
use crate::worker::SharedRules;
use clap::Args;
use include_dir::{Dir, DirEntry, include_dir};
use scenario::Scenario;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tail::Tail;
use tokio::net::TcpListener;
use view::View;

/// The repository's own rules, so that the demo runs from any folder.
static RULES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/rules");
const DRAIN: Duration = Duration::from_secs(5);
const APPEND: Duration = Duration::from_secs(5);

#[derive(Args)]
pub struct Options {
    /// Stop after so many seconds; without it Ctrl-C stops
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
    /// Alerts a second, about
    #[arg(long, value_name = "N", default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    rate: u32,
    /// Where /metrics, /healthz and /readyz are served; another port is taken if this one is in use
    #[arg(long, value_name = "PORT", default_value_t = 8080)]
    port: u16,
    /// Rules of your own in place of the built-in ones; changes are taken while it runs
    #[arg(long, value_name = "DIR")]
    rules: Option<PathBuf>,
}

/// Runs until the time is over or SIGINT or SIGTERM comes.
pub fn demo(options: &Options) -> Result<(), Failure> {
    let runtime = run::runtime()?;
    let metrics = run::exporter()?;
    let mut config = configuration();
    let (rules, status) = match &options.rules {
        Some(dir) => {
            config.rules.dir.clone_from(dir);
            reload::load(&config)?
        }
        None => {
            let rules = built_in();
            let status = reload::check(&rules)?;
            (rules, status)
        }
    };
    let broker = Embedded::start(&config.topics)?;
    let clients = Arc::new(broker.clients(&config.kafka, rand::random())?);
    let layout = kafka::Observer::new(&clients)?.layout(&config.topics, Instant::now() + Duration::from_secs(10))?;
    let (listener, moved) = runtime.block_on(listen(options.port))?;
    let view = View::new();
    view.say(&greeting(&clients, &run::url(&listener), &rules, options, moved));

    let shared = Arc::new(SharedRules::new(rules.clone()));
    let follower = match options.rules {
        Some(_) => Some(reload::follow(&config, rules, Arc::clone(&shared), status.clone())?),
        None => None,
    };
    let serving = Arc::new(api::start(&config, &clients, &layout, status, follower.as_ref().map(Follower::asker))?);
    let workers = run::start_workers(&config, Arc::clone(&clients), layout, shared, Arc::default())?;
    let gate = Gate::default();
    let surface =
        Surface { ready: run::ready(Some(&workers), None, Some(&serving), &gate), metrics: metrics.clone(), gate: gate.clone() };
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let url = run::url(&listener);
    let routes = http::router(surface, Some(Arc::clone(&serving.api)));
    let server = runtime.spawn(http::serve(listener, routes, async {
        let _ = stopped.await;
    }));
    runtime.spawn(run::keep_up(metrics, Some(serving)));
    let tail = Tail::start(&clients, &config.topics, Arc::clone(&view))?;
    let alerts = Names::new(&config.topics).alerts;
    runtime.spawn(generate(Appender::new(&clients)?, alerts, options.rate, Arc::clone(&view)));

    let time = async {
        match options.seconds {
            Some(seconds) => tokio::time::sleep(Duration::from_secs(seconds)).await,
            None => std::future::pending().await,
        }
    };
    let outcome = runtime.block_on(async {
        tokio::select! {
            () = time => Ok(()),
            outcome = run::wait(Some(&workers), None, || follower.iter().for_each(Follower::ask)) => outcome,
        }
    });
    runtime.block_on(gate.close());
    drop(follower);
    let drained = workers.join(Instant::now() + DRAIN);
    drop(tail);
    let _ = stop.send(());
    // A timer wants the runtime around it.
    let _ = runtime.block_on(async { tokio::time::timeout(DRAIN, server).await });
    runtime.shutdown_background();
    view.finish(&url);
    outcome?;
    drained.map_err(Failure::Wrong)
}

/// Few partitions, and counts published often: there is somebody looking.
fn configuration() -> Config {
    let mut config = Config { roles: vec![Role::Engine], ..Config::default() };
    config.topics.partitions = 4;
    config.topics.action_partitions = 1;
    // The embedded broker keeps no offsets of transactions: no second member, so that no partition changes hands.
    config.engine.workers = 1;
    config.engine.publish_interval = 3_000;
    config
}

fn built_in() -> RuleSource {
    fn take(dir: &Dir<'_>, source: &mut RuleSource) {
        for entry in dir.entries() {
            match entry {
                DirEntry::Dir(inner) if inner.path().to_str() != Some("tests") => take(inner, source),
                DirEntry::File(file) => {
                    let wanted = file.path().extension().is_some_and(|end| end == "rhai" || end == "toml");
                    if let (true, Some(path), Some(text)) = (wanted, file.path().to_str(), file.contents_utf8()) {
                        source.files.insert(path.replace('\\', "/"), text.to_owned());
                    }
                }
                DirEntry::Dir(_) => {}
            }
        }
    }
    let mut source = RuleSource::default();
    take(&RULES, &mut source);
    source
}

/// The wanted port on loopback, or any; true: another than wanted.
async fn listen(port: u16) -> Result<(TcpListener, bool), Failure> {
    match TcpListener::bind(("127.0.0.1", port)).await {
        Ok(listener) => Ok((listener, false)),
        Err(_) => Ok((run::listen("127.0.0.1:0").await?, true)),
    }
}

fn greeting(clients: &Clients, url: &str, rules: &RuleSource, options: &Options, moved: bool) -> String {
    let admin = clients.admin();
    let broker = admin.get("bootstrap.servers").unwrap_or("?");
    let moved = if moved { format!("  (port {} is taken)", options.port) } else { String::new() };
    let files = rules.files.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let rules = match &options.rules {
        Some(dir) => format!("{}: {files}  (change them: they are taken while this runs)", dir.display()),
        None => format!("built in, the repository's: {files}  (--rules DIR for yours)"),
    };
    format!(
        "incidentd demo: alerts of an LLM platform are folded into incidents, and rules decide who is told.\n\
         Nothing leaves this process: pages are shown, not sent. Ctrl-C ends it.\n\n  \
         broker    {broker}  (embedded; gone when this ends)\n  \
         page      {url}/{moved}\n  \
         API       {url}/v1/incidents\n  \
         metrics   {url}/metrics\n  \
         ready     {url}/readyz\n  \
         rules     {rules}\n"
    )
}

/// Appends the scenario's alerts at their times, until the runtime ends.
async fn generate(appender: Appender, topic: String, rate: u32, view: Arc<View>) {
    let began = Instant::now();
    for event in Scenario::new(rand::random(), rate) {
        tokio::time::sleep_until((began + event.at).into()).await;
        let key = event.key.as_deref().map(str::as_bytes);
        match appender.append(&topic, None, key, Some(event.value.as_bytes()), &[], APPEND).await {
            Ok(_) => view.sent(event.alerts),
            Err(error) => view.say(&format!("  the embedded broker does not take alerts: {error}")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{AlertRecord, Item, read_alerts};
    use crate::model::{Origin, Time, Topic};
    use crate::rules::{Limits, RuleSet};
    use crate::settings;

    #[test]
    fn the_built_in_rules_check_without_a_warning() {
        let (rules, warnings) = RuleSet::load(&built_in(), &Limits::default()).unwrap_or_else(|found| panic!("{found:?}"));
        assert!(rules.notifications().len() > 3);
        assert_eq!(warnings, []);
    }

    /// All alerts of the story are right, but those that are wrong on purpose.
    #[test]
    fn the_story_is_understood() {
        let settings = settings::codec(&configuration());
        let (mut right, mut wrong) = (0, 0);
        for event in Scenario::new(7, 10).take(2_000) {
            let origin = Origin { topic: Topic::Alerts, partition: 0, offset: 0, index: 0 };
            let record = AlertRecord { origin, time: Time(0), value: Some(event.value.as_bytes()), form: None };
            read_alerts(&record, &settings, &mut |item| match item {
                Item::Alert { .. } => right += 1,
                Item::Rejected { .. } => wrong += 1,
                Item::Ignored => {}
            });
        }
        assert!(right >= 1_900, "{right}");
        assert!((1..right / 20).contains(&wrong), "{wrong}");
    }
}
