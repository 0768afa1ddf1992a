//! `run`: start order (rules, topics, the board, delivery, workers, HTTP) and drain order (the API lets nobody in and waits for
//! those inside, then the workers and delivery, then HTTP).

use crate::app::api::{self, Serving};
use crate::app::observe::Observer;
use crate::app::{Failure, delivery, reload};
use crate::config::{Config, Role};
use crate::delivery::Delivery;
use crate::delivery::channel::Roots;
use crate::http::{self, Gate, Ready, Surface};
use crate::kafka::{self, Clients, Layout, Names};
use crate::metrics::Exporter;
use crate::settings;
use crate::traces::Traces;
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

/// Where spans go, if anywhere; to be had before the log, which leads them there.
pub fn traces(config: &Config) -> Result<Option<Traces>, Failure> {
    let tls = || {
        let roots = Roots::load(config.delivery.ca_file.as_deref())?;
        roots.for_http().map_err(|error| format!("TLS cannot be set up: {error}"))
    };
    Traces::start(&config.telemetry, tls).map_err(Failure::Wrong)
}

/// Runs until SIGTERM or SIGINT, or until the workers cannot go on.
pub fn run(config: &Config, traces: Option<Traces>) -> Result<(), Failure> {
    let (runtime, http_runtime) = (runtime()?, http_runtime()?);
    let metrics = exporter()?;
    let (source, status) = reload::load(config)?;
    let clients = Arc::new(Clients::new(&config.kafka, rand::random())?);
    allow_many_files();
    tracing::info!(brokers = config.kafka.get("bootstrap.servers"), "verifying the topics");
    let layout = kafka::Observer::new(&clients)?.layout(&config.topics, Instant::now() + TOPICS)?;
    // Bound before anything is consumed: a taken port is found out now.
    let listener = http_runtime.block_on(listen(&config.api.listen))?;
    let shared = Arc::new(SharedRules::new(source.clone()));
    let follower = reload::follow(config, source, Arc::clone(&shared), status.clone())?;
    let serving = match config.has_role(Role::Api) {
        true => {
            let asker = follower.asker();
            Some(Arc::new(giving_way(|| api::start(config, &clients, &layout, status, Some(asker)))?))
        }
        false => None,
    };
    let delivery = match config.has_role(Role::Delivery) {
        true => Some(delivery::start(config, Arc::clone(&clients), &layout, runtime.handle())?),
        false => None,
    };
    let workers = match config.has_role(Role::Engine) {
        true => Some(start_workers(config, clients, layout, shared, Arc::new(Observer::default()))?),
        false => None,
    };
    let gate = Gate::default();
    let surface = Surface {
        ready: ready(workers.as_ref(), delivery.as_ref(), serving.as_ref(), &gate),
        metrics: metrics.clone(),
        gate: gate.clone(),
    };
    let routes = http::router(surface, serving.as_ref().map(|serving| Arc::clone(&serving.api)));
    tracing::info!(url = %url(&listener), roles = ?config.roles, "started");
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = http_runtime.spawn(http::serve(listener, routes, async {
        let _ = stopped.await;
    }));
    runtime.spawn(keep_up(metrics, serving.clone()));
    let outcome = runtime.block_on(wait(workers.as_ref(), delivery.as_ref(), || follower.ask()));
    let deadline = Instant::now() + DRAIN;
    runtime.block_on(gate.close());
    drop(follower);
    // Both at once: neither waits for what the other still writes.
    delivery.iter().for_each(|delivery| delivery.stop(deadline));
    let drained = workers.map_or(Ok(()), |workers| workers.join(deadline));
    let drained = drained.and(delivery.map_or(Ok(()), |delivery| delivery.join(deadline)));
    let _ = stop.send(());
    // A timer wants the runtime around it.
    let _ = runtime.block_on(async { tokio::time::timeout_at(deadline.into(), server).await });
    http_runtime.shutdown_background();
    runtime.shutdown_background();
    traces.into_iter().for_each(|traces| traces.stop(deadline));
    if drained.is_ok() {
        tracing::info!("drained");
    }
    outcome?;
    drained.map_err(|late| Failure::Wrong(format!("not drained within {} s: {late}", DRAIN.as_secs())))
}

pub(super) fn runtime() -> Result<Runtime, Failure> {
    // The engine has its own threads; this serves delivery and signals.
    tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(no_runtime)
}

/// Of HTTP alone, as the board and the API's clients: where the processors do not suffice, who looks and asks waits, not who is
/// paged.
fn http_runtime() -> Result<Runtime, Failure> {
    let mut threads = tokio::runtime::Builder::new_multi_thread();
    threads.worker_threads(2).thread_name("http").on_thread_start(give_way).enable_all().build().map_err(no_runtime)
}

/// Does it on a thread that gives way, as all threads do that it starts, those of Kafka's clients included.
fn giving_way<T: Send>(start: impl FnOnce() -> T + Send) -> T {
    let thread = || {
        give_way();
        start()
    };
    std::thread::scope(|scope| scope.spawn(thread).join()).unwrap_or_else(|panic| std::panic::resume_unwind(panic))
}

/// Of a processor that the engine wants too the calling thread gets a quarter, and what it starts.
fn give_way() {
    // Elsewhere it would concern the whole process.
    #[cfg(target_os = "linux")]
    // SAFETY: takes a number and touches no memory; where it is refused the thread stays as it is.
    unsafe {
        libc::nice(5);
    }
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
        rule_limits: settings::worker_rule_limits(),
        observe,
    })?)
}

/// Ready is who has its shards, its board, what it sent before, and is not about to end.
pub(super) fn ready(
    workers: Option<&Workers>,
    delivery: Option<&Delivery>,
    serving: Option<&Arc<Serving>>,
    gate: &Gate,
) -> Ready {
    let (workers, delivery) = (workers.map(Workers::readiness), delivery.map(Delivery::readiness));
    let (serving, gate) = (serving.cloned(), gate.clone());
    Arc::new(move || {
        if gate.is_closed() {
            return Err("this process is about to end".to_owned());
        }
        if workers.as_ref().is_some_and(|workers| !workers.ready()) {
            return Err("shards are being restored or have not caught up with their partitions, or a worker is stuck".to_owned());
        }
        if delivery.as_ref().is_some_and(|ready| !ready()) {
            return Err("delivery has not joined its group or not read yet what was sent before, or is stuck".to_owned());
        }
        serving.as_ref().map_or(Ok(()), |serving| serving.ready())
    })
}

pub(super) async fn keep_up(metrics: Exporter, serving: Option<Arc<Serving>>) {
    loop {
        tokio::time::sleep(UPKEEP).await;
        metrics.upkeep();
        if let Some(serving) = &serving {
            serving.upkeep();
        }
    }
}

/// Each connection is a file: as many as the system lets us have, not the few of a shell.
fn allow_many_files() {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: both calls take a pointer to a limit of ours that outlives them; where they fail the old limit stays.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) == 0 {
            limit.rlim_cur = limit.rlim_max;
            libc::setrlimit(libc::RLIMIT_NOFILE, &limit);
        }
    }
}

/// Until a signal ends the process (`Ok`) or the workers or delivery say that they cannot go on. SIGHUP calls `reload`.
pub(super) async fn wait(workers: Option<&Workers>, delivery: Option<&Delivery>, reload: impl Fn()) -> Result<(), Failure> {
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
                if let Some(reason) = delivery.and_then(|delivery| delivery.failure().try_recv().ok()) {
                    return Err(Failure::Wrong(format!("delivery cannot go on: {reason}")));
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
