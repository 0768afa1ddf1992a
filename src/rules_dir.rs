//! The rules folder: read whole, and followed while it changes (SPEC 5).
//!
//! A Kubernetes ConfigMap is a folder of links to `..data/…`, and a new version swaps the link `..data`. So links are
//! followed, names that begin with a dot are skipped, and what counts as a change is the text of the files, not the event.

use crate::rules::{Diagnostic, Limits, Listed, RuleSet, RuleSource};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use notify_debouncer_full::notify::event::{AccessKind, AccessMode, EventKind};
use notify_debouncer_full::{DebounceEventResult, new_debouncer, notify::RecursiveMode};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// Files, folders in folders, and bytes past which a folder is surely not one of rules.
const FILES: usize = 10_000;
const DEPTH: usize = 16;
const BYTES: u64 = 32 << 20;

/// So long must the folder be quiet before it is read.
const DEBOUNCE: Duration = Duration::from_millis(300);
/// The folder is read so often even without an event: network file systems send none.
const POLL: Duration = Duration::from_secs(10);

#[derive(Debug, thiserror::Error)]
#[error("{}: {message}\n  help: {help}", .path.display())]
pub struct Unreadable {
    pub path: PathBuf,
    pub message: String,
    pub help: &'static str,
}

/// Every `.rhai` and `.toml` file under `dir` but `tests/` at its top, which holds cases, and `….d.rhai`, which is for editors.
pub fn read(dir: &Path) -> Result<RuleSource, Unreadable> {
    let mut source = RuleSource::default();
    let mut bytes = 0;
    let mut folders = vec![(dir.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        let fail = |path: &Path, message: String, help| Unreadable { path: path.to_owned(), message, help };
        let unreadable = |path: &Path, error: std::io::Error| {
            fail(path, format!("cannot be read: {error}"), "set rules.dir (or --rules) to a folder that incidentd may read")
        };
        for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
            let entry = entry.map_err(|error| unreadable(&folder, error))?;
            let path = entry.path();
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else {
                return Err(fail(&path, "its name is not UTF-8".to_owned(), "rename it"));
            };
            if name.starts_with('.') || (prefix.is_empty() && name == "tests") {
                continue;
            }
            let relative = format!("{prefix}{name}");
            let meta = std::fs::metadata(&path).map_err(|error| match path.is_symlink() {
                true => fail(&path, format!("is a link that leads nowhere: {error}"), "mend the link, or take it out"),
                false => unreadable(&path, error),
            })?;
            if meta.is_dir() {
                if depth == DEPTH {
                    return Err(fail(&path, format!("lies more than {DEPTH} folders deep"), "is a link turning in a circle?"));
                }
                folders.push((path, format!("{relative}/"), depth + 1));
            } else if name.ends_with(".rhai") && !name.ends_with(".d.rhai") || name.ends_with(".toml") {
                bytes += meta.len();
                if bytes > BYTES || source.files.len() == FILES {
                    let message = format!("with it the folder holds more than {FILES} files or {} MiB", BYTES >> 20);
                    return Err(fail(&path, message, "set rules.dir (or --rules) to the folder of the rules alone"));
                }
                let text = read_text(&path, BYTES).map_err(|(message, help)| fail(&path, message, help))?;
                source.files.insert(relative, text);
            }
        }
    }
    Ok(source)
}

/// The text of a file of at most `most` bytes, without the mark that some editors put before it; else what is wrong with it,
/// and the remedy.
pub fn read_text(path: &Path, most: u64) -> Result<String, (String, &'static str)> {
    const UTF_8: &str = "save it as UTF-8";
    let unreadable = |error| (format!("cannot be read: {error}"), "let incidentd read it, or take it out of the folder");
    // Opening a pipe would wait for somebody who writes into it.
    if !std::fs::metadata(path).map_err(unreadable)?.is_file() {
        return Err(("is no file".to_owned(), "put a file in its place, or take it out of the folder"));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unreadable)?;
    file.take(most + 1).read_to_end(&mut bytes).map_err(unreadable)?;
    if bytes.len() as u64 > most {
        return Err((format!("is larger than {} MiB", most >> 20), "split it, or take it out of the folder"));
    }
    if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) {
        return Err(("is UTF-16".to_owned(), UTF_8));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let (before, byte) = error.as_bytes().split_at(error.utf8_error().valid_up_to());
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        (format!("is not UTF-8: line {line} has the byte 0x{:02x}", byte.first().copied().unwrap_or_default()), UTF_8)
    })?;
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

