//! `run`: start order (rules, topics, workers, HTTP) and drain order (workers first, then HTTP).

use crate::app::observe::Observer;
use crate::app::{Failure, reload};
use crate::config::{Config, Role};
use crate::http::{self, Ready, Surface};
use crate::kafka::{self, Clients, Layout, Names};
use crate::metrics::Exporter;
use crate::settings;
use crate::worker::{self, Observe, SharedRules, Workers};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::signal::unix::{SignalKind, signal};

/// From the signal to the end.
const DRAIN: Duration = Duration::from_secs(10);
/// For the brokers to be reachable and the topics to be there.
const TOPICS: Duration = Duration::from_secs(30);
/// Between two foldings of histogram samples.
const UPKEEP: Duration = Duration::from_secs(5);
/// Between two looks at whether the workers failed.
const LOOK: Duration = Duration::from_millis(50);

/// Runs until SIGTERM or SIGINT, or until the workers cannot go on.
pub fn run(config: &Config) -> Result<(), Failure> {
    let runtime = runtime()?;
    let metrics = exporter()?;
    let source = reload::load(config)?;
    let clients = Arc::new(Clients::new(&config.kafka, rand::random())?);
    if config.roles.iter().any(|role| *role != Role::Engine) {
        // Honest about what this version has: the roles are accepted, and only the engine does something.
        tracing::info!("the roles delivery and api have nothing to do yet but /healthz, /readyz and /metrics");
    }
    tracing::info!(brokers = config.kafka.get("bootstrap.servers"), "verifying the topics");
    let layout = kafka::Observer::new(&clients)?.layout(&config.topics, Instant::now() + TOPICS)?;
    // Bound before anything is consumed: a taken port is found out now.
    let listener = runtime.block_on(listen(&config.api.listen))?;
    let shared = Arc::new(SharedRules::new(source.clone()));
    let workers = match config.has_role(Role::Engine) {
        true => Some(start_workers(config, clients, layout, Arc::clone(&shared), Arc::new(Observer::default()))?),
        false => None,
    };
    let follower = reload::follow(config, source, shared)?;
    let surface = Surface { ready: ready(workers.as_ref()), metrics: metrics.clone() };
    tracing::info!(url = %url(&listener), roles = ?config.roles, "started");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = runtime.spawn(http::serve(listener, http::router(surface), async {
        let _ = stopped.await;
    }));
    runtime.spawn(keep_up(metrics));
    let outcome = runtime.block_on(wait(workers.as_ref(), || follower.ask()));
    let deadline = Instant::now() + DRAIN;
    drop(follower);
    let drained = match workers {
        Some(workers) => workers.join(deadline),
        None => Ok(()),
    };
    let _ = stop.send(());
    // A timer wants the runtime around it.
    let _ = runtime.block_on(async { tokio::time::timeout_at(deadline.into(), server).await });
    runtime.shutdown_background();
    if drained.is_ok() {
        tracing::info!("drained");
    }
    outcome?;
    drained.map_err(|late| Failure::Wrong(format!("not drained within {} s: {late}", DRAIN.as_secs())))
}

pub(super) fn runtime() -> Result<Runtime, Failure> {
    // The engine has its own threads; this serves HTTP and signals.
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(no_runtime)
}

pub(super) fn no_runtime(error: std::io::Error) -> Failure {
    Failure::Wrong(format!("the runtime cannot start: {error}"))
}

pub(super) fn exporter() -> Result<Exporter, Failure> {
    Exporter::install().map_err(|error| Failure::Wrong(format!("the metrics cannot be set up: {error}")))
}

pub(super) async fn listen(address: &str) -> Result<TcpListener, Failure> {
    TcpListener::bind(address)
        .await
        .map_err(|error| Failure::Wrong(format!("api.listen: {address}: {error}; free the port, or set api.listen to another")))
}

pub(super) fn url(listener: &TcpListener) -> String {
    listener.local_addr().map_or_else(|_| "http://?".to_owned(), |address| format!("http://{address}"))
}

pub(super) fn start_workers(
    config: &Config,
    clients: Arc<Clients>,
    layout: Layout,
    rules: Arc<SharedRules>,
    observer: Arc<Observer>,
) -> Result<Workers, Failure> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // A worker without a shard would only wait.
    let workers = if config.engine.workers == 0 { cores } else { config.engine.workers as usize };
    let observe: Observe = Arc::new(move |seen| observer.see(&seen));
    let millis = |millis: i64| Duration::from_millis(millis.unsigned_abs());
    Ok(worker::start(worker::Settings {
        clients,
        names: Names::new(&config.topics),
        workers: workers.min(layout.shards as usize),
        layout,
        commit_interval: millis(config.engine.commit_interval),
        idle_commit_interval: millis(config.engine.idle_commit_interval),
        catch_up: millis(config.catch_up.max),
        codec: Arc::new(settings::codec(config)),
        engine: Arc::new(settings::engine(config)),
        rules,
        rule_limits: settings::rule_limits(),
        observe,
    })?)
}

pub(super) fn ready(workers: Option<&Workers>) -> Ready {
    let Some(readiness) = workers.map(Workers::readiness) else { return Arc::new(|| Ok(())) };
    Arc::new(move || match readiness.ready() {
        true => Ok(()),
        false => Err("shards are being restored or have not caught up with their partitions, or a worker is stuck".to_owned()),
    })
}

pub(super) async fn keep_up(metrics: Exporter) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.upkeep();
    }
}

/// Until a signal ends the process (`Ok`) or the workers say that they cannot go on. SIGHUP calls `reload`.
pub(super) async fn wait(workers: Option<&Workers>, reload: impl Fn()) -> Result<(), Failure> {
    let listen = |kind| signal(kind).map_err(|error| Failure::Wrong(format!("signals cannot be listened to: {error}")));
    let (mut term, mut int) = (listen(SignalKind::terminate())?, listen(SignalKind::interrupt())?);
    let mut hangup = listen(SignalKind::hangup())?;
    let mut look = tokio::time::interval(LOOK);
    loop {
        tokio::select! {
            _ = term.recv() => return signalled("SIGTERM"),
            _ = int.recv() => return signalled("SIGINT"),
            _ = hangup.recv() => {
                tracing::info!("SIGHUP: looking at the rules");
                reload();
            }
            _ = look.tick() => {
                if let Some(reason) = workers.and_then(|workers| workers.failure().try_recv().ok()) {
                    return Err(Failure::Wrong(format!("the engine cannot go on: {reason}")));
                }
            }
        }
    }
}

fn signalled(name: &str) -> Result<(), Failure> {
    tracing::info!(signal = name, "draining");
    // A second signal ends the process at once, as it would have without us.
    for kind in [libc::SIGTERM, libc::SIGINT] {
        // SAFETY: restores the default reaction; no handler of ours runs any more.
        unsafe { libc::signal(kind, libc::SIG_DFL) };
    }
    Ok(())
}
