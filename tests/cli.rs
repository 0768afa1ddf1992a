//! The commands as a user meets them: exit codes, messages, and the demo with its HTTP endpoints.

use crate::support::wait_until;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// With nothing of this environment but what the case says.
fn incidentd(args: &[&str], environment: &[(&str, &str)]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incidentd"));
    command.args(args).env_clear().envs(environment.iter().copied()).stdin(Stdio::null());
    command.current_dir(env!("CARGO_MANIFEST_DIR"));
    command
}

fn output(args: &[&str], environment: &[(&str, &str)]) -> (i32, String, String) {
    let Output { status, stdout, stderr } = incidentd(args, environment).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, String) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join(name);
    std::fs::write(&path, text).unwrap();
    (dir, path.to_str().unwrap().to_owned())
}

#[test]
fn exit_codes_and_what_is_said() {
    let (_a, misspelt) = file("incidentd.toml", "[dedup]\n\nwindw = \"15m\"\n");
    let (_b, assignor) = file("incidentd.toml", "[kafka]\n\"partition.assignment.strategy\" = \"cooperative-sticky\"\n");
    let (_c, alerts) = file("alerts.jsonl", "{\"service_id\":\"a\",\"title\":\"t\"}\n{\"service_id\":\"a\"}\n");
    let cases: &[(&[&str], i32, &str)] = &[
        (&["config", "check", "--config", &misspelt], 78, "incidentd.toml:3: dedup.windw: unknown key"),
        (&["config", "check", "--config", &misspelt], 78, "did you mean `window`?"),
        (&["run", "--config", &misspelt], 78, "did you mean `window`?"),
        (&["run", "--config", &assignor], 78, "\"cooperative-sticky\" is refused"),
        (&["config", "check", "--config", "/nowhere.toml"], 78, "/nowhere.toml: cannot be read"),
        (&["send", "--config", &misspelt, &alerts], 78, "windw"),
        (&["send", &alerts], 1, "alert 2: title: "),
        (&["send", "--topic", "commands", &alerts], 1, "command 1: command: missing or empty; there are acknowledge, "),
        (&["send", "--topic", "events", &alerts], 1, "event 2: type: missing or empty"),
        (&["send", "--topic", "incidents", &alerts], 2, "alerts, commands, events"),
        (&["schema", "alrt"], 2, "there is no schema `alrt`; there are: alert"),
        (&["rules", "check", "/nowhere"], 1, "/nowhere: cannot be read"),
        (&["replay", "--input", "/nowhere.jsonl", "--rules", "rules"], 1, "/nowhere.jsonl"),
        (&["replay", "--input", &alerts, "--rules", "rules", "--until", "noon"], 2, "2026-01-31T12:00:00Z"),
        (&["frobnicate"], 2, "frobnicate"),
        (&["send"], 2, "service-id"),
        (&["--log", "a=b=c", "schema"], 2, "--log"),
        (&["run", "--help"], 0, ""),
    ];
    for (args, code, says) in cases {
        let (found, _, stderr) = output(args, &[]);
        assert_eq!(found, *code, "{args:?}: {stderr}");
        assert!(stderr.contains(says), "{args:?} does not say {says:?}: {stderr}");
    }
}

#[test]
fn config_check_shows_what_is_in_force() {
    let environment = [("INCIDENTD_DEDUP__WINDOW", "5m"), ("INCIDENTD_KAFKA__SASL_PASSWORD", "hush")];
    let (code, stdout, _) = output(&["config", "check"], &environment);
    assert_eq!(code, 0);
    assert!(stdout.contains("window = \"5m\"") && !stdout.contains("hush"), "{stdout}");
    // What it prints is a configuration file again.
    let (_dir, printed) = file("printed.toml", &stdout.replace("(hidden)", "x"));
    let (code, again, stderr) = output(&["config", "check", "--config", &printed], &[]);
    assert_eq!((code, again), (0, stdout), "{stderr}");
    let (code, json, _) = output(&["config", "check", "--json"], &[("INCIDENTD_DEDUP__ANCHOR", "lastseen")]);
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!((code, &json["problems"][0]["key"]), (78, &"dedup.anchor".into()));
}

