//! The shape of the source: who imports whom, what the core must not touch, headers and lengths (ARCHITECTURE, «The parts»).

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

const CORE: [&str; 5] = ["model", "codec", "rules", "engine", "explain"];

/// Each module and what of ours it may import beside itself.
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("model", &[]),
    ("codec", &["model"]),
    ("rules", &["model"]),
    ("engine", &["model", "rules"]),
    ("config", &[]),
    ("metrics", &[]),
    ("traces", &["config", "metrics"]),
    ("settings", &["config", "model", "codec", "rules", "engine"]),
    ("kafka", &["config"]),
    ("worker", &["engine", "rules", "model", "codec", "kafka", "metrics", "traces"]),
    ("board", &["model", "codec", "kafka"]),
    ("delivery", &["config", "model", "codec", "kafka", "metrics", "traces"]),
    ("http", &["model", "codec", "board", "kafka", "metrics", "traces", "explain"]),
    ("replay", &["engine", "rules", "model", "codec"]),
    ("explain", &["model", "codec"]),
    ("compare", &["replay", "explain", "rules", "model"]),
    ("cases", &["replay", "explain", "engine", "rules_dir", "rules", "model", "codec"]),
    ("rules_dir", &["rules"]),
    (
        "app",
        &[
            "model",
            "codec",
            "rules",
            "engine",
            "config",
            "settings",
            "metrics",
            "traces",
            "kafka",
            "worker",
            "board",
            "delivery",
            "http",
            "replay",
            "explain",
            "rules_dir",
        ],
    ),
    (
        "cli",
        &["app", "config", "settings", "replay", "rules_dir", "model", "codec", "rules", "engine", "explain", "compare", "cases"],
    ),
];

/// Words that mean the world outside, and what they would bring into the core.
const IMPURE: [(&str, &str); 14] = [
    ("tokio", "threads and time"),
    ("rdkafka", "the network"),
    ("tracing", "a log"),
    ("metrics::", "a global recorder"),
    ("rand::", "randomness"),
    ("std::thread", "threads"),
    ("std::fs", "files"),
    ("std::net", "the network"),
    ("std::env", "the environment"),
    ("Instant::now", "the clock"),
    ("SystemTime", "the clock"),
    ("println!", "output"),
    ("std::collections::HashMap", "an order that differs from run to run"),
    ("std::collections::HashSet", "an order that differs from run to run"),
];

struct Source {
    /// Relative to the repository.
    path: PathBuf,
    text: String,
}

impl Source {
    /// `src/kafka/names.rs` is of `kafka`; none for `main.rs` and `lib.rs`.
    fn module(&self) -> Option<String> {
        let inner = self.path.strip_prefix("src").ok()?;
        let first = inner.components().next()?.as_os_str().to_str()?;
        Some(first.trim_end_matches(".rs").to_owned()).filter(|name| name != "main" && name != "lib")
    }

    /// Without comments and without unit tests, at the end of a file or in files of their own.
    fn code(&self) -> String {
        if self.path.components().any(|part| part.as_os_str() == "tests" || part.as_os_str() == "tests.rs") {
            return String::new();
        }
        let code = self.text.split("#[cfg(test)]\nmod ").next().unwrap_or_default();
        code.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
    }
}

fn sources(folder: &str) -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    let mut folders = vec![root.join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|end| end == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                found.push(Source { path: path.strip_prefix(root).unwrap().to_owned(), text });
            }
        }
    }
    assert!(!found.is_empty(), "{folder} holds no source");
    found
}

/// The modules named by `crate::x` and by `crate::{x, y::z}`.
fn imports(code: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let name = |text: &str| text.trim().chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect::<String>();
    for after in code.split("crate::").skip(1) {
        let Some(group) = after.strip_prefix('{') else {
            found.insert(name(after));
            continue;
        };
        let (mut depth, mut start) = (0, 0);
        for (at, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                ',' | '}' if depth == 0 => {
                    found.insert(name(&group[start..at]));
                    start = at + 1;
                    if c == '}' {
                        break;
                    }
                }
                _ => {}
            }
        }
    }
    found.remove("");
    found
}

#[test]
fn every_module_imports_only_what_it_may() {
    let modules: BTreeSet<&str> = MAY_IMPORT.iter().map(|(module, _)| *module).collect();
    let mut wrong = Vec::new();
    for source in sources("src") {
        let Some(module) = source.module() else { continue };
        let Some((_, may)) = MAY_IMPORT.iter().find(|(known, _)| *known == module) else {
            wrong.push(format!("{}: the table above does not know the module `{module}`", source.path.display()));
            continue;
        };
        for import in imports(&source.code()).iter().filter(|import| modules.contains(import.as_str())) {
            if *import != module && !may.contains(&import.as_str()) {
                wrong.push(format!("{}: `{module}` may not import `{import}`", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn the_core_is_pure() {
    let mut wrong = Vec::new();
    for source in sources("src").iter().filter(|source| source.module().is_some_and(|module| CORE.contains(&module.as_str()))) {
        let code = source.code();
        for (word, what) in IMPURE {
            if code.contains(word) {
                wrong.push(format!("{}: `{word}` brings {what} into the core", source.path.display()));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn only_the_rules_name_rhai() {
    let named: Vec<_> = sources("src")
        .into_iter()
        .filter(|source| source.code().contains("rhai::") && source.module().as_deref() != Some("rules"))
        .map(|source| source.path)
        .collect();
    assert!(named.is_empty(), "{named:?}");
}

#[test]
fn every_file_says_its_idea_and_stays_short() {
    let mut wrong = Vec::new();
    let mut lengths = Vec::new();
    for source in ["src", "tests", "benches"].into_iter().flat_map(sources) {
        let (path, length) = (source.path.display(), source.text.lines().count());
        lengths.push(length);
        if !source.text.starts_with("//! ") {
            wrong.push(format!("{path}: no `//!` header that says its one idea"));
        }
        if length > 400 {
            wrong.push(format!("{path}: {length} lines; 400 are the most"));
        }
        for word in ["TODO", "FIXME", "unimplemented!", "todo!("] {
            // This file alone has to name them.
            if source.text.contains(word) && !source.path.ends_with("tidy.rs") {
                wrong.push(format!("{path}: `{word}`"));
            }
        }
    }
    lengths.sort_unstable();
    let median = lengths[lengths.len() / 2];
    if median > 150 {
        wrong.push(format!("the median file has {median} lines; 150 are the aim"));
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
}

#[test]
fn main_is_short() {
    let main = sources("src").into_iter().find(|source| source.path.ends_with("main.rs")).unwrap();
    assert!(main.text.lines().count() < 60);
}

#[test]
fn the_scanner_sees_what_it_should() {
    let code = "use crate::model::{A, B};\nuse crate::{codec, engine::{self, X}, rules};\nlet x = crate::kafka::y();";
    assert_eq!(imports(code).into_iter().collect::<Vec<_>>(), ["codec", "engine", "kafka", "model", "rules"]);
}
