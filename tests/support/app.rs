//! The real binary on topics of its own: configured, started, and ended in every way.

use crate::support::{broker, wait_until};
use std::fmt::Write as _;
use std::fs::{self, File};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tempfile::TempDir;

/// One installation: its topics exist, its rules and configuration lie in a folder of its own.
pub struct App {
    dir: TempDir,
    /// Goes before each topic's name.
    prefix: String,
    /// Goes after the name of each that is not an input.
    suffix: String,
    settings: Settings,
}

/// What tests set differently.
#[derive(Clone)]
pub struct Settings {
    /// A TOML array.
    pub roles: &'static str,
    pub partitions: u32,
    /// A `.rhai` file.
    pub rules: String,
    /// `rules.watch`.
    pub watch: bool,
    /// More files of the rules folder, with their names.
    pub files: Vec<(&'static str, String)>,
    /// `[correlation]`, a line each.
    pub correlation: &'static str,
    pub workers: u32,
    pub publish_interval: &'static str,
    /// `api.listen`.
    pub listen: String,
    /// More keys of `[api]`, a line each.
    pub api: String,
    /// More keys of `[engine]`, a line each.
    pub engine: String,
    /// Whole tables of the configuration.
    pub tables: String,
    /// More properties of `[kafka]`, a line each.
    pub kafka: String,
    /// `bootstrap.servers` of a cluster of the test's own.
    pub bootstrap: Option<String>,
    /// Where several installations read the same `alerts`: what their topics have in common, and what goes after the
    /// names of all others to keep them apart.
    pub shared: Option<(String, String)>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            roles: r#"["engine"]"#,
            partitions: 4,
            rules: PAGE_CRITICAL.to_owned(),
            watch: false,
            files: Vec::new(),
            correlation: "hold = \"0\"",
            workers: 2,
            publish_interval: "500ms",
            listen: "127.0.0.1:0".to_owned(),
            api: String::new(),
            engine: String::new(),
            tables: String::new(),
            kafka: String::new(),
            bootstrap: None,
            shared: None,
        }
    }
}

/// Each critical incident makes one notification, no other makes any.
pub const PAGE_CRITICAL: &str =
    r##"notification(#{ name: "critical", where: #{ severity: "critical" }, channels: [ slack("#critical") ] });"##;

const INPUTS: [&str; 3] = ["alerts", "commands", "events"];
/// By their keys in the configuration.
const OUTPUTS: [(&str, &str); 11] = [
    ("incidents", "incidents"),
    ("silences", "silences"),
    ("notifications", "notifications"),
    ("escalations", "escalations"),
    ("remediations", "remediations"),
    ("decisions", "decisions"),
    ("dead_letters", "dead-letters"),
    ("state", "incidentd-state"),
    ("inbox", "incidentd-inbox"),
    ("replies", "incidentd-replies"),
    ("delivery", "incidentd-delivery"),
];

/// A prefix that no other test, and no earlier run on the same cluster, has.
pub fn unique(name: &str) -> String {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let millis = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    format!("{name}-{millis}-{}-", COUNT.fetch_add(1, Ordering::Relaxed))
}

