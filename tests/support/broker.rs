//! A real Apache Kafka (KRaft) on loopback ports, gone with the process that started it.
//!
//! [`bootstrap`] is the one broker that all tests of a binary share, started at first use; each test keeps to topics of
//! its own prefix. `INCIDENTD_TEST_BOOTSTRAP` names another cluster to use in its place. [`Cluster`] is for tests that
//! stop brokers.

use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use std::fs::{self, File};
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Mutex, OnceLock, mpsc};
use std::thread;
use std::time::{Duration, Instant};

const START_LIMIT: Duration = Duration::from_secs(60);
/// Another process may take a port between our look and the broker's.
const START_ATTEMPTS: usize = 3;
/// Any UUID will do: these clusters never meet.
const CLUSTER_ID: &str = "aW5jaWRlbnRkLXRlc3RzLQ";

/// `bootstrap.servers` of the cluster that all tests share.
pub fn bootstrap() -> &'static str {
    static BOOTSTRAP: OnceLock<String> = OnceLock::new();
    BOOTSTRAP.get_or_init(|| match std::env::var("INCIDENTD_TEST_BOOTSTRAP") {
        Ok(elsewhere) if !elsewhere.is_empty() => elsewhere,
        _ => {
            let cluster = Cluster::start(1);
            let servers = cluster.bootstrap().to_owned();
            *SHARED.lock().unwrap_or_else(|e| e.into_inner()) = Some(cluster);
            // SAFETY: `drop_shared` is a plain function that panics nowhere.
            unsafe { libc::atexit(drop_shared) };
            servers
        }
    })
}

static SHARED: Mutex<Option<Cluster>> = Mutex::new(None);

/// Statics are never dropped: this ends the shared broker when the test binary exits.
extern "C" fn drop_shared() {
    if let Ok(mut shared) = SHARED.try_lock() {
        shared.take();
    }
}

/// Brokers that are controllers too. Killed, and their folder removed, on drop; they also die with this process.
pub struct Cluster {
    nodes: Vec<Node>,
    bootstrap: String,
    dir: PathBuf,
}

struct Node {
    /// Where its clients reach it.
    address: String,
    properties: PathBuf,
    log: PathBuf,
    child: Option<Child>,
}

impl Cluster {
    /// `nodes`: 1, or 3 where the test stops one. Panics with the broker's log where it does not come up.
    pub fn start(nodes: usize) -> Cluster {
        sweep();
        let jars = jars();
        let mut attempt = 1;
        loop {
            match Cluster::attempt(nodes, &jars) {
                Ok(cluster) => return cluster,
                Err(error) if attempt == START_ATTEMPTS => panic!("{error}"),
                Err(_) => attempt += 1,
            }
        }
    }

    fn attempt(nodes: usize, jars: &Path) -> Result<Cluster, String> {
        static COUNT: std::sync::atomic::AtomicUsize = std::sync::atomic::AtomicUsize::new(0);
        let name = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let dir = std::env::temp_dir().join(format!("{FOLDER}{name}"));
        fs::create_dir_all(&dir).map_err(|e| format!("{}: {e}", dir.display()))?;

        let ports = free_ports(2 * nodes);
        let (clients, controllers) = ports.split_at(nodes);
        let list = |items: Vec<String>| items.join(",");
        let voters = list(controllers.iter().enumerate().map(|(id, port)| format!("{id}@127.0.0.1:{port}")).collect());
        let bootstrap = list(clients.iter().map(|port| format!("127.0.0.1:{port}")).collect());
        let mut cluster = Cluster { nodes: Vec::new(), bootstrap, dir: dir.clone() };
        for id in 0..nodes {
            let properties = dir.join(format!("server-{id}.properties"));
            let data = dir.join(format!("data-{id}"));
            let text = server_properties(id, nodes, clients[id], controllers[id], &voters, &data);
            fs::write(&properties, text).map_err(|e| format!("{}: {e}", properties.display()))?;
            let log = log_dir().join(format!("{LOG}{name}-{id}.log"));
            let address = format!("127.0.0.1:{}", clients[id]);
            cluster.nodes.push(Node { address, properties, log, child: None });
        }
        for node in &cluster.nodes {
            node.format(jars)?;
        }
        for id in 0..nodes {
            cluster.nodes[id].run(jars)?;
        }
        cluster.wait_ready()?;
        Ok(cluster)
    }

    pub fn bootstrap(&self) -> &str {
        &self.bootstrap
    }

    /// `kill -9` of one broker.
    pub fn kill(&mut self, node: usize) {
        self.nodes[node].kill();
    }

    /// Starts a killed broker again, on its own ports and data, and waits for all.
    pub fn restart(&mut self, node: usize) {
        self.nodes[node].kill();
        if let Err(error) = self.nodes[node].run(&jars()).and_then(|()| self.wait_ready()) {
            panic!("{error}");
        }
    }

    /// Until each broker answers, and knows all of them.
    fn wait_ready(&mut self) -> Result<(), String> {
        let count = self.nodes.len();
        self.nodes.iter_mut().try_for_each(|node| node.wait_ready(count))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        for node in &mut self.nodes {
            node.kill();
        }
        let _ = fs::remove_dir_all(&self.dir);
    }
}

impl Node {
    fn format(&self, jars: &Path) -> Result<(), String> {
        let output = java(jars)
            .args(["-XX:TieredStopAtLevel=1", "kafka.tools.StorageTool", "format", "--cluster-id", CLUSTER_ID, "--config"])
            .arg(&self.properties)
            .stdin(Stdio::null())
            .output()
            .map_err(no_java)?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        Err(format!("kafka.tools.StorageTool format failed ({}):\n{said}", output.status))
    }