#[test]
fn schemas_are_listed_and_printed() {
    let (code, names, _) = output(&["schema"], &[]);
    assert_eq!(code, 0);
    for name in names.lines() {
        let (code, text, _) = output(&["schema", name], &[]);
        assert_eq!(code, 0);
        assert!(!text.is_empty());
        if name != "asyncapi" {
            serde_json::from_str::<serde_json::Value>(&text).unwrap();
        }
    }
}

#[test]
fn rules_check_names_place_and_remedy() {
    let (dir, _) = file("page.rhai", "notification(#{\n    name: \"a\",\n    channls: [slack(\"#x\")],\n});\n");
    let folder = dir.path().to_str().unwrap();
    let (code, stdout, _) = output(&["rules", "check", folder], &[]);
    assert_eq!(code, 1);
    for says in ["page.rhai:3:5", "channls: [slack(\"#x\")]", "did you mean `channels`?"] {
        assert!(stdout.contains(says), "{says:?} is missing: {stdout}");
    }
    let (code, stdout, _) = output(&["rules", "check", folder, "--json"], &[]);
    let json: serde_json::Value = serde_json::from_str(&stdout).unwrap();
    assert_eq!(code, 1);
    assert!(json["diagnostics"].as_array().unwrap().iter().any(|found| found["line"] == 3 && found["severity"] == "error"));
    let (code, stdout, stderr) = output(&["rules", "check"], &[]);
    assert_eq!(code, 0, "the repository's own rules: {stdout}{stderr}");
}

#[test]
fn replay_says_what_would_have_been_written() {
    let (_dir, alerts) = file(
        "alerts.jsonl",
        concat!(
            r#"{"service_id":"api","title":"down","severity":"critical","timestamp":"2026-01-01T00:00:00Z"}"#,
            "\n{\"advance\":\"1m\"}\n",
            r#"{"service_id":"api","title":"down","severity":"critical","timestamp":"2026-01-01T00:01:00Z"}"#,
            "\n"
        ),
    );
    let (code, stdout, stderr) = output(&["replay", "--input", &alerts, "--rules", "rules"], &[]);
    assert_eq!(code, 0, "{stderr}");
    assert!(stderr.contains("created 1, merged 1"), "{stderr}");
    let (_, dash, _) = output(&["replay", "--input", &alerts, "--rules", "rules", "--output", "-"], &[]);
    assert_eq!(dash, stdout, "`-` is standard output");
    let lines: Vec<serde_json::Value> = stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(lines.iter().any(|line| line["topic"] == "notifications" && line["value"]["rule"] == "critical-production"));
    let windowless = [("INCIDENTD_DEDUP__WINDOW", "1s")];
    let (_, _, stderr) = output(&["replay", "--input", &alerts, "--rules", "rules"], &windowless);
    assert!(stderr.contains("created 2"), "the configuration counts: {stderr}");
}

/// Ends the child when the test does.
struct Running {
    child: Child,
    lines: Receiver<String>,
    seen: Vec<String>,
}

