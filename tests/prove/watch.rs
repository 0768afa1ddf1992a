//! `rules test --watch`: the cases run again at each change of a rule or a case.

use super::{folder, text};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const LIMIT: Duration = Duration::from_secs(60);
const RULE: &str = r##"notification(#{ name: "pages", where: #{ severity: "critical" }, channels: [slack("#pages")] });"##;
const CASE: &str = "cases:\n  - name: a\n    steps: [{ alert: { service_id: llm, severity: high } }, { notified: pages }]\n";

/// Killed on drop.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    /// All lines up to one with `part`.
    fn until(&self, part: &str) -> Vec<String> {
        let deadline = Instant::now() + LIMIT;
        let mut seen = Vec::new();
        while !seen.last().is_some_and(|line: &String| line.contains(part)) {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.lines.recv_timeout(left) {
                Ok(line) => seen.push(line),
                Err(error) => panic!("no line with {part:?} ({error}) in {seen:#?}"),
            }
        }
        seen
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn watch(arguments: &[&str]) -> Watching {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incidentd"));
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let (sender, lines) = channel();
    let output = BufReader::new(child.stdout.take().unwrap());
    std::thread::spawn(move || output.lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    Watching { child, lines }
}

#[test]
fn a_change_runs_the_cases_again() {
    let dir = folder(&[("pages.rhai", RULE), ("tests/a.yaml", CASE)]);
    let watching = watch(&["rules", "test", "--watch", text(dir.path())]);
    watching.until("1 of 1 cases failed");
    watching.until("waiting for a change");
    std::fs::write(dir.path().join("pages.rhai"), RULE.replace("critical", "high")).unwrap();
    watching.until("1 cases passed");
    watching.until("waiting for a change");
    std::fs::write(dir.path().join("tests/a.yaml"), CASE.replace("notified", "notfied")).unwrap();
    watching.until("did you mean `notified`?");
}

/// Reading the folder, and writing a report into it, are no changes to it.
#[test]
fn it_runs_once_a_change() {
    let dir = folder(&[("pages.rhai", RULE), ("tests/a.yaml", CASE)]);
    let report = dir.path().join("report.xml");
    let watching = watch(&["rules", "test", text(dir.path()), "--watch", "--junit", text(&report)]);
    for round in 0..2 {
        watching.until("waiting for a change");
        std::fs::write(dir.path().join("pages.rhai"), format!("{RULE} // {round}")).unwrap();
    }
    watching.until("waiting for a change");
    std::fs::write(dir.path().join("tests/a.yaml"), CASE.replace("high", "critical")).unwrap();
    let seen = watching.until("1 cases passed");
    let alone: Vec<&String> = seen.iter().filter(|line| line.contains("waiting") || line.contains("failed")).collect();
    assert!(alone.is_empty(), "it ran without a change: {seen:#?}");
}