    fn run(&mut self, jars: &Path) -> Result<(), String> {
        let log = File::create(&self.log).map_err(|e| format!("{}: {e}", self.log.display()))?;
        let mut command = java(jars);
        command.args(["-Xms256m", "-Xmx1g", "-XX:+UseG1GC", "kafka.Kafka"]).arg(&self.properties);
        command.stdin(Stdio::null()).stdout(log.try_clone().map_err(|e| e.to_string())?).stderr(log);
        self.child = Some(spawn(command).map_err(no_java)?);
        Ok(())
    }

    fn wait_ready(&mut self, count: usize) -> Result<(), String> {
        let deadline = Instant::now() + START_LIMIT;
        let client: BaseConsumer = ClientConfig::new()
            .set("bootstrap.servers", &self.address)
            .set("log_level", "0")
            .set("reconnect.backoff.max.ms", "100")
            .create()
            .map_err(|e| e.to_string())?;
        loop {
            let known = client.fetch_metadata(None, Duration::from_millis(500)).map_or(0, |found| found.brokers().len());
            if known == count {
                return Ok(());
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || Instant::now() > deadline {
                let what = ended.map_or(format!("is not up after {START_LIMIT:?}"), |status| format!("ended ({status})"));
                return Err(format!("the Kafka broker {what}; its log, {}:\n{}", self.log.display(), self.tail()));
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// The last lines of its log.
    fn tail(&self) -> String {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(40)..].join("\n")
    }
}

/// Spawned by a thread that never ends, for the kernel ends the child with the *thread* that it was told to outlive.
fn spawn(mut command: Command) -> std::io::Result<Child> {
    // SAFETY: prctl is a plain system call, safe between fork and exec.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        });
    }
    let (said, heard) = mpsc::channel();
    thread::spawn(move || {
        let _ = said.send(command.spawn());
        loop {
            thread::park();
        }
    });
    heard.recv().map_err(std::io::Error::other)?
}

fn server_properties(id: usize, nodes: usize, client: u16, controller: u16, voters: &str, data: &Path) -> String {
    let data = data.display();
    let min_isr = nodes.div_ceil(2);
    format!(
        "process.roles=broker,controller
node.id={id}
controller.quorum.voters={voters}
listeners=PLAINTEXT://127.0.0.1:{client},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{client}
controller.listener.names=CONTROLLER
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
log.dirs={data}
auto.create.topics.enable=false
min.insync.replicas={min_isr}
offsets.topic.replication.factor={nodes}
offsets.topic.num.partitions=4
transaction.state.log.replication.factor={nodes}
transaction.state.log.min.isr={min_isr}
transaction.state.log.num.partitions=4
# A transaction whose writer died ends at its own timeout, not up to 10 s later.
transaction.abort.timed.out.transaction.cleanup.interval.ms=500
group.initial.rebalance.delay.ms=0
group.min.session.timeout.ms=1000
# Records of the tests may bear any timestamp.
log.retention.ms=-1
log.cleaner.dedupe.buffer.size=16777216
num.network.threads=2
num.io.threads=4
"
    )
}

fn java(jars: &Path) -> Command {
    let java = match std::env::var_os("JAVA_HOME") {
        Some(home) if !home.is_empty() => Path::new(&home).join("bin/java"),
        _ => PathBuf::from("java"),
    };
    let mut command = Command::new(java);
    command.arg("-cp").arg(jars.join("*"));
    command.args(["-XX:-UsePerfData", "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"]);
    command.arg("-Dorg.slf4j.simpleLogger.showDateTime=true");
    command
}

fn no_java(error: std::io::Error) -> String {
    format!("Java does not start ({error}): the tests on a real Kafka broker need Java 17 or later; scripts/test installs it")
}

/// The folder of Kafka's jars, filled by Maven where it is not yet.
fn jars() -> PathBuf {
    static JARS: OnceLock<PathBuf> = OnceLock::new();
    JARS.get_or_init(|| {
        let folder = log_dir().parent().expect("a folder inside the target folder").join("kafka-libs");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/resolve-jars");
        let output = Command::new("bash").arg(script).arg(&folder).output().expect("bash starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        folder
    })
    .clone()
}

/// Several listeners at once, so that all ports differ.
fn free_ports(count: usize) -> Vec<u16> {
    let listeners: Vec<TcpListener> =
        (0..count).map(|_| TcpListener::bind("127.0.0.1:0").expect("a free loopback port")).collect();
    listeners.iter().map(|listener| listener.local_addr().expect("a bound listener has an address").port()).collect()
}

const FOLDER: &str = "incidentd-kafka-";
const LOG: &str = "kafka-broker-";

/// Brokers' logs stay here, in the target folder, until the next run.
fn log_dir() -> PathBuf {
    let dir = PathBuf::from(env!("CARGO_TARGET_TMPDIR"));
    fs::create_dir_all(&dir).expect("the target folder can be written");
    dir
}

/// Removes what runs that were killed left behind: the names carry the run's process id.
fn sweep() {
    for (dir, prefix) in [(std::env::temp_dir(), FOLDER), (log_dir(), LOG)] {
        for entry in fs::read_dir(dir).into_iter().flatten().flatten() {
            let name = entry.file_name().to_string_lossy().into_owned();
            let pid = name.strip_prefix(prefix).and_then(|rest| rest.split('-').next()).and_then(|pid| pid.parse::<u32>().ok());
            let Some(pid) = pid else { continue };
            if !Path::new(&format!("/proc/{pid}")).exists() {
                let _ = if entry.path().is_dir() { fs::remove_dir_all(entry.path()) } else { fs::remove_file(entry.path()) };
            }
        }
    }
}
