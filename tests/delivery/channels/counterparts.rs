//! The Python packages that the channels are held against: installed once into the build's folder, then run as programs.

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

fn here(name: &str) -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/delivery/channels")).join(name)
}

/// The interpreter that has them.
fn python() -> &'static PathBuf {
    static PYTHON: OnceLock<PathBuf> = OnceLock::new();
    PYTHON.get_or_init(|| {
        let target = std::env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from);
        let folder = target.join("delivery-python");
        let status = Command::new(here("resolve-python")).arg(&folder).status().unwrap();
        assert!(status.success(), "the packages cannot be installed: see above");
        folder.join("bin/python")
    })
}

/// A script of this folder, its streams piped.
pub fn script(name: &str) -> Command {
    let mut command = Command::new(python());
    command.arg("-u").arg(here(name)).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}