/// Files whose names come near to one that is read, and which nobody reads: `rules.RHAI`, `rules.rhai.txt`, `users.yaml`; and
/// copies that somebody has put aside. By their paths in `dir`; what cannot be looked at is left out.
pub fn passed_over(dir: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![(dir.to_owned(), String::new(), 0)];
    while let Some((folder, prefix, depth)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
            let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
            if name.starts_with('.') || (prefix.is_empty() && name == "tests") {
                continue;
            }
            if entry.path().is_dir() && depth < DEPTH && found.len() < FILES {
                folders.push((entry.path(), format!("{prefix}{name}/"), depth + 1));
            }
            let (lower, read) = (name.to_lowercase(), name.ends_with(".rhai") || name.ends_with(".toml"));
            let people = ["users.", "teams.", "schedules.", "dependencies."].iter().any(|stem| lower.starts_with(stem));
            let tables = [".toml", ".yaml", ".yml", ".json"].iter().any(|end| lower.ends_with(end));
            if !read && entry.path().is_file() && (lower.contains(".rhai") || people && tables) {
                found.push(format!("{prefix}{name}"));
            }
        }
    }
    found.sort();
    found
}

/// What a look at the folder led to.
pub enum Reload {
    /// A set that checks: its text, the rules that it holds, its hash, and the warnings. The loaded set itself
    /// cannot leave the thread.
    Applied { source: Arc<RuleSource>, rules: Vec<Listed>, hash: String, warnings: Vec<Diagnostic> },
    /// What is in force: asked for, or put back after something that was refused.
    Unchanged,
    /// The old set stays. Errors, and warnings beside them.
    Rejected(Vec<Diagnostic>),
}

/// Follows the folder until dropped.
pub struct Follower {
    wake: Sender<Wake>,
    thread: Option<JoinHandle<()>>,
}

/// Called after the look, with whether a changed set was applied.
type Told = Box<dyn FnOnce(bool) + Send>;

enum Wake {
    Changed,
    /// Who waits is told when it has been looked and all is told.
    Asked(Option<Told>),
    Stop,
}

/// Asks a follower to look; outlives it, and then asks nobody.
#[derive(Clone)]
pub struct Asker(Sender<Wake>);

impl Asker {
    /// Look now, and call `told` after what came of it was told. False: it is about to look for many others.
    pub fn ask(&self, told: impl FnOnce(bool) + Send + 'static) -> bool {
        self.0.try_send(Wake::Asked(Some(Box::new(told)))).is_ok()
    }
}

impl Follower {
    /// `tell` is called on the follower's own thread, once for each text of the folder that differs from the last one seen.
    /// Without `watch` it looks only when asked.
    pub fn start(
        dir: PathBuf,
        watch: bool,
        limits: Limits,
        first: Arc<RuleSource>,
        mut tell: impl FnMut(Reload) + Send + 'static,
    ) -> std::io::Result<Follower> {
        let (wake, woken) = bounded(8);
        let events = wake.clone();
        let thread = std::thread::Builder::new().name("rules".to_owned()).spawn(move || {
            // A watch that cannot be set up leaves the polling.
            let _watch = watch.then(|| watcher(&dir, events)).flatten();
            follow(&dir, watch, &woken, limits, first, &mut tell);
        })?;
        Ok(Follower { wake, thread: Some(thread) })
    }

    /// Look now (SIGHUP).
    pub fn ask(&self) {
        // Full: it is about to look anyway.
        let _ = self.wake.try_send(Wake::Asked(None));
    }

    pub fn asker(&self) -> Asker {
        Asker(self.wake.clone())
    }
}

