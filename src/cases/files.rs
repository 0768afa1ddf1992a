//! Where the cases of a rules folder lie: `tests/`, in TOML or YAML, also in folders in it.

use crate::rules_dir;
use std::path::{Path, PathBuf};

/// Past these a folder is surely not one of cases.
const FILES: usize = 2_000;
const DEPTH: usize = 8;
const BYTES: u64 = 1 << 20;

/// A file of cases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseFile {
    /// Relative to the rules folder, as `tests/latency.yaml`.
    pub name: String,
    pub text: String,
}

/// Every `.toml`, `.yaml` and `.yml` file under `tests/` of the rules folder, by name; none where there is no such folder.
/// An error names the file and the remedy.
pub fn read_folder(rules: &Path) -> Result<Vec<CaseFile>, String> {
    let top = rules.join("tests");
    if !top.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    let mut folders: Vec<(PathBuf, String, usize)> = vec![(top, "tests/".to_owned(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        let about = |path: &Path, error: std::io::Error| format!("{}: cannot be read: {error}", path.display());
        for entry in std::fs::read_dir(&folder).map_err(|error| about(&folder, error))? {
            let path = entry.map_err(|error| about(&folder, error))?.path();
            let Some(name) = path.file_name().and_then(|name| name.to_str()) else {
                return Err(format!("{}: its name is not UTF-8: rename it", path.display()));
            };
            if name.starts_with('.') {
                continue;
            }
            let relative = format!("{prefix}{name}");
            let meta = std::fs::metadata(&path).map_err(|error| about(&path, error))?;
            if meta.is_dir() {
                if depth == DEPTH {
                    return Err(format!(
                        "{}: lies more than {DEPTH} folders deep: is a link turning in a circle?",
                        path.display()
                    ));
                }
                folders.push((path, format!("{relative}/"), depth + 1));
            } else if [".toml", ".yaml", ".yml"].iter().any(|end| name.ends_with(end)) {
                if meta.len() > BYTES || files.len() == FILES {
                    let what = format!("more than {} MiB in a file, or more than {FILES} files, of cases", BYTES >> 20);
                    return Err(format!("{}: {what}: split it, or move what is no case elsewhere", path.display()));
                }
                let text = rules_dir::read_text(&path, BYTES)
                    .map_err(|(message, help)| format!("{}: {message}\n  help: {help}", path.display()))?;
                files.push(CaseFile { name: relative, text });
            }
        }
    }
    files.sort_by(|a, b| a.name.cmp(&b.name));
    Ok(files)
}
