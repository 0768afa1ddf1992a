//! The command line over the API: each subcommand once, as a person and as a program use it, and how each can fail.

use super::client::{Client, alert};
use super::{app, ready};
use crate::kafka::turn;
use crate::support::app::Settings;
use crate::support::wait_until;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(20);
/// `printf %s "$TOKEN" | sha256sum`
const TOKEN: (&str, &str) = ("correct horse battery staple", "c4bbcb1fbec99d65bf59d85c8cb62ee2db963f0fe106f483d9afa73bd4e39a8a");

/// A shell that names the API by its variables.
struct Shell {
    url: String,
    token: &'static str,
}

impl Shell {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_incidentd"));
        for name in ["INCIDENTD_CONFIG", "NO_COLOR", "COLUMNS"] {
            command.env_remove(name);
        }
        command.args(arguments).env("INCIDENTD_URL", &self.url).env("INCIDENTD_TOKEN", self.token).env("USER", "alice");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Exit code, standard output, standard error. `input`: what is piped into it.
    fn pipe(&self, input: &str, arguments: &[&str]) -> (i32, String, String) {
        let mut child = self.command(arguments).spawn().expect("incidentd starts");
        let mut pipe = child.stdin.take().expect("piped");
        pipe.write_all(input.as_bytes()).expect("it reads");
        drop(pipe);
        let output = child.wait_with_output().expect("it ends");
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        (output.status.code().expect("it ends by itself"), text(output.stdout), text(output.stderr))
    }

    /// What it prints, once it has succeeded; never what a terminal would obey.
    fn said(&self, arguments: &[&str]) -> String {
        let (code, stdout, stderr) = self.pipe("", arguments);
        assert_eq!(code, 0, "{arguments:?}: {stderr}");
        assert!(!stdout.contains('\u{1b}'), "{arguments:?} colours what is no terminal: {stdout}");
        stdout
    }

    fn json(&self, arguments: &[&str]) -> Value {
        let text = self.said(&[arguments, &["--json"]].concat());
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {text}"))
    }

    /// What it says of its failure.
    fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let (found, stdout, stderr) = self.pipe("", arguments);
        assert_eq!(found, code, "{arguments:?}: {stdout}{stderr}");
        stderr
    }
}

fn open(client: &Client, service: &str) -> String {
    let created = client.post("/v1/incidents", &alert(service, &format!("{service} is slow"))).expect(201);
    created["incident"]["id"].as_str().expect("an id").to_owned()
}

