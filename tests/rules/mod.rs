//! What a person who writes rules meets.

mod bad;
mod behaviour;
mod hostile;
mod kinds;

use incidentd::rules::{Diagnostic, Limits, RuleSet, RuleSource};
use std::sync::OnceLock;
use std::time::Instant;

/// A file or, with `// file: path` lines, several. Lines `// expect: …` are the tests' own and belong to none.
fn source(text: &str) -> RuleSource {
    let mut source = RuleSource::default();
    let mut path = "rules.rhai";
    for line in text.lines().filter(|line| !line.starts_with("// expect: ")) {
        match line.strip_prefix("// file: ") {
            Some(name) => path = name,
            None => {
                let file = source.files.entry(path.to_owned()).or_default();
                file.push_str(line);
                file.push('\n');
            }
        }
    }
    source
}

fn micros() -> u64 {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed().as_micros() as u64
}

/// With a real clock, as `run` has it.
fn limits() -> Limits {
    Limits { clock: Some(micros), ..Limits::default() }
}

fn load(text: &str) -> Result<(RuleSet, Vec<Diagnostic>), Vec<Diagnostic>> {
    RuleSet::load(&source(text), &limits())
}

/// The set, which must load; its warnings are not looked at.
fn loaded(text: &str) -> RuleSet {
    load(text).unwrap_or_else(|found| panic!("does not load: {found:#?}")).0
}