impl App {
    /// Makes the topics, by `incidentd topics create`.
    pub fn new(name: &str, settings: Settings) -> App {
        let (prefix, suffix) = settings.shared.clone().unwrap_or_else(|| (unique(name), String::new()));
        let dir = tempfile::Builder::new().prefix("incidentd-app-").tempdir().expect("a temporary folder");
        fs::create_dir(dir.path().join("rules")).expect("a folder");
        fs::write(dir.path().join("rules/test.rhai"), &settings.rules).expect("a file");
        for (name, text) in &settings.files {
            let path = dir.path().join("rules").join(name);
            fs::create_dir_all(path.parent().expect("it lies in the folder")).expect("a folder");
            fs::write(path, text).expect("a file");
        }
        let app = App { dir, prefix, suffix, settings };
        let output = app.command(&["topics", "create"], &app.config("setup", true)).output().expect("incidentd starts");
        assert!(
            output.status.success(),
            "topics create: {}\n{}{}",
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        app
    }

    /// By its name without prefix, such as `dead-letters`.
    pub fn topic(&self, name: &str) -> String {
        let suffix = if INPUTS.contains(&name) { "" } else { &self.suffix };
        format!("{}{name}{suffix}", self.prefix)
    }

    /// Writes a file of the rules folder.
    pub fn write_rules(&self, name: &str, text: &str) {
        fs::write(self.dir.path().join("rules").join(name), text).expect("a file");
    }

    pub fn group(&self) -> String {
        format!("{}group{}", self.prefix, self.suffix)
    }

    /// The keys of `[topics]` that name topics.
    fn names(&self) -> String {
        let mut lines = String::new();
        for (key, name) in OUTPUTS {
            writeln!(lines, "{key} = \"{name}{}\"", self.suffix).expect("a String takes all");
        }
        lines
    }

    /// As a static member goes by.
    pub fn config_file(&self) -> PathBuf {
        self.config("static", true)
    }

    /// A configuration file; a static member rejoins its group at once after a crash.
    fn config(&self, member: &str, is_static: bool) -> PathBuf {
        let Settings {
            roles, partitions, watch, workers, publish_interval, listen, api, engine, tables, kafka, correlation, ..
        } = &self.settings;
        let mut text = format!(
            r##"roles = {roles}
{tables}
[topics]
prefix = "{prefix}"
partitions = {partitions}
action_partitions = 2
replication = 1
{names}[engine]
workers = {workers}
publish_interval = "{publish_interval}"
{engine}
[correlation]
{correlation}
[rules]
dir = "{rules}"
watch = {watch}
[api]
listen = "{listen}"
{api}
[kafka]
"bootstrap.servers" = "{bootstrap}"
"group.id" = "{group}"
{kafka}
"##,
            prefix = self.prefix,
            names = self.names(),
            rules = self.dir.path().join("rules").display(),
            bootstrap = self.settings.bootstrap.as_deref().unwrap_or_else(|| broker::bootstrap()),
            group = self.group(),
        );
        if is_static {
            writeln!(text, "\"group.instance.id\" = \"{member}\"").expect("a String takes all");
        }
        let path = self.dir.path().join(format!("{member}.toml"));
        fs::write(&path, text).expect("a file");
        path
    }

    fn command(&self, arguments: &[&str], config: &PathBuf) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_incidentd"));
        command.args(arguments).arg("--config").arg(config).stdin(Stdio::null());
        command
    }

    /// A static member of the group, so that its successor takes over at once.
    pub fn start(&self) -> Process {
        self.start_with(&[])
    }

    pub fn start_with(&self, environment: &[(&str, &str)]) -> Process {
        self.spawn("static", true, environment)
    }

    /// A dynamic member: what it held stays with it until its session is over.
    pub fn start_dynamic(&self, member: &str) -> Process {
        self.spawn(member, false, &[])
    }

    fn spawn(&self, member: &str, is_static: bool, environment: &[(&str, &str)]) -> Process {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let log = self.dir.path().join(format!("{member}-{}.log", COUNT.fetch_add(1, Ordering::Relaxed)));
        let out = File::create(&log).expect("a log file");
        let mut command = self.command(&["run"], &self.config(member, is_static));
        command.envs(environment.iter().copied());
        command.stdout(out.try_clone().expect("a second handle")).stderr(out);
        Process { child: command.spawn().expect("incidentd starts"), log }
    }
}

/// A running `incidentd run`. Killed on drop; in a failing test its log is shown.
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: a system call on the id of a child that was not waited for, so it is nobody else's.
        let sent = unsafe { libc::kill(self.child.id() as i32, signal) };
        assert_eq!(sent, 0, "the process is gone:\n{}", self.log());
    }

    /// `kill -9`, and gone.
    pub fn kill(mut self) {
        self.end();
    }

    fn end(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// Until it ends by itself.
    pub fn wait(&mut self, limit: Duration) -> ExitStatus {
        wait_until("incidentd has ended", limit, || self.child.try_wait().expect("a child can be waited for"))
    }

    /// SIGTERM: it drains, and says so by its exit code 0, within the 10 s that it has.
    pub fn stop(mut self) {
        self.signal(libc::SIGTERM);
        let status = self.wait(Duration::from_secs(12));
        assert!(status.success(), "a drained incidentd exits with 0, this one with {status}:\n{}", self.log());
    }

    /// Where it serves HTTP, once it does.
    pub fn url(&self) -> String {
        wait_until("incidentd serves HTTP", Duration::from_secs(60), || {
            let log = self.log();
            let line = log.lines().find(|line| line.contains("started"))?;
            let (_, after) = line.split_once("http://")?;
            Some(format!("http://{}", after.split(|c: char| c == '"' || c.is_whitespace()).next()?))
        })
    }

    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.end();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the end of {}:\n{}", self.log.display(), lines[lines.len().saturating_sub(60)..].join("\n"));
        }
    }
}