#[test]
fn incidents_are_listed_shown_and_commanded() {
    let _turn = turn();
    let app = app("cli-incidents", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let shell = Shell { url: process.url(), token: "" };
    assert_eq!(shell.said(&["incidents", "list"]), "no incidents\n");
    let (chat, rag) = (open(&client, "chat"), open(&client, "rag"));

    let list = shell.said(&["incidents", "list", "--open", "--severity", "critical,high"]);
    let lines: Vec<&str> = list.lines().collect();
    assert_eq!(lines.len(), 3, "{list}");
    for (line, words) in lines.iter().zip([
        ["SEVERITY", "STATUS", "OWNER", "ID"],
        ["critical", "rag is slow", "triggered", rag.as_str()],
        ["critical", "chat is slow", "triggered", chat.as_str()],
    ]) {
        assert!(words.iter().all(|word| line.contains(word)), "{words:?}: {list}");
    }
    assert_eq!(shell.json(&["incidents", "list", "--service", "chat"])["pagination"]["total"], 1);
    assert!(shell.said(&["incidents", "list", "--limit", "1"]).contains("1 of 2; the next: --offset 1"));

    for (arguments, status) in [
        (&["ack", &chat, "--note", "on it"][..], "acknowledged"),
        (&["investigate", &chat], "investigating"),
        (&["identify", &chat], "identified"),
        (&["assign", &chat, "carol"], "assigned"),
        (&["note", &chat, "replica 3"], "noted"),
        (&["snooze", &chat, "--for", "2h"], "snoozed"),
        (&["resolve", &chat, "--resolution", "rolled back"], "resolved"),
        (&["reopen", &chat], "triggered"),
        (&["close", &chat, "--user", "bob"], "closed"),
    ] {
        let said = shell.said(&[&["incidents"], arguments].concat());
        assert_eq!(said, format!("{chat}  {status}\n"), "{arguments:?}");
    }
    let shown = shell.said(&["incidents", "show", &chat]);
    for words in
        ["chat (production)", "carol", "alice acknowledged it: on it.", "alice resolved it: rolled back.", "bob closed it."]
    {
        assert!(shown.contains(words), "{words:?}: {shown}");
    }
    assert_eq!(shell.json(&["incidents", "show", &chat])["status"], "closed");
    let told = wait_until("the decisions", LIMIT, || {
        let told = shell.said(&["explain", &chat]);
        told.contains("On triggered: notification `critical` acted").then_some(told)
    });
    assert!(told.contains("alice resolved it: rolled back."), "{told}");
    assert_eq!(shell.json(&["explain", &chat])["incident_id"], json!(chat));

    // Of several, what one refuses does not keep it from the others.
    let (code, stdout, stderr) = shell.pipe("", &["incidents", "ack", &chat, &rag]);
    assert_eq!((code, stdout), (1, format!("{rag}  acknowledged\n")));
    assert!(stderr.contains(&chat) && stderr.contains("closed"), "{stderr}");
    for (command, why) in [("escalate", "polic"), ("approve", "approval"), ("reject", "approval")] {
        assert!(shell.fails(1, &["incidents", command, &rag]).contains(why), "{command}");
    }
    for (code, arguments, why) in [
        (1, &["incidents", "show", "inc_0000ffffffffffffffff"][..], "there is no incident"),
        (1, &["explain", "inc_0000ffffffffffffffff"], "there is no incident"),
        (1, &["incidents", "list", "--severity", "hgih"], "none of critical, high"),
        (1, &["incidents", "list", "--url", "http://127.0.0.1:1"], "cannot be reached"),
        (2, &["incidents", "list", "--url", "localhost:8080"], "http://HOST:PORT"),
        (2, &["incidents", "snooze", &rag, "--for", "soon"], "30m, 2h"),
        (2, &["incidents", "ack"], "INCIDENT"),
        (78, &["explain", &chat, "--config", "/nowhere.toml"], "/nowhere.toml"),
    ] {
        let said = shell.fails(code, arguments);
        assert!(said.contains(why), "{arguments:?}: {said}");
    }
    process.stop();
}

#[test]
fn silences_are_added_listed_and_expired() {
    let _turn = turn();
    let app = app("cli-silences", Settings::default());
    let process = app.start();
    ready(&process);
    let shell = Shell { url: process.url(), token: "" };
    assert_eq!(shell.said(&["silences", "list"]), "no silences\n");
    let add = ["silences", "add", "service_id=chat", "region=~eu-.*", "--for", "2h", "--comment", "moving racks"];
    let added = shell.said(&add);
    let (id, status) = added.trim_end().split_once("  ").expect("an id and a status");
    assert_eq!(status, "created");
    let list = shell.said(&["silences", "list"]);
    for words in [id, "active", "service_id=\"chat\" region=~\"eu-.*\"", "alice", "moving racks"] {
        assert!(list.contains(words), "{words:?}: {list}");
    }
    assert_eq!(shell.json(&["silences", "list"])["silences"][0]["id"], json!(id));
    assert_eq!(shell.said(&["silences", "expire", id]), format!("{id}  expired\n"));
    assert!(shell.fails(1, &["silences", "expire", "none"]).contains("there is no silence"));
    assert!(shell.fails(1, &["silences", "add", "title=~.*", "--for", "1h"]).contains("could match everything"));
    assert!(shell.fails(2, &["silences", "add", "chat", "--for", "1h"]).contains("no operator"));
    assert!(shell.fails(2, &["silences", "add", "service_id=chat"]).contains("--for"));
    process.stop();
}

#[test]
fn alerts_are_sent_with_a_token_and_answered() {
    let _turn = turn();
    let api = format!("tokens = [{{ name = \"ci\", sha256 = \"{}\", scopes = [\"read\", \"alert\"] }}]", TOKEN.1);
    let app = app("cli-send", Settings { api, ..Settings::default() });
    let process = app.start();
    ready(&process);
    let shell = Shell { url: process.url(), token: TOKEN.0 };
    let send = ["send", "--service-id", "chat", "--title", "slow", "--severity", "critical"];
    let created = shell.said(&send);
    let id = created.strip_suffix("  created\n").expect("an id").to_owned();
    assert_eq!(shell.said(&send), format!("{id}  merged: Merged into existing incident (occurrence #2)\n"));
    let records = "{\"service_id\": \"rag\", \"title\": \"slow\"}\n{\"service_id\": \"rag\"}\n{\"alerts\": [{\"status\": \"firing\", \
                   \"labels\": {\"alertname\": \"Down\", \"service\": \"gpu\"}, \"startsAt\": \"2026-01-01T00:00:00Z\"}]}";
    let (code, stdout, stderr) = shell.pipe(records, &["send", "-"]);
    assert_eq!(code, 1);
    assert!(stdout.contains("created\n") && stdout.ends_with("received\n"), "{stdout}");
    assert!(stderr.contains("alert 2: ") && stderr.contains("title"), "{stderr}");
    assert!(shell.fails(2, &["send", "--topic", "commands", "/dev/null"]).contains("the API takes alerts"));
    // The token may not act, and none may not look; both are told where it comes from.
    assert!(shell.fails(1, &["incidents", "ack", &id]).contains("INCIDENTD_TOKEN"));
    let nobody = Shell { url: process.url(), token: "" };
    assert!(nobody.fails(1, &["incidents", "list"]).contains("INCIDENTD_TOKEN"));
    process.stop();
}

/// A command that goes on until it is killed.
struct Watching {
    child: Child,
    lines: Receiver<String>,
}

impl Watching {
    fn wait(&self, words: &str) {
        let line = wait_until(&format!("a line with {words:?}"), LIMIT, || {
            let line = self.lines.recv_timeout(LIMIT).expect("it goes on");
            line.contains(words).then_some(line)
        });
        assert!(!line.contains('\u{1b}'), "{line:?}");
    }
}

impl Drop for Watching {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_watched_list_follows_what_happens() {
    let _turn = turn();
    let app = app("cli-watch", Settings::default());
    let process = app.start();
    let client = ready(&process);
    let shell = Shell { url: process.url(), token: "" };
    let id = open(&client, "chat");
    let mut child = shell.command(&["incidents", "list", "--watch"]).spawn().expect("incidentd starts");
    let (sender, lines) = channel();
    let stdout = child.stdout.take().expect("piped");
    std::thread::spawn(move || BufReader::new(stdout).lines().map_while(Result::ok).try_for_each(|line| sender.send(line)));
    let watching = Watching { child, lines };
    watching.wait("triggered");
    shell.said(&["incidents", "ack", &id]);
    watching.wait("acknowledged");
    process.stop();
}

#[test]
fn shells_are_told_how_to_complete() {
    let shell = Shell { url: "http://127.0.0.1:1".to_owned(), token: "" };
    for name in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let said = shell.said(&["completions", name]);
        assert!(said.contains("incidentd") && said.contains("silences") && said.contains("snooze"), "{name}: {said}");
    }
    assert!(shell.fails(2, &["completions", "tcsh"]).contains("bash"));
}
