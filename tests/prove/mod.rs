//! What proves a rule: cases, a history under two sets, an incident explained; as a user meets it, by the binary.

mod cases;
mod compare;
mod explain;
mod history;
mod tutorial;
mod watch;

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// Exit code, standard output, standard error; relative paths are the repository's.
pub fn incidentd(args: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_incidentd"));
    command.args(args).env_clear().stdin(Stdio::null()).current_dir(env!("CARGO_MANIFEST_DIR"));
    let Output { status, stdout, stderr } = command.output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (status.code().expect("it ends by itself"), text(stdout), text(stderr))
}

/// A folder with these files.
pub fn folder(files: &[(&str, &str)]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = dir.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    dir
}

pub fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}
