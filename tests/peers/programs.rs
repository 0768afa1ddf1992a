//! Programs that are not ours: where they are, and a server among them that runs for one test.

use crate::support::wait_until;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::time::Duration;

/// `prometheus`, `promtool` or `prometheus-alertmanager`: on the PATH, or from Debian's packages in the target folder.
/// `INCIDENTD_TEST_ALERTMANAGER` names another Alertmanager.
pub fn program(name: &str) -> PathBuf {
    if name == "prometheus-alertmanager"
        && let Some(other) = std::env::var_os("INCIDENTD_TEST_ALERTMANAGER").filter(|path| !path.is_empty())
    {
        return PathBuf::from(other);
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    let installed = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    installed.unwrap_or_else(|| debian().join("usr/bin").join(name))
}

pub fn target(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("a folder inside the target folder").join(folder)
}

fn debian() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder = target("peers-debian");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers/resolve-debs");
        let output = Command::new("bash").arg(script).arg(&folder).output().expect("bash starts");
        assert!(output.status.success(), "{}", said(&output));
        folder
    })
}

/// What a finished program wrote.
pub fn said(output: &Output) -> String {
    [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes)).concat()
}

/// A server on a loopback port of its own choice. Killed on drop; in a failing test its log is shown.
pub struct Server {
    child: Child,
    log: PathBuf,
    /// Without a slash at its end.
    pub url: String,
}

impl Server {
    /// `folder`: where its log goes.
    pub fn start(mut command: Command, folder: &Path) -> Server {
        let log = folder.join("server.log");
        let out = File::create(&log).expect("a log file");
        command.stdin(Stdio::null()).stdout(out.try_clone().expect("a second handle")).stderr(out);
        // SAFETY: prctl is a plain system call, safe between fork and exec. The thread that it outlives by nothing is the test's.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            });
        }
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let mut server = Server { child, log, url: String::new() };
        server.url = wait_until("the server listens", Duration::from_secs(30), || {
            if let Ok(Some(status)) = server.child.try_wait() {
                panic!("{command:?} ended with {status}:\n{}", server.log());
            }
            // As Prometheus' own web kit says it, once the port is bound.
            let log = server.log();
            let line = log.lines().find(|line| line.contains("\"Listening on\""))?;
            let (_, address) = line.split_once("address=")?;
            Some(format!("http://{}", address.split_whitespace().next()?))
        });
        server
    }

    fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            let log = self.log();
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("--- the end of {}:\n{}", self.log.display(), lines[lines.len().saturating_sub(40)..].join("\n"));
        }
    }
}
