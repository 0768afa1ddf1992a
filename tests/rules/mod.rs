//! What a person who writes rules meets.

mod bad;
mod behaviour;
mod check;
mod fuzz;
mod hostile;
mod kinds;
mod many;
mod memory;

use incidentd::rules::{Diagnostic, Limits, RuleSet, RuleSource};

/// A file or, with `// file: path` lines, several.
fn source(text: &str) -> RuleSource {
    let mut source = RuleSource::default();
    let mut path = "rules.rhai";
    for line in text.split_inclusive('\n') {
        match line.strip_prefix("// file: ") {
            Some(name) => path = name.trim_end(),
            None => source.files.entry(path.to_owned()).or_default().push_str(line),
        }
    }
    source
}

/// Microseconds of this thread's processor time, as `run` counts them.
fn micros() -> u64 {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the pointer is to a timespec of ours that outlives the call.
    unsafe { libc::clock_gettime(libc::CLOCK_THREAD_CPUTIME_ID, &mut time) };
    time.tv_sec as u64 * 1_000_000 + time.tv_nsec as u64 / 1_000
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