impl Running {
    fn start(mut command: Command) -> Running {
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (sender, lines) = channel();
        let pipes: [Box<dyn Read + Send>; 2] = [Box::new(child.stdout.take().unwrap()), Box::new(child.stderr.take().unwrap())];
        for pipe in pipes {
            let sender = sender.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(pipe).lines().map_while(Result::ok) {
                    let _ = sender.send(line);
                }
            });
        }
        Running { child, lines, seen: Vec::new() }
    }

    /// The first line, from now on, with `words` in it.
    fn line(&mut self, words: &str, deadline: Instant) -> String {
        loop {
            match self.lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    self.seen.push(line.clone());
                    if line.contains(words) {
                        return line;
                    }
                }
                Err(_) => panic!("no line with {words:?} in time; there were:\n{}", self.seen.join("\n")),
            }
        }
    }

    fn exit_code(&mut self, deadline: Instant) -> Option<i32> {
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("it does not end; it said:\n{}", self.seen.join("\n"));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Status and body.
fn get(address: &str, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    write!(stream, "GET {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// A newcomer's first minute: a page, from any folder, with the wanted port taken; and it ends by itself.
#[test]
fn the_demo_shows_pages_and_answers() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let began = Instant::now();
    let folder = tempfile::tempdir().unwrap();
    let mut command = incidentd(&["demo", "--seconds", "30", "--port", &port], &[]);
    command.current_dir(folder.path());
    let mut demo = Running::start(command);
    let page = demo.line("page ", began + Duration::from_secs(25));
    assert!(page.contains(&format!("port {port} is taken")), "{page}");
    let address = page.split("http://").nth(1).unwrap().split('/').next().unwrap().to_owned();
    assert_eq!(get(&address, "/healthz"), (200, "ok\n".to_owned()));
    // How soon the page comes is for `benches` and a quiet machine: other tests fill this one.
    demo.line("PAGE", began + Duration::from_secs(28));
    // The other worker may still be joining.
    let deadline = began + Duration::from_secs(29);
    while get(&address, "/readyz") != (200, "ready\n".to_owned()) {
        assert!(Instant::now() < deadline, "not ready: {:?}", get(&address, "/readyz"));
        std::thread::sleep(Duration::from_millis(50));
    }
    let (status, text) = get(&address, "/metrics");
    assert_eq!(status, 200);
    let created = text.lines().find_map(|line| line.strip_prefix("incidentd_alerts_total{outcome=\"created\"} ")).unwrap();
    assert!(created.parse::<u64>().unwrap() > 0, "{text}");
    promlint(&text);
    let json = |path: &str| -> serde_json::Value { serde_json::from_str(&get(&address, path).1).unwrap() };
    let listed = json("/v1/incidents");
    let oldest = listed["incidents"].as_array().and_then(|incidents| incidents.last()).expect("there are some");
    let path = format!("/v1/incidents/{}/decisions", oldest["id"].as_str().expect("an id"));
    // Its service may depend on others, for which it waits.
    wait_until("it is told why", Duration::from_secs(15), || {
        json(&path)["decisions"].as_array().is_some_and(|decisions| !decisions.is_empty()).then_some(())
    });
    let (status, problem) = get(&address, "/nowhere");
    assert_eq!((status, &serde_json::from_str::<serde_json::Value>(&problem).unwrap()["status"]), (404, &404.into()));
    assert_eq!(demo.exit_code(began + Duration::from_secs(60)), Some(0));
    demo.line("How to look further", Instant::now() + Duration::from_secs(1));
}

/// Each series has help and type, and follows the conventions that `promtool check metrics` holds.
fn promlint(text: &str) {
    let of = |word: &str| -> Vec<&str> {
        text.lines().filter_map(|line| line.strip_prefix(word)).filter_map(|rest| rest.split(' ').next()).collect()
    };
    let (helps, types) = (of("# HELP "), of("# TYPE "));
    assert_eq!(helps, types);
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
        let name = line.split(['{', ' ']).next().unwrap();
        let base = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        assert!(types.contains(&base) || types.contains(&name), "{name} has no type");
        assert!(name.starts_with("incidentd_"), "{name}");
    }
}

#[test]
fn a_signal_ends_it_in_order() {
    let began = Instant::now();
    let mut demo = Running::start(incidentd(&["--log", "info", "demo", "--port", "0"], &[]));
    demo.line("PAGE", began + Duration::from_secs(30));
    // SAFETY: a signal to a child of ours that still runs.
    assert_eq!(unsafe { libc::kill(demo.child.id() as i32, libc::SIGTERM) }, 0);
    let signalled = Instant::now();
    assert_eq!(demo.exit_code(signalled + Duration::from_secs(15)), Some(0));
}
