//! The tutorial of docs/rules.md, followed word for word: its commands run, its files are written, and what it shows is seen.
//!
//! A block ```` ```sh ```` is run (`exit=1`: with that code), one with `file=` is written, with `append=` put behind a file,
//! with `replace=` put in the place of what was last appended; each line of a ```` ```text ```` block must stand in what the
//! command before it said, in that order. `…` stands for lines that are left out.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        match entry.path().is_dir() {
            true => copy(&entry.path(), &target),
            false => drop(fs::copy(entry.path(), target).unwrap()),
        }
    }
}

fn run(script: &str, dir: &Path, code: i32) -> String {
    let bin = Path::new(env!("CARGO_BIN_EXE_incidentd")).parent().unwrap().display().to_string();
    let path = format!("{bin}:{}", std::env::var("PATH").unwrap_or_default());
    let mut shell = Command::new("sh");
    shell.args(["-ec", script]).current_dir(dir).env_clear().env("PATH", path).stdin(Stdio::null());
    let output = shell.output().unwrap();
    let text = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    assert_eq!(output.status.code(), Some(code), "{script}\n{text}");
    text
}

#[test]
fn the_tutorial_says_what_happens() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let dir = tempfile::tempdir().unwrap();
    copy(&root.join("rules"), &dir.path().join("rules"));
    fs::create_dir(dir.path().join("docs")).unwrap();
    fs::copy(root.join("docs/history.jsonl"), dir.path().join("docs/history.jsonl")).unwrap();

    let doc = fs::read_to_string(root.join("docs/rules.md")).unwrap();
    let tutorial = doc.split("\n## ").find(|part| part.starts_with("Ten minutes")).expect("the tutorial");
    let (mut said, mut appended, mut commands) = (String::new(), String::new(), 0);
    for block in tutorial.split("```").skip(1).step_by(2) {
        let (info, body) = block.split_once('\n').unwrap();
        let (kind, option) = info.split_once(' ').unwrap_or((info, ""));
        let (what, value) = option.split_once('=').unwrap_or(("", ""));
        let path = dir.path().join(value);
        match (kind, what) {
            ("sh", _) => {
                said = run(body, dir.path(), value.parse().unwrap_or(0));
                commands += 1;
            }
            ("text", _) => {
                let mut rest = said.as_str();
                for line in body.lines().map(str::trim).filter(|line| !line.is_empty() && *line != "…") {
                    let at = rest.find(line).unwrap_or_else(|| panic!("lacks, or has in another order:\n{line}\nin:\n{said}"));
                    rest = &rest[at + line.len()..];
                }
            }
            (_, "file") => fs::write(path, body).unwrap(),
            (_, "append") => {
                fs::write(&path, fs::read_to_string(&path).unwrap() + "\n" + body).unwrap();
                appended = body.to_owned();
            }
            (_, "replace") => {
                let text = fs::read_to_string(&path).unwrap();
                assert!(text.contains(&appended));
                fs::write(&path, text.replace(&appended, body)).unwrap();
            }
            _ => panic!("nobody knows what to do with ```{info}"),
        }
    }
    assert!(commands >= 6, "the tutorial has only {commands} commands");
}