impl Drop for Follower {
    fn drop(&mut self) {
        // Waits for room where there is none; fails only where the thread is gone.
        let _ = self.wake.send(Wake::Stop);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// Is there more in it than that somebody reads? We do so ourselves, after each change.
pub fn is_change(told: &DebounceEventResult) -> bool {
    told.as_ref().map_or(true, |events| !events.iter().all(|event| only_reads(&event.kind)))
}

fn only_reads(kind: &EventKind) -> bool {
    matches!(kind, EventKind::Access(kind) if *kind != AccessKind::Close(AccessMode::Write))
}

fn watcher(dir: &Path, events: Sender<Wake>) -> Option<impl Sized> {
    let changed = move |told: DebounceEventResult| {
        if is_change(&told) {
            let _ = events.try_send(Wake::Changed);
        }
    };
    let mut watcher = new_debouncer(DEBOUNCE, None, changed).ok()?;
    watcher.watch(dir, RecursiveMode::Recursive).ok()?;
    Some(watcher)
}

fn follow(dir: &Path, watch: bool, woken: &Receiver<Wake>, limits: Limits, first: Arc<RuleSource>, tell: &mut dyn FnMut(Reload)) {
    let mut in_force = first;
    // What was seen last: text, or what kept it from being read.
    let mut seen = Ok(Arc::clone(&in_force));
    loop {
        let woken = if watch { woken.recv_timeout(POLL) } else { woken.recv().map_err(|_| RecvTimeoutError::Disconnected) };
        let (asked, told) = match woken {
            Ok(Wake::Asked(told)) => (true, told),
            Ok(Wake::Changed) | Err(RecvTimeoutError::Timeout) => (false, None),
            Ok(Wake::Stop) | Err(RecvTimeoutError::Disconnected) => return,
        };
        let found = read(dir).map(Arc::new).map_err(|error| error.to_string());
        if found == seen && !asked {
            continue;
        }
        let reload = match &found {
            // Also where something refused was there in between.
            Ok(source) if *source == in_force => Reload::Unchanged,
            Ok(source) => match RuleSet::load(source, &limits) {
                Ok((rules, warnings)) => {
                    in_force = Arc::clone(source);
                    let (source, hash) = (Arc::clone(source), rules.hash().to_owned());
                    Reload::Applied { source, rules: rules.listed(), hash, warnings }
                }
                Err(diagnostics) => Reload::Rejected(diagnostics),
            },
            Err(message) => Reload::Rejected(vec![Diagnostic {
                file: dir.display().to_string(),
                line: 0,
                column: 0,
                length: 0,
                error: true,
                message: message.clone(),
                help: None,
            }]),
        };
        let applied = matches!(reload, Reload::Applied { .. });
        tell(reload);
        told.into_iter().for_each(|told| told(applied));
        seen = found;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    const RULE: &str = r##"notification(#{ name: "a", channels: [slack("#x")] });"##;

    /// The layout of a mounted ConfigMap: links to links, and a version in a hidden folder.
    fn publish(dir: &Path, version: &str, text: &str) {
        fs::create_dir(dir.join(version)).unwrap();
        fs::write(dir.join(version).join("page.rhai"), text).unwrap();
        symlink(version, dir.join("..data_tmp")).unwrap();
        fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
        if !dir.join("page.rhai").exists() {
            symlink("..data/page.rhai", dir.join("page.rhai")).unwrap();
        }
    }

    #[test]
    fn reads_rules_and_people_and_leaves_the_rest() {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in [
            ("page.rhai", RULE),
            ("llm/deep/more.rhai", "// more"),
            ("users.toml", "[users]"),
            ("tests/case.toml", "x"),
            (".git/hidden.rhai", "x"),
            ("README.md", "x"),
        ] {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let source = read(dir.path()).unwrap();
        assert_eq!(source.files.keys().collect::<Vec<_>>(), ["llm/deep/more.rhai", "page.rhai", "users.toml"]);
        assert_eq!(source.files["page.rhai"], RULE);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        let error = read(Path::new("/nowhere/rules")).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/rules: cannot be read") && error.contains("rules.dir"), "{error}");
        let dir = tempfile::tempdir().unwrap();
        symlink(dir.path(), dir.path().join("circle")).unwrap();
        assert!(read(dir.path()).unwrap_err().to_string().contains("circle"));
    }

    #[test]
    fn a_file_that_cannot_be_a_rules_file_is_named_with_its_remedy() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("page.rhai");
        let told = |bytes: &[u8]| {
            fs::write(&path, bytes).unwrap();
            read(dir.path()).map(|source| source.files["page.rhai"].clone()).map_err(|error| error.to_string())
        };
        assert_eq!(told("\u{feff}// a\n".as_bytes()), Ok("// a\n".to_owned()), "the mark of some editors is no part of it");
        let utf16 = told(b"\xff\xfe/\0").unwrap_err();
        assert!(utf16.contains("is UTF-16") && utf16.contains("help: save it as UTF-8"), "{utf16}");
        let latin = told(b"// a\n// \xfc\n").unwrap_err();
        assert!(latin.contains("line 2 has the byte 0xfc") && latin.contains("help: save it as UTF-8"), "{latin}");
        fs::remove_file(&path).unwrap();
        symlink("nowhere", &path).unwrap();
        let link = read(dir.path()).unwrap_err().to_string();
        assert!(link.contains("page.rhai: is a link that leads nowhere") && link.contains("take it out"), "{link}");
        fs::remove_file(&path).unwrap();
        // It has no end, and a length of 0.
        symlink("/dev/zero", &path).unwrap();
        let endless = read(dir.path()).unwrap_err().to_string();
        assert!(endless.contains("is no file"), "{endless}");
    }

    #[test]
    fn what_is_passed_over_though_its_name_comes_near_is_known() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir(dir.path().join("sub")).unwrap();
        for name in ["a.rhai", "A.RHAI", "b.rhai.txt", "users.yaml", "sub/c.rhai.bak", "x.d.rhai", ".a.rhai.swp", "README.md"] {
            fs::write(dir.path().join(name), "").unwrap();
        }
        assert_eq!(passed_over(dir.path()), ["A.RHAI", "b.rhai.txt", "sub/c.rhai.bak", "users.yaml"]);
    }

    #[test]
    fn to_be_read_is_no_change() {
        for kind in [AccessKind::Open(AccessMode::Any), AccessKind::Read, AccessKind::Close(AccessMode::Read)] {
            assert!(only_reads(&EventKind::Access(kind)), "{kind:?}");
        }
        for kind in [EventKind::Access(AccessKind::Close(AccessMode::Write)), EventKind::Any] {
            assert!(!only_reads(&kind), "{kind:?}");
        }
        assert!(is_change(&Err(Vec::new())), "where something is lost it must be looked at");
    }

    #[test]
    fn a_swapped_config_map_is_seen_once() {
        let dir = tempfile::tempdir().unwrap();
        publish(dir.path(), "..2026_01", RULE);
        let first = Arc::new(read(dir.path()).unwrap());
        assert_eq!(first.files.len(), 1, "the hidden copies are not counted");
        let (sender, told) = bounded(8);
        let follower = Follower::start(dir.path().to_owned(), true, Limits::default(), first, move |reload| {
            let _ = sender.send(match reload {
                Reload::Applied { source, .. } => source.files["page.rhai"].clone(),
                Reload::Unchanged => "unchanged".to_owned(),
                Reload::Rejected(found) => format!("{found:?}"),
            });
        })
        .unwrap();
        // Asking makes sure that the follower runs before the swap.
        follower.ask();
        assert_eq!(told.recv_timeout(Duration::from_secs(20)).unwrap(), "unchanged");
        let changed = RULE.replace("\"a\"", "\"b\"");
        publish(dir.path(), "..2026_02", &changed);
        assert_eq!(told.recv_timeout(Duration::from_secs(20)).unwrap(), changed);
        publish(dir.path(), "..2026_03", "notification(#{");
        assert!(told.recv_timeout(Duration::from_secs(20)).unwrap().contains("page.rhai"), "a broken set is told, not taken");
        let (sender, looked) = bounded(1);
        assert!(follower.asker().ask(move |applied| sender.send(applied).unwrap()));
        assert_eq!(looked.recv_timeout(Duration::from_secs(20)), Ok(false), "whoever asks can wait for the answer");
        assert!(told.try_recv().unwrap().contains("page.rhai"), "asked again, the reason is told again");
        publish(dir.path(), "..2026_04", &changed);
        assert_eq!(told.recv_timeout(Duration::from_secs(20)).unwrap(), "unchanged", "put back to what is in force");
        drop(follower);
        assert!(told.try_recv().is_err(), "one change is told once");
    }
}
